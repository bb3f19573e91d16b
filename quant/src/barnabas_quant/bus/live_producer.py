"""A producer for who must not wait: records are taken at once, and one that finds the queue full says so.

As strict as RecordProducer: idempotent, acks=all, no time-out drops a record. What the queue has no room for is kept in
order until it has, and `put` answers False meanwhile: whoever brings records stops reading from its source.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError


class LiveProducer:
    """Write records into topics. Every method raises BusError once Kafka has refused a record."""

    def __init__(self, bootstrap: str, queue: int = 500_000) -> None:
        """Take the bootstrap servers, and how many records may wait."""
        self.taken = 0
        self.on_full: Callable[[], None] = lambda: None
        """Called whenever `put` answers False."""
        self._failure: str | None = None
        self._waiting: deque[tuple[str, bytes, bytes]] = deque()
        self._producer = Producer(
            client_settings(
                bootstrap,
                {
                    "enable.idempotence": True,
                    "acks": "all",
                    "message.timeout.ms": 0,
                    "partitioner": "murmur2_random",
                    "linger.ms": 2,
                    "compression.type": "lz4",
                    "queue.buffering.max.messages": queue,
                    "queue.buffering.max.kbytes": 512 * 1024,
                    "delivery.report.only.error": True,
                    "on_delivery": self._on_failure,
                    "error_cb": self._on_error,
                },
            )
        )
        self._produce = self._producer.produce

    def put(self, topic: str, key: bytes, value: bytes) -> bool:
        """Take a record; answer False when no more should be brought until `pump` answers True."""
        self.taken += 1
        if not self._waiting:
            try:
                self._produce(topic, value, key)
                return True
            except BufferError:
                pass
            except KafkaException as error:
                raise BusError(f"{topic}: {error}") from error
        self._waiting.append((topic, value, key))
        self.on_full()
        return False

    def pump(self) -> bool:
        """Serve the client, move on what waited; answer whether there is room again."""
        self._producer.poll(0)
        if self._failure is not None:
            raise BusError(self._failure)
        while self._waiting:
            try:
                self._produce(*self._waiting[0])
            except BufferError:
                return False
            self._waiting.popleft()
        return True

    def flush(self, seconds: float) -> int:
        """Wait until every record is acknowledged; answer how many are not after `seconds` in which none was."""
        fewest, deadline = 0, time.monotonic() + seconds
        self.pump()
        while left := self._producer.flush(0.2) + len(self._waiting):
            self.pump()
            if left < fewest:
                deadline = time.monotonic() + seconds
            elif time.monotonic() >= deadline:
                break
            fewest = left
        self.pump()
        return left

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self._failure = self._failure or f"{message.topic()}: a record was refused: {error.str()}"

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = self._failure or f"the producer has failed: {error.str()}"
