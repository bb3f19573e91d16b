"""Hold one segment: a log file of batches and its three indexes.

The base offset names the files. Bytes are appended with one write(2) a batch and read back with pread(2), so
that readers need no lock and no position of their own. An index entry is made about every
`index.interval.bytes`; losing one costs time, never data, so a failed index write is tolerated.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from barnabas.log.files import StorageError, write_all
from barnabas.log.index import OffsetIndex, TimeIndex, TransactionIndex
from barnabas.protocol.batch import HEADER_SIZE, OVERHEAD, BatchHeader, crc_matches, read_header
from barnabas.protocol.schema import Buffer

logger = logging.getLogger(__name__)

#: what one step of a search reads: an index interval and a header
_STEP: Final = 8192
_CHUNK: Final = 4 * 1024 * 1024

Visitor = Callable[["Segment", BatchHeader, int], None]


class BatchPosition(NamedTuple):
    """Say where a batch stands in its segment."""

    header: BatchHeader
    position: int


def file_name(offset: int, suffix: str) -> str:
    """Return the name of a segment's file: the base offset in twenty digits."""
    return f"{offset:020d}{suffix}"


class Segment:
    """Read and append one segment. `size` is in bytes; `created_ms` is when it was rolled, by the clock."""

    def __init__(self, folder: Path, base_offset: int, created_ms: int) -> None:
        self.base_offset = base_offset
        self.path = folder / file_name(base_offset, ".log")
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.size = os.fstat(self.fd).st_size
        self.offsets = OffsetIndex(folder / file_name(base_offset, ".index"), base_offset)
        self.times = TimeIndex(folder / file_name(base_offset, ".timeindex"), base_offset)
        self.transactions = TransactionIndex(folder / file_name(base_offset, ".txnindex"))
        self.created_ms = created_ms
        self.first_timestamp: int | None = None
        self.max_timestamp = -1
        self.max_timestamp_offset = base_offset
        self._since_index = 0

    def append(self, batch: Buffer, last_offset: int, max_timestamp: int, index_interval: int) -> None:
        """Append a batch whose offsets are assigned; raises `StorageError`, having changed nothing."""
        position = self.size
        size = len(batch)
        write_all(self.fd, batch, position)
        self.size = position + size
        self._index(last_offset, max_timestamp, position, size, index_interval)

    def _index(self, last_offset: int, max_timestamp: int, position: int, size: int, interval: int) -> None:
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset
        if self.first_timestamp is None:
            self.first_timestamp = max_timestamp
        if self._since_index > interval:
            try:
                self.offsets.append(last_offset, position)
                self.times.append(self.max_timestamp, self.max_timestamp_offset)
            except StorageError as e:
                logger.warning("%s: no index entry: %s", self.path, e)
            self._since_index = 0
        self._since_index += size

    def read(self, position: int, size: int) -> bytes:
        """Read bytes; fewer come back at the end of the file. Raises `StorageError`."""
        try:
            return os.pread(self.fd, size, position)
        except OSError as e:
            raise StorageError(str(e)) from e

    def locate(self, offset: int) -> BatchPosition | None:
        """Find the first batch whose last offset is at or beyond an offset."""
        for found in self.scan(self.offsets.lookup(offset), _STEP):
            if found.header.base_offset + found.header.last_offset_delta >= offset:
                return found
        return None

    def scan(self, position: int = 0, chunk: int = _CHUNK) -> Iterator[BatchPosition]:
        """Yield the headers of whole batches from the position of one of them on."""
        end = self.size
        while position + HEADER_SIZE <= end:
            data = self.read(position, min(chunk, end - position))
            at = 0
            while at + HEADER_SIZE <= len(data):
                header = read_header(data, at)
                if header.batch_length < HEADER_SIZE - OVERHEAD or position + at + header.size > end:
                    return
                yield BatchPosition(header, position + at)
                at += header.size
            position += at
            if at == 0:
                return

    def batch(self, found: BatchPosition) -> bytes:
        """Read one whole batch."""
        return self.read(found.position, found.header.size)

    def load(self) -> bool:
        """Read the indexes of a segment that was closed cleanly; False where they must be rebuilt."""
        if not self.offsets.file.path.exists() and self.size:
            return False
        if not self.offsets.load(self.size) or not self.times.load():
            return False
        self.transactions.load()
        self.max_timestamp, self.max_timestamp_offset = self.times.last
        for found in self.scan(0, HEADER_SIZE):
            self.first_timestamp = found.header.max_timestamp
            break
        # the last entry of the time index covers the segment only if it was written when the segment was closed
        for found in self.scan(self.offsets.lookup(1 << 62)):
            if found.header.max_timestamp > self.max_timestamp:
                self.max_timestamp, self.max_timestamp_offset = found.header.max_timestamp, found.header.last_offset
        return True

    def rebuild(self, index_interval: int, check: bool, visit: Visitor) -> int:
        """Read the segment from its start and make its indexes anew; cut a tail that is torn or corrupt.

        With `check` the CRC of each batch is compared. Each good batch is given to `visit`. Returns how many
        bytes were cut.
        """
        self.offsets.clear()
        self.times.clear()
        self.transactions.clear()
        self.max_timestamp, self.max_timestamp_offset = -1, self.base_offset
        self.first_timestamp = None
        self._since_index = 0
        position, expected = 0, self.base_offset
        while position + HEADER_SIZE <= self.size:
            data = self.read(position, _CHUNK)
            at = 0
            while at + HEADER_SIZE <= len(data):
                header = read_header(data, at)
                if header.batch_length < HEADER_SIZE - OVERHEAD or header.magic != 2:
                    return self._cut(position + at)
                if at + header.size > len(data):
                    break
                if header.base_offset < expected or (check and not crc_matches(header, data, at)):
                    return self._cut(position + at)
                self._index(header.last_offset, header.max_timestamp, position + at, header.size, index_interval)
                visit(self, header, position + at)
                expected = header.last_offset + 1
                at += header.size
            if at == 0:
                if position + header.size > self.size:
                    return self._cut(position)
                at = self._rebuild_large(header, position, check, index_interval, visit)
                if at == 0:
                    return self._cut(position)
            position += at
        return self._cut(position)

    def _rebuild_large(self, header: BatchHeader, position: int, check: bool, interval: int, visit: Visitor) -> int:
        """Take in a batch larger than a chunk; 0 where it is corrupt."""
        if check and not crc_matches(header, self.read(position, header.size)):
            return 0
        self._index(header.last_offset, header.max_timestamp, position, header.size, interval)
        visit(self, header, position)
        return header.size

    def _cut(self, size: int) -> int:
        lost = self.size - size
        if lost:
            os.ftruncate(self.fd, size)
            self.size = size
        return lost

    def next_offset(self) -> int:
        """Return the offset behind the last whole batch."""
        end = self.base_offset
        for found in self.scan(self.offsets.lookup(1 << 62)):
            end = found.header.last_offset + 1
        return end

    def find_timestamp(self, timestamp: int) -> BatchPosition | None:
        """Find the first batch with a record at or after a timestamp."""
        for found in self.scan(self.offsets.lookup(self.times.lookup(timestamp))):
            if found.header.max_timestamp >= timestamp:
                return found
        return None

    def seal(self) -> None:
        """Write the last entry of the time index and make sure that both index files exist."""
        try:
            if self.max_timestamp >= 0:
                self.times.append(self.max_timestamp, self.max_timestamp_offset)
            self.offsets.file.open()
            self.times.file.open()
        except (StorageError, OSError, struct.error) as e:
            logger.warning("%s: its index is not complete: %s", self.path, e)

    def sync(self) -> None:
        """Make log and indexes durable. Raises `StorageError`."""
        try:
            os.fsync(self.fd)
            for index in (self.offsets, self.times, self.transactions):
                index.file.sync()
        except OSError as e:
            raise StorageError(str(e)) from e

    def close(self) -> None:
        """Close all files."""
        os.close(self.fd)
        for index in (self.offsets, self.times, self.transactions):
            index.file.close()

    def delete(self) -> None:
        """Close and remove all files of the segment, the producer snapshot at its base included."""
        self.close()
        for suffix in (".log", ".index", ".timeindex", ".txnindex", ".snapshot"):
            self.path.with_suffix(suffix).unlink(missing_ok=True)
