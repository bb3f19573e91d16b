"""FindCoordinator (key 10): find the node that coordinates a group, a transaction or a share partition.

Source: Kafka's message definitions FindCoordinatorRequest and FindCoordinatorResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int8, int16, int32, string


class FindCoordinatorRequest(Message):
    """Hold the request of FindCoordinator."""

    KEY: ClassVar[int] = 10
    VERSIONS: ClassVar[str] = "0-6"
    FLEXIBLE: ClassVar[str] = "3+"

    key: Annotated[string, V("0-3")] = ""
    key_type: Annotated[int8, V("1+")] = 0
    coordinator_keys: Annotated[list[string], V("4+")] = []


class Coordinator(Struct):
    key: Annotated[string, V("4+")] = ""
    node_id: Annotated[int32, V("4+")] = 0
    host: Annotated[string, V("4+")] = ""
    port: Annotated[int32, V("4+")] = 0
    error_code: Annotated[int16, V("4+")] = 0
    error_message: Annotated[string | None, V("4+")] = ""


class FindCoordinatorResponse(Message):
    """Hold the response of FindCoordinator."""

    KEY: ClassVar[int] = 10
    VERSIONS: ClassVar[str] = "0-6"
    FLEXIBLE: ClassVar[str] = "3+"

    throttle_time_ms: Annotated[int32, V("1+")] = 0
    error_code: Annotated[int16, V("0-3")] = 0
    error_message: Annotated[string | None, V("1-3")] = ""
    node_id: Annotated[int32, V("0-3")] = 0
    host: Annotated[string, V("0-3")] = ""
    port: Annotated[int32, V("0-3")] = 0
    coordinators: Annotated[list[Coordinator], V("4+")] = []
