"""From rows back to records: what stood at given places of a topic, as the tables have it.

A row has a record's fields under their own names, so the record is the row's JSON without the columns that say where
it came from. What a table leaves out follows from the table. Amounts come back as the shortest text of the same number:
a record's own zeros at the end are not kept, and nothing that reads amounts can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from barnabas_quant.history.client import ClickHouse
from barnabas_quant.history.rows import COLUMNS, TABLES

PAGE = 50_000
"""Rows that are asked for at once."""

_PLACE = ("topic_id", "kafka_partition", "kafka_offset", "produced")

_LEFT_OUT: dict[str, dict[str, str]] = {
    "market_orderbook_diffs": {"type": "'diff'"},
    # The first and last update id of a snapshot are the same, and it follows on nothing.
    "market_orderbooks": {"type": "'snapshot'", "first_update_id": "last_update_id", "previous_update_id": "NULL"},
}

_KEYS = {
    "equity": "currency",
    "cash_flows": "currency",
    "trade_decisions": "subject",
    "risk_alerts": "concat(rule, ':', subject)",
}
"""Keys of records, where they are neither those of a market nor the instrument."""

_JSON = "numbers"  # a column of text that is JSON


class Form(msgspec.Struct, frozen=True):
    """Say how the rows of a table are asked for so that records can be made of them."""

    table: str
    names: tuple[str, ...]
    """The fields of a record."""
    columns: str
    """What a SELECT names: place, key, and a record's fields."""
    row: type[Any]
    """What its rows are read as."""
    settings: str = (
        "SETTINGS output_format_decimal_trailing_zeros = 0, output_format_json_quote_decimals = 1, "
        "output_format_json_escape_forward_slashes = 0"
    )
    """How such a query ends."""

    def value(self, row: Any) -> bytes:
        """Make the record of a row."""
        cells: dict[str, Any] = {name: getattr(row, name) for name in self.names}
        if _JSON in cells:
            cells[_JSON] = msgspec.Raw(cells[_JSON].encode())
        return msgspec.json.encode(cells)


@cache
def form_of(table: str) -> Form:
    """Give the form of a table."""
    fields = [column for column in COLUMNS[table] if column not in _PLACE]
    made = _LEFT_OUT.get(table, {})
    names = (*fields, *made)
    key = "concat(exchange, ':', symbol)" if "exchange" in fields else _KEYS.get(table, "instrument")
    columns = ["kafka_partition", "kafka_offset", "produced", f"{key} AS record_key"]
    columns += [*(f"`{field}`" for field in fields), *(f"{made[field]} AS `{field}`" for field in made)]
    types = [("kafka_partition", int), ("kafka_offset", int), ("produced", int), ("record_key", str)]
    row = msgspec.defstruct("Row", [*types, *((name, str if name == _JSON else msgspec.Raw) for name in names)])
    return Form(table=table, names=names, columns=", ".join(columns), row=row)


class StoredRecord(msgspec.Struct, frozen=True):
    """Hold a record and its place; `produced` is Kafka's timestamp in milliseconds."""

    partition: int
    offset: int
    produced: int
    key: str
    value: bytes


class _Id(msgspec.Struct):
    id: str


def topic_ids(client: ClickHouse, topic: str) -> set[str]:
    """Give the ids that a topic had when its rows were written. Raises StoreUnavailable, ClickHouseError."""
    return {
        row.id
        for table in TABLES[topic]
        for row in client.rows(f"SELECT DISTINCT toString(topic_id) AS id FROM {table}", _Id)
    }


def stored_records(
    client: ClickHouse, topic: str, topic_id: str, ranges: Mapping[int, tuple[int, int]], page: int = PAGE
) -> Iterator[StoredRecord]:
    """Give the records at offsets begin <= offset < end of each partition that have a row, each once.

    In the order of each partition and table. Raises StoreUnavailable, ClickHouseError.
    """
    for table in TABLES[topic] if ranges else ():
        yield from _of_table(client, table, topic_id, ranges, page)


def _of_table(
    client: ClickHouse, table: str, topic_id: str, ranges: Mapping[int, tuple[int, int]], page: int
) -> Iterator[StoredRecord]:
    form = form_of(table)
    where = " OR ".join(
        f"(kafka_partition = {partition:d} AND kafka_offset >= {begin:d} AND kafka_offset < {end:d})"
        for partition, (begin, end) in ranges.items()
    )
    after, last = "", (-1, -1)
    while True:
        rows: list[Any] = client.rows(
            f"SELECT {form.columns} FROM {table} WHERE topic_id = {{topic_id:UUID}} AND ({where}) {after} "
            f"ORDER BY kafka_partition, kafka_offset LIMIT {{page:UInt64}} {form.settings}",
            form.row, topic_id=topic_id, page=page,
        )  # fmt: skip
        for row in rows:
            # A row that a writer left twice stands there twice until parts are merged.
            if (place := (row.kafka_partition, row.kafka_offset)) != last:
                last = place
                yield StoredRecord(*place, row.produced, row.record_key, form.value(row))
        if len(rows) < page:
            return
        after = f"AND (kafka_partition, kafka_offset) > ({last[0]:d}, {last[1]:d})"
