"""Print what streams groups are: their offsets, members and state, in the tables of Java's tool, and as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from barnabas.protocol.messages.streams_group_describe import Assignment, TaskIds
from barnabas.tools.group_tables import shown
from barnabas.tools.streams_group_admin import StreamsGroup
from barnabas.tools.terminal import table


class Progress(msgspec.Struct, frozen=True):
    """Hold how far a group has read a partition of one of its tasks."""

    topic: str
    partition: int
    offset: int | None
    leader_epoch: int | None
    end: int
    lag: int


def _table(rows: Sequence[Sequence[object]], widths: Sequence[int]) -> None:
    """Print rows in columns; what has no width comes last as it is."""
    line = " ".join([*(f"{{:<{width}}}" for width in widths), *["{}"] * (len(rows[0]) - len(widths))])
    print(table(line, rows))


def _say_state(group: StreamsGroup) -> None:
    if group.state == "Dead":
        print(f"\nError: Streams group '{group.name}' does not exist.")
    elif group.state == "Empty":
        print(f"\nError: Streams group '{group.name}' has no active members.")


# --- offsets ------------------------------------------------------------------------------------------------


def print_offsets(group: StreamsGroup, rows: Sequence[Progress], *, verbose: bool) -> None:
    """Print the table of a group's partitions; as with Java, nothing for a group without members."""
    if group.state == "Dead" or not group.members:
        return
    _say_state(group)
    widths = [max(15, len(group.name)), max([15, *(len(r.topic) for r in rows)]), 10, *([15] * 4 if verbose else [])]
    more = ["CURRENT-OFFSET", "LEADER-EPOCH", "LOG-END-OFFSET"] if verbose else []
    lines: list[list[object]] = [["GROUP", "TOPIC", "PARTITION", *more, "OFFSET-LAG"]]
    for r in rows:
        values = [shown(r.offset), shown(r.leader_epoch), r.end] if verbose else []
        lines.append([group.name, r.topic, r.partition, *values, r.lag])
    _table(lines, widths)


def offsets_as_json(group: StreamsGroup, rows: Iterable[Progress]) -> dict[str, Any]:
    """Return the table of a group's partitions as a document."""
    return {
        "group": group.name, "state": group.state,
        "partitions": [
            {
                "topic": r.topic, "partition": r.partition, "currentOffset": r.offset, "leaderEpoch": r.leader_epoch,
                "logEndOffset": r.end, "lag": r.lag,
            }
            for r in rows
        ],
    }


# --- members ------------------------------------------------------------------------------------------------


def _tasks(assignment: Assignment | None, prefix: str = "") -> str:
    """Write the tasks of a member as `ACTIVE: 0:[0,1]; 1:[0]; STANDBY: ...`."""
    text = ""
    for kind, tasks in _by_kind(assignment):
        if tasks:
            text += f"{prefix}{kind}: "
            text += "".join(f"{t.subtopology_id}:[{','.join(map(str, t.partitions))}]; " for t in tasks)
    return text


def _by_kind(assignment: Assignment | None) -> list[tuple[str, list[TaskIds]]]:
    if assignment is None:
        return []
    return [
        ("ACTIVE", assignment.active_tasks), ("STANDBY", assignment.standby_tasks), ("WARMUP", assignment.warmup_tasks)
    ]


def print_members(group: StreamsGroup, *, verbose: bool) -> None:
    """Print the table of a group's members; as with Java, nothing for a group without members."""
    those = group.members
    if group.state == "Dead" or not those:
        return
    _say_state(group)
    name, member, process, client = (max([15, *map(len, column)]) for column in (
        [group.name], [str(m.member_id) for m in those], [m.process_id for m in those], [m.client_id for m in those],
    ))
    if not verbose:
        rows = [
            ["GROUP", "MEMBER", "PROCESS", "CLIENT-ID", "ASSIGNMENTS"],
            *([group.name, m.member_id, m.process_id, m.client_id, _tasks(m.assignment)] for m in those),
        ]
        _table(rows, [name, member, process, client])
        return
    # Java's table has no space before MEMBER
    line = f"{{:<{name}}} {{:<25}} {{:<15}}{{:<{member}}} {{:<15}} {{:<15}} {{:<{process}}} {{:<{client}}} {{}}"
    lines: list[tuple[object, ...]] = [(
        "GROUP", "TARGET-ASSIGNMENT-EPOCH", "TOPOLOGY-EPOCH", "MEMBER", "MEMBER-PROTOCOL", "MEMBER-EPOCH", "PROCESS",
        "CLIENT-ID", "ASSIGNMENTS",
    )]
    for m in those:
        lines.append((
            group.name, group.answer.assignment_epoch, group.topology_epoch, m.member_id,
            "classic" if m.is_classic else "streams", m.member_epoch, m.process_id, m.client_id,
            _tasks(m.assignment) + _tasks(m.target_assignment, "TARGET-"),
        ))
    print(table(line, lines))


def members_as_json(group: StreamsGroup) -> dict[str, Any]:
    """Return the table of a group's members as a document."""

    def tasks(assignment: Assignment | None) -> dict[str, Any]:
        return {
            kind.lower(): [{"subtopology": t.subtopology_id, "partitions": list(t.partitions)} for t in those]
            for kind, those in _by_kind(assignment)
        }

    return {
        "group": group.name, "state": group.state, "targetAssignmentEpoch": group.answer.assignment_epoch,
        "topologyEpoch": group.topology_epoch,
        "members": [
            {
                "member": m.member_id, "instanceId": m.instance_id, "process": m.process_id, "clientId": m.client_id,
                "host": m.client_host, "protocol": "classic" if m.is_classic else "streams",
                "memberEpoch": m.member_epoch, "tasks": tasks(m.assignment), "targetTasks": tasks(m.target_assignment),
            }
            for m in group.members
        ],
    }


# --- state --------------------------------------------------------------------------------------------------


def print_state(group: StreamsGroup, *, verbose: bool) -> None:
    """Print the table of a group's state."""
    _say_state(group)
    host, port, node = group.coordinator
    coordinator = f"{host}:{port} ({node})"
    epochs = [group.answer.group_epoch, group.answer.assignment_epoch] if verbose else []
    head = ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"] if verbose else []
    _table(
        [
            ["GROUP", "COORDINATOR (ID)", "STATE", *head, "#MEMBERS"],
            [group.name, coordinator, group.state, *epochs, len(group.members)],
        ],
        [max(15, len(group.name)), max(25, len(coordinator)), 25, *([15, 25] if verbose else [])],
    )


def state_as_json(group: StreamsGroup) -> dict[str, Any]:
    """Return the table of a group's state as a document."""
    host, port, node = group.coordinator
    return {
        "group": group.name, "coordinator": {"host": host, "port": port, "id": node}, "state": group.state,
        "groupEpoch": group.answer.group_epoch, "targetAssignmentEpoch": group.answer.assignment_epoch,
        "members": len(group.members),
    }
