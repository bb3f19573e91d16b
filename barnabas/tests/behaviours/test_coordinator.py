"""Behaviours 25 and 26 of the coordinator: offsets, their expiry, administration, and what a restart finds."""

from __future__ import annotations

from typing import Any

import pytest

from barnabas.groups.records import partition_of
from barnabas.protocol.errors import ErrorCode, KafkaError

from .bench import Bench
from .client import joining, subscription

_WEEK = 7 * 86_400.0


def code(call: Any, *arguments: Any) -> ErrorCode:
    """Return the error code that a call raises."""
    try:
        call(*arguments)
    except KafkaError as e:
        return e.code
    return ErrorCode.NONE


def test_25_who_may_commit() -> None:
    bench = Bench()
    assert bench.commit(1, generation=3) == ErrorCode.GROUP_ID_NOT_FOUND
    assert bench.commit(1) == 0  # makes a simple group
    (one,) = bench.stable()
    mine = {"member": one.member_id, "generation": one.generation_id}
    assert bench.commit(2, **mine) == 0
    assert bench.commit(3) == ErrorCode.UNKNOWN_MEMBER_ID  # a simple commit into an active group
    assert bench.commit(3, member="x", generation=one.generation_id) == ErrorCode.UNKNOWN_MEMBER_ID
    assert bench.commit(3, member=one.member_id, generation=9) == ErrorCode.ILLEGAL_GENERATION
    bench.member()
    assert bench.commit(4, **mine) == 0  # while others join, the old generation may still commit
    again = bench.join(one.member_id).answer
    mine = {"member": one.member_id, "generation": again.generation_id}
    assert bench.commit(5, **mine) == ErrorCode.REBALANCE_IN_PROGRESS
    assert bench.offsets() == {("t", 0): 4}


def test_25_a_commit_keeps_a_member_alive() -> None:
    bench = Bench()
    (one,) = bench.stable(session_ms=10_000)
    for i in range(5):
        bench.advance(7)
        assert bench.commit(i, member=one.member_id, generation=one.generation_id) == 0
    assert bench.state == "Stable"


def test_25_metadata_of_up_to_4096_characters_is_kept() -> None:
    bench = Bench()
    for text in ("", "why", "ä" * 4096):
        assert bench.commit(1, metadata=text) == 0
        assert bench.coordinator.fetch("g")["t", 0].metadata == text
    for text in ("x" * 4097, "\U0001f40e" * 2049):  # a horse is two characters to Java
        assert bench.commit(2, metadata=text) == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert bench.offsets() == {("t", 0): 1}


def test_a_commit_that_cannot_be_written_changes_nothing() -> None:
    bench = Bench()
    bench.commit(1)
    bench.failing = True
    assert bench.commit(2) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert bench.offsets() == {("t", 0): 1}


def test_offsets_of_an_empty_group_expire() -> None:
    bench = Bench()
    (one,) = bench.stable()
    bench.commit(1, member=one.member_id, generation=one.generation_id)
    bench.leave(one.member_id)
    bench.advance(_WEEK - 10)
    bench.coordinator.expire()
    assert bench.offsets() == {("t", 0): 1}
    bench.advance(20)
    bench.coordinator.expire()
    assert (bench.offsets(), bench.state) == ({}, "Dead")
    assert bench.replayed().groups == {}


def test_the_retention_of_a_group_begins_when_it_becomes_empty() -> None:
    bench = Bench()
    (one,) = bench.stable(session_ms=1_800_000, protocols={"range": subscription("t")})
    bench.commit(1, member=one.member_id, generation=one.generation_id)
    for _ in range(700):
        bench.advance(1000)
        bench.heartbeat(one)
    bench.coordinator.expire()
    bench.leave(one.member_id)
    bench.advance(_WEEK - 10)
    bench.coordinator.expire()
    assert bench.offsets() == {("t", 0): 1}


def test_an_active_group_loses_offsets_of_topics_that_it_left() -> None:
    bench = Bench()
    (one,) = bench.stable(session_ms=1_800_000, protocols={"range": subscription("t")})
    for topic in ("t", "u"):
        bench.commit(1, topic=topic, member=one.member_id, generation=one.generation_id)
    for _ in range(700):
        bench.advance(1000)
        bench.heartbeat(one)
    bench.coordinator.expire()
    assert bench.offsets() == {("t", 0): 1}


def test_simple_offsets_expire_by_their_commit() -> None:
    bench = Bench()
    bench.commit(1)
    bench.advance(_WEEK / 2)
    bench.commit(2, partition=1)
    bench.advance(_WEEK * 0.75)
    bench.coordinator.expire()
    assert bench.offsets() == {("t", 1): 2}


def test_offsets_of_a_deleted_topic_go() -> None:
    bench = Bench()
    bench.commit(1)
    bench.commit(2, topic="u")
    bench.coordinator.forget_topic("t")
    assert bench.offsets() == {("u", 0): 2}
    assert bench.replayed().offsets == bench.coordinator.offsets


def test_delete_groups_and_offsets() -> None:
    bench = Bench()
    delete, drop = bench.coordinator.delete, bench.coordinator.delete_offsets
    assert code(delete, "g") == ErrorCode.GROUP_ID_NOT_FOUND
    (one,) = bench.stable(protocols={"range": subscription("t")})
    for topic in ("t", "u"):
        bench.commit(1, topic=topic, member=one.member_id, generation=one.generation_id)
    assert code(delete, "g") == ErrorCode.NON_EMPTY_GROUP
    assert drop("g", [("t", 0), ("u", 0), ("u", 9)]) == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, 0, 0]
    bench.leave(one.member_id)
    assert drop("g", [("t", 0)]) == [0]
    bench.commit(5)
    assert code(delete, "g") == 0
    assert (bench.state, bench.offsets()) == ("Dead", {})
    fresh = bench.replayed()
    assert (fresh.groups, fresh.offsets) == ({}, {})


def test_groups_are_listed_by_state_and_type() -> None:
    bench = Bench()
    bench.stable()

    def listed(states: list[str], types: list[str]) -> list[tuple[str, str, str]]:
        return [(g.group_id, g.group_state, g.group_type) for g in bench.coordinator.list(states, types)]

    mine = [("g", "Stable", "classic")]
    assert listed([], []) == listed(["Stable"], []) == listed(["stable", "Empty"], ["Classic"]) == mine
    assert listed(["Empty"], []) == listed([], ["consumer"]) == listed(["Nonsense"], []) == []


def test_describe_shows_metadata_in_a_stable_group_alone() -> None:
    bench = Bench()
    one = bench.member().answer
    completing = bench.coordinator.describe("g")
    assert (completing.group_state, completing.protocol_data) == ("CompletingRebalance", "")
    assert completing.members[0].member_metadata == b""
    bench.sync(one, {one.member_id: b"mine"})
    stable = bench.coordinator.describe("g")
    assert (stable.group_state, stable.protocol_type, stable.protocol_data) == ("Stable", "consumer", "range")
    assert (stable.members[0].member_metadata, stable.members[0].member_assignment) == (b"m", b"mine")
    assert (stable.members[0].client_id, stable.members[0].client_host) == ("c", "/127.0.0.1")


@pytest.mark.parametrize("call", ["join", "sync", "heartbeat", "leave", "drop"])
def test_an_empty_group_id_is_invalid(call: str) -> None:
    c = Bench().coordinator
    from barnabas.protocol.messages.sync_group import SyncGroupRequest

    calls: dict[str, tuple[Any, ...]] = {
        "join": (c.join, joining(""), "c", "h", 9, print), "sync": (c.sync, SyncGroupRequest(""), print),
        "heartbeat": (c.heartbeat, "", "m", None, 0), "leave": (c.leave, "", "m", None),
        "drop": (c.delete_offsets, "", []),
    }
    assert code(*calls[call]) == ErrorCode.INVALID_GROUP_ID


def test_the_empty_group_id_may_keep_offsets() -> None:
    """A relic of the first consumers; Kafka 4.3 takes such commits."""
    bench = Bench(group="")
    assert bench.commit(3) == 0
    assert bench.offsets() == {("t", 0): 3}
    assert code(bench.coordinator.delete, "") == 0


@pytest.mark.parametrize(
    ("name", "partition"), [("", 0), ("g", 3), ("test-group", 12), ("ä", 28), ("\U0001f40e", 1), ("x" * 100, 46)]
)
def test_a_group_lives_in_the_partition_that_java_says(name: str, partition: int) -> None:
    assert partition_of(name, 50) == partition  # as a Java program said
