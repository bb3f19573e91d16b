"""Answer Produce (3-13): append batches.

acks 0 gets no answer, and an error closes the connection instead. acks 1 and all are the same on one node, except
that all checks `min.insync.replicas`. Where a topic wants its records flushed, the answer waits for the disk.
"""

from __future__ import annotations

from barnabas.handlers.context import Answer, CloseConnection, Deferred, Request
from barnabas.log.partition import PartitionLog
from barnabas.log.validation import RefusedRecords
from barnabas.node.node import Node
from barnabas.protocol import compression
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from barnabas.protocol.schema import Buffer

_UNLIMITED = (1 << 63) - 1


def produce(node: Node, request: Request) -> Answer:
    """Answer Produce."""
    message: ProduceRequest = request.message
    acks, version = message.acks, request.version
    if message.transactional_id is not None:
        return _refuse_all(message, ErrorCode.INVALID_TXN_STATE, "Transactions are not supported")
    if acks not in (-1, 0, 1):
        return _refuse_all(message, ErrorCode.INVALID_REQUIRED_ACKS, None)
    now = node.clock.now_ms()
    topics = []
    to_flush: list[PartitionLog] = []
    failed = False
    logs = node.directory.logs
    for topic in message.topic_data:
        name = topic.name
        if version >= 13:
            known = node.image.topics_by_id.get(topic.topic_id)
            name = known.name if known is not None else ""
        answers = []
        for data in topic.partition_data:
            log = logs.get((name, data.index))
            if log is None:
                unknown = ErrorCode.UNKNOWN_TOPIC_ID if version >= 13 and not name else (
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                )
                answer = PartitionProduceResponse(data.index, unknown, -1)
            else:
                answer = _append(log, data, acks, version, now)
                if answer.error_code == 0 and log.config.flush_messages < _UNLIMITED and (
                    log.log_end_offset - log.recovery_point >= log.config.flush_messages
                ):
                    to_flush.append(log)
            failed = failed or answer.error_code != 0
            answers.append(answer)
        if answers:
            topics.append(TopicProduceResponse(topic.name, topic.topic_id, answers))
    if acks == 0:
        if failed:
            raise CloseConnection("a Produce with acks=0 failed")
        return None
    response = ProduceResponse(topics)
    return _after_flush(node, response, to_flush) if to_flush else response


def _append(
    log: PartitionLog, data: PartitionProduceData, acks: int, version: int, now: int
) -> PartitionProduceResponse:
    batch: Buffer | None = data.records
    try:
        if acks == -1 and log.config.min_insync_replicas > 1:
            raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
        if batch is None:
            raise KafkaError(ErrorCode.INVALID_RECORD, "The records are null")
        view = memoryview(batch)
        if version < 7 and len(view) > 22 and view[22] & 7 == compression.ZSTD:
            raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce version 7 or later")
        done = log.append(view, now)
    except RefusedRecords as e:
        return PartitionProduceResponse(
            data.index, e.code, -1, record_errors=[BatchIndexAndErrorMessage(i, why) for i, why in e.records],
            error_message=e.message,
        )
    except KafkaError as e:
        return PartitionProduceResponse(data.index, e.code, -1, error_message=e.message)
    return PartitionProduceResponse(data.index, 0, done.base_offset, done.timestamp, log.log_start_offset)


def _after_flush(node: Node, response: ProduceResponse, logs: list[PartitionLog]) -> Deferred:
    deferred = Deferred()
    left = len(logs)

    def flushed(worked: bool) -> None:
        nonlocal left
        left -= 1
        if not worked:
            for topic in response.responses:
                for partition in topic.partition_responses:
                    partition.error_code = partition.error_code or ErrorCode.KAFKA_STORAGE_ERROR
        if left == 0:
            deferred.resolve(response)

    for log in logs:
        node.flusher.flush(log, flushed)
    return deferred


def _refuse_all(message: ProduceRequest, code: ErrorCode, text: str | None) -> Answer:
    if message.acks == 0:
        raise CloseConnection("a Produce with acks=0 was refused")
    return ProduceResponse(
        [
            TopicProduceResponse(
                t.name, t.topic_id,
                [PartitionProduceResponse(d.index, code, -1, error_message=text) for d in t.partition_data],
            )
            for t in message.topic_data
        ]
    )
