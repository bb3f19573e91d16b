"""ShareFetch (key 78): fetch and acquire records of a share group (KIP-932).

Source: Kafka's message definitions ShareFetchRequest and ShareFetchResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import (
    ZERO_UUID,
    Message,
    Nullable,
    Required,
    Struct,
    V,
    batches,
    boolean,
    int8,
    int16,
    int32,
    int64,
    string,
    uuid,
)


class AcknowledgementBatch(Struct):
    first_offset: int64 = 0
    last_offset: int64 = 0
    acknowledge_types: list[int8] = []


class FetchPartition(Struct):
    partition_index: int32 = 0
    acknowledgement_batches: list[AcknowledgementBatch] = []


class FetchTopic(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[FetchPartition] = []


class ForgottenTopic(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[int32] = []


class ShareFetchRequest(Message):
    """Hold the request of ShareFetch."""

    KEY: ClassVar[int] = 78
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "0+"

    group_id: string | None = None
    member_id: string | None = ""
    share_session_epoch: int32 = 0
    max_wait_ms: int32 = 0
    min_bytes: int32 = 0
    max_bytes: int32 = 2147483647
    max_records: int32 = 0
    batch_size: int32 = 0
    share_acquire_mode: Annotated[int8, V("2+")] = 0
    is_renew_ack: Annotated[boolean, V("2+")] = False
    topics: list[FetchTopic] = []
    forgotten_topics_data: list[ForgottenTopic] = []


class LeaderIdAndEpoch(Struct):
    leader_id: int32 = 0
    leader_epoch: int32 = 0


class AcquiredRecords(Struct):
    first_offset: int64 = 0
    last_offset: int64 = 0
    delivery_count: int16 = 0


class PartitionData(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    acknowledge_error_code: int16 = 0
    acknowledge_error_message: string | None = None
    current_leader: Annotated[LeaderIdAndEpoch | None, Required] = None
    records: Annotated[batches | None, Nullable("0")] = None
    acquired_records: list[AcquiredRecords] = []


class ShareFetchableTopicResponse(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[PartitionData] = []


class NodeEndpoint(Struct):
    node_id: int32 = 0
    host: string = ""
    port: int32 = 0
    rack: string | None = None


class ShareFetchResponse(Message):
    """Hold the response of ShareFetch."""

    KEY: ClassVar[int] = 78
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    acquisition_lock_timeout_ms: int32 = 0
    responses: list[ShareFetchableTopicResponse] = []
    node_endpoints: list[NodeEndpoint] = []
