"""UpdateFeatures (key 57): change finalized features.

Source: Kafka's message definitions UpdateFeaturesRequest and UpdateFeaturesResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, boolean, int8, int16, int32, string


class FeatureUpdateKey(Struct):
    feature: string = ""
    max_version_level: int16 = 0
    allow_downgrade: Annotated[boolean, V("0")] = False
    upgrade_type: Annotated[int8, V("1+")] = 1


class UpdateFeaturesRequest(Message):
    """Hold the request of UpdateFeatures."""

    KEY: ClassVar[int] = 57
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    timeout_ms: int32 = 60000
    feature_updates: list[FeatureUpdateKey] = []
    validate_only: Annotated[boolean, V("1+")] = False


class UpdatableFeatureResult(Struct):
    feature: string = ""
    error_code: int16 = 0
    error_message: string | None = ""


class UpdateFeaturesResponse(Message):
    """Hold the response of UpdateFeatures."""

    KEY: ClassVar[int] = 57
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""
    results: Annotated[list[UpdatableFeatureResult], V("0-1")] = []
