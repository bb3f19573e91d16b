"""The history writer: every record of the market topics as exactly one row in ClickHouse.

It stores where each row came from: topic id, partition, offset. When it is given a partition, and whenever an insert's
fate is not known, it asks which offsets at or above its place are there, and leaves exactly those out; offsets are
committed after the insert. So a row is written once whoever is killed: the writer before or after its insert,
ClickHouse before or after it answers, the broker before or after the commit. What only a fenced writer can still do (an
insert that wakes up when the partition has long been another's) the table's sorting key takes back.

A batch is one insert for each table and month, so that it is one part, there or not there. Where ClickHouse cannot read
a row, the batch goes in without it, and what is not there afterwards becomes a dead letter.
"""

from __future__ import annotations

import base64
import logging
import uuid
from collections import defaultdict
from collections.abc import Sequence

import msgspec
from confluent_kafka import KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError, SettingsError, StoreUnavailable
from barnabas_quant.history import ClickHouse, ClickHouseError, migrate
from barnabas_quant.history.rows import TABLES, row, table_of
from barnabas_quant.service import ConsumerService, Context, Partition

log = logging.getLogger(__name__)

_BAD_DATA = frozenset({6, 25, 26, 27, 32, 33, 36, 38, 41, 53, 69, 72, 117, 321, 349, 376, 407, 441, 467, 691})
"""ClickHouse's codes of data that it cannot read."""


class _Present(msgspec.Struct):
    kafka_partition: int
    kafka_offset: int


class HistoryWriter(ConsumerService):
    """Write the market topics to ClickHouse."""

    name = "history"
    summary = "writes every record of market_data.* to ClickHouse, exactly once"
    group = "history"
    topics = tuple(TABLES)
    needs = ("clickhouse",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if self.settings.clickhouse is None:
            raise SettingsError("no ClickHouse: give --clickhouse http://HOST:PORT/default, or start it with `up`")
        self.batch = self.settings.history.rows
        self.wait = self.settings.history.seconds
        self._clickhouse = ClickHouse(self.settings.clickhouse)
        self._admin = AdminClient(client_settings(self.settings.bootstrap, self.settings.kafka_client, {}))
        self._migrated = False
        self._topic_ids: dict[str, str] = {}
        self._present: dict[Partition, set[int]] = {}
        self._unsure = False
        """True when an insert may or may not have been done."""

    def assigned(self, partitions: list[TopicPartition]) -> None:
        if not self._migrated:
            if applied := migrate(self._clickhouse, self.settings.history.cluster):
                log.warning("applied migrations: %s", ", ".join(applied))
            self._migrated = True
        places = {(at.topic, at.partition): max(0, at.offset) for at in partitions}
        for at, present in self._offsets_present(places).items():
            self._present[at] = present

    def revoked(self, partitions: list[TopicPartition]) -> None:
        for at in partitions:
            self._present.pop((at.topic, at.partition), None)

    def handle(self, messages: Sequence[Message]) -> None:
        if self._unsure:
            first: dict[Partition, int] = {}
            for message in messages:
                first.setdefault(_at(message), int(message.offset() or 0))
            self._present |= self._offsets_present(first)
            self._unsure = False
        bad: list[tuple[Message, str]] = []
        groups: dict[tuple[str, int], list[tuple[bytes, Message]]] = defaultdict(list)
        for message in messages:
            at, offset = _at(message), int(message.offset() or 0)
            if offset in self._present.get(at, ()):
                continue
            value, produced = bytes(message.value() or b""), int(message.timestamp()[1])
            try:
                table, month = table_of(at[0], value)
            except (ValueError, msgspec.DecodeError) as error:
                bad.append((message, str(error)))
                continue
            line = row(value, self._topic_ids[at[0]], at[1], offset, produced)
            groups[table, month].append((line, message))
        for (table, _), rows in groups.items():
            bad += self._insert(table, rows)
        for message, reason in bad:
            self.context.dead_letters.put_message(message, reason)
            self.status.error("malformed")
        for message in messages:  # what lies behind is not asked for again
            if present := self._present.get(_at(message)):
                present.discard(int(message.offset() or 0))

    def close(self) -> None:
        self._clickhouse.close()

    def _insert(self, table: str, rows: list[tuple[bytes, Message]]) -> list[tuple[Message, str]]:
        """Insert rows; give those that ClickHouse cannot read, with its words."""
        try:
            self._clickhouse.insert(table, b"\n".join(line for line, _ in rows))
        except StoreUnavailable:
            self._unsure = True
            raise
        except ClickHouseError as error:
            if error.code not in _BAD_DATA:
                raise
            return self._insert_what_can_be_read(table, rows, str(error))
        return []

    def _insert_what_can_be_read(
        self, table: str, rows: list[tuple[bytes, Message]], reason: str
    ) -> list[tuple[Message, str]]:
        self._unsure = True  # until it is known what is there
        self._clickhouse.insert(table, b"\n".join(line for line, _ in rows), leave_out_bad=True)
        first: dict[Partition, int] = {}
        for _, message in rows:
            first.setdefault(_at(message), int(message.offset() or 0))
        present = self._offsets_present(first)
        self._unsure = False
        return [(message, reason) for _, message in rows if int(message.offset() or 0) not in present[_at(message)]]

    def _offsets_present(self, places: dict[Partition, int]) -> dict[Partition, set[int]]:
        """Give the offsets at or above each partition's place that stand in the tables. Raises StoreUnavailable."""
        found: dict[Partition, set[int]] = {at: set() for at in places}
        by_topic: dict[str, dict[int, int]] = defaultdict(dict)
        for (topic, partition), place in places.items():
            by_topic[topic][partition] = place
        for topic, partitions in by_topic.items():
            topic_id = self._topic_id(topic)
            for table in TABLES[topic]:
                rows = self._clickhouse.rows(
                    f"SELECT kafka_partition, kafka_offset FROM {table} "
                    "WHERE topic_id = {topic_id:UUID} AND kafka_offset >= {least:UInt64} "
                    "AND kafka_partition IN {partitions:Array(UInt16)}",
                    _Present,
                    topic_id=topic_id,
                    least=min(partitions.values()),
                    partitions=f"[{','.join(map(str, partitions))}]",
                )
                for present in rows:
                    if present.kafka_offset >= partitions[present.kafka_partition]:
                        found[topic, present.kafka_partition].add(present.kafka_offset)
        return found

    def _topic_id(self, topic: str) -> str:
        """Give a topic's id as a UUID: a topic that is deleted and made again begins at offset 0 with another."""
        if topic not in self._topic_ids:
            try:
                described = self._admin.describe_topics(TopicCollection([topic]), request_timeout=10)[topic].result()
            except KafkaException as error:
                raise BusError(f"topic {topic} cannot be described: {error}") from error
            raw = base64.urlsafe_b64decode(f"{described.topic_id}==")
            self._topic_ids[topic] = str(uuid.UUID(bytes=raw[:16]))
        return self._topic_ids[topic]


def _at(message: Message) -> Partition:
    return str(message.topic()), int(message.partition() or 0)
