"""Remember what each producer wrote to a partition, so that a retry is recognised and never stored twice.

For every producer id: its epoch and its last five batches. A batch that repeats one of them is a duplicate and is
answered with the offsets of the first try; a batch that does not continue the sequence is refused. Open
transactions are tracked too: the first of them bounds the last stable offset.

State follows from the log alone. `.snapshot` files hold it at some offset, with the last batch of each producer;
the rest is replayed from batch headers. Source: KIP-98, KIP-360; Kafka's ProducerSnapshot definition.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from barnabas.log.files import replace_file
from barnabas.protocol.batch import BatchHeader, crc32c
from barnabas.protocol.errors import ErrorCode, KafkaError

#: batches remembered for each producer: what a client may have in flight
CACHED_BATCHES: Final = 5

_ENTRY: Final = struct.Struct(">qhiqiqiq")
_HEAD: Final = struct.Struct(">hIi")


class CachedBatch(NamedTuple):
    """Hold what must be known to recognise a batch again."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int
    timestamp: int


class AbortedTransaction(NamedTuple):
    """Hold one entry of the transaction index: an aborted transaction and the last stable offset after it."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class Producer:
    """Hold the state of one producer id in one partition. `timestamp` is of its last batch, in milliseconds."""

    __slots__ = ("batches", "coordinator_epoch", "epoch", "partial", "timestamp", "transaction_start")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        #: True where only the last batch is known, from a snapshot: the log holds those in front of it
        self.partial = False
        self.batches: deque[CachedBatch] = deque(maxlen=CACHED_BATCHES)
        self.timestamp = -1
        self.coordinator_epoch = -1
        self.transaction_start = -1

    def begin_epoch(self, epoch: int) -> None:
        """Forget the batches of an earlier epoch: its sequences count no more."""
        self.epoch = epoch
        self.batches.clear()
        self.partial = False


class ProducerStates:
    """Hold the producers of one partition."""

    def __init__(self) -> None:
        self.producers: dict[int, Producer] = {}

    def lacks_history(self, header: BatchHeader) -> bool:
        """Tell whether a batch may repeat one that a snapshot did not keep: `recall` then knows more."""
        producer = self.producers.get(header.producer_id)
        return producer is not None and producer.partial and header.producer_epoch == producer.epoch

    def recall(self, producer_id: int, headers: Iterable[BatchHeader]) -> None:
        """Take in the batches of a producer that the log still holds, oldest first."""
        producer = self.producers[producer_id]
        producer.partial = False
        known = {batch.last_offset for batch in producer.batches}
        newest = max(known, default=-1)
        earlier = [
            CachedBatch(h.base_sequence, h.last_sequence, h.base_offset, h.last_offset, h.max_timestamp)
            for h in headers
            if h.producer_id == producer_id and h.producer_epoch == producer.epoch and not h.is_control
            and h.last_offset < newest and h.last_offset not in known
        ]
        batches = sorted([*earlier, *producer.batches], key=lambda b: b.last_offset)
        producer.batches = deque(batches, maxlen=CACHED_BATCHES)

    def check(self, header: BatchHeader) -> CachedBatch | None:
        """Admit a client's batch: None, or the earlier batch that it repeats.

        Raises `KafkaError`: INVALID_PRODUCER_EPOCH for a stale epoch, OUT_OF_ORDER_SEQUENCE_NUMBER for a gap.
        """
        producer = self.producers.get(header.producer_id)
        if producer is None:
            return None  # an unknown producer may start anywhere: its state may have expired
        if header.producer_epoch < producer.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"Epoch of producer {header.producer_id} is {header.producer_epoch}, "
                f"which is smaller than the last seen epoch {producer.epoch}",
            )
        if header.producer_epoch > producer.epoch:
            if header.base_sequence != 0:
                raise _out_of_order(header, -1)
            return None
        last_sequence = header.last_sequence
        for cached in producer.batches:
            if cached.first_sequence == header.base_sequence and cached.last_sequence == last_sequence:
                return cached
        if producer.batches:
            newest = producer.batches[-1].last_sequence
            if header.base_sequence != (newest + 1) & 0x7FFFFFFF:
                raise _out_of_order(header, newest)
        return None

    def update(self, header: BatchHeader, timestamp: int) -> None:
        """Take in a stored data batch of a producer."""
        producer = self.producers.get(header.producer_id)
        if producer is None:
            producer = self.producers[header.producer_id] = Producer(header.producer_epoch)
        elif header.producer_epoch != producer.epoch:
            producer.begin_epoch(header.producer_epoch)
        producer.batches.append(
            CachedBatch(header.base_sequence, header.last_sequence, header.base_offset, header.last_offset, timestamp)
        )
        producer.timestamp = timestamp
        if header.is_transactional and producer.transaction_start < 0:
            producer.transaction_start = header.base_offset

    def end_transaction(
        self, header: BatchHeader, coordinator_epoch: int, commit: bool
    ) -> AbortedTransaction | None:
        """Take in a marker; return the index entry of an aborted transaction."""
        producer = self.producers.get(header.producer_id)
        if producer is None:
            producer = self.producers[header.producer_id] = Producer(header.producer_epoch)
        if header.producer_epoch != producer.epoch:
            producer.begin_epoch(header.producer_epoch)
        first = producer.transaction_start
        producer.transaction_start = -1
        producer.coordinator_epoch = coordinator_epoch
        producer.timestamp = header.max_timestamp
        if commit or first < 0:
            return None
        stable = self.first_unstable_offset()
        return AbortedTransaction(
            header.producer_id, first, header.base_offset, header.base_offset + 1 if stable is None else stable
        )

    def first_unstable_offset(self) -> int | None:
        """Return where the earliest open transaction begins."""
        return min((p.transaction_start for p in self.producers.values() if p.transaction_start >= 0), default=None)

    def expire(self, before: int) -> None:
        """Forget producers whose last batch is older than a time in milliseconds, never inside a transaction."""
        stale = [i for i, p in self.producers.items() if p.timestamp < before and p.transaction_start < 0]
        for producer_id in stale:
            del self.producers[producer_id]

    def clear(self) -> None:
        """Forget everything."""
        self.producers.clear()

    def save(self, path: Path, *, sync: bool) -> None:
        """Write a snapshot file."""
        body = bytearray(struct.pack(">i", len(self.producers)))
        for producer_id, p in self.producers.items():
            if p.batches:
                last = p.batches[-1]
                sequence, offset = last.last_sequence, last.last_offset
                delta = last.last_offset - last.first_offset
            else:
                sequence, offset, delta = -1, -1, 0
            body += _ENTRY.pack(
                producer_id, p.epoch, sequence, offset, delta, p.timestamp, p.coordinator_epoch, p.transaction_start
            )
        replace_file(path, struct.pack(">hI", 1, crc32c(bytes(body))) + bytes(body), sync=sync)

    def load(self, path: Path) -> bool:
        """Replace the state by that of a snapshot file; False, and an empty state, where it is malformed."""
        self.producers.clear()
        data = path.read_bytes()
        if len(data) < _HEAD.size:
            return False
        version, crc, count = _HEAD.unpack_from(data)
        if version != 1 or crc32c(data[6:]) != crc or len(data) != _HEAD.size + count * _ENTRY.size:
            return False
        for producer_id, epoch, sequence, offset, delta, timestamp, coordinator, start in _ENTRY.iter_unpack(
            data[_HEAD.size :]
        ):
            producer = self.producers[producer_id] = Producer(epoch)
            producer.timestamp, producer.coordinator_epoch, producer.transaction_start = timestamp, coordinator, start
            producer.partial = True
            if sequence >= 0:
                producer.batches.append(
                    CachedBatch((sequence - delta) & 0x7FFFFFFF, sequence, offset - delta, offset, timestamp)
                )
        return True


def _out_of_order(header: BatchHeader, newest: int) -> KafkaError:
    return KafkaError(
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        f"Out of order sequence number for producer {header.producer_id}: {header.base_sequence} "
        f"(incoming seq. number), {newest} (current end sequence number)",
    )
