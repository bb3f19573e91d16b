"""The id of a topic: one that is deleted and made again begins at offset 0 and has another."""

from __future__ import annotations

import base64
import uuid

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from barnabas_quant.errors import BusError


def topic_id(admin: AdminClient, topic: str) -> uuid.UUID | None:
    """Give the id that a topic has now; None where there is no such topic. Raises BusError."""
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=10)[topic].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise BusError(f"topic {topic} cannot be described: {error}") from error
    raw = base64.urlsafe_b64decode(f"{described.topic_id}==")
    return uuid.UUID(bytes=raw[:16])
