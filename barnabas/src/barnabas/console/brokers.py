"""Describe brokers, their log directories, the metadata quorum and the features. Blocking: they run in threads."""

from __future__ import annotations

from typing import Any

import msgspec

from barnabas.protocol.error_texts import text_of
from barnabas.protocol.errors import BarnabasError
from barnabas.protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import ClientError
from barnabas.tools.quorum import describe_quorum


class LogDirectory(msgspec.Struct, frozen=True, rename="camel"):
    """Describe a folder of a broker: what its logs take, and what its disk has; None where the broker does not say."""

    path: str
    bytes: str
    total: str | None
    usable: str | None
    error: str | None


class BrokerRow(msgspec.Struct, frozen=True, rename="camel"):
    """Describe a broker. `version` is None: Kafka's protocol does not tell it."""

    id: int
    host: str
    port: int
    rack: str | None
    leaders: int
    replicas: int
    bytes: str | None
    log_dirs: list[LogDirectory]
    version: str | None = None
    error: str | None = None


class Brokers(msgspec.Struct, frozen=True, rename="camel"):
    """Describe the brokers of a cluster."""

    cluster_id: str | None
    controller: int | None
    brokers: list[BrokerRow]
    quorum: dict[str, Any] | None
    features: list[dict[str, Any]]


def describe(cluster: Cluster) -> Brokers:
    """Describe all brokers; what one does not say stands in its `error`. Raises `ClientError`."""
    answer = cluster.metadata(None)
    leaders: dict[int, int] = {}
    replicas: dict[int, int] = {}
    for topic in answer.topics:
        for p in topic.partitions:
            leaders[p.leader_id] = leaders.get(p.leader_id, 0) + 1
            for node in p.replica_nodes:
                replicas[node] = replicas.get(node, 0) + 1
    rows = []
    for b in sorted(answer.brokers, key=lambda b: b.node_id):
        folders, error = _log_directories(cluster, b.node_id)
        size = None if folders is None else str(sum(int(folder.bytes) for folder in folders))
        rows.append(BrokerRow(
            b.node_id, b.host, b.port, b.rack, leaders.get(b.node_id, 0), replicas.get(b.node_id, 0), size,
            folders or [], None, error,
        ))
    quorum = _quorum(cluster)
    controller = answer.controller_id  # with a quorum, Apache Kafka names any broker here
    if quorum is not None:
        controller = quorum["leader"]
    return Brokers(
        answer.cluster_id, controller if controller >= 0 else None, rows, quorum, _features(cluster)
    )


def _log_directories(cluster: Cluster, node: int) -> tuple[list[LogDirectory] | None, str | None]:
    try:
        answer = cluster.ask(DescribeLogDirsRequest(None), node=node, call="describeLogDirs")
    except ClientError as e:
        return None, str(e)
    if answer.error_code:
        return None, text_of(answer.error_code)
    return [
        LogDirectory(
            result.log_dir, str(sum(p.partition_size for topic in result.topics for p in topic.partitions)),
            str(result.total_bytes) if result.total_bytes >= 0 else None,
            str(result.usable_bytes) if result.usable_bytes >= 0 else None,
            text_of(result.error_code) if result.error_code else None,
        )
        for result in sorted(answer.results, key=lambda r: r.log_dir)
    ], None


def _quorum(cluster: Cluster) -> dict[str, Any] | None:
    try:
        _, quorum = describe_quorum(cluster)
    except BarnabasError:  # a cluster with ZooKeeper has none, and not every user may see it
        return None
    end = next((v.log_end_offset for v in quorum.current_voters if v.replica_id == quorum.leader_id), None)

    def rows(replicas: list[Any]) -> list[dict[str, Any]]:
        return [
            {
                "id": r.replica_id, "logEndOffset": str(r.log_end_offset),
                "lag": None if end is None else str(end - r.log_end_offset),
                "lastFetch": str(r.last_fetch_timestamp) if r.last_fetch_timestamp >= 0 else None,
                "lastCaughtUp": str(r.last_caught_up_timestamp) if r.last_caught_up_timestamp >= 0 else None,
            }
            for r in replicas
        ]

    return {
        "leader": quorum.leader_id, "epoch": quorum.leader_epoch, "highWatermark": str(quorum.high_watermark),
        "voters": rows(quorum.current_voters), "observers": rows(quorum.observers),
    }


def _features(cluster: Cluster) -> list[dict[str, Any]]:
    answer = cluster.any().answer
    final = {feature.name: feature.max_version_level for feature in answer.finalized_features}
    return [
        {"name": f.name, "min": f.min_version, "max": f.max_version, "finalized": final.get(f.name)}
        for f in sorted(answer.supported_features, key=lambda f: f.name)
    ]
