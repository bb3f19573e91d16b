"""List the APIs of Kafka's protocol: key, versions served, where the messages stand, which listeners serve them.

The version ranges are those that Apache Kafka 4.3 serves (`ApiKeys`, stable versions only). Which of them a node
advertises is decided where handlers are registered.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from barnabas.protocol.schema import Message


class Api(NamedTuple):
    """Describe one API.

    `flexible` is the first version whose headers carry tagged fields (32767 where none does).
    """

    key: int
    name: str
    min_version: int
    max_version: int
    flexible: int
    module: str
    broker: bool
    controller: bool

    def request_class(self) -> type[Message]:
        """Import and return the class of the request."""
        return self._class("Request")

    def response_class(self) -> type[Message]:
        """Import and return the class of the response."""
        return self._class("Response")

    def _class(self, kind: str) -> type[Message]:
        module: Any = importlib.import_module(f"barnabas.protocol.messages.{self.module}")
        found: type[Message] = getattr(module, self.name + kind)
        return found

    def request_header_version(self, version: int) -> int:
        """Return the version of the request header."""
        return 2 if version >= self.flexible else 1

    def response_header_version(self, version: int) -> int:
        """Return the version of the response header: always 0 for ApiVersions, so that any client can read it."""
        return 1 if version >= self.flexible and self.key != 18 else 0


_NEVER = 32767
APIS: dict[int, Api] = {
    api.key: api
    for api in (
        Api(0, "Produce", 3, 13, 9, "produce", True, False),
        Api(1, "Fetch", 4, 18, 12, "fetch", True, True),
        Api(2, "ListOffsets", 1, 11, 6, "list_offsets", True, False),
        Api(3, "Metadata", 0, 13, 9, "metadata", True, False),
        Api(8, "OffsetCommit", 2, 10, 8, "offset_commit", True, False),
        Api(9, "OffsetFetch", 1, 10, 6, "offset_fetch", True, False),
        Api(10, "FindCoordinator", 0, 6, 3, "find_coordinator", True, False),
        Api(11, "JoinGroup", 0, 9, 6, "join_group", True, False),
        Api(12, "Heartbeat", 0, 4, 4, "heartbeat", True, False),
        Api(13, "LeaveGroup", 0, 5, 4, "leave_group", True, False),
        Api(14, "SyncGroup", 0, 5, 4, "sync_group", True, False),
        Api(15, "DescribeGroups", 0, 6, 5, "describe_groups", True, False),
        Api(16, "ListGroups", 0, 5, 3, "list_groups", True, False),
        Api(17, "SaslHandshake", 0, 1, _NEVER, "sasl_handshake", True, True),
        Api(18, "ApiVersions", 0, 4, 3, "api_versions", True, True),
        Api(19, "CreateTopics", 2, 7, 5, "create_topics", True, True),
        Api(20, "DeleteTopics", 1, 6, 4, "delete_topics", True, True),
        Api(21, "DeleteRecords", 0, 2, 2, "delete_records", True, False),
        Api(22, "InitProducerId", 0, 5, 2, "init_producer_id", True, False),
        Api(23, "OffsetForLeaderEpoch", 2, 4, 4, "offset_for_leader_epoch", True, False),
        Api(24, "AddPartitionsToTxn", 0, 5, 3, "add_partitions_to_txn", True, False),
        Api(25, "AddOffsetsToTxn", 0, 4, 3, "add_offsets_to_txn", True, False),
        Api(26, "EndTxn", 0, 5, 3, "end_txn", True, False),
        Api(27, "WriteTxnMarkers", 1, 2, 1, "write_txn_markers", True, False),
        Api(28, "TxnOffsetCommit", 0, 5, 3, "txn_offset_commit", True, False),
        Api(29, "DescribeAcls", 1, 3, 2, "describe_acls", True, True),
        Api(30, "CreateAcls", 1, 3, 2, "create_acls", True, True),
        Api(31, "DeleteAcls", 1, 3, 2, "delete_acls", True, True),
        Api(32, "DescribeConfigs", 1, 4, 4, "describe_configs", True, True),
        Api(33, "AlterConfigs", 0, 2, 2, "alter_configs", True, True),
        Api(34, "AlterReplicaLogDirs", 1, 2, 2, "alter_replica_log_dirs", True, False),
        Api(35, "DescribeLogDirs", 1, 5, 2, "describe_log_dirs", True, False),
        Api(36, "SaslAuthenticate", 0, 2, 2, "sasl_authenticate", True, True),
        Api(37, "CreatePartitions", 0, 3, 2, "create_partitions", True, True),
        Api(38, "CreateDelegationToken", 1, 3, 2, "create_delegation_token", True, True),
        Api(39, "RenewDelegationToken", 1, 2, 2, "renew_delegation_token", True, True),
        Api(40, "ExpireDelegationToken", 1, 2, 2, "expire_delegation_token", True, True),
        Api(41, "DescribeDelegationToken", 1, 3, 2, "describe_delegation_token", True, True),
        Api(42, "DeleteGroups", 0, 2, 2, "delete_groups", True, False),
        Api(43, "ElectLeaders", 0, 2, 2, "elect_leaders", True, True),
        Api(44, "IncrementalAlterConfigs", 0, 1, 1, "incremental_alter_configs", True, True),
        Api(45, "AlterPartitionReassignments", 0, 1, 0, "alter_partition_reassignments", True, True),
        Api(46, "ListPartitionReassignments", 0, 0, 0, "list_partition_reassignments", True, True),
        Api(47, "OffsetDelete", 0, 0, _NEVER, "offset_delete", True, False),
        Api(48, "DescribeClientQuotas", 0, 1, 1, "describe_client_quotas", True, False),
        Api(49, "AlterClientQuotas", 0, 1, 1, "alter_client_quotas", True, True),
        Api(50, "DescribeUserScramCredentials", 0, 0, 0, "describe_user_scram_credentials", True, True),
        Api(51, "AlterUserScramCredentials", 0, 0, 0, "alter_user_scram_credentials", True, True),
        Api(55, "DescribeQuorum", 0, 2, 0, "describe_quorum", True, True),
        Api(57, "UpdateFeatures", 0, 2, 0, "update_features", True, True),
        Api(60, "DescribeCluster", 0, 2, 0, "describe_cluster", True, True),
        Api(61, "DescribeProducers", 0, 0, 0, "describe_producers", True, False),
        Api(64, "UnregisterBroker", 0, 0, 0, "unregister_broker", True, True),
        Api(65, "DescribeTransactions", 0, 0, 0, "describe_transactions", True, False),
        Api(66, "ListTransactions", 0, 2, 0, "list_transactions", True, False),
        Api(68, "ConsumerGroupHeartbeat", 0, 1, 0, "consumer_group_heartbeat", True, False),
        Api(69, "ConsumerGroupDescribe", 0, 1, 0, "consumer_group_describe", True, False),
        Api(71, "GetTelemetrySubscriptions", 0, 0, 0, "get_telemetry_subscriptions", True, False),
        Api(72, "PushTelemetry", 0, 0, 0, "push_telemetry", True, False),
        Api(74, "ListConfigResources", 0, 1, 0, "list_config_resources", True, False),
        Api(75, "DescribeTopicPartitions", 0, 0, 0, "describe_topic_partitions", True, False),
        Api(76, "ShareGroupHeartbeat", 1, 1, 0, "share_group_heartbeat", True, False),
        Api(77, "ShareGroupDescribe", 1, 1, 0, "share_group_describe", True, False),
        Api(78, "ShareFetch", 1, 2, 0, "share_fetch", True, False),
        Api(79, "ShareAcknowledge", 1, 2, 0, "share_acknowledge", True, False),
        Api(80, "AddRaftVoter", 0, 1, 0, "add_raft_voter", True, True),
        Api(81, "RemoveRaftVoter", 0, 0, 0, "remove_raft_voter", True, True),
        Api(88, "StreamsGroupHeartbeat", 0, 0, 0, "streams_group_heartbeat", True, False),
        Api(89, "StreamsGroupDescribe", 0, 0, 0, "streams_group_describe", True, False),
        Api(90, "DescribeShareGroupOffsets", 0, 1, 0, "describe_share_group_offsets", True, False),
        Api(91, "AlterShareGroupOffsets", 0, 0, 0, "alter_share_group_offsets", True, False),
        Api(92, "DeleteShareGroupOffsets", 0, 0, 0, "delete_share_group_offsets", True, False),
    )
}


class Key:
    """Name the API keys."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    DESCRIBE_GROUPS = 15
    LIST_GROUPS = 16
    SASL_HANDSHAKE = 17
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    DELETE_TOPICS = 20
    DELETE_RECORDS = 21
    INIT_PRODUCER_ID = 22
    OFFSET_FOR_LEADER_EPOCH = 23
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    WRITE_TXN_MARKERS = 27
    TXN_OFFSET_COMMIT = 28
    DESCRIBE_ACLS = 29
    CREATE_ACLS = 30
    DELETE_ACLS = 31
    DESCRIBE_CONFIGS = 32
    ALTER_CONFIGS = 33
    ALTER_REPLICA_LOG_DIRS = 34
    DESCRIBE_LOG_DIRS = 35
    SASL_AUTHENTICATE = 36
    CREATE_PARTITIONS = 37
    CREATE_DELEGATION_TOKEN = 38
    RENEW_DELEGATION_TOKEN = 39
    EXPIRE_DELEGATION_TOKEN = 40
    DESCRIBE_DELEGATION_TOKEN = 41
    DELETE_GROUPS = 42
    ELECT_LEADERS = 43
    INCREMENTAL_ALTER_CONFIGS = 44
    ALTER_PARTITION_REASSIGNMENTS = 45
    LIST_PARTITION_REASSIGNMENTS = 46
    OFFSET_DELETE = 47
    DESCRIBE_CLIENT_QUOTAS = 48
    ALTER_CLIENT_QUOTAS = 49
    DESCRIBE_USER_SCRAM_CREDENTIALS = 50
    ALTER_USER_SCRAM_CREDENTIALS = 51
    DESCRIBE_QUORUM = 55
    UPDATE_FEATURES = 57
    DESCRIBE_CLUSTER = 60
    DESCRIBE_PRODUCERS = 61
    UNREGISTER_BROKER = 64
    DESCRIBE_TRANSACTIONS = 65
    LIST_TRANSACTIONS = 66
    CONSUMER_GROUP_HEARTBEAT = 68
    CONSUMER_GROUP_DESCRIBE = 69
    GET_TELEMETRY_SUBSCRIPTIONS = 71
    PUSH_TELEMETRY = 72
    LIST_CONFIG_RESOURCES = 74
    DESCRIBE_TOPIC_PARTITIONS = 75
    SHARE_GROUP_HEARTBEAT = 76
    SHARE_GROUP_DESCRIBE = 77
    SHARE_FETCH = 78
    SHARE_ACKNOWLEDGE = 79
    ADD_RAFT_VOTER = 80
    REMOVE_RAFT_VOTER = 81
    STREAMS_GROUP_HEARTBEAT = 88
    STREAMS_GROUP_DESCRIBE = 89
    DESCRIBE_SHARE_GROUP_OFFSETS = 90
    ALTER_SHARE_GROUP_OFFSETS = 91
    DELETE_SHARE_GROUP_OFFSETS = 92
