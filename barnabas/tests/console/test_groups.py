"""Groups over HTTP: members, lag, resets that do what they showed, what is refused while somebody reads."""

from __future__ import annotations

import socket
import struct
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from barnabas.console import groups
from barnabas.embedded import Broker
from barnabas.protocol.api import APIS
from barnabas.protocol.codec import codec, decode, encode
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.headers import ResponseHeader
from barnabas.tools.cluster import Cluster
from barnabas.tools.settings import Settings

from ..tools.peers import serving
from .site import Console, produce, until
from .test_topics import run

Topic = Callable[..., str]


def commit(broker: Broker, group: str, topic: str, offsets: dict[int, int]) -> None:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, p, o) for p, o in offsets.items()], asynchronous=False)
    consumer.close()


def committed(console: Console, group: str) -> dict[int, str]:
    found = console.get(f"/clusters/local/groups/{urllib.parse.quote(group, safe='')}").json["offsets"]
    return {row["partition"]: row["committed"] for row in found}


@contextmanager
def member(broker: Broker, group: str, topic: str) -> Iterator[Consumer]:
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": group, "client.id": "a-reader", "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    })
    consumer.subscribe([topic])
    try:
        until(lambda: consumer.poll(0.1) is not None or consumer.assignment())
        yield consumer
    finally:
        consumer.close()


@pytest.fixture
def filled(broker: Broker, topic: Topic) -> str:
    name = topic(3, retention_ms="-1")  # its times are of 2023
    produce(broker.bootstrap, name, [
        {"value": b"x", "partition": p, "timestamp": 1_700_000_000_000 + n * 1000} for p in range(3) for n in range(10)
    ])
    return name


def test_a_group_that_nobody_reads_with(console: Console, broker: Broker, filled: str) -> None:
    group = "a/b c"
    commit(broker, group, filled, {0: 3, 1: 10})
    row = next(g for g in console.get("/clusters/local/groups").json["groups"] if g["id"] == group)
    assert (row["type"], row["state"]) == ("classic", "Empty")
    summary = console.ask("POST", "/clusters/local/groups/summary", {"ids": [group, "missing"]}).json["groups"]
    assert (summary[group]["lag"], summary[group]["members"], summary[group]["topics"]) == ("7", 0, 1)
    assert summary["missing"]["error"]
    found = console.get(f"/clusters/local/groups/{urllib.parse.quote(group, safe='')}").json
    assert (found["id"], found["members"]) == (group, [])
    assert [(o["partition"], o["committed"], o["begin"], o["end"], o["lag"]) for o in found["offsets"]] == [
        (0, "3", "0", "10", "7"), (1, "10", "0", "10", "0")
    ]
    assert console.get("/clusters/local/groups/missing").status == 404


@pytest.mark.parametrize("group", ["x/offsets", "x%2Foffsets", "100%", "summary", "x/", "/offsets", "a b?#&+"])
def test_any_name_is_that_of_a_group(console: Console, broker: Broker, filled: str, group: str) -> None:
    commit(broker, "x", filled, {0: 3})
    commit(broker, group, filled, {0: 3})
    path = f"/clusters/local/groups/{urllib.parse.quote(group, safe='')}"
    assert console.get(path).json["id"] == group
    order = {"topics": [{"topic": filled, "partitions": [0]}], "to": {"kind": "earliest"}, "preview": False}
    assert console.post(f"{path}/offsets", order).json["offsets"][0]["before"] == "3"
    assert committed(console, group) == {0: "0"}
    assert console.change("DELETE", f"{path}/offsets", {"topics": [filled]}).status == 200
    commit(broker, group, filled, {0: 3})
    deleted = console.change("DELETE", path)
    assert deleted.status == 200
    assert console.get(path).status == 404
    assert committed(console, "x") == {0: "3"}


@contextmanager
def without_coordinators(bootstrap: str, prefix: str) -> Iterator[str]:
    """Stand before a broker: coordinators of groups whose name begins so are not available."""
    host, _, port = bootstrap.rpartition(":")

    def frame(sock: socket.socket) -> bytes:
        (size,) = struct.unpack(">i", sock.recv(4, socket.MSG_WAITALL))
        return sock.recv(size, socket.MSG_WAITALL)

    def handle(sock: socket.socket) -> None:
        with socket.create_connection((host, int(port))) as inner:
            while True:
                asked = frame(sock)
                inner.sendall(struct.pack(">i", len(asked)) + asked)
                answer = frame(inner)
                key, version = struct.unpack_from(">hh", asked)
                if key == FindCoordinatorRequest.KEY:
                    api = APIS[key]
                    _, at = codec(ResponseHeader, api.response_header_version(version)).decode(answer, 0, len(answer))
                    found = decode(api.response_class(), version, answer[at:])
                    for one in found.coordinators:
                        if one.key.startswith(prefix):
                            one.error_code = ErrorCode.COORDINATOR_NOT_AVAILABLE
                    answer = answer[:at] + encode(found, version)
                sock.sendall(struct.pack(">i", len(answer)) + answer)

    with serving(handle) as at:
        yield f"127.0.0.1:{at}"


def test_coordinators_that_are_away_do_not_hold_a_summary(
    broker: Broker, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [*(f"away-{n}" for n in range(8)), "still-there"]
    for name in names:
        commit(broker, name, filled, {0: 3})
    monkeypatch.setattr(groups, "PATIENCE", 1.9)  # one of those that are away takes two, all of them sixteen
    with without_coordinators(broker.bootstrap, "away") as bootstrap:
        settings = Settings({"default.api.timeout.ms": "2000"}, bootstrap)
        with Cluster(settings, told=lambda text: None) as cluster:
            begun = time.monotonic()
            found = groups.summaries(cluster, names)
            took = time.monotonic() - begun
    assert took < 10
    assert list(found) == names
    assert (found["still-there"].lag, found["still-there"].error) == ("7", None)
    assert all("coordinator is not available" in str(found[name].error) for name in names[:8])


def test_members_stand_in_the_way(console: Console, broker: Broker, filled: str) -> None:
    with member(broker, "busy", filled):
        found = console.get("/clusters/local/groups/busy").json
        (one,) = found["members"]
        assert (one["clientId"], one["assignment"]) == ("a-reader", [{"topic": filled, "partitions": [0, 1, 2]}])
        assert {row["memberId"] for row in found["offsets"]} == {one["id"]}
        for answer in (
            console.post("/clusters/local/groups/busy/offsets", {
                "topics": [{"topic": filled, "partitions": None}], "to": {"kind": "earliest"}, "preview": False
            }),
            console.change("DELETE", "/clusters/local/groups/busy"),
        ):
            assert (answer.status, answer.json["error"]) == (409, "conflict")
            assert "a-reader" in answer.json["message"]


@pytest.mark.parametrize(("to", "partitions", "after"), [
    ({"kind": "earliest"}, None, {0: "0", 1: "0", 2: "0"}),
    ({"kind": "latest"}, [1], {0: "3", 1: "10", 2: "5"}),
    ({"kind": "offset", "value": "4"}, [0, 2], {0: "4", 1: "8", 2: "4"}),
    ({"kind": "offset", "value": "99"}, [0], {0: "10", 1: "8", 2: "5"}),
    ({"kind": "shift", "value": "-2"}, None, {0: "1", 1: "6", 2: "3"}),
    ({"kind": "time", "value": "1700000007000"}, None, {0: "7", 1: "7", 2: "7"}),
    ({"kind": "current"}, None, {0: "3", 1: "8", 2: "5"}),
    ({"kind": "duration", "value": "PT1H"}, None, {0: "10", 1: "10", 2: "10"}),
])
def test_what_a_reset_shows_is_what_it_does(
    console: Console, broker: Broker, filled: str, to: dict[str, Any], partitions: list[int] | None,
    after: dict[int, str],
) -> None:
    before = {0: 3, 1: 8, 2: 5}
    for group in ("by-page", "by-command"):
        commit(broker, group, filled, before)
    order = {"topics": [{"topic": filled, "partitions": partitions}], "to": to}
    shown = console.post("/clusters/local/groups/by-page/offsets", {**order, "preview": True}).json
    chosen = partitions or [0, 1, 2]
    assert [(row["partition"], row["before"], row["after"], row["end"]) for row in shown["offsets"]] == [
        (p, str(before[p]), after[p], "10") for p in chosen
    ]
    assert committed(console, "by-page") == {p: str(offset) for p, offset in before.items()}
    done = console.post("/clusters/local/groups/by-page/offsets", {**order, "preview": False}).json
    assert done == shown
    assert committed(console, "by-page") == after
    other = console.post("/clusters/local/groups/by-command/offsets", {**order, "preview": True}).json
    run(other["command"])
    assert committed(console, "by-command") == after
    for group in ("by-page", "by-command"):
        assert console.change("DELETE", f"/clusters/local/groups/{group}").status == 200


def test_a_reset_that_cannot_be(console: Console, broker: Broker, filled: str) -> None:
    commit(broker, "odd", filled, {0: 1})
    path = "/clusters/local/groups/odd/offsets"
    for topics, to, status in (
        ([{"topic": filled}], {"kind": "shift", "value": "1"}, 400),  # of some partitions nothing is committed
        ([{"topic": filled}], {"kind": "sideways"}, 400), ([{"topic": filled}], {"kind": "offset"}, 400),
        ([], {"kind": "earliest"}, 400), ([{"topic": filled, "partitions": [9]}], {"kind": "earliest"}, 400),
        ([{"topic": "missing"}], {"kind": "earliest"}, 404), ([{"topic": filled, "partitions": []}],
                                                              {"kind": "earliest"}, 400),
    ):
        answer = console.post(path, {"topics": topics, "to": to, "preview": False})
        assert answer.status == status, answer.body
        assert "java." not in answer.json["message"]
    assert committed(console, "odd") == {0: "1"}


def test_offsets_and_groups_are_deleted(console: Console, broker: Broker, filled: str, topic: Topic) -> None:
    other = topic()
    commit(broker, "gone", filled, {0: 1})
    commit(broker, "gone", other, {0: 0})
    forgotten = console.change("DELETE", "/clusters/local/groups/gone/offsets", {"topics": [filled]})
    assert forgotten.status == 200
    rows = console.get("/clusters/local/groups/gone").json["offsets"]
    assert [row["topic"] for row in rows] == [other]
    commit(broker, "gone", filled, {0: 1})
    run(forgotten.json["command"])
    assert [row["topic"] for row in console.get("/clusters/local/groups/gone").json["offsets"]] == [other]
    deleted = console.change("DELETE", "/clusters/local/groups/gone")
    assert deleted.status == 200
    assert console.get("/clusters/local/groups/gone").status == 404
    commit(broker, "gone", other, {0: 0})
    run(deleted.json["command"])
    assert console.get("/clusters/local/groups/gone").status == 404
    assert console.change("DELETE", "/clusters/local/groups/gone").status == 404
