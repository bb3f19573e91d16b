"""What users do, written to `user-events` without waiting: who signs in does not wait for Kafka.

Records wait in the client's queue until Kafka takes them; while it does not, the log says so. An event tells who, when,
from where and with what; no password, token, hash or key ever gets here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from barnabas_quant.bus.producer import PATIENCE
from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import RecordError
from barnabas_quant.model.user_event import UserEvent, encode_user_event

log = logging.getLogger(__name__)

LOGOUT = "logout"
LOGIN_FAILED = "login-failed"
PASSWORD_CHANGED = "password-changed"
KEY_CREATED = "key-created"
KEY_REVOKED = "key-revoked"
REMOVED = "user-removed"

_QUEUE = 10_000  # events
_SILENCE = 5.0  # seconds without an acknowledgement after which the log says so


class UserLog:
    """Write events of users; no method waits, but for `close`."""

    def __init__(self, bootstrap: str) -> None:
        self._waiting = 0
        self._heard = time.monotonic()
        self._complained = False
        self._producer = Producer(
            client_settings(
                bootstrap,
                {
                    "enable.idempotence": True,
                    "acks": "all",
                    "message.timeout.ms": 0,  # Kafka may be away for as long as it likes
                    "partitioner": "murmur2_random",
                    "linger.ms": 5,
                    "queue.buffering.max.messages": _QUEUE,
                    "on_delivery": self._delivered,
                },
            )
        )

    def tell(self, event: str, user: str, **attributes: str) -> None:
        """Write an event of now; attributes that are empty are left out."""
        given = {name: value for name, value in attributes.items() if value}
        try:
            record = UserEvent(event=event, user=user, time=datetime.now(UTC), attributes=given)
            self._producer.produce(UserEvent.topic, encode_user_event(record), record.key)
        except (BufferError, KafkaException, RecordError) as error:
            log.error("%s: the event %s of %s is lost: %s", UserEvent.topic, event, user, error)
            return
        if not self._waiting:
            self._heard = time.monotonic()
        self._waiting += 1

    async def serve(self) -> None:
        """Take acknowledgements, until cancelled."""
        while True:
            self._producer.poll(0)
            if not self._waiting:
                self._complained = False
            elif not self._complained and time.monotonic() - self._heard > _SILENCE:
                self._complained = True
                log.warning("%s: Kafka takes no events; %d wait for it", UserEvent.topic, self._waiting)
            await asyncio.sleep(0.1)

    def close(self) -> None:
        """Wait until all are acknowledged, for as long as that goes on."""
        if left := self._producer.flush(PATIENCE):
            log.error("%s: %d events are lost: Kafka has not taken them", UserEvent.topic, left)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self._waiting -= 1
        self._heard = time.monotonic()
        if error is not None:
            log.error("%s: an event is lost: %s", UserEvent.topic, error.str())
