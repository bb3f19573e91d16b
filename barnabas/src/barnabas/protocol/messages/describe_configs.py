"""DescribeConfigs (key 32): describe the configuration of resources.

Source: Kafka's message definitions DescribeConfigsRequest and DescribeConfigsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, boolean, int8, int16, int32, string


class DescribeConfigsResource(Struct):
    resource_type: int8 = 0
    resource_name: string = ""
    configuration_keys: list[string] | None = []


class DescribeConfigsRequest(Message):
    """Hold the request of DescribeConfigs."""

    KEY: ClassVar[int] = 32
    VERSIONS: ClassVar[str] = "1-4"
    FLEXIBLE: ClassVar[str] = "4+"

    resources: list[DescribeConfigsResource] = []
    include_synonyms: boolean = False
    include_documentation: Annotated[boolean, V("3+")] = False


class DescribeConfigsSynonym(Struct):
    name: string = ""
    value: string | None = ""
    source: int8 = 0


class DescribeConfigsResourceResult(Struct):
    name: string = ""
    value: string | None = ""
    read_only: boolean = False
    config_source: int8 = -1
    is_sensitive: boolean = False
    synonyms: list[DescribeConfigsSynonym] = []
    config_type: Annotated[int8, V("3+")] = 0
    documentation: Annotated[string | None, V("3+")] = ""


class DescribeConfigsResult(Struct):
    error_code: int16 = 0
    error_message: string | None = ""
    resource_type: int8 = 0
    resource_name: string = ""
    configs: list[DescribeConfigsResourceResult] = []


class DescribeConfigsResponse(Message):
    """Hold the response of DescribeConfigs."""

    KEY: ClassVar[int] = 32
    VERSIONS: ClassVar[str] = "1-4"
    FLEXIBLE: ClassVar[str] = "4+"

    throttle_time_ms: int32 = 0
    results: list[DescribeConfigsResult] = []
