"""Records of `__consumer_offsets` for share groups (KIP-932).

Source: Kafka's message definitions of the same names.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, Tag, int8, int32, int64, string, uuid


class ShareGroupCurrentMemberAssignmentKey(Message):
    """Hold the record key ShareGroupCurrentMemberAssignmentKey."""

    KEY: ClassVar[int] = 14
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class TopicPartitions(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[int32] = []


class ShareGroupCurrentMemberAssignmentValue(Message):
    """Hold the record value ShareGroupCurrentMemberAssignmentValue."""

    KEY: ClassVar[int] = 14
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    member_epoch: int32 = 0
    previous_member_epoch: int32 = 0
    state: int8 = 0
    assigned_partitions: list[TopicPartitions] = []


class ShareGroupMemberMetadataKey(Message):
    """Hold the record key ShareGroupMemberMetadataKey."""

    KEY: ClassVar[int] = 10
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class ShareGroupMemberMetadataValue(Message):
    """Hold the record value ShareGroupMemberMetadataValue."""

    KEY: ClassVar[int] = 10
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    rack_id: string | None = ""
    client_id: string = ""
    client_host: string = ""
    subscribed_topic_names: list[string] = []


class ShareGroupMetadataKey(Message):
    """Hold the record key ShareGroupMetadataKey."""

    KEY: ClassVar[int] = 11
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class ShareGroupMetadataValue(Message):
    """Hold the record value ShareGroupMetadataValue."""

    KEY: ClassVar[int] = 11
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    epoch: int32 = 0
    metadata_hash: int64 = 0


class ShareGroupStatePartitionMetadataKey(Message):
    """Hold the record key ShareGroupStatePartitionMetadataKey."""

    KEY: ClassVar[int] = 15
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class TopicPartitionsInfo(Struct):
    topic_id: uuid = ZERO_UUID
    topic_name: string = ""
    partitions: list[int32] = []


class TopicInfo(Struct):
    topic_id: uuid = ZERO_UUID
    topic_name: string = ""


class ShareGroupStatePartitionMetadataValue(Message):
    """Hold the record value ShareGroupStatePartitionMetadataValue."""

    KEY: ClassVar[int] = 15
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    initializing_topics: list[TopicPartitionsInfo] = []
    initialized_topics: list[TopicPartitionsInfo] = []
    deleting_topics: list[TopicInfo] = []


class ShareGroupTargetAssignmentMemberKey(Message):
    """Hold the record key ShareGroupTargetAssignmentMemberKey."""

    KEY: ClassVar[int] = 13
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class TopicPartition(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[int32] = []


class ShareGroupTargetAssignmentMemberValue(Message):
    """Hold the record value ShareGroupTargetAssignmentMemberValue."""

    KEY: ClassVar[int] = 13
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    topic_partitions: list[TopicPartition] = []


class ShareGroupTargetAssignmentMetadataKey(Message):
    """Hold the record key ShareGroupTargetAssignmentMetadataKey."""

    KEY: ClassVar[int] = 12
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class ShareGroupTargetAssignmentMetadataValue(Message):
    """Hold the record value ShareGroupTargetAssignmentMetadataValue."""

    KEY: ClassVar[int] = 12
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    assignment_epoch: int32 = 0
    assignment_timestamp: Annotated[int64, Tag(0, "0+")] = 0
