"""Print what groups of consumers are: their offsets, members and state, in the tables of Java's tools, and as rows.

Columns are as wide as Java makes them: a least width, or the longest of their values. Each group is a table of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from barnabas.tools.errors import ToolError
from barnabas.tools.group_admin import Group
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.terminal import table

MISSING = "-"


class Row(msgspec.Struct, frozen=True):
    """Hold one partition that a group reads, or a member without partitions."""

    topic: str
    partition: int
    offset: int | None
    leader_epoch: int | None
    end: int | None
    member_id: str = MISSING
    host: str = MISSING
    client_id: str = MISSING

    @property
    def lag(self) -> int | None:
        """Return how many records are left to read."""
        return None if self.offset is None or self.end is None else self.end - self.offset


def shown(value: object) -> str:
    """Write a value of a table."""
    return MISSING if value is None else str(value)


def say_state(group: Group) -> None:
    """Say what is to be said of a group's state. Raises `ToolError` for a state that no such group has."""
    sys.stdout.flush()
    if group.state == "Dead":
        print(f"\nError: Consumer group '{group.name}' does not exist.")
    elif group.state == "Empty":
        print(f"\nConsumer group '{group.name}' has no active members.", file=sys.stderr)
    elif group.state in ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling"):
        print(f"\nWarning: Consumer group '{group.name}' is rebalancing.", file=sys.stderr)
    elif group.state != "Stable":
        raise ToolError(f"Expected a valid consumer group state, but found '{group.state}'.")
    sys.stderr.flush()


def _width(least: int, values: Iterable[str]) -> int:
    return max([least, *map(len, values)])


# --- offsets ------------------------------------------------------------------------------------------------


def print_offsets(group: Group, rows: Sequence[Row], *, verbose: bool) -> None:
    """Print the table of a group's partitions."""
    say_state(group)
    if not rows or group.state == "Dead":
        return
    widths = [
        _width(15, [group.name]), _width(15, (r.topic for r in rows)), 10, *([15] if verbose else []), 15, 15, 15,
        _width(15, (r.member_id for r in rows)), _width(15, (r.host for r in rows)),
    ]
    line = "\n" + " ".join(f"{{:<{width}}}" for width in widths) + " {}"
    lines: list[list[object]] = [[
        "GROUP", "TOPIC", "PARTITION", *(["LEADER-EPOCH"] if verbose else []), "CURRENT-OFFSET", "LOG-END-OFFSET",
        "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID",
    ]]
    lines += [
        [
            group.name, r.topic, r.partition, *([shown(r.leader_epoch)] if verbose else []), shown(r.offset),
            shown(r.end), shown(r.lag), r.member_id, r.host, r.client_id,
        ]
        for r in rows
    ]
    print(table(line, lines))


def offsets_as_json(group: Group, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the table of a group's partitions as a document."""
    return {
        "group": group.name, "state": group.state,
        "partitions": [
            {
                "topic": r.topic, "partition": r.partition, "leaderEpoch": r.leader_epoch, "currentOffset": r.offset,
                "logEndOffset": r.end, "lag": r.lag, "consumerId": _absent(r.member_id), "host": _absent(r.host),
                "clientId": _absent(r.client_id),
            }
            for r in rows
        ],
    }


def _absent(text: str) -> str | None:
    return None if text == MISSING else text


# --- members ------------------------------------------------------------------------------------------------


def assignment_text(partitions: Iterable[TopicPartition] | None) -> str:
    """Write partitions as `topic:0,1;other:0`."""
    topics: dict[str, list[int]] = {}
    for topic, index in partitions or ():
        topics.setdefault(topic, []).append(index)
    return ";".join(sorted(f"{t}:{','.join(map(str, sorted(those)))}" for t, those in topics.items())) or MISSING


def print_members(group: Group, *, verbose: bool) -> None:
    """Print the table of a group's members; as with Java, its head is there for a group without members too."""
    say_state(group)
    members = [] if group.state == "Dead" else group.members
    named = any(m.instance_id for m in members)
    mixed = {True, False} <= {m.upgraded for m in members}
    widths = [
        _width(15, [group.name] if members else []), _width(15, (m.member_id for m in members)),
        *([_width(17, (m.instance_id or "" for m in members))] if named else []),
        _width(15, (m.host for m in members)), _width(15, (m.client_id for m in members)), 15,
    ]
    head = ["GROUP", "CONSUMER-ID", *(["GROUP-INSTANCE-ID"] if named else []), "HOST", "CLIENT-ID", "#PARTITIONS"]
    if verbose:
        widths += [
            15, _width(20, (assignment_text(m.assignment) for m in members)), 15,
            _width(20, (assignment_text(m.target) for m in members)),
        ]
        head += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"]
    line = " ".join(f"{{:<{width}}}" for width in widths)
    line += " {}" if verbose and mixed else "" if verbose else " "
    rows: list[list[object]] = [[*head, *(["UPGRADED"] if verbose and mixed else [])]]
    for m in group.members:
        values: list[object] = [
            group.name, m.member_id, *([m.instance_id or ""] if named else []), m.host, m.client_id, len(m.assignment)
        ]
        if verbose:
            values += [
                shown(m.epoch), assignment_text(m.assignment), shown(group.assignment_epoch), assignment_text(m.target)
            ]
        rows.append([*values, *([str(m.upgraded).lower()] if verbose and mixed else [])])
    print("\n" + table(line, rows))


def members_as_json(group: Group) -> dict[str, Any]:
    """Return the table of a group's members as a document."""

    def partitions(those: Iterable[TopicPartition] | None) -> list[dict[str, Any]] | None:
        return None if those is None else [{"topic": topic, "partition": index} for topic, index in those]

    return {
        "group": group.name, "state": group.state, "targetEpoch": group.assignment_epoch,
        "members": [
            {
                "consumerId": m.member_id, "groupInstanceId": m.instance_id, "host": m.host, "clientId": m.client_id,
                "currentEpoch": m.epoch, "assignment": partitions(m.assignment),
                "targetAssignment": partitions(m.target), "upgraded": m.upgraded,
            }
            for m in group.members
        ],
    }


# --- state --------------------------------------------------------------------------------------------------


def print_state(group: Group, *, verbose: bool) -> None:
    """Print the table of a group's state."""
    say_state(group)
    if group.state == "Dead":
        return
    coordinator = coordinator_text(group)
    line = f"\n{{:<{_width(15, [group.name])}}} {{:<{_width(25, [coordinator])}}} {{:<20}} {{:<20}}"
    line += " {:<15} {:<25} {}" if verbose else " {}"
    epochs = [shown(group.epoch), shown(group.assignment_epoch)] if verbose else []
    head = ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"] if verbose else []
    print(table(line, [
        ("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", *head, "#MEMBERS"),
        (group.name, coordinator, group.assignor or MISSING, group.state, *epochs, len(group.members)),
    ]))


def coordinator_text(group: Group) -> str:
    """Write where a group's coordinator is."""
    host, port, node = group.coordinator
    return f"{host}:{port}  ({node})"


def state_as_json(group: Group) -> dict[str, Any]:
    """Return the table of a group's state as a document."""
    host, port, node = group.coordinator
    return {
        "group": group.name, "coordinator": {"host": host, "port": port, "id": node},
        "assignmentStrategy": group.assignor or None, "state": group.state, "groupEpoch": group.epoch,
        "targetAssignmentEpoch": group.assignment_epoch, "members": len(group.members),
    }
