"""Request and response headers.

Source: Kafka's message definitions RequestHeader and ResponseHeader.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Rigid, int16, int32, string


class RequestHeader(Message):
    """Hold the header RequestHeader."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "2+"

    request_api_key: int16 = 0
    request_api_version: int16 = 0
    correlation_id: int32 = 0
    client_id: Annotated[string | None, Rigid] = ""


class ResponseHeader(Message):
    """Hold the header ResponseHeader."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "1+"

    correlation_id: int32 = 0
