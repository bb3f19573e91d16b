"""GetTelemetrySubscriptions (key 71): ask which telemetry a client shall push (KIP-714).

Source: Kafka's message definitions GetTelemetrySubscriptionsRequest and GetTelemetrySubscriptionsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, boolean, int8, int16, int32, string, uuid


class GetTelemetrySubscriptionsRequest(Message):
    """Hold the request of GetTelemetrySubscriptions."""

    KEY: ClassVar[int] = 71
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    client_instance_id: uuid = ZERO_UUID


class GetTelemetrySubscriptionsResponse(Message):
    """Hold the response of GetTelemetrySubscriptions."""

    KEY: ClassVar[int] = 71
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    client_instance_id: uuid = ZERO_UUID
    subscription_id: int32 = 0
    accepted_compression_types: list[int8] = []
    push_interval_ms: int32 = 0
    telemetry_max_bytes: int32 = 0
    delta_temporality: boolean = False
    requested_metrics: list[string] = []
