"""Records of `__consumer_offsets` for streams groups (KIP-1071).

Source: Kafka's message definitions of the same names.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, Tag, int8, int16, int32, int64, string, uint16


class StreamsGroupCurrentMemberAssignmentKey(Message):
    """Hold the record key StreamsGroupCurrentMemberAssignmentKey."""

    KEY: ClassVar[int] = 22
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class TaskIds(Struct):
    subtopology_id: string = ""
    partitions: list[int32] = []
    assignment_epochs: Annotated[list[int32] | None, Tag(0, "0+")] = []


class StreamsGroupCurrentMemberAssignmentValue(Message):
    """Hold the record value StreamsGroupCurrentMemberAssignmentValue."""

    KEY: ClassVar[int] = 22
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    member_epoch: int32 = 0
    previous_member_epoch: int32 = 0
    state: int8 = 0
    active_tasks: list[TaskIds] = []
    standby_tasks: list[TaskIds] = []
    warmup_tasks: list[TaskIds] = []
    active_tasks_pending_revocation: list[TaskIds] = []
    standby_tasks_pending_revocation: list[TaskIds] = []
    warmup_tasks_pending_revocation: list[TaskIds] = []


class StreamsGroupMemberMetadataKey(Message):
    """Hold the record key StreamsGroupMemberMetadataKey."""

    KEY: ClassVar[int] = 19
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class Endpoint(Struct):
    host: string = ""
    port: uint16 = 0


class KeyValue(Struct):
    key: string = ""
    value: string = ""


class StreamsGroupMemberMetadataValue(Message):
    """Hold the record value StreamsGroupMemberMetadataValue."""

    KEY: ClassVar[int] = 19
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    instance_id: string | None = ""
    rack_id: string | None = ""
    client_id: string = ""
    client_host: string = ""
    rebalance_timeout_ms: int32 = -1
    topology_epoch: int32 = 0
    process_id: string = ""
    user_endpoint: Endpoint | None = None
    client_tags: list[KeyValue] = []


class StreamsGroupMetadataKey(Message):
    """Hold the record key StreamsGroupMetadataKey."""

    KEY: ClassVar[int] = 17
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class LastAssignmentConfig(Struct):
    key: string = ""
    value: string = ""


class StreamsGroupMetadataValue(Message):
    """Hold the record value StreamsGroupMetadataValue."""

    KEY: ClassVar[int] = 17
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    epoch: int32 = 0
    metadata_hash: int64 = 0
    validated_topology_epoch: Annotated[int32, Tag(0, "0+")] = -1
    last_assignment_configs: Annotated[list[LastAssignmentConfig] | None, Tag(1, "0+")] = []


class StreamsGroupTargetAssignmentMemberKey(Message):
    """Hold the record key StreamsGroupTargetAssignmentMemberKey."""

    KEY: ClassVar[int] = 21
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    member_id: string = ""


class StreamsGroupTargetAssignmentMemberValueTaskIds(Struct):
    subtopology_id: string = ""
    partitions: list[int32] = []


class StreamsGroupTargetAssignmentMemberValue(Message):
    """Hold the record value StreamsGroupTargetAssignmentMemberValue."""

    KEY: ClassVar[int] = 21
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    active_tasks: list[StreamsGroupTargetAssignmentMemberValueTaskIds] = []
    standby_tasks: list[StreamsGroupTargetAssignmentMemberValueTaskIds] = []
    warmup_tasks: list[StreamsGroupTargetAssignmentMemberValueTaskIds] = []


class StreamsGroupTargetAssignmentMetadataKey(Message):
    """Hold the record key StreamsGroupTargetAssignmentMetadataKey."""

    KEY: ClassVar[int] = 20
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class StreamsGroupTargetAssignmentMetadataValue(Message):
    """Hold the record value StreamsGroupTargetAssignmentMetadataValue."""

    KEY: ClassVar[int] = 20
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    assignment_epoch: int32 = 0
    assignment_timestamp: Annotated[int64, Tag(0, "0+")] = 0


class StreamsGroupTopologyKey(Message):
    """Hold the record key StreamsGroupTopologyKey."""

    KEY: ClassVar[int] = 23
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""


class TopicConfig(Struct):
    key: string = ""
    value: string = ""


class TopicInfo(Struct):
    name: string = ""
    partitions: int32 = 0
    replication_factor: int16 = 0
    topic_configs: list[TopicConfig] = []


class CopartitionGroup(Struct):
    source_topics: list[int16] = []
    source_topic_regex: list[int16] = []
    repartition_source_topics: list[int16] = []


class Subtopology(Struct):
    subtopology_id: string = ""
    source_topics: list[string] = []
    source_topic_regex: list[string] = []
    state_changelog_topics: list[TopicInfo] = []
    repartition_sink_topics: list[string] = []
    repartition_source_topics: list[TopicInfo] = []
    copartition_groups: list[CopartitionGroup] = []


class StreamsGroupTopologyValue(Message):
    """Hold the record value StreamsGroupTopologyValue."""

    KEY: ClassVar[int] = 23
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    epoch: int32 = 0
    subtopologies: list[Subtopology] = []
