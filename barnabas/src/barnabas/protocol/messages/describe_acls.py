"""DescribeAcls (key 29): list access control entries.

Source: Kafka's message definitions DescribeAclsRequest and DescribeAclsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int8, int16, int32, string


class DescribeAclsRequest(Message):
    """Hold the request of DescribeAcls."""

    KEY: ClassVar[int] = 29
    VERSIONS: ClassVar[str] = "1-3"
    FLEXIBLE: ClassVar[str] = "2+"

    resource_type_filter: int8 = 0
    resource_name_filter: string | None = ""
    pattern_type_filter: int8 = 3
    principal_filter: string | None = ""
    host_filter: string | None = ""
    operation: int8 = 0
    permission_type: int8 = 0


class AclDescription(Struct):
    principal: string = ""
    host: string = ""
    operation: int8 = 0
    permission_type: int8 = 0


class DescribeAclsResource(Struct):
    resource_type: int8 = 0
    resource_name: string = ""
    pattern_type: int8 = 3
    acls: list[AclDescription] = []


class DescribeAclsResponse(Message):
    """Hold the response of DescribeAcls."""

    KEY: ClassVar[int] = 29
    VERSIONS: ClassVar[str] = "1-3"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""
    resources: list[DescribeAclsResource] = []
