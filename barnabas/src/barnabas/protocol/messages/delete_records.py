"""DeleteRecords (key 21): delete the records below an offset.

Source: Kafka's message definitions DeleteRecordsRequest and DeleteRecordsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int16, int32, int64, string


class DeleteRecordsPartition(Struct):
    partition_index: int32 = 0
    offset: int64 = 0


class DeleteRecordsTopic(Struct):
    name: string = ""
    partitions: list[DeleteRecordsPartition] = []


class DeleteRecordsRequest(Message):
    """Hold the request of DeleteRecords."""

    KEY: ClassVar[int] = 21
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    topics: list[DeleteRecordsTopic] = []
    timeout_ms: int32 = 0


class DeleteRecordsPartitionResult(Struct):
    partition_index: int32 = 0
    low_watermark: int64 = 0
    error_code: int16 = 0


class DeleteRecordsTopicResult(Struct):
    name: string = ""
    partitions: list[DeleteRecordsPartitionResult] = []


class DeleteRecordsResponse(Message):
    """Hold the response of DeleteRecords."""

    KEY: ClassVar[int] = 21
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    topics: list[DeleteRecordsTopicResult] = []
