"""Dead letters: what a service could not use, kept with the reason, so that nothing is lost and nothing stops.

A record of `market_data.dead_letters` has the raw bytes as value, the key of the record they came from (or none), and
the headers `reason` (a sentence), `service`, and `from` (`topic-partition@offset`, or the stream of a venue).
"""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from barnabas_quant.bus.topics import DEAD_LETTERS, client_settings

log = logging.getLogger(__name__)

MAX_BYTES = 900_000
"""Bytes of a value that are kept: a topic takes records of a megabyte. A longer one is cut, and `reason` says so."""

MAX_KEY = 10_000
"""Bytes of the longest key that is kept; a longer one is left out, and `reason` says so."""


class DeadLetters:
    """Write dead letters; they are acknowledged at the latest when `flush` answers."""

    def __init__(self, bootstrap: str, service: str) -> None:
        self._service = service
        self._settings = client_settings(
            bootstrap,
            {"enable.idempotence": True, "message.timeout.ms": 0, "linger.ms": 50, "on_delivery": self._delivered},
        )
        self._producer: Producer | None = None  # made for the first one: most services never need it

    def put(self, value: bytes, reason: str, origin: str, key: bytes | None = None) -> None:
        """Keep bytes, and why they could not be used. A full queue waits."""
        if self._producer is None:
            self._producer = Producer(self._settings)
        if len(value) > MAX_BYTES:
            reason = f"{reason} (the first {MAX_BYTES} of {len(value)} bytes)"
            value = value[:MAX_BYTES]
        if key is not None and len(key) > MAX_KEY:
            reason, key = f"{reason} (without its key of {len(key)} bytes)", None
        headers: list[tuple[str, str | bytes | None]] = [
            ("reason", reason),
            ("service", self._service),
            ("from", origin),
        ]
        while True:
            try:
                self._producer.produce(DEAD_LETTERS.name, value, key, headers=headers)
            except BufferError:
                self._producer.poll(0.1)
                continue
            except KafkaException as error:
                log.error("a dead letter was refused: %s (%s, from %s)", error, reason, origin)
            break
        self._producer.poll(0)

    def put_message(self, message: Message, reason: str) -> None:
        """Keep a record of a topic."""
        origin = f"{message.topic()}-{message.partition()}@{message.offset()}"
        key = message.key()
        self.put(bytes(message.value() or b""), reason, origin, None if key is None else bytes(key))

    def flush(self, seconds: float) -> int:
        """Wait until all are acknowledged; answer how many are not after `seconds`."""
        return 0 if self._producer is None else self._producer.flush(seconds)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            log.error("a dead letter was lost: %s", error.str())
