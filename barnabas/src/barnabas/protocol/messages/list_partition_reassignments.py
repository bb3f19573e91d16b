"""ListPartitionReassignments (key 46): list reassignments under way.

Source: Kafka's message definitions ListPartitionReassignmentsRequest and ListPartitionReassignmentsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int16, int32, string


class ListPartitionReassignmentsTopics(Struct):
    name: string = ""
    partition_indexes: list[int32] = []


class ListPartitionReassignmentsRequest(Message):
    """Hold the request of ListPartitionReassignments."""

    KEY: ClassVar[int] = 46
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    timeout_ms: int32 = 60000
    topics: list[ListPartitionReassignmentsTopics] | None = None


class OngoingPartitionReassignment(Struct):
    partition_index: int32 = 0
    replicas: list[int32] = []
    adding_replicas: list[int32] = []
    removing_replicas: list[int32] = []


class OngoingTopicReassignment(Struct):
    name: string = ""
    partitions: list[OngoingPartitionReassignment] = []


class ListPartitionReassignmentsResponse(Message):
    """Hold the response of ListPartitionReassignments."""

    KEY: ClassVar[int] = 46
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""
    topics: list[OngoingTopicReassignment] = []
