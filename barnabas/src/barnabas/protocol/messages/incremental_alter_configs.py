"""IncrementalAlterConfigs (key 44): change single configuration keys.

Source: Kafka's message definitions IncrementalAlterConfigsRequest and IncrementalAlterConfigsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, boolean, int8, int16, int32, string


class AlterableConfig(Struct):
    name: string = ""
    config_operation: int8 = 0
    value: string | None = ""


class AlterConfigsResource(Struct):
    resource_type: int8 = 0
    resource_name: string = ""
    configs: list[AlterableConfig] = []


class IncrementalAlterConfigsRequest(Message):
    """Hold the request of IncrementalAlterConfigs."""

    KEY: ClassVar[int] = 44
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "1+"

    resources: list[AlterConfigsResource] = []
    validate_only: boolean = False


class AlterConfigsResourceResponse(Struct):
    error_code: int16 = 0
    error_message: string | None = ""
    resource_type: int8 = 0
    resource_name: string = ""


class IncrementalAlterConfigsResponse(Message):
    """Hold the response of IncrementalAlterConfigs."""

    KEY: ClassVar[int] = 44
    VERSIONS: ClassVar[str] = "0-1"
    FLEXIBLE: ClassVar[str] = "1+"

    throttle_time_ms: int32 = 0
    responses: list[AlterConfigsResourceResponse] = []
