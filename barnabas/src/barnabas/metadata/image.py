"""Hold the node's metadata in memory. `replay` is the only thing that changes it.

The image follows from the metadata log alone: feeding the same records in the same order gives the same image.
What this node does not use (tokens, controller registrations, ...) is kept as records, so that nothing is lost
when a snapshot is written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from barnabas.metadata.framing import MetadataError
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

#: resource types of ConfigRecord, the same numbers as on the wire
TOPIC, BROKER, CLIENT_METRICS, GROUP = 2, 4, 16, 32


@dataclass(slots=True)
class Partition:
    """Hold one partition; `record` is its state as Kafka writes it."""

    index: int
    leader_epoch: int
    partition_epoch: int
    record: r.PartitionRecord


@dataclass(slots=True)
class Topic:
    """Hold one topic; `partitions` is in the order of their numbers."""

    name: str
    id: bytes
    partitions: list[Partition] = field(default_factory=list)


class MetadataImage:
    """Hold topics, configurations, features and producer ids."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[bytes, Topic] = {}
        self.configs: dict[tuple[int, str], dict[str, str]] = {}
        self.features: dict[str, int] = {}
        self.next_producer_id = 0
        self.brokers: dict[int, r.RegisterBrokerRecord] = {}
        self.kept: dict[tuple[Any, ...], Message] = {}

    @property
    def metadata_version(self) -> int:
        """Return the finalized level of metadata.version, 0 before there is one."""
        return self.features.get("metadata.version", 0)

    def config(self, kind: int, name: str) -> dict[str, str]:
        """Return the configuration overrides of a resource; the caller does not change them."""
        return self.configs.get((kind, name), {})

    def replay(self, record: Message) -> None:
        """Take in one record; raises `MetadataError` where it contradicts the image."""
        act = _REPLAY.get(type(record))
        if act is not None:
            act(self, record)

    def records(self) -> Iterator[Message]:
        """Yield the records from which an empty image becomes this one, in the order of Kafka's snapshots."""
        features = dict(self.features)
        if "metadata.version" in features:
            yield r.FeatureLevelRecord("metadata.version", features.pop("metadata.version"))
        for name, level in features.items():
            yield r.FeatureLevelRecord(name, level)
        yield from self.brokers.values()
        yield from self._kept(r.RegisterControllerRecord)
        for topic in self.topics.values():
            yield r.TopicRecord(topic.name, topic.id)
            for partition in topic.partitions:
                yield partition.record
        for (kind, resource), overrides in self.configs.items():
            for key, value in overrides.items():
                yield r.ConfigRecord(kind, resource, key, value)
        yield from self._kept(r.ClientQuotaRecord)
        if self.next_producer_id:
            yield r.ProducerIdsRecord(-1, -1, self.next_producer_id)
        yield from self._kept(r.AccessControlEntryRecord)
        yield from self._kept(r.UserScramCredentialRecord)
        yield from self._kept(r.DelegationTokenRecord)
        yield from self._kept(r.ZkMigrationStateRecord)

    def _kept(self, kind: type[Message]) -> Iterator[Message]:
        return (record for record in self.kept.values() if type(record) is kind)

    # --- one method a kind of record ------------------------------------------------------------------------

    def _feature(self, record: r.FeatureLevelRecord) -> None:
        if record.feature_level == 0:
            self.features.pop(record.name, None)
        else:
            self.features[record.name] = record.feature_level

    def _topic(self, record: r.TopicRecord) -> None:
        if record.name in self.topics:
            raise MetadataError(f"a record makes the topic {record.name}, which exists")
        topic = Topic(record.name, record.topic_id)
        self.topics[record.name] = self.topics_by_id[record.topic_id] = topic

    def _remove_topic(self, record: r.RemoveTopicRecord) -> None:
        topic = self.topics_by_id.pop(record.topic_id, None)
        if topic is None:
            raise MetadataError("a record removes a topic that does not exist")
        del self.topics[topic.name]
        self.configs.pop((TOPIC, topic.name), None)

    def _partition(self, record: r.PartitionRecord) -> None:
        topic = self._topic_of(record.topic_id)
        partition = Partition(record.partition_id, record.leader_epoch, record.partition_epoch, record)
        at = bisect_left(topic.partitions, record.partition_id, key=_index)
        if at < len(topic.partitions) and topic.partitions[at].index == record.partition_id:
            topic.partitions[at] = partition
        else:
            topic.partitions.insert(at, partition)

    def _partition_change(self, record: r.PartitionChangeRecord) -> None:
        topic = self._topic_of(record.topic_id)
        at = bisect_left(topic.partitions, record.partition_id, key=_index)
        if at == len(topic.partitions) or topic.partitions[at].index != record.partition_id:
            raise MetadataError(f"a record changes partition {record.partition_id} of {topic.name}: there is none")
        partition = topic.partitions[at]
        state = partition.record
        for name in ("isr", "replicas", "removing_replicas", "adding_replicas", "directories",
                     "eligible_leader_replicas", "last_known_elr"):
            value = getattr(record, name)
            if value is not None:
                setattr(state, name, value)
        if record.leader_recovery_state != -1:
            state.leader_recovery_state = record.leader_recovery_state
        if record.leader != -2:
            state.leader = record.leader
            state.leader_epoch += 1
        state.partition_epoch += 1
        partition.leader_epoch, partition.partition_epoch = state.leader_epoch, state.partition_epoch

    def _topic_of(self, topic_id: bytes) -> Topic:
        topic = self.topics_by_id.get(topic_id)
        if topic is None:
            raise MetadataError("a record names a topic that does not exist")
        return topic

    def _clear_elr(self, record: r.ClearElrRecord) -> None:
        for topic in self.topics.values():
            if record.topic_name in ("", topic.name):
                for partition in topic.partitions:
                    partition.record.eligible_leader_replicas = []
                    partition.record.last_known_elr = []

    def _config(self, record: r.ConfigRecord) -> None:
        key = (record.resource_type, record.resource_name)
        if record.value is None:
            overrides = self.configs.get(key, {})
            overrides.pop(record.name, None)
            if not overrides:
                self.configs.pop(key, None)
        else:
            self.configs.setdefault(key, {})[record.name] = record.value

    def _producer_ids(self, record: r.ProducerIdsRecord) -> None:
        self.next_producer_id = record.next_producer_id

    def _register_broker(self, record: r.RegisterBrokerRecord) -> None:
        self.brokers[record.broker_id] = record

    def _unregister_broker(self, record: r.UnregisterBrokerRecord) -> None:
        self.brokers.pop(record.broker_id, None)

    def _broker_change(self, record: r.BrokerRegistrationChangeRecord) -> None:
        broker = self.brokers.get(record.broker_id)
        if broker is None:
            raise MetadataError(f"a record changes broker {record.broker_id}, which is not registered")
        if record.fenced:
            broker.fenced = record.fenced > 0
        if record.in_controlled_shutdown:
            broker.in_controlled_shutdown = record.in_controlled_shutdown > 0
        if record.log_dirs:
            broker.log_dirs = record.log_dirs
        if record.cordoned_log_dirs is not None:
            broker.cordoned_log_dirs = record.cordoned_log_dirs

    def _fence(self, record: r.FenceBrokerRecord | r.UnfenceBrokerRecord) -> None:
        broker = self.brokers.get(record.id)
        if broker is not None:
            broker.fenced = isinstance(record, r.FenceBrokerRecord)

    def _keep(self, record: Message) -> None:
        self.kept[_identity(record)] = record

    def _forget(self, record: Message) -> None:
        self.kept.pop(_identity(record), None)

    def _quota(self, record: r.ClientQuotaRecord) -> None:
        if record.remove:
            self.kept.pop(_identity(record), None)
        else:
            self.kept[_identity(record)] = record


def _index(partition: Partition) -> int:
    return partition.index


def _identity(record: Message) -> tuple[Any, ...]:
    """Name what a kept record, or the record that removes it, is about."""
    match record:
        case r.UserScramCredentialRecord() | r.RemoveUserScramCredentialRecord():
            return ("scram", record.name, record.mechanism)
        case r.AccessControlEntryRecord() | r.RemoveAccessControlEntryRecord():
            return ("acl", record.id)
        case r.DelegationTokenRecord() | r.RemoveDelegationTokenRecord():
            return ("token", record.token_id)
        case r.ClientQuotaRecord():
            return ("quota", tuple((e.entity_type, e.entity_name) for e in record.entity), record.key)
        case r.RegisterControllerRecord():
            return ("controller", record.controller_id)
        case _:
            return (type(record).__name__,)


_REPLAY: dict[type[Message], Callable[[MetadataImage, Any], None]] = {
    r.FeatureLevelRecord: MetadataImage._feature,
    r.TopicRecord: MetadataImage._topic,
    r.RemoveTopicRecord: MetadataImage._remove_topic,
    r.PartitionRecord: MetadataImage._partition,
    r.PartitionChangeRecord: MetadataImage._partition_change,
    r.ClearElrRecord: MetadataImage._clear_elr,
    r.ConfigRecord: MetadataImage._config,
    r.ProducerIdsRecord: MetadataImage._producer_ids,
    r.RegisterBrokerRecord: MetadataImage._register_broker,
    r.UnregisterBrokerRecord: MetadataImage._unregister_broker,
    r.BrokerRegistrationChangeRecord: MetadataImage._broker_change,
    r.FenceBrokerRecord: MetadataImage._fence,
    r.UnfenceBrokerRecord: MetadataImage._fence,
    r.ClientQuotaRecord: MetadataImage._quota,
    r.UserScramCredentialRecord: MetadataImage._keep,
    r.AccessControlEntryRecord: MetadataImage._keep,
    r.DelegationTokenRecord: MetadataImage._keep,
    r.RegisterControllerRecord: MetadataImage._keep,
    r.ZkMigrationStateRecord: MetadataImage._keep,
    r.RemoveUserScramCredentialRecord: MetadataImage._forget,
    r.RemoveAccessControlEntryRecord: MetadataImage._forget,
    r.RemoveDelegationTokenRecord: MetadataImage._forget,
}
