"""InitProducerId (key 22): obtain a producer id and its epoch.

Source: Kafka's message definitions InitProducerIdRequest and InitProducerIdResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, V, boolean, int16, int32, int64, string


class InitProducerIdRequest(Message):
    """Hold the request of InitProducerId."""

    KEY: ClassVar[int] = 22
    VERSIONS: ClassVar[str] = "0-6"
    FLEXIBLE: ClassVar[str] = "2+"

    transactional_id: string | None = ""
    transaction_timeout_ms: int32 = 0
    producer_id: Annotated[int64, V("3+")] = -1
    producer_epoch: Annotated[int16, V("3+")] = -1
    enable2_pc: Annotated[boolean, V("6+")] = False
    keep_prepared_txn: Annotated[boolean, V("6+")] = False


class InitProducerIdResponse(Message):
    """Hold the response of InitProducerId."""

    KEY: ClassVar[int] = 22
    VERSIONS: ClassVar[str] = "0-6"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    producer_id: int64 = -1
    producer_epoch: int16 = 0
    ongoing_txn_producer_id: Annotated[int64, V("6+")] = -1
    ongoing_txn_producer_epoch: Annotated[int16, V("6+")] = -1
