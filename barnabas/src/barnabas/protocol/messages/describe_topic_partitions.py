"""DescribeTopicPartitions (key 75): describe topic partitions page by page.

Source: Kafka's message definitions DescribeTopicPartitionsRequest and DescribeTopicPartitionsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, boolean, int16, int32, string, uuid


class TopicRequest(Struct):
    name: string = ""


class Cursor(Struct):
    topic_name: string = ""
    partition_index: int32 = 0


class DescribeTopicPartitionsRequest(Message):
    """Hold the request of DescribeTopicPartitions."""

    KEY: ClassVar[int] = 75
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    topics: list[TopicRequest] = []
    response_partition_limit: int32 = 2000
    cursor: Cursor | None = None


class DescribeTopicPartitionsResponsePartition(Struct):
    error_code: int16 = 0
    partition_index: int32 = 0
    leader_id: int32 = 0
    leader_epoch: int32 = -1
    replica_nodes: list[int32] = []
    isr_nodes: list[int32] = []
    eligible_leader_replicas: list[int32] | None = None
    last_known_elr: list[int32] | None = None
    offline_replicas: list[int32] = []


class DescribeTopicPartitionsResponseTopic(Struct):
    error_code: int16 = 0
    name: string | None = ""
    topic_id: uuid = ZERO_UUID
    is_internal: boolean = False
    partitions: list[DescribeTopicPartitionsResponsePartition] = []
    topic_authorized_operations: int32 = -2147483648


class DescribeTopicPartitionsResponseCursor(Struct):
    topic_name: string = ""
    partition_index: int32 = 0


class DescribeTopicPartitionsResponse(Message):
    """Hold the response of DescribeTopicPartitions."""

    KEY: ClassVar[int] = 75
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    next_cursor: DescribeTopicPartitionsResponseCursor | None = None
