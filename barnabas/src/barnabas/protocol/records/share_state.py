"""Records of `__share_group_state`.

Source: Kafka's message definitions of the same names.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, Tag, int8, int16, int32, int64, string, uuid


class ShareSnapshotKey(Message):
    """Hold the record key ShareSnapshotKey."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    topic_id: uuid = ZERO_UUID
    partition: int32 = 0


class StateBatch(Struct):
    first_offset: int64 = 0
    last_offset: int64 = 0
    delivery_state: int8 = 0
    delivery_count: int16 = 0


class ShareSnapshotValue(Message):
    """Hold the record value ShareSnapshotValue."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    snapshot_epoch: int32 = 0
    state_epoch: int32 = 0
    leader_epoch: int32 = 0
    start_offset: int64 = 0
    delivery_complete_count: Annotated[int32, Tag(0, "0+")] = -1
    create_timestamp: int64 = 0
    write_timestamp: int64 = 0
    state_batches: list[StateBatch] = []


class ShareUpdateKey(Message):
    """Hold the record key ShareUpdateKey."""

    KEY: ClassVar[int] = 1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group_id: string = ""
    topic_id: uuid = ZERO_UUID
    partition: int32 = 0


class ShareUpdateValueStateBatch(Struct):
    first_offset: int64 = 0
    last_offset: int64 = 0
    delivery_state: int8 = 0
    delivery_count: int16 = 0


class ShareUpdateValue(Message):
    """Hold the record value ShareUpdateValue."""

    KEY: ClassVar[int] = 1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    snapshot_epoch: int32 = 0
    leader_epoch: int32 = 0
    start_offset: int64 = 0
    delivery_complete_count: Annotated[int32, Tag(0, "0+")] = -1
    state_batches: list[ShareUpdateValueStateBatch] = []
