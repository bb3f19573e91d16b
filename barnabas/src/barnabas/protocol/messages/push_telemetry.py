"""PushTelemetry (key 72): push client telemetry (KIP-714).

Source: Kafka's message definitions PushTelemetryRequest and PushTelemetryResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, binary, boolean, int8, int16, int32, uuid


class PushTelemetryRequest(Message):
    """Hold the request of PushTelemetry."""

    KEY: ClassVar[int] = 72
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    client_instance_id: uuid = ZERO_UUID
    subscription_id: int32 = 0
    terminating: boolean = False
    compression_type: int8 = 0
    metrics: binary = b""


class PushTelemetryResponse(Message):
    """Hold the response of PushTelemetry."""

    KEY: ClassVar[int] = 72
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
