"""Records of `__consumer_offsets` for consumer groups (KIP-848).

Source: Kafka's message definitions of the same names.
"""

from typing import Annotated, ClassVar

from msgspec import field

from barnabas.protocol.schema import (
    ZERO_UUID,
    Message,
    Nullable,
    Struct,
    Tag,
    binary,
    int8,
    int32,
    int64,
    string,
    uuid,
)


class ConsumerGroupCurrentMemberAssignmentKey(Message):
    """Hold the record key ConsumerGroupCurrentMemberAssignmentKey."""

    KEY: ClassVar[int] = 8
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class TopicPartitions(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[int32] = []
    assignment_epochs: Annotated[list[int32] | None, Tag(0, "0+")] = []


class ConsumerGroupCurrentMemberAssignmentValue(Message):
    """Hold the record value ConsumerGroupCurrentMemberAssignmentValue."""

    KEY: ClassVar[int] = 8
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    member_epoch: int32 = 0
    previous_member_epoch: int32 = 0
    state: int8 = 0
    assigned_partitions: list[TopicPartitions] = []
    partitions_pending_revocation: list[TopicPartitions] = []


class ConsumerGroupMemberMetadataKey(Message):
    """Hold the record key ConsumerGroupMemberMetadataKey."""

    KEY: ClassVar[int] = 5
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class ClassicProtocol(Struct):
    name: string = ""
    metadata: binary = b""


class ClassicMemberMetadata(Struct):
    session_timeout_ms: int32 = 0
    supported_protocols: list[ClassicProtocol] = []


class ConsumerGroupMemberMetadataValue(Message):
    """Hold the record value ConsumerGroupMemberMetadataValue."""

    KEY: ClassVar[int] = 5
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    instance_id: string | None = ""
    rack_id: string | None = ""
    client_id: string = ""
    client_host: string = ""
    subscribed_topic_names: list[string] = []
    subscribed_topic_regex: string | None = ""
    rebalance_timeout_ms: int32 = -1
    server_assignor: string | None = ""
    # what is not sent is an empty structure: Kafka's definition names no default, so None must be sent
    classic_member_metadata: Annotated[ClassicMemberMetadata | None, Nullable("0+"), Tag(0, "0+")] = field(
        default_factory=ClassicMemberMetadata
    )


class ConsumerGroupMetadataKey(Message):
    """Hold the record key ConsumerGroupMetadataKey."""

    KEY: ClassVar[int] = 3
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class ConsumerGroupMetadataValue(Message):
    """Hold the record value ConsumerGroupMetadataValue."""

    KEY: ClassVar[int] = 3
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    epoch: int32 = 0
    metadata_hash: Annotated[int64, Tag(0, "0+")] = 0


class ConsumerGroupPartitionMetadataKey(Message):
    """Hold the record key ConsumerGroupPartitionMetadataKey."""

    KEY: ClassVar[int] = 4
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class PartitionMetadata(Struct):
    partition: int32 = 0
    racks: list[string] = []


class TopicMetadata(Struct):
    topic_id: uuid = ZERO_UUID
    topic_name: string = ""
    num_partitions: int32 = 0
    partition_metadata: list[PartitionMetadata] = []


class ConsumerGroupPartitionMetadataValue(Message):
    """Hold the record value ConsumerGroupPartitionMetadataValue."""

    KEY: ClassVar[int] = 4
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    topics: list[TopicMetadata] = []


class ConsumerGroupRegularExpressionKey(Message):
    """Hold the record key ConsumerGroupRegularExpressionKey."""

    KEY: ClassVar[int] = 16
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    regular_expression: string = ""


class ConsumerGroupRegularExpressionValue(Message):
    """Hold the record value ConsumerGroupRegularExpressionValue."""

    KEY: ClassVar[int] = 16
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    topics: list[string] = []
    version: int64 = 0
    timestamp: int64 = 0


class ConsumerGroupTargetAssignmentMemberKey(Message):
    """Hold the record key ConsumerGroupTargetAssignmentMemberKey."""

    KEY: ClassVar[int] = 7
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class TopicPartition(Struct):
    topic_id: uuid = ZERO_UUID
    partitions: list[int32] = []


class ConsumerGroupTargetAssignmentMemberValue(Message):
    """Hold the record value ConsumerGroupTargetAssignmentMemberValue."""

    KEY: ClassVar[int] = 7
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    topic_partitions: list[TopicPartition] = []


class ConsumerGroupTargetAssignmentMetadataKey(Message):
    """Hold the record key ConsumerGroupTargetAssignmentMetadataKey."""

    KEY: ClassVar[int] = 6
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class ConsumerGroupTargetAssignmentMetadataValue(Message):
    """Hold the record value ConsumerGroupTargetAssignmentMetadataValue."""

    KEY: ClassVar[int] = 6
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    assignment_epoch: int32 = 0
    assignment_timestamp: Annotated[int64, Tag(0, "0+")] = 0
