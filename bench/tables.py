"""The history's tables beside variants of them, one thing changed at a time: `python -m bench.tables --help`.

The variants are made from what the migrations leave in a database, so they are always those of the tables in use. Their
rows are records of the simulated market: five symbols at three venues, every minute another one, a snapshot of each
book every second as the feeds write it, received some milliseconds after it was sent. All is asked of the embedded
ClickHouse, in a process of its own, whose CPU time is counted. Inserting and asking go through the variants in turn, so
that whatever else the machine does hits them all; each is merged once.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import nlargest, nsmallest
from pathlib import Path
from random import Random
from typing import TypeVar

import httpx
import msgspec

from barnabas_quant.bus.producer import encode
from barnabas_quant.errors import BookGapError
from barnabas_quant.feeds import BinanceDecoder, Capture, Frame, Simulator
from barnabas_quant.gateway.prices import _LATEST as LATEST
from barnabas_quant.history import ClickHouse, migrate
from barnabas_quant.history.migrations import migrations
from barnabas_quant.history.rows import INTO, line, table_and_cells
from barnabas_quant.history.rows import TABLES as TABLES_OF
from barnabas_quant.model import Kline, OrderBook, Record, Tick, Trade
from barnabas_quant.model.book import Book
from barnabas_quant.model.money import decimal_text, total_text
from barnabas_quant.services.history import HistoryWriter
from bench.machine import Watch, describe
from bench.platform import _Stored as Stored
from bench.platform import fetches, process
from testkit.ports import free_port

BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"
TABLES = ("market_ticks", "market_trades", "market_klines", "market_orderbooks", "market_orderbook_diffs")
VENUES = ("binance", "binance_usdm", "okx")
DAYS = 3
DAY = 1440  # minutes
START = 1_701_216_000_000  # 29 November 2023 in milliseconds: the days lie in two months
ROWS_A_MINUTE = 13_300  # of one venue
PARTITIONS = 12
LEVELS = 100  # a side of a snapshot, as the feeds write it
BATCH = 10_000  # rows
FORMAT = "TabSeparated"  # as the history writer inserts them
TOPIC_IDS = {
    Tick.topic: b"7d4a2c1e-93b5-4f60-8a17-2e5c6b0d9f38",
    Trade.topic: b"c0b9ad52-1f0e-4a3b-b1d8-6a1f7be02c44",
    OrderBook.topic: b"18e3f6d7-5a2c-4b8e-9c61-f4d20a7c3b95",
    Kline.topic: b"51d80b6e-2f97-4c1a-a4d3-0e9b7c8f6a12",
}


# A cache of what a condition found would answer the second round.
SETTINGS = {"default_format": "JSONEachRow", "wait_end_of_query": "1", "use_query_condition_cache": "0"}

_Row = TypeVar("_Row", bound=msgspec.Struct)


# ------------------------------------------------------------------------------------------------ rows

Line = tuple[str, bytes, int, bytes]
"""Topic, key, time of production in milliseconds, JSON."""


def lines_of_minute(task: tuple[int, int]) -> list[Line]:
    """Make the records of one minute (venue, minute) of the simulated market."""
    venue, number = task
    late = Random(f"{venue} {number}")
    frames = Simulator(venue + 1).minute(number, START + number * 60_000)
    return list(lines_of(VENUES[venue], _received(frames, late)))


def _received(frames: Iterable[Frame], late: Random) -> Iterator[Frame]:
    """Let frames arrive some milliseconds after they were sent, none before its predecessor."""
    received = 0
    for frame in frames:
        received = max(received + 1000, frame.received + 2_000_000 + int(late.expovariate(1 / 800_000)))
        yield replace(frame, received=received)


def lines_of(exchange: str, frames: Iterable[Frame]) -> Iterator[Line]:
    """Make the records of frames, in the order in which a feed writes them, and snapshots of the rebuilt books."""
    decoder = BinanceDecoder(exchange)
    books: dict[str, Book] = {}
    told: dict[str, int] = {}
    second = 0
    for frame in frames:
        if second != (second := frame.received // 1_000_000_000):
            for symbol, book in books.items():
                if book.last_update_id != told[symbol]:
                    told[symbol] = book.last_update_id
                    yield _line(_snapshot(exchange, book, frame.received // 1000))
        for record in decoder.records(frame):
            if isinstance(record, OrderBook):
                if record.type == "snapshot":
                    books[record.symbol], told[record.symbol] = Book(record), 0
                    continue
                if record.symbol not in books:
                    continue
                try:
                    books[record.symbol].apply(record)
                except BookGapError:
                    del books[record.symbol]
            if record.topic in TOPIC_IDS:
                yield _line(record)


def _snapshot(exchange: str, book: Book, received: int) -> OrderBook:
    sides = (nlargest(LEVELS, book.bids.items()), nsmallest(LEVELS, book.asks.items()))
    bids, asks = ([(decimal_text(price), total_text(size)) for price, size in side] for side in sides)
    return OrderBook(
        exchange=exchange, symbol=book.symbol, type="snapshot", first_update_id=book.last_update_id,
        last_update_id=book.last_update_id, previous_update_id=None, bids=bids, asks=asks,
        event_time=received // 1000 * 1000, receive_time=received,
    )  # fmt: skip


def _line(record: Record) -> Line:
    received: int = record.receive_time  # type: ignore[attr-defined]
    return record.topic, record.key, received // 1000 + 1, encode(record)


def tasks(rows: int) -> list[tuple[int, int]]:
    """Give the minutes that make about so many rows: as many on each day, the venues beside each other."""
    minutes = max(1, round(rows / ROWS_A_MINUTE / len(VENUES) / DAYS))
    return [
        (venue, day * DAY + DAY // 2 + n) for day in range(DAYS) for n in range(minutes) for venue in range(len(VENUES))
    ]


class Rows:
    """Fill the tables as they are, and keep the first batches of each as the writer would insert them."""

    def __init__(self, client: ClickHouse, batches: int) -> None:
        self._client = client
        self._batches = batches
        self._waiting: dict[str, list[bytes]] = {table: [] for table in TABLES}
        self._offsets: Counter[tuple[str, int]] = Counter()
        self.kept: dict[str, list[bytes]] = {table: [] for table in TABLES}
        self.count: Counter[str] = Counter()
        self.raw: Counter[str] = Counter()
        """Bytes of JSON."""

    def add(self, lines: Iterable[Line]) -> None:
        """Put records where their topics' records are."""
        for topic, key, produced, text in lines:
            table, cells = table_and_cells(topic, text)
            partition = zlib.crc32(key) % PARTITIONS
            offset = self._offsets[topic, partition]
            self._offsets[topic, partition] += 1
            self._waiting[table].append(line(cells, TOPIC_IDS[topic], partition, offset, produced))
            self.raw[table] += len(text)
            if len(self._waiting[table]) == BATCH:
                self._insert(table)

    def finish(self) -> None:
        """Insert what is left."""
        for table in TABLES:
            self._insert(table)

    def places(self) -> dict[tuple[str, int], int]:
        """Give a place shortly before the end of each partition, as a writer that starts again has it."""
        return {at: max(0, end - 50) for at, end in self._offsets.items()}

    def _insert(self, table: str) -> None:
        lines, self._waiting[table] = self._waiting[table], []
        if lines:
            text = b"".join(lines)
            self._client.insert(INTO[table], text, FORMAT)
            self.count[table] += len(lines)
            if len(lines) == BATCH and len(self.kept[table]) < self._batches:
                self.kept[table].append(text)


# ------------------------------------------------------------------------------------------------ tables


class Column(msgspec.Struct, frozen=True):
    """Hold one column as ClickHouse tells it."""

    name: str
    type: str
    default: str
    codec: str

    @property
    def ddl(self) -> str:
        return f"`{self.name}` {self.type} {self.default} {f'CODEC({self.codec})' if self.codec else ''}"


@dataclass(frozen=True, slots=True)
class Table:
    """Hold what a table is made from."""

    name: str
    columns: tuple[Column, ...]
    order: str
    partition: str
    index: str

    def ddl(self, name: str) -> str:
        """Write the statement that makes it under another name."""
        parts = [column.ddl for column in self.columns] + ([self.index] if self.index else [])
        partition = f"PARTITION BY {self.partition}" if self.partition else ""
        return (
            f"CREATE TABLE {name} ({', '.join(parts)}) ENGINE = ReplacingMergeTree {partition} ORDER BY ({self.order})"
        )


class _Keys(msgspec.Struct):
    sorting_key: str
    partition_key: str


class _Index(msgspec.Struct):
    name: str
    expr: str
    type: str
    granularity: int


def _index(name: str, expression: str, kind: str, granularity: int) -> str:
    return f"INDEX {name} ({expression.strip('()')}) TYPE {kind} GRANULARITY {granularity}"


def table_of(client: ClickHouse, name: str) -> Table:
    """Read how a table is made."""
    columns = client.rows(
        "SELECT name, type, concat(default_kind, ' ', default_expression) AS default, "
        "extract(compression_codec, '^CODEC\\\\((.*)\\\\)$') AS codec "
        "FROM system.columns WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
        Column, table=name,
    )  # fmt: skip
    where = "WHERE database = currentDatabase() AND"
    keys = client.rows(f"SELECT * FROM system.tables {where} name = {{table:String}}", _Keys, table=name)[0]
    indices = client.rows(
        f"SELECT * FROM system.data_skipping_indices {where} table = {{table:String}}", _Index, table=name
    )
    index = ", ".join(_index(one.name, one.expr, one.type, one.granularity) for one in indices)
    return Table(name, tuple(columns), keys.sorting_key, keys.partition_key, index)


# ------------------------------------------------------------------------------------------------ variants

Chooses = Callable[[Column], bool]


def is_time(column: Column) -> bool:
    return column.name.endswith("_time") or column.name in ("timestamp", "produced")


def is_id(column: Column) -> bool:
    return "UInt64" in column.type


def is_amount(column: Column) -> bool:
    return "Decimal" in column.type


def is_level(column: Column) -> bool:
    return column.type.startswith("Array")


def is_price(column: Column) -> bool:
    return "Decimal(18" in column.type and not is_level(column)


def with_codec(table: Table, chooses: Chooses, change: Callable[[str], str]) -> Table:
    """Give some columns another codec; `change` is given the present one."""
    columns = tuple(
        msgspec.structs.replace(column, codec=change(column.codec)) if chooses(column) else column
        for column in table.columns
    )
    return replace(table, columns=columns)


def before(codecs: str) -> Callable[[str], str]:
    """Put these in place of what stands before the last codec."""
    return lambda present: ", ".join(filter(None, (codecs, _last(present))))


def last(codec: str) -> Callable[[str], str]:
    """Put this in place of the last codec."""
    return lambda present: present.removesuffix(_last(present)) + codec if present else ""


def _last(codecs: str) -> str:
    return codecs.rpartition(", ")[2]


def two_arrays(table: Table) -> Table:
    """Keep prices and quantities of levels in columns of their own, as only then a price can have Delta."""
    columns: list[Column] = []
    for column in table.columns:
        if not is_level(column):
            columns.append(column)
            continue
        final = _last(column.codec)
        columns += [
            Column(column.name, column.type, "EPHEMERAL", ""),
            Column(f"{column.name}_prices", "Array(Decimal(18, 8))", f"DEFAULT {column.name}.price",
                   f"GCD, Delta, {final}"),
            Column(f"{column.name}_quantities", "Array(Decimal(38, 8))", f"DEFAULT {column.name}.quantity",
                   f"GCD, {final}"),
        ]  # fmt: skip
    return replace(table, columns=tuple(columns))


def variants(table: Table, first: Table) -> dict[str, Table]:
    """Give the table and its variants by what they differ in; `first` is how the first migration made it."""
    place = ["topic_id", "kafka_partition", "kafka_offset"]
    rest = [name for name in table.order.split(", ") if name not in ("exchange", "symbol", "timestamp", *place)]

    def ordered(*names: str) -> Table:
        return replace(table, order=", ".join(names))

    found = {"as it is": table, "as the first migration made it": first}
    found |= {
        "ORDER BY symbol, exchange, timestamp": ordered(
            "symbol", "exchange", *rest[:1], "timestamp", *rest[1:], *place
        ),
        "ORDER BY symbol, timestamp, exchange": ordered(
            "symbol", *rest[:1], "timestamp", "exchange", *rest[1:], *place
        ),
        "ORDER BY timestamp, exchange, symbol": ordered("timestamp", "exchange", "symbol", *rest, *place),
        "ORDER BY topic_id, kafka_partition, kafka_offset": ordered(*place, "exchange", "symbol", *rest, "timestamp"),
    }
    found |= {
        f"all {codec}": with_codec(table, bool, last(codec)) for codec in ("LZ4", "ZSTD(1)", "ZSTD(3)", "ZSTD(6)")
    }
    kinds: dict[str, tuple[Chooses, tuple[str, ...]]] = {
        "ids": (is_id, ("", "DoubleDelta", "T64", "Delta, T64")),
        "times": (is_time, ("", "Delta", "DoubleDelta", "T64", "GCD, Delta")),
        "prices and quantities": (is_amount, ("", "GCD")),
        "prices": (is_price, ("Delta", "GCD, Delta", "GCD, T64")),
    }
    for kind, (chooses, choices) in kinds.items():
        for codecs in choices:
            label = f"{kind}: {codecs}" if codecs else f"{kind}: nothing"
            found[f"{label} before ZSTD"] = with_codec(table, chooses, before(codecs))
    if any(map(is_level, table.columns)):
        found["levels: prices (GCD, Delta) and quantities (GCD) in two arrays"] = two_arrays(table)
    found |= {
        "a partition a day": replace(table, partition="toYYYYMMDD(timestamp)"),
        "no partitions": replace(table, partition=""),
        "no index of offsets": replace(table, index=""),
    }
    for columns, granularities in (("kafka_offset", (1, 4, 16)), ("kafka_partition, kafka_offset", (1, 4))):
        for granularity in granularities:
            index = _index("places", columns, "minmax", granularity)
            found[f"index of {columns}: granularity {granularity}"] = replace(table, index=index)
    return {label: one for label, one in found.items() if one != table or one is table}


# ------------------------------------------------------------------------------------------------ questions


@dataclass(frozen=True, slots=True)
class Question:
    """Hold a query about one table, and the values of its parameters."""

    query: str
    parameters: dict[str, object]


class _Heard(ClickHouse):
    """Take down what is asked, instead of asking it."""

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}

    def rows(self, query: str, kind: type[_Row], **parameters: object) -> list[_Row]:
        (table,) = re.findall(r"FROM (\w+)", query)
        self.questions[table] = Question(query, parameters)
        return []


def offsets_present(places: dict[tuple[str, int], int]) -> dict[str, Question]:
    """Give what the history writer asks each table when it is given partitions."""
    writer = HistoryWriter.__new__(HistoryWriter)  # without settings: it need only put its question
    writer._clickhouse = heard = _Heard()
    writer._topic_ids = dict(TOPIC_IDS)
    writer._offsets_present(places)
    return heard.questions


SYMBOL = {"exchange": VENUES[0], "symbol": "ETHUSDT"}
OF_TICKS = {
    "newest of a symbol": Question(
        "SELECT * FROM market_ticks WHERE symbol = {symbol:String} ORDER BY timestamp DESC LIMIT 1",
        {"symbol": SYMBOL["symbol"]},
    ),
    "newest of a symbol at a venue": Question(LATEST, {**SYMBOL}),
    "1-minute candles of a day": Question(
        "SELECT toStartOfMinute(timestamp) AS minute, argMin(price, timestamp), max(price), min(price), "
        "argMax(price, timestamp), count() FROM market_ticks "
        "WHERE exchange = {exchange:String} AND symbol = {symbol:String} AND kind = 'trade' "
        "AND timestamp >= fromUnixTimestamp64Milli({start:Int64}) "
        "AND timestamp < fromUnixTimestamp64Milli({end:Int64}) "
        "GROUP BY minute ORDER BY minute",
        {**SYMBOL, "start": START + DAY * 60_000, "end": START + 2 * DAY * 60_000},
    ),
}
OFFSETS = "offsets present"
OFFSETS_APART = "the same, each partition from its own place"


def apart(table: str, places: dict[tuple[str, int], int], topic_id: str) -> Question:
    """Ask for the offsets that are present of each partition from its own place on."""
    each = " OR ".join(f"kafka_partition = {at} AND kafka_offset >= {place}" for (_, at), place in places.items())
    query = f"SELECT kafka_partition, kafka_offset FROM {table} WHERE topic_id = {{topic_id:UUID}} AND ({each})"
    return Question(query, {"topic_id": topic_id})


# ------------------------------------------------------------------------------------------------ measuring


@dataclass(slots=True)
class Found:
    """Hold what was measured of one variant."""

    bytes_a_row: float = 0.0
    insert: float = 0.0
    """CPU microseconds a row, median of the batches."""
    merge: float = 0.0
    answers: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Milliseconds, median of the rounds, and rows read."""


class Bench:
    """Measure the variants of one table after another."""

    def __init__(self, url: str, pid: int, rounds: int) -> None:
        self._url = url
        self._clock = (~pid << 3) | 2  # the CPU clock of another process: clock_getcpuclockid(3)
        self._rounds = rounds
        self._http = httpx.Client(timeout=300)
        self.client = ClickHouse(f"{url}/default", 300)
        self.first = ClickHouse(f"{url}/first", 300)

    def close(self) -> None:
        self._http.close()
        self.client.close()
        self.first.close()

    def make_tables(self) -> None:
        """Make the tables as they are, and in a database beside them as they first were."""
        migrate(self.client)
        self.client.command("CREATE DATABASE first")
        for statement in migrations()[0].statements(None):
            self.first.command(statement)

    def measure(self, name: str, rows: Rows, questions: dict[str, Question]) -> dict[str, Found]:
        """Measure the variants of a table that is filled."""
        tables = variants(table_of(self.client, name), table_of(self.first, name))
        found = {label: Found() for label in tables}
        stored = {label: f"variant_{number}" for number, label in enumerate(tables)}
        names = ", ".join(column.name for column in tables["as it is"].columns)
        self.client.command(f"OPTIMIZE TABLE {name} FINAL")
        for label, table in tables.items():
            self.client.command(table.ddl(stored[label]))
            self.client.command(f"SYSTEM STOP MERGES {stored[label]}")
        used: dict[str, list[float]] = {label: [] for label in tables}
        for number, batch in enumerate(rows.kept[name]):
            for label in _turned(tables, number):
                into = INTO[name].replace(name, stored[label], 1)
                used[label].append(self._cpu(partial(self.client.insert, into, batch, FORMAT)) / BATCH)
        for label, variant in stored.items():
            if used[label]:
                found[label].insert = statistics.median(used[label])
            self.client.command(f"TRUNCATE TABLE {variant}")
            self.client.command(
                f"INSERT INTO {variant} ({names}) SELECT {names} FROM {name} SETTINGS max_insert_threads = 2"
            )
            self.client.command(f"SYSTEM START MERGES {variant}")
            merged = self._cpu(partial(self.client.command, f"OPTIMIZE TABLE {variant} FINAL"))
            found[label].merge = merged / rows.count[name]
            found[label].bytes_a_row = self._bytes(variant) / rows.count[name]
        self._ask(name, stored, found, questions)
        for variant in stored.values():
            self.client.command(f"DROP TABLE {variant} SYNC")
        return found

    def _ask(self, name: str, stored: dict[str, str], found: dict[str, Found], questions: dict[str, Question]) -> None:
        for asked, question in questions.items():
            took: dict[str, list[float]] = {label: [] for label in stored}
            read: dict[str, int] = {}
            for number in range(self._rounds):
                for label in _turned(stored, number):
                    query = re.sub(rf"FROM {name}\b", f"FROM {stored[label]}", question.query)
                    begun = time.perf_counter()
                    read[label] = self._rows_read(query, question.parameters)
                    took[label].append((time.perf_counter() - begun) * 1000)
            for label, times in took.items():
                found[label].answers[asked] = statistics.median(times), read[label]

    def _rows_read(self, query: str, parameters: dict[str, object]) -> int:
        """Ask, and give how many rows were read for the answer."""
        values = {f"param_{name}": str(value) for name, value in parameters.items()}
        answer = self._http.post(self._url, params={**SETTINGS, **values}, content=query)
        if answer.status_code != 200:
            raise SystemExit(f"{query}: {answer.text[:1000]}")
        return int(json.loads(answer.headers["x-clickhouse-summary"])["read_rows"])

    def _bytes(self, table: str) -> int:
        return self.client.rows(
            "SELECT sum(bytes_on_disk) AS stored FROM system.parts "
            "WHERE active AND database = currentDatabase() AND table = {table:String}",
            Stored, table=table,
        )[0].stored  # fmt: skip

    def _cpu(self, work: Callable[[], object]) -> float:
        """Give the microseconds of CPU that ClickHouse takes meanwhile."""
        before = time.clock_gettime(self._clock)
        work()
        return (time.clock_gettime(self._clock) - before) * 1e6


def _turned(labels: Iterable[str], number: int) -> list[str]:
    """Begin with another one in every round."""
    every = list(labels)
    at = number * 7 % len(every)
    return every[at:] + every[:at]


# ------------------------------------------------------------------------------------------------ report


def markdown(name: str, found: dict[str, Found], rows: int, raw: int) -> str:
    """Write the table of one table's variants."""
    base = found["as it is"]
    questions = list(base.answers)
    titles = ["", "bytes a row", "", "JSON : stored", "insert, us a row", "merge, us a row", *questions]
    lines = [
        f"\n### {name}: {rows:,} rows, {raw / rows:,.0f} bytes of JSON each\n",
        f"| {' | '.join(titles)} |",
        "|---" * len(titles) + "|",
    ]
    for label, one in found.items():
        cells = [
            label, f"{one.bytes_a_row:.2f}", f"{one.bytes_a_row / base.bytes_a_row - 1:+.1%}",
            f"{raw / rows / one.bytes_a_row:.1f}", f"{one.insert:.2f}" if one.insert else "-", f"{one.merge:.2f}",
            *(f"{took:.1f} ms, {read:,} rows" for took, read in map(one.answers.__getitem__, questions)),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def fill(rows: Rows, wanted: int, captures: list[Path]) -> str:
    """Fill the tables, from captures where some are named; give what from."""
    for path in captures:
        capture = Capture(path)
        rows.add(lines_of(capture.exchange, capture.frames(lambda number, reason: None)))
    if not captures:
        with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
            for lines in pool.imap(lines_of_minute, tasks(wanted)):
                rows.add(lines)
    rows.finish()
    return "recorded frames" if captures else f"{DAYS} days of a simulated market, {len(VENUES)} venues of 5 symbols"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="in all tables together, about (default 1,000,000)")
    parser.add_argument("--only", default=",".join(TABLES), metavar="TABLES", help="which tables")
    parser.add_argument("--captures", type=Path, nargs="+", default=[], metavar="FILE", help="recorded frames instead")
    parser.add_argument("--batches", type=int, default=4, help=f"of {BATCH:,} rows, to measure inserting")
    parser.add_argument("--rounds", type=int, default=5, help="of each question")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into this page")
    chosen = parser.parse_args()
    watch, text, port = Watch(), "", free_port()
    with tempfile.TemporaryDirectory(prefix="barnabas-tables-") as folder:
        url = f"http://127.0.0.1:{port}"
        words = ("barnabas_quant.clickhouse", "--listen", f"127.0.0.1:{port}", "--path", f"{folder}/clickhouse")
        with process(Path(folder), "clickhouse", *words, answers=lambda: fetches(f"{url}/ping")) as running:
            bench = Bench(url, running.pid, chosen.rounds)
            bench.make_tables()
            rows = Rows(bench.client, chosen.batches)
            origin = fill(rows, chosen.rows, chosen.captures)
            asked = offsets_present(rows.places())
            for name in chosen.only.split(","):
                if not rows.count[name]:
                    continue
                (topic,) = (topic for topic, tables in TABLES_OF.items() if name in tables)
                places = {at: place for at, place in rows.places().items() if at[0] == topic}
                questions = OF_TICKS if name == "market_ticks" else {}
                questions |= {OFFSETS: asked[name], OFFSETS_APART: apart(name, places, TOPIC_IDS[topic].decode())}
                found = bench.measure(name, rows, questions)
                part = markdown(name, found, rows.count[name], rows.raw[name])
                print(part, flush=True)
                text += part
            bench.close()
    machine = describe(Path(tempfile.gettempdir()))["processor"]
    text += (
        f"\nRows of {origin}. Bytes are those on disk after `OPTIMIZE FINAL`; CPU is ClickHouse's: of inserting "
        f"batches of {BATCH:,} rows as the history writer does, and of `OPTIMIZE FINAL`. Times are medians of "
        f"{chosen.rounds}, of the whole request; beside them the rows read. {machine}; {watch.seconds:.0f} s; others "
        f"kept {watch.other_cores():.1f} cores busy meanwhile.\n"
    )
    print(text.rpartition("\n\n")[2])
    if chosen.markdown:
        page = chosen.markdown.read_text(encoding="utf-8")
        ahead, rest = page.split(BEGIN)
        chosen.markdown.write_text(f"{ahead}{BEGIN}{text}{END}{rest.split(END)[1]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
