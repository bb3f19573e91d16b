"""The analysis services against a real broker: killed in the middle, every bar stands in the topic exactly once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from barnabas_quant.analysis.indicators import create
from barnabas_quant.bus import RecordProducer, ensure_topics, partition_counts, read_records
from barnabas_quant.bus.producer import encode
from barnabas_quant.bus.ranges import Partition, RangeReader
from barnabas_quant.bus.snapshots import VERSION, Snapshot, SnapshotStore
from barnabas_quant.model import Kline, Reading, Trade, units
from barnabas_quant.model.intervals import SECOND, parse_intervals
from barnabas_quant.model.stock import Stock, encode_stock

from ..conftest import eventually
from .common import trade
from .test_candles import sql_bars

SERVICE = """
from barnabas_quant.services.{module} import {base}

class Own({base}):
    name = "{name}"
    group = "{name}"
    snapshot_every = {seconds}
    silence = behind = 1.0
"""


class Runner:
    """Start one service, kill it, start it again.

    It is a static member of its group, unless others are to join: so nobody waits for the one that was killed.
    """

    def __init__(
        self, folder: Path, bootstrap: str, base: str, module: str, seconds: float, name: str | None = None
    ) -> None:
        self.name = name or f"{module}-{uuid.uuid4().hex[:8]}"
        folder = folder / uuid.uuid4().hex
        folder.mkdir()
        self._path = folder / "own.py"
        self._text = {"module": module, "base": base, "name": self.name}
        self._seconds = seconds
        config = folder / "settings.toml"
        client = '"heartbeat.interval.ms" = "200"' if name else '"group.instance.id" = "one"'
        config.write_text(f'computed = ["1s", "1m", "5m"]\n[kafka_client]\n{client}\n')
        self._arguments = ["--config", str(config), "--data", str(folder / "data"), "--kafka", bootstrap]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float | None = None) -> None:
        """Start it, with so many seconds between snapshots."""
        self._path.write_text(SERVICE.format(**self._text, seconds=self._seconds if seconds is None else seconds))
        command = [sys.executable, "-m", "barnabas_quant.cli", "run", str(self._path), *self._arguments]
        environment = {name: value for name, value in os.environ.items() if name != "BARNABAS_QUANT_REPORT"}
        self._process = subprocess.Popen(command, env=environment)

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(30)
        self._process = None
        return code

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


Start = Callable[..., Runner]


@pytest.fixture
def runner(bootstrap: str, tmp_path: Path) -> Iterator[Start]:
    made: list[Runner] = []

    def make(base: str, module: str, seconds: float, name: str | None = None) -> Runner:
        made.append(Runner(tmp_path, bootstrap, base, module, seconds, name))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Topic:
    """Look at the records of some exchanges in a topic, reading on from where the last look ended."""

    def __init__(self, bootstrap: str, kind: Any, exchanges: set[str]) -> None:
        self._bootstrap = bootstrap
        self._kind = kind
        self._exchanges = exchanges
        self._at: dict[Partition, int] = {}
        self._records: list[Any] = []
        self._counts = partition_counts(bootstrap, [kind.topic])

    def records(self) -> list[Any]:
        """Give all records so far, in the order of each partition."""
        with RangeReader(self._bootstrap) as reader:
            places = [(topic, number) for topic, count in self._counts.items() for number in range(count)]
            bounds = reader.bounds(places)
            ranges = {at: (self._at.get(at, low), end) for at, (low, end) in bounds.items()}
            for message in reader.read(ranges):
                record = msgspec.json.decode(bytes(message.value() or b""), type=self._kind)
                if record.exchange in self._exchanges:
                    self._records.append(record)
        self._at = {at: end for at, (_, end) in ranges.items()}
        return self._records

    def closed(self, interval: str | None = None) -> list[Kline]:
        """Give the closed bars so far."""
        return [bar for bar in self.records() if bar.closed and interval in (None, bar.interval)]


def market(exchange: str, seed: int, minutes: int, count: int = 6) -> list[list[Trade]]:
    """Make trades of `count` symbols, in a list for each minute; the last one is long after all others."""
    rng = random.Random(seed)
    symbols = [f"S{n}" for n in range(count)]
    ids = dict.fromkeys(symbols, 0)
    prices = dict.fromkeys(symbols, 10_000)
    start = 1_700_000_100
    stream: list[list[Trade]] = []
    for minute in range(minutes):
        times = sorted(rng.random() * 60 for _ in range(500))
        trades = []
        for offset in times:
            symbol = rng.choice(symbols)
            ids[symbol] += 1
            prices[symbol] += rng.randint(-5, 5)
            price, size = f"{prices[symbol] / 100:.2f}", f"{rng.randint(1, 10**6) / 1000:.3f}"
            trades.append(trade(ids[symbol], start + 60 * minute + offset, price, size, symbol, exchange))
        stream.append(trades)
    end = start + 60 * minutes + 600
    stream.append([trade(ids[symbol] + 1, end, "1", "1", symbol, exchange) for symbol in symbols])
    return stream


@pytest.mark.long
def test_killed_again_and_again(bootstrap: str, runner: Start, tmp_path: Path, seed: int) -> None:
    exchange = f"venue{seed}"
    stream = market(exchange, seed, minutes=6)
    ensure_topics(bootstrap)
    producer = RecordProducer(bootstrap)
    service = runner("Analysis", "analysis", 0.2)

    klines = Topic(bootstrap, Kline, {exchange})

    def send(trades: Sequence[Trade]) -> None:
        for each in trades:
            producer.send(each.key, Trade.topic, encode(each))
        assert producer.flush(20) == 0

    # Without any snapshot, behind one that is older than what was written, and with many of them.
    known = 0
    for minute, seconds in enumerate((60, 0.2, 60, 0.2)):
        service.start(seconds)
        send(stream[minute])
        eventually(lambda known=known: len(klines.closed()) > known)  # type: ignore[misc]
        known = len(klines.closed())
        if minute == 2:
            time.sleep(0.3)  # any moment will do: this one is probably behind a snapshot
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    for trades in stream[4:]:
        send(trades)
    service.start()
    trades = [each for chunk in stream for each in chunk]
    symbols = {each.symbol for each in trades}

    final = 1_700_000_700 * SECOND  # the last five minutes that are closed

    def complete() -> bool:
        return {bar.symbol for bar in klines.closed("5m") if bar.open_time == final} == symbols

    eventually(complete)
    assert service.end(signal.SIGTERM) == 0
    closed = klines.closed()
    identities = Counter((bar.symbol, bar.interval, bar.open_time) for bar in closed)
    assert [identity for identity, count in identities.items() if count > 1] == []
    ends = max(each.trade_time for each in trades)
    intervals = parse_intervals("1s,1m,5m")
    sql = sql_bars(tmp_path / "trades.jsonl", trades, intervals)
    for name, length in ((each.name, each.length) for each in intervals):
        expected = {key: value for key, value in sql[name].items() if key[1] + length <= ends}
        ours = {
            (bar.symbol, bar.open_time): (
                *(units(x) for x in (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume)),
                bar.trades,
            )
            for bar in closed
            if bar.interval == name and bar.trades
        }
        assert ours == expected, name
    check_forming(klines.records())
    check_readings(closed, Topic(bootstrap, Reading, {exchange}).records())


def check_forming(klines: Sequence[Kline]) -> None:
    """Check that a bar never goes back, and that nothing of it comes after it was closed."""
    last: dict[tuple[str, str, int], Kline] = {}
    forming = 0
    for bar in klines:
        key = (bar.symbol, bar.interval, bar.open_time)
        before = last.get(key)
        if before is not None:
            assert not before.closed
            assert bar.trades >= before.trades
            assert bar.event_time >= before.event_time
        forming += not bar.closed
        last[key] = bar
    assert forming > 0


def check_readings(closed: Sequence[Kline], readings: Sequence[Reading]) -> None:
    """Check that each bar of a minute has one reading, with the averages of the closes before it."""
    minutes = [bar for bar in closed if bar.interval == "1m"]
    expected: dict[tuple[str, int], float] = {}
    averages: dict[str, Any] = {}
    for bar in minutes:
        average = averages.setdefault(bar.symbol, create("sma", period=5))
        value = average.update(float(bar.close))
        if value is not None:
            expected[bar.symbol, bar.open_time] = value
    ours = [(each.symbol, each.open_time) for each in readings if each.interval == "1m"]
    assert len(ours) == len(set(ours))
    assert {key: value for each in readings if each.interval == "1m" for key, value in [
        ((each.symbol, each.open_time), each.values["ma5"])]} == expected  # fmt: skip
    assert expected


@pytest.mark.long
def test_partitions_change_hands(bootstrap: str, runner: Start, tmp_path: Path, seed: int) -> None:
    """A second member takes half of the partitions over and gives them back; bars go on without a break."""
    exchange = f"venue{seed}"
    stream = market(exchange, seed, minutes=3, count=40)  # so many that each member has some
    ensure_topics(bootstrap)
    producer = RecordProducer(bootstrap)
    one = runner("Analysis", "analysis", 60, f"analysis-{uuid.uuid4().hex[:8]}")
    one.start()
    for each in stream[0]:
        producer.send(each.key, Trade.topic, encode(each))
    producer.flush(20)
    klines = Topic(bootstrap, Kline, {exchange})
    eventually(lambda: bool(klines.records()))
    two = runner("Analysis", "analysis", 60, one.name)
    two.start()
    store = SnapshotStore(bootstrap, one.name, 12)
    places = [(Trade.topic, number) for number in range(12)]
    eventually(lambda: any(store.read(places).values()))  # the first member has given some up
    for each in stream[1]:
        producer.send(each.key, Trade.topic, encode(each))
    producer.flush(20)
    assert one.end(signal.SIGTERM) == 0
    for trades in stream[2:]:
        for each in trades:
            producer.send(each.key, Trade.topic, encode(each))
    producer.flush(20)
    symbols = {each.symbol for each in stream[0]}
    last_minute = 1_700_000_100 + 60 * 3 + 540

    def complete() -> bool:
        return {bar.symbol for bar in klines.closed("1m") if bar.open_time == last_minute * SECOND} == symbols

    eventually(complete)
    assert two.end(signal.SIGTERM) == 0
    closed = klines.closed("1m")
    identities = Counter((bar.symbol, bar.open_time) for bar in closed)
    assert set(identities.values()) == {1}
    trades = [each for chunk in stream for each in chunk]
    expected = sql_bars(tmp_path / "trades.jsonl", trades, parse_intervals("1m"))["1m"]
    ends = max(each.trade_time for each in trades)
    assert {(bar.symbol, bar.open_time): bar.trades for bar in closed if bar.trades} == {
        key: value[-1] for key, value in expected.items() if key[1] + 60 * SECOND <= ends
    }


def test_bad_records_and_a_live_market_that_falls_silent(bootstrap: str, runner: Start, seed: int) -> None:
    """Bad records go to the dead letters; the wall clock closes the bars of a market where nothing more is traded."""
    exchange = f"venue{seed}"
    ensure_topics(bootstrap)
    producer = RecordProducer(bootstrap)
    good = trade(5, 1_700_000_100, exchange=exchange)
    key = good.key
    bad = {
        b"{": "truncated",
        b"": "truncated",
        b"\xff\xfe": "",
        b'{"exchange":"%s"}' % exchange.encode(): "missing required field `symbol`",
        b'{"x":' + b"[" * 200_000: "",
        encode(good).replace(b'"S"', b'"\\ud800"'): "surrogate",
        encode(good).replace(b'"S"', b'""'): "length",
        encode(good).replace(b'"S"', b'"%s"' % (b"S" * 65)): "length",
        encode(good): "duplicate",
        encode(trade(6, 1_700_000_100, "0", exchange=exchange)): "a price of 0",
        encode(trade(6, 1_700_000_100, "-5", exchange=exchange)): "not a plain decimal",
        encode(trade(6, 9e9, exchange=exchange, received=1_700_000_100)): "future",
        encode(trade(6, 9e9, exchange=exchange, received=9e9)): "future",
        encode(trade(6, 9e10, exchange=exchange, received=9e10)): "trade_time",
        encode(trade(6, -1, exchange=exchange)): "trade_time",
        encode(trade(2**62, 1_700_000_101, exchange=exchange)): "trade_id",
        encode(trade(-1, 1_700_000_101, exchange=exchange)): "trade_id",
    }
    for value in (encode(good), *bad, encode(trade(7, 1_700_000_161, exchange=exchange)),
                  encode(trade(8, 1_700_000_240, exchange=exchange))):  # fmt: skip
        producer.send(key, Trade.topic, value)
    now = int(time.time())
    for number in range(3):
        each = trade(number + 1, now - 3 + number, str(100 + number), exchange=f"{exchange}live")
        producer.send(each.key, Trade.topic, encode(each))
    producer.flush(20)
    service = runner("Analysis", "analysis", 5)
    service.start()
    klines, live = Topic(bootstrap, Kline, {exchange}), Topic(bootstrap, Kline, {f"{exchange}live"})
    eventually(lambda: bool(klines.closed("1m")) and len(live.closed("1s")) >= 3)
    assert service.end(signal.SIGTERM) == 0
    closes = [(bar.open_time // SECOND - now, float(bar.close)) for bar in live.closed("1s")]
    assert closes[:3] == [(-2, 101.0), (-1, 102.0), (0, 102.0)]
    letters = {}
    topic = "market_data.dead_letters"
    for message in read_records(bootstrap, partition_counts(bootstrap, [topic])):
        headers = dict(message.headers() or [])
        if message.key() == key and headers["service"] == service.name.encode():
            letters[bytes(message.value() or b"")] = headers["reason"].decode()
    assert letters.keys() == bad.keys()
    for value, reason in bad.items():
        assert reason in letters[value]
    assert [(bar.open_time // SECOND, bar.trades) for bar in klines.closed("1m")] == [(1_700_000_160, 1)]


def test_the_last_snapshot_of_a_service_is_found(bootstrap: str) -> None:
    ensure_topics(bootstrap)
    places = [("a", 3), ("b", 3), ("a", 4)]
    name = f"service-{uuid.uuid4().hex[:8]}"
    store, other = SnapshotStore(bootstrap, name, 12), SnapshotStore(bootstrap, f"{name}-2", 12)
    assert store.read(places) == dict.fromkeys(places)
    for number in range(3):
        store.put(("a", 3), Snapshot(VERSION, number, {"k": [number]}, {"state": b"x" * 100_000}))
    for number in range(200):
        other.put(("a", 3), Snapshot(VERSION, number, {}, {}))
    store.put(("b", 3), Snapshot(VERSION + 1, 5, {}, {}))
    assert store.flush(20)
    assert other.flush(20)
    expected = Snapshot(VERSION, 2, {"k": [2]}, {"state": b"x" * 100_000})
    assert store.read(places) == {("a", 3): expected, ("b", 3): None, ("a", 4): None}
    garbage = RecordProducer(bootstrap)
    garbage.send(f"{name} a-3".encode(), "analysis-state", b"\x95\x01\xff", partition=3)
    garbage.flush(20)
    assert store.read(places)["a", 3] is None


def test_shares(bootstrap: str, runner: Start) -> None:
    """Both formats of time, records typed by hand, both exchanges: minutes in sessions, and their averages."""
    ensure_topics(bootstrap)
    producer = RecordProducer(bootstrap)
    code = f"60{uuid.uuid4().int % 10_000:04d}"
    day = "2025-10-08"
    prices = []
    for minute in range(30, 56):
        price = f"{10 + minute / 100:.2f}"
        prices.append(float(price))
        stock = Stock(symbol=code, price=price, volume="100", time=f"{day} 10:{minute:02d}:03")
        producer.send(stock.key, Stock.topic, encode_stock(stock), partition=0)
    late = Stock(symbol=code, price="10.00", time=f"{day} 15:00:01")
    producer.send(late.key, Stock.topic, encode_stock(late), partition=0)
    other = {"symbol": "00700", "price": 320.4, "time": "14:30:00"}
    producer.send(b"00700", Stock.topic, msgspec.json.encode(other), partition=2)
    producer.flush(20)
    service = runner("StockAnalysis", "stock_analysis", 5)
    service.start()

    klines = Topic(bootstrap, Kline, {"sse"})

    def bars() -> list[Kline]:
        return [bar for bar in klines.closed("1m") if bar.symbol == code]

    # The day is over by the stream's own clock and nothing more comes: its last bar is closed all the same.
    eventually(lambda: any(bar.close == "10.00000000" for bar in bars()))
    assert service.end(signal.SIGTERM) == 0
    minutes = bars()
    assert [bar.trades for bar in minutes[:25]] == [1] * 25
    assert minutes[0].open_time // SECOND == 1_759_890_660  # 10:31, the minute after the first record's
    assert len(minutes) == 59 + 120  # to 11:30, and from 13:00 to 15:00
    readings = [each for each in Topic(bootstrap, Reading, {"sse"}).records() if each.symbol == code]
    values = {each.open_time: each.values for each in readings if each.interval == "1m"}
    at = minutes[24].open_time
    for label, count in (("ma5", 5), ("ma10", 10), ("ma20", 20)):
        assert values[at][label] == pytest.approx(sum(prices[-count:]) / count, rel=1e-12)
