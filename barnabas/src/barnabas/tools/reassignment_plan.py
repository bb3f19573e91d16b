"""Read, propose and write assignments of replicas to brokers, for kafka-reassign-partitions. Nothing is asked here.

A proposal spreads leaders round robin from a random broker; followers come behind the leader at a distance that grows
with each round. With racks, brokers of all racks take turns, and a rack gets a second replica only once each has one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from barnabas.tools.errors import ToolError
from barnabas.tools.json_files import (
    as_array,
    as_integer,
    as_object,
    as_string,
    compact,
    field,
    integer,
    parse,
    string,
    version_of,
)
from barnabas.tools.leaders import TopicPartition, name_of
from barnabas.tools.texts import java_int, joined

Assignment = dict[TopicPartition, list[int]]
ANY = "any"


class Replica(NamedTuple):
    """Name one replica of a partition. Replicas are sorted by broker first."""

    broker: int
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.broker}"


class Plan(NamedTuple):
    """Hold what a file asks for: the replicas of partitions, and directories for some of them."""

    partitions: list[tuple[TopicPartition, list[int]]]
    directories: dict[Replica, str]


def doubles(items: Sequence[Any]) -> list[Any]:
    """Return what is there more than once."""
    return list(dict.fromkeys(item for item in items if items.count(item) > 1))


def parse_plan(text: str) -> Plan:
    """Read a reassignment file. Raises `ToolError`."""
    try:
        value = parse(text)
    except ValueError as e:
        raise ToolError(f"The reassignment is no JSON: {e}") from None
    document = as_object(value)
    version_of(document)
    plan = Plan([], {})
    for item in as_array(document.get("partitions", [])):
        fields = as_object(item)
        topic, index = string(fields, "topic"), integer(fields, "partition")
        replicas = [as_integer(broker) for broker in as_array(field(fields, "replicas"))]
        directories = [ANY] * len(replicas)
        if "log_dirs" in fields:
            directories = [as_string(directory) for directory in as_array(fields["log_dirs"])]
        if len(replicas) != len(directories):
            raise ToolError(
                f"Size of replicas list [{', '.join(map(str, replicas))}] is different from size of log dirs list "
                f"[{', '.join(directories)}] for partition {topic}-{index}"
            )
        plan.partitions.append(((topic, index), replicas))
        for broker, directory in zip(replicas, directories, strict=True):
            if directory != ANY:
                plan.directories[Replica(broker, topic, index)] = directory
    return plan


def parse_executable(text: str) -> tuple[Assignment, dict[Replica, str]]:
    """Read a reassignment file that will be carried out: nothing empty, nothing twice. Raises `ToolError`."""
    plan = parse_plan(text)
    if not plan.partitions:
        raise ToolError("Partition reassignment list cannot be empty")
    if not all(replicas for _, replicas in plan.partitions):
        raise ToolError("Partition replica list cannot be empty")
    double = doubles([partition for partition, _ in plan.partitions])
    if double:
        raise ToolError(f"Partition reassignment contains duplicate topic partitions: {joined(map(name_of, double))}")
    texts = [
        f"{name_of(partition)} contains multiple entries for {joined(twice)}"
        for partition, replicas in plan.partitions if (twice := doubles(replicas))
    ]
    if texts:
        raise ToolError(f"Partition replica lists may not contain duplicate entries: {'. '.join(texts)}")
    return dict(plan.partitions), plan.directories


def parse_brokers(text: str) -> list[int]:
    """Read --broker-list. Raises `ToolError`."""
    brokers = [java_int(part) for part in text.split(",")]
    double = doubles(brokers)
    if double:
        raise ToolError(f"Broker list contains duplicate entries: [{', '.join(map(str, double))}]")
    return brokers


def parse_topics(text: str) -> list[str]:
    """Read a file of topics to move. Raises `ToolError`."""
    try:
        value = parse(text)
    except ValueError:
        raise ToolError("The input string is not a valid JSON") from None
    document = as_object(value)
    version_of(document)
    topics = [string(as_object(item), "topic") for item in as_array(document.get("topics", []))]
    double = doubles(topics)
    if double:
        raise ToolError(f"List of topics to reassign contains duplicate entries: [{', '.join(double)}]")
    return topics


def format_assignment(assignment: Assignment, directories: Mapping[Replica, str] | None = None) -> str:
    """Write an assignment as a reassignment file, with the directories of replicas where they are known."""
    known = directories or {}
    return compact({
        "version": 1,
        "partitions": [
            {
                "topic": topic, "partition": index, "replicas": assignment[topic, index],
                "log_dirs": [known.get(Replica(broker, topic, index), ANY) for broker in assignment[topic, index]],
            }
            for topic, index in sorted(assignment)
        ],
    })


def propose(
    current: Assignment, racks: Mapping[int, str | None], chance: random.Random | None = None
) -> Assignment:
    """Spread the partitions of each topic over brokers, given with their racks. Raises `ToolError`."""
    chance = chance or random.Random()
    found: Assignment = {}
    for topic in dict.fromkeys(topic for topic, _ in current):
        indexes = sorted(index for name, index in current if name == topic)
        factor = len(current[topic, indexes[0]])
        if not racks:
            raise ToolError("All brokers are currently fenced, or have all their log directories cordoned.")
        if factor > len(racks):
            raise ToolError(
                f"The target replication factor of {factor} cannot be reached because only {len(racks)} broker(s) are "
                "registered or some brokers have all their log directories cordoned."
            )
        for index, replicas in enumerate(_spread(len(indexes), factor, racks, chance)):
            found[topic, index] = replicas
    return found


def _spread(
    count: int, factor: int, racks: Mapping[int, str | None], chance: random.Random
) -> list[list[int]]:
    brokers = _taking_turns(racks)
    size = len(brokers)
    known = {rack for rack in racks.values() if rack is not None}
    start, shift = chance.randrange(size), chance.randrange(size)
    found = []
    for index in range(count):
        if index and index % size == 0:
            shift += 1
        leader = (index + start) % size
        replicas = [brokers[leader]]
        step = 0
        while len(replicas) < factor:
            distance = shift * max(len(known), 1) + step
            broker = brokers[(leader + 1 + distance % (size - 1)) % size]
            taken = {racks[other] for other in replicas}
            if broker not in replicas and (not known or racks[broker] not in taken or len(taken) == len(known)):
                replicas.append(broker)
            step += 1
        found.append(replicas)
    return found


def _taking_turns(racks: Mapping[int, str | None]) -> list[int]:
    """Return the brokers in order, those of different racks in turn."""
    shelves = [sorted(b for b in racks if racks[b] == rack) for rack in sorted({r or "" for r in racks.values()})]
    if any(rack is None for rack in racks.values()):
        return sorted(racks)
    return [broker for turn in zip_longest(*shelves) for broker in turn if broker is not None]
