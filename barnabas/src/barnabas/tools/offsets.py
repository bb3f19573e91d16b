"""Look up offsets of partitions for several tools: ListOffsets, asked of each partition's leader.

A position is a time in milliseconds or one of the special values below. Errors stand in the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from barnabas.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from barnabas.tools.cluster import Cluster, group_by
from barnabas.tools.connection import UnsupportedVersion
from barnabas.tools.errors import AnswerError
from barnabas.tools.leaders import TopicPartition, ask_leaders

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6
#: special position: the first version of ListOffsets that knows it
_SINCE: Final = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}
READ_UNCOMMITTED, READ_COMMITTED = 0, 1


class FoundOffset(msgspec.Struct, frozen=True):
    """Hold what a leader answered; an offset of -1 says that there is none."""

    offset: int
    timestamp: int
    leader_epoch: int


def list_offsets(
    cluster: Cluster, positions: Mapping[TopicPartition, int], isolation: int = READ_UNCOMMITTED
) -> dict[TopicPartition, FoundOffset | AnswerError]:
    """Return the offset at each partition's position, or what stands in its way."""
    return ask_leaders(
        cluster, positions,
        lambda node, partitions: _ask(cluster, node, {p: positions[p] for p in partitions}, isolation),
    )


def _ask(
    cluster: Cluster, node: int, positions: Mapping[TopicPartition, int], isolation: int
) -> dict[TopicPartition, FoundOffset | AnswerError]:
    version = cluster.node(node).version_of(ListOffsetsRequest.KEY)
    found: dict[TopicPartition, FoundOffset | AnswerError] = {
        partition: UnsupportedVersion(
            f"The broker does not support ListOffsets with version {_SINCE[position]}, which knows position {position}"
        )
        for partition, position in positions.items() if _SINCE.get(position, 0) > version
    }
    asked = [p for p in positions if p not in found]
    if not asked:
        return found
    topics = [
        ListOffsetsTopic(topic, [ListOffsetsPartition(index, timestamp=positions[topic, index]) for _, index in those])
        for topic, those in group_by(asked, lambda partition: partition[0]).items()
    ]
    timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
    request = ListOffsetsRequest(isolation_level=isolation, topics=topics, timeout_ms=timeout_ms)
    answer: ListOffsetsResponse = cluster.ask(request, node=node, call="listOffsets")
    for topic in answer.topics:
        for p in topic.partitions:
            if p.error_code:
                found[topic.name, p.partition_index] = AnswerError(p.error_code)
            else:
                found[topic.name, p.partition_index] = FoundOffset(p.offset, p.timestamp, p.leader_epoch)
    return found
