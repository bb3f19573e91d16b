"""WriteTxnMarkers (key 27): write the markers that end transactions.

Source: Kafka's message definitions WriteTxnMarkersRequest and WriteTxnMarkersResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, boolean, int8, int16, int32, int64, string


class WritableTxnMarkerTopic(Struct):
    name: string = ""
    partition_indexes: list[int32] = []


class WritableTxnMarker(Struct):
    producer_id: int64 = 0
    producer_epoch: int16 = 0
    transaction_result: boolean = False
    topics: list[WritableTxnMarkerTopic] = []
    coordinator_epoch: int32 = 0
    transaction_version: Annotated[int8, V("2+")] = 0


class WriteTxnMarkersRequest(Message):
    """Hold the request of WriteTxnMarkers."""

    KEY: ClassVar[int] = 27
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "1+"

    markers: list[WritableTxnMarker] = []


class WritableTxnMarkerPartitionResult(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0


class WritableTxnMarkerTopicResult(Struct):
    name: string = ""
    partitions: list[WritableTxnMarkerPartitionResult] = []


class WritableTxnMarkerResult(Struct):
    producer_id: int64 = 0
    topics: list[WritableTxnMarkerTopicResult] = []


class WriteTxnMarkersResponse(Message):
    """Hold the response of WriteTxnMarkers."""

    KEY: ClassVar[int] = 27
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "1+"

    markers: list[WritableTxnMarkerResult] = []
