"""The strategies' service as a process: wrong settings, one that loops and is killed, and all five against a replay."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from barnabas_quant.bus import ensure_topics, read_records
from barnabas_quant.bus.journal import Journal, records_of, stops_of
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.feeds import BITCOIN_AND_OTHERS, BinanceDecoder, Simulator
from barnabas_quant.model import Kline, Record, Trade
from barnabas_quant.model.intervals import SECOND
from barnabas_quant.model.money import total_text, total_units, units
from barnabas_quant.services.strategies import Chosen, make_host
from barnabas_quant.strategies import Host
from barnabas_quant.strategies.hearing import heard_of
from barnabas_quant.strategies.host import Failure, TookTooLong
from barnabas_quant.trading.events import OUTPUTS, Signal
from barnabas_quant.trading.inputs import write_signal

from ..conftest import PATIENCE, START, eventually
from ..trading.test_services import Running, price, records, replayed, tell, waiting
from .common import FIVE

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")


@pytest.fixture
def kafka() -> Iterator[str]:
    """Give a Kafka of this test's own: the trading topics have fixed names."""
    with embedded.Broker() as broker:
        ensure_topics(broker.bootstrap)
        yield broker.bootstrap


def told(kafka: str, topic: str) -> list[bytes]:
    return [bytes(message.value() or b"") for message in read_records(kafka, {topic: 1})]


# Settings

SETTINGS = '[[strategies]]\nname = "{}"\nsymbols = ["{}"]\n'


@pytest.mark.parametrize(
    ("name", "symbol", "more", "text"),
    [
        ("x.py", "BTCUSDT", "", "x.py: there is no such file"),
        ("NONE", "BTCUSDT", "", "no strategy NONE"),
        ("MACD", "BTCUSDT", "parameters = { fast = 99 }", "MACD: fast has to be below slow"),
    ],
)
def test_settings_that_are_wrong_end_it_with_2(tmp_path: Path, name: str, symbol: str, more: str, text: str) -> None:
    config = tmp_path / "barnabas.toml"
    config.write_text(SETTINGS.format(name, symbol) + more)
    command = [sys.executable, "-m", "barnabas_quant", "run", "strategies", "--config", str(config)]
    command += ["--kafka", "127.0.0.1:9", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith(f"barnabas-quant: {text}")


# One that loops

LOOPER = """
from barnabas_quant.strategies import Strategy
from barnabas_quant.model.money import ONE

class Looper(Strategy):
    name = "LOOPER"

    def on_trade(self, trade):
        self.buy(trade.instrument, 100 * ONE, trade.price)
        if trade.price == 1005 * ONE // 100:
            with open("{mark}", "a") as file:  # only so that the test sees how often it was here
                file.write("x")
            while True:
                try:
                    for _ in range(1_000_000):
                        pass
                except {caught}:
                    pass
"""
HONEST = """
from barnabas_quant.strategies import Strategy
from barnabas_quant.model.money import ONE

class Honest(Strategy):
    name = "HONEST"
    heard: int = 0

    def on_trade(self, trade):
        self.heard += 1
        self.buy(trade.instrument, self.heard * 100 * ONE, trade.price)
"""


def replay(kafka: str) -> dict[str, list[bytes]]:
    """Work off the strategies' journal from its first entry, stops and all; give what it says, by topic."""
    said: dict[str, list[bytes]] = {}
    host: Host | None = None
    ended: set[tuple[str, str]] = set()
    ends: dict[tuple[str, str], TookTooLong] = {}

    def call(strategy: str, method: Any, given: Any) -> None:
        if (strategy, method.__name__) in ends:
            ended.add((strategy, method.__name__))
            raise ends[strategy, method.__name__]
        method(*given)

    def tell(outputs: Iterable[Signal | Failure]) -> None:
        for one in outputs:
            value = write_signal(one, "binance") if isinstance(one, Signal) else msgspec.json.encode(one)
            said.setdefault("trade-signal" if isinstance(one, Signal) else one.topic, []).append(value)

    with RangeReader(kafka) as reader:
        entries = list(Journal(kafka, "strategies").read(reader, 0))
        stops = stops_of(entries)
        for entry, messages in records_of(reader, entries):
            if bytes(entry.settings) != b"{}":
                made = make_host(msgspec.json.decode(entry.settings, type=Chosen), call)
                tell(made.start() if host is None else made.load(host.save()))
                host = made
            assert host is not None
            if entry.stop is not None and not entry.stop.within:
                tell(host.stop(entry.stop.who, entry.stop.reason, entry.stop.trace))
            for message in messages:
                place = (str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
                ends.clear()
                ends |= {
                    (stop.who, stop.doing): TookTooLong(stop.reason, stop.trace)
                    for stop in stops.get(entry.n, ())
                    if stop.over == place
                }
                value, produced = bytes(message.value() or b""), int(message.timestamp()[1])
                for event in heard_of(place[0], value, produced, *place[1:], "binance"):
                    tell(host.process(event))
    assert len(ended) == sum(map(len, stops.values()))
    return said


@pytest.mark.long
@pytest.mark.parametrize("caught", ["Exception", "BaseException"])
def test_one_that_loops_is_stopped_once_and_for_all(tmp_path: Path, kafka: str, caught: str) -> None:
    """Killed while it loops, and again when it was stopped: a replay stops it where the journal says, and goes on."""
    mark = tmp_path / "mark"
    (tmp_path / "looper.py").write_text(LOOPER.format(mark=mark, caught=caught))
    (tmp_path / "honest.py").write_text(HONEST)
    settings = "".join(SETTINGS.format(tmp_path / name, "000001") for name in ("looper.py", "honest.py"))
    running = Running(tmp_path, kafka, "strategies", settings)

    def restart() -> None:
        running.kill()
        running.start()

    def here(count: int) -> bool:
        return mark.exists() and len(mark.read_text()) == count

    def send(*cents: int) -> None:
        tell(kafka, "stock-realtime", *(price("000001", n, f"{n / 100:.2f}") for n in cents), partition=1)

    try:
        eventually(lambda: bool(records(kafka, "engine-journal")), PATIENCE)
        send(1001, 1002)
        waiting(kafka, "trade-signal", 4)
        send(1003, 1005, 1006, 1007)
        eventually(lambda: here(1), PATIENCE)
        restart()  # within the loop: nobody has written down that it was too long
        eventually(lambda: here(2), PATIENCE)
        if caught == "BaseException":  # nothing ends that one but the end of its process
            assert running.process.wait(PATIENCE) == 1
            assert "catches what would end it" in running.log.read_text()
            restart()
        (failure,) = waiting(kafka, "strategy-failures", 1)
        waiting(kafka, "trade-signal", 4 + 2 + 3)
        restart()
        send(1005, 1008)
        waiting(kafka, "trade-signal", 4 + 2 + 3 + 2)
        restart()
        send(1009)
        signals = waiting(kafka, "trade-signal", 4 + 2 + 3 + 2 + 1)
        running.end()
    finally:
        running.kill()
    assert here(2)
    assert (failure["strategy"], failure["reason"]) == ("LOOPER", "took longer than 2 s over an event")
    assert "looper.py" in failure["traceback"]
    assert Counter(each["strategy"] for each in signals) == {"LOOPER": 3, "HONEST": 9}
    assert [each["volume"] for each in signals if each["strategy"] == "HONEST"] == [n * 100 for n in range(1, 10)]
    said = replay(kafka)
    assert here(2)  # nor did the replay ask it again
    assert said == {topic: told(kafka, topic) for topic in ("trade-signal", "strategy-failures")}


@pytest.mark.long
def test_one_that_was_stopped_runs_again_once_its_file_is_mended(tmp_path: Path, kafka: str) -> None:
    file = tmp_path / "honest.py"
    file.write_text(HONEST.replace("self.heard += 1", "self.heard += 1; 1 // (3 - self.heard)"))
    running = Running(tmp_path, kafka, "strategies", SETTINGS.format(file, "000001"))
    try:
        eventually(lambda: bool(records(kafka, "engine-journal")), PATIENCE)
        file.write_text("this is not read before the next start")
        tell(kafka, "stock-realtime", *(price("000001", n, "10.00") for n in range(5)), partition=1)
        (failure,) = waiting(kafka, "strategy-failures", 1)
        running.end()
        file.write_text(HONEST)
        running.start()
        eventually(lambda: sum("settings" in each for each in records(kafka, "engine-journal")) == 2, PATIENCE)
        tell(kafka, "stock-realtime", price("000001", 9, "10.00"), partition=1)
        eventually(lambda: len(records(kafka, "trade-signal")) > 2, PATIENCE)
        running.end()
    finally:
        running.kill()
    assert failure["reason"].startswith("ZeroDivisionError")
    assert "self.heard += 1; 1 // (3 - self.heard)" in failure["traceback"]


@pytest.mark.long
def test_one_whose_state_cannot_be_kept_is_stopped_with_the_snapshot(tmp_path: Path, kafka: str) -> None:
    """When a snapshot is made follows from no input: so that it failed stands in the journal, too."""
    file = tmp_path / "forgetful.py"
    file.write_text(HONEST.replace("self.heard += 1", "self.heard += 1.5").replace("self.heard * 100", "100"))
    (tmp_path / "honest.py").write_text(HONEST.replace("HONEST", "OTHER"))
    settings = "".join(SETTINGS.format(tmp_path / name, "000001") for name in ("forgetful.py", "honest.py"))
    running = Running(tmp_path, kafka, "strategies", settings)
    try:
        eventually(lambda: bool(records(kafka, "engine-journal")), PATIENCE)
        tell(kafka, "stock-realtime", price("000001", 1, "10.00"), partition=1)
        (failure,) = waiting(kafka, "strategy-failures", 1)
        for second in (2, 3):
            running.kill()
            running.start()
            tell(kafka, "stock-realtime", price("000001", second, "10.00"), partition=1)
            signals = waiting(kafka, "trade-signal", 1 + second)
        running.end()
    finally:
        running.kill()
    assert failure["reason"].startswith("saving: StateError: HONEST: saved state of heard")
    assert Counter(each["strategy"] for each in signals) == {"HONEST": 1, "OTHER": 3}
    assert replay(kafka) == {topic: told(kafka, topic) for topic in ("trade-signal", "strategy-failures")}


# All five, live and replayed

TRADING = """
[trading]
order_type = "market"
signal_seconds = 100000.0

[trading.limits]
orders_per_second = 100000
"""


def session(seed: int, minutes: int) -> list[Record]:
    """Simulate a market of two, with bars of five seconds that are made of its trades."""
    simulator = Simulator(seed, BITCOIN_AND_OTHERS[:2])
    decoder = BinanceDecoder(simulator.exchange)
    found: list[Record] = []
    open_bars: dict[str, list[Trade]] = {}
    for number in range(minutes):
        for frame in simulator.minute(number, START + number * 60_000):
            for record in decoder.records(frame):
                if isinstance(record, Kline):
                    continue
                found.append(record)
                if isinstance(record, Trade):
                    trades = open_bars.setdefault(record.symbol, [])
                    if trades and record.trade_time // (5 * SECOND) != trades[0].trade_time // (5 * SECOND):
                        found.append(bar(trades))
                        trades.clear()
                    trades.append(record)
    return found


def bar(trades: list[Trade]) -> Kline:
    prices = [units(trade.price) for trade in trades]
    begin = trades[0].trade_time // (5 * SECOND) * 5 * SECOND
    low, high = trades[prices.index(min(prices))].price, trades[prices.index(max(prices))].price
    volume = total_text(sum(total_units(trade.quantity) for trade in trades))
    return Kline(
        exchange=trades[0].exchange, symbol=trades[0].symbol, interval="5s", open_time=begin,
        close_time=begin + 5 * SECOND - 1000, open=trades[0].price, high=high, low=low, close=trades[-1].price,
        volume=volume, quote_volume="0", trades=len(trades), closed=True, source="computed",
        event_time=begin + 5 * SECOND, receive_time=begin + 5 * SECOND,
    )  # fmt: skip


@pytest.mark.long
def test_what_all_five_did_live_is_what_their_journals_give(tmp_path: Path, kafka: str) -> None:
    settings = TRADING
    own = FIVE | {"GRID": (FIVE["GRID"][0], {"step": 1, "lines": 50})}
    for name, (_, parameters) in own.items():
        chosen = ", ".join(f"{key} = {json.dumps(value)}" for key, value in parameters.items() if key != "short")
        settings += f'[[strategies]]\nname = "{name}"\nsymbols = ["BTCUSDT", "ETHUSDT"]\nparameters = {{ {chosen} }}\n'
    services = [Running(tmp_path, kafka, name, settings) for name in ("trading", "strategies")]
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 5})
    market = session(5, 2)
    sent: Counter[str] = Counter()

    def worked_off() -> bool:
        """Tell whether both have taken all of the market, and each other's records as far as they stand."""
        answers = ("fills", "orders")  # all of them hear what becomes of their orders
        there = dict(sent) | {topic: len(told(kafka, topic)) for topic in ("trade-signal", *answers)}
        with RangeReader(kafka) as reader:
            for name in ("trading", "strategies"):
                taken: Counter[str] = Counter()
                for entry in Journal(kafka, name).read(reader, 0):
                    for topic, _, _, count in entry.runs:
                        taken[topic] += count
                if any(taken[topic] != there.get(topic, 0) for topic in taken):
                    return False
                if name == "strategies" and any(taken[topic] != there[topic] for topic in answers):
                    return False
                if name == "trading" and taken["trade-signal"] != there["trade-signal"]:
                    return False
        return all(there[topic] == len(told(kafka, topic)) for topic in answers)

    try:
        eventually(lambda: len(records(kafka, "engine-journal")) >= 2, PATIENCE)
        for first in range(0, len(market), len(market) // 12):
            for record in market[first : first + len(market) // 12]:
                producer.produce(record.topic, msgspec.json.encode(record), record.key, 0)
                sent[record.topic] += 1
            assert producer.flush(20) == 0
            eventually(worked_off, PATIENCE)
        for service in services:
            service.end()
    finally:
        for service in services:
            service.kill()
    fills = Counter(each["strategy"] for each in records(kafka, "fills"))
    assert fills.keys() == FIVE.keys(), fills
    assert min(fills.values()) >= 2, fills
    trading = replayed(kafka, "trading")
    for topic in dict.fromkeys(output.topic for output in OUTPUTS):
        assert told(kafka, topic) == trading.get(topic, []), topic
    assert replay(kafka) == {"trade-signal": told(kafka, "trade-signal")}
    assert told(kafka, "strategy-failures") == []
