"""StreamsGroupHeartbeat (key 88): join, keep alive and leave a streams group (KIP-1071).

Source: Kafka's message definitions StreamsGroupHeartbeatRequest and StreamsGroupHeartbeatResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Required, Struct, boolean, int8, int16, int32, int64, string, uint16


class KeyValue(Struct):
    key: string = ""
    value: string = ""


class TopicInfo(Struct):
    name: string = ""
    partitions: int32 = 0
    replication_factor: int16 = 0
    topic_configs: list[KeyValue] = []


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


class Topology(Struct):
    epoch: int32 = 0
    subtopologies: list[Subtopology] = []


class StreamsGroupHeartbeatRequest(Message):
    """Hold the request of StreamsGroupHeartbeat."""

    KEY: ClassVar[int] = 88
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    group_id: string = ""
    member_id: string = ""
    member_epoch: int32 = 0
    endpoint_information_epoch: int32 = 0
    instance_id: string | None = None
    rack_id: string | None = None
    rebalance_timeout_ms: int32 = -1
    topology: Topology | None = None
    active_tasks: list[TaskIds] | None = None
    standby_tasks: list[TaskIds] | None = None
    warmup_tasks: list[TaskIds] | None = None
    process_id: string | None = None
    user_endpoint: Endpoint | None = None
    client_tags: list[KeyValue] | None = None
    task_offsets: list[TaskOffset] | None = None
    task_end_offsets: list[TaskOffset] | None = None
    shutdown_application: boolean = False


class Status(Struct):
    status_code: int8 = 0
    status_detail: string = ""


class TopicPartition(Struct):
    topic: string = ""
    partitions: list[int32] = []


class StreamsGroupHeartbeatResponseTaskIds(Struct):
    subtopology_id: string = ""
    partitions: list[int32] = []


class StreamsGroupHeartbeatResponseEndpoint(Struct):
    host: string = ""
    port: uint16 = 0


class EndpointToPartitions(Struct):
    user_endpoint: Annotated[StreamsGroupHeartbeatResponseEndpoint | None, Required] = None
    active_partitions: list[TopicPartition] = []
    standby_partitions: list[TopicPartition] = []


class StreamsGroupHeartbeatResponse(Message):
    """Hold the response of StreamsGroupHeartbeat."""

    KEY: ClassVar[int] = 88
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    member_id: string = ""
    member_epoch: int32 = 0
    heartbeat_interval_ms: int32 = 0
    acceptable_recovery_lag: int32 = 0
    task_offset_interval_ms: int32 = 0
    status: list[Status] | None = []
    active_tasks: list[StreamsGroupHeartbeatResponseTaskIds] | None = None
    standby_tasks: list[StreamsGroupHeartbeatResponseTaskIds] | None = None
    warmup_tasks: list[StreamsGroupHeartbeatResponseTaskIds] | None = None
    endpoint_information_epoch: int32 = 0
    partitions_by_user_endpoint: list[EndpointToPartitions] | None = None
