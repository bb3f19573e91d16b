"""What is refused, and what a batch is turned into before it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from barnabas.log.validation import RefusedRecords
from barnabas.protocol.batch import CONTROL, TRANSACTIONAL, batches, crc_matches, read_header, read_records
from barnabas.protocol.errors import ErrorCode, KafkaError

from .making import NOW, append, batch, everything, open_log, read

TEXTS = [b"a" * 500, b"b" * 500, None]


def refused(tmp_path: Path, data: memoryview, now: int = NOW, **overrides: Any) -> KafkaError:
    log = open_log(tmp_path, **overrides)
    with pytest.raises(KafkaError) as error:
        log.append(data, now)
    assert log.log_end_offset == 0
    assert log.size == 0
    log.close(clean=False)
    return error.value


@pytest.mark.parametrize(("attributes", "producer", "code"), [
    (CONTROL, (1, 0, 0), ErrorCode.INVALID_RECORD),
    (TRANSACTIONAL, None, ErrorCode.INVALID_RECORD),
    (0, (1, -1, 0), ErrorCode.INVALID_RECORD),
    (0, (1, 0, -1), ErrorCode.INVALID_RECORD),
])
def test_headers_that_no_client_may_send(
    tmp_path: Path, attributes: int, producer: tuple[int, int, int] | None, code: ErrorCode
) -> None:
    assert refused(tmp_path, batch(attributes=attributes, producer=producer)).code == code


def test_damaged_batches(tmp_path: Path) -> None:
    good = bytes(batch([b"x", b"y"]))

    def changed(at: int, value: int) -> memoryview:
        data = bytearray(good)
        data[at] = value
        return memoryview(data)

    assert refused(tmp_path, changed(70, 99)).code == ErrorCode.CORRUPT_MESSAGE
    assert refused(tmp_path, changed(16, 1)).code == ErrorCode.INVALID_RECORD  # magic
    assert refused(tmp_path, memoryview(bytearray(good[:-1]))).code == ErrorCode.INVALID_RECORD
    assert refused(tmp_path, memoryview(bytearray(good + good))).code == ErrorCode.INVALID_RECORD
    assert refused(tmp_path, memoryview(bytearray(good[:60]))).code == ErrorCode.INVALID_RECORD


def test_sizes(tmp_path: Path) -> None:
    data = batch([b"x" * 1000])
    assert refused(tmp_path, batch([b"x" * 1000]), max_message_bytes=len(data) - 1).code == ErrorCode.MESSAGE_TOO_LARGE
    code = refused(tmp_path, batch([b"x" * 1000]), internal_segment_bytes=len(data) - 1).code
    assert code == ErrorCode.RECORD_LIST_TOO_LARGE
    log = open_log(tmp_path, max_message_bytes=len(data), internal_segment_bytes=len(data))
    assert log.append(data, NOW).base_offset == 0


@pytest.mark.parametrize("codec", [0, 1, 4])
def test_a_compacted_topic_names_the_records_without_a_key(tmp_path: Path, codec: int) -> None:
    error = refused(tmp_path, batch([b"a", b"b"], keys=False, codec=codec), cleanup_policy="compact,delete")
    assert isinstance(error, RefusedRecords)
    assert (error.code, [index for index, _ in error.records]) == (ErrorCode.INVALID_RECORD, [0, 1])
    assert append(open_log(tmp_path, cleanup_policy="compact"), [b"a", None]).last_offset == 1


@pytest.mark.parametrize("codec", [0, 2])
def test_times_outside_the_limits_are_named(tmp_path: Path, codec: int) -> None:
    limits = {"message_timestamp_before_max_ms": 1000, "message_timestamp_after_max_ms": 500}
    times = [NOW - 1000, NOW - 1001, NOW + 500, NOW + 501, -1]
    error = refused(tmp_path, batch([b"x"] * 5, times, codec=codec), **limits)
    assert isinstance(error, RefusedRecords)
    assert (error.code, [index for index, _ in error.records]) == (ErrorCode.INVALID_TIMESTAMP, [1, 3])
    log = open_log(tmp_path, **limits)
    append(log, [b"x"] * 3, [NOW - 1000, NOW + 500, -1])
    append(log, timestamps=-1)
    assert log.log_end_offset == 4


def test_an_hour_ahead_is_the_default_limit(tmp_path: Path) -> None:
    assert refused(tmp_path, batch(timestamps=NOW + 3_600_001)).code == ErrorCode.INVALID_TIMESTAMP
    log = open_log(tmp_path)
    append(log, timestamps=NOW + 3_600_000)
    append(log, timestamps=0)  # however old
    assert log.log_end_offset == 2


@pytest.mark.parametrize("stored", ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("sent", range(5))
def test_a_topic_s_compression_is_that_of_its_batches(tmp_path: Path, sent: int, stored: str) -> None:
    log = open_log(tmp_path, compression_type=stored)
    append(log, TEXTS, [NOW, NOW + 3, NOW + 1], codec=sent, producer=(9, 2, 5))
    data = read(log)
    header = read_header(data)
    codecs = {"producer": sent, "uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
    assert header.codec == codecs[stored]
    assert crc_matches(header, data)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 2, 5)
    assert [(r.value, r.timestamp - NOW) for r in read_records(header, data)] == [
        (TEXTS[0], 0), (TEXTS[1], 3), (TEXTS[2], 1)
    ]


@pytest.mark.parametrize("codec", [0, 3])
@pytest.mark.parametrize("stored", ["producer", "zstd"])
def test_the_broker_s_time_stands_in_the_header(tmp_path: Path, codec: int, stored: str) -> None:
    log = open_log(tmp_path, message_timestamp_type="LogAppendTime", compression_type=stored)
    done = append(log, TEXTS, [5, 9, 1], codec=codec, now=NOW)
    assert done.timestamp == NOW
    for header, at in batches(data := read(log)):
        assert crc_matches(header, data, at)
        assert [r.timestamp for r in read_records(header, data[at:])] == [NOW] * 3
    assert [value for _, value in everything(log)] == TEXTS


def test_a_client_cannot_pretend_the_broker_s_time(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log, [b"x"], [NOW], attributes=8)
    data = read(log)
    assert read_header(data).attributes == 0
    assert crc_matches(read_header(data), data)
