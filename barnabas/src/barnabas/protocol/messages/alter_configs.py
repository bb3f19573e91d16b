"""AlterConfigs (key 33): replace the configuration of resources.

Source: Kafka's message definitions AlterConfigsRequest and AlterConfigsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, boolean, int8, int16, int32, string


class AlterableConfig(Struct):
    name: string = ""
    value: string | None = ""


class AlterConfigsResource(Struct):
    resource_type: int8 = 0
    resource_name: string = ""
    configs: list[AlterableConfig] = []


class AlterConfigsRequest(Message):
    """Hold the request of AlterConfigs."""

    KEY: ClassVar[int] = 33
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    resources: list[AlterConfigsResource] = []
    validate_only: boolean = False


class AlterConfigsResourceResponse(Struct):
    error_code: int16 = 0
    error_message: string | None = ""
    resource_type: int8 = 0
    resource_name: string = ""


class AlterConfigsResponse(Message):
    """Hold the response of AlterConfigs."""

    KEY: ClassVar[int] = 33
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    responses: list[AlterConfigsResourceResponse] = []
