"""The record of user-events: what it holds, what is none, and the writer's promise."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas_quant.bus import TopicSpec, ensure_topics, partition_of, read_records
from barnabas_quant.bus.user_events import UserEvents
from barnabas_quant.errors import BusError, RecordError
from barnabas_quant.model.user_event import UserEvent, decode_user_event, encode_user_event

MOMENT = datetime(2025, 10, 8, 14, 30, tzinfo=timezone(timedelta(hours=8)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text(min_size=1, max_size=256))
def test_free_attributes_come_out_as_they_went_in(attributes: dict[str, Any], user: str) -> None:
    event = UserEvent(event="login", user=user, time=MOMENT, attributes=attributes)
    assert decode_user_event(encode_user_event(event)) == event


def test_a_typed_event_is_read() -> None:
    event = decode_user_event('{"event":"login","user":"李雷","time":"2025-10-08T14:30:00+08:00","x":1}'.encode())
    assert (event.user, event.time, event.attributes) == ("李雷", MOMENT, {})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"[]", "object"),
        (b'{"event":"login","user":"a"}', "`time`"),
        (b'{"event":"login","user":"","time":"2025-10-08T14:30:00Z"}', "user"),
        (b'{"event":"Log in!","user":"a","time":"2025-10-08T14:30:00Z"}', "event"),
        (b'{"event":"login","user":"a","time":"2025-10-08T14:30:00"}', "time"),
        (b'{"event":"login","user":"a","time":"14:30:00"}', "time"),
        (b'{"event":"login","user":"\xff","time":"2025-10-08T14:30:00Z"}', "utf-8"),
        (b'{"event":"login","user":"a","time":"2025-10-08T14:30:00Z","attributes":[]}', "attributes"),
        (b'{"event":"login","user":"a","time":"2025-10-08T14:30:00Z","x":' + b"[" * 30000, "nested"),
        (b'{"event":"login","user":"a","time":"2025-10-08T14:30:00Z","x":"' + b"x" * 70000 + b'"}', "longer"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        decode_user_event(value)


def test_what_could_not_be_read_again_is_not_written() -> None:
    circle: dict[str, Any] = {}
    circle["circle"] = circle
    for attributes in (circle, {"x": object()}, {"x": "x" * 70_000}):
        with pytest.raises(RecordError):
            encode_user_event(UserEvent(event="login", user="a", time=MOMENT, attributes=attributes))
    with pytest.raises(RecordError, match="time"):
        encode_user_event(UserEvent(event="login", user="a", time=MOMENT.replace(tzinfo=None)))


def test_events_of_a_user_stand_in_order_in_the_partition_of_the_user(bootstrap: str) -> None:
    topic = f"users-{uuid.uuid4().hex}"
    ensure_topics(bootstrap, [TopicSpec(topic, 3)])
    with UserEvents(bootstrap, topic, now=lambda: MOMENT) as events:
        events.registration("li.lei", mail="li.lei@example.com")
        for number in range(20):
            events.login("li.lei", number=number)
            events.login(f"user-{number}")
        events.send(UserEvent(event="logout", user="li.lei", time=datetime(2025, 10, 8, 7, tzinfo=UTC)))
    found = list(read_records(bootstrap, {topic: 3}))
    assert len(found) == 42
    assert all(message.partition() == partition_of(message.key() or b"", 3) for message in found)
    mine = [json.loads(message.value() or b"") for message in found if message.key() == b"li.lei"]
    assert mine[0] == {
        "event": "registration",
        "user": "li.lei",
        "time": "2025-10-08T14:30:00+08:00",
        "attributes": {"mail": "li.lei@example.com"},
    }
    assert [event["attributes"].get("number") for event in mine[1:-1]] == list(range(20))
    assert mine[-1]["event"] == "logout"


def test_a_refused_event_is_an_error(bootstrap: str) -> None:
    with pytest.raises(BusError), UserEvents(bootstrap, "not a topic") as events:
        events.login("li.lei")
