"""AddOffsetsToTxn (key 25): add a group's offsets to a transaction.

Source: Kafka's message definitions AddOffsetsToTxnRequest and AddOffsetsToTxnResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, int16, int32, int64, string


class AddOffsetsToTxnRequest(Message):
    """Hold the request of AddOffsetsToTxn."""

    KEY: ClassVar[int] = 25
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "3+"

    transactional_id: string = ""
    producer_id: int64 = 0
    producer_epoch: int16 = 0
    group_id: string = ""


class AddOffsetsToTxnResponse(Message):
    """Hold the response of AddOffsetsToTxn."""

    KEY: ClassVar[int] = 25
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "3+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
