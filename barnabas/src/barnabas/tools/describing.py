"""Describe topics and configurations for several tools: DescribeTopicPartitions or Metadata, DescribeConfigs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResult,
)
from barnabas.protocol.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
    TopicRequest,
)
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.tools.cluster import Cluster

TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
#: source of a configuration entry, as DescribeConfigs numbers it, and Kafka's name of it
SOURCES: Final = {
    0: "UNKNOWN", 1: "DYNAMIC_TOPIC_CONFIG", 2: "DYNAMIC_BROKER_CONFIG", 3: "DYNAMIC_DEFAULT_BROKER_CONFIG",
    4: "STATIC_BROKER_CONFIG", 5: "DEFAULT_CONFIG", 6: "DYNAMIC_BROKER_LOGGER_CONFIG",
    7: "DYNAMIC_CLIENT_METRICS_CONFIG", 8: "DYNAMIC_GROUP_CONFIG",
}
DEFAULT_CONFIG: Final = 5

Topic = DescribeTopicPartitionsResponseTopic
Partition = DescribeTopicPartitionsResponsePartition


def describe_topics(cluster: Cluster, names: Iterable[str], limit: int = 2000) -> list[Topic]:
    """Describe topics by name, in the given order; errors stand in the answers. Without the API: from Metadata."""
    wanted = list(dict.fromkeys(names))
    if not cluster.supports(DescribeTopicPartitionsRequest.KEY):
        return _from_metadata(cluster, [MetadataRequestTopic(name=name) for name in wanted])
    found: dict[str, Topic] = {}
    cursor: Cursor | None = None
    while wanted:
        request = DescribeTopicPartitionsRequest([TopicRequest(n) for n in sorted(wanted)], limit, cursor)
        answer: DescribeTopicPartitionsResponse = cluster.ask(request, call="describeTopics")
        for topic in answer.topics:
            name = topic.name or ""
            if name in found:
                found[name].partitions += topic.partitions
            else:
                found[name] = topic
        if answer.next_cursor is None:
            break
        cursor = Cursor(answer.next_cursor.topic_name, answer.next_cursor.partition_index)
    return [found[name] for name in wanted if name in found]


def describe_topic_ids(cluster: Cluster, ids: Iterable[bytes]) -> list[Topic]:
    """Describe topics by id, from Metadata."""
    return _from_metadata(cluster, [MetadataRequestTopic(topic_id=i, name=None) for i in ids])


def _from_metadata(cluster: Cluster, asked: Sequence[MetadataRequestTopic]) -> list[Topic]:
    if not asked:
        return []
    answer = cluster.ask(MetadataRequest(list(asked), False), call="describeTopics")
    return [
        Topic(
            t.error_code, t.name, t.topic_id, t.is_internal,
            [
                Partition(
                    p.error_code, p.partition_index, p.leader_id, p.leader_epoch, p.replica_nodes, p.isr_nodes, None,
                    None, p.offline_replicas,
                )
                for p in sorted(t.partitions, key=lambda p: p.partition_index)
            ],
        )
        for t in answer.topics
    ]


def describe_configs(
    cluster: Cluster, kind: int, names: Iterable[str], *, synonyms: bool = False, documentation: bool = False,
    node: int | None = None,
) -> dict[str, DescribeConfigsResult]:
    """Describe the configuration of resources of one kind, by name; errors stand in the answers."""
    asked = [DescribeConfigsResource(kind, name, None) for name in names]
    if not asked:
        return {}
    answer = cluster.ask(
        DescribeConfigsRequest(asked, synonyms, documentation), node=node, call="describeConfigs"
    )
    return {result.resource_name: result for result in answer.results}


def is_missing(code: int) -> bool:
    """Tell whether an error says that a topic does not exist."""
    return code in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID)
