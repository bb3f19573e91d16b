"""DeleteTopics (key 20): delete topics.

Source: Kafka's message definitions DeleteTopicsRequest and DeleteTopicsResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import ZERO_UUID, Message, Nullable, Struct, V, int16, int32, string, uuid


class DeleteTopicState(Struct):
    name: Annotated[string | None, V("6+")] = None
    topic_id: Annotated[uuid, V("6+")] = ZERO_UUID


class DeleteTopicsRequest(Message):
    """Hold the request of DeleteTopics."""

    KEY: ClassVar[int] = 20
    VERSIONS: ClassVar[str] = "1-6"
    FLEXIBLE: ClassVar[str] = "4+"

    topics: Annotated[list[DeleteTopicState], V("6+")] = []
    topic_names: Annotated[list[string], V("0-5")] = []
    timeout_ms: int32 = 0


class DeletableTopicResult(Struct):
    name: Annotated[string | None, Nullable("6+")] = ""
    topic_id: Annotated[uuid, V("6+")] = ZERO_UUID
    error_code: int16 = 0
    error_message: Annotated[string | None, V("5+")] = None


class DeleteTopicsResponse(Message):
    """Hold the response of DeleteTopics."""

    KEY: ClassVar[int] = 20
    VERSIONS: ClassVar[str] = "1-6"
    FLEXIBLE: ClassVar[str] = "4+"

    throttle_time_ms: int32 = 0
    responses: list[DeletableTopicResult] = []
