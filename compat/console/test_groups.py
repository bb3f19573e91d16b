"""Groups of every kind on the secured three nodes: what they are, where they read, how they are set back."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from members import BEGIN, PARTITIONS, member, run, share_member, streams_members, write
from tests.console.site import Console, until
from three_nodes import ThreeNodes
from topics import APACHE, done, make


def path(group: str) -> str:
    return f"{APACHE}/groups/{urllib.parse.quote(group, safe='')}"


def listed(console: Console, group: str) -> tuple[str, str] | None:
    rows = done(console.get(f"{APACHE}/groups"))["groups"]
    return next(((row["type"], row["state"]) for row in rows if row["id"] == group), None)


def described(console: Console, group: str) -> dict[str, Any]:
    found: dict[str, Any] = done(console.get(path(group)))
    return found


def summary(console: Console, group: str) -> dict[str, Any]:
    found = done(console.ask("POST", f"{APACHE}/groups/summary", {"ids": [group]}))["groups"][group]
    assert found.pop("error") is None
    return dict(found)


def offsets(console: Console, group: str) -> dict[tuple[str, int], tuple[str | None, str | None]]:
    """Return committed offsets and lags."""
    return {(row["topic"], row["partition"]): (row["committed"], row["lag"])
            for row in described(console, group)["offsets"]}


def lags(console: Console, group: str) -> list[str | None]:
    return [lag for _, lag in offsets(console, group).values()]


@pytest.fixture
def topic(console: Console, kafka: ThreeNodes, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a topic with ten records in each partition."""
    name = "read-" + request.node.name.partition("[")[0].removeprefix("test_") + str(len(request.node.name))
    make(console, name, PARTITIONS, {"retention.ms": "-1"})
    write(kafka, name, 10)
    yield name
    done(console.change("DELETE", f"{APACHE}/topics/{name}"))


def set_back(
    console: Console, group: str, topic: str, to: dict[str, str], partitions: list[int] | None, after: dict[int, str]
) -> str:
    """Reset, and check that what was shown is what then is there; return the command."""
    order = {"topics": [{"topic": topic, "partitions": partitions}], "to": to}
    before = {p: offsets(console, group)[topic, p][0] for p in after}
    shown = done(console.post(f"{path(group)}/offsets", {**order, "preview": True}))
    assert [(row["partition"], row["before"], row["after"]) for row in shown["offsets"]] == [
        (p, before[p], at) for p, at in sorted(after.items())
    ]
    assert {p: offsets(console, group)[topic, p][0] for p in after} == before
    assert done(console.post(f"{path(group)}/offsets", {**order, "preview": False})) == shown
    assert {p: offsets(console, group)[topic, p][0] for p in after} == after
    command: str = shown["command"]
    return command


def refused(console: Console, group: str, topic: str, who: str) -> None:
    """Check that a group with members is left alone, and that it is said who they are."""
    order = {"topics": [{"topic": topic}], "to": {"kind": "earliest"}, "preview": False}
    for answer in (console.post(f"{path(group)}/offsets", order), console.change("DELETE", path(group))):
        assert (answer.status, answer.json["error"]) == (409, "conflict"), answer.body
        assert who in answer.json["message"]


@pytest.mark.parametrize(("protocol", "kind"), [("classic", "classic"), ("consumer", "consumer")])
def test_consumers(console: Console, kafka: ThreeNodes, topic: str, protocol: str, kind: str) -> None:
    group = f"team/{protocol}"
    with member(kafka, group, topic, protocol) as consumer:
        until(lambda: (consumer.poll(0.05), listed(console, group))[1] == (kind, "Stable"))
        found = described(console, group)
        assert (found["type"], found["state"]) == (kind, "Stable")
        assert found["coordinator"] in (1, 2, 3)
        (one,) = found["members"]
        assert (one["clientId"], one["assignment"]) == ("a-reader", [{"topic": topic, "partitions": [0, 1, 2]}])
        read = [(row["committed"], row["begin"], row["end"], row["lag"], row["memberId"]) for row in found["offsets"]]
        assert read == [("7", "0", "10", "3", one["id"])] * PARTITIONS
        assert summary(console, group) == {"members": 1, "topics": 1, "lag": "9", "state": "Stable"}
        refused(console, group, topic, "a-reader")
    until(lambda: listed(console, group) == (kind, "Empty"))
    assert described(console, group)["members"] == []
    set_back(console, group, topic, {"kind": "earliest"}, [1], {1: "0"})
    set_back(console, group, topic, {"kind": "shift", "value": "-2"}, [0, 2], {0: "5", 2: "5"})
    set_back(console, group, topic, {"kind": "time", "value": f"{BEGIN + 8000}"}, None, {0: "8", 1: "8", 2: "8"})
    command = set_back(console, group, topic, {"kind": "offset", "value": "4"}, None, {0: "4", 1: "4", 2: "4"})
    assert f"--command-config {kafka.command_config('client')}" in command
    set_back(console, group, topic, {"kind": "latest"}, None, {0: "10", 1: "10", 2: "10"})
    run(command)
    assert lags(console, group) == ["6"] * PARTITIONS
    done(console.change("DELETE", f"{path(group)}/offsets", {"topics": [topic]}))
    until(lambda: listed(console, group) is None or described(console, group)["offsets"] == [])
    console.change("DELETE", path(group))  # an 848 group goes with its last offset
    until(lambda: listed(console, group) is None)
    assert console.get(path(group)).status == 404


def test_a_share_group(console: Console, kafka: ThreeNodes, topic: str) -> None:
    group, whole = "workers", 10 * PARTITIONS
    connection = f"--bootstrap-server {kafka.bootstrap} --command-config {kafka.command_config('client')}"
    run(f"kafka-configs {connection} --alter --entity-type groups --entity-name {group} "
        "--add-config share.auto.offset.reset=earliest")
    with share_member(kafka, group, topic, whole + 4 * PARTITIONS + 1) as process:
        until(lambda: listed(console, group) == ("share", "Stable"))
        until(lambda: [one["assignment"] for one in described(console, group)["members"]] == [
            [{"topic": topic, "partitions": [0, 1, 2]}]
        ])
        (one,) = described(console, group)["members"]
        assert one["host"] == "/127.0.0.1"
        refused(console, group, topic, one["clientId"])
        assert process.stdout is not None
        first = sorted(process.stdout.readline().strip() for _ in range(whole))
        assert first == sorted([str(n) for n in range(10)] * PARTITIONS)
        until(lambda: summary(console, group) == {"members": 1, "topics": 1, "lag": "0", "state": "Stable"})
        assert {row["memberId"] for row in described(console, group)["offsets"]} == {one["id"]}
        write(kafka, topic, 4)
        assert len([process.stdout.readline() for _ in range(4 * PARTITIONS)]) == 12
        until(lambda: lags(console, group) == ["0"] * PARTITIONS)
    until(lambda: listed(console, group) == ("share", "Empty"))
    write(kafka, topic, 2)
    until(lambda: lags(console, group) == ["2"] * PARTITIONS)  # the start itself is stored a step later
    assert summary(console, group) == {"members": 0, "topics": 1, "lag": "6", "state": "Empty"}
    command = set_back(console, group, topic, {"kind": "earliest"}, [0, 2], {0: "0", 2: "0"})
    assert command.startswith("kafka-share-groups ")
    until(lambda: lags(console, group) == ["16", "2", "16"])
    set_back(console, group, topic, {"kind": "time", "value": f"{BEGIN + 9000}"}, [1], {1: "9"})
    set_back(console, group, topic, {"kind": "latest"}, None, {0: "16", 1: "16", 2: "16"})
    run(command)
    assert [at for at, _ in offsets(console, group).values()] == ["0", "16", "0"]
    order = {"topics": [{"topic": topic}], "to": {"kind": "shift", "value": "-1"}}
    answer = console.post(f"{path(group)}/offsets", order)
    assert (answer.status, "earliest, latest, time" in answer.json["message"]) == (400, True)
    with share_member(kafka, group, topic, 2 * 16) as process:  # and it reads from there
        assert process.stdout is not None
        assert len(process.stdout.read().split()) == 2 * 16
    until(lambda: listed(console, group) == ("share", "Empty"))
    assert "kafka-share-groups" in done(console.change("DELETE", path(group)))["command"]
    until(lambda: listed(console, group) is None)


def test_a_streams_group(console: Console, kafka: ThreeNodes) -> None:
    group = "words"
    read = {
        (f"{group}-in", 0), (f"{group}-in", 1), (f"{group}-more", 0), (f"{group}-words-repartition", 0),
        (f"{group}-words-repartition", 1),
    }
    with streams_members(console, kafka, group):
        assert listed(console, group) == ("streams", "Stable")
        found = described(console, group)
        members = found["members"]
        assert {(part["topic"], p) for one in members for part in one["assignment"] for p in part["partitions"]} == read
        assert all(one["clientId"].startswith(f"{group}-") for one in members)
        assert {(row["topic"], row["partition"]) for row in found["offsets"]} == read
        assert {row["memberId"] for row in found["offsets"]} == {one["id"] for one in members}
        until(lambda: {offsets(console, group)[f"{group}-in", p] for p in range(2)} == {("5", "0")})
        assert summary(console, group) == {"members": len(members), "topics": 3, "lag": "0", "state": "Stable"}
        refused(console, group, f"{group}-in", members[0]["clientId"])
    until(lambda: listed(console, group) == ("streams", "Empty"))
    command = set_back(console, group, f"{group}-in", {"kind": "shift", "value": "-2"}, None, {0: "3", 1: "3"})
    assert command.startswith("kafka-streams-groups ")
    assert summary(console, group)["lag"] == "4"
    set_back(console, group, f"{group}-in", {"kind": "earliest"}, [1], {1: "0"})
    order = {"topics": [{"topic": f"{group}-out"}], "to": {"kind": "earliest"}}
    assert console.post(f"{path(group)}/offsets", order).status == 400
    run(command.replace("--shift-by -2", "--to-latest"))
    assert {offsets(console, group)[f"{group}-in", p] for p in range(2)} == {("5", "0")}
    forgotten = done(console.change("DELETE", f"{path(group)}/offsets", {"topics": [f"{group}-in"]}))
    assert f"--input-topic {group}-in" in forgotten["command"]
    assert f"{group}-in" not in {topic for topic, _ in offsets(console, group)}
    assert "kafka-streams-groups" in done(console.change("DELETE", path(group)))["command"]
    until(lambda: listed(console, group) is None)
    for row in console.get(f"{APACHE}/topics").json["topics"]:
        if row["name"].startswith(f"{group}-"):
            done(console.change("DELETE", f"{APACHE}/topics/{row['name']}"))
