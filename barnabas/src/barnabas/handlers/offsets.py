"""Answer for committed offsets: OffsetCommit (2-10), OffsetFetch (1-10), OffsetDelete (0).

From version 10 on topics are named by id. A partition that does not exist is refused, all others of a request are
stored in one write.
"""

from __future__ import annotations

from barnabas.groups.coordinator import Commit
from barnabas.handlers.context import Answer, Request
from barnabas.metadata.image import Topic
from barnabas.node.node import Node
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from barnabas.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from barnabas.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)


def offset_commit(node: Node, request: Request) -> Answer:
    """Answer OffsetCommit."""
    message: OffsetCommitRequest = request.message
    answers: list[OffsetCommitResponseTopic] = []
    commits: list[Commit] = []
    places: list[OffsetCommitResponsePartition] = []
    for t in message.topics:
        topic = node.image.topics_by_id.get(t.topic_id) if request.version >= 10 else node.image.topics.get(t.name)
        unknown = ErrorCode.UNKNOWN_TOPIC_ID if request.version >= 10 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if not t.partitions:
            continue  # Kafka leaves out topics of which nothing is committed
        partitions = []
        for p in t.partitions:
            place = OffsetCommitResponsePartition(p.partition_index)
            partitions.append(place)
            if topic is None:
                place.error_code = unknown
            elif not 0 <= p.partition_index < len(topic.partitions):
                place.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                places.append(place)
                commits.append(
                    Commit(
                        topic.name, topic.id, p.partition_index, p.committed_offset, p.committed_leader_epoch,
                        p.committed_metadata or "",
                    )
                )
        answers.append(OffsetCommitResponseTopic(t.name, t.topic_id, partitions))
    try:
        codes = node.groups.commit(
            message.group_id, message.member_id, message.group_instance_id, message.generation_id_or_member_epoch,
            request.version, commits,
        )
    except KafkaError as e:
        failure = ErrorCode.COORDINATOR_NOT_AVAILABLE if e.code == ErrorCode.KAFKA_STORAGE_ERROR else e.code
        for place in places:
            place.error_code = failure
    else:
        for place, code in zip(places, codes, strict=True):
            place.error_code = code
    return OffsetCommitResponse(topics=answers)


def offset_fetch(node: Node, request: Request) -> Answer:
    """Answer OffsetFetch: one group up to version 7, several from 8 on; null topics mean all."""
    message: OffsetFetchRequest = request.message
    if request.version >= 8:
        return OffsetFetchResponse(groups=[_fetch_group(node, g, request.version) for g in message.groups])
    committed = node.groups.fetch(message.group_id)
    wanted: list[tuple[str, list[int]]] = []
    if message.topics is None:
        every: dict[str, list[int]] = {}
        for topic, partition in committed:
            every.setdefault(topic, []).append(partition)
        wanted += every.items()
    else:
        wanted += [(t.name, t.partition_indexes) for t in message.topics]
    topics = []
    for name, indexes in wanted:
        partitions = []
        for index in indexes:
            value = committed.get((name, index))
            partitions.append(
                OffsetFetchResponsePartition(index, -1, -1, "", 0) if value is None
                else OffsetFetchResponsePartition(index, value.offset, value.leader_epoch, value.metadata, 0)
            )
        topics.append(OffsetFetchResponseTopic(name, partitions))
    return OffsetFetchResponse(topics=topics)


def _fetch_group(node: Node, asked: OffsetFetchRequestGroup, version: int) -> OffsetFetchResponseGroup:
    committed = node.groups.fetch(asked.group_id)
    wanted = asked.topics
    if wanted is None:
        found: dict[str, list[int]] = {}
        for topic, partition in committed:
            found.setdefault(topic, []).append(partition)
        wanted = [
            OffsetFetchRequestTopics(name, known.id if known else bytes(16), indexes)
            for name, indexes in found.items()
            for known in (node.image.topics.get(name),)
            if known is not None or version < 10
        ]
    topics = []
    for t in wanted:
        known: Topic | None = node.image.topics_by_id.get(t.topic_id) if version >= 10 else None
        name = known.name if known is not None else t.name
        missing = ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 and known is None else 0
        partitions = []
        for index in t.partition_indexes:
            value = None if missing else committed.get((name, index))
            partitions.append(
                OffsetFetchResponsePartitions(index, -1, -1, "", missing) if value is None
                else OffsetFetchResponsePartitions(index, value.offset, value.leader_epoch, value.metadata, 0)
            )
        topics.append(OffsetFetchResponseTopics(name if version < 10 else "", t.topic_id, partitions))
    return OffsetFetchResponseGroup(asked.group_id, topics, 0)


def offset_delete(node: Node, request: Request) -> Answer:
    """Answer OffsetDelete."""
    message: OffsetDeleteRequest = request.message
    places: list[OffsetDeleteResponsePartition] = []
    keys: list[tuple[str, int]] = []
    topics = []
    for t in message.topics:
        topic = node.image.topics.get(t.name)
        partitions = []
        for p in t.partitions:
            place = OffsetDeleteResponsePartition(p.partition_index)
            partitions.append(place)
            if topic is None or not 0 <= p.partition_index < len(topic.partitions):
                place.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                places.append(place)
                keys.append((t.name, p.partition_index))
        topics.append(OffsetDeleteResponseTopic(t.name, partitions))
    try:
        codes = node.groups.delete_offsets(message.group_id, keys)
    except KafkaError as e:
        return OffsetDeleteResponse(error_code=e.code)
    for place, code in zip(places, codes, strict=True):
        place.error_code = code
    return OffsetDeleteResponse(topics=topics)
