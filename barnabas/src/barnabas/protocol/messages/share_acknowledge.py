"""ShareAcknowledge (key 79): acknowledge records of a share group (KIP-932).

Source: Kafka's message definitions ShareAcknowledgeRequest and ShareAcknowledgeResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import (
    ZERO_UUID,
    Message,
    Required,
    Struct,
    V,
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


class AcknowledgePartition(Struct):
    partition_index: int32 = 0
    acknowledgement_batches: list[AcknowledgementBatch] = []


class AcknowledgeTopic(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[AcknowledgePartition] = []


class ShareAcknowledgeRequest(Message):
    """Hold the request of ShareAcknowledge."""

    KEY: ClassVar[int] = 79
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "0+"

    group_id: string | None = None
    member_id: string | None = ""
    share_session_epoch: int32 = 0
    is_renew_ack: Annotated[boolean, V("2+")] = False
    topics: list[AcknowledgeTopic] = []


class LeaderIdAndEpoch(Struct):
    leader_id: int32 = 0
    leader_epoch: int32 = 0


class PartitionData(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    current_leader: Annotated[LeaderIdAndEpoch | None, Required] = None


class ShareAcknowledgeTopicResponse(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[PartitionData] = []


class NodeEndpoint(Struct):
    node_id: int32 = 0
    host: string = ""
    port: int32 = 0
    rack: string | None = None


class ShareAcknowledgeResponse(Message):
    """Hold the response of ShareAcknowledge."""

    KEY: ClassVar[int] = 79
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    acquisition_lock_timeout_ms: Annotated[int32, V("2+")] = 0
    responses: list[ShareAcknowledgeTopicResponse] = []
    node_endpoints: list[NodeEndpoint] = []
