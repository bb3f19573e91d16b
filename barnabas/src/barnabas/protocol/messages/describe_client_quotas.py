"""DescribeClientQuotas (key 48): describe client quotas.

Source: Kafka's message definitions DescribeClientQuotasRequest and DescribeClientQuotasResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, boolean, float64, int8, int16, int32, string


class ComponentData(Struct):
    entity_type: string = ""
    match_type: int8 = 0
    match: string | None = ""


class DescribeClientQuotasRequest(Message):
    """Hold the request of DescribeClientQuotas."""

    KEY: ClassVar[int] = 48
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "1+"

    components: list[ComponentData] = []
    strict: boolean = False


class EntityData(Struct):
    entity_type: string = ""
    entity_name: string | None = ""


class ValueData(Struct):
    key: string = ""
    value: float64 = 0.0


class EntryData(Struct):
    entity: list[EntityData] = []
    values: list[ValueData] = []


class DescribeClientQuotasResponse(Message):
    """Hold the response of DescribeClientQuotas."""

    KEY: ClassVar[int] = 48
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "1+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""
    entries: list[EntryData] | None = []
