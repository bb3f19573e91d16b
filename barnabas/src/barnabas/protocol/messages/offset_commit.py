"""OffsetCommit (key 8): store the offsets that a group has consumed.

Source: Kafka's message definitions OffsetCommitRequest and OffsetCommitResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, V, int16, int32, int64, string, uuid


class OffsetCommitRequestPartition(Struct):
    partition_index: int32 = 0
    committed_offset: int64 = 0
    committed_leader_epoch: Annotated[int32, V("6+")] = -1
    committed_metadata: string | None = ""


class OffsetCommitRequestTopic(Struct):
    name: Annotated[string, V("0-9")] = ""
    topic_id: Annotated[uuid, V("10+")] = ZERO_UUID
    partitions: list[OffsetCommitRequestPartition] = []


class OffsetCommitRequest(Message):
    """Hold the request of OffsetCommit."""

    KEY: ClassVar[int] = 8
    VERSIONS: ClassVar[str] = "2-10"
    FLEXIBLE: ClassVar[str] = "8+"

    group_id: string = ""
    generation_id_or_member_epoch: int32 = -1
    member_id: string = ""
    group_instance_id: Annotated[string | None, V("7+")] = None
    retention_time_ms: Annotated[int64, V("2-4")] = -1
    topics: list[OffsetCommitRequestTopic] = []


class OffsetCommitResponsePartition(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0


class OffsetCommitResponseTopic(Struct):
    name: Annotated[string, V("0-9")] = ""
    topic_id: Annotated[uuid, V("10+")] = ZERO_UUID
    partitions: list[OffsetCommitResponsePartition] = []


class OffsetCommitResponse(Message):
    """Hold the response of OffsetCommit."""

    KEY: ClassVar[int] = 8
    VERSIONS: ClassVar[str] = "2-10"
    FLEXIBLE: ClassVar[str] = "8+"

    throttle_time_ms: Annotated[int32, V("3+")] = 0
    topics: list[OffsetCommitResponseTopic] = []
