"""The record of `user-events`: one JSON object a record, key user.

    {"event":"login","user":"li.lei","time":"2025-10-08T14:30:00+08:00","attributes":{"device":"phone"}}

What a user did stands in `event` (`login`, `registration`, whatever an application adds), everything else about it in
`attributes`: any JSON. A time has an offset from UTC. Members that are not known are passed over.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from barnabas_quant.errors import RecordError

LOGIN = "login"
REGISTRATION = "registration"

MAX_BYTES = 65_536
"""Bytes of the longest record that is read or written."""


class UserEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Tell what a user did and when."""

    topic: ClassVar[str] = "user-events"

    event: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.-]{0,63}\Z")]
    user: Annotated[str, Meta(min_length=1, max_length=256)]
    time: Annotated[datetime, Meta(tz=True)]
    attributes: dict[str, Any] = {}

    @property
    def key(self) -> bytes:
        """Give the record's Kafka key: events of one user stay in order."""
        return self.user.encode()


_decoder = msgspec.json.Decoder(UserEvent)
_encoder = msgspec.json.Encoder()


def encode_user_event(event: UserEvent) -> bytes:
    """Write an event as the JSON that goes into its topic. Raises RecordError for one that could not be read again."""
    try:
        value = _encoder.encode(event)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"an event that is no JSON: {error}") from error
    decode_user_event(value)
    return value


def decode_user_event(value: bytes | None) -> UserEvent:
    """Read a record of the topic. Raises RecordError, whose text says what is wrong, for anything else."""
    if not value:
        raise RecordError("an empty record")
    if len(value) > MAX_BYTES:
        raise RecordError(f"longer than {MAX_BYTES} bytes")
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(str(error)) from error
    except RecursionError as error:
        raise RecordError("nested too deeply") from error
