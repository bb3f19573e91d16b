"""DeleteGroups (key 42): delete groups.

Source: Kafka's message definitions DeleteGroupsRequest and DeleteGroupsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int16, int32, string


class DeleteGroupsRequest(Message):
    """Hold the request of DeleteGroups."""

    KEY: ClassVar[int] = 42
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    groups_names: list[string] = []


class DeletableGroupResult(Struct):
    group_id: string = ""
    error_code: int16 = 0


class DeleteGroupsResponse(Message):
    """Hold the response of DeleteGroups."""

    KEY: ClassVar[int] = 42
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "2+"

    throttle_time_ms: int32 = 0
    results: list[DeletableGroupResult] = []
