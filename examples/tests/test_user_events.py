"""Run the user events: registrations and logins are written, read in each user's order, and nothing else stops it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

pytest.importorskip("barnabas_quant", reason="the examples of user events need the package barnabas-quant")

Run = Callable[..., list[str]]
Unique = Callable[[str], str]


def test_registrations_and_logins(run: Run, unique: Unique, bootstrap: str) -> None:
    """Each user's events are read in their order; a typed line is read, one that is no event passed over."""
    topic = unique("user-events")
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(30)
    users = ("li.lei", "韩梅梅")
    assert run("user_events/write.py", "--topic", topic, "registration", *users, "--attribute", "channel=web") == [
        "registration: li.lei",
        "registration: 韩梅梅",
    ]
    for device in ("phone", "desk"):
        run("user_events/write.py", "--topic", topic, "login", "li.lei", "--attribute", f"device={device}")
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b'{"event":"logout","user":"jim","time":"2025-10-08T14:30:00+08:00"}', b"jim")
    producer.produce(topic, b'{"event":"login","user":"jim"}', b"jim")
    assert producer.flush(30) == 0

    def read(group: str) -> list[str]:
        return run("user_events/activity.py", "--topic", topic, "--group", unique(group), "--once")

    lines = read("one")
    assert [line for line in lines if line.startswith("li.lei")] == [
        "li.lei registered channel=web",
        "li.lei logged in, login 1 device=phone",
        "li.lei logged in, login 2 device=desk",
    ]
    assert "韩梅梅 registered channel=web" in lines
    assert "jim: logout" in lines
    assert sum("passed over" in line and "`time`" in line for line in lines) == 1
    assert len(lines) == 6
    assert read("one") == []
    assert sorted(read("two")) == sorted(lines)


def test_an_event_that_was_not_written_is_said(run: Run) -> None:
    """A topic name that Kafka refuses ends in exit code 1, with nothing printed."""
    assert run("user_events/write.py", "--topic", "not a topic", "registration", "li.lei", code=1) == []
    assert run("user_events/write.py", "login", "", code=1) == []
