"""The measuring of the performance tests: statistics with known inputs, payload files, rates, dates."""

from __future__ import annotations

import json
import math
import re
from argparse import Namespace
from typing import Any

import pytest

from barnabas.embedded import Broker
from barnabas.tools.errors import ToolError
from barnabas.tools.main import run
from barnabas.tools.perf_metrics import Metrics, print_metrics
from barnabas.tools.perf_stats import Reports, Stats, document, number, percentiles, ratio
from barnabas.tools.scripts.consumer_perf_test import Test as ConsumerTest
from barnabas.tools.scripts.consumer_perf_test import line
from barnabas.tools.scripts.e2e_latency import prepare, results, validate
from barnabas.tools.scripts.producer_perf_test import messages_of, split_payloads
from barnabas.tools.simple_date import SimpleDate
from barnabas.tools.throttle import Throttle


class Clock:
    """Stand still until told to move."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# --- producing ----------------------------------------------------------------------------------------------


def test_percentiles_are_those_of_java_s_tool() -> None:
    assert percentiles([*range(1, 1001)], 0.5, 0.95, 0.99, 0.999) == [501, 951, 991, 1000]
    assert percentiles([7], 0.5, 0.999) == [7, 7]
    assert percentiles([], 0.5, 0.999) == [0, 0]


def test_the_total_counts_records_bytes_and_latencies(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    stats = Stats(4, 5000, clock=clock)
    stats.add([1, 2], 200)
    stats.add([], 0)
    stats.add([3, 10], 200)
    clock.now += 2
    stats.print_total()
    assert capsys.readouterr().out == (
        "4 records sent, 2.000000 records/sec (0.00 MB/sec), 4.00 ms avg latency, 10.00 ms max latency, 3 ms 50th, "
        "10 ms 95th, 10 ms 99th, 10 ms 99.9th.\n"
    )


def test_no_records_give_java_s_nan(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    stats = Stats(4, 5000, clock=clock)
    clock.now += 1
    stats.print_total()
    assert capsys.readouterr().out == (
        "0 records sent, 0.000000 records/sec (0.00 MB/sec), NaN ms avg latency, 0.00 ms max latency, 0 ms 50th, "
        "0 ms 95th, 0 ms 99th, 0 ms 99.9th.\n"
    )


def test_each_interval_has_a_line_and_the_steady_state_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    stats, steady = Stats(6, 1000, clock=clock), Stats(4, 1000, steady=True, clock=clock)
    stats.add([4], 1024 * 1024)
    clock.now += 1
    stats.add([8], 1024 * 1024)
    stats.quiet = True
    clock.now += 1
    for each in (stats, steady):
        each.add([1, 1], 2)
    steady.print_total()
    assert capsys.readouterr().out.splitlines() == [
        "2 records sent, 2.0 records/sec (2.00 MB/sec), 6.0 ms avg latency, 8.0 ms max latency.",
        "In steady state.",
        "2 records sent, 1.0 records/sec (0.00 MB/sec), 1.0 ms avg latency, 1.0 ms max latency.",
        "2 steady state records sent, 1.000000 records/sec (0.00 MB/sec), 1.00 ms avg latency, 1.00 ms max latency, "
        "1 ms 50th, 1 ms 95th, 1 ms 99th, 1 ms 99.9th.",
    ]


def test_of_very_many_records_some_latencies_are_kept() -> None:
    stats = Stats(1_000_000, 5000)
    for _ in range(3):
        stats.add([0, 1, 2, 3, 4], 5)
    assert stats._samples == [0, 2, 4, 1, 3, 0, 2, 4]  # every second of all, across the calls


class Report:
    """Be a delivery report."""

    def __init__(self, seconds: float, size: int) -> None:
        self._seconds, self._size = seconds, size

    def latency(self) -> float:
        return self._seconds

    def __len__(self) -> int:
        return self._size


def test_reports_carry_latencies_and_sizes() -> None:
    for size, expected in ((100, 200), (None, 12)):
        stats = Stats(2, 5000)
        reports = Reports(size, stats)
        reports.callback(None, Report(0.0014, 5))
        reports.callback(None, Report(0.0016, 7))
        assert stats.count == 0
        reports.settle()
        assert (stats.count, stats._bytes, stats._total) == (2, expected, 3)


@pytest.mark.parametrize(("text", "delimiter", "expected"), [
    ("a\nb\n\nc\n", "\n", [b"a", b"b", b"", b"c"]),
    ("\na", "\n", [b"a"]),
    ("\n\na", "\n", [b"", b"a"]),
    ("a", "\n", [b"a"]),
    ("", "\n", []),
    ("a1b22c", "[0-9]+", [b"a", b"b", b"c"]),
    ("\u00fc|x", r"\|", ["\u00fc".encode(), b"x"]),
    ("abc", "", [b"a", b"b", b"c"]),
])
def test_payload_files_are_split_as_by_java_s_scanner(text: str, delimiter: str, expected: list[bytes]) -> None:
    assert split_payloads(text, delimiter) == expected


def _values(options: Namespace, payloads: list[bytes], *counts: int) -> list[bytes]:
    messages = messages_of(options, payloads)
    next(messages)
    return [message["value"] for count in counts for message in messages.send(count)]


def test_payloads_have_the_size_asked_for_and_differ() -> None:
    options = Namespace(payload_monotonic=False, record_size=100, num_records=10_000)
    found = _values(options, [], 500, 1, 500)
    assert len(found) == 1001
    assert len(set(found)) > 900
    assert all(re.fullmatch(rb"[A-Z]{100}", value) for value in found)
    large = _values(Namespace(payload_monotonic=False, record_size=3_000_000, num_records=5), [], 2, 3)
    assert {len(value) for value in large} == {3_000_000}


def test_monotonic_payloads_go_on_across_calls() -> None:
    assert _values(Namespace(payload_monotonic=True), [], 2, 1, 2) == [b"0", b"1", b"2", b"3", b"4"]


def test_payloads_of_a_file_come_at_random() -> None:
    options = Namespace(payload_monotonic=False, record_size=None)
    assert set(_values(options, [b"a", b"b"], 50)) == {b"a", b"b"}


def test_a_throttle_holds_its_rate() -> None:
    clock = Clock()
    throttle = Throttle(5.5, clock)
    assert throttle.burst == 1
    assert throttle.pause(1) == 0
    assert throttle.pause(12) == pytest.approx(2)
    clock.now += 3
    assert throttle.pause(12) == 0  # what was missed is caught up
    assert (Throttle(-1).burst, Throttle(-1).pause(1_000_000)) == (500, 0)
    assert Throttle(50_000, clock).burst == 100
    stopped = Throttle(0, clock)
    assert (stopped.burst, stopped.pause(1), stopped.pause(2)) == (1, 0, math.inf)


def test_numbers_are_written_as_java_does() -> None:
    assert [number(1.25, 1), number(ratio(1, 0), 2), number(ratio(0, 0), 4)] == ["1.2", "Infinity", "NaN"]


# --- consuming ----------------------------------------------------------------------------------------------


class Message:
    """Be a record, or an error."""

    def __init__(self, key: bytes | None = None, size: int = 0, error: object = None) -> None:
        self._key, self._size, self._error = key, size, error

    def key(self) -> bytes | None:
        return self._key

    def error(self) -> object:
        return self._error

    def __len__(self) -> int:
        return self._size


class Consumer:
    """Give what it was made with, a second after the other."""

    def __init__(self, clock: Clock, *batches: list[Message]) -> None:
        self._clock, self._batches = clock, list(batches)

    def consume(self, most: int, timeout: float) -> list[Any]:
        self._clock.now += 1
        return self._batches.pop(0)[:most] if self._batches else []


class Partition:
    """Be a partition."""

    topic, partition = "a", 0


def test_a_consumer_s_lines(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(0)
    test = ConsumerTest(SimpleDate("ss"), 1000, clock)
    clock.now += 0.5
    test.joined(None, [Partition()])
    mib = 1024 * 1024
    consumer = Consumer(clock, [Message(b"k" * mib, mib), Message(None, 7, "wrong")], [], [Message(None, mib)] * 9)
    test.consume(consumer, 3, 1500)
    assert capsys.readouterr().out.splitlines() == [
        "01, 0, 2.0000, 2.0000, 1, 1.0000, 500, 500, 4.0000, 2.0000",
        "03, 0, 4.0000, 1.0000, 3, 1.0000, 0, 2000, 1.0000, 1.0000",
    ]
    assert line(test.total()) == "00, 03, 4.0000, 1.1429, 3, 0.8571, 500, 3000, 1.3333, 1.0000"


def test_a_consumer_gives_up_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(0)
    test = ConsumerTest(SimpleDate("ss"), None, clock)
    test.consume(Consumer(clock), 3, 1500)
    assert capsys.readouterr().out.startswith(
        "WARNING: Exiting before consuming the expected number of records: timeout (1500 ms) exceeded."
    )


@pytest.mark.parametrize(("pattern", "expected"), [
    ("yyyy-MM-dd HH:mm:ss:SSS", r"2023-11-1[45] \d\d:\d\d:20:123"),
    ("yy 'o''clock' ''", "23 o'clock '"),
    ("MMM MMMM d", r"Nov November 1[45]"),
    ("G", "AD"),
])
def test_dates_are_written_as_java_does(pattern: str, expected: str) -> None:
    assert re.fullmatch(expected, SimpleDate(pattern).write(1_700_000_000_123))


@pytest.mark.parametrize(("pattern", "error"), [("q", "Illegal pattern character 'q'"), ("'x", "Unterminated quote")])
def test_bad_date_patterns_are_refused(pattern: str, error: str) -> None:
    with pytest.raises(ToolError, match=re.escape(error)):
        SimpleDate(pattern)


# --- the rest -----------------------------------------------------------------------------------------------


def test_latencies_from_end_to_end() -> None:
    assert results([n * 1_000_000 for n in range(1, 101)]) == [
        "Avg latency: 50.5000 ms", "Percentiles: 50th = 51, 99th = 100, 99.9th = 100"
    ]


def test_arguments_without_names_become_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(["a:1", "t", "5", "all", "9"]) == [
        "--bootstrap-server=a:1", "--topic=t", "--num-records=5", "--producer-acks=all", "--record-size=9"
    ]
    assert "deprecated" in capsys.readouterr().out
    assert prepare(["--topic", "t"]) == ["--topic", "t"]


def test_another_record_than_the_one_sent_is_an_error() -> None:
    with pytest.raises(ToolError, match="timed out"):
        validate(b"a", None, [], None)

    class Other(Message):
        def value(self) -> bytes:
            return b"b"

        def headers(self) -> None:
            return None

    with pytest.raises(ToolError, match=r"value read \[b\] did not match the message value sent \[a\]"):
        validate(b"a", None, [], Other())
    with pytest.raises(ToolError, match=r"key read \[null\]"):
        validate(b"b", b"k", [], Other())
    validate(b"b", None, [], Other())


def test_metrics_add_up_what_librdkafka_reports(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics("me")
    report = (
        '{"age": 2000000, "tx": 4, "tx_bytes": 400, "rx": 4, "rx_bytes": 800, "txmsgs": 10, "txmsg_bytes": 50,'
        ' "topics": {"t": {"topic": "t", "batchsize": {"cnt": 1, "sum": %d, "max": %d}, "partitions": {}}}}'
    )
    metrics.take(report % (100, 100))
    metrics.take(report % (300, 300))
    found = metrics.of_producer()
    assert found["producer-metrics:batch-size-avg:{client-id=me}"] == 200
    assert found["producer-metrics:batch-size-max:{client-id=me}"] == 300
    assert found["producer-metrics:record-send-rate:{client-id=me}"] == 5
    print_metrics({"b:c": 1.0, "a": "text"})
    assert capsys.readouterr().out == "\nMetric Name   Value\na   : text\nb:c : 1.000\n"


# --- JSON ---------------------------------------------------------------------------------------------------


def test_reports_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    stats = Stats(4, 1000, clock=clock, as_json=True)
    clock.now += 2
    stats.add([1, 2, 3, 6], 4 * 1024 * 1024)
    stats.print_total()
    window, total = map(json.loads, capsys.readouterr().out.splitlines())
    figures = {
        "records": 4, "recordsPerSecond": 2.0, "mbPerSecond": 2.0, "averageLatencyMs": 3.0, "maxLatencyMs": 6,
    }
    assert window == {"report": "interval", **figures}
    assert total == {
        "report": "total", **figures, "latencyMs50th": 3, "latencyMs95th": 6, "latencyMs99th": 6, "latencyMs99.9th": 6,
    }
    document({"nothing": float("nan")})
    assert capsys.readouterr().out == '{"nothing": null}\n'


def test_a_consumer_s_report_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(0)
    test = ConsumerTest(SimpleDate("ss"), None, clock, as_json=True)
    consumer = Consumer(clock, [Message(None, 1024 * 1024)])
    test.consume(consumer, 1, 1500)
    test.show(test.total())
    said = capsys.readouterr()
    assert json.loads(said.out)["recordsConsumed"] == 1
    assert list(json.loads(said.out))[:3] == ["startTime", "endTime", "dataConsumedInMB"]


def test_what_the_queue_has_no_room_for_is_sent_later(capfd: pytest.CaptureFixture[str]) -> None:
    with Broker() as broker:
        broker.create_topic("t")
        assert run("kafka-producer-perf-test", [
            "--bootstrap-server", broker.bootstrap, "--topic", "t", "--num-records", "1500", "--record-size", "20000",
            "--throughput", "-1", "--command-property", "buffer.memory=2000000",
            "--reporting-interval", "600000",
        ]) == 0
    assert capfd.readouterr().out.startswith("1500 records sent, ")
