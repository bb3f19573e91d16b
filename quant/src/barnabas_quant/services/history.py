"""The history writer: every record of the market topics as exactly one row in ClickHouse.

It stores where each row came from: topic id, partition, offset. When it is given a partition, and whenever an insert's
fate is not known, it asks which offsets at or above its place are there, and leaves exactly those out; offsets are
committed after the insert. So a row is written once whoever is killed: the writer before or after its insert,
ClickHouse before or after it answers, the broker before or after the commit. What only a fenced writer can still do (an
insert that wakes up when the partition has long been another's) the table's sorting key takes back.

While a batch is being inserted the next one is read and made ready. What is no record of its topic becomes a dead
letter.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import msgspec
from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus.topic_ids import topic_id
from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError, SettingsError
from barnabas_quant.history import ClickHouse, migrate
from barnabas_quant.history.rows import INTO, TABLES, line, table_and_cells
from barnabas_quant.service import ConsumerService, Context, Partition, Settle

log = logging.getLogger(__name__)

_PART = 50_000
"""Records that are made ready and inserted at once; smaller inserts cost ClickHouse more a row."""


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
        self._admin = AdminClient(client_settings(self.settings.bootstrap))
        self._inserting = ThreadPoolExecutor(1, "insert")
        self._migrated = False
        self._topic_ids: dict[str, bytes] = {}
        self._present: dict[Partition, set[int]] = {}
        self._unsure = False
        """True when an insert may or may not have been done."""
        self._flying: list[Future[None]] = []

    def assigned(self, partitions: list[TopicPartition]) -> None:
        if not self._migrated:
            if applied := migrate(self._clickhouse, self.settings.history.cluster):
                log.warning("applied migrations: %s", ", ".join(applied))
            self._migrated = True
        wait(self._flying)
        places = {(at.topic, at.partition): max(0, at.offset) for at in partitions}
        for at, present in self._offsets_present(places).items():
            self._present[at] = present

    def revoked(self, partitions: list[TopicPartition]) -> None:
        for at in partitions:
            self._present.pop((at.topic, at.partition), None)

    def handle(self, messages: Sequence[Message]) -> Settle:
        """Begin to insert a batch; what is answered waits until ClickHouse has taken it."""
        if self._unsure:
            self._land()
            first: dict[Partition, int] = {}
            for message in messages:
                first.setdefault(_at(message), int(message.offset() or 0))
            self._present |= self._offsets_present(first)
            self._unsure = False
        bad: list[tuple[Message, str]] = []
        inserts: list[Future[None]] = []
        for begin in range(0, len(messages), _PART):
            for table, rows in self._rows(messages[begin : begin + _PART], bad).items():
                inserts.append(self._inserting.submit(self._insert, INTO[table], b"".join(rows)))
        self._flying += inserts
        return lambda: self._settle(messages, inserts, bad)

    def _settle(self, messages: Sequence[Message], inserts: list[Future[None]], bad: list[tuple[Message, str]]) -> None:
        try:
            for insert in inserts:
                insert.result()
        except BaseException:
            self._unsure = True
            raise
        self._flying = [insert for insert in self._flying if not insert.done()]
        for message, reason in bad:
            self.context.dead_letters.put_message(message, reason)
            self.status.error("malformed")
        if any(self._present.values()):
            for message in messages:  # what lies behind is not asked for again
                self._present.get(_at(message), set()).discard(int(message.offset() or 0))

    def _land(self) -> None:
        """Let nothing be under way: what is there can be asked for only then."""
        for insert in self._flying:
            insert.cancel()
        wait(self._flying)
        self._flying = []

    def close(self) -> None:
        self._inserting.shutdown()
        self._clickhouse.close()

    def _insert(self, into: str, lines: bytes) -> None:
        self._clickhouse.insert(into, lines, "TabSeparated")

    def _rows(self, messages: Sequence[Any], bad: list[tuple[Message, str]]) -> dict[str, list[bytes]]:
        """Make the lines of each table; what is no record goes to `bad`, what is there already is left out."""
        rows: dict[str, list[bytes]] = defaultdict(list)
        for message in messages:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            present = self._present.get((topic, partition))
            if present and offset in present:
                continue
            try:
                table, cells = table_and_cells(topic, message.value() or b"")
            except ValueError as error:
                bad.append((message, str(error)))
                continue
            rows[table].append(line(cells, self._topic_ids[topic], partition, offset, message.timestamp()[1]))
        return rows

    def _offsets_present(self, places: dict[Partition, int]) -> dict[Partition, set[int]]:
        """Give the offsets at or above each partition's place that stand in the tables. Raises StoreUnavailable."""
        found: dict[Partition, set[int]] = {at: set() for at in places}
        by_topic: dict[str, dict[int, int]] = defaultdict(dict)
        for (topic, partition), place in places.items():
            by_topic[topic][partition] = place
        for topic, partitions in by_topic.items():
            id = self._topic_id(topic)
            # Each partition from its own place: from the least of them all, a short one would have the long ones told.
            where = " OR ".join(
                f"(kafka_partition = {partition:d} AND kafka_offset >= {place:d})"
                for partition, place in partitions.items()
            )
            for table in TABLES[topic]:
                rows = self._clickhouse.rows(
                    f"SELECT kafka_partition, kafka_offset FROM {table} "
                    f"WHERE topic_id = {{topic_id:UUID}} AND ({where})",
                    _Present,
                    topic_id=id.decode(),
                )
                for present in rows:
                    found[topic, present.kafka_partition].add(present.kafka_offset)
        return found

    def _topic_id(self, topic: str) -> bytes:
        """Give a topic's id as a UUID: a topic that is deleted and made again begins at offset 0 with another."""
        if topic not in self._topic_ids:
            found = topic_id(self._admin, topic)
            if found is None:
                raise BusError(f"topic {topic} cannot be described: there is none")
            self._topic_ids[topic] = str(found).encode()
        return self._topic_ids[topic]


def _at(message: Message) -> Partition:
    return str(message.topic()), int(message.partition() or 0)
