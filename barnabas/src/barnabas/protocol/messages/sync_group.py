"""SyncGroup (key 14): hand out, or receive, the assignment of a classic group.

Source: Kafka's message definitions SyncGroupRequest and SyncGroupResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, binary, int16, int32, string


class SyncGroupRequestAssignment(Struct):
    member_id: string = ""
    assignment: binary = b""


class SyncGroupRequest(Message):
    """Hold the request of SyncGroup."""

    KEY: ClassVar[int] = 14
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "4+"

    group_id: string = ""
    generation_id: int32 = 0
    member_id: string = ""
    group_instance_id: Annotated[string | None, V("3+")] = None
    protocol_type: Annotated[string | None, V("5+")] = None
    protocol_name: Annotated[string | None, V("5+")] = None
    assignments: list[SyncGroupRequestAssignment] = []


class SyncGroupResponse(Message):
    """Hold the response of SyncGroup."""

    KEY: ClassVar[int] = 14
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "4+"

    throttle_time_ms: Annotated[int32, V("1+")] = 0
    error_code: int16 = 0
    protocol_type: Annotated[string | None, V("5+")] = None
    protocol_name: Annotated[string | None, V("5+")] = None
    assignment: binary = b""
