"""OffsetForLeaderEpoch (key 23): look up where a leader epoch ended.

Source: Kafka's message definitions OffsetForLeaderEpochRequest and OffsetForLeaderEpochResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int16, int32, int64, string


class OffsetForLeaderPartition(Struct):
    partition: int32 = 0
    current_leader_epoch: int32 = -1
    leader_epoch: int32 = 0


class OffsetForLeaderTopic(Struct):
    topic: string = ""
    partitions: list[OffsetForLeaderPartition] = []


class OffsetForLeaderEpochRequest(Message):
    """Hold the request of OffsetForLeaderEpoch."""

    KEY: ClassVar[int] = 23
    VERSIONS: ClassVar[str] = "2-4"
    FLEXIBLE: ClassVar[str] = "4+"

    replica_id: Annotated[int32, V("3+")] = -2
    topics: list[OffsetForLeaderTopic] = []


class EpochEndOffset(Struct):
    error_code: int16 = 0
    partition: int32 = 0
    leader_epoch: int32 = -1
    end_offset: int64 = -1


class OffsetForLeaderTopicResult(Struct):
    topic: string = ""
    partitions: list[EpochEndOffset] = []


class OffsetForLeaderEpochResponse(Message):
    """Hold the response of OffsetForLeaderEpoch."""

    KEY: ClassVar[int] = 23
    VERSIONS: ClassVar[str] = "2-4"
    FLEXIBLE: ClassVar[str] = "4+"

    throttle_time_ms: int32 = 0
    topics: list[OffsetForLeaderTopicResult] = []
