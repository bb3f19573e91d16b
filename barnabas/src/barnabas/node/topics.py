"""Create, extend and delete topics: check what is asked, write the metadata records, make or drop the logs.

Error texts are those of Kafka's controller. Source: KIP-4, KIP-195, KIP-464, KIP-516.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from barnabas.config.definitions import ConfigException
from barnabas.config.topic import validate_topic_configs
from barnabas.log.directory import random_uuid
from barnabas.log.files import StorageError
from barnabas.metadata.image import TOPIC, Topic
from barnabas.metadata.store import METADATA_TOPIC
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

if TYPE_CHECKING:
    from barnabas.node.node import Node

logger = logging.getLogger(__name__)

MAX_NAME: Final = 249
_LEGAL: Final = re.compile(r"[a-zA-Z0-9._-]+")
INTERNAL_TOPICS: Final = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})
_MAX_PARTITIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class NewTopic:
    """Ask for a topic; -1 means the default. `assignments` maps partitions to replicas."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    assignments: Mapping[int, Sequence[int]] = field(default_factory=dict)
    configs: Mapping[str, str | None] = field(default_factory=dict)


def check_name(name: str) -> None:
    """Raise `KafkaError` INVALID_TOPIC_EXCEPTION for a name that Kafka refuses."""
    reason = None
    if not name:
        reason = "the empty string is not allowed"
    elif name in (".", ".."):
        reason = f"'{name}' is not allowed"
    elif len(name) > MAX_NAME:
        reason = f"the length of '{name}' is longer than the max allowed length {MAX_NAME}"
    elif not _LEGAL.fullmatch(name):
        reason = f"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    if reason is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {reason}")


class TopicAdmin:
    """Change the topics of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    # --- create ---------------------------------------------------------------------------------------------

    def create(self, new: NewTopic, *, validate_only: bool = False) -> Topic:
        """Create a topic, or only check that it could be; raises `KafkaError`."""
        node = self._node
        check_name(new.name)
        if new.name == METADATA_TOPIC:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Creation of internal topic {new.name} is prohibited.")
        if new.name in node.image.topics:
            raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{new.name}' already exists.")
        self._check_collision(new.name)
        count = self._partition_count(new)
        configs = {key: value for key, value in new.configs.items() if value is not None}
        try:
            validate_topic_configs(new.configs)
        except ConfigException as e:
            raise KafkaError(ErrorCode.INVALID_CONFIG, str(e)) from e
        topic_id = random_uuid()
        if validate_only:
            return Topic(new.name, topic_id, [])
        records: list[Message] = [r.TopicRecord(new.name, topic_id)]
        records += [r.ConfigRecord(TOPIC, new.name, key, value) for key, value in configs.items()]
        records += [self._partition_record(topic_id, index) for index in range(count)]
        self._commit(records, new.name, topic_id, range(count))
        logger.info("topic %s: created with %d partitions", new.name, count)
        return node.image.topics[new.name]

    def _commit(self, records: list[Message], name: str, topic_id: bytes, indexes: range) -> None:
        """Write records and make the logs; the folders come first, so that a full disk leaves no topic behind."""
        node = self._node
        now = node.clock.now_ms()
        made: list[Path | None] = []
        try:
            made.extend(node.directory.make_folder(name, topic_id, index) for index in indexes)
            node.store.commit(records, now)
        except (KafkaError, StorageError) as e:
            for folder in made:
                if folder is not None:
                    shutil.rmtree(folder, ignore_errors=True)
            if isinstance(e, KafkaError):
                raise
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(e)) from e
        config = node.topic_config(name)
        for index in indexes:
            node.open_log(name, topic_id, index, config, 0, now)
        node.retention.soon()  # it may be the topic that expires first

    def _check_collision(self, name: str) -> None:
        if "." not in name and "_" not in name:
            return
        folded = name.replace(".", "_")
        for other in self._node.image.topics:
            if other != name and other.replace(".", "_") == folded:
                raise KafkaError(
                    ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{name}' collides with existing topic: {other}"
                )

    def _partition_count(self, new: NewTopic) -> int:
        if new.assignments:
            return self._check_assignments(new)
        if new.replication_factor < -1 or new.replication_factor == 0:
            raise KafkaError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )
        if new.partitions < -1 or new.partitions == 0:
            raise KafkaError(
                ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."
            )
        if new.replication_factor > 1:
            times = new.replication_factor
            raise KafkaError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"Unable to replicate the partition {times} time(s): The target replication factor of {times} cannot "
                "be reached because only 1 broker(s) are registered or some brokers have all their log directories "
                "cordoned.",
            )
        count = new.partitions if new.partitions > 0 else self._node.config.num_partitions
        if count > _MAX_PARTITIONS:
            raise KafkaError(
                ErrorCode.POLICY_VIOLATION,
                "Excessively large number of partitions per request.",
            )
        return count

    def _check_assignments(self, new: NewTopic) -> int:
        if new.replication_factor != -1:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            )
        if new.partitions != -1:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            )
        for replicas in new.assignments.values():
            self.check_replicas(replicas)
        if sorted(new.assignments) != list(range(len(new.assignments))):
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence"
            )
        return len(new.assignments)

    def check_replicas(self, replicas: Sequence[int]) -> None:
        """Raise `KafkaError` INVALID_REPLICA_ASSIGNMENT unless the replicas are this node alone."""
        if not replicas:
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, "The manual partition assignment includes an empty replica list."
            )
        if len(set(replicas)) != len(replicas):
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"The manual partition assignment includes the broker {replicas[0]} more than once.",
            )
        for broker in replicas:
            if broker != self._node.node_id:
                raise KafkaError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                    f"The manual partition assignment includes broker {broker}, but no such broker is registered.",
                )

    def _partition_record(self, topic_id: bytes, index: int) -> r.PartitionRecord:
        node = [self._node.node_id]
        return r.PartitionRecord(
            partition_id=index, topic_id=topic_id, replicas=node, isr=list(node), leader=-1, leader_epoch=0,
            partition_epoch=0, directories=[self._node.directory.directory_id], last_known_elr=list(node),
        )

    def create_internal(self, name: str) -> Topic:
        """Create a coordinator's topic with the configuration that Kafka gives it."""
        config = self._node.config
        partitions, segment_bytes = {
            "__consumer_offsets": (config.offsets_topic_num_partitions, config.offsets_topic_segment_bytes),
        }[name]
        return self.create(
            NewTopic(
                name, partitions,
                configs={
                    "cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": str(segment_bytes),
                },
            )
        )

    # --- extend ---------------------------------------------------------------------------------------------

    def add_partitions(
        self, name: str, count: int, assignments: Sequence[Sequence[int]] | None, *, validate_only: bool
    ) -> None:
        """Raise the number of partitions of a topic; raises `KafkaError`."""
        topic = self.get(name)
        present = len(topic.partitions)
        if count == present:
            raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {present} partition(s).")
        if count < present:
            raise KafkaError(
                ErrorCode.INVALID_PARTITIONS,
                f"The topic {name} currently has {present} partition(s); {count} would not be an increase.",
            )
        if count - present > _MAX_PARTITIONS:
            raise KafkaError(
                ErrorCode.POLICY_VIOLATION,
                "Excessively large number of partitions per request.",
            )
        if assignments is not None:
            if len(assignments) != count - present:
                raise KafkaError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                    f"Attempted to add {count - present} additional partition(s), but only {len(assignments)} "
                    "assignment(s) were specified.",
                )
            for replicas in assignments:
                self.check_replicas(replicas)
        if not validate_only:
            records: list[Message] = [self._partition_record(topic.id, i) for i in range(present, count)]
            self._commit(records, name, topic.id, range(present, count))
            logger.info("topic %s: %d partitions instead of %d", name, count, present)

    def get(self, name: str) -> Topic:
        """Return a topic; raises `KafkaError` UNKNOWN_TOPIC_OR_PARTITION."""
        topic = self._node.image.topics.get(name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic

    # --- delete ---------------------------------------------------------------------------------------------

    def delete(self, topic: Topic) -> None:
        """Delete a topic with its data and its committed offsets; raises `KafkaError`."""
        node = self._node
        if not node.config.delete_topic_enable:
            raise KafkaError(ErrorCode.TOPIC_DELETION_DISABLED)
        node.store.commit([r.RemoveTopicRecord(topic.id)], node.clock.now_ms())
        for partition in topic.partitions:
            node.directory.delete_log(topic.name, partition.index)
        if topic.name not in INTERNAL_TOPICS:
            node.groups.forget_topic(topic.name)
        logger.info("topic %s: deleted", topic.name)

    def auto_create(self, name: str) -> Topic:
        """Create a topic with the defaults because a client asked for it; raises `KafkaError`."""
        if name in INTERNAL_TOPICS:
            return self.create_internal(name)
        return self.create(NewTopic(name))
