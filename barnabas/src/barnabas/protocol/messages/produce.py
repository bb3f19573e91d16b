"""Produce (key 0): append record batches to partitions.

Source: Kafka's message definitions ProduceRequest and ProduceResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, Tag, V, batches, int16, int32, int64, string, uuid


class PartitionProduceData(Struct):
    index: int32 = 0
    records: batches | None = None


class TopicProduceData(Struct):
    name: Annotated[string, V("0-12")] = ""
    topic_id: Annotated[uuid, V("13+")] = ZERO_UUID
    partition_data: list[PartitionProduceData] = []


class ProduceRequest(Message):
    """Hold the request of Produce."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "3-13"
    FLEXIBLE: ClassVar[str] = "9+"

    transactional_id: string | None = None
    acks: int16 = 0
    timeout_ms: int32 = 0
    topic_data: list[TopicProduceData] = []


class BatchIndexAndErrorMessage(Struct):
    batch_index: Annotated[int32, V("8+")] = 0
    batch_index_error_message: Annotated[string | None, V("8+")] = None


class LeaderIdAndEpoch(Struct):
    leader_id: Annotated[int32, V("10+")] = -1
    leader_epoch: Annotated[int32, V("10+")] = -1


class PartitionProduceResponse(Struct):
    index: int32 = 0
    error_code: int16 = 0
    base_offset: int64 = 0
    log_append_time_ms: int64 = -1
    log_start_offset: Annotated[int64, V("5+")] = -1
    record_errors: Annotated[list[BatchIndexAndErrorMessage], V("8+")] = []
    error_message: Annotated[string | None, V("8+")] = None
    current_leader: Annotated[LeaderIdAndEpoch | None, Tag(0, "10+")] = None


class TopicProduceResponse(Struct):
    name: Annotated[string, V("0-12")] = ""
    topic_id: Annotated[uuid, V("13+")] = ZERO_UUID
    partition_responses: list[PartitionProduceResponse] = []


class NodeEndpoint(Struct):
    node_id: Annotated[int32, V("10+")] = 0
    host: Annotated[string, V("10+")] = ""
    port: Annotated[int32, V("10+")] = 0
    rack: Annotated[string | None, V("10+")] = None


class ProduceResponse(Message):
    """Hold the response of Produce."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "3-13"
    FLEXIBLE: ClassVar[str] = "9+"

    responses: list[TopicProduceResponse] = []
    throttle_time_ms: int32 = 0
    node_endpoints: Annotated[list[NodeEndpoint], Tag(0, "10+")] = []
