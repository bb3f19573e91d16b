"""AddPartitionsToTxn (key 24): add partitions to a transaction.

Source: Kafka's message definitions AddPartitionsToTxnRequest and AddPartitionsToTxnResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, boolean, int16, int32, int64, string


class AddPartitionsToTxnTopic(Struct):
    name: string = ""
    partitions: list[int32] = []


class AddPartitionsToTxnTransaction(Struct):
    transactional_id: Annotated[string, V("4+")] = ""
    producer_id: Annotated[int64, V("4+")] = 0
    producer_epoch: Annotated[int16, V("4+")] = 0
    verify_only: Annotated[boolean, V("4+")] = False
    topics: Annotated[list[AddPartitionsToTxnTopic], V("4+")] = []


class AddPartitionsToTxnRequest(Message):
    """Hold the request of AddPartitionsToTxn."""

    KEY: ClassVar[int] = 24
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "3+"

    transactions: Annotated[list[AddPartitionsToTxnTransaction], V("4+")] = []
    v3_and_below_transactional_id: Annotated[string, V("0-3")] = ""
    v3_and_below_producer_id: Annotated[int64, V("0-3")] = 0
    v3_and_below_producer_epoch: Annotated[int16, V("0-3")] = 0
    v3_and_below_topics: Annotated[list[AddPartitionsToTxnTopic], V("0-3")] = []


class AddPartitionsToTxnPartitionResult(Struct):
    partition_index: int32 = 0
    partition_error_code: int16 = 0


class AddPartitionsToTxnTopicResult(Struct):
    name: string = ""
    results_by_partition: list[AddPartitionsToTxnPartitionResult] = []


class AddPartitionsToTxnResult(Struct):
    transactional_id: Annotated[string, V("4+")] = ""
    topic_results: Annotated[list[AddPartitionsToTxnTopicResult], V("4+")] = []


class AddPartitionsToTxnResponse(Message):
    """Hold the response of AddPartitionsToTxn."""

    KEY: ClassVar[int] = 24
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "3+"

    throttle_time_ms: int32 = 0
    error_code: Annotated[int16, V("4+")] = 0
    results_by_transaction: Annotated[list[AddPartitionsToTxnResult], V("4+")] = []
    results_by_topic_v3_and_below: Annotated[list[AddPartitionsToTxnTopicResult], V("0-3")] = []
