"""CreateTopics (key 19): create topics.

Source: Kafka's message definitions CreateTopicsRequest and CreateTopicsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, Tag, V, boolean, int8, int16, int32, string, uuid


class CreatableReplicaAssignment(Struct):
    partition_index: int32 = 0
    broker_ids: list[int32] = []


class CreatableTopicConfig(Struct):
    name: string = ""
    value: string | None = ""


class CreatableTopic(Struct):
    name: string = ""
    num_partitions: int32 = 0
    replication_factor: int16 = 0
    assignments: list[CreatableReplicaAssignment] = []
    configs: list[CreatableTopicConfig] = []


class CreateTopicsRequest(Message):
    """Hold the request of CreateTopics."""

    KEY: ClassVar[int] = 19
    VERSIONS: ClassVar[str] = "2-7"
    FLEXIBLE: ClassVar[str] = "5+"

    topics: list[CreatableTopic] = []
    timeout_ms: int32 = 60000
    validate_only: boolean = False


class CreatableTopicConfigs(Struct):
    name: Annotated[string, V("5+")] = ""
    value: Annotated[string | None, V("5+")] = ""
    read_only: Annotated[boolean, V("5+")] = False
    config_source: Annotated[int8, V("5+")] = -1
    is_sensitive: Annotated[boolean, V("5+")] = False


class CreatableTopicResult(Struct):
    name: string = ""
    topic_id: Annotated[uuid, V("7+")] = ZERO_UUID
    error_code: int16 = 0
    error_message: string | None = ""
    topic_config_error_code: Annotated[int16, Tag(0, "5+")] = 0
    num_partitions: Annotated[int32, V("5+")] = -1
    replication_factor: Annotated[int16, V("5+")] = -1
    configs: Annotated[list[CreatableTopicConfigs] | None, V("5+")] = []


class CreateTopicsResponse(Message):
    """Hold the response of CreateTopics."""

    KEY: ClassVar[int] = 19
    VERSIONS: ClassVar[str] = "2-7"
    FLEXIBLE: ClassVar[str] = "5+"

    throttle_time_ms: int32 = 0
    topics: list[CreatableTopicResult] = []
