"""Keep the sparse indexes of a segment: offset to position, timestamp to offset, and its aborted transactions.

An index is held whole in memory and appended to its file entry by entry. All three can be rebuilt from the log.
Entries are big-endian; offsets are relative to the segment's base.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path
from typing import Final

from barnabas.log.files import StorageError
from barnabas.log.handles import AppendFile, FilePool
from barnabas.log.producers import AbortedTransaction

_OFFSET_ENTRY: Final = struct.Struct(">ii")
_TIME_ENTRY: Final = struct.Struct(">qi")
_TXN_ENTRY: Final = struct.Struct(">hqqqq")


class _IndexFile(AppendFile):
    """Be a file of entries of one size."""

    __slots__ = ("_entry_size",)

    def __init__(self, path: Path, entry_size: int, pool: FilePool) -> None:
        super().__init__(path, pool)
        self._entry_size = entry_size

    def entries(self) -> bytes:
        """Return the whole entries that the file holds; a part of one at the end is cut off. Raises `StorageError`."""
        if self.size == 0:
            return b""
        try:
            data = self.path.read_bytes()  # once in a file's life: not worth a place among the open files
        except OSError as e:
            raise StorageError(str(e)) from e
        whole = len(data) - len(data) % self._entry_size
        if whole != self.size:
            self.truncate(whole)
        return data[:whole]

    def clear(self) -> None:
        """Drop all entries; where there is no file none is made. Raises `StorageError`."""
        if self.size:
            self.truncate(0)


class OffsetIndex:
    """Map offsets to positions in the log file, some 4 KiB apart."""

    def __init__(self, path: Path, base_offset: int, pool: FilePool) -> None:
        self.file = _IndexFile(path, _OFFSET_ENTRY.size, pool)
        self._base = base_offset
        self._offsets = array("q")
        self._positions = array("q")

    def load(self, log_size: int) -> bool:
        """Read the file; False where it cannot belong to a log file of this size and must be rebuilt.

        Zeros behind the last entry are what Kafka's preallocation leaves after a crash.
        """
        self._offsets, self._positions = array("q"), array("q")
        entries = array("i")
        data = self.file.entries()
        entries.frombytes(data)
        if sys.byteorder == "little":
            entries.byteswap()
        used = len(entries) // 2
        while used > 0 and entries[2 * used - 2] == 0 and entries[2 * used - 1] == 0:
            used -= 1
        offsets, positions = entries[0 : 2 * used : 2], entries[1 : 2 * used : 2]
        if not all(a < b for a, b in pairwise(positions)) or not all(a < b for a, b in pairwise(offsets)):
            return False
        if used and (offsets[0] < 0 or positions[0] < 0 or positions[-1] >= log_size):
            return False
        self._offsets = array("q", (self._base + o for o in offsets))
        self._positions = array("q", positions)
        if used * _OFFSET_ENTRY.size != len(data):
            self.file.truncate(used * _OFFSET_ENTRY.size)
        return True

    def append(self, offset: int, position: int) -> None:
        """Add an entry: the last offset of a batch and the position of that batch."""
        self.file.append(_OFFSET_ENTRY.pack(offset - self._base, position))
        self._offsets.append(offset)
        self._positions.append(position)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._offsets)

    @property
    def last(self) -> tuple[int, int] | None:
        """Return the last entry, an offset and the position of the batch that it ends."""
        return (self._offsets[-1], self._positions[-1]) if self._offsets else None

    def position_of(self, entry: int) -> int:
        """Return the position that an entry holds, 0 in front of the first."""
        return self._positions[entry] if entry >= 0 else 0

    def lookup(self, offset: int) -> int:
        """Return the position of a batch at or in front of the one that holds an offset."""
        at = bisect_right(self._offsets, offset)
        return self._positions[at - 1] if at else 0

    def clear(self) -> None:
        """Drop all entries."""
        self.file.clear()
        self._offsets, self._positions = array("q"), array("q")


class TimeIndex:
    """Map timestamps to offsets: each entry says that no record up to its offset is later than its timestamp."""

    def __init__(self, path: Path, base_offset: int, pool: FilePool) -> None:
        self.file = _IndexFile(path, _TIME_ENTRY.size, pool)
        self._base = base_offset
        self._timestamps = array("q")
        self._offsets = array("q")

    def load(self) -> bool:
        """Read the file; False where its entries do not rise."""
        self._timestamps, self._offsets = array("q"), array("q")
        data = self.file.entries()
        # zeros at the end are what Kafka's preallocation leaves after a crash; alone, they are an entry of 1970
        used = -(-len(data.rstrip(b"\0")) // _TIME_ENTRY.size) * _TIME_ENTRY.size
        if len(data) == _TIME_ENTRY.size:
            used = len(data)
        for timestamp, relative in _TIME_ENTRY.iter_unpack(data[:used]):
            if timestamp < 0 or relative < 0:
                return False
            if self._timestamps and (timestamp <= self._timestamps[-1] or self._base + relative < self._offsets[-1]):
                return False
            self._timestamps.append(timestamp)
            self._offsets.append(self._base + relative)
        if len(self._timestamps) * _TIME_ENTRY.size != len(data):
            self.file.truncate(len(self._timestamps) * _TIME_ENTRY.size)
        return True

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._timestamps)

    @property
    def last(self) -> tuple[int, int]:
        """Return the last entry, (-1, base offset) where there is none."""
        return (self._timestamps[-1], self._offsets[-1]) if self._timestamps else (-1, self._base)

    def append(self, timestamp: int, offset: int) -> None:
        """Add an entry unless it says nothing new."""
        if self._timestamps and timestamp <= self._timestamps[-1]:
            return
        self.file.append(_TIME_ENTRY.pack(timestamp, offset - self._base))
        self._timestamps.append(timestamp)
        self._offsets.append(offset)

    def lookup(self, timestamp: int) -> int:
        """Return an offset at or in front of the first record with at least this timestamp."""
        at = bisect_right(self._timestamps, timestamp - 1)
        return self._offsets[at - 1] if at else self._base

    def clear(self) -> None:
        """Drop all entries."""
        self.file.clear()
        self._timestamps, self._offsets = array("q"), array("q")


class TransactionIndex:
    """List the aborted transactions whose markers stand in a segment. The file exists only where there are any."""

    def __init__(self, path: Path, pool: FilePool) -> None:
        self.file = _IndexFile(path, _TXN_ENTRY.size, pool)
        self.entries: list[AbortedTransaction] = []

    def load(self) -> None:
        """Read the file."""
        self.entries = [AbortedTransaction(*entry[1:]) for entry in _TXN_ENTRY.iter_unpack(self.file.entries())]

    def append(self, aborted: AbortedTransaction) -> None:
        """Add an entry; raises `StorageError` where the file did not take it: readers see it all the same."""
        self.entries.append(aborted)
        self.file.append(_TXN_ENTRY.pack(0, *aborted))

    def clear(self) -> None:
        """Drop all entries."""
        self.entries = []
        self.file.clear()
