"""AddRaftVoter (key 80): add a voter to the metadata quorum.

Source: Kafka's message definitions AddRaftVoterRequest and AddRaftVoterResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Struct, V, boolean, int16, int32, string, uint16, uuid


class Listener(Struct):
    name: string = ""
    host: string = ""
    port: uint16 = 0


class AddRaftVoterRequest(Message):
    """Hold the request of AddRaftVoter."""

    KEY: ClassVar[int] = 80
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    cluster_id: string | None = ""
    timeout_ms: int32 = 0
    voter_id: int32 = 0
    voter_directory_id: uuid = ZERO_UUID
    listeners: list[Listener] = []
    ack_when_committed: Annotated[boolean, V("1+")] = True


class AddRaftVoterResponse(Message):
    """Hold the response of AddRaftVoter."""

    KEY: ClassVar[int] = 80
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""
