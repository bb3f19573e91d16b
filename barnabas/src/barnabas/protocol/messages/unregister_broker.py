"""UnregisterBroker (key 64): unregister a broker.

Source: Kafka's message definitions UnregisterBrokerRequest and UnregisterBrokerResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, int16, int32, string


class UnregisterBrokerRequest(Message):
    """Hold the request of UnregisterBroker."""

    KEY: ClassVar[int] = 64
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    broker_id: int32 = 0


class UnregisterBrokerResponse(Message):
    """Hold the response of UnregisterBroker."""

    KEY: ClassVar[int] = 64
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""
