"""Describe the producers of partitions for several tools: DescribeProducers, to the leader or to one broker."""

from __future__ import annotations

from collections.abc import Iterable

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.describe_producers import DescribeProducersRequest, ProducerState, TopicRequest
from barnabas.tools.cluster import Cluster, group_by
from barnabas.tools.errors import AnswerError
from barnabas.tools.leaders import TopicPartition, ask_leaders, name_of

Producers = list[ProducerState]


def describe_producers(
    cluster: Cluster, partitions: Iterable[TopicPartition], *, broker: int | None = None
) -> dict[TopicPartition, Producers | AnswerError]:
    """Return the producers of each partition, by producer id, or what stands in the way."""
    if broker is None:
        return ask_leaders(cluster, partitions, lambda node, those: _ask(cluster, node, those))
    found = _ask(cluster, broker, list(partitions))
    for partition, answer in found.items():
        if isinstance(answer, AnswerError) and answer.code == ErrorCode.NOT_LEADER_OR_FOLLOWER:
            found[partition] = AnswerError(
                answer.code,
                f"Failed to describe active producers for partition {name_of(partition)} on brokerId {broker}",
            )
    return found


def _ask(
    cluster: Cluster, node: int, partitions: list[TopicPartition]
) -> dict[TopicPartition, Producers | AnswerError]:
    topics = [
        TopicRequest(topic, [index for _, index in those])
        for topic, those in group_by(partitions, lambda partition: partition[0]).items()
    ]
    answer = cluster.ask(DescribeProducersRequest(topics), node=node, call="describeProducers")
    return {
        (t.name, p.partition_index): AnswerError(p.error_code, p.error_message) if p.error_code
        else sorted(p.active_producers, key=lambda producer: producer.producer_id)
        for t in answer.topics for p in t.partitions
    }
