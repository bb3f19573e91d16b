"""Answer what concerns the node as a whole: DescribeLogDirs (1-5), AlterReplicaLogDirs (1-2), ElectLeaders (0-2),
AlterPartitionReassignments (0-1), ListPartitionReassignments (0), DescribeQuorum (0-2), UpdateFeatures (0-2),
UnregisterBroker (0).

There is one node with one directory: leaders are where they should be, and reassignments lead to where the replicas
are already.
"""

from __future__ import annotations

import shutil
from typing import Final

from barnabas.handlers.context import Answer, Request
from barnabas.metadata.store import METADATA_TOPIC
from barnabas.node.node import Node
from barnabas.node.takeover import KNOWN_FEATURES
from barnabas.protocol.errors import SENTENCES, ErrorCode, KafkaError
from barnabas.protocol.messages import describe_quorum as quorum
from barnabas.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)
from barnabas.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)
from barnabas.protocol.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from barnabas.protocol.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
    TopicPartitions,
)
from barnabas.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsResponse
from barnabas.protocol.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from barnabas.protocol.messages.update_features import (
    FeatureUpdateKey,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

KRAFT_VERSION: Final = "kraft.version"


def describe_log_dirs(node: Node, request: Request) -> Answer:
    """Answer DescribeLogDirs; null topics mean all."""
    message: DescribeLogDirsRequest = request.message
    wanted = None
    if message.topics is not None:
        wanted = {(t.topic, p) for t in message.topics for p in t.partitions}
    topics: dict[str, list[DescribeLogDirsPartition]] = {}
    for key, log in node.directory.logs.items():
        if wanted is None or key in wanted:
            topics.setdefault(key[0], []).append(DescribeLogDirsPartition(key[1], log.size, 0, False))
    usage = shutil.disk_usage(node.directory.path)
    return DescribeLogDirsResponse(
        results=[
            DescribeLogDirsResult(
                0, str(node.directory.path.resolve()),
                [DescribeLogDirsTopic(name, partitions) for name, partitions in topics.items()],
                usage.total, usage.free,
            )
        ]
    )


def alter_replica_log_dirs(node: Node, request: Request) -> Answer:
    """Answer AlterReplicaLogDirs: the one directory is where everything is; any other does not exist."""
    message: AlterReplicaLogDirsRequest = request.message
    here = str(node.directory.path.resolve())
    results: dict[str, list[AlterReplicaLogDirPartitionResult]] = {}
    for directory in message.dirs:
        for topic in directory.topics:
            for index in topic.partitions:
                code = 0
                if directory.path.rstrip("/") != here:
                    code = ErrorCode.LOG_DIR_NOT_FOUND
                elif (topic.name, index) not in node.directory.logs:
                    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                results.setdefault(topic.name, []).append(AlterReplicaLogDirPartitionResult(index, code))
    return AlterReplicaLogDirsResponse(
        results=[AlterReplicaLogDirTopicResult(name, partitions) for name, partitions in results.items()]
    )


def elect_leaders(node: Node, request: Request) -> Answer:
    """Answer ElectLeaders: each partition has its leader, so no election is needed."""
    message: ElectLeadersRequest = request.message
    asked = message.topic_partitions
    if message.election_type not in (0, 1):
        why = f"Unknown election type {message.election_type}"
        return ElectLeadersResponse(
            error_code=ErrorCode.INVALID_REQUEST,
            replica_election_results=[
                ReplicaElectionResult(
                    t.topic, [PartitionResult(i, ErrorCode.INVALID_REQUEST, why) for i in t.partitions]
                )
                for t in asked or []
            ],
        )
    if asked is None:  # of all partitions, only those that needed one are listed
        return ElectLeadersResponse(replica_election_results=[ReplicaElectionResult(n) for n in node.image.topics])
    return ElectLeadersResponse(replica_election_results=[_elected(node, t) for t in asked])


def _elected(node: Node, asked: TopicPartitions) -> ReplicaElectionResult:
    topic = node.image.topics.get(asked.topic)
    results = []
    for index in asked.partitions:
        if topic is None:
            results.append(
                PartitionResult(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {asked.topic}")
            )
        elif not 0 <= index < len(topic.partitions):
            results.append(
                PartitionResult(
                    index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {asked.topic}-{index}"
                )
            )
        else:
            results.append(
                PartitionResult(index, ErrorCode.ELECTION_NOT_NEEDED, SENTENCES[ErrorCode.ELECTION_NOT_NEEDED])
            )
    return ReplicaElectionResult(asked.topic, results)


def alter_partition_reassignments(node: Node, request: Request) -> Answer:
    """Answer AlterPartitionReassignments: to this node it is done at once, to any other it is refused."""
    message: AlterPartitionReassignmentsRequest = request.message
    responses = []
    for t in message.topics:
        partitions = []
        for p in t.partitions:
            try:
                _reassign(node, t.name, p)
                partitions.append(ReassignablePartitionResponse(p.partition_index, 0, None))
            except KafkaError as e:
                partitions.append(ReassignablePartitionResponse(p.partition_index, e.code, e.message))
        responses.append(ReassignableTopicResponse(t.name, partitions))
    return AlterPartitionReassignmentsResponse(error_message=None, responses=responses)


def _reassign(node: Node, name: str, asked: ReassignablePartition) -> None:
    topic = node.image.topics.get(name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {name}.")
    if not 0 <= asked.partition_index < len(topic.partitions):
        raise KafkaError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {name}:{asked.partition_index}."
        )
    if asked.replicas is None:
        raise KafkaError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    node.topics.check_replicas(asked.replicas)


def list_partition_reassignments(node: Node, request: Request) -> Answer:
    """Answer ListPartitionReassignments: none is ever under way."""
    return ListPartitionReassignmentsResponse(error_message=None)


def describe_quorum(node: Node, request: Request) -> Answer:
    """Answer DescribeQuorum for the metadata partition, of which this node is the one voter."""
    message: quorum.DescribeQuorumRequest = request.message
    asked = [(t.topic_name, [p.partition_index for p in t.partitions]) for t in message.topics]
    if asked != [(METADATA_TOPIC, [0])]:
        return quorum.DescribeQuorumResponse(
            topics=[
                quorum.DescribeQuorumResponseTopicData(
                    name,
                    [
                        quorum.DescribeQuorumResponsePartitionData(
                            i, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                            SENTENCES[ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
                        )
                        for i in indexes
                    ],
                )
                for name, indexes in asked
            ],
        )
    end, now, voter = node.store.log.log_end_offset, node.clock.now_ms(), node.store.voter
    me = quorum.ReplicaState(node.node_id, voter.directory_id, end, now, now)
    partition = quorum.DescribeQuorumResponsePartitionData(
        0, 0, "", node.node_id, node.store.epoch, end, [me], []
    )
    listener = quorum.Listener(voter.listener, voter.host, voter.port)
    return quorum.DescribeQuorumResponse(
        topics=[quorum.DescribeQuorumResponseTopicData(METADATA_TOPIC, [partition])],
        nodes=[quorum.Node(node.node_id, [listener])],
    )


def update_features(node: Node, request: Request) -> Answer:
    """Answer UpdateFeatures: all updates are made, or none."""
    message: UpdateFeaturesRequest = request.message
    results = []
    failure: KafkaError | None = None
    for update in message.feature_updates:
        try:
            _check_feature(node, update)
            results.append(UpdatableFeatureResult(update.feature, 0, "NONE"))
        except KafkaError as e:
            failure = failure or e
            results.append(UpdatableFeatureResult(update.feature, e.code, e.message))
    if failure is None and not message.validate_only:
        records: list[Message] = [
            r.FeatureLevelRecord(u.feature, u.max_version_level)
            for u in message.feature_updates
            if node.image.features.get(u.feature) != u.max_version_level and u.feature != KRAFT_VERSION
        ]
        if records:
            node.store.commit(records, node.clock.now_ms())
    if failure is not None:
        return UpdateFeaturesResponse(
            error_code=failure.code, error_message=f"The update failed for all features since the following feature "
            f"had an error: {failure.message}",
        )
    return UpdateFeaturesResponse(error_message=None, results=results)


def _check_feature(node: Node, update: FeatureUpdateKey) -> None:
    name, level = update.feature, update.max_version_level
    prefix = f"Invalid update version {level} for feature {name}."
    if update.upgrade_type not in (1, 2, 3):
        raise KafkaError(
            ErrorCode.INVALID_UPDATE_VERSION, f"{prefix} The controller does not support the given upgrade type."
        )
    if level < 0:
        raise KafkaError(
            ErrorCode.INVALID_UPDATE_VERSION, f"{prefix} A feature version cannot be less than 0."
        )
    if name == KRAFT_VERSION and level == node.store.kraft_version:
        return
    if name != "metadata.version" or name not in KNOWN_FEATURES:
        raise KafkaError(ErrorCode.INVALID_UPDATE_VERSION, f"{prefix} Local controller {node.node_id} does not "
                         "support this feature.")
    if not 25 <= level <= KNOWN_FEATURES[name]:
        raise KafkaError(
            ErrorCode.INVALID_UPDATE_VERSION,
            f"{prefix} Local controller {node.node_id} only supports versions 25-{KNOWN_FEATURES[name]}",
        )
    current = node.image.features.get(name, 0)
    if level < current:
        raise KafkaError(
            ErrorCode.INVALID_UPDATE_VERSION,
            f"{prefix} Can't downgrade the version of this feature without setting the upgrade type to either safe or "
            "unsafe downgrade." if update.upgrade_type == 1 else
            f"{prefix} Refusing to perform the requested downgrade because it might delete metadata information.",
        )


def unregister_broker(node: Node, request: Request) -> Answer:
    """Answer UnregisterBroker: refused, as Kafka refuses to unregister a broker that is alive."""
    message: UnregisterBrokerRequest = request.message
    if message.broker_id != node.node_id:
        return UnregisterBrokerResponse(
            error_code=ErrorCode.BROKER_ID_NOT_REGISTERED,
            error_message=f"Broker ID {message.broker_id} is not currently registered",
        )
    return UnregisterBrokerResponse(
        error_code=ErrorCode.INVALID_REQUEST,
        error_message=f"Broker {node.node_id} is this node itself and cannot be unregistered",
    )
