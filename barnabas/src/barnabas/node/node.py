"""Hold the whole state of a node, from its start to its stop. No sockets, no event loop.

Start: lock the directory, replay the metadata, open every partition's log (recovering it after an unclean stop),
replay the coordinators' topics. Stop: close the logs, write checkpoints, and the clean marker last of all.

After an unclean stop the leader epoch of every partition rises by one, so that clients notice offsets which were
given out, lost with a torn tail and given out again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from barnabas.clock import Clock, Timers
from barnabas.config.server import Listener, ServerConfig
from barnabas.config.topic import TopicConfig
from barnabas.groups.classic import GroupConfig
from barnabas.groups.coordinator import GroupCoordinator
from barnabas.groups.records import GroupRecord, decode_record
from barnabas.log.directory import PARTITION_FOLDER, DataDirectory, DirectoryError
from barnabas.log.files import StorageError
from barnabas.log.partition import PartitionLog
from barnabas.metadata.framing import LATEST
from barnabas.metadata.image import BROKER, TOPIC, MetadataImage
from barnabas.metadata.store import MetadataStore, Voter
from barnabas.node.retention import Retention
from barnabas.node.static import remember
from barnabas.node.takeover import check_takeover
from barnabas.node.topics import TopicAdmin
from barnabas.protocol.batch import build_batch, read_records
from barnabas.protocol.errors import ErrorCode, KafkaError, SchemaError
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

logger = logging.getLogger(__name__)

OFFSETS_TOPIC: Final = "__consumer_offsets"
_PRODUCER_ID_BLOCK: Final = 1000


class Flusher(Protocol):
    """Make logs durable without holding up the caller."""

    def flush(self, log: PartitionLog, then: Callable[[bool], None] | None = None) -> None:
        """Sync a log to its present end, then call `then` with whether that worked."""


class InlineFlusher:
    """Sync where it is asked; for tests and for nodes without an event loop."""

    def flush(self, log: PartitionLog, then: Callable[[bool], None] | None = None) -> None:
        """Sync a log at once."""
        log.flush()
        if then is not None:
            then(True)


class Node:
    """Hold one node. `config` is replaced when a broker configuration changes."""

    def __init__(
        self, config: ServerConfig, data: Path, clock: Clock | None = None, *, metadata_version: int = LATEST,
        cluster_id: str | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.timers = Timers(self.clock.monotonic)
        self.static_config = config
        self.config = config
        self.flusher: Flusher = InlineFlusher()
        self.node_id = config.node_id
        self.metadata_version = metadata_version
        self.directory = DataDirectory(data, self.node_id, cluster_id)
        self.store = MetadataStore(
            data, self._voter(), TopicConfig.of({"retention.ms": "-1"}, config),
            snapshot_bytes=config.metadata_log_max_record_bytes_between_snapshots,
        )
        self.store.on_full = self.directory.reserve.release
        self.topics = TopicAdmin(self)
        self.retention = Retention(self)
        self.groups = GroupCoordinator(self._group_config(), self._write_group, self.timers, self.clock.now_ms)
        self.extensions: dict[str, object] = {}
        self._next_producer_id = 0
        self._end_of_block = 0

    @property
    def image(self) -> MetadataImage:
        """Return the metadata."""
        return self.store.image

    @property
    def cluster_id(self) -> str:
        """Return the cluster's id."""
        return self.directory.cluster_id

    def _voter(self) -> Voter:
        listener = self.controller_listener or self.config.listeners[0]
        return Voter(
            self.node_id, self.directory.directory_id, listener.name, listener.advertised_host or "localhost",
            listener.advertised_port or listener.port,
        )

    @property
    def controller_listener(self) -> Listener | None:
        """Return the listener of the controller, None where none is configured."""
        return next((x for x in self.config.listeners if x.is_controller), None)

    def _group_config(self) -> GroupConfig:
        c = self.config
        return GroupConfig(
            c.group_min_session_timeout_ms, c.group_max_session_timeout_ms, c.group_initial_rebalance_delay_ms,
            c.group_max_size, c.offset_metadata_max_bytes, c.offsets_retention_minutes * 60_000,
            c.offsets_topic_num_partitions,
        )

    # --- start and stop -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open everything; raises `BarnabasError` with nothing changed where the directory cannot be used."""
        now = self.clock.now_ms()
        try:
            self.store.load()
            check_takeover(self.store, self.directory.path, self.node_id, self.directory.directory_id)
            self.directory.begin()
            remember(self.directory.path, self.static_config)
            self.store.open(now)
            self.store.lead(now, self._bootstrap())
            self._register_again(now)
            self.apply_broker_config()
            if not self.directory.was_clean:
                self._raise_epochs(now)
            self._open_logs(now)
            self._load_groups()
        except BaseException:
            self.stop(clean=False)
            raise
        self.directory.reserve.make()
        self.retention.start()
        self._schedule_offset_expiry()

    def _bootstrap(self) -> list[Message]:
        """Return the first records of a new cluster."""
        return [r.FeatureLevelRecord("metadata.version", self.metadata_version), self._registration()]

    def _registration(self) -> r.RegisterBrokerRecord:
        endpoints = [
            r.BrokerEndpoint(x.name, x.advertised_host or "localhost", x.advertised_port or x.port)
            for x in self.config.listeners if not x.is_controller
        ]
        return r.RegisterBrokerRecord(
            broker_id=self.node_id, incarnation_id=self.directory.directory_id, broker_epoch=1, end_points=endpoints,
            features=[r.BrokerFeature("metadata.version", 7, LATEST)], rack=self.config.broker_rack, fenced=True,
            log_dirs=[self.directory.directory_id],
        )

    def _register_again(self, now: int) -> None:
        """Fence the registration that a Kafka left unfenced: a Kafka that comes back need not wait for it to expire."""
        known = self.image.brokers.get(self.node_id)
        if known is None:
            self.store.commit([self._registration()], now)
        elif not known.fenced:
            self.store.commit(
                [r.BrokerRegistrationChangeRecord(self.node_id, known.broker_epoch, fenced=1)], now
            )

    def _raise_epochs(self, now: int) -> None:
        changes: list[Message] = [
            r.PartitionChangeRecord(
                partition_id=p.index, topic_id=t.id, leader=-1, isr=[self.node_id], last_known_elr=[self.node_id],
                eligible_leader_replicas=[] if p.record.eligible_leader_replicas else None,
            )
            for t in self.image.topics.values() for p in t.partitions
        ]
        if changes:
            logger.info("The last stop was not clean: raising the leader epoch of %d partitions", len(changes))
        for i in range(0, len(changes), 10_000):
            self.store.commit(changes[i : i + 10_000], now)

    def _open_logs(self, now: int) -> None:
        self.directory.remove_leftovers()
        known = set()
        for topic in self.image.topics.values():
            config = self.topic_config(topic.name)
            for p in topic.partitions:
                self.open_log(topic.name, topic.id, p.index, config, p.leader_epoch, now)
                known.add(f"{topic.name}-{p.index}")
        for folder in self.directory.partition_folders():
            if folder.name not in known and PARTITION_FOLDER.match(folder.name):
                self.directory.stray(folder)

    def open_log(
        self, topic: str, topic_id: bytes, partition: int, config: TopicConfig, leader_epoch: int, now: int
    ) -> PartitionLog:
        """Open or make a partition's log."""
        try:
            log = self.directory.open_log(topic, topic_id, partition, config, leader_epoch, now)
        except DirectoryError as e:
            if not (self.directory.path / f"{topic}-{partition}").exists():
                raise
            logger.warning("%s", e)
            self.directory.stray(self.directory.path / f"{topic}-{partition}")
            log = self.directory.open_log(topic, topic_id, partition, config, leader_epoch, now)
        log.on_roll = self.flusher.flush
        return log

    def stop(self, *, clean: bool = True) -> None:
        """Close everything; a clean stop lets the next start skip recovery."""
        self.groups.close()
        try:
            self.store.close(clean=clean)
        except StorageError as e:
            logger.error("The metadata log was not closed cleanly: %s", e)  # it is recovered at each start anyway
        epoch = self.image.brokers[self.node_id].broker_epoch if self.node_id in self.image.brokers else -1
        self.directory.close(clean=clean, broker_epoch=epoch)

    # --- configuration --------------------------------------------------------------------------------------

    def topic_config(self, topic: str) -> TopicConfig:
        """Return the configuration in effect for a topic."""
        overrides = self.image.config(TOPIC, topic)
        return TopicConfig.of(overrides, self.config) if overrides else self.config.topic_defaults

    def apply_broker_config(self) -> None:
        """Bring broker configurations that were changed while running into effect, in every log too."""
        per_broker = self.image.config(BROKER, str(self.node_id))
        default = self.image.config(BROKER, "")
        self.config = self.static_config.with_dynamic(per_broker, default)
        self.groups.config = self._group_config()
        for topic in self.image.topics:
            self.apply_topic_config(topic)

    def apply_topic_config(self, topic: str) -> None:
        """Bring a topic's configuration into effect in its logs, and look at retention at once."""
        config = self.topic_config(topic)
        for partition in range(len(self.image.topics[topic].partitions)):
            log = self.directory.logs.get((topic, partition))
            if log is not None:
                log.config = config
        self.retention.soon()

    def log(self, topic: str, partition: int) -> PartitionLog:
        """Return a partition's log; raises `KafkaError` UNKNOWN_TOPIC_OR_PARTITION."""
        log = self.directory.logs.get((topic, partition))
        if log is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return log

    # --- producer ids ---------------------------------------------------------------------------------------

    def new_producer_id(self) -> int:
        """Return a producer id that was never given out; a block of them is reserved in the metadata."""
        if self._next_producer_id >= self._end_of_block:
            first = self.image.next_producer_id
            self.store.commit(
                [r.ProducerIdsRecord(self.node_id, 1, first + _PRODUCER_ID_BLOCK)], self.clock.now_ms()
            )
            self._next_producer_id, self._end_of_block = first, first + _PRODUCER_ID_BLOCK
        producer_id = self._next_producer_id
        self._next_producer_id += 1
        return producer_id

    # --- coordinators ---------------------------------------------------------------------------------------

    def _write_group(self, partition: int, records: Sequence[GroupRecord]) -> None:
        self.append_internal(OFFSETS_TOPIC, partition, [record.encode() for record in records])

    def append_internal(
        self, topic: str, partition: int, pairs: Sequence[tuple[bytes | None, bytes | None]]
    ) -> None:
        """Append (key, value) pairs to an internal topic, making it where it is missing. Raises `KafkaError`."""
        if topic not in self.image.topics:
            self.topics.create_internal(topic)
        now = self.clock.now_ms()
        self.log(topic, partition).append(memoryview(build_batch(pairs, now)), now, client=False)

    def _load_groups(self) -> None:
        topic = self.image.topics.get(OFFSETS_TOPIC)
        if topic is None:
            return
        partitions = len(topic.partitions)
        if partitions != self.groups.config.offsets_partitions:
            self.groups.config = _with_partitions(self.groups.config, partitions)
        for partition in range(partitions):
            log = self.log(OFFSETS_TOPIC, partition)
            for segment in log.segments:
                for found in segment.scan():
                    if found.header.is_control:
                        continue
                    for record in read_records(found.header, segment.batch(found)):
                        self._replay_group_record(partition, record.key, record.value)
        self.groups.resume()

    def _replay_group_record(self, partition: int, key: bytes | None, value: bytes | None) -> None:
        try:
            decoded = decode_record(key or b"", value)
        except SchemaError as e:
            logger.warning("%s-%d: %s; the record is left alone", OFFSETS_TOPIC, partition, e)
            return
        if decoded is not None:
            self.groups.replay(decoded)

    def _schedule_offset_expiry(self) -> None:
        def expire() -> None:
            if OFFSETS_TOPIC in self.image.topics:
                self.groups.expire()
            self._schedule_offset_expiry()

        self.timers.after(self.config.offsets_retention_check_interval_ms / 1000, expire)


def _with_partitions(config: GroupConfig, partitions: int) -> GroupConfig:
    from dataclasses import replace

    return replace(config, offsets_partitions=partitions)
