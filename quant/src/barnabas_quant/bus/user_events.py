"""Writing user events, the way an application's back end does.

    with UserEvents("localhost:9092") as events:
        events.registration("li.lei", mail="li.lei@example.com")
        events.login("li.lei", device="phone")

Leaving the block waits until all are acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from barnabas_quant.bus.producer import RecordProducer
from barnabas_quant.errors import BusError
from barnabas_quant.model.user_event import LOGIN, REGISTRATION, UserEvent, encode_user_event


def _now() -> datetime:
    return datetime.now(UTC)


class UserEvents:
    """Write events of users to their topic: idempotent, none lost, those of one user in order."""

    def __init__(self, bootstrap: str, topic: str = UserEvent.topic, now: Callable[[], datetime] = _now) -> None:
        self._topic = topic
        self._now = now
        self._producer = RecordProducer(bootstrap)

    def __enter__(self) -> UserEvents:
        return self

    def __exit__(self, *exc: object) -> None:
        self.flush()

    def login(self, user: str, **attributes: Any) -> UserEvent:
        """Write that a user logged in now. Raises RecordError, BusError."""
        return self.send(UserEvent(event=LOGIN, user=user, time=self._now(), attributes=attributes))

    def registration(self, user: str, **attributes: Any) -> UserEvent:
        """Write that a user registered now. Raises RecordError, BusError."""
        return self.send(UserEvent(event=REGISTRATION, user=user, time=self._now(), attributes=attributes))

    def send(self, event: UserEvent) -> UserEvent:
        """Write any event; it is acknowledged at the latest when `flush` returns. Raises RecordError, BusError."""
        self._producer.send(event.key, self._topic, encode_user_event(event))
        return event

    def flush(self, seconds: float = 30.0) -> None:
        """Wait until all events are acknowledged. Raises BusError where one was refused, or after `seconds`."""
        if left := self._producer.flush(seconds):
            raise BusError(f"{self._topic}: {left} events are not acknowledged after {seconds:g} s")
