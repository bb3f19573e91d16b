"""RenewDelegationToken (key 39): renew a delegation token.

Source: Kafka's message definitions RenewDelegationTokenRequest and RenewDelegationTokenResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, binary, int16, int32, int64


class RenewDelegationTokenRequest(Message):
    """Hold the request of RenewDelegationToken."""

    KEY: ClassVar[int] = 39
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "2+"

    hmac: binary = b""
    renew_period_ms: int64 = 0


class RenewDelegationTokenResponse(Message):
    """Hold the response of RenewDelegationToken."""

    KEY: ClassVar[int] = 39
    VERSIONS: ClassVar[str] = "1-2"
    FLEXIBLE: ClassVar[str] = "2+"

    error_code: int16 = 0
    expiry_timestamp_ms: int64 = 0
    throttle_time_ms: int32 = 0
