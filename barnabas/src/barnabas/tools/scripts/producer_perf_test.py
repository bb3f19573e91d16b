"""kafka-producer-perf-test: produce records as fast as can be, or at a rate, and report rate and latency.

Records go out through confluent-kafka, in calls of up to 500 (`produce_batch`); each record's latency is taken by
librdkafka, in its delivery report. Requests of our own: Metadata, to learn whether the cluster and the topic are there.
Differs from Java's tool: a latency ends when the report is handled, up to a burst (2 ms at a rate) later; at most
500,000 records wait to be sent, whatever buffer.memory says; of payloads of --record-size there are so many different
ones as fit in 1 MiB, which are sent in turn; --print-metrics shows what librdkafka counts, under the names that Java's
producer has for it; a topic that is not there is given up after 5 seconds, with status 1.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Generator
from typing import Any, Final

from barnabas.tools.client_properties import await_topic, failure, producer_config, read_properties
from barnabas.tools.errors import ToolError
from barnabas.tools.java_numbers import integer, long
from barnabas.tools.perf_stats import Reports, Stats
from barnabas.tools.terminal import Waiting
from barnabas.tools.throttle import Throttle

SUMMARY = "Measure how fast records can be produced."
EXAMPLE = """
kafka-producer-perf-test --bootstrap-server localhost:9092 --topic test --num-records 1000000 --record-size 100 \\
  --throughput -1
"""
HELP_WITHOUT_ARGUMENTS = True

_POOL: Final = 1 << 20
_TRANSACTION_PATIENCE: Final = 10.0


# --- options ------------------------------------------------------------------------------------------------


def _positive(read: Any, name: str) -> Any:
    def convert(text: str) -> int:
        number: int = read(text)
        if number <= 0:
            raise ArgumentTypeError(f"--{name} should be greater than zero.")
        return number

    convert.__name__ = read.__name__
    return convert


def parser(parser: Any) -> None:
    """Declare the options."""
    add = parser.add_argument
    pair = "PROP-NAME=PROP-VALUE"
    add("--bootstrap-server", metavar="BOOTSTRAP-SERVER", help="The servers; counts more than bootstrap.servers.")
    add("--topic", required=True, metavar="TOPIC", help="The topic to write to.")
    add("--num-records", required=True, type=_positive(long, "num-records"), metavar="NUM-RECORDS",
        help="How many records to send.")
    add("--payload-delimiter", default="\\n", metavar="DELIMITER",
        help="What stands between the payloads of --payload-file, a regular expression; a line's end without it.")
    add("--throughput", required=True, type=float, metavar="THROUGHPUT", help="Records a second, about; -1: no limit.")
    add("--producer-props", nargs="+", metavar=pair, help="Deprecated: use --command-property.")
    add("--command-property", nargs="+", metavar=pair, help="Properties of the producer; they go before the file's.")
    add("--producer.config", dest="producer_config", metavar="FILE", help="Deprecated: use --command-config.")
    add("--command-config", metavar="FILE", help="A property file with the producer's configuration.")
    add("--print-metrics", action="store_true", help="Print what the client counted, at the end.")
    add("--transactional-id", metavar="ID", help="Send in transactions, under this id.")
    add("--transaction-duration-ms", type=_positive(long, "transaction-duration-ms"), metavar="MS",
        help="Commit a transaction after so long; 3000 where transactions are asked for otherwise.")
    add("--warmup-records", type=long, default=0, metavar="COUNT",
        help="Records to begin with that the steady state's line does not count.")
    add("--reporting-interval", type=_positive(long, "reporting-interval"), default=5000, metavar="MS",
        help="How often to report.")
    add("--json", action="store_true", help="Print each report as JSON, in a line. Not in Apache Kafka's tool.")
    payload = parser.add_mutually_exclusive_group(required=True)
    payload.add_argument("--record-size", type=_positive(integer, "record-size"), metavar="BYTES",
                         help="Send random letters, so many in a record.")
    payload.add_argument("--payload-file", metavar="FILE", help="Send what stands in a file, at random.")
    payload.add_argument("--payload-monotonic", action="store_true", help="Send the numbers 0, 1, 2, ...")


def _properties(options: Any) -> dict[str, str]:
    properties = read_properties(options.command_config or options.producer_config)
    for text in options.command_property or options.producer_props or ():
        key, *values = text.split("=")
        if len(values) != 1 or not values[0]:
            raise ToolError(f"Invalid property: {text}")
        properties[key] = values[0]
    if options.bootstrap_server is not None:
        properties["bootstrap.servers"] = options.bootstrap_server
    properties.setdefault("client.id", "perf-producer-client")
    return properties


# --- payloads -----------------------------------------------------------------------------------------------


def split_payloads(text: str, delimiter: str) -> list[bytes]:
    """Split a file's text as Java's Scanner does: one delimiter goes before each payload but the first."""
    pattern = re.compile(delimiter)
    found: list[bytes] = []
    at = 0
    while True:
        before = pattern.match(text, at)
        at = before.end() if before else at
        if at >= len(text):
            return found
        end = pattern.search(text, at)
        if end is not None and end.end() == at:  # it matches nothing at all here
            end = pattern.search(text, at + 1)
        stop = end.start() if end else len(text)
        found.append(text[at:stop].encode())
        at = stop


def read_payloads(path: str, delimiter: str, notes: Any = None) -> list[bytes]:
    """Read a file of payloads, and say so. Raises `ToolError`."""
    print(f"Reading payloads from: {os.path.join(os.getcwd(), path)}", file=notes)
    try:
        if os.path.getsize(path) == 0:
            raise FileNotFoundError
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            payloads = split_payloads(file.read(), "\n" if delimiter == "\\n" else delimiter)
    except FileNotFoundError:
        raise ToolError("File does not exist or empty file provided.") from None
    except OSError as e:
        raise ToolError(f"{path}: {e.strerror}") from None
    except re.error as e:
        raise ToolError(f"{e.msg.capitalize()} near index {e.pos}\n{delimiter}\n{' ' * (e.pos or 0)}^") from None
    print(f"Number of records read: {len(payloads)}", file=notes)
    return payloads


def messages_of(options: Any, payloads: list[bytes]) -> Generator[list[dict[str, Any]], int, None]:
    """Yield the records to send, without an end: each time as many as the generator is sent."""
    chance = random.Random(0)
    wanted = yield []
    if options.payload_monotonic:
        at = 0
        while True:
            count = wanted
            wanted = yield [{"value": b"%d" % number} for number in range(at, at + count)]
            at += count
    if payloads:
        while True:
            wanted = yield [{"value": payload} for payload in chance.choices(payloads, k=wanted)]
    size = options.record_size
    letters = bytes(65 + number % 26 for number in range(256))
    count = max(1, min(options.num_records, _POOL // size))
    pool = [{"value": chance.randbytes(size).translate(letters)} for _ in range(count)]
    while len(pool) < 1000:
        pool += [dict(message) for message in pool]  # each is its own: produce_batch notes in them what it refused
    at = 0
    while True:
        if at + wanted > len(pool):
            at = 0
        at += wanted
        wanted = yield pool[at - wanted : at]


# --- producing ----------------------------------------------------------------------------------------------


def run(options: Any) -> int:
    """Produce, and report."""
    if options.warmup_records >= options.num_records:
        raise _usage("The value for --warmup-records must be strictly fewer than the number of records in the test, "
                     "--num-records.")
    if options.producer_props and options.command_property:
        raise _usage("--producer-props and --command-property cannot be specified together.")
    if options.producer_config and options.command_config:
        raise _usage("--producer.config and --command-config cannot be specified together.")
    if options.bootstrap_server is None and not (
        options.producer_props or options.command_property or options.producer_config or options.command_config
    ):
        raise _usage("At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or "
                     "--command-config must be specified.")
    notes = sys.stderr if options.json else sys.stdout
    for old, new in (("producer-props", "command-property"), ("producer.config", "command-config")):
        if getattr(options, old.replace("-", "_").replace(".", "_")):
            print(f"Option --{old} has been deprecated and will be removed in a future version. Use --{new} instead.",
                  file=notes)
    payloads = read_payloads(options.payload_file, options.payload_delimiter, notes) if options.payload_file else []
    properties = _properties(options)
    if options.transactional_id is not None:
        properties["transactional.id"] = options.transactional_id
    elif options.transaction_duration_ms is not None and "transactional.id" not in properties:
        from uuid import uuid4

        from barnabas.tools.texts import uuid_text

        properties["transactional.id"] = f"performance-producer-{uuid_text(uuid4().bytes)}"
    _produce(options, properties, payloads)
    return 0


def _usage(text: str) -> ToolError:
    return ToolError(f"usage: kafka-producer-perf-test [options]\nkafka-producer-perf-test: error: {text}")


def _produce(options: Any, properties: dict[str, str], payloads: list[bytes]) -> None:
    config = producer_config(properties)
    await_topic(properties, options.topic)
    from confluent_kafka import KafkaException, Producer

    from barnabas.tools.perf_metrics import Metrics, print_metrics

    metrics = Metrics(properties["client.id"])
    try:
        producer = Producer(config | metrics.config)
        producer.list_topics(options.topic, _TRANSACTION_PATIENCE)  # what is measured begins when the leader is known
        if "transactional.id" in config:
            producer.init_transactions(_TRANSACTION_PATIENCE)
        elif config["enable.idempotence"] == "true":
            metrics.await_producer_id(producer)
        stats = _send_all(producer, options, payloads, "transactional.id" in config)
    except KafkaException as e:
        raise ToolError(failure(e.args[0]).partition(": ")[2]) from None
    for each in stats:
        each.print_total()
    if options.print_metrics:
        metrics.await_next(producer)
        print_metrics(metrics.of_producer(), as_json=options.json)


def _send_all(producer: Any, options: Any, payloads: list[bytes], transactional: bool) -> list[Stats]:
    """Send all records, and wait until they are acknowledged; return the statistics."""
    total: int = options.num_records
    warm = max(options.warmup_records, 0)
    if warm:
        print(f"Warmup first {warm} records. Steady state results will print after the complete test summary.",
              file=sys.stderr if options.json else sys.stdout)
    stats = [Stats(total, options.reporting_interval, as_json=options.json)]
    reports = Reports(options.record_size, *stats)
    messages = messages_of(options, payloads)
    next(messages)
    throttle = Throttle(options.throughput)
    burst = throttle.burst
    duration = (options.transaction_duration_ms or 3000) / 1000
    begun = 0.0
    sent = 0
    waiting = Waiting("Sending")
    while sent < total:
        if transactional and not begun:
            producer.begin_transaction()
            begun = time.monotonic()
        if warm and sent == warm:
            stats.append(Stats(total - warm, options.reporting_interval, steady=True, as_json=options.json))
            stats[0].quiet = True
            reports.settle()
            reports = _Both(reports, Reports(options.record_size, *stats))
        count = min(burst, (warm if sent < warm else total) - sent)
        _send(producer, options.topic, messages.send(count), reports)
        sent += count
        waiting.tick(f"{stats[0].count} of {total} records acknowledged")
        if transactional and time.monotonic() - begun >= duration:
            _commit(producer, reports)
            begun = 0.0
        while (pause := throttle.pause(sent)) > 0:
            producer.poll(min(pause, 0.05))
            reports.settle()
    if begun:
        _commit(producer, reports)
    while producer.flush(0.2):
        reports.settle()
        waiting.tick(f"{stats[0].count} of {total} records acknowledged")
    reports.settle()
    waiting.over()
    return stats


class _Both(Reports):
    """Be the reports of the steady state, and settle those of the warm-up too."""

    def __init__(self, before: Reports, after: Reports) -> None:
        self._before, self._after = before, after
        self.callback = after.callback

    def settle(self) -> None:
        self._before.settle()
        self._after.settle()


def _send(producer: Any, topic: str, messages: list[dict[str, Any]], reports: Reports) -> None:
    """Hand records to librdkafka; where its queue is full, wait for room."""
    from confluent_kafka import KafkaError

    while producer.produce_batch(topic, messages, on_delivery=reports.callback) < len(messages):
        refused = [(message, error) for message in messages if (error := message.pop("_error", None)) is not None]
        messages = [message for message, error in refused if error.code() == KafkaError._QUEUE_FULL]
        for _, error in refused:
            if error.code() != KafkaError._QUEUE_FULL:
                print(failure(error), file=sys.stderr)
        producer.poll(0.01)
        reports.settle()
    producer.poll(0)
    reports.settle()


def _commit(producer: Any, reports: Reports) -> None:
    producer.flush()
    reports.settle()
    producer.commit_transaction(_TRANSACTION_PATIENCE)
