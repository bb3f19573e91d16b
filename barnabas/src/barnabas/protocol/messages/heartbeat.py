"""Heartbeat (key 12): keep a member of a classic group alive.

Source: Kafka's message definitions HeartbeatRequest and HeartbeatResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, V, int16, int32, string


class HeartbeatRequest(Message):
    """Hold the request of Heartbeat."""

    KEY: ClassVar[int] = 12
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "4+"

    group_id: string = ""
    generation_id: int32 = 0
    member_id: string = ""
    group_instance_id: Annotated[string | None, V("3+")] = None


class HeartbeatResponse(Message):
    """Hold the response of Heartbeat."""

    KEY: ClassVar[int] = 12
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "4+"

    throttle_time_ms: Annotated[int32, V("1+")] = 0
    error_code: int16 = 0
