"""DeleteShareGroupOffsets (key 92): delete the offsets of share groups.

Source: Kafka's message definitions DeleteShareGroupOffsetsRequest and DeleteShareGroupOffsetsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, int16, int32, string, uuid


class DeleteShareGroupOffsetsRequestTopic(Struct):
    topic_name: string = ""


class DeleteShareGroupOffsetsRequest(Message):
    """Hold the request of DeleteShareGroupOffsets."""

    KEY: ClassVar[int] = 92
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    group_id: string = ""
    topics: list[DeleteShareGroupOffsetsRequestTopic] = []


class DeleteShareGroupOffsetsResponseTopic(Struct):
    topic_name: string = ""
    topic_id: uuid = ZERO_UUID
    error_code: int16 = 0
    error_message: string | None = None


class DeleteShareGroupOffsetsResponse(Message):
    """Hold the response of DeleteShareGroupOffsets."""

    KEY: ClassVar[int] = 92
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    responses: list[DeleteShareGroupOffsetsResponseTopic] = []
