"""Answer Metadata (0-13), DescribeCluster (0-2) and DescribeTopicPartitions (0).

Brokers are named by the advertised address of the listener that the request came to. A topic that is to be created
automatically is there before the answer (Kafka answers first and creates then); all-topics requests never create.
"""

from __future__ import annotations

from typing import Final

from barnabas.handlers.context import Answer, Request
from barnabas.handlers.operations import CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS
from barnabas.metadata.image import Partition, Topic
from barnabas.node.node import Node
from barnabas.node.topics import INTERNAL_TOPICS, check_name
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from barnabas.protocol.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponseCursor,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from barnabas.protocol.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from barnabas.protocol.schema import ZERO_UUID

_CONTROLLERS: Final = 2


def metadata(node: Node, request: Request) -> Answer:
    """Answer Metadata."""
    message: MetadataRequest = request.message
    version = request.version
    asked = message.topics
    everything = asked is None or (version == 0 and not asked)
    with_operations = message.include_topic_authorized_operations
    if everything:
        topics = [_topic(node, t, with_operations) for t in node.image.topics.values()]
    else:
        assert asked is not None
        if any(t.name is None and t.topic_id == ZERO_UUID for t in asked):
            # the answer of Kafka for a topic with neither name nor id
            return MetadataResponse(
                error_code=ErrorCode.UNKNOWN_SERVER_ERROR,
                topics=[_unknown(t.name or "", t.topic_id, ErrorCode.UNKNOWN_SERVER_ERROR, version) for t in asked]
            )
        allow = message.allow_auto_topic_creation if version >= 4 else True
        # each topic once; where any is asked for by its id, names do not count
        ids = dict.fromkeys(t.topic_id for t in asked if t.topic_id != ZERO_UUID)
        if ids:
            topics = [_topic_by_id(node, topic_id, version, with_operations) for topic_id in ids]
        else:
            names = dict.fromkeys(t.name or "" for t in asked)
            topics = [_topic_by_name(node, name, version, allow, with_operations) for name in names]
    listener = request.client.listener
    return MetadataResponse(
        brokers=[
            MetadataResponseBroker(
                node.node_id, listener.advertised_host, listener.advertised_port, node.config.broker_rack
            )
        ],
        cluster_id=node.cluster_id,
        controller_id=node.node_id,
        topics=topics,
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if message.include_cluster_authorized_operations else NOT_ASKED
        ),
    )


def _topic_by_id(node: Node, topic_id: bytes, version: int, with_operations: bool) -> MetadataResponseTopic:
    topic = node.image.topics_by_id.get(topic_id)
    if topic is None:
        return _unknown(None, topic_id, ErrorCode.UNKNOWN_TOPIC_ID, version)
    return _topic(node, topic, with_operations)


def _topic_by_name(
    node: Node, name: str, version: int, allow: bool, with_operations: bool
) -> MetadataResponseTopic:
    topic = node.image.topics.get(name)
    if topic is None:
        try:
            check_name(name)
            if not (allow and node.config.auto_create_topics_enable):
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            topic = node.topics.auto_create(name)
        except KafkaError as e:
            return _unknown(name, ZERO_UUID, e.code, version)
    return _topic(node, topic, with_operations)


def _unknown(name: str | None, topic_id: bytes, code: ErrorCode, version: int) -> MetadataResponseTopic:
    if name is None and version < 12:
        name = ""
    return MetadataResponseTopic(code, name, topic_id, is_internal=name in INTERNAL_TOPICS)


def _topic(node: Node, topic: Topic, with_operations: bool) -> MetadataResponseTopic:
    me = node.node_id
    return MetadataResponseTopic(
        0, topic.name, topic.id, topic.name in INTERNAL_TOPICS,
        [MetadataResponsePartition(0, p.index, me, p.leader_epoch, [me], [me], []) for p in topic.partitions],
        TOPIC_OPERATIONS if with_operations else NOT_ASKED,
    )


def describe_cluster(node: Node, request: Request) -> Answer:
    """Answer DescribeCluster: the brokers, or on a controller's listener the controllers."""
    message: DescribeClusterRequest = request.message
    listener = request.client.listener
    wanted = message.endpoint_type if request.version >= 1 else 1
    if wanted not in (1, _CONTROLLERS):
        return DescribeClusterResponse(
            error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            error_message=f"Unsupported endpoint type {wanted}",
        )
    if (wanted == _CONTROLLERS) != listener.is_controller:
        kinds = ("CONTROLLER", "BROKER") if listener.is_controller else ("BROKER", "CONTROLLER")
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            error_message="The request was sent to an endpoint of type {}, but we wanted an endpoint of type {}".format(
                *kinds
            ),
        )
    return DescribeClusterResponse(
        endpoint_type=wanted, cluster_id=node.cluster_id, controller_id=node.node_id,
        brokers=[
            DescribeClusterBroker(
                node.node_id, listener.advertised_host, listener.advertised_port, node.config.broker_rack
            )
        ],
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if message.include_cluster_authorized_operations else NOT_ASKED
        ),
    )


def describe_topic_partitions(node: Node, request: Request) -> Answer:
    """Answer DescribeTopicPartitions: topics in the order of their names, cut at the limit of partitions (KIP-966)."""
    message: DescribeTopicPartitionsRequest = request.message
    names = sorted({t.name for t in message.topics}) if message.topics else sorted(node.image.topics)
    cursor: Cursor | None = message.cursor
    if cursor is not None:
        if cursor.partition_index < 0 or (message.topics and cursor.topic_name not in names):
            return DescribeTopicPartitionsResponse(
                topics=[DescribeTopicPartitionsResponseTopic(ErrorCode.INVALID_REQUEST, n) for n in names]
            )
        names = [name for name in names if name >= cursor.topic_name]
    left = max(1, min(message.response_partition_limit, node.config.max_request_partition_size_limit))
    topics = []
    following = None
    for name in names:
        if left <= 0:
            following = DescribeTopicPartitionsResponseCursor(name, 0)
            break
        topic = node.image.topics.get(name)
        if topic is None:
            topics.append(
                DescribeTopicPartitionsResponseTopic(
                    _why_unknown(name), name, topic_authorized_operations=TOPIC_OPERATIONS
                )
            )
            continue
        first = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
        chosen = topic.partitions[first : first + left]
        left -= len(chosen)
        topics.append(_described(node, topic, chosen))
        if first + len(chosen) < len(topic.partitions):
            following = DescribeTopicPartitionsResponseCursor(name, first + len(chosen))
            break
    return DescribeTopicPartitionsResponse(topics=topics, next_cursor=following)


def _why_unknown(name: str) -> ErrorCode:
    try:
        check_name(name)
    except KafkaError as e:
        return e.code
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _described(node: Node, topic: Topic, partitions: list[Partition]) -> DescribeTopicPartitionsResponseTopic:
    me = node.node_id
    return DescribeTopicPartitionsResponseTopic(
        0, topic.name, topic.id, topic.name in INTERNAL_TOPICS,
        [
            DescribeTopicPartitionsResponsePartition(0, p.index, me, p.leader_epoch, [me], [me], [], [])
            for p in partitions
        ],
        TOPIC_OPERATIONS,
    )
