"""List, describe, reset and delete groups. Functions that take a client block: they run in threads.

A reset is done by the options of the command that the page shows, parsed from it: what is previewed, what is done and
what that command does come from the same functions. The scripts for groups of consumers, share groups and streams
groups name these options alike.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from barnabas.console.commands import Commands, Reset
from barnabas.console.errors import BadRequest, Conflict, NotFound
from barnabas.console.topics import bounds
from barnabas.protocol.error_texts import text_of
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.describe_groups import DescribeGroupsRequest
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.tools.cluster import GROUP, Cluster
from barnabas.tools.consumer_group_options import OPTIONS
from barnabas.tools.errors import AnswerError, ClientError, ToolError
from barnabas.tools.group_admin import (
    CLASSIC,
    STREAMS,
    Committed,
    Group,
    Member,
    commit_offsets,
    committed_offsets,
    coordinator_of,
    delete_groups,
    describe_consumer_group,
    list_groups,
)
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.offset_deletion import delete_of_topics
from barnabas.tools.offsets import LATEST, FoundOffset, list_offsets
from barnabas.tools.options import parse
from barnabas.tools.reset_offsets import check_partitions, partitions_of, planned
from barnabas.tools.share_group_admin import alter_start_offsets as alter_share_offsets
from barnabas.tools.share_group_admin import describe_share_group
from barnabas.tools.share_group_admin import start_offsets as share_offsets
from barnabas.tools.streams_group_admin import describe_streams_group
from barnabas.tools.streams_group_options import OPTIONS as STREAMS_OPTIONS

SUMMARIES: Final = 100
"""Groups of one summary at most."""
PATIENCE: Final = 8.0
"""Seconds after which no other group of a summary is asked about: a page waits for half a minute at most."""
_TYPES: Final = ("classic", "consumer", "share", "streams")
_WITHOUT_MEMBERS: Final = ("Empty", "Dead")


class GroupRow(msgspec.Struct, frozen=True, rename="camel"):
    """Describe a group in the list."""

    id: str
    type: str
    state: str
    protocol: str


class GroupSummary(msgspec.Struct, frozen=True, rename="camel"):
    """Say how a group is; `lag` is None where nothing is committed."""

    members: int = 0
    topics: int = 0
    lag: str | None = None
    state: str = "Unknown"
    error: str | None = None


class OffsetRow(msgspec.Struct, frozen=True, rename="camel"):
    """Say how far a group has read a partition."""

    topic: str
    partition: int
    committed: str | None
    begin: str | None
    end: str | None
    lag: str | None
    member_id: str | None
    metadata: str
    error: str | None = None


class GroupDetail(msgspec.Struct, frozen=True, rename="camel"):
    """Describe one group."""

    id: str
    type: str
    state: str
    coordinator: int
    protocol: str
    members: list[dict[str, Any]]
    offsets: list[OffsetRow]


def list_all(cluster: Cluster) -> list[GroupRow]:
    """Return all groups, by name. Raises `ClientError`, `ToolError`."""
    return [
        GroupRow(g.group_id, kind if (kind := g.group_type.lower()) in _TYPES else "unknown", g.group_state or
                 "Unknown", g.protocol_type)
        for g in list_groups(cluster)
    ]


def _described(cluster: Cluster, name: str, kind: str | None = None) -> Group:
    """Describe a group of any kind. Raises `ClientError`."""
    if kind is None:
        kind = next((g.type for g in list_all(cluster) if g.id == name), "")
    if kind == "share":
        return describe_share_group(cluster, name)
    if kind == "streams":
        return _streams_group(cluster, name)
    try:
        return describe_consumer_group(cluster, name)
    except ToolError:  # of another protocol, Kafka Connect's for one: its assignments are its own
        answer = cluster.ask_coordinator(
            name, DescribeGroupsRequest([name]), lambda answer: int(answer.groups[0].error_code)
        ).groups[0]
        members = [Member(m.member_id, m.group_instance_id, m.client_id, m.client_host, []) for m in answer.members]
        coordinator = coordinator_of(cluster, name, "describeClassicGroups")
        return Group(name, CLASSIC, answer.group_state, answer.protocol_data, members, coordinator)


def _streams_group(cluster: Cluster, name: str) -> Group:
    """Describe a streams group (KIP-1071); a member is assigned what its active tasks read. Raises `ClientError`."""
    group = describe_streams_group(cluster, name)
    topics = {
        part.subtopology_id: [*part.source_topics, *(topic.name for topic in part.repartition_source_topics)]
        for part in group.subtopologies
    }
    wanted = sorted({topic for those in topics.values() for topic in those})
    counts = {topic.name: len(topic.partitions) for topic in cluster.metadata(wanted).topics} if wanted else {}
    members = [
        Member(
            m.member_id, m.instance_id, m.client_id, m.client_host,
            [
                (topic, index) for task in (m.assignment.active_tasks if m.assignment else ())
                for topic in topics.get(task.subtopology_id, ()) for index in task.partitions
                if index < counts.get(topic, 0)  # a task has the number of its topic with the most partitions
            ],
        )
        for m in group.members
    ]
    return Group(name, STREAMS, group.state, "streams", members, group.coordinator)


def summaries(cluster: Cluster, names: Sequence[str]) -> dict[str, GroupSummary]:
    """Say how groups are: members, topics, lag. What cannot be told of one stands in its `error`.

    A group whose coordinator cannot be found takes as long as the client tries again: those are asked about last, and
    none after `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    kinds = {g.id: g.type for g in list_all(cluster)}
    found: dict[str, GroupSummary] = {}
    groups: dict[str, Group] = {}
    committed: dict[str, dict[TopicPartition, Committed]] = {}
    away = _without_coordinator(cluster, [name for name in dict.fromkeys(names) if name in kinds])
    for name in sorted(dict.fromkeys(names), key=lambda name: name in away):
        if name not in kinds:
            found[name] = GroupSummary(error=text_of(ErrorCode.GROUP_ID_NOT_FOUND))
            continue
        if time.monotonic() > deadline:
            found[name] = GroupSummary(error=away.get(name, f"not asked: those before it took {PATIENCE:.0f} s"))
            continue
        try:
            groups[name] = _described(cluster, name, kinds[name])
            if kinds[name] == "share":
                rows = share_offsets(cluster, name)
                lags = [row.lag for row in rows if row.lag is not None]
                found[name] = GroupSummary(
                    len(groups[name].members), len({row.topic for row in rows}), str(sum(lags)) if lags else None,
                    groups[name].state,
                )
            else:
                committed[name] = committed_offsets(cluster, name)
        except AnswerError as e:
            found[name] = GroupSummary(error=str(e))
    ends = _ends(cluster, {at for offsets in committed.values() for at in offsets})
    for name, offsets in committed.items():
        group = groups[name]
        topics = {topic for topic, _ in offsets} | {topic for m in group.members for topic, _ in m.assignment}
        problems = [str(end) for at in offsets if isinstance(end := ends.get(at), AnswerError)]
        lag = sum(
            max(0, end.offset - known.offset) for at, known in offsets.items()
            if isinstance(end := ends.get(at), FoundOffset)
        )
        found[name] = GroupSummary(
            len(group.members), len(topics), str(lag) if offsets else None, group.state,
            problems[0] if problems else None,
        )
    return {name: found[name] for name in dict.fromkeys(names)}


def _without_coordinator(cluster: Cluster, names: Sequence[str]) -> dict[str, str]:
    """Return what is wrong with the groups whose coordinator cannot be found now, where one request tells it."""
    if not names or not cluster.supports(FindCoordinatorRequest.KEY, 4):
        return {}
    answer = cluster.ask(FindCoordinatorRequest(key_type=GROUP, coordinator_keys=list(names)))
    return {one.key: one.error_message or text_of(one.error_code) for one in answer.coordinators if one.error_code}


def _ends(cluster: Cluster, partitions: set[TopicPartition]) -> dict[TopicPartition, FoundOffset | AnswerError]:
    return list_offsets(cluster, dict.fromkeys(sorted(partitions), LATEST)) if partitions else {}


def detail(cluster: Cluster, name: str) -> GroupDetail:
    """Describe one group. Raises `NotFound`, `ClientError`."""
    row = next((g for g in list_all(cluster) if g.id == name), None)
    if row is None:
        raise NotFound(f"there is no group {name}")
    group = _described(cluster, name, row.type)
    owners = {at: m.member_id for m in group.members for at in m.assignment}
    lags: dict[TopicPartition, int] = {}
    if row.type == "share":  # records behind the start may be done already: its coordinator knows the lag
        starts = {(o.topic, o.partition): o for o in share_offsets(cluster, name)}
        known = {at: Committed(o.start) for at, o in starts.items() if o.start is not None}
        lags = {at: o.lag for at, o in starts.items() if o.lag is not None}
    else:
        known = committed_offsets(cluster, name)
    return GroupDetail(
        name, row.type, group.state, group.coordinator[2], group.assignor,
        [
            {
                "id": m.member_id, "instanceId": m.instance_id, "clientId": m.client_id, "host": m.host,
                "assignment": _by_topic(m.assignment),
            }
            for m in group.members
        ],
        _offset_rows(cluster, known, owners, lags),
    )


def _by_topic(partitions: Sequence[TopicPartition]) -> list[dict[str, Any]]:
    found: dict[str, list[int]] = {}
    for topic, index in sorted(partitions):
        found.setdefault(topic, []).append(index)
    return [{"topic": topic, "partitions": indexes} for topic, indexes in found.items()]


def _offset_rows(
    cluster: Cluster, known: Mapping[TopicPartition, Committed], owners: Mapping[TopicPartition, str],
    lags: Mapping[TopicPartition, int],
) -> list[OffsetRow]:
    everything = sorted({*known, *owners})
    begins, ends = bounds(cluster, everything)
    rows = []
    for at in everything:
        begin, end, committed = begins[at], ends[at], known.get(at)
        error = next((str(one) for one in (begin, end) if isinstance(one, AnswerError)), None)
        lag = None
        if committed is not None and isinstance(end, FoundOffset):
            lag = str(lags.get(at, max(0, end.offset - committed.offset)))
        rows.append(OffsetRow(
            *at, str(committed.offset) if committed else None,
            str(begin.offset) if isinstance(begin, FoundOffset) else None,
            str(end.offset) if isinstance(end, FoundOffset) else None, lag, owners.get(at),
            committed.metadata if committed else "", error,
        ))
    return rows


# --- changes ------------------------------------------------------------------------------------------------


def reset(
    cluster: Cluster, name: str, topics: Sequence[tuple[str, Sequence[int] | None]], to: Reset, commands: Commands, *,
    preview: bool,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Set the offsets of a group without members; return rows of before and after, and the words of the command.

    Raises `Conflict` where it has members, `BadRequest`, `ToolError`, `ClientError`.
    """
    if not topics:
        raise BadRequest("topics: which ones?")
    kind = next((g.type for g in list_all(cluster) if g.id == name), "")
    words = commands.reset_offsets(name, topics, to, kind)
    if kind:
        _refuse_members(_described(cluster, name, kind))
    options = parse(STREAMS_OPTIONS if kind == "streams" else OPTIONS, words[1:])
    partitions = partitions_of(cluster, options.values("input-topic" if kind == "streams" else "topic"))
    check_partitions(cluster, partitions)
    if kind == "share":
        current = {(o.topic, o.partition): o.start for o in share_offsets(cluster, name) if o.start is not None}
    else:
        current = {at: known.offset for at, known in committed_offsets(cluster, name).items()} if kind else {}
    if kind == "streams" and (strange := [at for at in partitions if at not in current]):
        raise BadRequest(f"{name} has committed nothing for {strange[0][0]}-{strange[0][1]}")
    after = planned(cluster, options, name, partitions, current, None)
    assert after is not None
    begins, ends = bounds(cluster, after)
    rows = []
    for at in sorted(after):
        begin, end = begins[at], ends[at]
        for answer in (begin, end):
            if isinstance(answer, AnswerError):
                raise answer
        assert isinstance(begin, FoundOffset)
        assert isinstance(end, FoundOffset)
        rows.append({
            "topic": at[0], "partition": at[1], "before": str(current[at]) if at in current else None,
            "after": str(after[at]), "begin": str(begin.offset), "end": str(end.offset),
        })
    if not preview:
        set_offsets = alter_share_offsets if kind == "share" else commit_offsets
        set_offsets(cluster, name, after)
    return rows, words


def _refuse_members(group: Group) -> None:
    if group.state in _WITHOUT_MEMBERS:
        return
    who = ", ".join(f"{m.client_id} at {m.host}" for m in group.members[:5]) or "a member that is just joining"
    more = f" and {len(group.members) - 5} more" if len(group.members) > 5 else ""
    raise Conflict(f"{group.name} is {group.state}: stop its members first: {who}{more}")


def delete(cluster: Cluster, name: str) -> str:
    """Delete a group; return its type. Raises `NotFound`, `Conflict`, `ClientError`."""
    kind = next((g.type for g in list_all(cluster) if g.id == name), None)
    if kind is None:
        raise NotFound(f"there is no group {name}")
    error: ClientError | None = delete_groups(cluster, [name], "deleteConsumerGroups")[name]
    if isinstance(error, AnswerError) and error.code == ErrorCode.NON_EMPTY_GROUP:
        _refuse_members(_described(cluster, name, kind))
    if error is not None:
        raise error
    return kind


def forget(cluster: Cluster, name: str, topics: Sequence[str]) -> str:
    """Delete what a group has committed for topics; return its type. Raises `BadRequest`, `ClientError`."""
    if not topics:
        raise BadRequest("topics: which ones?")
    kind = next((g.type for g in list_all(cluster) if g.id == name), "")
    if kind == "share":
        raise BadRequest(f"{name} is a share group: kafka-share-groups --delete-offsets makes it forget topics")
    code, results = delete_of_topics(cluster, name, topics)
    wrong = next((f"{topic}-{index}" for (topic, index), one in results.items() if one), name)
    if code:
        raise AnswerError(code, f"{wrong}: {text_of(code)}")
    return kind
