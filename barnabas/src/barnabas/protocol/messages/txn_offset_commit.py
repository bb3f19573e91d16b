"""TxnOffsetCommit (key 28): store consumed offsets as part of a transaction.

Source: Kafka's message definitions TxnOffsetCommitRequest and TxnOffsetCommitResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int16, int32, int64, string


class TxnOffsetCommitRequestPartition(Struct):
    partition_index: int32 = 0
    committed_offset: int64 = 0
    committed_leader_epoch: Annotated[int32, V("2+")] = -1
    committed_metadata: string | None = ""


class TxnOffsetCommitRequestTopic(Struct):
    name: string = ""
    partitions: list[TxnOffsetCommitRequestPartition] = []


class TxnOffsetCommitRequest(Message):
    """Hold the request of TxnOffsetCommit."""

    KEY: ClassVar[int] = 28
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "3+"

    transactional_id: string = ""
    group_id: string = ""
    producer_id: int64 = 0
    producer_epoch: int16 = 0
    generation_id: Annotated[int32, V("3+")] = -1
    member_id: Annotated[string, V("3+")] = ""
    group_instance_id: Annotated[string | None, V("3+")] = None
    topics: list[TxnOffsetCommitRequestTopic] = []


class TxnOffsetCommitResponsePartition(Struct):
    partition_index: int32 = 0
    error_code: int16 = 0


class TxnOffsetCommitResponseTopic(Struct):
    name: string = ""
    partitions: list[TxnOffsetCommitResponsePartition] = []


class TxnOffsetCommitResponse(Message):
    """Hold the response of TxnOffsetCommit."""

    KEY: ClassVar[int] = 28
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "3+"

    throttle_time_ms: int32 = 0
    topics: list[TxnOffsetCommitResponseTopic] = []
