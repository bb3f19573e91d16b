"""Read what consumers put into the metadata of their group: the topics that they subscribe to."""

from __future__ import annotations

import struct

from barnabas.groups.classic import ClassicGroup
from barnabas.protocol.codec import decode
from barnabas.protocol.errors import SchemaError
from barnabas.protocol.messages.consumer_protocol import ConsumerProtocolSubscription


def subscribed_topics(group: ClassicGroup) -> set[str]:
    """Return the topics that the members of a consumer group name; empty where none can be read."""
    if group.protocol_type != "consumer":
        return set()
    topics: set[str] = set()
    for member in group.members.values():
        metadata = member.metadata(group.protocol) if group.protocol else member.protocols[0][1]
        topics |= _topics(metadata)
    return topics


def _topics(metadata: bytes) -> set[str]:
    try:
        (version,) = struct.unpack_from(">h", metadata)
        subscription = decode(ConsumerProtocolSubscription, max(0, min(version, 3)), metadata[2:])
    except (SchemaError, struct.error):
        return set()
    return set(subscription.topics)
