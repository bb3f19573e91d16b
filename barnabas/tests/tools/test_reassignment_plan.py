"""Propose assignments: what cannot be compared with Java's tool, because both throw dice."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from barnabas.tools.errors import ToolError
from barnabas.tools.reassignment_plan import Assignment, Replica, format_assignment, parse_plan, propose


def _topic(partitions: int, factor: int) -> Assignment:
    return {("t", index): list(range(factor)) for index in range(partitions)}


@pytest.mark.parametrize("seed", range(20))
def test_leaders_and_replicas_are_spread_evenly(seed: int) -> None:
    found = propose(_topic(12, 3), dict.fromkeys(range(1, 5)), random.Random(seed))
    assert Counter(replicas[0] for replicas in found.values()) == dict.fromkeys(range(1, 5), 3)
    assert Counter(broker for replicas in found.values() for broker in replicas) == dict.fromkeys(range(1, 5), 9)
    assert all(len(set(replicas)) == 3 for replicas in found.values())


@pytest.mark.parametrize("seed", range(20))
def test_each_rack_gets_a_replica_before_one_gets_two(seed: int) -> None:
    racks = {1: "a", 2: "a", 3: "b", 4: "b", 5: "c", 6: "c"}
    found = propose(_topic(12, 4), racks, random.Random(seed))
    for replicas in found.values():
        assert {racks[broker] for broker in replicas[:3]} == {"a", "b", "c"}
        assert len(set(replicas)) == 4


def test_one_broker_takes_all() -> None:
    assert propose(_topic(3, 1), {7: None}) == {("t", index): [7] for index in range(3)}


def test_what_was_written_can_be_read() -> None:
    directories = {Replica(2, "t", 0): "/data"}
    text = format_assignment({("t", 0): [1, 2]}, directories)
    assert text == (
        '{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","/data"]}]}'
    )
    assert parse_plan(text) == ([(("t", 0), [1, 2])], directories)


@pytest.mark.parametrize("text", ["", "nonsense", "NaN", "[1", '{"partitions":'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ToolError):
        parse_plan(text)
