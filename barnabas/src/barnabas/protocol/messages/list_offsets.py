"""ListOffsets (key 2): look up offsets by timestamp or by special value.

Source: Kafka's message definitions ListOffsetsRequest and ListOffsetsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int8, int16, int32, int64, string


class ListOffsetsPartition(Struct):
    partition_index: int32 = 0
    current_leader_epoch: Annotated[int32, V("4+")] = -1
    timestamp: int64 = 0


class ListOffsetsTopic(Struct):
    name: string = ""
    partitions: list[ListOffsetsPartition] = []


class ListOffsetsRequest(Message):
    """Hold the request of ListOffsets."""

    KEY: ClassVar[int] = 2
    VERSIONS: ClassVar[str] = "1-11"
    FLEXIBLE: ClassVar[str] = "6+"

    replica_id: int32 = 0
    isolation_level: Annotated[int8, V("2+")] = 0
    topics: list[ListOffsetsTopic] = []
    timeout_ms: Annotated[int32, V("10+")] = 0


class ListOffsetsPartitionResponse(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0
    timestamp: int64 = -1
    offset: int64 = -1
    leader_epoch: Annotated[int32, V("4+")] = -1


class ListOffsetsTopicResponse(Struct):
    name: string = ""
    partitions: list[ListOffsetsPartitionResponse] = []


class ListOffsetsResponse(Message):
    """Hold the response of ListOffsets."""

    KEY: ClassVar[int] = 2
    VERSIONS: ClassVar[str] = "1-11"
    FLEXIBLE: ClassVar[str] = "6+"

    throttle_time_ms: Annotated[int32, V("2+")] = 0
    topics: list[ListOffsetsTopicResponse] = []
