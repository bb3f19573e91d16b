"""kafka-transactions: list and describe transactions, find those that hang, and end them.

Requests: ListTransactions (to each broker), FindCoordinator, DescribeTransactions, DescribeProducers, Metadata,
WriteTxnMarkers (abort), InitProducerId (forceTerminateTransaction). Differs from Java's tool: rows are sorted, an
unknown topic is given up after a few seconds, and there is --json. `hanging_transactions.py` does find-hanging.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.describe_producers import ProducerState
from barnabas.protocol.messages.describe_transactions import DescribeTransactionsRequest, TransactionState
from barnabas.protocol.messages.init_producer_id import InitProducerIdRequest
from barnabas.protocol.messages.list_transactions import ListTransactionsRequest
from barnabas.protocol.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from barnabas.tools.cluster import TRANSACTION, Cluster
from barnabas.tools.connection import UnsupportedVersion
from barnabas.tools.errors import AnswerError, ClientError, ToolError
from barnabas.tools.leaders import TopicPartition, ask_leaders, name_of
from barnabas.tools.producers import describe_producers
from barnabas.tools.settings import Settings, load_properties
from barnabas.tools.texts import table

SUMMARY = "List and describe transactions, find those that hang, and end them."
EXAMPLE = """
kafka-transactions --bootstrap-server localhost:9092 list
kafka-transactions --bootstrap-server localhost:9092 describe --transactional-id orders-1
kafka-transactions --bootstrap-server localhost:9092 find-hanging --broker-id 1
"""
_LISTED = ("TransactionalId", "Coordinator", "ProducerId", "TransactionState")
_DESCRIBED = (
    "CoordinatorId", "TransactionalId", "ProducerId", "ProducerEpoch", "TransactionState", "TransactionTimeoutMs",
    "CurrentTransactionStartTimeMs", "TransactionDurationMs", "TopicPartitions",
)
_PRODUCERS = (
    "ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp",
    "CurrentTransactionStartOffset",
)


class _Version(argparse.Action):
    """Print Kafka's version and end."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from barnabas.tools.main import KAFKA_VERSION

        print(KAFKA_VERSION)
        raise SystemExit(0)


def parser(parser: Any) -> None:
    """Declare the arguments."""
    parser.add_argument("-v", "--version", action=_Version, nargs=0, help="print the version and exit")
    parser.add_argument("--command-config", metavar="FILE", help="a property file with the client's configuration")
    parser.add_argument("--bootstrap-server", metavar="host:port", required=True, help="the brokers to connect to")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")

    def command(name: str, text: str, *, prints: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        if prints:
            made.add_argument("--json", action="store_true", help="print JSON; not in Apache Kafka's tool")
        return made  # type: ignore[no-any-return]

    def partition(to: argparse.ArgumentParser) -> None:
        to.add_argument("--topic", required=True, help="the topic")
        to.add_argument("--partition", required=True, type=int, help="the partition")

    each = command("list", "list transactions")
    each.add_argument("--duration-filter", type=int, help="only those that run for longer, in milliseconds")
    each.add_argument("--transactional-id-pattern", help="only those whose id matches a regular expression (RE2)")
    one = command("describe", "show what a transactional id does")
    one.add_argument("--transactional-id", required=True, help="the transactional id")
    producers = command("describe-producers", "show the producers of a partition")
    producers.add_argument("--broker-id", type=int, help="ask this replica, and not the leader")
    partition(producers)
    abort = command("abort", "abort a hanging transaction", prints=False)
    partition(abort)
    abort.add_argument("--start-offset", type=int, help="where the transaction begins (brokers since 3.0)")
    abort.add_argument("--producer-id", type=int, help="for older brokers, with the two epochs")
    abort.add_argument("--producer-epoch", type=int, help="for older brokers")
    abort.add_argument("--coordinator-epoch", type=int, help="for older brokers")
    hanging = command("find-hanging", "find transactions that hang")
    hanging.add_argument("--broker-id", type=int, help="look at the partitions of this broker")
    hanging.add_argument("--max-transaction-timeout", type=int, default=15, help="minutes until it may hang (15)")
    hanging.add_argument("--topic", help="look at this topic alone")
    hanging.add_argument("--partition", type=int, help="look at this partition of --topic alone")
    force = command("forceTerminateTransaction", "abort what a transactional id does, and fence it", prints=False)
    force.add_argument("--transactionalId", required=True, help="the transactional id")


def run(chosen: argparse.Namespace) -> int:
    """Do what was asked."""
    from barnabas.tools.hanging_transactions import find_hanging

    properties = load_properties(chosen.command_config) if chosen.command_config else {}
    with Cluster(Settings(properties, chosen.bootstrap_server)) as cluster:
        {
            "list": _list, "describe": _describe, "describe-producers": _describe_producers, "abort": _abort,
            "find-hanging": find_hanging, "forceTerminateTransaction": _force,
        }[chosen.command](cluster, chosen)
    return 0


def failed(what: str, error: ClientError) -> ToolError:
    """Return the error that ends the tool."""
    return ToolError(f"{what}: {error}. Enable debug logging for additional detail.")


def show(columns: Sequence[str], rows: Sequence[Sequence[object]], *, as_json: bool) -> None:
    """Print a table."""
    if as_json:
        names = [name[0].lower() + name[1:] for name in columns]
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False))
    else:
        print(table(columns, rows))


# --- list, describe -----------------------------------------------------------------------------------------


def list_transactions(cluster: Cluster, request: ListTransactionsRequest) -> list[tuple[str, int, int, str]]:
    """Return transactional id, coordinator, producer id and state of transactions. Raises `ClientError`."""
    found = []
    for node in sorted(cluster.brokers):
        answer = cluster.ask(request, node=node, call="listTransactions")
        if answer.error_code:
            raise AnswerError(
                answer.error_code, f"ListTransactions request sent to broker {node} failed with an unexpected exception"
            )
        found += [(s.transactional_id, node, s.producer_id, s.transaction_state) for s in answer.transaction_states]
    return sorted(found)


def _list(cluster: Cluster, chosen: argparse.Namespace) -> None:
    duration = -1 if chosen.duration_filter is None else chosen.duration_filter
    request = ListTransactionsRequest([], [], duration, chosen.transactional_id_pattern or None)
    try:
        found = list_transactions(cluster, request)
    except ClientError as e:
        raise failed("Failed to list transactions", e) from e
    show(_LISTED, found, as_json=chosen.json)


def find_coordinator(cluster: Cluster, transactional_id: str) -> int:
    """Return the coordinator of a transactional id. Raises `ClientError`."""
    try:
        return cluster.coordinator(transactional_id, TRANSACTION)
    except AnswerError as e:
        if isinstance(e, UnsupportedVersion):
            raise
        key = f"CoordinatorKey(idValue='{transactional_id}', type=TRANSACTION)"
        raise AnswerError(
            e.code, f"FindCoordinator request for key `{key}` failed due to an unexpected error"
        ) from e


def describe_transaction(cluster: Cluster, transactional_id: str) -> tuple[int, TransactionState]:
    """Return the coordinator of a transactional id, and what it says. Raises `ClientError`."""
    node = find_coordinator(cluster, transactional_id)
    answer = cluster.ask_coordinator(
        transactional_id, DescribeTransactionsRequest([transactional_id]),
        lambda a: a.transaction_states[0].error_code, kind=TRANSACTION,
    )
    state: TransactionState = answer.transaction_states[0]
    if state.error_code:
        why = {
            ErrorCode.TRANSACTIONAL_ID_NOT_FOUND: "because the ID could not be found",
            ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "due to authorization failure",
        }.get(ErrorCode(state.error_code), "due to unexpected error")
        raise AnswerError(
            state.error_code, f"DescribeTransactions request for transactionalId `{transactional_id}` failed {why}"
        )
    return node, state


def _describe(cluster: Cluster, chosen: argparse.Namespace) -> None:
    name = chosen.transactional_id
    try:
        node, state = describe_transaction(cluster, name)
    except ClientError as e:
        raise failed(f"Failed to describe transaction state of transactional-id `{name}`", e) from e
    began: object = "None"
    runs: object = "None"
    if state.transaction_start_time_ms >= 0:
        began = state.transaction_start_time_ms
        runs = int(time.time() * 1000) - state.transaction_start_time_ms
    partitions = sorted((t.topic, p) for t in state.topics for p in t.partitions)
    row = (
        node, name, state.producer_id, state.producer_epoch, state.transaction_state, state.transaction_timeout_ms,
        began, runs, ",".join(map(name_of, partitions)),
    )
    show(_DESCRIBED, [row], as_json=chosen.json)


def _describe_producers(cluster: Cluster, chosen: argparse.Namespace) -> None:
    partition = (chosen.topic, chosen.partition)
    found = describe_producers(cluster, [partition], broker=chosen.broker_id)[partition]
    if isinstance(found, AnswerError):
        where = "leader" if chosen.broker_id is None else f"broker {chosen.broker_id}"
        raise failed(f"Failed to describe producers for partition {name_of(partition)} on {where}", found)
    show(_PRODUCERS, [
        (
            p.producer_id, p.producer_epoch, p.coordinator_epoch, p.last_sequence, p.last_timestamp,
            "None" if p.current_txn_start_offset < 0 else p.current_txn_start_offset,
        )
        for p in found
    ], as_json=chosen.json)


# --- ending -------------------------------------------------------------------------------------------------


def _abort(cluster: Cluster, chosen: argparse.Namespace) -> None:
    partition = (chosen.topic, chosen.partition)
    if chosen.start_offset is None and chosen.producer_id is None:
        raise ToolError(
            "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or "
            "with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)"
        )
    if chosen.start_offset is None:
        for name in ("producer_epoch", "coordinator_epoch"):
            if getattr(chosen, name) is None:
                raise ToolError(f"Missing required argument --{name.replace('_', '-')}")
        # an epoch of -1 was never told to the partition: 0 is not above any leader's
        marker = (chosen.producer_id, chosen.producer_epoch, max(chosen.coordinator_epoch, 0))
    else:
        producer = _open_at(cluster, partition, chosen.start_offset)
        marker = (producer.producer_id, producer.producer_epoch, max(producer.coordinator_epoch, 0))
    spec = (
        f"AbortTransactionSpec(topicPartition={name_of(partition)}, producerId={marker[0]}, "
        f"producerEpoch={marker[1]}, coordinatorEpoch={marker[2]})"
    )
    found = ask_leaders(cluster, [partition], lambda node, _: _write_marker(cluster, node, partition, marker, spec))
    answer = found[partition]
    if isinstance(answer, AnswerError):
        raise failed(f"Failed to abort transaction {spec}", answer)


def _open_at(cluster: Cluster, partition: TopicPartition, offset: int) -> ProducerState:
    found = describe_producers(cluster, [partition])[partition]
    if isinstance(found, AnswerError):
        raise failed(f"Failed to validate producer state for partition {name_of(partition)}", found)
    for producer in found:
        if producer.current_txn_start_offset == offset >= 0:
            return producer
    raise ToolError(
        f"Could not find any open transactions starting at offset {offset} on partition {name_of(partition)}"
    )


def _write_marker(
    cluster: Cluster, node: int, partition: TopicPartition, marker: tuple[int, int, int], spec: str
) -> dict[TopicPartition, AnswerError | None]:
    producer, epoch, coordinator_epoch = marker
    topics = [WritableTxnMarkerTopic(partition[0], [partition[1]])]
    request = WriteTxnMarkersRequest([WritableTxnMarker(producer, epoch, False, topics, coordinator_epoch)])
    try:
        answer = cluster.ask(request, node=node, call="abortTransaction")
    except AnswerError as e:
        return {partition: e}
    code = answer.markers[0].topics[0].partitions[0].error_code
    if not code:
        return {partition: None}
    why = {
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "due to cluster authorization error",
        ErrorCode.INVALID_PRODUCER_EPOCH: "due to an invalid producer epoch",
        ErrorCode.TRANSACTION_COORDINATOR_FENCED: "because the provided coordinator epoch is fenced",
    }.get(ErrorCode(code), "due to unexpected error")
    return {partition: AnswerError(code, f"WriteTxnMarkers request with {spec} failed {why}")}


def _force(cluster: Cluster, chosen: argparse.Namespace) -> None:
    name = chosen.transactionalId
    timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
    # a zombie that is initialized again aborts what its predecessor left open, and fences it
    request = InitProducerIdRequest(name, timeout_ms, -1, -1)
    try:
        find_coordinator(cluster, name)

        def attempt() -> tuple[int, str | None]:
            answer = cluster.ask_coordinator(name, request, lambda a: a.error_code, kind=TRANSACTION)
            code: int = answer.error_code
            return code, f"InitProducerId request for transactionalId `{name}` failed due to unexpected error"

        cluster.persist(attempt)
    except ClientError as e:
        raise failed(f"Failed to force terminate transactionalId `{name}`", e) from e
