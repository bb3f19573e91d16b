"""Print what share groups are: where they begin to read, their members and state, in the tables of Java's tool."""

from __future__ import annotations

import sys

from barnabas.tools.group_admin import Group
from barnabas.tools.group_tables import assignment_text, coordinator_text, shown
from barnabas.tools.share_group_admin import StartOffset
from barnabas.tools.terminal import table


def _say_state(group: Group) -> None:
    sys.stdout.flush()
    if group.state == "Dead":
        print(f"\nError: Share group '{group.name}' does not exist.")
    elif group.state == "Empty":
        print(f"\nShare group '{group.name}' has no active members.", file=sys.stderr, flush=True)


def _table(rows: list[list[object]], widths: list[int]) -> None:
    """Print rows in columns; the last has no width."""
    line = "\n" + " ".join(f"{{:<{width}}}" for width in widths) + " {}"
    print(table(line, rows))


def print_offsets(name: str, offsets: list[StartOffset], *, verbose: bool) -> None:
    """Print where a group begins to read."""
    if not offsets:
        print(f"\nShare group '{name}' has no offset information.")
        return
    widths = [max(15, len(name)), max([15, *(len(o.topic) for o in offsets)]), 10, *([13] if verbose else []), 13]
    rows: list[list[object]] = [
        ["GROUP", "TOPIC", "PARTITION", *(["LEADER-EPOCH"] if verbose else []), "START-OFFSET", "LAG"]
    ]
    for o in offsets:
        epoch = [shown(o.leader_epoch)] if verbose else []
        rows.append([name, o.topic, o.partition, *epoch, shown(o.start), shown(o.lag)])
    _table(rows, widths)


def print_members(group: Group, *, verbose: bool) -> None:
    """Print the members of a group, if there are any."""
    _say_state(group)
    if group.state == "Dead" or not group.members:
        return
    those = group.members
    widths = [
        max(15, len(group.name)), max([15, *(len(m.member_id) for m in those)]),
        max([15, *(len(m.host) for m in those)]), max([15, *(len(m.client_id) for m in those)]), 12,
        *([13] if verbose else []),
    ]
    rows: list[list[object]] = [
        ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", *(["MEMBER-EPOCH"] if verbose else []),
         "ASSIGNMENT"]
    ]
    for m in those:
        assigned = assignment_text(m.assignment) if m.assignment else ""
        epoch = [shown(m.epoch)] if verbose else []
        rows.append([group.name, m.member_id, m.host, m.client_id, len(m.assignment), *epoch, assigned])
    _table(rows, widths)


def print_state(group: Group, *, verbose: bool) -> None:
    """Print the state of a group."""
    _say_state(group)
    coordinator = coordinator_text(group)
    widths = [max(15, len(group.name)), max(25, len(coordinator)), 15, *([12, 17] if verbose else [])]
    epochs = [group.epoch, group.assignment_epoch] if verbose else []
    head = ["GROUP-EPOCH", "ASSIGNMENT-EPOCH"] if verbose else []
    _table([
        ["GROUP", "COORDINATOR (ID)", "STATE", *head, "#MEMBERS"],
        [group.name, coordinator, group.state, *epochs, len(group.members)],
    ], widths)
