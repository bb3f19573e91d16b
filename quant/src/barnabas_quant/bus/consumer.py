"""The reader behind the live table: a consumer group of its own that keeps its place."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from barnabas_quant.bus.ranges import Partition
from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError

log = logging.getLogger(__name__)

_COMMIT_EVERY = 1.0  # seconds


class Watcher:
    """Read topics as a member of a group, commit what was handed out, and know how far behind it is."""

    def __init__(self, bootstrap: str, group: str, topics: Iterable[str]) -> None:
        self._next: dict[Partition, int] = {}  # after the last record handed out, or where the group goes on
        self._committed: dict[Partition, int] = {}
        self._commit_at = time.monotonic() + _COMMIT_EVERY
        self._consumer = Consumer(
            client_settings(
                bootstrap,
                {
                    "group.id": group,
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    # The shortest that brokers allow: after a SIGKILL the next member waits this long for the old one.
                    "session.timeout.ms": 6000,
                    "heartbeat.interval.ms": 2000,
                    "fetch.wait.max.ms": 100,
                    "fetch.queue.backoff.ms": 10,
                },
            )
        )
        self._consumer.subscribe(list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke)

    def read(self, seconds: float) -> list[Message]:
        """Give the records that came in the meantime, after `seconds` at most. Raises BusError on a fatal error."""
        if time.monotonic() >= self._commit_at:
            self.commit(wait=False)
        messages = []
        for message in self._consumer.consume(5000, seconds):
            error = message.error()
            if error is None:
                partition = (str(message.topic()), int(message.partition() or 0))
                self._next[partition] = int(message.offset() or 0) + 1
                messages.append(message)
            elif error.fatal():
                raise BusError(f"the table's consumer has failed: {error.str()}")
            else:
                log.debug("consumer: %s", error.str())
        return messages

    def lags(self) -> dict[Partition, int]:
        """Give how many records each assigned partition holds beyond what was read; unknown ones are left out."""
        found = {}
        for at in self._consumer.assignment():
            partition = (at.topic, at.partition)
            low, high = self._consumer.get_watermark_offsets(at, cached=True)
            if high >= 0:
                found[partition] = max(0, high - max(low, self._next.get(partition, 0)))
        return found

    def commit(self, wait: bool = True) -> None:
        """Commit the place after the last record handed out, of each partition where it moved."""
        self._commit_at = time.monotonic() + _COMMIT_EVERY
        moved = {at: offset for at, offset in self._next.items() if self._committed.get(at) != offset}
        if not moved:
            return
        offsets = [TopicPartition(*partition, offset) for partition, offset in moved.items()]
        try:
            if wait:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            # Nothing is lost by it: what is not committed is read and shown once more.
            code = error.args[0].code() if isinstance(error.args[0], KafkaError) else error
            log.warning("the table's offsets were not committed: %s", code)
            return
        self._committed.update(moved)

    def close(self, commit: bool = True) -> None:
        """Commit, unless told that the broker is gone, and leave the group."""
        if commit:
            self.commit()
        self._next.clear()  # nothing left for the revocation to commit
        self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            committed = consumer.committed(partitions, timeout=10)
        except KafkaException as error:
            log.warning(
                "the table's committed offsets are not known: %s", error
            )  # its lags are too high until it reads
            return
        for at in committed:
            if at.offset >= 0:
                self._next[at.topic, at.partition] = self._committed[at.topic, at.partition] = at.offset

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.commit()
        for at in partitions:
            self._next.pop((at.topic, at.partition), None)
