"""Snapshots: what a service knew at an offset, kept in a compacted topic, so that it goes on exactly from there.

A snapshot holds the state (bytes that only its service reads), the offset of the next record to read, and where the
ends of the topics that the service writes to were when everything up to that offset had been acknowledged. Whoever
goes on reads what stands behind those ends, and so knows what has been written already since.

The record of a snapshot is msgpack; its key is `service topic-partition`, its partition that of what was read. Only
the last one counts, and it stands near the end: it is looked for backwards.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec
from confluent_kafka import KafkaException, Message, Producer

from barnabas_quant.bus.ranges import Partition, RangeReader
from barnabas_quant.bus.topics import ANALYSIS_STATE, client_settings
from barnabas_quant.errors import BusError

log = logging.getLogger(__name__)

VERSION = 1
_LARGEST = 16 * 2**20
_LONGEST_STRIDE = 4096


class Snapshot(msgspec.Struct, array_like=True, frozen=True):
    """Say where a service stands with one partition."""

    version: int
    next_offset: int
    written: dict[str, list[int]]
    """For each topic written to, the end of each of its partitions."""
    state: dict[str, bytes]


_decoder = msgspec.msgpack.Decoder(Snapshot)


class SnapshotStore:
    """Read and write the snapshots of one service."""

    def __init__(self, bootstrap: str, service: str, partitions: int) -> None:
        """Take the number of partitions of the topic that holds snapshots."""
        self._bootstrap = bootstrap
        self._service = service
        self._partitions = partitions
        self._failure: str | None = None
        self._producer = Producer(
            client_settings(
                bootstrap,
                {
                    "enable.idempotence": True,
                    "message.timeout.ms": 0,
                    "message.max.bytes": _LARGEST,
                    "linger.ms": 5,
                    "on_delivery": self._delivered,
                },
            )
        )

    def read(self, partitions: Iterable[Partition]) -> dict[Partition, Snapshot | None]:
        """Find the last snapshot of what was read from each partition; None where there is none that can be used."""
        with RangeReader(self._bootstrap) as reader:
            return {partition: self._find(reader, partition) for partition in partitions}

    def _find(self, reader: RangeReader, partition: Partition) -> Snapshot | None:
        key, at = self._place(partition)
        low, end = reader.bounds([at])[at]
        stride = 64
        while low < end:
            start = max(low, end - stride)
            found: Message | None = None
            for message in reader.read({at: (start, end)}):
                if message.key() == key:
                    found = message
            if found is not None:
                return self._decode(found)
            end, stride = start, min(stride * 8, _LONGEST_STRIDE)
        return None

    def put(self, partition: Partition, snapshot: Snapshot) -> None:
        """Hand a snapshot over. Raises BusError where it is too large."""
        key, (topic, number) = self._place(partition)
        value = msgspec.msgpack.encode(snapshot)
        try:
            self._producer.produce(topic, value, key, number)
        except (BufferError, KafkaException) as error:
            raise BusError(f"a snapshot of {len(value)} bytes was refused: {error}") from error

    def flush(self, seconds: float) -> bool:
        """Wait until all are acknowledged; answer False where some are not. Raises BusError on a refusal."""
        left = self._producer.flush(seconds)
        if self._failure is not None:
            raise BusError(self._failure)
        return left == 0

    def _place(self, partition: Partition) -> tuple[bytes, Partition]:
        topic, number = partition
        key = f"{self._service} {topic}-{number}".encode()
        return key, (ANALYSIS_STATE.name, number % self._partitions)

    def _decode(self, message: Message) -> Snapshot | None:
        try:
            snapshot = _decoder.decode(bytes(message.value() or b""))
        except msgspec.DecodeError as error:
            log.warning("%s: the snapshot at offset %s cannot be read: %s", self._service, message.offset(), error)
            return None
        if snapshot.version != VERSION:
            log.warning("%s: the snapshot is of version %d, not %d", self._service, snapshot.version, VERSION)
            return None
        return snapshot

    def _delivered(self, error: object, message: Message) -> None:
        if error is not None:
            self._failure = f"a snapshot was refused: {error}"
