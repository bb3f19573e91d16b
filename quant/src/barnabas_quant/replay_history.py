"""Where a replay has its records from when the history is to give them: rows, and topics for what is in no table.

A row is found by its place under the id that its topic has now, or, where the topic is gone, under the only one that
the rows know. Not every record has a row: one that the history could not use went to the dead letters, the newest may
not be written yet, and a topic may be in no table at all. Those are read from their topics, as far as they hold them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus.ranges import Partition, RangeReader
from barnabas_quant.bus.topic_ids import topic_id
from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError
from barnabas_quant.history import ClickHouse
from barnabas_quant.history.records import PAGE, stored_records, topic_ids
from barnabas_quant.history.rows import TABLES


class HistoryReader:
    """Read records by their places: from the history where it has them, else from their topics."""

    def __init__(self, bootstrap: str, clickhouse: ClickHouse, topics: RangeReader, page: int = PAGE) -> None:
        """Take what reads either, and how many rows are asked for at once."""
        self._admin = AdminClient(client_settings(bootstrap))
        self._clickhouse = clickhouse
        self._topics = topics
        self._page = page
        self._now: dict[str, str | None] = {}  # ids of topics as they are; None: there is no such topic
        self._ids: dict[str, str | None] = {}
        self.given: Counter[str] = Counter()
        """How many records came from `rows` and from `topics`."""

    def read(self, ranges: Mapping[Partition, tuple[int, int]]) -> Iterator[Message]:
        """Give the records at offsets from <= offset < end of each partition, as far as they are anywhere.

        Raises BusError, StoreUnavailable, ClickHouseError.
        """
        left: dict[Partition, set[int]] = {}
        for topic in dict.fromkeys(topic for topic, _ in ranges):
            spans = {partition: span for (of, partition), span in ranges.items() if of == topic}
            missing = {partition: set(range(*span)) for partition, span in spans.items()}
            id = self._id(topic) if topic in TABLES else None
            if id is not None:
                for row in stored_records(self._clickhouse, topic, id, spans, self._page):
                    missing[row.partition].discard(row.offset)
                    self.given["rows"] += 1
                    yield Message(
                        topic=topic, partition=row.partition, offset=row.offset, key=row.key.encode(), value=row.value,
                        timestamp=(TIMESTAMP_CREATE_TIME, row.produced),
                    )  # fmt: skip
            left |= {(topic, partition): offsets for partition, offsets in missing.items() if offsets}
        for message in self._of_topics(left):
            self.given["topics"] += 1
            yield message

    def _of_topics(self, left: Mapping[Partition, set[int]]) -> Iterator[Message]:
        """Give those of the records that their topics still hold."""
        there = [at for at in left if self._id_now(at[0]) is not None]
        spans: dict[Partition, tuple[int, int]] = {}
        for at, (low, high) in self._topics.bounds(there).items():
            begin, end = max(low, min(left[at])), min(high, max(left[at]) + 1)
            if begin < end:
                spans[at] = (begin, end)
        if not spans:
            return
        for message in self._topics.read(spans):
            if message.offset() in left[str(message.topic()), int(message.partition() or 0)]:
                yield message

    def _id(self, topic: str) -> str | None:
        """Give the id under which a topic's rows stand; None where there are none. Raises BusError where many fit."""
        if topic not in self._ids:
            id = self._id_now(topic)
            if id is None:
                found = topic_ids(self._clickhouse, topic)
                if len(found) > 1:
                    raise BusError(f"{topic} is gone, and the history has rows of {len(found)} topics of that name")
                id = found.pop() if found else None
            self._ids[topic] = id
        return self._ids[topic]

    def _id_now(self, topic: str) -> str | None:
        if topic not in self._now:
            found = topic_id(self._admin, topic)
            self._now[topic] = None if found is None else str(found)
        return self._now[topic]
