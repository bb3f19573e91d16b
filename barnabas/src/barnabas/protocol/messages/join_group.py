"""JoinGroup (key 11): join a classic group.

Source: Kafka's message definitions JoinGroupRequest and JoinGroupResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Nullable, Struct, V, binary, boolean, int16, int32, string


class JoinGroupRequestProtocol(Struct):
    name: string = ""
    metadata: binary = b""


class JoinGroupRequest(Message):
    """Hold the request of JoinGroup."""

    KEY: ClassVar[int] = 11
    VERSIONS: ClassVar[str] = "0-9"
    FLEXIBLE: ClassVar[str] = "6+"

    group_id: string = ""
    session_timeout_ms: int32 = 0
    rebalance_timeout_ms: Annotated[int32, V("1+")] = -1
    member_id: string = ""
    group_instance_id: Annotated[string | None, V("5+")] = None
    protocol_type: string = ""
    protocols: list[JoinGroupRequestProtocol] = []
    reason: Annotated[string | None, V("8+")] = None


class JoinGroupResponseMember(Struct):
    member_id: string = ""
    group_instance_id: Annotated[string | None, V("5+")] = None
    metadata: binary = b""


class JoinGroupResponse(Message):
    """Hold the response of JoinGroup."""

    KEY: ClassVar[int] = 11
    VERSIONS: ClassVar[str] = "0-9"
    FLEXIBLE: ClassVar[str] = "6+"

    throttle_time_ms: Annotated[int32, V("2+")] = 0
    error_code: int16 = 0
    generation_id: int32 = -1
    protocol_type: Annotated[string | None, V("7+")] = None
    protocol_name: Annotated[string | None, Nullable("7+")] = ""
    leader: string = ""
    skip_assignment: Annotated[boolean, V("9+")] = False
    member_id: string = ""
    members: list[JoinGroupResponseMember] = []
