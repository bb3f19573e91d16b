"""AlterClientQuotas (key 49): change client quotas.

Source: Kafka's message definitions AlterClientQuotasRequest and AlterClientQuotasResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, boolean, float64, int16, int32, string


class EntityData(Struct):
    entity_type: string = ""
    entity_name: string | None = ""


class OpData(Struct):
    key: string = ""
    value: float64 = 0.0
    remove: boolean = False


class EntryData(Struct):
    entity: list[EntityData] = []
    ops: list[OpData] = []


class AlterClientQuotasRequest(Message):
    """Hold the request of AlterClientQuotas."""

    KEY: ClassVar[int] = 49
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "1+"

    entries: list[EntryData] = []
    validate_only: boolean = False


class AlterClientQuotasResponseEntityData(Struct):
    entity_type: string = ""
    entity_name: string | None = ""


class AlterClientQuotasResponseEntryData(Struct):
    error_code: int16 = 0
    error_message: string | None = ""
    entity: list[AlterClientQuotasResponseEntityData] = []


class AlterClientQuotasResponse(Message):
    """Hold the response of AlterClientQuotas."""

    KEY: ClassVar[int] = 49
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "1+"

    throttle_time_ms: int32 = 0
    entries: list[AlterClientQuotasResponseEntryData] = []
