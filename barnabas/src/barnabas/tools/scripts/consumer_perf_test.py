"""kafka-consumer-perf-test: consume records as fast as can be, as a member of a group, and report the rate.

Records come through confluent-kafka, up to 1,000 a call. Before that a connection of our own tells whether the cluster
is there. Differs from Java's tool: it stops at the record that was asked for, where Java's finishes the batch that it
has; a reporting interval ends after a call, not within its records; --print-metrics shows what librdkafka counts, under
the names that Java's consumer has for it; a cluster that cannot be reached is an error after a few seconds.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from barnabas.tools.client_properties import await_cluster, consumer_config, failure, read_properties
from barnabas.tools.errors import ToolError, UsageError
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.perf_stats import document, number, ratio
from barnabas.tools.simple_date import SimpleDate
from barnabas.tools.terminal import Waiting

SUMMARY = "This tool is used to verify the consumer performance."
OPTIONS = (
    Option("bootstrap-server", "REQUIRED: the Kafka broker to connect to.", "host:port", completes="server"),
    Option("topic", "The topic to consume.", "topic", completes="topic"),
    Option("include", "A regular expression: the topics to consume.", "regex"),
    Option("group", "The group to consume in. One of its own without it.", "group", completes="group"),
    Option("fetch-size", "How many bytes of a partition one answer holds.", "bytes", "int", 1024 * 1024),
    Option("from-latest", "Begin at the end where the group has no offset; without it, at the beginning."),
    Option("socket-buffer-size", "How many bytes the socket buffers for reading.", "bytes", "int", 2 * 1024 * 1024),
    Option("consumer.config", "Deprecated: use --command-config.", "file", completes="file"),
    Option("command-config", "A property file with the consumer's configuration.", "file", completes="file"),
    Option("command-property", "A property of the consumer; it goes before the file's.", "name=value"),
    Option("print-metrics", "Print what the client counted, at the end."),
    Option("show-detailed-stats", "Report each interval instead of the whole."),
    Option("timeout", "Give up after so long without a record.", "ms", "long", 10_000, optional=True),
    Option("messages", "Deprecated: use --num-records.", "count", "long"),
    Option("num-records", "REQUIRED: how many records to consume.", "count", "long"),
    Option("reporting-interval", "How often to report, with --show-detailed-stats.", "ms", "long", 5000),
    Option("date-format", "How times are written: a pattern of java.text.SimpleDateFormat.", "pattern",
           default="yyyy-MM-dd HH:mm:ss:SSS"),
    Option("hide-header", "Leave the header out."),
    JSON,
)
EXAMPLE = """
kafka-consumer-perf-test --bootstrap-server localhost:9092 --topic test --num-records 1000000
"""
USAGE_AFTER_ERRORS = True

_BATCH: Final = 1000
_FAST: Final[dict[str, object]] = {"queued.min.messages": 1_000_000}
_MIB: Final = 1024 * 1024


def run(options: Parsed) -> int:
    """Consume, and report."""
    _check(options)
    as_json = options.has("json")
    if not options.has("hide-header") and not as_json:
        first = "time, threadId" if options.has("show-detailed-stats") else "start.time, end.time"
        print(f"{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, "
              "fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec", flush=True)
    properties = _properties(options)
    config = consumer_config(properties)
    await_cluster(properties, "consumer")
    wanted = options.value("messages") if options.has("messages") else options.value("num-records")
    timeout: int = options.value("timeout")
    interval = options.value("reporting-interval")
    if interval <= 0:
        raise ToolError("Reporting interval must be greater than 0.")
    dates = SimpleDate(options.value("date-format"))
    from confluent_kafka import Consumer, KafkaException

    from barnabas.tools.perf_metrics import Metrics, print_metrics

    metrics = Metrics(properties["client.id"])
    try:
        consumer = Consumer(config | _FAST | (metrics.config if options.has("print-metrics") else {}))
        test = Test(dates, interval if options.has("show-detailed-stats") else None, as_json=as_json)
        consumer.subscribe([_topics(options)], on_assign=test.joined, on_revoke=test.left, on_lost=test.left)
        test.consume(consumer, wanted, timeout)
        if options.has("print-metrics"):
            consumer.unassign()
            metrics.await_next(consumer)
        consumer.close()
    except KafkaException as e:
        raise ToolError(failure(e.args[0]).partition(": ")[2]) from None
    if not options.has("show-detailed-stats"):
        test.show(test.total())
    if options.has("print-metrics"):
        print_metrics(metrics.of_consumer(), as_json=as_json)
    return 0


def _check(options: Parsed) -> None:
    options.require("bootstrap-server")
    _one(options, "topic", "include")
    _one(options, "messages", "num-records")
    options.refuse("consumer.config", ("command-config",))
    for old, new in (("messages", "num-records"), ("consumer.config", "command-config")):
        if options.has(old):
            print(f"Warning: --{old} is deprecated. Use --{new} instead.",
                  file=sys.stderr if options.has("json") else sys.stdout)


def _one(options: Parsed, *names: str) -> None:
    if sum(options.has(name) for name in names) != 1:
        raise UsageError(
            f"Exactly one of the following arguments is required: {', '.join(f'[{name}]' for name in names)}"
        )


def _properties(options: Parsed) -> dict[str, str]:
    properties = read_properties(options.value("command-config") or options.value("consumer.config"))
    for text in options.values("command-property"):
        key, _, value = text.partition("=")
        properties[key] = value
    properties |= {
        "bootstrap.servers": options.value("bootstrap-server"),
        "group.id": options.value("group") or f"perf-consumer-{time.time_ns() // 1000 % 100_000}",
        "receive.buffer.bytes": str(options.value("socket-buffer-size")),
        "max.partition.fetch.bytes": str(options.value("fetch-size")),
        "auto.offset.reset": "latest" if options.has("from-latest") else "earliest",
        "check.crcs": "false",
    }
    properties.setdefault("client.id", "perf-consumer-client")
    return properties


def _topics(options: Parsed) -> str:
    """Return what to subscribe to: a name, or `^` and an expression that librdkafka understands."""
    if not options.has("include"):
        name: str = options.value("topic")
        return name
    expression: str = options.value("include")
    try:
        re.compile(expression)
    except re.error as e:
        raise ToolError(f"{e.msg.capitalize()} near index {e.pos}\n{expression}") from None
    return f"^({expression})$"


class Test:
    """Count what is consumed. Times are in milliseconds."""

    __test__ = False

    def __init__(
        self, dates: SimpleDate, interval: int | None, clock: Any = time.time, *, as_json: bool = False
    ) -> None:
        self._dates, self._interval, self._json = dates, interval, as_json
        self._clock: Callable[[], int] = lambda: int(clock() * 1000)
        self._start = self._end = self._join_start = self._clock()
        self._assigned: set[tuple[str, int]] = set()
        self._join = self._join_in_interval = 0
        self.records = self.bytes = 0

    def joined(self, _: Any, partitions: list[Any]) -> None:
        """Note that the group gave us partitions: what it took counts as rebalancing."""
        if not self._assigned:
            took = self._clock() - self._join_start
            self._join += took
            self._join_in_interval += took
        self._assigned.update((p.topic, p.partition) for p in partitions)

    def left(self, _: Any, partitions: list[Any]) -> None:
        """Note that the group took partitions away."""
        self._assigned.difference_update((p.topic, p.partition) for p in partitions)
        if not self._assigned:
            self._join_start = self._clock()

    def consume(self, consumer: Any, wanted: int, timeout: int) -> None:
        """Consume so many records, or until none has come for `timeout`."""
        now = last = reported = self._clock()
        records_before = bytes_before = 0
        waiting = Waiting("Consuming")
        while self.records < wanted and now - last <= timeout:
            messages = consumer.consume(min(_BATCH, wanted - self.records), 0.1)
            now = self._clock()
            waiting.tick(f"{self.records} of {wanted} records")
            if not messages:
                continue
            self.count(messages)
            last = now
            if self._interval is not None and now - reported >= self._interval:
                waiting.over()
                self.show(self.interval(records_before, bytes_before, reported, now))
                records_before, bytes_before, reported = self.records, self.bytes, now
                self._join_in_interval = 0
        self._end = self._clock()
        waiting.over()
        if self.records < wanted:
            print(f"WARNING: Exiting before consuming the expected number of records: timeout ({timeout} ms) exceeded. "
                  "You can use the --timeout option to increase the timeout.",
                  file=sys.stderr if self._json else sys.stdout)

    def show(self, figures: dict[str, Any]) -> None:
        """Print the figures of a report."""
        if self._json:
            document(figures)
        else:
            print(line(figures), flush=True)

    def count(self, messages: list[Any]) -> None:
        """Take messages in; what is an error and no record does not count."""
        records = [message for message in messages if message.error() is None]
        self.records += len(records)
        self.bytes += sum(map(len, records)) + sum(len(key) for r in records if (key := r.key()) is not None)

    def interval(self, records: int, size: int, since: int, until: int) -> dict[str, Any]:
        """Return the figures of an interval that began with so many records and bytes."""
        elapsed, fetching = until - since, until - since - self._join_in_interval
        mib, count = (self.bytes - size) / _MIB, self.records - records
        rates = (mib, count) if fetching > 0 else (0.0, 0)
        return {"time": self._dates.write(until), "threadId": 0} | self._rates(
            ratio(1000 * mib, elapsed), ratio(1000 * count, elapsed), self._join_in_interval, fetching,
            1000 * rates[0] / max(fetching, 1), 1000 * rates[1] / max(fetching, 1),
        )

    def total(self) -> dict[str, Any]:
        """Return the figures of the whole test."""
        elapsed = self._end - self._start
        fetching = elapsed - self._join
        mib, count = self.bytes / _MIB, self.records
        return {"startTime": self._dates.write(self._start), "endTime": self._dates.write(self._end)} | self._rates(
            ratio(1000 * mib, elapsed), ratio(1000 * count, elapsed), self._join, fetching,
            ratio(1000 * mib, fetching), ratio(1000 * count, fetching),
        )

    def _rates(
        self, mib: float, records: float, joining: int, fetching: int, mib_fetched: float, records_fetched: float
    ) -> dict[str, Any]:
        """Return what all reports have, in the order of their lines; the rates are those of a second."""
        return {
            "dataConsumedInMB": self.bytes / _MIB, "mbPerSecond": mib, "recordsConsumed": self.records,
            "recordsPerSecond": records, "rebalanceTimeMs": joining, "fetchTimeMs": fetching,
            "fetchMbPerSecond": mib_fetched, "fetchRecordsPerSecond": records_fetched,
        }


def line(figures: dict[str, Any]) -> str:
    """Write figures as Java's tool does."""
    return ", ".join(number(value, 4) if isinstance(value, float) else str(value) for value in figures.values())
