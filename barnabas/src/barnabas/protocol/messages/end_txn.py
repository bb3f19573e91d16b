"""EndTxn (key 26): commit or abort a transaction.

Source: Kafka's message definitions EndTxnRequest and EndTxnResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, V, boolean, int16, int32, int64, string


class EndTxnRequest(Message):
    """Hold the request of EndTxn."""

    KEY: ClassVar[int] = 26
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "3+"

    transactional_id: string = ""
    producer_id: int64 = 0
    producer_epoch: int16 = 0
    committed: boolean = False


class EndTxnResponse(Message):
    """Hold the response of EndTxn."""

    KEY: ClassVar[int] = 26
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "3+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    producer_id: Annotated[int64, V("5+")] = -1
    producer_epoch: Annotated[int16, V("5+")] = -1
