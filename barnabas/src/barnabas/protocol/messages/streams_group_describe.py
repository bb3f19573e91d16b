"""StreamsGroupDescribe (key 89): describe streams groups (KIP-1071).

Source: Kafka's message definitions StreamsGroupDescribeRequest and StreamsGroupDescribeResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Required, Struct, boolean, int16, int32, int64, string, uint16


class StreamsGroupDescribeRequest(Message):
    """Hold the request of StreamsGroupDescribe."""

    KEY: ClassVar[int] = 89
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    group_ids: list[string] = []
    include_authorized_operations: boolean = False


class Endpoint(Struct):
    host: string = ""
    port: uint16 = 0


class TaskOffset(Struct):
    subtopology_id: string = ""
    partition: int32 = 0
    offset: int64 = 0


class TaskIds(Struct):
    subtopology_id: string = ""
    partitions: list[int32] = []


class Assignment(Struct):
    active_tasks: list[TaskIds] = []
    standby_tasks: list[TaskIds] = []
    warmup_tasks: list[TaskIds] = []


class KeyValue(Struct):
    key: string = ""
    value: string = ""


class TopicInfo(Struct):
    name: string = ""
    partitions: int32 = 0
    replication_factor: int16 = 0
    topic_configs: list[KeyValue] = []


class Subtopology(Struct):
    subtopology_id: string = ""
    source_topics: list[string] = []
    repartition_sink_topics: list[string] = []
    state_changelog_topics: list[TopicInfo] = []
    repartition_source_topics: list[TopicInfo] = []


class Topology(Struct):
    epoch: int32 = 0
    subtopologies: list[Subtopology] | None = None


class Member(Struct):
    member_id: string = ""
    member_epoch: int32 = 0
    instance_id: string | None = None
    rack_id: string | None = None
    client_id: string = ""
    client_host: string = ""
    topology_epoch: int32 = 0
    process_id: string = ""
    user_endpoint: Endpoint | None = None
    client_tags: list[KeyValue] = []
    task_offsets: list[TaskOffset] = []
    task_end_offsets: list[TaskOffset] = []
    assignment: Annotated[Assignment | None, Required] = None
    target_assignment: Annotated[Assignment | None, Required] = None
    is_classic: boolean = False


class DescribedGroup(Struct):
    error_code: int16 = 0
    error_message: string | None = None
    group_id: string = ""
    group_state: string = ""
    group_epoch: int32 = 0
    assignment_epoch: int32 = 0
    topology: Topology | None = None
    members: list[Member] = []
    authorized_operations: int32 = -2147483648


class StreamsGroupDescribeResponse(Message):
    """Hold the response of StreamsGroupDescribe."""

    KEY: ClassVar[int] = 89
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    groups: list[DescribedGroup] = []
