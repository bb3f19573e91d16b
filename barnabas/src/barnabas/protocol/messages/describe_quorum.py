"""DescribeQuorum (key 55): describe the state of the metadata quorum.

Source: Kafka's message definitions DescribeQuorumRequest and DescribeQuorumResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, V, int16, int32, int64, string, uint16, uuid


class PartitionData(Struct):
    partition_index: int32 = 0


class TopicData(Struct):
    topic_name: string = ""
    partitions: list[PartitionData] = []


class DescribeQuorumRequest(Message):
    """Hold the request of DescribeQuorum."""

    KEY: ClassVar[int] = 55
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    topics: list[TopicData] = []


class ReplicaState(Struct):
    replica_id: int32 = 0
    replica_directory_id: Annotated[uuid, V("2+")] = ZERO_UUID
    log_end_offset: int64 = 0
    last_fetch_timestamp: Annotated[int64, V("1+")] = -1
    last_caught_up_timestamp: Annotated[int64, V("1+")] = -1


class DescribeQuorumResponsePartitionData(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0
    error_message: Annotated[string | None, V("2+")] = ""
    leader_id: int32 = 0
    leader_epoch: int32 = 0
    high_watermark: int64 = 0
    current_voters: list[ReplicaState] = []
    observers: list[ReplicaState] = []


class DescribeQuorumResponseTopicData(Struct):
    topic_name: string = ""
    partitions: list[DescribeQuorumResponsePartitionData] = []


class Listener(Struct):
    name: Annotated[string, V("2+")] = ""
    host: Annotated[string, V("2+")] = ""
    port: Annotated[uint16, V("2+")] = 0


class Node(Struct):
    node_id: Annotated[int32, V("2+")] = 0
    listeners: Annotated[list[Listener], V("2+")] = []


class DescribeQuorumResponse(Message):
    """Hold the response of DescribeQuorum."""

    KEY: ClassVar[int] = 55
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    error_code: int16 = 0
    error_message: Annotated[string | None, V("2+")] = ""
    topics: list[DescribeQuorumResponseTopicData] = []
    nodes: Annotated[list[Node], V("2+")] = []
