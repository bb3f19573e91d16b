"""ElectLeaders (key 43): elect partition leaders.

Source: Kafka's message definitions ElectLeadersRequest and ElectLeadersResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int8, int16, int32, string


class TopicPartitions(Struct):
    topic: string = ""
    partitions: list[int32] = []


class ElectLeadersRequest(Message):
    """Hold the request of ElectLeaders."""

    KEY: ClassVar[int] = 43
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    election_type: Annotated[int8, V("1+")] = 0
    topic_partitions: list[TopicPartitions] | None = []
    timeout_ms: int32 = 60000


class PartitionResult(Struct):
    partition_id: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""


class ReplicaElectionResult(Struct):
    topic: string = ""
    partition_result: list[PartitionResult] = []


class ElectLeadersResponse(Message):
    """Hold the response of ElectLeaders."""

    KEY: ClassVar[int] = 43
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    error_code: Annotated[int16, V("1+")] = 0
    replica_election_results: list[ReplicaElectionResult] = []
