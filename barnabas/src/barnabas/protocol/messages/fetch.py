"""Fetch (key 1): read record batches from partitions, within a fetch session or without one.

Source: Kafka's message definitions FetchRequest and FetchResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import (
    ZERO_UUID,
    Message,
    Struct,
    Tag,
    V,
    batches,
    int8,
    int16,
    int32,
    int64,
    string,
    uuid,
)


class ReplicaState(Struct):
    replica_id: Annotated[int32, V("15+")] = -1
    replica_epoch: Annotated[int64, V("15+")] = -1


class FetchPartition(Struct):
    partition: int32 = 0
    current_leader_epoch: Annotated[int32, V("9+")] = -1
    fetch_offset: int64 = 0
    last_fetched_epoch: Annotated[int32, V("12+")] = -1
    log_start_offset: Annotated[int64, V("5+")] = -1
    partition_max_bytes: int32 = 0
    replica_directory_id: Annotated[uuid, Tag(0, "17+")] = ZERO_UUID
    high_watermark: Annotated[int64, Tag(1, "18+")] = 9223372036854775807


class FetchTopic(Struct):
    topic: Annotated[string, V("0-12")] = ""
    topic_id: Annotated[uuid, V("13+")] = ZERO_UUID
    partitions: list[FetchPartition] = []


class ForgottenTopic(Struct):
    topic: Annotated[string, V("7-12")] = ""
    topic_id: Annotated[uuid, V("13+")] = ZERO_UUID
    partitions: Annotated[list[int32], V("7+")] = []


class FetchRequest(Message):
    """Hold the request of Fetch."""

    KEY: ClassVar[int] = 1
    VERSIONS: ClassVar[str] = "4-18"
    FLEXIBLE: ClassVar[str] = "12+"

    cluster_id: Annotated[string | None, Tag(0, "12+")] = None
    replica_id: Annotated[int32, V("0-14")] = -1
    replica_state: Annotated[ReplicaState | None, Tag(1, "15+")] = None
    max_wait_ms: int32 = 0
    min_bytes: int32 = 0
    max_bytes: int32 = 2147483647
    isolation_level: int8 = 0
    session_id: Annotated[int32, V("7+")] = 0
    session_epoch: Annotated[int32, V("7+")] = -1
    topics: list[FetchTopic] = []
    forgotten_topics_data: Annotated[list[ForgottenTopic], V("7+")] = []
    rack_id: Annotated[string, V("11+")] = ""


class EpochEndOffset(Struct):
    epoch: Annotated[int32, V("12+")] = -1
    end_offset: Annotated[int64, V("12+")] = -1


class LeaderIdAndEpoch(Struct):
    leader_id: Annotated[int32, V("12+")] = -1
    leader_epoch: Annotated[int32, V("12+")] = -1


class SnapshotId(Struct):
    end_offset: int64 = -1
    epoch: int32 = -1


class AbortedTransaction(Struct):
    producer_id: int64 = 0
    first_offset: int64 = 0


class PartitionData(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0
    high_watermark: int64 = 0
    last_stable_offset: int64 = -1
    log_start_offset: Annotated[int64, V("5+")] = -1
    diverging_epoch: Annotated[EpochEndOffset | None, Tag(0, "12+")] = None
    current_leader: Annotated[LeaderIdAndEpoch | None, Tag(1, "12+")] = None
    snapshot_id: Annotated[SnapshotId | None, Tag(2, "12+")] = None
    aborted_transactions: list[AbortedTransaction] | None = []
    preferred_read_replica: Annotated[int32, V("11+")] = -1
    records: batches | None = None


class FetchableTopicResponse(Struct):
    topic: Annotated[string, V("0-12")] = ""
    topic_id: Annotated[uuid, V("13+")] = ZERO_UUID
    partitions: list[PartitionData] = []


class NodeEndpoint(Struct):
    node_id: Annotated[int32, V("16+")] = 0
    host: Annotated[string, V("16+")] = ""
    port: Annotated[int32, V("16+")] = 0
    rack: Annotated[string | None, V("16+")] = None


class FetchResponse(Message):
    """Hold the response of Fetch."""

    KEY: ClassVar[int] = 1
    VERSIONS: ClassVar[str] = "4-18"
    FLEXIBLE: ClassVar[str] = "12+"

    throttle_time_ms: int32 = 0
    error_code: Annotated[int16, V("7+")] = 0
    session_id: Annotated[int32, V("7+")] = 0
    responses: list[FetchableTopicResponse] = []
    node_endpoints: Annotated[list[NodeEndpoint], Tag(0, "16+")] = []
