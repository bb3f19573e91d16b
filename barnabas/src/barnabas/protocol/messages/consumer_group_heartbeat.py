"""ConsumerGroupHeartbeat (key 68): join, keep alive and leave a consumer group (KIP-848).

Source: Kafka's message definitions ConsumerGroupHeartbeatRequest and ConsumerGroupHeartbeatResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, V, int16, int32, string, uuid


class TopicPartitions(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[int32] = []


class ConsumerGroupHeartbeatRequest(Message):
    """Hold the request of ConsumerGroupHeartbeat."""

    KEY: ClassVar[int] = 68
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    group_id: string = ""
    member_id: string = ""
    member_epoch: int32 = 0
    instance_id: string | None = None
    rack_id: string | None = None
    rebalance_timeout_ms: int32 = -1
    subscribed_topic_names: list[string] | None = None
    subscribed_topic_regex: Annotated[string | None, V("1+")] = None
    server_assignor: string | None = None
    topic_partitions: list[TopicPartitions] | None = None


class ConsumerGroupHeartbeatResponseTopicPartitions(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[int32] = []


class Assignment(Struct):
    topic_partitions: list[ConsumerGroupHeartbeatResponseTopicPartitions] = []


class ConsumerGroupHeartbeatResponse(Message):
    """Hold the response of ConsumerGroupHeartbeat."""

    KEY: ClassVar[int] = 68
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    member_id: string | None = None
    member_epoch: int32 = 0
    heartbeat_interval_ms: int32 = 0
    assignment: Assignment | None = None
