"""Records of `__transaction_state`.

Source: Kafka's message definitions TransactionLogKey and TransactionLogValue.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, Tag, int8, int16, int32, int64, string


class TransactionLogKey(Message):
    """Hold the record key TransactionLogKey."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    transactional_id: string = ""


class PartitionsSchema(Struct):
    topic: string = ""
    partition_ids: list[int32] = []


class TransactionLogValue(Message):
    """Hold the record value TransactionLogValue."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "1+"

    producer_id: int64 = 0
    previous_producer_id: Annotated[int64, Tag(0, "1+")] = -1
    next_producer_id: Annotated[int64, Tag(1, "1+")] = -1
    producer_epoch: int16 = 0
    next_producer_epoch: Annotated[int16, Tag(3, "1+")] = -1
    transaction_timeout_ms: int32 = 0
    transaction_status: int8 = 0
    transaction_partitions: list[PartitionsSchema] | None = []
    transaction_last_update_timestamp_ms: int64 = 0
    transaction_start_timestamp_ms: int64 = 0
    client_transaction_version: Annotated[int16, Tag(2, "1+")] = 0
