"""Delete the records before an offset: DeleteRecords, to each partition's leader."""

from __future__ import annotations

from barnabas.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from barnabas.tools.cluster import Cluster, group_by
from barnabas.tools.errors import AnswerError
from barnabas.tools.leaders import TopicPartition, ask_leaders


def delete_records(cluster: Cluster, offsets: dict[TopicPartition, int]) -> dict[TopicPartition, int | AnswerError]:
    """Delete the records before each partition's offset; return the new low watermarks."""
    timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)

    def ask(node: int, partitions: list[TopicPartition]) -> dict[TopicPartition, int | AnswerError]:
        topics = [
            DeleteRecordsTopic(topic, [DeleteRecordsPartition(index, offsets[topic, index]) for _, index in those])
            for topic, those in group_by(partitions, lambda partition: partition[0]).items()
        ]
        answer = cluster.ask(DeleteRecordsRequest(topics, timeout_ms), node=node, call="deleteRecords")
        return {
            (t.name, p.partition_index): AnswerError(p.error_code) if p.error_code else p.low_watermark
            for t in answer.topics for p in t.partitions
        }

    return ask_leaders(cluster, offsets, ask)
