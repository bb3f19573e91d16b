"""Show the batches and records of a log file or a snapshot, one line each, as Java's DumpLogSegments does.

Batches are read as Kafka's FileLogInputStream and DefaultRecordBatch read them, and damage is told in their words: a
`DumpError` carries the message, after everything in front of the damage was shown.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from barnabas.protocol.batch import (
    CRC_START,
    DELETE_HORIZON,
    HEADER,
    HEADER_SIZE,
    LOG_APPEND_TIME,
    BatchHeader,
    crc32c,
    increment_sequence,
    read_varint,
)
from barnabas.protocol.compression import decompress
from barnabas.protocol.errors import BarnabasError, KafkaError

if TYPE_CHECKING:
    from barnabas.tools.dump_log_indexes import Mismatches
    from barnabas.tools.dump_log_records import Parser

_MAX_INT = (1 << 31) - 1
_START = struct.Struct(">qi4xB")  # offset, size, leader epoch, magic: what is read of any batch first
_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class DumpError(BarnabasError):
    """A file is damaged or is no file of a log; the text is Java's."""


class Record(NamedTuple):
    """Hold one record as it lies in its batch."""

    offset: int
    timestamp: int
    sequence: int
    key: bytes | None
    value: bytes | None
    header_keys: list[str]


class Slice:
    """Hold a part of a log file, as Java's FileRecords does: what reaches beyond its end is not read."""

    def __init__(self, path: Path, data: bytes, start: int = 0, end: int | None = None) -> None:
        self.path, self.data, self.start = path, data, start
        self.end = len(data) if end is None else end
        self._is_file = end is None

    def slice(self, position: int, size: int) -> Slice:
        """Return a part of it. Raises `DumpError`."""
        available = self.end - self.start
        if position < 0:
            raise DumpError(f"Invalid position: {position} in read from {self}")
        if position > available:
            raise DumpError(f"Slice from position {position} exceeds end position of {self}")
        if size < 0:
            raise DumpError(f"Invalid size: {size} in read from {self}")
        at = self.start + position
        return Slice(self.path, self.data, at, min(self.end, at + size))

    def __str__(self) -> str:
        end = _MAX_INT if self._is_file else self.end
        return f"FileRecords(size={self.end - self.start}, file={self.path}, start={self.start}, end={end})"

    def batches(self) -> Iterator[Batch]:
        """Yield the whole batches; stop in front of one that is cut. Raises `DumpError` where there is no batch."""
        at = self.start
        while at < self.end - _START.size:
            offset, size, magic = _START.unpack_from(self.data, at)
            if size < 14:
                raise DumpError(
                    f"Found record size {size} smaller than minimum record overhead (14) in file {self.path}."
                )
            if at > self.end - 12 - size:
                return
            yield Batch(self, at, offset, size, magic)
            at += 12 + size


class Batch:
    """Hold one batch. Its header is read when it is first asked for."""

    def __init__(self, within: Slice, at: int, offset: int, size: int, magic: int) -> None:
        self._within, self.position, self.magic = within, at, magic
        self.base_offset, self.size = offset, size + 12
        self._header: BatchHeader | None = None

    @property
    def header(self) -> BatchHeader:
        """Return the header. Raises `DumpError`."""
        if self._header is None:
            if self.magic < 2:
                raise DumpError(f"{self._within.path} holds records of format {self.magic}: 2 is supported")
            if self.position + HEADER_SIZE > len(self._within.data):
                raise DumpError(f"Failed to load record batch at position {self.position} from {self._within}")
            self._header = BatchHeader(*HEADER.unpack_from(self._within.data, self.position))
        return self._header

    @property
    def last_offset(self) -> int:
        """Return the offset of the last record. Raises `DumpError`."""
        return self.header.last_offset

    @property
    def is_valid(self) -> bool:
        """Tell whether the CRC fits."""
        return self.size >= HEADER_SIZE and self.header.crc == crc32c(self._bytes(CRC_START))

    def _bytes(self, start: int) -> bytes:
        return self._within.data[self.position + start : self.position + self.size]

    @property
    def codec(self) -> str:
        """Return the name of the compression. Raises `DumpError`."""
        if self.header.codec >= len(_CODECS):
            raise DumpError(f"Unknown compression type id: {self.header.codec}")
        return _CODECS[self.header.codec]

    @property
    def timestamp_type(self) -> str:
        """Return what the timestamps mean."""
        return "LogAppendTime" if self.header.attributes & LOG_APPEND_TIME else "CreateTime"

    def records(self) -> Iterator[Record]:
        """Yield the records. Raises `DumpError`."""
        header = self.header
        if header.record_count < 0:
            raise DumpError(f"Found invalid record count {header.record_count} in magic v{header.magic} batch")
        if not header.record_count:
            return
        compressed = self.codec != "none"
        try:
            data = decompress(header.codec, self._bytes(HEADER_SIZE))
        except KafkaError as e:
            raise DumpError("Failed to decompress record stream") from e
        at = 0
        for number in range(1, header.record_count + 1):
            record, at = _read_record(header, data, at, compressed)
            if number == header.record_count and at < len(data):
                raise DumpError("Incorrect declared batch size, records still remaining in file")
            yield record


def _read_record(header: BatchHeader, data: bytes, at: int, compressed: bool) -> tuple[Record, int]:
    try:
        size, at = read_varint(data, at)
    except (IndexError, ValueError):
        raise DumpError("Incorrect declared batch size, premature EOF reached") from None
    stop = at + size
    if size > len(data) - at:
        if compressed:
            raise DumpError("Incorrect declared batch size, premature EOF reached")
        raise DumpError(
            f"Invalid record size: expected {size} bytes in record payload, but instead the buffer has only "
            f"{len(data) - at} remaining bytes."
        )
    limit = stop if compressed else len(data)
    try:
        delta, p = read_varint(data, at + 1)
        offset_delta, p = read_varint(data, p)
        key, p = _read_bytes(data, p, limit)
        value, p = _read_bytes(data, p, limit)
        count, p = read_varint(data, p)
        if count < 0:
            raise DumpError(f"Found invalid number of record headers {count}")
        if count > limit - p:
            raise DumpError(
                f"Found invalid number of record headers. {count} is larger than the remaining size of the buffer"
            )
        names = []
        for _ in range(count):
            name, p = _read_bytes(data, p, limit)
            if name is None:
                raise DumpError("Invalid negative header key size -1")
            _, p = _read_bytes(data, p, limit)
            names.append(name.decode(errors="replace"))
    except (IndexError, ValueError) as e:
        raise DumpError("Found invalid record structure") from e
    if p != stop:
        raise DumpError(
            f"Invalid record size: expected to read {size} bytes in record payload, but instead read {p - at}"
        )
    timestamp = header.max_timestamp if header.attributes & LOG_APPEND_TIME else header.base_timestamp + delta
    sequence = increment_sequence(header.base_sequence, offset_delta) if header.base_sequence >= 0 else -1
    return Record(header.base_offset + offset_delta, timestamp, sequence, key, value, names), stop


def _read_bytes(data: bytes, p: int, limit: int) -> tuple[bytes | None, int]:
    size, p = read_varint(data, p)
    if size < 0:
        return None, p
    if size > limit - p:
        raise ValueError("a field is longer than its record")
    return data[p : p + size], p + size


def long_of(name: str) -> int:
    """Read the offset that a file's name begins with. Raises `DumpError` in Java's words."""
    text = name.split(".")[0]
    if not (text.lstrip("+-").isdecimal() and text.isascii()):
        raise DumpError(f'For input string: "{text}"')
    return int(text)


def _title(path: Path) -> str:
    name = path.name
    if name.endswith(".log"):
        return f"Log starting offset: {long_of(name)}"
    if name == "bootstrap.checkpoint":
        return "KRaft bootstrap snapshot"
    for begin, end in ((0, 20), (21, 31)):
        if len(name) < end:
            raise DumpError(f"begin {begin}, end {end}, length {len(name)}")
    return f"Snapshot end offset: {long_of(name[:20])}, epoch: {long_of(name[21:31])}"


def dump_log(
    path: Path, parser: Parser | None, *, deep: bool, skip_metadata: bool, max_bytes: int, mismatches: Mismatches
) -> None:
    """Show a log file or a snapshot. `parser` shows keys and values; without one they are left out."""
    write = sys.stdout.write
    write(_title(path) + "\n")
    part = Slice(path, path.read_bytes()).slice(0, max_bytes)
    valid = 0
    last = -1
    for batch in part.batches():
        h = batch.header
        horizon = f"OptionalLong[{h.base_timestamp}]" if h.attributes & DELETE_HORIZON else "OptionalLong.empty"
        last_sequence = h.last_sequence if h.base_sequence != -1 else -1
        write(
            f"baseOffset: {h.base_offset} lastOffset: {h.last_offset} count: {h.record_count} "
            f"baseSequence: {h.base_sequence} lastSequence: {last_sequence} producerId: {h.producer_id} "
            f"producerEpoch: {h.producer_epoch} partitionLeaderEpoch: {h.leader_epoch} "
            f"isTransactional: {java_bool(h.is_transactional)} isControl: {java_bool(h.is_control)} "
            f"deleteHorizonMs: {horizon}"
        )
        write(
            f" position: {valid} {batch.timestamp_type}: {h.max_timestamp} size: {batch.size} magic: {h.magic} "
            f"compresscodec: {batch.codec} crc: {h.crc} isvalid: {java_bool(batch.is_valid)}\n"
        )
        for record in batch.records() if deep else ():
            if record.offset != last + 1:
                mismatches.not_consecutive(path, last, record.offset)
            last = record.offset
            if not skip_metadata:
                _write_metadata(batch, record)
            if parser is not None and not h.is_control:
                _write_contents(parser, record, "| " if skip_metadata else " ")
            write("\n")
        valid += batch.size
    trailing = part.end - part.start - valid
    if trailing > 0 and max_bytes == _MAX_INT:
        write(f"Found {trailing} invalid bytes at the end of {path.name}\n")


def _write_metadata(batch: Batch, record: Record) -> None:
    key_size = -1 if record.key is None else len(record.key)
    value_size = -1 if record.value is None else len(record.value)
    sys.stdout.write(
        f"| offset: {record.offset} {batch.timestamp_type}: {record.timestamp} keySize: {key_size} "
        f"valueSize: {value_size} sequence: {record.sequence} headerKeys: [{','.join(record.header_keys)}]"
    )
    if batch.header.is_control:
        from barnabas.tools.dump_log_records import control_text

        sys.stdout.write(control_text(record.key, record.value))


def _write_contents(parser: Parser, record: Record, prefix: str) -> None:
    key, value = parser(record)
    if key is not None:
        sys.stdout.write(f"{prefix}key: {key}")
        prefix = " "
    if value is not None:
        sys.stdout.write(f"{prefix}payload: {value}")


def java_bool(value: bool) -> str:
    """Write a truth value as Java does."""
    return "true" if value else "false"
