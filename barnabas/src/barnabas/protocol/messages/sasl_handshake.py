"""SaslHandshake (key 17): choose a SASL mechanism.

Source: Kafka's message definitions SaslHandshakeRequest and SaslHandshakeResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, int16, string


class SaslHandshakeRequest(Message):
    """Hold the request of SaslHandshake."""

    KEY: ClassVar[int] = 17
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "none"

    mechanism: string = ""


class SaslHandshakeResponse(Message):
    """Hold the response of SaslHandshake."""

    KEY: ClassVar[int] = 17
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "none"

    error_code: int16 = 0
    mechanisms: list[string] = []
