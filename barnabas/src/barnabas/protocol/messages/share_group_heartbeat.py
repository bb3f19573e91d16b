"""ShareGroupHeartbeat (key 76): join, keep alive and leave a share group (KIP-932).

Source: Kafka's message definitions ShareGroupHeartbeatRequest and ShareGroupHeartbeatResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, int16, int32, string, uuid


class ShareGroupHeartbeatRequest(Message):
    """Hold the request of ShareGroupHeartbeat."""

    KEY: ClassVar[int] = 76
    VERSIONS: ClassVar[str] = "1"
    FLEXIBLE: ClassVar[str] = "0+"

    group_id: string = ""
    member_id: string = ""
    member_epoch: int32 = 0
    rack_id: string | None = None
    subscribed_topic_names: list[string] | None = None


class TopicPartitions(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[int32] = []


class Assignment(Struct):
    topic_partitions: list[TopicPartitions] = []


class ShareGroupHeartbeatResponse(Message):
    """Hold the response of ShareGroupHeartbeat."""

    KEY: ClassVar[int] = 76
    VERSIONS: ClassVar[str] = "1"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    member_id: string | None = None
    member_epoch: int32 = 0
    heartbeat_interval_ms: int32 = 0
    assignment: Assignment | None = None
