"""Show the index files of a log and its producer snapshots, and compare the indexes with the log, as Java's tool does.

Entries are looked up as Kafka's AbstractIndex looks them up, so that a damaged index misleads in the same way.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Final

from barnabas.log.producers import AbortedTransaction
from barnabas.protocol.batch import crc32c
from barnabas.tools.dump_log_files import Batch, DumpError, Slice, long_of

_OFFSET_ENTRY: Final = struct.Struct(">ii")
_TIME_ENTRY: Final = struct.Struct(">qi")
_TXN_ENTRY: Final = struct.Struct(">hqqqq")
_PRODUCER: Final = struct.Struct(">qhiqiqiq")
#: how many bytes at the end of an index Kafka searches first
_WARM_BYTES: Final = 8192


class Mismatches:
    """Collect what does not match, by the path of its file; it is shown at the end."""

    def __init__(self) -> None:
        self._offsets: dict[str, dict[int, int]] = {}
        self._times: dict[str, list[tuple[int, int]]] = {}
        self._order: dict[str, list[tuple[int, int]]] = {}
        self._missing: dict[str, list[tuple[int, int]]] = {}
        self._gaps: dict[str, dict[int, int]] = {}

    def offset(self, path: Path, indexed: int, found: int) -> None:
        """Note that an index entry points to a batch that ends elsewhere."""
        self._offsets.setdefault(_absolute(path), {})[indexed] = found

    def time(self, path: Path, indexed: int, found: int) -> None:
        """Note that a time index has another timestamp than the batch."""
        self._times.setdefault(_absolute(path), []).append((indexed, found))

    def order(self, path: Path, indexed: int, before: int) -> None:
        """Note that the timestamps of a time index do not rise."""
        self._order.setdefault(_absolute(path), []).append((indexed, before))

    def missing(self, path: Path, indexed: int, found: int) -> None:
        """Note that no batch ends at the offset of a time index entry."""
        self._missing.setdefault(_absolute(path), []).append((indexed, found))

    def not_consecutive(self, path: Path, offset: int, following: int) -> None:
        """Note a gap between the offsets of a log."""
        self._gaps.setdefault(_absolute(path), {})[offset] = following

    def show(self) -> None:
        """Print everything to standard error."""
        lines = []
        for path, offsets in self._offsets.items():
            lines.append(f"Mismatches in :{path}")
            lines += [f"  Index offset: {a}, log offset: {b}" for a, b in sorted(offsets.items(), reverse=True)]
        for path, pairs in self._times.items():
            lines.append(f"Found timestamp mismatch in :{path}")
            lines += [f"  Index timestamp: {a}, log timestamp: {b}" for a, b in pairs]
        for path, pairs in self._order.items():
            lines.append(f"Found out of order timestamp in :{path}")
            lines += [f"  Index timestamp: {a}, Previously indexed timestamp: {b}" for a, b in pairs]
        for path, pairs in self._missing.items():
            lines.append(f"The following indexed offsets are not found in :{path}")
            lines += [f"Indexed offset: {a}, found log offset: {b}" for a, b in pairs]
        for path, gaps in self._gaps.items():
            lines.append(f"Non-consecutive offsets in {path}")
            lines += [f"  {a} is followed by {b}" for a, b in sorted(gaps.items())]
        for line in lines:
            print(line, file=sys.stderr)


def _absolute(path: Path) -> str:
    return str(path.absolute())


class _Index:
    """Hold the whole entries of an index file."""

    def __init__(self, path: Path, entry: struct.Struct) -> None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # Java's tool makes an empty one first, and stumbles over it
            raise DumpError("Invalid max index size: -1") from None
        self.size = len(data)
        self.entries: list[tuple[int, int]] = list(entry.iter_unpack(data[: len(data) - len(data) % entry.size]))
        self._warm = _WARM_BYTES // entry.size

    def position(self, relative_offset: int) -> int:
        """Look up the position for an offset in an offset index."""
        entries = self.entries
        if not entries:
            return 0
        hot = max(0, len(entries) - 1 - self._warm)
        if entries[hot][0] < relative_offset:
            low, high = hot, len(entries) - 1
        elif entries[0][0] > relative_offset:
            return 0
        else:
            low, high = 0, hot
        while low < high:
            middle = (low + high + 1) // 2
            offset = entries[middle][0]
            if offset > relative_offset:
                high = middle - 1
            elif offset < relative_offset:
                low = middle
            else:
                return entries[middle][1]
        return entries[low][1]


def dump_index(
    path: Path, base: int, sanity: bool, verify: bool, mismatches: Mismatches, max_message_size: int
) -> None:
    """Show an offset index, or check it. Raises `DumpError`, `OSError`."""
    log = _log_beside(path)
    index = _Index(path, _OFFSET_ENTRY)
    if not index.entries:
        print(f"{path} is empty.")
        return
    if sanity:
        last = base + index.entries[-1][0]
        if last < base:
            raise DumpError(
                f"Corrupt index found, index file ({_absolute(path)}) has non-zero size but the last offset is {last} "
                f"which is less than the base offset {base}"
            )
        print(f"{path} passed sanity check.")
        return
    for number, (relative, position) in enumerate(index.entries):
        if relative == 0 and number:  # what preallocation left
            return
        batch = next(log.slice(position, max_message_size).batches(), None)
        if batch is None:
            raise DumpError(f"{path} is corrupt, or holds zeros: the log has no batch at position {position}")
        if batch.last_offset != base + relative:
            mismatches.offset(path, base + relative, batch.last_offset)
        if not verify:
            print(f"offset: {base + relative} position: {position}")


def dump_time_index(path: Path, base: int, sanity: bool, verify: bool, mismatches: Mismatches) -> None:
    """Show a time index, or check it. Raises `DumpError`, `OSError`."""
    log = _log_beside(path)
    offsets = _Index(path.with_name(path.name.split(".")[0] + ".index"), _OFFSET_ENTRY)
    index = _Index(path, _TIME_ENTRY)
    if sanity:
        _check_times(path, index, base)
        print(f"{path} passed sanity check.")
        return
    before = -1
    readable: set[int] = set()
    """Where batches begin from which on the log was read to its end."""
    for number, (timestamp, relative) in enumerate(index.entries):
        offset = base + relative
        if relative == 0 and number:
            return
        rest = log.slice(position := offsets.position(relative), (1 << 31) - 1)
        if position not in readable:  # Java reads to the end for each entry, and stumbles over what is damaged there
            readable.update(batch.position for batch in rest.batches())
        batch = next((b for b in rest.batches() if b.last_offset >= offset), None)
        if batch is None or batch.last_offset != offset:
            mismatches.missing(path, offset, -1 if batch is None else batch.last_offset)
        else:
            _compare_time(path, batch, timestamp, before, mismatches)
        if not verify:
            print(f"timestamp: {timestamp} offset: {offset}")
        before = timestamp


def _compare_time(path: Path, batch: Batch, timestamp: int, before: int, mismatches: Mismatches) -> None:
    latest = max((-1, *(record.timestamp for record in batch.records())))
    if latest != timestamp:
        mismatches.time(path, timestamp, latest)
    if before >= timestamp:
        mismatches.order(path, timestamp, before)


def _check_times(path: Path, index: _Index, base: int) -> None:
    if index.entries:
        (first, _), (timestamp, relative) = index.entries[0], index.entries[-1]
        found = f"Corrupt time index found, time index file ({_absolute(path)}) has non-zero size but the last "
        if timestamp < first:
            raise DumpError(f"{found}timestamp is {timestamp} which is less than the first timestamp {first}")
        if relative < 0:
            raise DumpError(f"{found}offset is {base + relative} which is less than the first offset {base}")
    if index.size % _TIME_ENTRY.size:
        raise DumpError(
            f"Time index file {_absolute(path)} is corrupt, found {index.size} bytes which is neither positive nor a "
            f"multiple of {_TIME_ENTRY.size}"
        )


def _log_beside(path: Path) -> Slice:
    log = path.absolute().with_name(path.name.split(".")[0] + ".log")
    return Slice(log, log.read_bytes())


def dump_transaction_index(path: Path) -> None:
    """Show the aborted transactions of a segment. Raises `DumpError`, `OSError`."""
    long_of(path.name)
    data = path.read_bytes() if path.exists() else b""
    for _, *entry in _TXN_ENTRY.iter_unpack(data[: len(data) - len(data) % _TXN_ENTRY.size]):
        aborted = AbortedTransaction(*entry)
        print(
            f"version: 0 producerId: {aborted.producer_id} firstOffset: {aborted.first_offset} "
            f"lastOffset: {aborted.last_offset} lastStableOffset: {aborted.last_stable_offset}"
        )


def dump_producers(path: Path) -> None:
    """Show a producer snapshot; of a corrupt one the message, on standard error. Raises `OSError`."""
    data = path.read_bytes()
    wrong = _wrong_with(data)
    if wrong:
        sys.stdout.flush()
        print(wrong, file=sys.stderr)
        return
    for entry in _PRODUCER.iter_unpack(data[10:]):
        producer, epoch, sequence, offset, delta, timestamp, coordinator, start = entry
        transaction = f"OptionalLong[{start}]" if start >= 0 else "OptionalLong.empty"
        line = (
            f"producerId: {producer} producerEpoch: {epoch} coordinatorEpoch: {coordinator} "
            f"currentTxnFirstOffset: {transaction} lastTimestamp: {timestamp}"
        )
        if offset >= 0:
            first = sequence - delta if sequence >= delta else (1 << 31) - (delta - sequence)
            line += (
                f" firstSequence: {first} lastSequence: {sequence} lastOffset: {offset} offsetDelta: {delta} "
                f"timestamp: {timestamp}"
            )
        print(line)


def _wrong_with(data: bytes) -> str | None:
    version = int.from_bytes(data[:2], "big", signed=True)
    if len(data) >= 2 and version != 1:
        return f"Snapshot failed schema validation: Snapshot contained an unknown file version {version}"
    if len(data) < 10 or len(data) < 10 + int.from_bytes(data[6:10], "big") * _PRODUCER.size:
        return "Snapshot failed schema validation: it is cut"
    stored, computed = int.from_bytes(data[2:6], "big"), crc32c(data[6:])
    if stored != computed:
        return f"Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: {computed}"
    return None
