"""AlterPartitionReassignments (key 45): start or cancel reassignments of partitions.

Source: Kafka's message definitions AlterPartitionReassignmentsRequest and AlterPartitionReassignmentsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, boolean, int16, int32, string


class ReassignablePartition(Struct):
    partition_index: int32 = 0
    replicas: list[int32] | None = None


class ReassignableTopic(Struct):
    name: string = ""
    partitions: list[ReassignablePartition] = []


class AlterPartitionReassignmentsRequest(Message):
    """Hold the request of AlterPartitionReassignments."""

    KEY: ClassVar[int] = 45
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    timeout_ms: int32 = 60000
    allow_replication_factor_change: Annotated[boolean, V("1+")] = True
    topics: list[ReassignableTopic] = []


class ReassignablePartitionResponse(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""


class ReassignableTopicResponse(Struct):
    name: string = ""
    partitions: list[ReassignablePartitionResponse] = []


class AlterPartitionReassignmentsResponse(Message):
    """Hold the response of AlterPartitionReassignments."""

    KEY: ClassVar[int] = 45
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    allow_replication_factor_change: Annotated[boolean, V("1+")] = True
    error_code: int16 = 0
    error_message: string | None = ""
    responses: list[ReassignableTopicResponse] = []
