"""A producer that loses nothing and doubles nothing: idempotent, acks=all, without a time limit, never past a gap."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from barnabas_quant.bus.marks import HEADER, Mark
from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError
from barnabas_quant.model import Record

PATIENCE = 8.0
"""Seconds without an acknowledgement after which a program that is to end takes Kafka for gone."""

_LINGER_MS = 5  # that a record may wait for others to go with it

_encoder = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """Write a record as the JSON that goes into its topic."""
    return _encoder.encode(record)


class RecordProducer:
    """Write records into their topics, each with its mark.

    A full queue makes `send` wait. A record that Kafka refuses ends the producer: nothing after it is written, and
    every further call raises BusError.
    """

    def __init__(
        self, bootstrap: str, stopping: Callable[[], bool] = lambda: False, linger_ms: int = _LINGER_MS
    ) -> None:
        """Take what tells whether the program is to end: then a Kafka that is silent is not waited for as long."""
        self.sent = 0
        self._stopping = stopping
        self._failure: str | None = None
        self._producer = Producer(
            client_settings(
                bootstrap,
                {
                    "enable.idempotence": True,
                    "enable.gapless.guarantee": True,
                    "acks": "all",
                    "message.timeout.ms": 0,  # no time-out drops a record
                    "partitioner": "murmur2_random",
                    "linger.ms": linger_ms,
                    "delivery.report.only.error": True,
                    "on_delivery": self._on_failure,
                    "error_cb": self._on_error,
                },
            )
        )

    def send(self, key: bytes, topic: str, value: bytes, mark: Mark | None = None, partition: int = -1) -> None:
        """Hand a record over; it is acknowledged at the latest when `flush` answers 0. Raises BusError.

        A record of no feed has no mark. `partition` -1: where its key puts it.
        """
        headers: list[tuple[str, str | bytes | None]] = [] if mark is None else [(HEADER, mark.encode())]
        begun = 0.0
        while True:
            self._check()
            try:
                self._producer.produce(topic, value, key, partition, headers=headers)
            except BufferError:
                begun = begun or time.monotonic()
                if self._stopping() and time.monotonic() - begun > PATIENCE:
                    raise BusError(f"{topic}: told to stop while Kafka takes no records") from None
                self._producer.poll(0.1)  # reading from the source stops until there is room
                continue
            except KafkaException as error:
                raise BusError(f"{topic}: {error}") from error
            break
        self.sent += 1
        self._producer.poll(0)

    def flush(self, seconds: float, give_up: Callable[[], bool] = lambda: False) -> int:
        """Wait until every record is acknowledged; answer how many are not.

        It ends after `seconds` in which none was acknowledged (PATIENCE at most, where the program is to end), or once
        `give_up()`. Raises BusError where one was refused.
        """
        fewest, heard = 0, time.monotonic()
        while (left := self._producer.flush(0.2)) and not give_up():
            self._check()
            if left < fewest:
                heard = time.monotonic()
            elif time.monotonic() - heard >= (min(seconds, PATIENCE) if self._stopping() else seconds):
                break
            fewest = left
        self._check()
        return left

    def abandon(self) -> None:
        """Drop what is not acknowledged: the broker is gone, and resuming will make it again."""
        self._producer.purge()
        self._producer.flush(1)

    def _check(self) -> None:
        if self._failure is not None:
            raise BusError(self._failure)

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self._failure = self._failure or f"{message.topic()}: a record was refused: {error.str()}"

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = self._failure or f"the producer has failed: {error.str()}"
