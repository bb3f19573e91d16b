"""The history against a real broker and a real chDB: every record one row, whoever is killed when."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from barnabas_quant.bus import MARKET_TOPICS, ensure_topics, partition_counts, read_records
from barnabas_quant.bus.producer import encode
from barnabas_quant.errors import SettingsError
from barnabas_quant.feeds import Simulator
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history import ClickHouseError, migrate
from barnabas_quant.history.migrations import adapted, migrations
from barnabas_quant.history.rows import INTO, TABLES, line, table_and_cells
from barnabas_quant.model import Gap, Kline, OrderBook, Tick, Trade
from barnabas_quant.trading import Engine, EngineSettings
from barnabas_quant.trading.events import Open, Output, Quote, Signal
from barnabas_quant.trading.watch import Rule, Watch

from .conftest import START
from .stores import ClickHouse
from .test_feed import play

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")

PATIENCE = 60.0


class Count(msgspec.Struct):
    rows: int
    different: int


class Sum(msgspec.Struct):
    total: str


@pytest.fixture
def own_kafka() -> Iterator[str]:
    """Give a Kafka of this test's own: the history reads everything."""
    with embedded.Broker() as broker:
        yield broker.bootstrap


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path) as running:
        yield running


class Writer:
    """The history writer as a process."""

    def __init__(self, folder: Path, kafka: str, clickhouse: str) -> None:
        config = folder / "history.toml"
        config.write_text("[history]\nrows = 700\nseconds = 0.2\n")
        self._command = [
            sys.executable, "-m", "barnabas_quant", "run", "history", "--config", str(config), "--kafka", kafka,
            "--clickhouse", clickhouse, "--data", str(folder),
        ]  # fmt: skip
        self._log = folder / "history.log"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        assert self.process.poll() is None, self._log.read_text()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self._log.read_text()


def records_of(kafka: str) -> dict[str, list[tuple[int, int, bytes]]]:
    """Read partition, offset and value of every record of the market topics."""
    found: dict[str, list[tuple[int, int, bytes]]] = {topic: [] for topic in TABLES}
    for message in read_records(kafka, partition_counts(kafka, TABLES)):
        at = (int(message.partition() or 0), int(message.offset() or 0))
        found[str(message.topic())].append((*at, bytes(message.value() or b"")))
    return found


def count(client: Client, table: str, final: str = "") -> Count:
    different = "uniqExact(topic_id, kafka_partition, kafka_offset)"
    return client.rows(f"SELECT count() AS rows, {different} AS different FROM {table} {final}", Count)[0]


def wait_for_rows(client: Client, records: dict[str, list[tuple[int, int, bytes]]]) -> None:
    from .conftest import eventually

    def all_there() -> bool:
        try:
            return all(
                sum(count(client, table).rows for table in TABLES[topic]) >= len(stored)
                for topic, stored in records.items()
            )
        except ClickHouseError:  # no table yet
            return False

    eventually(all_there, PATIENCE)


def assert_equal(client: Client, records: dict[str, list[tuple[int, int, bytes]]]) -> None:
    for topic, stored in records.items():
        for final in ("", "FINAL"):
            counts = [count(client, table, final) for table in TABLES[topic]]
            assert sum(one.rows for one in counts) == len(stored), (topic, final)
            assert sum(one.different for one in counts) == len(stored), (topic, final)
    trades = [json.loads(value) for _, _, value in records[Trade.topic]]
    total = client.rows("SELECT toString(sum(price * quantity)) AS total FROM market_trades", Sum)[0].total
    assert Decimal(total) == sum(Decimal(one["price"]) * Decimal(one["quantity"]) for one in trades)
    quotes = [json.loads(value) for _, _, value in records[Tick.topic]]
    total = client.rows("SELECT toString(sum(bid) + sum(ask)) AS total FROM market_ticks", Sum)[0].total
    assert Decimal(total) == sum(Decimal(one["bid"] or 0) + Decimal(one["ask"] or 0) for one in quotes)


@pytest.mark.long
def test_every_record_is_one_row_whoever_is_killed(tmp_path: Path, own_kafka: str, clickhouse: ClickHouse) -> None:
    ensure_topics(own_kafka)
    capture = tmp_path / "capture.gz"
    write_capture(capture, chain.from_iterable(Simulator(5).minute(n, START + n * 60_000) for n in range(2)))
    writer = Writer(tmp_path, own_kafka, clickhouse.url)
    client = Client(clickhouse.url, 10)
    try:
        play(own_kafka, capture)
        records = records_of(own_kafka)
        for kill in ("writer", "clickhouse", "writer", "both"):
            if kill in ("writer", "both"):
                writer.kill()
            if kill in ("clickhouse", "both"):
                clickhouse.kill()
                clickhouse.start()
            if kill in ("writer", "both"):
                writer.start()
            write_capture(capture, Simulator(hash(kill) % 1000).minute(3, START))
            play(own_kafka, capture)
        records = records_of(own_kafka)
        wait_for_rows(client, records)
        writer.end()
        assert_equal(client, records)
    finally:
        if writer.process.poll() is None:
            writer.kill()
        client.close()


def test_a_record_that_cannot_be_read_becomes_a_dead_letter(
    tmp_path: Path, own_kafka: str, clickhouse: ClickHouse
) -> None:
    ensure_topics(own_kafka)
    good = {"exchange": "binance", "symbol": "X", "trade_id": 1, "price": "1.5", "quantity": "2",
            "buyer_is_maker": True, "event_time": 1, "trade_time": 1, "receive_time": 1}  # fmt: skip
    bad = [
        b"\xff\xfe", b"{", b"[]", b"null", b"",
        json.dumps({**good, "price": "-1"}).encode(),
        json.dumps({**good, "price": 1.5}).encode(),
        json.dumps({**good, "price": "1.123456789"}).encode(),
        json.dumps({**good, "price": "12345678901.0"}).encode(),
        json.dumps({**good, "trade_time": 10**17}).encode(),
        json.dumps({**good, "symbol": ""}).encode(),
        json.dumps({**good, "symbol": 'a"b'}).encode(),
        json.dumps(good).encode() * 2,
        json.dumps({**good, "trade_id": 10**19}).encode(),
    ]  # fmt: skip
    producer = Producer({"bootstrap.servers": own_kafka})
    for number in range(30):  # in another form than the feeds', and with a field that would name another place
        record = {**good, "trade_id": number, "kafka_offset": 7}
        producer.produce(Trade.topic, json.dumps(record).encode(), b"binance:X")
        if number < len(bad):
            producer.produce(Trade.topic, bad[number], b"binance:X")
    producer.flush(20)
    writer = Writer(tmp_path, own_kafka, clickhouse.url)
    client = Client(clickhouse.url, 10)
    try:
        from .conftest import eventually

        letters: list[bytes] = []

        def all_told() -> bool:
            found = read_records(own_kafka, partition_counts(own_kafka, ["market_data.dead_letters"]))
            letters[:] = [bytes(message.value() or b"") for message in found]
            return len(letters) >= len(bad)

        eventually(all_told, PATIENCE)
        assert letters.count(bad[0]) == 1
        assert sorted(letters) == sorted(bad)
        assert count(client, "market_trades").rows == 30
        writer.end()
    finally:
        if writer.process.poll() is None:
            writer.kill()
        client.close()


def test_migrations_are_applied_once(clickhouse: ClickHouse) -> None:
    client = Client(clickhouse.url, 10)
    every = ["0001_market", "0002_codecs_and_index", "0003_trading", "0004_accounts"]
    assert migrate(client) == every
    assert migrate(client) == []
    client.command("INSERT INTO schema_migrations (version, name, checksum) SELECT 1, 'market', 'another'")
    with pytest.raises(SettingsError, match="has changed since"):
        migrate(client)
    client.command("TRUNCATE TABLE schema_migrations")
    assert migrate(client) == every  # each statement can run again
    client.command("INSERT INTO schema_migrations (version, name, checksum) SELECT 99, 'later', 'x'")
    with pytest.raises(SettingsError, match="99"):
        migrate(client)
    client.close()


def test_the_same_files_make_a_replicated_cluster() -> None:
    market, changes, trading, accounts = (migration.statements("prod") for migration in migrations())
    assert (len(market), len(changes), len(trading), len(accounts)) == (6, 15, 4, 7)
    for statement in accounts[:4]:
        assert statement.splitlines()[-1].startswith("ALTER TABLE ") and "ON CLUSTER 'prod'" in statement
    for statement in (*market, *trading, *accounts[4:]):
        assert "ON CLUSTER 'prod'" in statement
        assert "ENGINE = ReplicatedReplacingMergeTree" in statement
    for statement in changes:
        assert re.search(r"^ALTER TABLE \w+ ON CLUSTER 'prod'\n", statement, re.MULTILINE)
    with pytest.raises(SettingsError, match=r"history\.cluster"):
        adapted("x", "a'b")


FORMS = [
    (Tick.topic, {"kind": "quote", "price": None, "bid": "9999999999.99999999", "bid_size": f"{'9' * 30}.99999999",
                  "ask": "0.00000001", "ask_size": "4", "update_id": 10**19 - 1, "event_time": None,
                  "receive_time": 4 * 10**15 - 1}, "market_ticks"),
    (Trade.topic, {"trade_id": 0, "price": "1", "quantity": "0", "buyer_is_maker": True, "event_time": 1,
                   "trade_time": 10**15 - 1, "receive_time": 1, "first_trade_id": None, "last_trade_id": 2**63 + 1},
     "market_trades"),
    (OrderBook.topic, {"type": "diff", "first_update_id": 1, "last_update_id": 2, "previous_update_id": None,
                       "bids": [["1", "0"], ["0.5", "2.5"]], "asks": [], "event_time": 5, "receive_time": 1},
     "market_orderbook_diffs"),
    (OrderBook.topic, {"type": "snapshot", "first_update_id": 1, "last_update_id": 2, "previous_update_id": None,
                       "bids": [["9999999999", f"{'9' * 30}"]], "asks": [["2", "3"]], "event_time": None,
                       "receive_time": 1}, "market_orderbooks"),
    (Kline.topic, {"interval": "1m", "open_time": 1, "close_time": 2, "open": "1", "high": "1", "low": "1",
                   "close": "1", "volume": "0", "quote_volume": "0", "trades": 0, "closed": True, "source": "venue",
                   "event_time": 1, "receive_time": 1}, "market_klines"),
    (Gap.topic, {"stream": "trade", "last_id": None, "next_id": 7, "from_time": 1, "to_time": 2,
                 "cause": "a cause, in words", "filled": False}, "market_gaps"),
]  # fmt: skip
RECORDS = {record.topic: record for record in (Tick, Trade, OrderBook, Kline, Gap)}


NOWHERE = b"00000000-0000-4000-8000-000000000000"


def written(topic: str, fields: dict[str, object], symbol: str = "BTCUSDT") -> bytes:
    return encode(msgspec.convert({"exchange": "binance", "symbol": symbol, **fields}, RECORDS[topic]))


@pytest.mark.parametrize(("topic", "fields", "table"), FORMS)
def test_each_record_has_its_table(topic: str, fields: dict[str, object], table: str) -> None:
    value = written(topic, fields)
    named, cells = table_and_cells(topic, value)
    assert named == table
    columns = INTO[table].partition("(")[2][:-1].replace("`", "").split(", ")
    whole = line(cells, NOWHERE, 3, 4, 5)
    assert whole.endswith(b"\t" + NOWHERE + b"\t3\t4\t5\n")
    found = dict(zip(columns, whole[:-1].split(b"\t"), strict=True))
    for name in found.keys() & fields.keys():
        if isinstance(held := fields[name], str | int | None) and not isinstance(held, bool):
            assert found[name] == (rb"\N" if held is None else str(held).encode()), name
    # Blanks, other order, a field more and letters beyond ASCII: the same columns.
    other = dict(reversed(json.loads(value).items())) | {"symbol": "\u6bd4\u7279\u5e01", "more": {"a": [1]}}
    assert table_and_cells(topic, json.dumps(other, indent=1).encode()) == (
        table, cells.replace(b"BTCUSDT", "\u6bd4\u7279\u5e01".encode())
    )  # fmt: skip
    for name in fields.keys() - {"first_trade_id", "last_trade_id"}:
        less = {key: held for key, held in json.loads(value).items() if key != name}
        with pytest.raises(ValueError, match=name):
            table_and_cells(topic, json.dumps(less).encode())
        with pytest.raises(ValueError, match=name):
            table_and_cells(topic, json.dumps({**less, name: {}}).encode())


def test_amounts_are_written_with_the_places_of_their_columns() -> None:
    fields = {"exchange": "x", "symbol": "y", **FORMS[1][1], "price": "0001.1234567800", "quantity": "0.1000000000"}
    assert b"\t1.12345678\t0.10000000\t" in table_and_cells(Trade.topic, json.dumps(fields).encode())[1]
    for price in ("1.123456789", "12345678901", "-1", "1e5", ".5", "1.", "", "NaN", " 1", "\u0661"):
        with pytest.raises(ValueError, match="price"):
            table_and_cells(Trade.topic, json.dumps({**fields, "price": price}).encode())
    book = {"exchange": "x", "symbol": "y", **FORMS[2][1], "bids": [["1", "2.500000000"], ["-1", "2"]]}
    with pytest.raises(ValueError, match="bids"):
        table_and_cells(OrderBook.topic, json.dumps(book).encode())
    book["bids"] = [["1", "2.500000000"]]
    assert b"\t[(1,2.50000000)]\t" in table_and_cells(OrderBook.topic, json.dumps(book).encode())[1]


def test_clickhouse_stores_the_most_that_a_form_allows(clickhouse: ClickHouse) -> None:
    client = Client(clickhouse.url, 10)
    migrate(client)
    for number, (topic, fields, table) in enumerate(FORMS):
        _, cells = table_and_cells(topic, written(topic, fields, "\u6bd4\u7279\u5e01"))
        client.insert(INTO[table], line(cells, NOWHERE, 3, number, 5), "TabSeparated")
        stored = json.loads(client.rows(f"SELECT formatRow('JSONEachRow', *) AS total FROM {table}", Sum)[0].total)
        assert (stored["symbol"], stored["kafka_offset"], stored["produced"]) == ("\u6bd4\u7279\u5e01", number, 5)
        for name in stored.keys() & fields.keys():
            assert _numbers(stored[name]) == _numbers(fields[name]), (table, name)
    client.close()


def test_clickhouse_stores_what_the_trading_service_tells(clickhouse: ClickHouse) -> None:
    engine = Engine(
        EngineSettings(
            cash={"CNY": 10**14, "USDT": 10**14}, order_type="market", watch=Watch(stop_loss=Rule(warning=10**6)),
        )
    )  # fmt: skip
    key = "binance:BTCUSDT"
    told: list[Output] = []
    for event in (
        Open("o-1", 10**15, "anna"),
        Quote(key, 10**15, 6 * 10**12, 10**8, 6 * 10**12 + 10**6, 10**8),
        Signal(id="s-1", time=10**15, side="BUY", instrument=key, price=6 * 10**12, quantity=10**7, strategy='q"\\'),
        Signal(id="s-2", time=10**15, side="SELL", instrument=key, price=6 * 10**12, quantity=10**8, strategy="\u5747"),
        Signal(id="s-3", time=10**15, side="SELL", instrument=key, price=6 * 10**12, quantity=10**7, strategy=""),
        Signal(
            id="s-4",
            time=10**15,
            side="BUY",
            instrument=key,
            price=6 * 10**12,
            quantity=10**7,
            strategy="",
            account="anna",
        ),
        Quote(key, 10**15 + 10**9, 5 * 10**12, 10**8, 5 * 10**12 + 10**6, 10**8),
    ):
        told += engine.process(event)
    client = Client(clickhouse.url, 10)
    migrate(client)
    counts: Counter[str] = Counter()
    for number, output in enumerate(told):
        if output.topic in TABLES:
            table, cells = table_and_cells(output.topic, msgspec.json.encode(output))
            client.insert(INTO[table], line(cells, NOWHERE, 0, number, 5), "TabSeparated")
            counts[table] += 1
            stored = json.loads(
                client.rows(
                    f"SELECT formatRow('JSONEachRow', *) AS total FROM {table} WHERE kafka_offset = {number}", Sum
                )[0].total
            )  # fmt: skip
            fields = json.loads(msgspec.json.encode(output))
            if "numbers" in fields:
                stored["numbers"] = json.loads(stored["numbers"])
            if not output.topic.startswith("orders"):  # a strategy's name may hold anything; tables hold text
                fields.pop("strategy", None)
            for name in stored.keys() & fields.keys():
                assert _numbers(stored[name]) == _numbers(fields[name]), (table, name)
    assert counts.keys() == {"orders", "fills", "positions", "equity", "trade_decisions", "risk_alerts", "cash_flows"}
    owners = client.rows("SELECT groupUniqArray(account)::String AS total FROM equity", Sum)[0].total
    assert "main" in owners and "anna" in owners
    client.close()


def test_what_was_told_before_there_were_accounts_is_of_the_main_one() -> None:
    old = b'{"seq":1,"time":10,"currency":"USDT","cash":"1","held":"0","positions":"0","equity":"1","peak":"1"}'
    assert table_and_cells("equity", old) == ("equity", b"1\t10\tmain\tUSDT\t1\t0\t0\t1\t1")


def _numbers(held: object) -> object:
    """Make numbers of all that is one, so that 1 and 1.00000000 are the same."""
    if isinstance(held, str) and held.startswith("-"):
        number = _numbers(held[1:])
        return -number if isinstance(number, Decimal) else held
    if isinstance(held, dict):  # a level, with its names
        held = list(held.values())
    if isinstance(held, list | tuple):
        return [_numbers(one) for one in held]
    return Decimal(str(held)) if str(held).replace(".", "").isdigit() else held


def test_the_tables_are_those_of_the_topics() -> None:
    assert {spec.name for spec in MARKET_TOPICS} <= TABLES.keys()
