"""ListConfigResources (key 74): list configuration resources.

Source: Kafka's message definitions ListConfigResourcesRequest and ListConfigResourcesResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, int8, int16, int32, string


class ListConfigResourcesRequest(Message):
    """Hold the request of ListConfigResources."""

    KEY: ClassVar[int] = 74
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    resource_types: Annotated[list[int8], V("1+")] = []


class ConfigResource(Struct):
    resource_name: string = ""
    resource_type: Annotated[int8, V("1+")] = 16


class ListConfigResourcesResponse(Message):
    """Hold the response of ListConfigResources."""

    KEY: ClassVar[int] = 74
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    config_resources: list[ConfigResource] = []
