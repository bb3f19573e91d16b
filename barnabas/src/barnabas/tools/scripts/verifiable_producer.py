"""kafka-verifiable-producer: produce the numbers 0, 1, 2, ... and report what became of each as JSON, for system tests.

Records are produced with confluent-kafka. Requests of our own: Metadata, to learn whether the cluster and the topic are
there. Differs from Java's tool: a topic or cluster that is not there is given up after 5 seconds, with status 1.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from barnabas.tools.client_properties import await_topic, exception_for, producer_config, read_properties
from barnabas.tools.errors import ToolError
from barnabas.tools.java_numbers import integer, long
from barnabas.tools.throttle import Throttle
from barnabas.tools.verifiable_events import Stop, line_of, say

SUMMARY = "Produce increasing integers, and report each as JSON."
EXAMPLE = """
kafka-verifiable-producer --bootstrap-server localhost:9092 --topic test --max-messages 1000
"""
HELP_WITHOUT_ARGUMENTS = True


def parser(parser: Any) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--topic", required=True, metavar="TOPIC", help="The topic to write to.")
    add("--max-messages", type=integer, default=-1, metavar="COUNT", help="How many to produce; -1: until it is ended.")
    add("--throughput", type=integer, default=-1, metavar="RATE", help="Records a second, about; -1: no limit.")
    add("--acks", type=integer, default=-1, choices=(0, 1, -1), metavar="ACKS", help="What to wait for.")
    add("--producer.config", dest="producer_config", metavar="FILE", help="Deprecated: use --command-config.")
    add("--message-create-time", type=long, default=-1, metavar="MS", help="The time of the first record.")
    add("--value-prefix", type=integer, metavar="NUMBER", help="A number before each value, and a dot.")
    add("--repeating-keys", type=integer, metavar="COUNT", help="Give keys: 0, 1, ... COUNT - 1, and again.")
    add("--command-config", metavar="FILE", help="A property file with the producer's configuration.")
    add("--bootstrap-server", required=True, metavar="HOST:PORT,...", help="REQUIRED: the servers to connect to.")


def run(options: Any) -> int:
    """Produce, and report."""
    if options.producer_config and options.command_config:
        raise _usage("Options --producer.config and --command-config are mutually exclusive.")
    if options.producer_config:
        print(
            "Option --producer.config has been deprecated and will be removed in a future version. "
            "Use --command-config instead."
        )
    properties = {"bootstrap.servers": options.bootstrap_server, "acks": str(options.acks), "retries": "0"}
    try:
        properties |= read_properties(options.producer_config or options.command_config)
    except ToolError as e:
        raise _usage(str(e)) from None
    config = producer_config(properties)
    await_topic(properties, options.topic)
    from confluent_kafka import Producer

    stop = Stop()
    begun = time.time()
    say("startup_complete")
    run = Run(Producer(config), options)
    run.produce(stop)
    run.finish()
    say("shutdown_complete")
    say("tool_data", sent=run.sent, acked=run.acked, target_throughput=options.throughput,
        avg_throughput=run.acked / max(time.time() - begun, 1e-3))
    return stop.status


def _usage(text: str) -> ToolError:
    return ToolError(f"usage: kafka-verifiable-producer [options]\nkafka-verifiable-producer: error: {text}")


class Run:
    """Send the numbers, and print what is reported of each."""

    def __init__(self, producer: Any, options: Any) -> None:
        self._producer, self._options = producer, options
        self._lines: list[str] = []
        self.sent = self.acked = 0

    def produce(self, stop: Stop) -> None:
        """Send as many as was asked for, or until a signal comes."""
        options = self._options
        throttle = Throttle(options.throughput)
        created = options.message_create_time
        start = time.time()
        while self.sent != options.max_messages and not stop.signal:
            number = self.sent
            value = f"{number}" if options.value_prefix is None else f"{options.value_prefix}.{number}"
            key = None if options.repeating_keys is None else f"{number % max(options.repeating_keys, 1)}"
            more = {}
            if options.message_create_time != -1:
                more = {"timestamp": created}
                created += int((time.time() - start) * 1000)
            self._send(key, value, more)
            self.sent += 1
            if self.sent % 100 == 0:
                self._poll(0)
            while (pause := throttle.pause(self.sent)) > 0 and not stop.signal:
                self._poll(min(pause, 0.05))

    def finish(self) -> None:
        """Wait until everything that was sent is reported."""
        while self._producer.flush(0.2):
            self._print()
        self._print()

    def _send(self, key: str | None, value: str, more: dict[str, Any]) -> None:
        while True:
            try:
                self._producer.produce(self._options.topic, value, key, on_delivery=self._delivered, **more)
                return
            except BufferError:
                self._poll(0.05)

    def _poll(self, seconds: float) -> None:
        self._producer.poll(seconds)
        self._print()

    def _print(self) -> None:
        if self._lines:
            sys.stdout.write("".join(self._lines))
            sys.stdout.flush()
            self._lines.clear()

    def _delivered(self, error: Any, message: Any) -> None:
        key, value = (None if data is None else data.decode() for data in (message.key(), message.value()))
        if error is None:
            self.acked += 1
            offset = message.offset()
            self._lines.append(line_of(
                "producer_send_success", key=key, value=value, offset=-1 if offset is None or offset < 0 else offset,
                topic=message.topic(), partition=message.partition(),
            ))
        else:
            name, text = exception_for(error)
            if name.endswith(".InvalidTopicException"):
                text = f"Invalid topics: [{self._options.topic}]"
            self._lines.append(line_of(
                "producer_send_error", topic=self._options.topic, key=key, value=value, exception=f"class {name}",
                message=text,
            ))
