"""DescribeLogDirs (key 35): describe log directories and the sizes of their replicas.

Source: Kafka's message definitions DescribeLogDirsRequest and DescribeLogDirsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, boolean, int16, int32, int64, string


class DescribableLogDirTopic(Struct):
    topic: string = ""
    partitions: list[int32] = []


class DescribeLogDirsRequest(Message):
    """Hold the request of DescribeLogDirs."""

    KEY: ClassVar[int] = 35
    VERSIONS: ClassVar[str] = "1-5"
    FLEXIBLE: ClassVar[str] = "2+"

    topics: list[DescribableLogDirTopic] | None = []


class DescribeLogDirsPartition(Struct):
    partition_index: int32 = 0
    partition_size: int64 = 0
    offset_lag: int64 = 0
    is_future_key: boolean = False


class DescribeLogDirsTopic(Struct):
    name: string = ""
    partitions: list[DescribeLogDirsPartition] = []


class DescribeLogDirsResult(Struct):
    error_code: int16 = 0
    log_dir: string = ""
    topics: list[DescribeLogDirsTopic] = []
    total_bytes: Annotated[int64, V("4+")] = -1
    usable_bytes: Annotated[int64, V("4+")] = -1
    is_cordoned: Annotated[boolean, V("5+")] = False


class DescribeLogDirsResponse(Message):
    """Hold the response of DescribeLogDirs."""

    KEY: ClassVar[int] = 35
    VERSIONS: ClassVar[str] = "1-5"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    error_code: Annotated[int16, V("3+")] = 0
    results: list[DescribeLogDirsResult] = []
