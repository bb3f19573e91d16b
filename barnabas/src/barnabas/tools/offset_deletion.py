"""Delete committed offsets of a group and say how it went, for kafka-consumer-groups and kafka-streams-groups.

Requests: OffsetDelete, DescribeTopicPartitions or Metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from barnabas.protocol.error_texts import name_of, text_of
from barnabas.protocol.errors import ErrorCode
from barnabas.tools.cluster import Cluster
from barnabas.tools.describing import describe_topics
from barnabas.tools.errors import AnswerError
from barnabas.tools.group_admin import delete_offsets, failing, java_error
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.reset_offsets import parse_scope
from barnabas.tools.terminal import table

Results = dict[TopicPartition, int]
"""The error code of each partition; a topic that cannot be described stands there as its partition -1."""

_GROUP_ERRORS: Final = (
    ErrorCode.INVALID_GROUP_ID, ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ErrorCode.NON_EMPTY_GROUP,
)
_PARTITION_ERRORS: Final = (
    ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
)


def delete_of_topics(cluster: Cluster, group: str, topics: Iterable[str]) -> tuple[int, Results]:
    """Delete what a group has committed for `topic` or `topic:0,1`; return the worst code and all of them.

    Raises `UsageError`, `ToolError`.
    """
    topics = list(topics)
    partitions = [at for topic in topics if ":" in topic for at in parse_scope(topic)]
    unknown: Results = {}
    for described in describe_topics(cluster, [topic for topic in topics if ":" not in topic]):
        if described.error_code:
            unknown[described.name or "", -1] = described.error_code
        else:
            partitions += [(described.name or "", p.partition_index) for p in described.partitions]
    code, found = delete_of_partitions(cluster, group, partitions)
    return code, unknown | found


def delete_of_partitions(cluster: Cluster, group: str, partitions: Iterable[TopicPartition]) -> tuple[int, Results]:
    """Delete what a group has committed for partitions; return the worst code and all of them. Raises `ToolError`."""
    with failing(1):
        code, found = delete_offsets(cluster, group, dict.fromkeys(partitions))
    return code or next((one for one in found.values() if one), 0), found


def results_as_json(results: Mapping[TopicPartition, int]) -> list[dict[str, Any]]:
    """Return what came of each partition as rows."""
    return [
        {"topic": topic, "partition": None if index < 0 else index, "error": text_of(one) if one else None}
        for (topic, index), one in sorted(results.items())
    ]


def print_results(group: str, code: int, results: Mapping[TopicPartition, int]) -> None:
    """Say how it went, and print the table of partitions."""
    if not code:
        print(f"Request succeeded for deleting offsets from group {group}.")
    elif code in _GROUP_ERRORS:
        print(f"\nError: {text_of(code)}")
    elif code in _PARTITION_ERRORS:
        print("\nError: Encountered some partition-level error, see the follow-up details.")
    else:
        print(f"\nError: Encountered some unknown error: {name_of(code)}")
    line = f"\n{{:<{max([15, *(len(topic) for topic, _ in results)])}}} {{:<10}} {{:<15}}"
    rows: list[tuple[object, ...]] = [("TOPIC", "PARTITION", "STATUS")]
    for (topic, index), one in sorted(results.items(), key=lambda item: f"{item[0][0]}{item[0][1]}"):
        status = f"Error: {java_error(AnswerError(one))}" if one else "Successful"
        rows.append((topic, index if index >= 0 else "-", status))
    print(table(line, rows))
