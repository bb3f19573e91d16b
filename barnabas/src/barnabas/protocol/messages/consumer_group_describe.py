"""ConsumerGroupDescribe (key 69): describe consumer groups (KIP-848).

Source: Kafka's message definitions ConsumerGroupDescribeRequest and ConsumerGroupDescribeResponse.
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
    string,
    uuid,
)


class ConsumerGroupDescribeRequest(Message):
    """Hold the request of ConsumerGroupDescribe."""

    KEY: ClassVar[int] = 69
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    group_ids: list[string] = []
    include_authorized_operations: boolean = False


class TopicPartitions(Struct):
    topic_id: uuid = ZERO_UUID
    topic_name: string = ""
    partitions: list[int32] = []


class Assignment(Struct):
    topic_partitions: list[TopicPartitions] = []


class Member(Struct):
    member_id: string = ""
    instance_id: string | None = None
    rack_id: string | None = None
    member_epoch: int32 = 0
    client_id: string = ""
    client_host: string = ""
    subscribed_topic_names: list[string] = []
    subscribed_topic_regex: string | None = None
    assignment: Annotated[Assignment | None, Required] = None
    target_assignment: Annotated[Assignment | None, Required] = None
    member_type: Annotated[int8, V("1+")] = -1


class DescribedGroup(Struct):
    error_code: int16 = 0
    error_message: string | None = None
    group_id: string = ""
    group_state: string = ""
    group_epoch: int32 = 0
    assignment_epoch: int32 = 0
    assignor_name: string = ""
    members: list[Member] = []
    authorized_operations: int32 = -2147483648


class ConsumerGroupDescribeResponse(Message):
    """Hold the response of ConsumerGroupDescribe."""

    KEY: ClassVar[int] = 69
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    groups: list[DescribedGroup] = []
