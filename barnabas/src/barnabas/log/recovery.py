"""Open a partition's folder: after a clean stop from its files as they stand, else by reading what may be torn.

Without the clean marker every segment at or beyond the recovery point is read whole: CRCs are compared, the torn
tail is cut, indexes are made anew. Producer state comes from the newest snapshot that is still valid, and from the
batches behind it.

Kafka's own folders open too: leftovers of an interrupted clean-up (`.deleted`, `.cleaned`, `.swap`) are dealt with as
Kafka deals with them.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from barnabas.log.checkpoints import LEADER_EPOCHS, CheckpointError, read_epochs, write_epochs
from barnabas.log.partition import PartitionLog
from barnabas.log.segment import Segment, file_name
from barnabas.protocol.batch import BatchHeader

if TYPE_CHECKING:
    from barnabas.config.topic import TopicConfig

logger = logging.getLogger(__name__)

#: how much of a cleanly closed log is read again to know the last five batches of each producer, not only one
_TAIL_BYTES = 256 * 1024
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
) -> PartitionLog:
    """Open or make the log of a partition whose folder exists; `now` is in milliseconds."""
    log = PartitionLog(topic, partition, folder, config, leader_epoch)
    bases = _clean_up(folder)
    log.segments = [Segment(folder, base, _created(folder, base, now)) for base in bases or [log_start_offset or 0]]
    log.log_start_offset = max(log.segments[0].base_offset, log_start_offset or 0)
    log.epochs = _read_epochs(folder)
    _load(log, clean=clean, recovery_point=recovery_point)
    active = log.segments[-1]
    log.log_end_offset = max(active.next_offset(), log.log_start_offset)
    if log.log_end_offset > active.base_offset and active.size == 0:
        # the log start was raised beyond everything: go on there
        log.segments.append(Segment(folder, log.log_end_offset, now))
        log.segments.pop(-2).delete()
    kept = [(epoch, start) for epoch, start in log.epochs if start < log.log_end_offset]
    if kept != log.epochs:
        log.epochs = kept
        write_epochs(folder / LEADER_EPOCHS, kept)
    for snapshot in _snapshots(folder):
        if snapshot[0] > log.log_end_offset:
            snapshot[1].unlink(missing_ok=True)
    log.recovery_point = log.log_end_offset if clean else min(recovery_point, log.log_end_offset)
    log.note_transactions()
    return log


def _clean_up(folder: Path) -> list[int]:
    """Finish or undo what was interrupted; return the base offsets of the segments, rising."""
    for path in list(folder.iterdir()):
        if path.suffix in (".deleted", ".cleaned", ".tmp"):
            path.unlink()
    for path in list(folder.glob("*.swap")):  # a compacted segment that was complete, but not yet in its place
        path.replace(path.with_suffix(""))
    return sorted(int(path.stem) for path in folder.glob("*.log") if path.stem.isdigit())


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


def _snapshots(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.stem), path) for path in folder.glob("*.snapshot") if path.stem.isdigit())


def _load(log: PartitionLog, *, clean: bool, recovery_point: int) -> None:
    """Load the segments' indexes, and bring producers and epochs up to the end of the log."""
    snapshot_offset = _load_snapshot(log, clean, recovery_point)
    epochs_known = bool(log.epochs)
    replay_from = snapshot_offset

    def visit(segment: Segment, header: BatchHeader, position: int) -> None:
        if header.producer_id >= 0 and header.base_offset >= replay_from:
            if header.is_control:
                log.replay_marker(segment, header, segment.read(position, header.size))
            else:
                log.producers.update(header, header.max_timestamp)
        if header.leader_epoch >= 0 and (not log.epochs or log.epochs[-1][0] < header.leader_epoch):
            log.epochs.append((header.leader_epoch, header.base_offset))

    for at, segment in enumerate(log.segments):
        following = log.segments[at + 1].base_offset if at + 1 < len(log.segments) else None
        suspect = not clean and (following is None or following > recovery_point)
        if suspect or not segment.load():
            cut = segment.rebuild(log.config.index_interval_bytes, suspect, visit)
            if cut:
                logger.warning("%s-%d: cut a torn tail of %d bytes", log.topic, log.partition, cut)
                _drop_behind(log, at)
                break
        elif following is None or following > snapshot_offset or not epochs_known:
            start = segment.offsets.lookup(snapshot_offset) if epochs_known else 0
            for found in segment.scan(start):
                visit(segment, found.header, found.position)
    if clean and log.producers.producers:
        _recall_batches(log)
    if log.epochs and not epochs_known:
        write_epochs(log.folder / LEADER_EPOCHS, log.epochs)


def _load_snapshot(log: PartitionLog, clean: bool, recovery_point: int) -> int:
    """Load the newest snapshot that can be trusted; return the offset from which batches must be replayed.

    A clean stop without any snapshot means that no producer was known: there is nothing to replay.
    """
    for offset, path in reversed(_snapshots(log.folder)):
        trusted = clean or offset <= recovery_point
        if trusted and log.producers.load(path):
            return offset
        logger.info("%s-%d: dropped the producer snapshot %s", log.topic, log.partition, path.name)
        path.unlink()
    return _NOTHING if clean else 0


def _recall_batches(log: PartitionLog) -> None:
    """Read the last batches again: a snapshot keeps one batch a producer, a client may retry any of five."""
    segment = log.segments[-1]
    newest = {i: p.batches[-1].last_offset for i, p in log.producers.producers.items() if p.batches}
    recalled: set[int] = set()
    start = segment.offsets.position_near(segment.size - _TAIL_BYTES)
    for found in segment.scan(start):
        header = found.header
        producer = log.producers.producers.get(header.producer_id)
        if producer is None or header.is_control or header.producer_epoch != producer.epoch:
            continue
        if header.producer_id in newest and header.last_offset <= newest[header.producer_id]:
            if header.producer_id not in recalled:
                recalled.add(header.producer_id)
                producer.batches.clear()
            opened = producer.transaction_start
            log.producers.update(header, header.max_timestamp)
            producer.transaction_start = opened


def _drop_behind(log: PartitionLog, at: int) -> None:
    """Drop the segments behind one whose tail was cut: they would leave a hole in the offsets."""
    for segment in log.segments[at + 1 :]:
        logger.warning("%s-%d: dropped segment %d behind the cut", log.topic, log.partition, segment.base_offset)
        segment.delete()
    del log.segments[at + 1 :]
