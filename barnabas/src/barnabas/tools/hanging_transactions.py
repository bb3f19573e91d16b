"""Find transactions that hang: open on a partition for long, and unknown to their coordinator.

A transaction hangs if no transactional id has its producer id, or if that id's coordinator does not count the partition
among those that it will write a marker to.
"""

from __future__ import annotations

import argparse
import time
from typing import Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.describe_producers import ProducerState
from barnabas.protocol.messages.list_transactions import ListTransactionsRequest
from barnabas.tools.cluster import Cluster
from barnabas.tools.describing import describe_topics
from barnabas.tools.errors import AnswerError, ClientError, ToolError, check
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.producers import describe_producers
from barnabas.tools.scripts.transactions import describe_transaction, failed, list_transactions, show

_COLUMNS: Final = (
    "Topic", "Partition", "ProducerId", "ProducerEpoch", "CoordinatorEpoch", "StartOffset", "LastTimestamp",
    "Duration(min)",
)
_BATCH: Final = 500

Open = tuple[TopicPartition, ProducerState]


def find_hanging(cluster: Cluster, chosen: argparse.Namespace) -> None:
    """Print the transactions that hang."""
    if chosen.topic is None and chosen.broker_id is None:
        raise ToolError(
            "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search"
        )
    if chosen.partition is not None and chosen.topic is None:
        raise ToolError("The --partition argument requires --topic to be provided")
    found = _open(cluster, _partitions(cluster, chosen), chosen.broker_id, chosen.max_transaction_timeout * 60_000)
    hanging = _hanging(cluster, found) if found else []
    now = int(time.time() * 1000)
    show(_COLUMNS, [
        (
            topic, index, p.producer_id, p.producer_epoch, p.coordinator_epoch, p.current_txn_start_offset,
            p.last_timestamp, (now - p.last_timestamp) // 60_000,
        )
        for (topic, index), p in sorted(hanging, key=lambda item: item[0])
    ], as_json=chosen.json)


def _partitions(cluster: Cluster, chosen: argparse.Namespace) -> list[TopicPartition]:
    if chosen.partition is not None:
        return [(chosen.topic, chosen.partition)]
    try:
        topics = [chosen.topic] if chosen.topic is not None else [t.name or "" for t in cluster.topics()]
    except ClientError as e:
        raise failed("Failed to list topics", e) from e
    found = []
    try:
        for topic in describe_topics(cluster, topics):
            check(topic.error_code)
            found += [
                (topic.name or "", p.partition_index) for p in topic.partitions
                if chosen.broker_id is None or chosen.broker_id in p.replica_nodes
            ]
    except ClientError as e:
        raise failed(f"Failed to describe {len(topics)} topics", e) from e
    return found


def _open(cluster: Cluster, partitions: list[TopicPartition], broker: int | None, longer_ms: int) -> list[Open]:
    found: list[Open] = []
    now = int(time.time() * 1000)
    for start in range(0, len(partitions), _BATCH):
        batch = partitions[start : start + _BATCH]
        shown = "Optional.empty" if broker is None else f"Optional[{broker}]"
        what = f"Failed to describe producers for {len(batch)} partitions on broker {shown}"
        try:
            answers = describe_producers(cluster, batch, broker=broker)
        except ClientError as e:
            raise failed(what, e) from e
        for partition, producers in answers.items():
            if isinstance(producers, AnswerError):
                raise failed(what, producers)
            found += [
                (partition, p) for p in producers
                if p.current_txn_start_offset >= 0 and now - p.last_timestamp > longer_ms
            ]
    return found


def _hanging(cluster: Cluster, found: list[Open]) -> list[Open]:
    producers = sorted({producer.producer_id for _, producer in found})
    try:
        listed = list_transactions(cluster, ListTransactionsRequest([], producers))
    except ClientError as e:
        raise failed(f"Failed to list transactions for {len(producers)} producers", e) from e
    expected: dict[int, set[TopicPartition]] = {}
    for name, _, producer, _ in listed:
        try:
            _, state = describe_transaction(cluster, name)
            expected[producer] = {(t.topic, p) for t in state.topics for p in t.partitions}
        except ClientError as e:
            if not (isinstance(e, AnswerError) and e.code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND):
                raise failed(f"Failed to describe {len(listed)} transactions", e) from e
    return [(partition, p) for partition, p in found if partition not in expected.get(p.producer_id, ())]
