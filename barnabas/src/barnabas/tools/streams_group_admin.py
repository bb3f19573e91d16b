"""Describe streams groups (KIP-1071), for kafka-streams-groups and the console."""

from __future__ import annotations

import msgspec

from barnabas.protocol.messages.streams_group_describe import (
    DescribedGroup,
    Member,
    StreamsGroupDescribeRequest,
    Subtopology,
)
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import check
from barnabas.tools.group_admin import coordinator_of


class StreamsGroup(msgspec.Struct, frozen=True):
    """Describe a streams group: what its coordinator said, and where that is: host, port, node id."""

    answer: DescribedGroup
    coordinator: tuple[str, int, int]

    @property
    def name(self) -> str:
        """Return the group's name."""
        return self.answer.group_id

    @property
    def state(self) -> str:
        """Return the group's state, as Kafka writes it."""
        return self.answer.group_state

    @property
    def subtopologies(self) -> list[Subtopology]:
        """Return the parts of the topology; none where the group has no topology."""
        return list(self.answer.topology.subtopologies or ()) if self.answer.topology else []

    @property
    def members(self) -> list[Member]:
        """Return the members, by id."""
        return sorted(self.answer.members, key=lambda member: str(member.member_id))

    @property
    def topology_epoch(self) -> int:
        """Return the epoch of the topology."""
        return self.answer.topology.epoch if self.answer.topology else 0


def describe_streams_group(cluster: Cluster, name: str) -> StreamsGroup:
    """Return a group with its members. Raises `ClientError`: `AnswerError` with GROUP_ID_NOT_FOUND among others."""
    coordinator = coordinator_of(cluster, name, "describeStreamsGroups")
    answer = cluster.ask_coordinator(
        name, StreamsGroupDescribeRequest([name]), lambda answer: int(answer.groups[0].error_code)
    ).groups[0]
    check(answer.error_code, answer.error_message)
    return StreamsGroup(answer, coordinator)
