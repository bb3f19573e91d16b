"""CreateDelegationToken (key 38): create a delegation token.

Source: Kafka's message definitions CreateDelegationTokenRequest and CreateDelegationTokenResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, binary, int16, int32, int64, string


class CreatableRenewers(Struct):
    principal_type: string = ""
    principal_name: string = ""


class CreateDelegationTokenRequest(Message):
    """Hold the request of CreateDelegationToken."""

    KEY: ClassVar[int] = 38
    VERSIONS: ClassVar[str] = "1-3"
    FLEXIBLE: ClassVar[str] = "2+"

    owner_principal_type: Annotated[string | None, V("3+")] = ""
    owner_principal_name: Annotated[string | None, V("3+")] = ""
    renewers: list[CreatableRenewers] = []
    max_lifetime_ms: int64 = 0


class CreateDelegationTokenResponse(Message):
    """Hold the response of CreateDelegationToken."""

    KEY: ClassVar[int] = 38
    VERSIONS: ClassVar[str] = "1-3"
    FLEXIBLE: ClassVar[str] = "2+"

    error_code: int16 = 0
    principal_type: string = ""
    principal_name: string = ""
    token_requester_principal_type: Annotated[string, V("3+")] = ""
    token_requester_principal_name: Annotated[string, V("3+")] = ""
    issue_timestamp_ms: int64 = 0
    expiry_timestamp_ms: int64 = 0
    max_timestamp_ms: int64 = 0
    token_id: string = ""
    hmac: binary = b""
    throttle_time_ms: int32 = 0
