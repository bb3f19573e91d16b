"""Describe share groups (KIP-932) and set where they begin to read.

Requests: ShareGroupDescribe, DescribeShareGroupOffsets, AlterShareGroupOffsets.
"""

from __future__ import annotations

import msgspec

from barnabas.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from barnabas.protocol.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
)
from barnabas.protocol.messages.share_group_describe import ShareGroupDescribeRequest
from barnabas.tools.cluster import Cluster, group_by
from barnabas.tools.errors import check
from barnabas.tools.group_admin import SHARE, Group, Member, coordinator_of
from barnabas.tools.leaders import TopicPartition


class StartOffset(msgspec.Struct, frozen=True):
    """Hold where a share group begins to read a partition."""

    topic: str
    partition: int
    start: int | None
    leader_epoch: int | None
    lag: int | None


def describe_share_group(cluster: Cluster, name: str) -> Group:
    """Return a group with its members. Raises `ClientError`."""
    coordinator = coordinator_of(cluster, name, "describeShareGroups")
    answer = cluster.ask_coordinator(
        name, ShareGroupDescribeRequest([name]), lambda answer: int(answer.groups[0].error_code)
    ).groups[0]
    check(answer.error_code, answer.error_message)
    members = [
        Member(
            m.member_id, None, m.client_id, m.client_host,
            [(t.topic_name, index) for t in m.assignment.topic_partitions for index in t.partitions],
            epoch=m.member_epoch, rack_id=m.rack_id,
        )
        for m in sorted(answer.members, key=lambda m: str(m.member_id))
    ]
    return Group(
        name, SHARE, answer.group_state, answer.assignor_name, members, coordinator, answer.group_epoch,
        answer.assignment_epoch,
    )


def start_offsets(cluster: Cluster, name: str) -> list[StartOffset]:
    """Return where a group begins to read each partition, in order; those with an error are left out.

    Raises `ClientError`.
    """
    coordinator_of(cluster, name, "listShareGroupOffsets")
    request = DescribeShareGroupOffsetsRequest([DescribeShareGroupOffsetsRequestGroup(name, None)])
    answer = cluster.ask_coordinator(name, request, lambda answer: int(answer.groups[0].error_code)).groups[0]
    check(answer.error_code, answer.error_message)
    found = []
    for topic in answer.topics:
        for p in topic.partitions:
            known = not p.error_code and p.start_offset >= 0
            if not p.error_code:
                found.append(StartOffset(
                    topic.topic_name, p.partition_index, p.start_offset if known else None,
                    p.leader_epoch if known else None, p.lag if known and p.lag >= 0 else None,
                ))
    return sorted(found, key=lambda offset: (offset.topic, offset.partition))


def alter_start_offsets(cluster: Cluster, name: str, offsets: dict[TopicPartition, int]) -> None:
    """Set where a group without members begins to read partitions. Raises `ClientError`."""
    coordinator_of(cluster, name, "alterShareGroupOffsets")
    topics = [
        AlterShareGroupOffsetsRequestTopic(
            topic, [AlterShareGroupOffsetsRequestPartition(index, offsets[topic, index]) for _, index in those]
        )
        for topic, those in group_by(offsets, lambda at: at[0]).items()
    ]
    request = AlterShareGroupOffsetsRequest(name, topics)
    answer = cluster.ask_coordinator(name, request, lambda answer: int(answer.error_code))
    check(answer.error_code, answer.error_message)
    for topic in answer.responses:
        for p in topic.partitions:
            check(p.error_code, p.error_message)
