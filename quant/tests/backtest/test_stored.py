"""Histories in a real ClickHouse against the records they were made from, read as the live services read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from barnabas_quant.backtest.sources import SourceError, Wanted, nothing_found, read
from barnabas_quant.backtest.stored import Stored
from barnabas_quant.bus.producer import encode
from barnabas_quant.cli import main
from barnabas_quant.feeds import SPOT, BinanceDecoder, Simulator
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history import migrate
from barnabas_quant.history.rows import INTO, line, table_and_cells
from barnabas_quant.model.intervals import MINUTE
from barnabas_quant.model.records import Kline, OrderBook, Record, Tick, Trade
from barnabas_quant.trading.events import Bar, Depth, MarketEvent, Print, Quote
from barnabas_quant.trading.inputs import inputs_of

from ..stores import ClickHouse

START = 1_700_000_040_000
BEGIN = START * 1000
TOPIC_ID = b"00000000-0000-0000-0000-00000000002a"
KEYS = ("binance:BTCUSDT", "binance:ETHUSDT")


BEFORE = 40  # minutes for which there are candles of the venue alone


def klines(symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), since: int = 0) -> Iterator[Kline]:
    for n in range(since, 30):
        for symbol in symbols:
            for source in ("computed", "venue") if n >= 0 else ("venue",):
                for closed in (False, True):
                    yield Kline(
                        exchange="binance", symbol=symbol, interval="1m", open_time=BEGIN + n * MINUTE,
                        close_time=BEGIN + (n + 1) * MINUTE - 1000, open=f"{100 + n}", high=f"{103 + n}.5",
                        low="99", close=f"{101 + n}", volume="12.5", quote_volume="1", trades=3, closed=closed,
                        source="computed" if source == "computed" else "venue", event_time=BEGIN, receive_time=BEGIN,
                    )  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, dict[tuple[str, int], list[Record]]]]:
    """Give a ClickHouse with a minute of two instruments, some rows twice, and the records by their partitions."""
    decoder, random = BinanceDecoder(SPOT), Random(1)
    places: dict[tuple[str, int], list[Record]] = {}
    records = [record for frame in Simulator(9).minute(0, START) for record in decoder.records(frame)]
    for record in [*[one for one in records if not isinstance(one, Kline)][:3000], *klines()]:
        if f"{record.exchange}:{record.symbol}" in KEYS:
            places.setdefault((record.topic, KEYS.index(f"{record.exchange}:{record.symbol}")), []).append(record)
    with ClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        client = Client(running.url, 30)
        migrate(client)
        rows: dict[str, list[bytes]] = {}
        for (topic, partition), held in places.items():
            for offset, record in enumerate(held):
                table, cells = table_and_cells(topic, encode(record))
                for _ in range(2 if random.random() < 0.1 else 1):
                    rows.setdefault(table, []).append(line(cells, TOPIC_ID, partition, offset, 5))
        for table, lines in rows.items():
            random.shuffle(lines)
            half = len(lines) // 2
            client.insert(INTO[table], b"".join(lines[:half]), "TabSeparated")
            client.insert(INTO[table], b"".join(lines[half:]), "TabSeparated")
        yield client, places
        client.close()


def expected(places: dict[tuple[str, int], list[Record]], wanted: Wanted) -> list[MarketEvent]:
    found: list[tuple[int, str, int, int, MarketEvent]] = []
    for (topic, partition), records in places.items():
        for offset, record in enumerate(records):
            for event in inputs_of(topic, encode(record), 5, partition, offset, "binance"):
                assert isinstance(event, Quote | Print | Bar | Depth)
                if type(event) in wanted.kinds and wanted.since <= event.time < wanted.until:
                    found.append((event.time, topic, partition, offset, event))
    return [event for *_, event in sorted(found, key=lambda one: one[:4])]


@pytest.mark.parametrize("page", [7, 50_000])
@pytest.mark.parametrize("kinds", [{Quote}, {Print, Bar}, {Quote, Print, Bar, Depth}])
def test_events_are_those_of_the_topics_in_their_order(
    stored: tuple[Client, dict[tuple[str, int], list[Record]]], kinds: set[type], page: int
) -> None:
    client, places = stored
    if page == 7 and len(kinds) == 4:
        page = 97
    for since, until in ((0, 2**62), (BEGIN + 5_000_000, BEGIN + 5 * MINUTE)):
        wanted = Wanted(instruments=KEYS, kinds=frozenset(kinds), since=since, until=until, interval="1m")
        if page != 50_000 and not since:
            continue
        found = list(read([Stored(client, page)], wanted))
        right = expected(places, wanted)
        assert right and found == right


def test_bars_before_a_time(stored: tuple[Client, dict[tuple[str, int], list[Record]]]) -> None:
    client, _ = stored
    since = BEGIN + 20 * MINUTE
    wanted = Wanted(instruments=KEYS, kinds=frozenset((Bar,)), since=since)
    found = list(read([Stored(client)], wanted, 4))
    assert [event.time for event in found if event.time < since] == [
        since - n * MINUTE for n in (4, 3, 2, 1) for _ in KEYS
    ]  # fmt: skip
    assert len([event for event in found if event.time >= since]) == 11 * 2


def test_candles_of_the_venue_stand_before_the_first_computed_bar(tmp_path: Path) -> None:
    fetched = [kline for kline in klines(("SOLUSDT",), -BEFORE) if kline.closed]
    alone = [kline for kline in klines(("XRPUSDT",)) if kline.closed and kline.source == "venue"]
    month, longer = (msgspec.structs.replace(fetched[0], interval=interval) for interval in ("1M", "5m"))
    with ClickHouse(tmp_path) as running:
        client = Client(running.url, 30)
        migrate(client)
        lines = []
        twice = fetched[:3]  # by the venue
        for offset, kline in enumerate([*fetched, *twice, month, longer, *alone]):
            lines.append(line(table_and_cells(Kline.topic, encode(kline))[1], TOPIC_ID, 0, offset, 5))
        client.insert(INTO["market_klines"], b"".join(lines), "TabSeparated")
        for page in (7, 50_000):
            wanted = Wanted(instruments=("binance:SOLUSDT",), kinds=frozenset((Bar,)))
            bars = list(read([Stored(client, page)], wanted))
            assert [bar.time for bar in bars] == [BEGIN + (n + 1) * MINUTE for n in range(-BEFORE, 30)]
            wanted = Wanted(instruments=("binance:XRPUSDT",), kinds=frozenset((Bar,)), interval="1m")
            assert len(list(read([Stored(client, page)], wanted))) == 30
        source = Stored(client)
        since = BEGIN + 2 * MINUTE
        wanted = Wanted(instruments=("binance:SOLUSDT",), kinds=frozenset((Bar,)), since=since)
        assert source.before(wanted, 10) == since - 10 * MINUTE
        assert any("binance:SOLUSDT 1m bars: 70" in held for held in source.holds())
        client.close()


def test_the_command_reads_them(
    stored: tuple[Client, dict[tuple[str, int], list[Record]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, _ = stored
    url = client._address.where + "default"
    code = main(
        ["backtest", "MA_CROSS", "--symbols", "BTCUSDT,ETHUSDT", "--param", "fast=2", "slow=3", "--clickhouse", url,
         "--data", str(tmp_path), "--from", "2023-11-14T22:20", "--out", str(tmp_path / "out")]
    )  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "MA_CROSS on binance:BTCUSDT, binance:ETHUSDT: " in said.out
    assert json.loads((tmp_path / "out" / "report.json").read_bytes())["events"] > 40


def test_what_there_is_is_said(stored: tuple[Client, dict[tuple[str, int], list[Record]]]) -> None:
    client, places = stored
    source = Stored(client)
    wanted = Wanted(instruments=("binance:XRPUSDT",), kinds=frozenset((Bar,)))
    assert list(read([source], wanted)) == []
    said = str(nothing_found([source], wanted))
    assert "binance:BTCUSDT 1m bars: 30," in said
    trades = {record.symbol for (topic, _), held in places.items() if topic == Trade.topic for record in held}
    assert all(f"binance:{symbol} trades" in said for symbol in trades)
    assert "binance:BTCUSDT quotes" in said
    assert {Tick.topic, OrderBook.topic} <= {topic for topic, _ in places}
    with pytest.raises(SourceError, match="not an interval"):
        list(read([source], Wanted(instruments=KEYS, kinds=frozenset((Bar,)), interval="1 minute")))
