"""OffsetDelete (key 47): delete committed offsets of a group.

Source: Kafka's message definitions OffsetDeleteRequest and OffsetDeleteResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int16, int32, string


class OffsetDeleteRequestPartition(Struct):
    partition_index: int32 = 0


class OffsetDeleteRequestTopic(Struct):
    name: string = ""
    partitions: list[OffsetDeleteRequestPartition] = []


class OffsetDeleteRequest(Message):
    """Hold the request of OffsetDelete."""

    KEY: ClassVar[int] = 47
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    topics: list[OffsetDeleteRequestTopic] = []


class OffsetDeleteResponsePartition(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0


class OffsetDeleteResponseTopic(Struct):
    name: string = ""
    partitions: list[OffsetDeleteResponsePartition] = []


class OffsetDeleteResponse(Message):
    """Hold the response of OffsetDelete."""

    KEY: ClassVar[int] = 47
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    error_code: int16 = 0
    throttle_time_ms: int32 = 0
    topics: list[OffsetDeleteResponseTopic] = []
