"""RemoveRaftVoter (key 81): remove a voter from the metadata quorum.

Source: Kafka's message definitions RemoveRaftVoterRequest and RemoveRaftVoterResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, int16, int32, string, uuid


class RemoveRaftVoterRequest(Message):
    """Hold the request of RemoveRaftVoter."""

    KEY: ClassVar[int] = 81
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    cluster_id: string | None = ""
    voter_id: int32 = 0
    voter_directory_id: uuid = ZERO_UUID


class RemoveRaftVoterResponse(Message):
    """Hold the response of RemoveRaftVoter."""

    KEY: ClassVar[int] = 81
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""
