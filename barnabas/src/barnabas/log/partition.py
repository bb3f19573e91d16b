"""Keep one partition: append batches, read them, look up offsets, drop what retention no longer keeps.

Guarantees: offsets are assigned in order and without holes; an append either happens whole or not at all; what
`append` returned for has reached the operating system. There is one node, so the high watermark is the log end.
Once a sync has failed nobody knows what is on the disk: the log takes no more writes until it is opened again, which
compares all CRCs.

A batch's bytes are the client's own: only base offset and leader epoch are patched, in place, before the write.
"""

from __future__ import annotations

import logging
import random
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from barnabas.log.checkpoints import LEADER_EPOCHS, write_epochs
from barnabas.log.files import StorageError
from barnabas.log.handles import FilePool, SyncJob
from barnabas.log.producers import AbortedTransaction, CachedBatch, ProducerStates
from barnabas.log.segment import MAX_RELATIVE_OFFSET, BatchPosition, Segment, file_name
from barnabas.log.validation import Checked, check_batch
from barnabas.protocol.batch import HEADER_SIZE, BatchHeader, read_records
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.schema import Buffer

if TYPE_CHECKING:
    from barnabas.config.topic import TopicConfig

logger = logging.getLogger(__name__)

#: positions of recent reads, so that a consumer's next fetch needs no search
_MAX_HINTS = 64
#: how far back earlier batches of a producer are looked for, in index entries: at least 256 KiB and 64 batches
_RECALLED_ENTRIES = 64


class Appended(NamedTuple):
    """Say where a batch went. `timestamp` is the append time in milliseconds where the topic stamps it, else -1."""

    base_offset: int
    last_offset: int
    timestamp: int
    duplicate: bool = False


class OffsetAndTimestamp(NamedTuple):
    """Answer a look-up by time; (-1, -1) where nothing was found. Time in milliseconds."""

    offset: int
    timestamp: int
    leader_epoch: int


class PartitionLog:
    """Hold the segments of one partition and the state that follows from them.

    Made by `recovery.open_partition`, which fills the segments, the producers and the epochs.
    """

    def __init__(
        self, topic: str, partition: int, folder: Path, config: TopicConfig, leader_epoch: int,
        pool: FilePool | None = None, jitter: Callable[[], float] = random.random,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.folder = folder
        self.config = config
        self.leader_epoch = leader_epoch
        self.segments: list[Segment] = []
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.recovery_point = 0
        self.producers = ProducerStates()
        #: where the newest durable snapshot of the producers stands, -1 where that is not known
        self.snapshot_offset = -1
        self.epochs: list[tuple[int, int]] = []
        self.on_roll: Callable[[PartitionLog], None] = PartitionLog.flush
        self.messages_in = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self._pool = pool if pool is not None else FilePool()
        self._jitter = jitter
        self._folder_changed = False
        self._failed = False
        self._closed = False
        self._unstable: int | None = None
        self._waiters: dict[object, Callable[[], None]] = {}
        self._hints: dict[int, tuple[Segment, int]] = {}

    @property
    def config(self) -> TopicConfig:
        """Return the configuration in effect; another may be set while the log is open."""
        return self._config

    @config.setter
    def config(self, config: TopicConfig) -> None:
        self._config = config
        self._segment_size = config.segment_size

    # --- what a reader may see ------------------------------------------------------------------------------

    @property
    def high_watermark(self) -> int:
        """Return the offset that readers may read up to: with one node, the log end."""
        return self.log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """Return the offset that read_committed readers may read up to."""
        return self.log_end_offset if self._unstable is None else self._unstable

    @property
    def size(self) -> int:
        """Return the bytes of all segments' log files."""
        return sum(s.size for s in self.segments)

    def subscribe(self, key: object, wake: Callable[[], None]) -> None:
        """Call `wake` after each append until `unsubscribe(key)`."""
        self._waiters[key] = wake

    def unsubscribe(self, key: object) -> None:
        """End a subscription; harmless where there is none."""
        self._waiters.pop(key, None)

    def wake(self) -> None:
        """Call all who subscribed."""
        for wake in tuple(self._waiters.values()):
            wake()

    # --- append ---------------------------------------------------------------------------------------------

    def append(self, batch: memoryview, now: int, *, client: bool = True) -> Appended:
        """Append one batch, patching it in place; `now` is in milliseconds.

        `client` is False for batches that the broker itself makes, which may hold control records. Raises
        `KafkaError` where the batch is refused (nothing changed) and with KAFKA_STORAGE_ERROR where the disk fails.
        """
        checked = check_batch(batch, self._config, now, client=client)
        header = checked.header
        if client and header.producer_id >= 0:
            repeated = self._check_producer(header)
            if repeated is not None:
                stamped = -1 if checked.append_time < 0 else repeated.timestamp
                return Appended(repeated.first_offset, repeated.last_offset, stamped, duplicate=True)
        try:
            return self._store(checked, now)
        except StorageError as e:
            logger.error("%s-%d: the write failed: %s", self.topic, self.partition, e)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"The disk refused the write: {e}") from e

    def _check_producer(self, header: BatchHeader) -> CachedBatch | None:
        try:
            return self.producers.check(header)
        except KafkaError:
            if not self.producers.lacks_history(header):
                raise
        # a client may retry any of five batches, a snapshot keeps the last: look into the log, once a producer
        try:
            self.producers.recall(header.producer_id, self._newest_headers())
        except StorageError as e:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(e)) from e
        return self.producers.check(header)

    def _newest_headers(self) -> Iterator[BatchHeader]:
        """Yield headers of the newest batches, oldest first."""
        left = _RECALLED_ENTRIES
        starts: list[tuple[Segment, int]] = []
        for segment in reversed(self.segments):
            starts.append((segment, segment.offsets.position_of(len(segment.offsets) - left)))
            left -= len(segment.offsets) + 1
            if left <= 0:
                break
        for segment, start in reversed(starts):
            for found in segment.scan(start, HEADER_SIZE):
                yield found.header

    def _store(self, checked: Checked, now: int) -> Appended:
        if self._failed:
            raise StorageError("an earlier sync failed; restart the broker")
        batch, header, append_time = checked
        base = self.log_end_offset
        size = len(batch)
        segment = self._segment_for(header, size, now)
        epoch = self.leader_epoch
        if not self.epochs or self.epochs[-1][0] < epoch:
            self._begin_epoch(epoch, base)
        _PATCH_OFFSET(batch, 0, base)
        _PATCH_EPOCH(batch, 12, epoch)
        last = base + header.last_offset_delta
        segment.append(batch, last, header.max_timestamp, self._config.index_interval_bytes)
        self.log_end_offset = last + 1
        self.messages_in += header.record_count
        self.bytes_in += size
        if header.producer_id >= 0:
            self._update_producers(segment, header._replace(base_offset=base, leader_epoch=epoch), batch)
        if self._waiters:
            self.wake()
        return Appended(base, last, append_time)

    def _update_producers(self, segment: Segment, header: BatchHeader, batch: Buffer) -> None:
        if header.is_control:
            self.replay_marker(segment, header, batch)
        else:
            self.producers.update(header, header.max_timestamp)
            if header.is_transactional and self._unstable is None:
                self._unstable = header.base_offset

    def replay_marker(self, segment: Segment | None, header: BatchHeader, batch: Buffer) -> None:
        """Take in a transaction marker; other control records are left alone.

        `segment` is where an aborted transaction is noted, None where it stands in the index already.
        """
        for record in read_records(header, batch):
            if record.key is None or len(record.key) < 4:
                continue
            kind = int.from_bytes(record.key[2:4], "big")
            if kind in (0, 1):
                value = record.value or b""
                coordinator = int.from_bytes(value[2:6], "big", signed=True) if len(value) >= 6 else -1
                aborted = self.producers.end_transaction(header, coordinator, commit=kind == 1)
                if aborted is not None and segment is not None:
                    segment.add_aborted(aborted)
        self.note_transactions()

    def note_transactions(self) -> None:
        """Recompute where the earliest open transaction begins."""
        self._unstable = self.producers.first_unstable_offset()

    def _segment_for(self, header: BatchHeader, size: int, now: int) -> Segment:
        active = self.segments[-1]
        used = active.file.size
        if used == 0:
            return active
        config = self._config
        first, newest = active.first_timestamp, header.max_timestamp
        known = first is not None and first >= 0 and newest >= 0
        waited = newest - first if known else now - active.created_ms  # type: ignore[operator]
        if (
            used + size > self._segment_size
            or waited > config.segment_ms - active.jitter * min(config.segment_jitter_ms, config.segment_ms)
            or self.log_end_offset + header.last_offset_delta - active.base_offset > MAX_RELATIVE_OFFSET
            or active.is_full(config.segment_index_bytes)
        ):
            return self.roll(now)
        return active

    def _begin_epoch(self, epoch: int, offset: int) -> None:
        epochs = [*self.epochs, (epoch, offset)]
        write_epochs(self.folder / LEADER_EPOCHS, epochs)
        self.epochs = epochs

    def new_segment(self, base_offset: int, created_ms: int) -> Segment:
        """Make the object of a segment, its files as they are."""
        self._folder_changed = True
        return Segment(self.folder, base_offset, created_ms, self._pool, self._jitter())

    def roll(self, now: int) -> Segment:
        """Begin a new segment at the log end, unless the active one is empty; raises `StorageError`."""
        active = self.segments[-1]
        if active.size == 0:
            return active
        segment = self.new_segment(self.log_end_offset, now)
        segment.file.create()
        active.seal()
        self.segments.append(segment)
        self.snapshot(sync=False, always=True)
        self.on_roll(self)
        return segment

    # --- durability -----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Make everything up to the log end durable and raise the recovery point; raises `StorageError`."""
        job, end = self.begin_sync()
        try:
            job.run()
        except StorageError:
            self.synced(end, worked=False)
            raise
        self.synced(end, worked=True)

    def begin_sync(self) -> tuple[SyncJob, int]:
        """Return what must be synced, to be run in any thread, and the log end to give to `synced` afterwards.

        Raises `StorageError`, and then nothing is to be run.
        """
        if self._failed:
            raise StorageError("an earlier sync failed; restart the broker")
        if self._closed:  # deleted meanwhile: there is nothing to keep
            return SyncJob([]), self.log_end_offset
        descriptors: list[int] = []
        try:
            for segment in self._unflushed():
                descriptors += segment.to_sync()
        except StorageError:
            SyncJob(descriptors).close()
            self._failed = True
            raise
        changed, self._folder_changed = self._folder_changed, False
        return SyncJob(descriptors, [self.folder] if changed else []), self.log_end_offset

    def synced(self, end: int, *, worked: bool) -> None:
        """Take in how a sync up to an offset ended."""
        if worked:
            self.recovery_point = max(self.recovery_point, end)
        elif not self._failed:
            self._failed = True
            logger.error("%s-%d: a sync failed; no more writes until the next start", self.topic, self.partition)

    def _unflushed(self) -> list[Segment]:
        """Return the segments that hold offsets at or beyond the recovery point."""
        at = bisect_right(self.segments, self.recovery_point, key=_base_offset)
        return self.segments[max(at - 1, 0) :]

    def snapshot(self, *, sync: bool, always: bool = False) -> None:
        """Write the producers' state at the log end; keep that, and those at the bases of segments.

        Where no producer was ever known none is written, except on a roll (`always`): recovery then need not read
        what lies in front of it. Raises `StorageError` with `sync`; else a missing snapshot only costs time.
        """
        if self.snapshot_offset == self.log_end_offset:
            return  # nothing came since
        if not always and not self.producers.producers and not any(self.folder.glob("*.snapshot")):
            return
        path = self.folder / file_name(self.log_end_offset, ".snapshot")
        bases = {file_name(segment.base_offset, ".snapshot") for segment in self.segments}
        try:
            self.producers.save(path, sync=sync)
            self.snapshot_offset = self.log_end_offset if sync else -1
            for other in self.folder.glob("*.snapshot"):
                if other.name != path.name and other.name not in bases:
                    other.unlink(missing_ok=True)
        except (StorageError, OSError) as e:
            if sync:
                raise e if isinstance(e, StorageError) else StorageError(str(e)) from e
            logger.warning("%s-%d: no producer snapshot: %s", self.topic, self.partition, e)

    def close(self, *, clean: bool) -> None:
        """Close all files; a clean close flushes, and leaves what the next start needs to skip recovery.

        Raises `StorageError` where that cannot be done: the stop was then not clean.
        """
        try:
            if clean and not self._closed:
                self.segments[-1].seal()
                self.snapshot(sync=True)
                self.flush()
        finally:
            self._closed = True
            for segment in self.segments:
                segment.close()

    # --- read -----------------------------------------------------------------------------------------------

    def read(self, offset: int, max_bytes: int, *, limit: int, at_least_one: bool) -> bytes:
        """Read whole batches from the one that holds `offset`, up to the readable `limit` (an offset).

        Returns nothing at the limit. `at_least_one`: the first batch comes whole, however large. Raises
        `KafkaError` OFFSET_OUT_OF_RANGE below the log start or beyond the log end, KAFKA_STORAGE_ERROR.
        """
        if offset >= limit:
            if offset > self.log_end_offset:
                raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
            return b""
        if offset < self.log_start_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        try:
            return self._read(offset, max_bytes, limit, at_least_one)
        except StorageError as e:
            logger.error("%s-%d: the read failed: %s", self.topic, self.partition, e)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(e)) from e

    def _read(self, offset: int, max_bytes: int, limit: int, at_least_one: bool) -> bytes:
        found = None
        hint = self._hints.get(offset)
        if hint is not None and hint[1] < hint[0].file.size:
            segment, position = hint
        else:  # a hint at the end of its segment is void: the log may go on in the next one
            at = bisect_right(self.segments, offset, key=_base_offset) - 1
            while True:  # a compacted segment may end below the offset: go on in the next
                segment = self.segments[at]
                found = segment.locate(offset)
                if found is not None:
                    break
                at += 1
                if at >= len(self.segments):
                    return b""
            position = found.position
        end = segment.size
        if limit < self.log_end_offset:
            end = self._position_of(segment, limit)
        size = min(max_bytes, end - position)
        if 0 <= size < end - position:
            first = found or next(segment.scan(position, HEADER_SIZE), None)
            if first is not None and size < first.header.size:
                size = first.header.size if at_least_one else 0  # a part of a batch helps nobody
        if size <= 0:
            return b""
        data = segment.read(position, size)
        self.bytes_out += len(data)
        if position + size == segment.size:
            self._remember(self._end_of(segment), segment, position + size)
        return data

    def _end_of(self, segment: Segment) -> int:
        if segment is self.segments[-1]:
            return self.log_end_offset
        return -1  # the next read begins in another segment

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        if offset < 0:
            return
        hints = self._hints
        if len(hints) >= _MAX_HINTS:
            del hints[next(iter(hints))]
        hints[offset] = (segment, position)

    def _position_of(self, segment: Segment, offset: int) -> int:
        found = segment.locate(offset)
        return segment.size if found is None else found.position

    def aborted_transactions(self, start: int, end: int) -> list[AbortedTransaction]:
        """Return the aborted transactions with records in a range of offsets, end excluded."""
        return [
            aborted
            for segment in self.segments
            for aborted in segment.transactions.entries
            if aborted.last_offset >= start and aborted.first_offset < end
        ]

    # --- look up --------------------------------------------------------------------------------------------

    def offset_for_timestamp(self, timestamp: int) -> OffsetAndTimestamp | None:
        """Find the first record, not its batch, at or after a time in milliseconds."""
        for segment in self.segments:
            if segment.max_timestamp < timestamp:
                continue
            found = segment.find_timestamp(timestamp)
            while found is not None:
                answer = self._first_record(segment, found, timestamp)
                if answer is not None:
                    return answer
                found = segment.locate(found.header.last_offset + 1)
        return None

    def _first_record(self, segment: Segment, found: BatchPosition, timestamp: int) -> OffsetAndTimestamp | None:
        header = found.header
        if header.max_timestamp < timestamp:
            return None
        for record in read_records(header, segment.batch(found)):
            if record.timestamp >= timestamp and record.offset >= self.log_start_offset:
                return OffsetAndTimestamp(record.offset, record.timestamp, header.leader_epoch)
        return None

    def offset_of_max_timestamp(self) -> OffsetAndTimestamp | None:
        """Find the first record with the largest timestamp."""
        newest = max(self.segments, key=lambda s: s.max_timestamp)
        if newest.max_timestamp < 0:
            return None
        found = newest.find_timestamp(newest.max_timestamp)
        return None if found is None else self._first_record(newest, found, newest.max_timestamp)

    def epoch_at(self, offset: int) -> int:
        """Return the leader epoch that an offset was written in, -1 where that is not known."""
        at = bisect_right(self.epochs, offset, key=lambda e: e[1])
        return self.epochs[at - 1][0] if at else -1

    def end_of_epoch(self, epoch: int) -> tuple[int, int]:
        """Return the largest known epoch at or below one, and the offset where it ended; (-1, -1) if unknown."""
        if epoch == self.leader_epoch:
            return epoch, self.log_end_offset
        known = self.epochs
        if not known or known[-1][0] < self.leader_epoch:  # the present epoch has no batch yet: it begins at the end
            known = [*known, (self.leader_epoch, self.log_end_offset)]
        at = bisect_right(known, epoch, key=lambda e: e[0])
        if at == len(known):
            return (-1, -1)
        if at == 0:
            return epoch, known[0][1]
        return known[at - 1][0], known[at][1]

    # --- drop -----------------------------------------------------------------------------------------------

    def delete_records_before(self, offset: int) -> None:
        """Raise the log start; segments wholly below it go. Raises `KafkaError` OFFSET_OUT_OF_RANGE."""
        if offset > self.high_watermark or offset < 0:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        if offset > self.log_start_offset:
            self._raise_start(offset)

    def _raise_start(self, offset: int) -> None:
        self.log_start_offset = offset
        while len(self.segments) > 1 and self.segments[1].base_offset <= offset:
            self._drop(self.segments[0])
        if self.epochs and self.epochs[0][1] < offset:
            at = bisect_right(self.epochs, offset, key=lambda e: e[1])
            kept = self.epochs[max(at - 1, 0) :]
            self.epochs = [(kept[0][0], max(kept[0][1], offset)), *kept[1:]]
            write_epochs(self.folder / LEADER_EPOCHS, self.epochs)

    def _drop(self, segment: Segment) -> None:
        self.segments.remove(segment)
        self._hints.clear()
        try:
            segment.delete()
        except OSError as e:
            raise StorageError(str(e)) from e

    def apply_retention(self, now: int) -> int:
        """Drop segments that `retention.ms` and `retention.bytes` no longer keep; return how many.

        An active segment that has expired is rolled first, so that a topic can become empty.
        """
        if "delete" not in self.config.cleanup_policy:
            return 0
        dropped = 0
        while self._oldest_is_expired(now):
            if len(self.segments) == 1:
                if self.segments[0].size == 0:
                    break
                self.roll(now)
            oldest = self.segments[0]
            self._raise_start(max(self.log_start_offset, self.segments[1].base_offset))
            logger.info(
                "%s-%d: deleted segment %d, retention passed", self.topic, self.partition, oldest.base_offset
            )
            dropped += 1
        return dropped

    def _oldest_is_expired(self, now: int) -> bool:
        oldest = self.segments[0]
        if oldest.size == 0:
            return False
        if self.config.retention_ms >= 0 and now - self._age_base(oldest) > self.config.retention_ms:
            return True
        limit = self.config.retention_bytes
        return limit >= 0 and self.size - oldest.size >= limit and len(self.segments) > 1

    def _age_base(self, segment: Segment) -> int:
        return segment.max_timestamp if segment.max_timestamp >= 0 else segment.created_ms

    def next_expiry(self, now: int) -> int | None:
        """Return the earliest time in milliseconds at which something can expire, None where nothing ever does."""
        if "delete" not in self.config.cleanup_policy or self.config.retention_ms < 0:
            return None
        oldest = self.segments[0]
        # what comes into an empty log from now on lives for the whole time
        return (now if oldest.size == 0 else self._age_base(oldest)) + self.config.retention_ms + 1


def _base_offset(segment: Segment) -> int:
    return segment.base_offset


_PATCH_OFFSET = struct.Struct(">q").pack_into
_PATCH_EPOCH = struct.Struct(">i").pack_into
