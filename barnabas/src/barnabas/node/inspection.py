"""Look through the files of a stopped node as Apache Kafka will find them. Nothing is written.

What would stop Kafka's start, lose records or answer wrongly is a problem; what Kafka mends by itself is a note. After
a clean stop Kafka believes indexes, producer snapshots and tails, so they must be right; without the clean marker it
makes them anew, and only the batches count.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from barnabas.log.checkpoints import LEADER_EPOCHS, CheckpointError, read_epochs
from barnabas.log.directory import PARTITION_METADATA, uuid_text
from barnabas.log.files import read_text
from barnabas.log.producers import ProducerStates
from barnabas.metadata.reading import goes_on
from barnabas.protocol.batch import BatchHeader, batches, crc_matches, read_records
from barnabas.protocol.errors import KafkaError

_ABORT: Final = 0

# entries of the three indexes: offset and position; timestamp and offset; version, producer id, first and last offset,
# last stable offset. Offsets of the first two are relative to the segment's base.
_OFFSET_ENTRY: Final = struct.Struct(">ii")
_TIME_ENTRY: Final = struct.Struct(">qi")
_TRANSACTION_ENTRY: Final = struct.Struct(">hqqqq")


@dataclass(slots=True)
class Report:
    """Collect what was found. Sizes in bytes; `end` - `start` bounds the records of a partition."""

    start: int = 0
    end: int = 0
    size: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Expected:
    """Hold what the metadata and the directory say of a partition.

    Producers that wrote after `producers_since`, in milliseconds, must be remembered.
    """

    name: str
    topic_id: bytes
    leader_epoch: int
    log_start: int
    clean: bool
    deep: bool
    producers_since: int


def inspect_partition(folder: Path, expected: Expected) -> Report:
    """Inspect one partition's folder; raises `OSError`."""
    report = Report()
    if not folder.is_dir():
        report.problems.append(f"{expected.name} has no folder: Kafka would serve it empty")
        return report
    content = read_text(folder / PARTITION_METADATA)
    if content is None or content.strip() != f"version: 0\ntopic_id: {uuid_text(expected.topic_id)}":
        report.problems.append(
            f"{expected.name}: {PARTITION_METADATA} does not name the topic's id: Kafka would set the records aside"
        )
    _Partition(folder, expected, report).inspect()
    return report


class _Partition:
    """Go through the segments of a partition in order."""

    def __init__(self, folder: Path, expected: Expected, report: Report) -> None:
        self._folder = folder
        self._expected = expected
        self._report = report
        self._open: dict[int, int] = {}
        self._newest_producer = -1

    def inspect(self) -> None:
        """Fill the report."""
        report, expected = self._report, self._expected
        segments = sorted((int(p.stem), p) for p in self._folder.glob("*.log") if p.stem.isdecimal())
        for base, path in segments:
            if base < report.end:
                self._problem(path, f"it begins below offset {report.end}, where the segment in front of it ends")
            report.end = max(report.end, base)
            self._segment(base, path, is_last=path == segments[-1][1])
        report.start = max(expected.log_start, segments[0][0] if segments else 0)
        if report.start > report.end:
            report.problems.append(f"{expected.name} begins at offset {report.start}, beyond its end {report.end}")
        self._epochs()
        self._snapshots()

    def _problem(self, path: Path, text: str) -> None:
        self._report.problems.append(f"{self._expected.name}: {path.name}: {text}")

    # --- segments -------------------------------------------------------------------------------------------

    def _segment(self, base: int, path: Path, *, is_last: bool) -> None:
        size = path.stat().st_size
        self._report.size += size
        entries = _entries(path.with_suffix(".index"), _OFFSET_ENTRY) if self._expected.clean else []
        places = {position: base + offset for offset, position in entries}
        aborted: list[tuple[int, int]] = []
        latest = -1
        if size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                data = memoryview(mapped)
                try:
                    latest = self._batches(data, path, places, aborted, is_last=is_last)
                finally:
                    data.release()
        if self._expected.clean:
            self._indexes(path, size, places, latest, aborted)

    def _batches(
        self, data: memoryview, path: Path, places: dict[int, int], aborted: list[tuple[int, int]], *, is_last: bool
    ) -> int:
        """Check the batches of a segment; return their largest timestamp. Found index entries leave `places`."""
        report, expected = self._report, self._expected
        latest, position = -1, 0
        check = expected.deep or is_last
        for header, at in batches(data):
            if header.magic != 2 or header.base_offset < report.end or (check and not crc_matches(header, data, at)):
                break
            if header.leader_epoch > expected.leader_epoch:
                self._problem(path, f"the batch at {at} is of leader epoch {header.leader_epoch}, the metadata says "
                                    f"{expected.leader_epoch}")  # fmt: skip
            if expected.deep:
                self._records(header, data[at : at + header.size], path)
            if at in places and places[at] == header.last_offset:
                del places[at]
            self._producer(header, data, at, aborted)
            latest = max(latest, header.max_timestamp)
            report.end = header.last_offset + 1
            position = at + header.size
        if position < len(data):
            self._tail(data, position, path, is_last=is_last)
        return latest

    def _records(self, header: BatchHeader, batch: memoryview, path: Path) -> None:
        try:
            for _ in read_records(header, bytes(batch)):
                pass
        except KafkaError as e:
            self._problem(path, f"the batch of offset {header.base_offset} cannot be read: {e}")

    def _tail(self, data: memoryview, position: int, path: Path, *, is_last: bool) -> None:
        lost = len(data) - position
        if self._expected.clean or not is_last or goes_on(data, position):
            self._problem(path, f"byte {position} begins no valid batch; Kafka would lose {lost} bytes from there on")
        else:
            self._report.notes.append(f"{self._expected.name}: Kafka cuts a torn tail of {lost} bytes")

    def _producer(self, header: BatchHeader, data: memoryview, at: int, aborted: list[tuple[int, int]]) -> None:
        if header.producer_id < 0:
            return
        self._newest_producer = max(self._newest_producer, header.max_timestamp)
        if not header.is_control:
            if header.is_transactional:
                self._open.setdefault(header.producer_id, header.base_offset)
            return
        began = self._open.pop(header.producer_id, None)
        if began is None:
            return
        records = read_records(header, bytes(data[at : at + header.size]))
        if any(int.from_bytes((record.key or b"")[2:4], "big") == _ABORT for record in records):
            aborted.append((header.producer_id, header.last_offset))

    # --- what a clean stop promises -------------------------------------------------------------------------

    def _indexes(
        self, path: Path, size: int, places: dict[int, int], latest: int, aborted: list[tuple[int, int]]
    ) -> None:
        if places:
            self._problem(path.with_suffix(".index"), f"{len(places)} entries point at no batch of theirs")
        times_path = path.with_suffix(".timeindex")
        times = _entries(times_path, _TIME_ENTRY)
        if any(a[0] >= b[0] or a[1] > b[1] for a, b in pairwise(times)):
            self._problem(times_path, "its entries do not rise")
        elif size and path.with_suffix(".index").exists() and latest > (times[-1][0] if times else -1):
            self._problem(times_path, "it does not reach the newest timestamp: look-ups by time would be wrong")
        transactions_path = path.with_suffix(".txnindex")
        known = {(entry[1], entry[3]) for entry in _entries(transactions_path, _TRANSACTION_ENTRY)}
        if not known.issuperset(aborted):
            self._problem(transactions_path, "aborted transactions are missing: read_committed would return them")

    def _epochs(self) -> None:
        path = self._folder / LEADER_EPOCHS
        try:
            epochs = read_epochs(path)
        except CheckpointError as e:
            self._problem(path, f"malformed, which stops Kafka's start: {e}")
            return
        if epochs and epochs[-1][0] > self._expected.leader_epoch:
            self._problem(path, f"it names epoch {epochs[-1][0]}, the metadata says {self._expected.leader_epoch}")

    def _snapshots(self) -> None:
        good = False
        for path in self._folder.glob("*.snapshot"):
            if not path.stem.isdecimal():
                continue
            if not ProducerStates().load(path):
                self._problem(path, "malformed")
            elif int(path.stem) <= self._report.end:
                good = True
        expected = self._expected
        if expected.clean and not good and self._newest_producer > expected.producers_since:
            self._report.problems.append(
                f"{expected.name} has no producer snapshot: Kafka would store what producers send again twice"
            )


def _entries(path: Path, entry: struct.Struct) -> list[tuple[int, ...]]:
    """Read an index file, none of it where it is absent; zeros at its end are room that Kafka reserved."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = list(entry.iter_unpack(data[: len(data) - len(data) % entry.size]))
    while found and not any(found[-1]):
        found.pop()
    return found
