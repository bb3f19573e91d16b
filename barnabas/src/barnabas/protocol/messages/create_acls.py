"""CreateAcls (key 30): create access control entries.

Source: Kafka's message definitions CreateAclsRequest and CreateAclsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int8, int16, int32, string


class AclCreation(Struct):
    resource_type: int8 = 0
    resource_name: string = ""
    resource_pattern_type: int8 = 3
    principal: string = ""
    host: string = ""
    operation: int8 = 0
    permission_type: int8 = 0


class CreateAclsRequest(Message):
    """Hold the request of CreateAcls."""

    KEY: ClassVar[int] = 30
    VERSIONS: ClassVar[str] = "1-3"
    FLEXIBLE: ClassVar[str] = "2+"

    creations: list[AclCreation] = []


class AclCreationResult(Struct):
    error_code: int16 = 0
    error_message: string | None = ""


class CreateAclsResponse(Message):
    """Hold the response of CreateAcls."""

    KEY: ClassVar[int] = 30
    VERSIONS: ClassVar[str] = "1-3"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    results: list[AclCreationResult] = []
