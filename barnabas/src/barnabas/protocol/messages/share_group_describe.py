"""ShareGroupDescribe (key 77): describe share groups (KIP-932).

Source: Kafka's message definitions ShareGroupDescribeRequest and ShareGroupDescribeResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Required, Struct, boolean, int16, int32, string, uuid


class ShareGroupDescribeRequest(Message):
    """Hold the request of ShareGroupDescribe."""

    KEY: ClassVar[int] = 77
    VERSIONS: ClassVar[str] = "1"
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
    rack_id: string | None = None
    member_epoch: int32 = 0
    client_id: string = ""
    client_host: string = ""
    subscribed_topic_names: list[string] = []
    assignment: Annotated[Assignment | None, Required] = None


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


class ShareGroupDescribeResponse(Message):
    """Hold the response of ShareGroupDescribe."""

    KEY: ClassVar[int] = 77
    VERSIONS: ClassVar[str] = "1"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    groups: list[DescribedGroup] = []
