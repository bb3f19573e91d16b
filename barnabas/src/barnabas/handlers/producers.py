"""Answer InitProducerId (0-5) and DescribeProducers (0)."""

from __future__ import annotations

from barnabas.handlers.context import Answer, Request
from barnabas.node.node import Node
from barnabas.node.topics import check_name
from barnabas.protocol.errors import SENTENCES, ErrorCode, KafkaError
from barnabas.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)
from barnabas.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse


def init_producer_id(node: Node, request: Request) -> Answer:
    """Answer InitProducerId: a fresh id, or the next epoch of the id that the producer has (KIP-360)."""
    message: InitProducerIdRequest = request.message
    if message.transactional_id is not None:
        code = ErrorCode.INVALID_REQUEST if message.transactional_id == "" else ErrorCode.UNSUPPORTED_VERSION
        return InitProducerIdResponse(error_code=code, producer_epoch=-1)
    if (message.producer_id == -1) != (message.producer_epoch == -1):
        return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_epoch=-1)
    try:
        # without a transactional id the broker keeps no record of epochs: Kafka too gives out a new id
        return InitProducerIdResponse(producer_id=node.new_producer_id(), producer_epoch=0)
    except KafkaError as e:
        return InitProducerIdResponse(error_code=e.code, producer_epoch=-1)


def describe_producers(node: Node, request: Request) -> Answer:
    """Answer DescribeProducers."""
    message: DescribeProducersRequest = request.message
    topics = []
    for topic in message.topics:
        answers = []
        for index in topic.partition_indexes:
            try:
                check_name(topic.name)
                producers = node.log(topic.name, index).producers.producers
                answers.append(
                    PartitionResponse(
                        index, 0, None,
                        [
                            ProducerState(
                                i, p.epoch, p.batches[-1].last_sequence if p.batches else -1, p.timestamp,
                                p.coordinator_epoch, p.transaction_start,
                            )
                            for i, p in producers.items()
                        ],
                    )
                )
            except KafkaError as e:
                answers.append(PartitionResponse(index, e.code, e.message or SENTENCES.get(e.code)))
        topics.append(TopicResponse(topic.name, answers))
    return DescribeProducersResponse(topics=topics)
