"""What consumers put into JoinGroup and SyncGroup: subscription and assignment.

Source: Kafka's message definitions ConsumerProtocolSubscription and ConsumerProtocolAssignment.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, binary, int32, string


class TopicPartition(Struct):
    topic: Annotated[string, V("1+")] = ""
    partitions: Annotated[list[int32], V("1+")] = []


class ConsumerProtocolSubscription(Message):
    """Hold the payload ConsumerProtocolSubscription."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0-3"
    FLEXIBLE: ClassVar[str] = "none"

    topics: list[string] = []
    user_data: binary | None = None
    owned_partitions: Annotated[list[TopicPartition], V("1+")] = []
    generation_id: Annotated[int32, V("2+")] = -1
    rack_id: Annotated[string | None, V("3+")] = None


class ConsumerProtocolAssignmentTopicPartition(Struct):
    topic: string = ""
    partitions: list[int32] = []


class ConsumerProtocolAssignment(Message):
    """Hold the payload ConsumerProtocolAssignment."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0-3"
    FLEXIBLE: ClassVar[str] = "none"

    assigned_partitions: list[ConsumerProtocolAssignmentTopicPartition] = []
    user_data: binary | None = None
