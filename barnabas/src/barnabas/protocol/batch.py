"""Read, check and build record batches of format 2, the only one that Kafka 4 stores.

A batch is a header of 61 bytes and a record section that may be compressed. The CRC covers everything from the
attributes on, so base offset and leader epoch can be patched in place. The broker reads headers; it looks at
records only where validation, a time look-up or a coordinator must.

Source: Kafka's documentation, "Message Format"; KIP-98 for the producer fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import google_crc32c

from barnabas.protocol import compression
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.schema import Buffer

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
HEADER_SIZE: Final = HEADER.size  # 61
CRC_START: Final = 21
#: bytes in front of what the length field counts
OVERHEAD: Final = 12

COMPRESSION_MASK: Final = 0x07
LOG_APPEND_TIME: Final = 0x08
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20
DELETE_HORIZON: Final = 0x40

NO_TIMESTAMP: Final = -1
NO_PRODUCER_ID: Final = -1
NO_SEQUENCE: Final = -1

_INT64: Final = 1 << 63

crc32c = google_crc32c.value


class BatchHeader(NamedTuple):
    """Hold the fields of a batch's header, in wire order. Times are milliseconds since the epoch."""

    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def last_offset(self) -> int:
        """Return the offset of the last record, counting those that compaction removed."""
        return self.base_offset + self.last_offset_delta

    @property
    def size(self) -> int:
        """Return the size of the whole batch in bytes."""
        return self.batch_length + OVERHEAD

    @property
    def codec(self) -> int:
        """Return the compression type (`compression.GZIP`, ...)."""
        return self.attributes & COMPRESSION_MASK

    @property
    def is_control(self) -> bool:
        """Tell whether the batch holds control records."""
        return bool(self.attributes & CONTROL)

    @property
    def is_transactional(self) -> bool:
        """Tell whether the batch belongs to a transaction."""
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def last_sequence(self) -> int:
        """Return the sequence of the last record; sequences wrap from 2^31-1 to 0."""
        return increment_sequence(self.base_sequence, self.last_offset_delta)


class Record(NamedTuple):
    """Hold one record. `timestamp` is in milliseconds; `headers` are pairs of key and value."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def increment_sequence(sequence: int, by: int) -> int:
    """Add to a sequence number, wrapping from 2^31-1 to 0."""
    return sequence if sequence < 0 else (sequence + by) & 0x7FFFFFFF


def read_header(data: Buffer, at: int = 0) -> BatchHeader:
    """Read the header at a position; raises `struct.error` where fewer than 61 bytes are there."""
    return tuple.__new__(BatchHeader, HEADER.unpack_from(data, at))


def batches(data: Buffer) -> Iterator[tuple[BatchHeader, int]]:
    """Yield the header and position of each whole batch; stop in front of the first that is cut."""
    at, end = 0, len(data)
    while at + HEADER_SIZE <= end:
        header = read_header(data, at)
        if header.batch_length < HEADER_SIZE - OVERHEAD or at + header.size > end:
            return
        yield header, at
        at += header.size


def crc_matches(header: BatchHeader, data: Buffer, at: int = 0) -> bool:
    """Compare the stored CRC-32C with that of the bytes."""
    return bool(crc32c(bytes(data[at + CRC_START : at + header.size])) == header.crc)


def read_varint(b: bytes, p: int) -> tuple[int, int]:
    """Read a zigzag varint of up to 64 bits; raises `IndexError` beyond the end, `ValueError` when too long."""
    value = shift = 0
    while True:
        byte = b[p]
        p += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), p
        shift += 7
        if shift > 63:
            raise ValueError("varint is longer than 10 bytes")


def write_varint(out: bytearray, value: int) -> None:
    """Append a zigzag varint."""
    value = (value << 1) ^ (value >> 63)
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def record_section(header: BatchHeader, batch: Buffer) -> bytes:
    """Return the record section, inflated; raises `KafkaError` (CORRUPT_MESSAGE)."""
    return compression.decompress(header.codec, bytes(batch[HEADER_SIZE : header.size]))


def read_records(header: BatchHeader, batch: Buffer) -> Iterator[Record]:
    """Yield the records of a batch; raises `KafkaError` (INVALID_RECORD) where they do not follow the format."""
    data = record_section(header, batch)
    log_append = header.attributes & LOG_APPEND_TIME
    p = 0
    try:
        for _ in range(header.record_count):
            size, p = read_varint(data, p)
            stop = p + size
            if size < 0 or stop > len(data):
                raise ValueError("a record is cut")
            delta, q = read_varint(data, p + 1)
            offset_delta, q = read_varint(data, q)
            key, q = _read_bytes(data, q, stop)
            value, q = _read_bytes(data, q, stop)
            count, q = read_varint(data, q)
            headers: tuple[tuple[str, bytes | None], ...] = ()
            if count:
                if count < 0 or count > stop - q:
                    raise ValueError(f"{count} headers")
                pairs = []
                for _ in range(count):
                    name, q = _read_bytes(data, q, stop)
                    if name is None:
                        raise ValueError("a header without a key")
                    content, q = _read_bytes(data, q, stop)
                    pairs.append((name.decode(errors="replace"), content))
                headers = tuple(pairs)
            if q != stop:
                raise ValueError("a record's length does not match its fields")
            timestamp = header.max_timestamp if log_append else header.base_timestamp + delta
            if not -_INT64 <= timestamp < _INT64 or not 0 <= offset_delta <= header.last_offset_delta:
                raise ValueError("a timestamp or an offset is out of range")
            yield Record(header.base_offset + offset_delta, timestamp, key, value, headers)
            p = stop
        if p != len(data):
            raise ValueError("bytes follow the last record")
    except (IndexError, ValueError) as e:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"Malformed record: {e}") from e


def _read_bytes(data: bytes, p: int, stop: int) -> tuple[bytes | None, int]:
    size, p = read_varint(data, p)
    if size < 0:
        return None, p
    if p + size > stop:
        raise ValueError("a field is longer than its record")
    return data[p : p + size], p + size


def build_batch(
    records: Sequence[tuple[bytes | None, bytes | None]],
    timestamp: int,
    *,
    base_offset: int = 0,
    leader_epoch: int = 0,
    attributes: int = 0,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = -1,
    base_sequence: int = NO_SEQUENCE,
) -> bytearray:
    """Build an uncompressed batch of (key, value) pairs, all with one timestamp in milliseconds."""
    body = bytearray()
    for delta, (key, value) in enumerate(records):
        record = bytearray(b"\x00\x00")  # attributes; timestamp delta 0
        write_varint(record, delta)
        for part in (key, value):
            if part is None:
                record.append(1)  # the varint -1
            else:
                write_varint(record, len(part))
                record += part
        record.append(0)  # no headers
        write_varint(body, len(record))
        body += record
    return assemble(
        BatchHeader(
            base_offset, 0, leader_epoch, 2, 0, attributes, len(records) - 1, timestamp, timestamp,
            producer_id, producer_epoch, base_sequence, len(records),
        ),
        body,
    )


def assemble(header: BatchHeader, section: Buffer) -> bytearray:
    """Put a header in front of a record section, with length and CRC made to match."""
    header = header._replace(batch_length=HEADER_SIZE - OVERHEAD + len(section), crc=0)
    out = bytearray(HEADER.pack(*header))
    out += section
    struct.pack_into(">I", out, 17, crc32c(bytes(memoryview(out)[CRC_START:])))
    return out
