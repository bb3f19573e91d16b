"""Values of control records: transaction markers and the metadata quorum's own.

Source: Kafka's message definitions of the same names.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import (
    ZERO_UUID,
    Message,
    Required,
    Struct,
    V,
    int16,
    int32,
    int64,
    string,
    uint16,
    uuid,
)


class EndTxnMarker(Message):
    """Hold the payload EndTxnMarker."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"

    coordinator_epoch: int32 = 0


class Voter(Struct):
    voter_id: int32 = 0
    voter_directory_id: Annotated[uuid, V("1+")] = ZERO_UUID


class LeaderChangeMessage(Message):
    """Hold the payload LeaderChangeMessage."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    version: int16 = 0
    leader_id: int32 = 0
    voters: list[Voter] = []
    granting_voters: list[Voter] = []


class SnapshotHeaderRecord(Message):
    """Hold the record SnapshotHeaderRecord."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    version: int16 = 0
    last_contained_log_timestamp: int64 = 0


class SnapshotFooterRecord(Message):
    """Hold the record SnapshotFooterRecord."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    version: int16 = 0


class KRaftVersionRecord(Message):
    """Hold the record KRaftVersionRecord."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    version: int16 = 0
    k_raft_version: int16 = 0


class Endpoint(Struct):
    name: string = ""
    host: string = ""
    port: uint16 = 0


class KRaftVersionFeature(Struct):
    min_supported_version: int16 = 0
    max_supported_version: int16 = 0


class VotersRecordVoter(Struct):
    voter_id: int32 = 0
    voter_directory_id: uuid = ZERO_UUID
    endpoints: list[Endpoint] = []
    k_raft_version_feature: Annotated[KRaftVersionFeature | None, Required] = None


class VotersRecord(Message):
    """Hold the record VotersRecord."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    version: int16 = 0
    voters: list[VotersRecordVoter] = []
