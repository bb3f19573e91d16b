"""Answer what concerns single partitions: ListOffsets (1-11), OffsetForLeaderEpoch (2-4), DeleteRecords (0-2)."""

from __future__ import annotations

from typing import Final

from barnabas.handlers.context import Answer, Request
from barnabas.handlers.fetch import check_leader_epoch
from barnabas.log.files import StorageError
from barnabas.log.partition import PartitionLog
from barnabas.node.node import Node
from barnabas.node.topics import INTERNAL_TOPICS
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from barnabas.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from barnabas.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)

NO_EPOCH: Final = -1
LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6
#: the version that brought each special timestamp
_SINCE: Final = {
    LATEST: 0, EARLIEST: 0, MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11
}


def list_offsets(node: Node, request: Request) -> Answer:
    """Answer ListOffsets; a partition that is named twice is an error for that partition."""
    message: ListOffsetsRequest = request.message
    seen: set[tuple[str, int]] = set()
    twice: set[tuple[str, int]] = set()
    for topic in message.topics:
        for p in topic.partitions:
            key = (topic.name, p.partition_index)
            (twice if key in seen else seen).add(key)
    committed = message.isolation_level == 1
    topics = []
    for topic in message.topics:
        if not topic.partitions:
            continue
        answers = []
        for p in {p.partition_index: p for p in topic.partitions}.values():
            try:
                if (topic.name, p.partition_index) in twice:
                    raise KafkaError(ErrorCode.INVALID_REQUEST)
                answers.append(_list_offset(node.log(topic.name, p.partition_index), p, request.version, committed))
            except KafkaError as e:
                answers.append(ListOffsetsPartitionResponse(p.partition_index, e.code))
        topics.append(ListOffsetsTopicResponse(topic.name, answers))
    return ListOffsetsResponse(topics=topics)


def _list_offset(
    log: PartitionLog, asked: ListOffsetsPartition, version: int, committed: bool
) -> ListOffsetsPartitionResponse:
    check_leader_epoch(log, asked.current_leader_epoch)
    timestamp, index = asked.timestamp, asked.partition_index
    if timestamp < 0 and version < _SINCE.get(timestamp, 1 << 15):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
    limit = log.last_stable_offset if committed else log.high_watermark
    if timestamp == LATEST:
        return ListOffsetsPartitionResponse(index, 0, -1, limit, log.leader_epoch)
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        start = log.log_start_offset
        epoch = log.epoch_at(start) if start < log.log_end_offset else log.leader_epoch
        return ListOffsetsPartitionResponse(index, 0, -1, start, epoch)
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return ListOffsetsPartitionResponse(index, 0, -1, -1, -1)
    try:
        found = log.offset_of_max_timestamp() if timestamp == MAX_TIMESTAMP else log.offset_for_timestamp(timestamp)
    except StorageError as e:
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(e)) from e
    if found is None or (found.offset >= limit and timestamp != MAX_TIMESTAMP):
        return ListOffsetsPartitionResponse(index, 0, -1, -1, -1)
    return ListOffsetsPartitionResponse(index, 0, found.timestamp, found.offset, found.leader_epoch)


def offset_for_leader_epoch(node: Node, request: Request) -> Answer:
    """Answer OffsetForLeaderEpoch."""
    message: OffsetForLeaderEpochRequest = request.message
    topics = []
    for topic in message.topics:
        answers = []
        for p in topic.partitions:
            try:
                log = node.log(topic.topic, p.partition)
                check_leader_epoch(log, p.current_leader_epoch)
                epoch, end = log.end_of_epoch(p.leader_epoch) if p.leader_epoch != NO_EPOCH else (NO_EPOCH, -1)
                answers.append(EpochEndOffset(0, p.partition, epoch, end))
            except KafkaError as e:
                answers.append(EpochEndOffset(e.code, p.partition))
        topics.append(OffsetForLeaderTopicResult(topic.topic, answers))
    return OffsetForLeaderEpochResponse(topics=topics)


def delete_records(node: Node, request: Request) -> Answer:
    """Answer DeleteRecords; offset -1 means the high watermark."""
    message: DeleteRecordsRequest = request.message
    topics = []
    for topic in message.topics:
        if not topic.partitions:
            continue
        answers = []
        for p in {p.partition_index: p for p in topic.partitions}.values():
            try:
                log = node.log(topic.name, p.partition_index)
                if topic.name in INTERNAL_TOPICS:
                    raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION)
                if "delete" not in log.config.cleanup_policy:
                    raise KafkaError(ErrorCode.POLICY_VIOLATION)
                try:
                    log.delete_records_before(log.high_watermark if p.offset == -1 else p.offset)
                except StorageError as e:
                    raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(e)) from e
                answers.append(DeleteRecordsPartitionResult(p.partition_index, log.log_start_offset, 0))
            except KafkaError as e:
                answers.append(DeleteRecordsPartitionResult(p.partition_index, -1, e.code))
        topics.append(DeleteRecordsTopicResult(topic.name, answers))
    node.directory.write_checkpoints()
    return DeleteRecordsResponse(topics=topics)
