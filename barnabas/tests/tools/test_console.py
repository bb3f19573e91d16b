"""Test what the tables of the console tools cannot show: lines cut anywhere, numbers, internal records, Ctrl-C."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from barnabas.embedded import Broker
from barnabas.protocol.batch import assemble, build_batch, read_header, record_section
from barnabas.protocol.codec import encode
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from barnabas.protocol.records.offsets import GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue
from barnabas.protocol.records.share_state import ShareSnapshotKey, ShareSnapshotValue, StateBatch
from barnabas.tools.console_output import Output, Stop
from barnabas.tools.errors import ToolError
from barnabas.tools.line_reader import LineReader, LineSplitter
from barnabas.tools.record_formatters import FormatError, deserializer, formatter, java_double, java_float
from barnabas.tools.record_headers import NamesAreNoText, headers_of
from barnabas.tools.scripts.console_share_consumer import _Printing as SharePrinting
from barnabas.tools.scripts.e2e_latency import validate
from barnabas.tools.share_client import runs

from ..wire import Wire

_PROGRAM = "import sys; from barnabas.tools.main import run_as; sys.exit(run_as(sys.argv[1], sys.argv[2:]))"


# --- lines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_lines_do_not_depend_on_how_they_arrive(size: int) -> None:
    data = "one\n\ntwo\r\nthree\rfour\r\r\n你好\nlast".encode()
    splitter = LineSplitter()
    found: list[bytes] = []
    for at in range(0, len(data), size):
        found += splitter.feed(data[at : at + size])
    found += splitter.rest()
    assert [line.decode() for line in found] == ["one", "", "two", "three", "four", "", "你好", "last"]


def test_what_is_no_utf_8_is_replaced() -> None:
    assert LineSplitter().feed(b"a\xffb\n") == ["a\ufffdb".encode()]


def test_a_line_of_keys_and_headers() -> None:
    reader = LineReader({
        "parse.key": "true", "parse.headers": "TRUE", "null.marker": "NULL", "headers.delimiter": "|",
        "key.separator": "#",
    })
    assert reader.parse(b"NULL|k#v") == (b"k", b"v", [])
    assert reader.parse(b"a:NULL,b:c:d|NULL#NULL") == (None, None, [("a", None), ("b", b"c:d")])
    assert reader.parse(b"a:1,|#") == (b"", b"", [("a", b"1")])
    with pytest.raises(ToolError, match=r"No key separator found on line number 4: 'a:1\|b'"):
        reader.parse(b"a:1|b")


def test_errors_in_lines_can_be_ignored() -> None:
    reader = LineReader({"parse.key": "true", "ignore.error": "true"})
    assert reader.parse(b"no key") == (None, b"no key", [])


# --- formatters ---------------------------------------------------------------------------------------------


class _Record:
    """Be a record in memory."""

    def __init__(self, key: bytes | None, value: bytes | None, kind: int = 1) -> None:
        self._key, self._value, self._kind = key, value, kind

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7

    def timestamp(self) -> tuple[int, int]:
        return self._kind, 1234

    def key(self) -> Any:
        return self._key

    def value(self) -> Any:
        return self._value

    def headers(self) -> Any:
        return None


def _shown(name: str, record: _Record, **properties: str) -> str:
    dotted = {key.replace("_", "."): value for key, value in properties.items()}
    found = formatter(f"org.apache.kafka.tools.consumer.{name}", dotted)
    assert found is not None
    out: list[bytes] = []
    found.write(record, out)
    return b"".join(out).decode()


@pytest.mark.parametrize(
    ("kind", "text"), [(0, "NO_TIMESTAMP\tv\n"), (1, "CreateTime:1234\tv\n"), (2, "LogAppendTime:1234\tv\n")]
)
def test_kinds_of_timestamps(kind: int, text: str) -> None:
    assert _shown("DefaultMessageFormatter", _Record(None, b"v", kind), print_timestamp="true") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (100.0, "100.0"), (0.001, "0.001"), (0.0001, "1.0E-4"),
        (1234567.0, "1234567.0"), (12345678.9, "1.23456789E7"), (-1.5e300, "-1.5E300"), (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_doubles_look_like_java_s(number: float, text: str) -> None:
    assert java_double(number) == text


def test_floats_have_as_many_digits_as_they_need() -> None:
    assert java_float(struct.unpack(">f", b"1234")[0]) == "2.5931515E-9"
    assert java_float(struct.unpack(">f", struct.pack(">f", 0.1))[0]) == "0.1"


def test_a_deserializer_refuses_what_is_too_short() -> None:
    read = deserializer("org.apache.kafka.common.serialization.LongDeserializer")
    assert read is not None
    with pytest.raises(FormatError, match="Size of data received by LongDeserializer is not 8"):
        read(b"123")


def _stored(kind: int, message: Any, version: int = 0) -> bytes:
    return struct.pack(">h", kind) + encode(message, version)


def test_internal_records_are_json() -> None:
    key = _stored(1, OffsetCommitKey("g", "t", 3))
    value = _stored(4, OffsetCommitValue(17, -1, "", 99, topic_id=bytes(15) + b"\x01"), 4)
    assert _shown("OffsetsMessageFormatter", _Record(key, value)) == (
        '{"key":{"type":1,"data":{"group":"g","topic":"t","partition":3}},"value":{"version":4,"data":{"offset":17,'
        '"leaderEpoch":-1,"metadata":"","commitTimestamp":99,"topicId":"AAAAAAAAAAAAAAAAAAAAAQ"}}}'
    )
    assert _shown("OffsetsMessageFormatter", _Record(key, None)).endswith('"value":null}')
    with pytest.raises(FormatError, match="at offset 7 due to: Found an unknown record version 99 for 1 type"):
        _shown("OffsetsMessageFormatter", _Record(key, b"\x00\x63"))
    assert _shown("GroupMetadataMessageFormatter", _Record(key, value)) == ""
    assert _shown("OffsetsMessageFormatter", _Record(None, value)) == ""
    group = _stored(3, GroupMetadataValue("", 0, None, None, 5, []), 3)
    assert _shown("GroupMetadataMessageFormatter", _Record(_stored(2, GroupMetadataKey("g")), group)) == (
        '{"key":{"type":2,"data":{"group":"g"}},"value":{"version":3,"data":{"protocolType":"","generation":0,'
        '"protocol":null,"leader":null,"currentStateTimestamp":5,"members":[]}}}'
    )


def test_tagged_defaults_are_left_out() -> None:
    key = _stored(0, ShareSnapshotKey("g", bytes(16), 0))
    value = _stored(0, ShareSnapshotValue(1, 2, 3, -1, state_batches=[StateBatch(0, 4, 2, 1)]))
    text = _shown("group.share.ShareGroupStateMessageFormatter", _Record(key, value))
    assert '"startOffset":-1,"createTimestamp":0,"writeTimestamp":0,"stateBatches":[{"firstOffset":0,' in text


@pytest.mark.parametrize("key", [b"", b"\x00", b"\x00\x01", b"\x00\x01\x00\x09g"])
def test_internal_records_that_are_cut(key: bytes) -> None:
    with pytest.raises(FormatError):
        _shown("OffsetsMessageFormatter", _Record(key, None))


def test_acknowledgements_of_neighbours_travel_together() -> None:
    assert runs({1: 1, 2: 1, 3: 2, 5: 2, 6: 2}) == [(1, 2, [1]), (3, 3, [2]), (5, 6, [2])]


# --- processes ----------------------------------------------------------------------------------------------


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_consumer_in_good_order(number: int) -> None:
    with Broker() as broker:
        words = ("--bootstrap-server", broker.bootstrap, "--topic", "news")
        producer = _start("kafka-console-producer", *words)
        assert producer.communicate("一\n二\n".encode(), timeout=30) == (b"", b"")
        assert producer.returncode == 0
        consumer = _start("kafka-console-consumer", *words, "--from-beginning", "--group", "readers")
        assert consumer.stdout is not None
        assert [consumer.stdout.readline().decode(), consumer.stdout.readline().decode()] == ["一\n", "二\n"]
        consumer.send_signal(number)
        out, err = consumer.communicate(timeout=30)
        assert out == b""
        assert err.decode().endswith("Processed a total of 2 messages\n")
        assert consumer.returncode == 128 + number
        again = _start("kafka-console-consumer", *words, "--group", "readers", "--timeout-ms", "1000")
        out, err = again.communicate(timeout=30)  # the group was left, and its offset committed
        assert out == b""
        assert b"Processed a total of 0 messages" in err


def test_a_reader_who_leaves_ends_a_consumer() -> None:
    with Broker() as broker:
        words = ("--bootstrap-server", broker.bootstrap, "--topic", "news")
        producer = _start("kafka-console-producer", *words)
        producer.communicate(b"x" * 50 + b"\n", timeout=30)
        consumer = _start("kafka-console-consumer", *words, "--partition", "0", "--from-beginning")
        assert consumer.stdout is not None
        consumer.stdout.readline()
        consumer.stdout.close()
        producer = _start("kafka-console-producer", *words)
        producer.communicate(b"more\n", timeout=30)
        assert consumer.stderr is not None
        assert b"Unable to write to standard out, closing consumer." in consumer.stderr.read()
        consumer.stderr.close()
        assert consumer.wait(30) == 0


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo terminals")
def test_the_prompt_is_shown_on_a_terminal() -> None:
    import pty

    with Broker() as broker:
        master, slave = pty.openpty()
        command = [sys.executable, "-c", _PROGRAM, "kafka-console-producer", "--bootstrap-server", broker.bootstrap,
                   "--topic", "news", "--timeout", "0"]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        seen = b""
        for text in (b"hello\n", b"\x04"):
            while not seen.endswith(b">"):
                seen += os.read(master, 1000)
            os.write(master, text)
            seen += os.read(master, 1) if text != b"\x04" else b""
        assert process.wait(30) == 0
        os.close(master)
        assert b">" in seen


def test_an_unreachable_broker_is_given_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    process = _start("kafka-console-consumer", "--bootstrap-server", "127.0.0.1:1", "--topic", "news")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert time.monotonic() - begun < 20


# --- headers that are no text -------------------------------------------------------------------------------


def _with_header(name: bytes) -> bytes:
    """Make a batch of one record, `v`, with one header, `x`."""
    batch = build_batch([(None, b"v")], int(time.time() * 1000))
    header = read_header(batch)
    record = bytes(record_section(header, batch))[1:-1] + bytes([2, len(name) << 1]) + name + b"\x02x"
    return bytes(assemble(header, bytes([len(record) << 1]) + record))


def _append(broker: Broker, topic: str, batch: bytes) -> None:
    with Wire.to(broker.bootstrap) as wire:
        data = TopicProduceData(topic, partition_data=[PartitionProduceData(0, batch)])
        (answer,) = wire.request(ProduceRequest(None, -1, 5000, [data]), 9).responses
    assert not answer.partition_responses[0].error_code


def _produce(broker: Broker, topic: str, values: list[bytes], **more: Any) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})
    for value in values:
        producer.produce(topic, value, **more)
    assert producer.flush(30) == 0


@pytest.mark.parametrize("more", [(), ("--skip-message-on-error",)])
def test_a_header_whose_name_is_no_text_is_printed_as_by_java(more: tuple[str, ...]) -> None:
    with Broker() as broker:
        broker.create_topic("news")
        _produce(broker, "news", [b"usual"] * 300, headers=[("a", b"b")])  # so many that the interpreter optimises
        for name in (b"\xff", b"n\xc3("):
            _append(broker, "news", _with_header(name))
        process = _start(
            "kafka-console-consumer", "--bootstrap-server", broker.bootstrap, "--topic", "news", "--partition", "0",
            "--offset", "earliest", "--max-messages", "302", "--formatter-property", "print.headers=true", *more,
        )
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.decode().splitlines() == ["a:b\tusual"] * 300 + ["\ufffd:x\tv", "n\ufffd(:x\tv"]


def test_the_headers_of_another_s_record_do_not_end_the_process() -> None:
    from confluent_kafka import Consumer, TopicPartition

    with Broker() as broker:
        broker.create_topic("news")
        for _ in range(2):
            _append(broker, "news", _with_header(b"\xff"))
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g"})
        consumer.assign([TopicPartition("news", 0, 0)])
        first, second = consumer.consume(2, 20)
        consumer.close()
    with pytest.raises(NamesAreNoText):
        headers_of(first)
    with pytest.raises(ToolError, match="the names of this record's headers are not UTF-8"):
        validate(b"v", None, [("A", b"x")], second)


# --- what a group has read ----------------------------------------------------------------------------------


def _committed(broker: Broker, group: str, topic: str) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    offset: int = consumer.committed([TopicPartition(topic, 0)], 20)[0].offset
    consumer.close()
    return offset


def test_a_record_that_cannot_be_shown_is_the_last_that_is_committed() -> None:
    with Broker() as broker:
        broker.create_topic("numbers")
        _produce(broker, "numbers", [b"bad" if n == 3 else struct.pack(">i", n) for n in range(10)])
        process = _start(
            "kafka-console-consumer", "--bootstrap-server", broker.bootstrap, "--topic", "numbers", "--from-beginning",
            "--group", "readers", "--value-deserializer", "org.apache.kafka.common.serialization.IntegerDeserializer",
        )
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (1, b"0\n1\n2\n")
        assert err.endswith(b"Processed a total of 4 messages\n")
        assert _committed(broker, "readers", "numbers") == 4


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
@pytest.mark.parametrize("more", [(), ("--formatter-property", "print.key=true")])
def test_a_group_goes_on_behind_what_a_reader_who_left_was_sent(more: tuple[str, ...]) -> None:
    with Broker() as broker:
        broker.create_topic("news")
        _produce(broker, "news", [b"%099d" % n for n in range(20_000)])
        process = _start(
            "kafka-console-consumer", "--bootstrap-server", broker.bootstrap, "--topic", "news", "--from-beginning",
            "--group", "readers", *more,
        )
        assert process.stdout is not None
        read = os.read(process.stdout.fileno(), 5000)
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read().decode()
        process.stderr.close()
        assert process.wait(30) == 0
        committed = _committed(broker, "readers", "news")
    assert len(read) // 105 <= committed < 2000  # a pipe holds 65,536 bytes
    assert said.endswith(f"closing consumer.\nProcessed a total of {committed} messages\n")


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_a_share_group_acknowledges_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged = []

    class Consumer:
        def acknowledge(self, record: _Record, kind: int) -> None:
            acknowledged.append((record.value(), kind))

    shown_as = formatter("org.apache.kafka.tools.consumer.DefaultMessageFormatter", {})
    assert shown_as is not None
    options: Any = Namespace(has=lambda _: False)
    settings: Any = None
    read, write = os.pipe()
    with os.fdopen(write, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        output = Output()
        printing = SharePrinting(options, settings, shown_as, output, Stop())
        assert printing._print(Consumer(), [_Record(None, b"read")])
        os.close(read)
        assert printing._print(Consumer(), [_Record(None, b"lost"), _Record(None, b"lost")])
    assert (output.broken, output.count, acknowledged) == (True, 1, [(b"read", 1)])
