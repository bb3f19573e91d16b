"""DeleteAcls (key 31): delete access control entries.

Source: Kafka's message definitions DeleteAclsRequest and DeleteAclsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int8, int16, int32, string


class DeleteAclsFilter(Struct):
    resource_type_filter: int8 = 0
    resource_name_filter: string | None = ""
    pattern_type_filter: int8 = 3
    principal_filter: string | None = ""
    host_filter: string | None = ""
    operation: int8 = 0
    permission_type: int8 = 0


class DeleteAclsRequest(Message):
    """Hold the request of DeleteAcls."""

    KEY: ClassVar[int] = 31
    VERSIONS: ClassVar[str] = "1-3"
    FLEXIBLE: ClassVar[str] = "2+"

    filters: list[DeleteAclsFilter] = []


class DeleteAclsMatchingAcl(Struct):
    error_code: int16 = 0
    error_message: string | None = ""
    resource_type: int8 = 0
    resource_name: string = ""
    pattern_type: int8 = 3
    principal: string = ""
    host: string = ""
    operation: int8 = 0
    permission_type: int8 = 0


class DeleteAclsFilterResult(Struct):
    error_code: int16 = 0
    error_message: string | None = ""
    matching_acls: list[DeleteAclsMatchingAcl] = []


class DeleteAclsResponse(Message):
    """Hold the response of DeleteAcls."""

    KEY: ClassVar[int] = 31
    VERSIONS: ClassVar[str] = "1-3"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    filter_results: list[DeleteAclsFilterResult] = []
