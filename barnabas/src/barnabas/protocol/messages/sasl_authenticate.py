"""SaslAuthenticate (key 36): exchange SASL tokens.

Source: Kafka's message definitions SaslAuthenticateRequest and SaslAuthenticateResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, V, binary, int16, int64, string


class SaslAuthenticateRequest(Message):
    """Hold the request of SaslAuthenticate."""

    KEY: ClassVar[int] = 36
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    auth_bytes: binary = b""


class SaslAuthenticateResponse(Message):
    """Hold the response of SaslAuthenticate."""

    KEY: ClassVar[int] = 36
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    error_code: int16 = 0
    error_message: string | None = ""
    auth_bytes: binary = b""
    session_lifetime_ms: Annotated[int64, V("1+")] = 0
