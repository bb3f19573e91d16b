"""Hold one segment: a log file of batches and its three indexes.

The base offset names the files. Bytes are appended with one write(2) a batch and read back with pread(2), so
that readers need no lock and no position of their own. An index entry is made about every
`index.interval.bytes`. An index that the disk did not take costs time, never an answer: what is in memory stays
complete, and the segment's `.index` is removed when it is sealed, so that the next start makes all three anew.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from barnabas.log.files import StorageError
from barnabas.log.handles import AppendFile, FilePool
from barnabas.log.index import OffsetIndex, TimeIndex, TransactionIndex
from barnabas.log.producers import AbortedTransaction
from barnabas.protocol.batch import HEADER_SIZE, OVERHEAD, BatchHeader, crc_matches, read_header
from barnabas.protocol.schema import Buffer

logger = logging.getLogger(__name__)

#: indexes hold offsets relative to the base in 32 bits
MAX_RELATIVE_OFFSET: Final = 2**31 - 1
#: what one step of a search reads: an index interval and a header
_STEP: Final = 8192
_CHUNK: Final = 4 * 1024 * 1024
_END: Final = 1 << 62

Visitor = Callable[["Segment", BatchHeader, int], None]


class BatchPosition(NamedTuple):
    """Say where a batch stands in its segment."""

    header: BatchHeader
    position: int


def file_name(offset: int, suffix: str) -> str:
    """Return the name of a segment's file: the base offset in twenty digits."""
    return f"{offset:020d}{suffix}"


class Segment:
    """Read and append one segment. `created_ms` is when it was rolled, by the clock; `jitter` from 0 to 1."""

    def __init__(
        self, folder: Path, base_offset: int, created_ms: int, pool: FilePool | None = None, jitter: float = 0.0
    ) -> None:
        pool = pool if pool is not None else FilePool()
        self.base_offset = base_offset
        self.path = folder / file_name(base_offset, ".log")
        self.file = AppendFile(self.path, pool)
        self.offsets = OffsetIndex(folder / file_name(base_offset, ".index"), base_offset, pool)
        self.times = TimeIndex(folder / file_name(base_offset, ".timeindex"), base_offset, pool)
        self.transactions = TransactionIndex(folder / file_name(base_offset, ".txnindex"), pool)
        self.created_ms = created_ms
        self.jitter = jitter
        self.max_timestamp = -1
        self.max_timestamp_offset = base_offset
        self._first_timestamp: int | None = None
        self._since_index = 0
        self._incomplete = False

    @property
    def size(self) -> int:
        """Return the bytes of the log file."""
        return self.file.size

    @property
    def first_timestamp(self) -> int | None:
        """Return the largest timestamp of the first batch in milliseconds, None where there is no batch."""
        if self._first_timestamp is None:
            for found in self.scan(0, HEADER_SIZE):
                self._first_timestamp = found.header.max_timestamp
                break
        return self._first_timestamp

    def append(self, batch: Buffer, last_offset: int, max_timestamp: int, index_interval: int) -> None:
        """Append a batch whose offsets are assigned; raises `StorageError`, having changed nothing."""
        position = self.file.size
        self.file.append(batch)
        self._index(last_offset, max_timestamp, position, len(batch), index_interval)

    def _index(self, last_offset: int, max_timestamp: int, position: int, size: int, interval: int) -> None:
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset
        if position == 0:
            self._first_timestamp = max_timestamp
        if self._since_index > interval:
            try:
                self.offsets.append(last_offset, position)
                if self.max_timestamp >= 0:
                    self.times.append(self.max_timestamp, self.max_timestamp_offset)
            except StorageError as e:
                self._lose_index(e)
            self._since_index = 0
        self._since_index += size

    def add_aborted(self, aborted: AbortedTransaction) -> None:
        """Note an aborted transaction whose marker stands here."""
        try:
            self.transactions.append(aborted)
        except StorageError as e:
            self._lose_index(e)

    def _lose_index(self, why: StorageError) -> None:
        if not self._incomplete:
            logger.warning("%s: its index is incomplete: %s", self.path, why)
        self._incomplete = True

    def is_full(self, index_bytes: int) -> bool:
        """Tell whether an index has as many entries as `segment.index.bytes` allows."""
        return len(self.offsets) >= index_bytes // 8 or len(self.times) >= index_bytes // 12 - 1

    def read(self, position: int, size: int) -> bytes:
        """Read bytes; fewer come back at the end of the file. Raises `StorageError`."""
        return self.file.read(position, size)

    def locate(self, offset: int) -> BatchPosition | None:
        """Find the first batch whose last offset is at or beyond an offset."""
        for found in self.scan(self.offsets.lookup(offset), _STEP):
            if found.header.base_offset + found.header.last_offset_delta >= offset:
                return found
        return None

    def scan(self, position: int = 0, chunk: int = _CHUNK) -> Iterator[BatchPosition]:
        """Yield the headers of whole batches from the position of one of them on."""
        end = self.file.size
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

    def load(self, limit: int | None, *, trusted: bool) -> bool:
        """Read the indexes of a segment that ends in front of offset `limit`; False where they must be rebuilt.

        After a clean stop (`trusted`) they are complete. Else what follows their last entries is looked at.
        """
        if not self.file.size:
            for index in (self.offsets, self.times, self.transactions):
                index.file.clear()
            return True
        if not self.offsets.file.path.exists() or not self.times.file.path.exists():
            return False
        if not self.offsets.load(self.file.size) or not self.times.load():
            return False
        self.transactions.load()
        if any(x.last_offset < self.base_offset for x in self.transactions.entries):
            return False
        self.max_timestamp, self.max_timestamp_offset = self.times.last
        last = self.offsets.last
        if last is not None and not self._fits(*last, limit):
            return False
        if self.max_timestamp_offset - self.base_offset > MAX_RELATIVE_OFFSET or (
            limit is not None and self.max_timestamp_offset >= limit
        ):
            return False
        start = self.offsets.lookup(_END if trusted else self.max_timestamp_offset)
        for found in self.scan(start, _STEP):
            header = found.header
            if header.max_timestamp > self.max_timestamp:
                if not trusted:
                    return False
                self.max_timestamp, self.max_timestamp_offset = header.max_timestamp, header.last_offset
        return True

    def _fits(self, offset: int, position: int, limit: int | None) -> bool:
        """Tell whether an index entry stands for a batch that is there."""
        found = next(self.scan(position, HEADER_SIZE), None)
        return found is not None and found.header.last_offset == offset and (limit is None or offset < limit)

    def rebuild(self, index_interval: int, limit: int | None, *, check: bool, visit: Visitor) -> int:
        """Read the segment from its start and make its indexes anew; cut a tail that is torn or corrupt.

        With `check` the CRC of each batch is compared. Offsets rise and stay below `limit`, where the next segment
        begins. Each good batch is given to `visit`. Returns how many bytes were cut. Raises `StorageError`.
        """
        self.offsets.clear()
        self.times.clear()
        self.transactions.clear()
        self.file.suspect()
        self.max_timestamp, self.max_timestamp_offset = -1, self.base_offset
        self._first_timestamp = None
        self._since_index = 0
        highest = self.base_offset + MAX_RELATIVE_OFFSET if limit is None else limit - 1
        position, expected = 0, self.base_offset
        wanted = _CHUNK
        while position + HEADER_SIZE <= self.file.size:
            data = self.read(position, wanted)
            asked, wanted, at = wanted, _CHUNK, 0
            while at + HEADER_SIZE <= len(data):
                header = read_header(data, at)
                if (
                    header.batch_length < HEADER_SIZE - OVERHEAD
                    or header.magic != 2
                    or position + at + header.size > self.file.size
                    or header.last_offset_delta < 0
                    or header.base_offset < expected
                    or header.last_offset > highest
                ):
                    return self._cut(position + at)
                if at + header.size > len(data):
                    wanted = max(_CHUNK, header.size)  # the next read holds it whole
                    if at == 0 and wanted == asked:
                        return self._cut(position)  # the file is shorter than it was
                    break
                if check and not crc_matches(header, data, at):
                    return self._cut(position + at)
                self._index(header.last_offset, header.max_timestamp, position + at, header.size, index_interval)
                visit(self, header, position + at)
                expected = header.last_offset + 1
                at += header.size
            position += at
        return self._cut(position)

    def _cut(self, size: int) -> int:
        lost = self.file.size - size
        if lost:
            self.file.truncate(size)
        return lost

    def next_offset(self) -> int:
        """Return the offset behind the last whole batch."""
        end = self.base_offset
        for found in self.scan(self.offsets.lookup(_END), _STEP):
            end = found.header.last_offset + 1
        return end

    def find_timestamp(self, timestamp: int) -> BatchPosition | None:
        """Find the first batch with a record at or after a timestamp."""
        for found in self.scan(self.offsets.lookup(self.times.lookup(timestamp)), _STEP):
            if found.header.max_timestamp >= timestamp:
                return found
        return None

    def seal(self) -> None:
        """Complete the indexes: the last entry of the time index, and files where there are none yet.

        Where that fails the `.index` is removed instead, which the next start understands. Raises `StorageError`
        where that fails too.
        """
        try:
            self.file.settle()
            if self.max_timestamp >= 0:
                self.times.append(self.max_timestamp, self.max_timestamp_offset)
            if self.file.size or self.file.path.exists():  # Kafka warns of indexes without a log, and drops them
                self.offsets.file.create()
                self.times.file.create()
        except StorageError as e:
            self._lose_index(e)
        for index in (self.offsets, self.times, self.transactions):
            with contextlib.suppress(StorageError):
                index.file.settle()
        if self._incomplete:
            try:
                self.offsets.file.delete()
            except OSError as e:
                raise StorageError(str(e)) from e
            self.file.settle()

    def to_sync(self) -> list[int]:
        """Return duplicate descriptors of the files that hold something not synced.

        Raises `StorageError` where that is the log file; an index can be made anew.
        """
        own = self.file.to_sync()
        found = [] if own is None else [own]
        for index in (self.offsets, self.times, self.transactions):
            try:
                fd = index.file.to_sync()
            except StorageError as e:
                self._lose_index(e)
                continue
            if fd is not None:
                found.append(fd)
        return found

    def close(self) -> None:
        """Close all files."""
        for file in (self.file, self.offsets.file, self.times.file, self.transactions.file):
            file.close()

    def delete(self) -> None:
        """Close and remove all files of the segment, the producer snapshot at its base included."""
        for file in (self.file, self.offsets.file, self.times.file, self.transactions.file):
            file.delete()
        self.path.with_suffix(".snapshot").unlink(missing_ok=True)
