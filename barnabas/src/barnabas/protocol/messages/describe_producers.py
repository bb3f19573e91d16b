"""DescribeProducers (key 61): describe the active producers of partitions.

Source: Kafka's message definitions DescribeProducersRequest and DescribeProducersResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int16, int32, int64, string


class TopicRequest(Struct):
    name: string = ""
    partition_indexes: list[int32] = []


class DescribeProducersRequest(Message):
    """Hold the request of DescribeProducers."""

    KEY: ClassVar[int] = 61
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    topics: list[TopicRequest] = []


class ProducerState(Struct):
    producer_id: int64 = 0
    producer_epoch: int32 = 0
    last_sequence: int32 = -1
    last_timestamp: int64 = -1
    coordinator_epoch: int32 = 0
    current_txn_start_offset: int64 = -1


class PartitionResponse(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    active_producers: list[ProducerState] = []


class TopicResponse(Struct):
    name: string = ""
    partitions: list[PartitionResponse] = []


class DescribeProducersResponse(Message):
    """Hold the response of DescribeProducers."""

    KEY: ClassVar[int] = 61
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    topics: list[TopicResponse] = []
