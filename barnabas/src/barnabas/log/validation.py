"""Check a batch before it is appended, and adapt it to the topic's configuration.

Everything that the header says is checked. The records themselves are looked at only where the topic's
configuration makes it necessary: on compacted topics (keys), for a compression type other than the batch's, and to
name the offending records of a batch that is refused for its timestamps.

Source: Kafka's documentation of the topic configurations; KIP-467 for the errors of single records.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from barnabas.protocol import compression
from barnabas.protocol.batch import (
    COMPRESSION_MASK,
    CONTROL,
    CRC_START,
    HEADER_SIZE,
    LOG_APPEND_TIME,
    NO_TIMESTAMP,
    OVERHEAD,
    TRANSACTIONAL,
    BatchHeader,
    assemble,
    crc32c,
    read_header,
    read_records,
    record_section,
)
from barnabas.protocol.errors import ErrorCode, KafkaError

if TYPE_CHECKING:
    from barnabas.config.topic import TopicConfig


class Checked(NamedTuple):
    """Hold a batch that may be appended. `append_time` is -1 unless the topic stamps batches."""

    batch: memoryview | bytearray
    header: BatchHeader
    append_time: int


class RefusedRecords(KafkaError):
    """A batch is refused for single records: their indexes in the batch, each with its reason."""

    def __init__(self, code: ErrorCode, message: str, records: list[tuple[int, str]]) -> None:
        super().__init__(code, message)
        self.records = records


_ALWAYS: Final = 9223372036854775807


def check_batch(batch: memoryview, config: TopicConfig, now: int, *, client: bool) -> Checked:
    """Check one batch; return it, or a copy adapted to the topic. Raises `KafkaError` and `RefusedRecords`."""
    size = len(batch)
    if size < HEADER_SIZE:
        raise KafkaError(ErrorCode.INVALID_RECORD, "Produce requests must hold exactly one record batch a partition")
    header = read_header(batch)
    if header.magic not in (0, 1, 2):
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"Invalid magic found in record: {header.magic}")
    if header.magic != 2:
        raise KafkaError(ErrorCode.INVALID_RECORD, "Only record batches with magic version 2 are stored")
    if header.batch_length + OVERHEAD != size:
        raise KafkaError(ErrorCode.INVALID_RECORD, "Produce requests must hold exactly one record batch a partition")
    if size > config.max_message_bytes and client:
        raise KafkaError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"The record batch size is {size} bytes, above max.message.bytes of {config.max_message_bytes}",
        )
    if size > config.segment_size:
        raise KafkaError(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"The record batch size is {size} bytes, above segment.bytes of {config.segment_size}",
        )
    if crc32c(bytes(batch[CRC_START:])) != header.crc:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "Record batch is corrupt: its CRC does not match")
    if client and (header.producer_id >= 0 or not 0 <= header.attributes <= compression.ZSTD):
        _check_client(header)
    if header.record_count != header.last_offset_delta + 1 or header.record_count <= 0:
        raise KafkaError(
            ErrorCode.INVALID_RECORD,
            f"The batch counts {header.record_count} records, its last offset delta is {header.last_offset_delta}",
        )
    if not client:
        return Checked(batch, header, -1)
    if header.base_offset:
        raise KafkaError(
            ErrorCode.INVALID_RECORD, f"The base offset of a batch should be 0, but it is {header.base_offset}"
        )
    if "compact" in config.cleanup_policy:
        _check_keys(header, batch)
    return _adapt(batch, header, config, now)


def _check_client(header: BatchHeader) -> None:
    attributes = header.attributes
    if attributes & CONTROL:
        raise KafkaError(ErrorCode.INVALID_RECORD, "Clients may not write control records")
    if attributes & COMPRESSION_MASK > compression.ZSTD:
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "Unknown compression type")
    if header.producer_id >= 0:
        if header.producer_epoch < 0 or header.base_sequence < 0:
            raise KafkaError(
                ErrorCode.INVALID_RECORD, "A batch with a producer id needs a producer epoch and a sequence"
            )
    elif attributes & TRANSACTIONAL:
        raise KafkaError(ErrorCode.INVALID_RECORD, "A transactional batch needs a producer id")


def _check_keys(header: BatchHeader, batch: memoryview) -> None:
    reason = "Compacted topic cannot accept message without key"
    bad = [(i, reason) for i, record in enumerate(read_records(header, batch)) if record.key is None]
    if bad:
        raise RefusedRecords(ErrorCode.INVALID_RECORD, "One or more records have been rejected", bad)


def _adapt(batch: memoryview, header: BatchHeader, config: TopicConfig, now: int) -> Checked:
    attributes = header.attributes
    append_time = -1
    max_timestamp = header.max_timestamp
    if config.message_timestamp_type == "LogAppendTime":
        attributes |= LOG_APPEND_TIME
        append_time = max_timestamp = now
    else:
        attributes &= ~LOG_APPEND_TIME
        _check_timestamps(header, batch, config, now)
    wanted = config.compression_type
    if wanted != "producer" and compression.CODECS[wanted] != attributes & COMPRESSION_MASK:
        codec = compression.CODECS[wanted]
        attributes = (attributes & ~COMPRESSION_MASK) | codec
        packed = compression.compress(codec, record_section(header, batch), _level(wanted, config))
        adapted = assemble(header._replace(attributes=attributes, max_timestamp=max_timestamp), packed)
        return Checked(adapted, read_header(adapted), append_time)
    if attributes != header.attributes or max_timestamp != header.max_timestamp:
        struct.pack_into(">h", batch, 21, attributes)
        struct.pack_into(">q", batch, 35, max_timestamp)
        crc = crc32c(bytes(batch[CRC_START:]))
        struct.pack_into(">I", batch, 17, crc)
        header = header._replace(attributes=attributes, max_timestamp=max_timestamp, crc=crc)
    return Checked(batch, header, append_time)


def _level(codec: str, config: TopicConfig) -> int | None:
    level = {
        "gzip": config.compression_gzip_level,
        "lz4": config.compression_lz4_level,
        "zstd": config.compression_zstd_level,
    }
    return level.get(codec)


def _check_timestamps(header: BatchHeader, batch: memoryview, config: TopicConfig, now: int) -> None:
    """Refuse times outside the topic's limits; the header bounds those of all records."""
    before, after = config.message_timestamp_before_max_ms, config.message_timestamp_after_max_ms
    latest, earliest = now + after, now - before
    if header.max_timestamp == NO_TIMESTAMP or (header.max_timestamp <= latest and before == _ALWAYS):
        return
    bad = [
        (i, f"Timestamp {record.timestamp} of message with offset {i} is out of range. "
            f"The timestamp should be within [{earliest}, {latest}]")
        for i, record in enumerate(read_records(header, batch))
        if record.timestamp != NO_TIMESTAMP and not earliest <= record.timestamp <= latest
    ]
    if bad:
        raise RefusedRecords(
            ErrorCode.INVALID_TIMESTAMP, "One or more records have been rejected due to invalid timestamp", bad
        )
