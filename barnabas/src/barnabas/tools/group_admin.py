"""Ask about groups and their offsets, for the tools that list, describe, reset and delete them.

Requests: ListGroups to every broker; ConsumerGroupDescribe, with DescribeGroups where the broker or the group is not
of KIP-848; OffsetFetch, OffsetCommit, OffsetDelete, DeleteGroups to the group's coordinator. Offsets are asked for by
the names of topics, as Java's admin client does (OffsetFetch and OffsetCommit up to version 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from barnabas.protocol.messages.delete_groups import DeleteGroupsRequest
from barnabas.protocol.messages.describe_groups import DescribeGroupsRequest
from barnabas.protocol.messages.list_groups import ListedGroup, ListGroupsRequest
from barnabas.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from barnabas.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from barnabas.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from barnabas.tools.cluster import Cluster, Unreachable, group_by
from barnabas.tools.errors import AnswerError, ClientError, ToolError, check
from barnabas.tools.leaders import TopicPartition

CLASSIC, CONSUMER, SHARE, STREAMS = "Classic", "Consumer", "Share", "Streams"
_BY_NAME: Final = 9  # the last version of OffsetFetch and OffsetCommit that names topics


# --- errors as Java's tools show them -----------------------------------------------------------------------


def java_error(error: ClientError) -> str:
    """Write an error as the exception of Java's client prints itself: class and message."""
    if isinstance(error, AnswerError):
        return f"org.apache.kafka.common.errors.{error.exception}: {error}"
    name = "TimeoutException" if isinstance(error, Unreachable) else "DisconnectException"
    return f"org.apache.kafka.common.errors.{name}: {error}"


def wrapped(error: ClientError, depth: int) -> str:
    """Write an error as the message of the exception that holds it: 0, itself; 1, a future's; 2, one around that."""
    if depth == 0:
        return str(error)
    return "java.util.concurrent.ExecutionException: " * (depth - 1) + java_error(error)


@contextmanager
def failing(depth: int) -> Iterator[None]:
    """Turn what the cluster answers into a `ToolError`, told as deep as Java's tool wraps it."""
    try:
        yield
    except ClientError as e:
        raise ToolError(wrapped(e, depth)) from e


# --- groups -------------------------------------------------------------------------------------------------


class Member(msgspec.Struct, frozen=True):
    """Describe a member of a group. What its kind of group does not have is None."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    assignment: list[TopicPartition]
    target: list[TopicPartition] | None = None
    epoch: int | None = None
    upgraded: bool | None = None
    """Whether it speaks the protocol of KIP-848; None where the broker does not say."""
    rack_id: str | None = None


class Group(msgspec.Struct, frozen=True):
    """Describe a group. `kind` is Classic, Consumer, Share or Streams."""

    name: str
    kind: str
    state: str
    assignor: str
    members: list[Member]
    coordinator: tuple[str, int, int]
    """Host, port, node id."""
    epoch: int | None = None
    assignment_epoch: int | None = None


def list_groups(
    cluster: Cluster, *, states: Sequence[str] = (), types: Sequence[str] = (), protocols: Iterable[str] | None = None
) -> list[ListedGroup]:
    """Return the groups of all brokers, by name; of some states, types, protocol types alone. Raises `ClientError`."""
    wanted = None if protocols is None else set(protocols)
    found: dict[str, ListedGroup] = {}
    try:
        brokers = sorted(cluster.brokers)
    except Unreachable:
        raise ToolError(
            "java.util.concurrent.ExecutionException: org.apache.kafka.common.KafkaException: Failed to find brokers "
            "to send ListGroups"
        ) from None
    for node in brokers:
        filters = list(types)
        if filters and not cluster.node(node).supports(ListGroupsRequest.KEY, 5):
            if CLASSIC not in filters:
                raise AnswerError(
                    ErrorCode.UNSUPPORTED_VERSION, "The broker is too old for groups of other types than classic"
                )
            filters = []
        request = ListGroupsRequest(list(states), filters)

        def attempt(node: int = node, request: ListGroupsRequest = request) -> tuple[int, str | None]:
            answer = cluster.ask(request, node=node, call="listGroups")
            for group in answer.groups:
                if wanted is None or group.protocol_type in wanted:
                    found[group.group_id] = group
            return answer.error_code, None

        cluster.persist(attempt)  # a coordinator that is still loading says so
    return [found[name] for name in sorted(found)]


def coordinator_of(cluster: Cluster, group: str, call: str) -> tuple[str, int, int]:
    """Return host, port and id of the node that coordinates a group. Raises `ClientError`."""
    cluster.any(f"{call}(api=FIND_COORDINATOR)")
    node = cluster.coordinator(group)
    host, port = cluster.brokers[node]
    return host, port, node


def describe_consumer_group(cluster: Cluster, name: str) -> Group:
    """Describe a group of consumers, of either protocol. Raises `AnswerError`, GROUP_ID_NOT_FOUND among others."""
    coordinator = coordinator_of(cluster, name, "describeConsumerGroups")
    first: AnswerError | None = None
    if cluster.node(coordinator[2]).supports(ConsumerGroupDescribeRequest.KEY):
        answer = cluster.ask_coordinator(
            name, ConsumerGroupDescribeRequest([name]), lambda answer: int(answer.groups[0].error_code)
        ).groups[0]
        if not answer.error_code:
            return _consumer_group(answer, coordinator)
        if answer.error_code not in (ErrorCode.UNSUPPORTED_VERSION, ErrorCode.GROUP_ID_NOT_FOUND):
            raise AnswerError(answer.error_code, answer.error_message)
        first = AnswerError(answer.error_code, answer.error_message)
    try:
        return describe_classic_group(cluster, name, coordinator)
    except AnswerError as e:
        if first is not None and first.code == e.code == ErrorCode.GROUP_ID_NOT_FOUND:
            raise first from None  # it says more
        raise


def describe_classic_group(cluster: Cluster, name: str, coordinator: tuple[str, int, int]) -> Group:
    """Describe a group with DescribeGroups. Raises `AnswerError`."""
    answer = cluster.ask_coordinator(
        name, DescribeGroupsRequest([name]), lambda answer: int(answer.groups[0].error_code)
    ).groups[0]
    check(answer.error_code, answer.error_message)
    if answer.protocol_type not in ("", "consumer"):
        raise ToolError(
            "java.lang.IllegalArgumentException: "
            f"GroupId {name} is not a consumer group ({answer.protocol_type})."
        )
    members = [
        Member(m.member_id, m.group_instance_id, m.client_id, m.client_host, decode_assignment(m.member_assignment))
        for m in answer.members
    ]
    return Group(name, CLASSIC, answer.group_state, answer.protocol_data, members, coordinator)


def decode_assignment(raw: bytes) -> list[TopicPartition]:
    """Decode what a classic group assigned to a member: version, ConsumerProtocolAssignment. Raises `ToolError`."""
    from barnabas.protocol.codec import codec
    from barnabas.protocol.errors import SchemaError
    from barnabas.protocol.messages.consumer_protocol import ConsumerProtocolAssignment

    data = bytes(raw)
    if len(data) < 2:
        return []
    version = max(0, min(int.from_bytes(data[:2], "big", signed=True), 3))
    try:
        assignment: ConsumerProtocolAssignment
        assignment, _ = codec(ConsumerProtocolAssignment, version).decode(data, 2, len(data))
    except (SchemaError, IndexError, ValueError) as e:
        raise ToolError(f"A member's assignment cannot be decoded: {e}") from None
    return [(t.topic, index) for t in assignment.assigned_partitions for index in t.partitions]


def _consumer_group(answer: Any, coordinator: tuple[str, int, int]) -> Group:
    def partitions(assignment: Any) -> list[TopicPartition]:
        return [(t.topic_name, index) for t in assignment.topic_partitions for index in t.partitions]

    members = [
        Member(
            m.member_id, m.instance_id, m.client_id, m.client_host, partitions(m.assignment),
            partitions(m.target_assignment), m.member_epoch, None if m.member_type < 0 else m.member_type == 1,
            m.rack_id,
        )
        for m in answer.members
    ]
    return Group(
        answer.group_id, CONSUMER, answer.group_state, answer.assignor_name, members, coordinator, answer.group_epoch,
        answer.assignment_epoch,
    )


def delete_groups(cluster: Cluster, names: Iterable[str], call: str) -> dict[str, ClientError | None]:
    """Delete groups; return for each what stood in the way."""
    found: dict[str, ClientError | None] = {}
    for name in names:
        try:
            coordinator_of(cluster, name, call)
            answer = cluster.ask_coordinator(
                name, DeleteGroupsRequest([name]), lambda answer: int(answer.results[0].error_code)
            )
            check(answer.results[0].error_code)
            found[name] = None
        except ClientError as e:
            found[name] = e
    return found


# --- their offsets ------------------------------------------------------------------------------------------


class Committed(msgspec.Struct, frozen=True):
    """Hold a committed offset; the leader epoch is -1 where none was committed."""

    offset: int
    leader_epoch: int = -1
    metadata: str = ""


def committed_offsets(cluster: Cluster, group: str) -> dict[TopicPartition, Committed]:
    """Return all committed offsets of a group. Raises `ClientError`."""
    _, _, node = coordinator_of(cluster, group, "listConsumerGroupOffsets")
    old = not cluster.node(node).supports(OffsetFetchRequest.KEY, 8)
    if old:
        request = OffsetFetchRequest(group_id=group, topics=None)
    else:
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group, topics=None)])

    def part(answer: Any) -> Any:
        return answer if old else answer.groups[0]

    answer = part(cluster.ask_coordinator(group, request, lambda a: int(part(a).error_code), highest=_BY_NAME))
    check(answer.error_code)
    return {
        (topic.name, p.partition_index): Committed(p.committed_offset, p.committed_leader_epoch, p.metadata or "")
        for topic in answer.topics
        for p in topic.partitions
        if not p.error_code and p.committed_offset >= 0
    }


def commit_offsets(cluster: Cluster, group: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Commit offsets for a group without members. Raises `ClientError`: then some may not be committed."""
    coordinator_of(cluster, group, "alterConsumerGroupOffsets")
    topics = [
        OffsetCommitRequestTopic(
            topic,
            partitions=[OffsetCommitRequestPartition(index, offsets[topic, index]) for _, index in partitions],
        )
        for topic, partitions in group_by(offsets, lambda at: at[0]).items()
    ]

    def worst(answer: Any) -> int:
        return next((int(p.error_code) for t in answer.topics for p in t.partitions if p.error_code), 0)

    check(worst(cluster.ask_coordinator(group, OffsetCommitRequest(group, topics=topics), worst, highest=_BY_NAME)))


def delete_offsets(
    cluster: Cluster, group: str, partitions: Iterable[TopicPartition]
) -> tuple[int, dict[TopicPartition, int]]:
    """Delete committed offsets; return the group's error code and that of each partition. Raises `ClientError`."""
    wanted = list(partitions)
    coordinator_of(cluster, group, "deleteConsumerGroupOffsets")
    topics = [
        OffsetDeleteRequestTopic(topic, [OffsetDeleteRequestPartition(index) for _, index in those])
        for topic, those in group_by(wanted, lambda at: at[0]).items()
    ]
    answer = cluster.ask_coordinator(group, OffsetDeleteRequest(group, topics), lambda answer: int(answer.error_code))
    codes = {(t.name, p.partition_index): int(p.error_code) for t in answer.topics for p in t.partitions}
    return int(answer.error_code), {at: answer.error_code or codes.get(at, 0) for at in wanted}
