"""Ask a cluster about moving replicas, and for them to be moved and throttled, for kafka-reassign-partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from barnabas.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from barnabas.protocol.messages.describe_cluster import DescribeClusterRequest
from barnabas.protocol.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from barnabas.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from barnabas.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from barnabas.tools.cluster import Cluster, group_by
from barnabas.tools.describing import BROKER, TOPIC
from barnabas.tools.errors import AnswerError, ToolError, check
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.reassignment_plan import Assignment, Replica

BROKER_THROTTLES: Final = (
    "leader.replication.throttled.rate", "follower.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
)
TOPIC_THROTTLES: Final = ("leader.replication.throttled.replicas", "follower.replication.throttled.replicas")
_SET, _DELETE = 0, 1


class Moving(NamedTuple):
    """Hold a reassignment that is on its way; `replicas` are all, old and new."""

    replicas: list[int]
    adding: list[int]
    removing: list[int]


def brokers_of(cluster: Cluster) -> dict[int, str | None]:
    """Return the rack of each node, by its id; of the controllers, where the tool talks to them."""
    kind = 2 if cluster.settings.to_controllers else 1
    answer = cluster.ask(DescribeClusterRequest(endpoint_type=kind), call="listNodes")
    check(answer.error_code, answer.error_message)
    return {b.broker_id: b.rack for b in answer.brokers}


def can_take_replicas(cluster: Cluster, broker: int) -> bool:
    """Tell whether a broker has a directory that is not cordoned off."""
    answer = cluster.ask(DescribeLogDirsRequest([]), node=broker, call="describeLogDirs")
    return not answer.results or not all(directory.is_cordoned for directory in answer.results)


def list_reassignments(
    cluster: Cluster, partitions: Iterable[TopicPartition] | None = None
) -> dict[TopicPartition, Moving]:
    """Return the reassignments that are on their way, of all partitions or of some."""
    topics = None
    if partitions is not None:
        topics = [
            ListPartitionReassignmentsTopics(topic, [index for _, index in those])
            for topic, those in group_by(partitions, lambda partition: partition[0]).items()
        ]
        if not topics:
            return {}
    answer = cluster.ask(ListPartitionReassignmentsRequest(30_000, topics), call="listPartitionReassignments")
    check(answer.error_code, answer.error_message)
    return {
        (t.name, p.partition_index): Moving(p.replicas, p.adding_replicas, p.removing_replicas)
        for t in answer.topics for p in t.partitions
    }


def alter_reassignments(
    cluster: Cluster, wanted: Mapping[TopicPartition, list[int] | None], *, keep_factor: bool = False
) -> dict[TopicPartition, AnswerError]:
    """Begin reassignments, cancel those that are None; return what was refused."""
    topics = [
        ReassignableTopic(topic, [ReassignablePartition(index, wanted[topic, index]) for _, index in those])
        for topic, those in group_by(sorted(wanted), lambda partition: partition[0]).items()
    ]
    timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
    request = AlterPartitionReassignmentsRequest(timeout_ms, not keep_factor, topics)
    if keep_factor and not cluster.supports(AlterPartitionReassignmentsRequest.KEY, 1):
        raise ToolError("The broker does not support --disallow-replication-factor-change")
    answer = cluster.ask(request, call="alterPartitionReassignments")
    if answer.error_code:
        return dict.fromkeys(wanted, AnswerError(answer.error_code, answer.error_message))
    return {
        (t.name, p.partition_index): AnswerError(p.error_code, p.error_message)
        for t in answer.responses for p in t.partitions if p.error_code
    }


# --- directories --------------------------------------------------------------------------------------------


def directories_of(cluster: Cluster, replicas: Iterable[Replica]) -> dict[Replica, tuple[str | None, str | None]]:
    """Return the directory of each replica, and the one that it is moving to."""
    found: dict[Replica, tuple[str | None, str | None]] = {}
    for broker, those in group_by(sorted(replicas), lambda replica: replica.broker).items():
        topics = [
            DescribableLogDirTopic(topic, [replica.partition for replica in some])
            for topic, some in group_by(those, lambda replica: replica.topic).items()
        ]
        answer = cluster.ask(DescribeLogDirsRequest(topics), node=broker, call="describeReplicaLogDirs")
        check(answer.error_code)
        found.update(dict.fromkeys(those, (None, None)))
        for directory in answer.results:
            for topic in directory.topics:
                for p in topic.partitions:
                    replica = Replica(broker, topic.name, p.partition_index)
                    if replica in found:
                        current, future = found[replica]
                        found[replica] = (
                            (current, directory.log_dir) if p.is_future_key else (directory.log_dir, future)
                        )
    return found


def move_directories(cluster: Cluster, wanted: Mapping[Replica, str]) -> list[Replica]:
    """Ask for replicas to be moved to directories; return those that began. Raises `ToolError`."""
    begun = []
    for broker, those in group_by(sorted(wanted), lambda replica: replica.broker).items():
        asked = []
        for path, some in group_by(those, lambda replica: wanted[replica]).items():
            topics = group_by(some, lambda replica: replica.topic)
            asked.append(AlterReplicaLogDir(
                path, [AlterReplicaLogDirTopic(topic, [r.partition for r in few]) for topic, few in topics.items()]
            ))
        answer = cluster.ask(AlterReplicaLogDirsRequest(asked), node=broker, call="alterReplicaLogDirs")
        for topic in answer.results:
            for p in topic.partitions:
                replica = Replica(broker, topic.topic_name, p.partition_index)
                if not p.error_code:
                    begun.append(replica)
                elif p.error_code != ErrorCode.REPLICA_NOT_AVAILABLE:
                    raise ToolError(f"Failed to alter dir for {replica}")
    return begun


# --- throttles ----------------------------------------------------------------------------------------------


def throttle_replicas(
    cluster: Cluster, moving: Mapping[TopicPartition, Moving], proposed: Assignment, current: Assignment, rate: int
) -> None:
    """Name the replicas that are throttled, in the topics' configurations; set the rate of the brokers concerned."""
    moves: dict[TopicPartition, tuple[set[int], set[int]]] = {
        partition: (set(m.replicas) - set(m.adding), set(m.adding)) for partition, m in moving.items()
    }
    for partition, replicas in proposed.items():
        sources = moves[partition][0] if partition in moves else set(current[partition])
        moves[partition] = (sources, set(replicas) - sources)
    resources = []
    for topic, those in group_by(moves, lambda partition: partition[0]).items():
        leaders = sorted({f"{index}:{broker}" for _, index in those for broker in moves[topic, index][0]})
        followers = sorted({f"{index}:{broker}" for _, index in those for broker in moves[topic, index][1]})
        values = zip(TOPIC_THROTTLES, (leaders, followers), strict=True)
        configs = [AlterableConfig(key, _SET, ",".join(names)) for key, names in values]
        resources.append(AlterConfigsResource(TOPIC, topic, configs))
    _alter(cluster, resources)
    brokers = sorted({broker for pair in moves.values() for some in pair for broker in some})
    _set_rates(cluster, brokers, BROKER_THROTTLES[:2], rate)


def throttle_directories(cluster: Cluster, brokers: Iterable[int], rate: int) -> None:
    """Set the rate at which brokers move replicas between directories."""
    _set_rates(cluster, brokers, BROKER_THROTTLES[2:], rate)


def _set_rates(cluster: Cluster, brokers: Iterable[int], keys: Iterable[str], rate: int) -> None:
    configs = [AlterableConfig(key, _SET, str(rate)) for key in keys]
    _alter(cluster, [AlterConfigsResource(BROKER, str(broker), configs) for broker in brokers])


def clear_broker_throttles(cluster: Cluster, brokers: Iterable[int]) -> None:
    """Take the rates out of brokers' configurations."""
    configs = [AlterableConfig(key, _DELETE, None) for key in BROKER_THROTTLES]
    _alter(cluster, [AlterConfigsResource(BROKER, str(broker), configs) for broker in brokers])


def clear_topic_throttles(cluster: Cluster, topics: Iterable[str]) -> None:
    """Take the throttled replicas out of topics' configurations."""
    configs = [AlterableConfig(key, _DELETE, None) for key in TOPIC_THROTTLES]
    _alter(cluster, [AlterConfigsResource(TOPIC, topic, configs) for topic in topics])


def _alter(cluster: Cluster, resources: list[AlterConfigsResource]) -> None:
    """Change configurations, a broker's on the broker itself. Raises `AnswerError`."""
    def place(resource: AlterConfigsResource) -> int | None:
        apart = resource.resource_type == BROKER and not cluster.settings.to_controllers
        return int(resource.resource_name) if apart else None

    for node, those in group_by(resources, place).items():
        answer = cluster.ask(IncrementalAlterConfigsRequest(those), node=node, call="incrementalAlterConfigs")
        for response in answer.responses:
            check(response.error_code, response.error_message)
