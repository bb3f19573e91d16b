"""ListTransactions (key 66): list transactions.

Source: Kafka's message definitions ListTransactionsRequest and ListTransactionsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int16, int32, int64, string


class ListTransactionsRequest(Message):
    """Hold the request of ListTransactions."""

    KEY: ClassVar[int] = 66
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    state_filters: list[string] = []
    producer_id_filters: list[int64] = []
    duration_filter: Annotated[int64, V("1+")] = -1
    transactional_id_pattern: Annotated[string | None, V("2+")] = None


class TransactionState(Struct):
    transactional_id: string = ""
    producer_id: int64 = 0
    transaction_state: string = ""


class ListTransactionsResponse(Message):
    """Hold the response of ListTransactions."""

    KEY: ClassVar[int] = 66
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    unknown_state_filters: list[string] = []
    transaction_states: list[TransactionState] = []
