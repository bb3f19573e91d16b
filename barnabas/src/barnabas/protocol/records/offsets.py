"""Records of `__consumer_offsets` for offsets and classic groups.

Source: Kafka's message definitions of the same names.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, Tag, V, binary, int32, int64, string, uuid


class OffsetCommitKey(Message):
    """Hold the record key OffsetCommitKey."""

    KEY: ClassVar[int] = 1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group: string = ""
    topic: string = ""
    partition: int32 = 0


class OffsetCommitValue(Message):
    """Hold the record value OffsetCommitValue."""

    KEY: ClassVar[int] = 1
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "4+"

    offset: int64 = 0
    leader_epoch: Annotated[int32, V("3+")] = -1
    metadata: string = ""
    commit_timestamp: int64 = 0
    expire_timestamp: Annotated[int64, V("1")] = -1
    topic_id: Annotated[uuid, Tag(0, "4+")] = ZERO_UUID


class LegacyOffsetCommitKey(Message):
    """Hold the record key LegacyOffsetCommitKey."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group: string = ""
    topic: string = ""
    partition: int32 = 0


class LegacyOffsetCommitValue(Message):
    """Hold the record value LegacyOffsetCommitValue."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    offset: int64 = 0
    metadata: string = ""
    commit_timestamp: int64 = 0


class GroupMetadataKey(Message):
    """Hold the record key GroupMetadataKey."""

    KEY: ClassVar[int] = 2
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    group: string = ""


class MemberMetadata(Struct):
    member_id: string = ""
    group_instance_id: Annotated[string | None, V("3+")] = None
    client_id: string = ""
    client_host: string = ""
    rebalance_timeout: Annotated[int32, V("1+")] = -1
    session_timeout: int32 = 0
    subscription: binary = b""
    assignment: binary = b""


class GroupMetadataValue(Message):
    """Hold the record value GroupMetadataValue."""

    KEY: ClassVar[int] = 2
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "4+"

    protocol_type: string = ""
    generation: int32 = 0
    protocol: string | None = ""
    leader: string | None = ""
    current_state_timestamp: Annotated[int64, V("2+")] = -1
    members: list[MemberMetadata] = []
