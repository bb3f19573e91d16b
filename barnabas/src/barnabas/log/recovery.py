"""Open a partition's folder: after a clean stop from its files as they stand, else by reading what may be torn.

Without the clean marker every segment at or beyond the recovery point is read whole: CRCs are compared, the torn
tail is cut, indexes are made anew. So is, at any start, a segment whose indexes are missing or do not fit. Producer
state comes from the newest snapshot in front of the first such segment, and from the batches behind it: only so can
the index of aborted transactions be made anew too.

Kafka's own folders open too: leftovers of an interrupted clean-up (`.deleted`, `.cleaned`, `.swap`) are dealt with as
Kafka deals with them.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from barnabas.log.checkpoints import LEADER_EPOCHS, CheckpointError, read_epochs, write_epochs
from barnabas.log.files import StorageError
from barnabas.log.handles import FilePool
from barnabas.log.partition import PartitionLog
from barnabas.log.segment import Segment, file_name
from barnabas.protocol.batch import BatchHeader, batches

if TYPE_CHECKING:
    from barnabas.config.topic import TopicConfig

logger = logging.getLogger(__name__)

_NOTHING = 1 << 62


def open_partition(
    topic: str,
    partition: int,
    folder: Path,
    config: TopicConfig,
    *,
    leader_epoch: int,
    now: int,
    clean: bool = True,
    recovery_point: int = 0,
    log_start_offset: int | None = None,
    pool: FilePool | None = None,
) -> PartitionLog:
    """Open or make the log of a partition whose folder exists; `now` is in milliseconds. Raises `StorageError`."""
    try:
        return _open(
            PartitionLog(topic, partition, folder, config, leader_epoch, pool), clean, recovery_point,
            log_start_offset, now,
        )
    except OSError as e:
        raise StorageError(f"{folder}: {e}") from e


def _open(log: PartitionLog, clean: bool, recovery_point: int, log_start_offset: int | None, now: int) -> PartitionLog:
    folder = log.folder
    names = _clean_up(folder, [entry.name for entry in os.scandir(folder)])
    bases = sorted(int(name[:-4]) for name in names if name.endswith(".log") and name[:-4].isdigit())
    log.segments = [log.new_segment(base, _created(folder, base, now)) for base in bases or [log_start_offset or 0]]
    log.log_start_offset = max(log.segments[0].base_offset, log_start_offset or 0)
    log.epochs = _read_epochs(folder)
    snapshots = sorted(
        int(name[:-9]) for name in names if name.endswith(".snapshot") and name[:-9].isdigit()
    )
    _load(log, snapshots, clean=clean, recovery_point=recovery_point)
    active = log.segments[-1]
    log.log_end_offset = max(active.next_offset(), log.log_start_offset)
    if log.log_end_offset > active.next_offset():
        # nothing is left in front of the log start (records were deleted up to the end, or a tail was cut): go on there
        log.segments.append(log.new_segment(log.log_end_offset, now))
        log.segments[-1].file.create()  # its name keeps the offset
        for segment in log.segments[:-1]:
            segment.delete()
        del log.segments[:-1]
    kept = [(epoch, start) for epoch, start in log.epochs if start < log.log_end_offset]
    if kept != log.epochs:
        log.epochs = kept
        write_epochs(folder / LEADER_EPOCHS, kept)
    for offset in snapshots:
        if offset > log.log_end_offset:
            _snapshot_path(log, offset).unlink(missing_ok=True)
    log.recovery_point = log.log_end_offset if clean else min(recovery_point, log.log_end_offset)
    log.note_transactions()
    return log


def _clean_up(folder: Path, names: list[str]) -> list[str]:
    """Finish or undo what was interrupted; return the names of the files that are then there."""
    for name in names:
        if name.endswith((".deleted", ".cleaned", ".tmp")):
            (folder / name).unlink()
    swapped = [name for name in names if name.endswith(".swap")]
    if not swapped:
        return names
    # a compacted segment was complete, but not yet in its place; it stands for all segments in its range of offsets
    for name in swapped:
        if name.endswith(".log.swap"):
            base = int(name.partition(".")[0])
            end = base
            for header, _ in batches((folder / name).read_bytes()):
                end = header.last_offset + 1
            for other in names:
                stem, _, suffix = other.partition(".")
                if stem.isdigit() and base <= int(stem) < end and suffix in ("log", "index", "timeindex", "txnindex"):
                    (folder / other).unlink(missing_ok=True)
    for name in swapped:
        (folder / name).replace(folder / name.removesuffix(".swap"))
    return [entry.name for entry in os.scandir(folder)]


def _created(folder: Path, base: int, now: int) -> int:
    try:
        return int((folder / file_name(base, ".log")).stat().st_mtime * 1000)
    except FileNotFoundError:
        return now


def _read_epochs(folder: Path) -> list[tuple[int, int]]:
    try:
        return read_epochs(folder / LEADER_EPOCHS)
    except CheckpointError as e:
        logger.warning("%s: it is made anew from the batches", e)
        (folder / LEADER_EPOCHS).unlink()
        return []


def _snapshot_path(log: PartitionLog, offset: int) -> Path:
    return log.folder / file_name(offset, ".snapshot")


def _load(log: PartitionLog, snapshots: list[int], *, clean: bool, recovery_point: int) -> None:
    """Load the segments' indexes, and bring producers and epochs up to the end of the log."""
    limits = [*(segment.base_offset for segment in log.segments[1:]), None]
    to_rebuild = set()
    for at, (segment, limit) in enumerate(zip(log.segments, limits, strict=True)):
        suspect = not clean and (limit is None or limit > recovery_point)
        if suspect or not segment.load(limit, trusted=clean):
            to_rebuild.add(at)
    highest = log.segments[min(to_rebuild)].base_offset if to_rebuild else None
    if not clean:
        highest = recovery_point if highest is None else min(highest, recovery_point)
    replay_from = _load_snapshot(log, snapshots, highest, clean)
    if replay_from is None:  # after a clean stop no snapshot at all means that no producer was known
        replay_from = _NOTHING if clean and not snapshots and not to_rebuild else 0
    epochs_known = bool(log.epochs)

    def note_epoch(header: BatchHeader) -> None:
        if header.leader_epoch >= 0 and (not log.epochs or log.epochs[-1][0] < header.leader_epoch):
            log.epochs.append((header.leader_epoch, header.base_offset))

    def replay(segment: Segment, header: BatchHeader, position: int, into: Segment | None) -> None:
        if header.producer_id >= 0 and header.base_offset >= replay_from:
            if header.is_control:
                log.replay_marker(into, header, segment.read(position, header.size))
            else:
                log.producers.update(header, header.max_timestamp)
        note_epoch(header)

    def rebuilt(segment: Segment, header: BatchHeader, position: int) -> None:
        replay(segment, header, position, segment)

    for at, (segment, limit) in enumerate(zip(log.segments, limits, strict=True)):
        if at in to_rebuild:
            suspect = not clean and (limit is None or limit > recovery_point)
            cut = segment.rebuild(log.config.index_interval_bytes, limit, check=suspect, visit=rebuilt)
            if cut:
                logger.warning("%s-%d: cut a torn tail of %d bytes", log.topic, log.partition, cut)
                _drop_behind(log, at)
                break
            if limit is not None:
                segment.seal()
        elif limit is None or limit > replay_from or not epochs_known:
            start = segment.offsets.lookup(replay_from) if epochs_known else 0
            for found in segment.scan(start, 8192):
                replay(segment, found.header, found.position, None)
    if log.epochs and not epochs_known:
        write_epochs(log.folder / LEADER_EPOCHS, log.epochs)


def _load_snapshot(log: PartitionLog, snapshots: list[int], highest: int | None, clean: bool) -> int | None:
    """Load the newest valid snapshot that is not beyond an offset, and drop those beyond; return its offset."""
    found = None
    for offset in reversed(snapshots):
        path = _snapshot_path(log, offset)
        if found is None and (highest is None or offset <= highest) and log.producers.load(path):
            found = offset
            log.snapshot_offset = offset if clean else -1
        elif found is None:
            logger.info("%s-%d: dropped the producer snapshot %s", log.topic, log.partition, path.name)
            path.unlink(missing_ok=True)
    return found


def _drop_behind(log: PartitionLog, at: int) -> None:
    """Drop the segments behind one whose tail was cut: they would leave a hole in the offsets."""
    for segment in log.segments[at + 1 :]:
        logger.warning("%s-%d: dropped segment %d behind the cut", log.topic, log.partition, segment.base_offset)
        segment.delete()
    del log.segments[at + 1 :]
