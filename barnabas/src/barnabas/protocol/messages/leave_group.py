"""LeaveGroup (key 13): leave a classic group.

Source: Kafka's message definitions LeaveGroupRequest and LeaveGroupResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int16, int32, string


class MemberIdentity(Struct):
    member_id: Annotated[string, V("3+")] = ""
    group_instance_id: Annotated[string | None, V("3+")] = None
    reason: Annotated[string | None, V("5+")] = None


class LeaveGroupRequest(Message):
    """Hold the request of LeaveGroup."""

    KEY: ClassVar[int] = 13
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "4+"

    group_id: string = ""
    member_id: Annotated[string, V("0-2")] = ""
    members: Annotated[list[MemberIdentity], V("3+")] = []


class MemberResponse(Struct):
    member_id: Annotated[string, V("3+")] = ""
    group_instance_id: Annotated[string | None, V("3+")] = ""
    error_code: Annotated[int16, V("3+")] = 0


class LeaveGroupResponse(Message):
    """Hold the response of LeaveGroup."""

    KEY: ClassVar[int] = 13
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "4+"

    throttle_time_ms: Annotated[int32, V("1+")] = 0
    error_code: int16 = 0
    members: Annotated[list[MemberResponse], V("3+")] = []
