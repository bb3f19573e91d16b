"""ListGroups (key 16): list the groups of a node.

Source: Kafka's message definitions ListGroupsRequest and ListGroupsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int16, int32, string


class ListGroupsRequest(Message):
    """Hold the request of ListGroups."""

    KEY: ClassVar[int] = 16
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "3+"

    states_filter: Annotated[list[string], V("4+")] = []
    types_filter: Annotated[list[string], V("5+")] = []


class ListedGroup(Struct):
    group_id: string = ""
    protocol_type: string = ""
    group_state: Annotated[string, V("4+")] = ""
    group_type: Annotated[string, V("5+")] = ""


class ListGroupsResponse(Message):
    """Hold the response of ListGroups."""

    KEY: ClassVar[int] = 16
    VERSIONS: ClassVar[str] = "0-5"
    FLEXIBLE: ClassVar[str] = "3+"

    throttle_time_ms: Annotated[int32, V("1+")] = 0
    error_code: int16 = 0
    groups: list[ListedGroup] = []
