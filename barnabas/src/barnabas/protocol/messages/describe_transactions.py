"""DescribeTransactions (key 65): describe transactions.

Source: Kafka's message definitions DescribeTransactionsRequest and DescribeTransactionsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int16, int32, int64, string


class DescribeTransactionsRequest(Message):
    """Hold the request of DescribeTransactions."""

    KEY: ClassVar[int] = 65
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    transactional_ids: list[string] = []


class TopicData(Struct):
    topic: string = ""
    partitions: list[int32] = []


class TransactionState(Struct):
    error_code: int16 = 0
    transactional_id: string = ""
    transaction_state: string = ""
    transaction_timeout_ms: int32 = 0
    transaction_start_time_ms: int64 = 0
    producer_id: int64 = 0
    producer_epoch: int16 = 0
    topics: list[TopicData] = []


class DescribeTransactionsResponse(Message):
    """Hold the response of DescribeTransactions."""

    KEY: ClassVar[int] = 65
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    transaction_states: list[TransactionState] = []
