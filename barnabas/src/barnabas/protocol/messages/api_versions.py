"""ApiVersions (key 18): learn which APIs, versions and features a node serves.

Source: Kafka's message definitions ApiVersionsRequest and ApiVersionsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, Tag, V, boolean, int16, int32, int64, string


class ApiVersionsRequest(Message):
    """Hold the request of ApiVersions."""

    KEY: ClassVar[int] = 18
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "3+"

    client_software_name: Annotated[string, V("3+")] = ""
    client_software_version: Annotated[string, V("3+")] = ""


class ApiVersion(Struct):
    api_key: int16 = 0
    min_version: int16 = 0
    max_version: int16 = 0


class SupportedFeatureKey(Struct):
    name: Annotated[string, V("3+")] = ""
    min_version: Annotated[int16, V("3+")] = 0
    max_version: Annotated[int16, V("3+")] = 0


class FinalizedFeatureKey(Struct):
    name: Annotated[string, V("3+")] = ""
    max_version_level: Annotated[int16, V("3+")] = 0
    min_version_level: Annotated[int16, V("3+")] = 0


class ApiVersionsResponse(Message):
    """Hold the response of ApiVersions."""

    KEY: ClassVar[int] = 18
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "3+"

    error_code: int16 = 0
    api_keys: list[ApiVersion] = []
    throttle_time_ms: Annotated[int32, V("1+")] = 0
    supported_features: Annotated[list[SupportedFeatureKey], Tag(0, "3+")] = []
    finalized_features_epoch: Annotated[int64, Tag(1, "3+")] = -1
    finalized_features: Annotated[list[FinalizedFeatureKey], Tag(2, "3+")] = []
    zk_migration_ready: Annotated[boolean, Tag(3, "3+")] = False
