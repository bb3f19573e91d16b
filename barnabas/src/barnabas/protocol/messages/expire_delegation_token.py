"""ExpireDelegationToken (key 40): expire a delegation token.

Source: Kafka's message definitions ExpireDelegationTokenRequest and ExpireDelegationTokenResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, binary, int16, int32, int64


class ExpireDelegationTokenRequest(Message):
    """Hold the request of ExpireDelegationToken."""

    KEY: ClassVar[int] = 40
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "2+"

    hmac: binary = b""
    expiry_time_period_ms: int64 = 0


class ExpireDelegationTokenResponse(Message):
    """Hold the response of ExpireDelegationToken."""

    KEY: ClassVar[int] = 40
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "2+"

    error_code: int16 = 0
    expiry_timestamp_ms: int64 = 0
    throttle_time_ms: int32 = 0
