"""AlterReplicaLogDirs (key 34): move replicas between log directories.

Source: Kafka's message definitions AlterReplicaLogDirsRequest and AlterReplicaLogDirsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int16, int32, string


class AlterReplicaLogDirTopic(Struct):
    name: string = ""
    partitions: list[int32] = []


class AlterReplicaLogDir(Struct):
    path: string = ""
    topics: list[AlterReplicaLogDirTopic] = []


class AlterReplicaLogDirsRequest(Message):
    """Hold the request of AlterReplicaLogDirs."""

    KEY: ClassVar[int] = 34
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "2+"

    dirs: list[AlterReplicaLogDir] = []


class AlterReplicaLogDirPartitionResult(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0


class AlterReplicaLogDirTopicResult(Struct):
    topic_name: string = ""
    partitions: list[AlterReplicaLogDirPartitionResult] = []


class AlterReplicaLogDirsResponse(Message):
    """Hold the response of AlterReplicaLogDirs."""

    KEY: ClassVar[int] = 34
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    results: list[AlterReplicaLogDirTopicResult] = []
