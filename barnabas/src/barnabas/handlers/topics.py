"""Answer CreateTopics (2-7), DeleteTopics (1-6) and CreatePartitions (0-3)."""

from __future__ import annotations

from collections import Counter

from barnabas.config.describe import ResourceType, describe
from barnabas.handlers.context import Answer, Request
from barnabas.log.files import StorageError
from barnabas.node.node import Node
from barnabas.node.topics import NewTopic
from barnabas.protocol.errors import SENTENCES, ErrorCode, KafkaError
from barnabas.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)
from barnabas.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from barnabas.protocol.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from barnabas.protocol.schema import ZERO_UUID


def create_topics(node: Node, request: Request) -> Answer:
    """Answer CreateTopics; a name that stands twice in the request is refused, both times at once."""
    message: CreateTopicsRequest = request.message
    counts = Counter(t.name for t in message.topics)
    results = [
        CreatableTopicResult(
            name, error_code=ErrorCode.INVALID_REQUEST, error_message="Duplicate topic name."
        )
        for name, n in counts.items() if n > 1
    ]
    results += [
        _create(node, t, message.validate_only, request.version) for t in message.topics if counts[t.name] == 1
    ]
    return CreateTopicsResponse(topics=results)


def _create(node: Node, asked: CreatableTopic, validate_only: bool, version: int) -> CreatableTopicResult:
    assignments = {a.partition_index: a.broker_ids for a in asked.assignments}
    overrides = {c.name: c.value for c in asked.configs}
    new = NewTopic(asked.name, asked.num_partitions, asked.replication_factor, assignments, overrides)
    try:
        for index, times in Counter(a.partition_index for a in asked.assignments).items():
            if times > 1:
                raise KafkaError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                    f"Found multiple manual partition assignments for partition {index}",
                )
        topic = node.topics.create(new, validate_only=validate_only)
    except (KafkaError, StorageError) as e:
        code = e.code if isinstance(e, KafkaError) else ErrorCode.KAFKA_STORAGE_ERROR
        message = e.message if isinstance(e, KafkaError) else str(e)
        return CreatableTopicResult(asked.name, error_code=code, error_message=message)
    given = {name: value for name, value in overrides.items() if value is not None}
    count = len(topic.partitions) or len(assignments) or (
        asked.num_partitions if asked.num_partitions > 0 else node.config.num_partitions
    )
    configs = [
        CreatableTopicConfigs(e.name, e.value, e.read_only, e.source, e.sensitive)
        for e in describe(ResourceType.TOPIC, asked.name, given, node.config)
    ] if version >= 5 else []
    return CreatableTopicResult(asked.name, topic.id, 0, None, 0, count, 1, configs)


def delete_topics(node: Node, request: Request) -> Answer:
    """Answer DeleteTopics, by name or, from version 6 on, by id."""
    message: DeleteTopicsRequest = request.message
    asked = message.topics if request.version >= 6 else [DeleteTopicState(name) for name in message.topic_names]
    counts = Counter((t.name, t.topic_id) for t in asked)
    ids = {topic_id for name, topic_id in counts if name is None}
    both = {t.id for name, _ in counts if name is not None and (t := node.image.topics.get(name)) and t.id in ids}
    results = []
    for (name, topic_id), n in counts.items():
        if name is None and topic_id in both:
            continue  # answered under its name
        try:
            if n > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Duplicate topic {'id' if name is None else 'name'}.")
            results.append(_delete(node, name, topic_id, both))
        except KafkaError as e:
            known = node.image.topics.get(name) if name is not None else None
            shown = known.id if known is not None and known.id in both else topic_id
            results.append(DeletableTopicResult(name, shown, e.code, e.message))
    return DeleteTopicsResponse(responses=results)


def _delete(node: Node, name: str | None, topic_id: bytes, both: set[bytes]) -> DeletableTopicResult:
    if name is not None and topic_id != ZERO_UUID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "You may not specify both topic name and topic id.")
    if name is None and topic_id == ZERO_UUID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Neither topic name nor id were specified.")
    topic = node.image.topics_by_id.get(topic_id) if name is None else node.image.topics.get(name)
    if topic is None:
        if name is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, SENTENCES[ErrorCode.UNKNOWN_TOPIC_ID])
        raise KafkaError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, SENTENCES[ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
        )
    if topic.id in both:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, "The provided topic name maps to an ID that was already supplied."
        )
    node.topics.delete(topic)
    return DeletableTopicResult(topic.name, topic.id, 0, None)


def create_partitions(node: Node, request: Request) -> Answer:
    """Answer CreatePartitions."""
    message: CreatePartitionsRequest = request.message
    counts = Counter(t.name for t in message.topics)
    results = []
    done = set()
    for t in message.topics:
        if t.name in done:
            continue
        done.add(t.name)
        try:
            if counts[t.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            assignments = None if t.assignments is None else [a.broker_ids for a in t.assignments]
            node.topics.add_partitions(t.name, t.count, assignments, validate_only=message.validate_only)
            results.append(CreatePartitionsTopicResult(t.name))
        except (KafkaError, StorageError) as e:
            code = e.code if isinstance(e, KafkaError) else ErrorCode.KAFKA_STORAGE_ERROR
            results.append(CreatePartitionsTopicResult(t.name, code, str(getattr(e, "message", e) or "") or None))
    return CreatePartitionsResponse(results=results)
