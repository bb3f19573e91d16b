"""Metadata (key 3): list brokers, topics and their partitions.

Source: Kafka's message definitions MetadataRequest and MetadataResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Nullable, Struct, V, boolean, int16, int32, string, uuid


class MetadataRequestTopic(Struct):
    topic_id: Annotated[uuid, V("10+")] = ZERO_UUID
    name: Annotated[string | None, Nullable("10+")] = ""


class MetadataRequest(Message):
    """Hold the request of Metadata."""

    KEY: ClassVar[int] = 3
    VERSIONS: ClassVar[str] = "0-13"
    FLEXIBLE: ClassVar[str] = "9+"

    topics: Annotated[list[MetadataRequestTopic] | None, Nullable("1+")] = []
    allow_auto_topic_creation: Annotated[boolean, V("4+")] = True
    include_cluster_authorized_operations: Annotated[boolean, V("8-10")] = False
    include_topic_authorized_operations: Annotated[boolean, V("8+")] = False


class MetadataResponseBroker(Struct):
    node_id: int32 = 0
    host: string = ""
    port: int32 = 0
    rack: Annotated[string | None, V("1+")] = None


class MetadataResponsePartition(Struct):
    error_code: int16 = 0
    partition_index: int32 = 0
    leader_id: int32 = 0
    leader_epoch: Annotated[int32, V("7+")] = -1
    replica_nodes: list[int32] = []
    isr_nodes: list[int32] = []
    offline_replicas: Annotated[list[int32], V("5+")] = []


class MetadataResponseTopic(Struct):
    error_code: int16 = 0
    name: Annotated[string | None, Nullable("12+")] = ""
    topic_id: Annotated[uuid, V("10+")] = ZERO_UUID
    is_internal: Annotated[boolean, V("1+")] = False
    partitions: list[MetadataResponsePartition] = []
    topic_authorized_operations: Annotated[int32, V("8+")] = -2147483648


class MetadataResponse(Message):
    """Hold the response of Metadata."""

    KEY: ClassVar[int] = 3
    VERSIONS: ClassVar[str] = "0-13"
    FLEXIBLE: ClassVar[str] = "9+"

    throttle_time_ms: Annotated[int32, V("3+")] = 0
    brokers: list[MetadataResponseBroker] = []
    cluster_id: Annotated[string | None, V("2+")] = None
    controller_id: Annotated[int32, V("1+")] = -1
    topics: list[MetadataResponseTopic] = []
    cluster_authorized_operations: Annotated[int32, V("8-10")] = -2147483648
    error_code: Annotated[int16, V("13+")] = 0
