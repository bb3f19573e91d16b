"""DescribeGroups (key 15): describe classic groups and their members.

Source: Kafka's message definitions DescribeGroupsRequest and DescribeGroupsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, binary, boolean, int16, int32, string


class DescribeGroupsRequest(Message):
    """Hold the request of DescribeGroups."""

    KEY: ClassVar[int] = 15
    VERSIONS: ClassVar[str] = "0-6"
    FLEXIBLE: ClassVar[str] = "5+"

    groups: list[string] = []
    include_authorized_operations: Annotated[boolean, V("3+")] = False


class DescribedGroupMember(Struct):
    member_id: string = ""
    group_instance_id: Annotated[string | None, V("4+")] = None
    client_id: string = ""
    client_host: string = ""
    member_metadata: binary = b""
    member_assignment: binary = b""


class DescribedGroup(Struct):
    error_code: int16 = 0
    error_message: Annotated[string | None, V("6+")] = None
    group_id: string = ""
    group_state: string = ""
    protocol_type: string = ""
    protocol_data: string = ""
    members: list[DescribedGroupMember] = []
    authorized_operations: Annotated[int32, V("3+")] = -2147483648


class DescribeGroupsResponse(Message):
    """Hold the response of DescribeGroups."""

    KEY: ClassVar[int] = 15
    VERSIONS: ClassVar[str] = "0-6"
    FLEXIBLE: ClassVar[str] = "5+"

    throttle_time_ms: Annotated[int32, V("1+")] = 0
    groups: list[DescribedGroup] = []
