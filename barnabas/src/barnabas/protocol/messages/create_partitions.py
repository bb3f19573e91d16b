"""CreatePartitions (key 37): add partitions to topics.

Source: Kafka's message definitions CreatePartitionsRequest and CreatePartitionsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, boolean, int16, int32, string


class CreatePartitionsAssignment(Struct):
    broker_ids: list[int32] = []


class CreatePartitionsTopic(Struct):
    name: string = ""
    count: int32 = 0
    assignments: list[CreatePartitionsAssignment] | None = []


class CreatePartitionsRequest(Message):
    """Hold the request of CreatePartitions."""

    KEY: ClassVar[int] = 37
    VERSIONS: ClassVar[str] = "0-3"
    FLEXIBLE: ClassVar[str] = "2+"

    topics: list[CreatePartitionsTopic] = []
    timeout_ms: int32 = 0
    validate_only: boolean = False


class CreatePartitionsTopicResult(Struct):
    name: string = ""
    error_code: int16 = 0
    error_message: string | None = None


class CreatePartitionsResponse(Message):
    """Hold the response of CreatePartitions."""

    KEY: ClassVar[int] = 37
    VERSIONS: ClassVar[str] = "0-3"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    results: list[CreatePartitionsTopicResult] = []
