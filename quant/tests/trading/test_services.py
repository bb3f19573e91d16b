"""The trading services on a real broker: signals by hand and by strategies, killed at any moment, each order once."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from barnabas_quant.bus import ensure_topics, partition_counts, read_records
from barnabas_quant.bus.journal import AT, Journal, records_of
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.topics import DEAD_LETTERS
from barnabas_quant.model.stock import Stock, encode_stock
from barnabas_quant.services.strategies import Chosen, make_host
from barnabas_quant.services.trading import TradingSettings
from barnabas_quant.trading.engine import Engine
from barnabas_quant.trading.events import OUTPUTS, Clock, Fill, Signal
from barnabas_quant.trading.inputs import inputs_of, write_signal

from ..conftest import PATIENCE, eventually

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")

SECOND = 1_000_000
OPENED = 1_759_973_400 * SECOND  # 2025-10-09 09:30:00 in Shanghai


@pytest.fixture
def own_kafka() -> Iterator[str]:
    """Give a Kafka of this test's own: the trading topics have fixed names."""
    with embedded.Broker() as broker:
        ensure_topics(broker.bootstrap)
        yield broker.bootstrap


class Running:
    """A service as a process."""

    def __init__(self, folder: Path, kafka: str, name: str, settings: str = "") -> None:
        config = folder / f"{name}.toml"
        config.write_text(settings)
        self._command = [
            sys.executable, "-m", "barnabas_quant", "run", name, "--config", str(config), "--kafka", kafka, "--data",
            str(folder),
        ]  # fmt: skip
        self.log = folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(PATIENCE) == 0, self.log.read_text()


def records(kafka: str, topic: str) -> list[dict[str, Any]]:
    return [json.loads(m.value() or b"{}") for m in read_records(kafka, partition_counts(kafka, [topic]))]


def waiting(kafka: str, topic: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = records(kafka, topic)
        return len(found) >= count

    eventually(there, PATIENCE)
    return found


def tell(kafka: str, topic: str, *values: bytes, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(20) == 0


def price(symbol: str, second: int, text: str, volume: str = "10000") -> bytes:
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(OPENED // SECOND + second + 8 * 3600))
    return encode_stock(Stock(symbol=symbol, price=text, volume=volume, time=clock))


# The seed's exercise 2, typed by hand.
BUY = b'{"signal":"BUY","symbol":"000001","price":10.50,"volume":1000,"strategy":"MA_CROSS"}'
SELL = b'{"signal":"SELL","symbol":"600519","price":1690.00,"volume":100,"strategy":"MACD"}'


def test_signals_typed_by_hand(tmp_path: Path, own_kafka: str) -> None:
    trading = Running(tmp_path, own_kafka, "trading")
    try:
        waiting(own_kafka, AT[0], 1)
        bad = [
            b"no JSON", b"", b"[1]", BUY.replace(b"1000", b"-1000"), BUY.replace(b"BUY", b"HOLD"),
            BUY.replace(b'"000001"', b'"43"'), BUY.replace(b'"price":10.50,', b""), BUY.replace(b"10.50", b'"10.50"'),
            BUY.replace(b"}", b',"time":1}'), BUY.replace(b"1000", b"5"),
        ]  # fmt: skip
        tell(own_kafka, "stock-realtime", price("000001", 1, "10.40"), partition=1)
        waiting(own_kafka, "equity", 1)
        tell(own_kafka, "trade-signal", BUY, SELL, *bad)
        decisions = waiting(own_kafka, "trade-decisions", 2 + len(bad))
        tell(own_kafka, "stock-realtime", price("000001", 5, "10.41"), partition=1)
        fill = waiting(own_kafka, "fills", 1)[0]
        trading.end()
    finally:
        trading.kill()
    assert (fill["order"], fill["price"], fill["quantity"], fill["fee"]) == ("trade-signal-0-0", "10.41", "1000", "5")
    assert [each["verdict"] for each in decisions] == ["accepted", "accepted"] + ["rejected"] * len(bad)
    assert all(each["reason"] for each in decisions[2:])
    assert {each["rule"] for each in decisions[2:]} == {"record", "symbol", "stale", "size"}
    orders = records(own_kafka, "orders")
    ends = {each["order"]: (each["status"], each["reason"]) for each in orders}
    assert ends["trade-signal-0-0"] == ("filled", "")
    assert ends["trade-signal-0-1"][0] == "rejected"  # nothing of it is there to be sold
    assert "position" in ends["trade-signal-0-1"][1]


def test_what_would_break_the_engine_is_told_and_passed_over(tmp_path: Path, own_kafka: str) -> None:
    """Once it is in the journal it is worked off again after each crash: nothing in a record may end the service."""

    def place(instrument: str, amount: int) -> bytes:
        request = {"instrument": instrument, "side": "BUY", "type": "limit", "quantity": amount, "price": amount}
        return json.dumps({"type": "Place", "id": "", "time": 0, "request": request}).encode()

    stamp = time.time_ns() // 1000
    trade = {"exchange": "binance", "symbol": "BTCUSDT", "trade_id": 1, "price": "0", "quantity": "1",
             "buyer_is_maker": True, "event_time": stamp, "trade_time": stamp, "receive_time": stamp}  # fmt: skip
    trading = Running(tmp_path, own_kafka, "trading")
    try:
        waiting(own_kafka, AT[0], 1)
        tell(own_kafka, "market_data.trades", json.dumps(trade).encode())
        tell(own_kafka, "stock-realtime", price("000001", 1, "10.40").replace(b"2025", b"2095"), partition=1)
        tell(own_kafka, "trade-commands", place("sse:000001", 10**10), place("binance:BTCUSDT", 10**4000))
        tell(
            own_kafka, "trade-signal", BUY.replace(b"}", b',"exchange":"' + b"e" * 600_000 + b'"}'),
            BUY.replace(b"}", b',"time":%d}' % (stamp * 1000)),
        )  # fmt: skip
        waiting(own_kafka, "trade-decisions", 3)
        waiting(own_kafka, DEAD_LETTERS.name, 3)
        trading.kill()
        trading.start()
        tell(own_kafka, "stock-realtime", price("000001", 2, "10.40"), partition=1)
        tell(own_kafka, "trade-signal", BUY)
        decisions = waiting(own_kafka, "trade-decisions", 4)
        trading.end()
    finally:
        trading.kill()
    assert {(each["rule"], each["verdict"]) for each in decisions[:3]} == {
        ("symbol", "rejected"), ("record", "rejected"),
    }  # fmt: skip
    assert decisions[3]["verdict"] == "accepted" and decisions[3]["time"] < stamp + 600 * SECOND


def replayed(kafka: str, service: str) -> dict[str, list[bytes]]:
    """Work off a service's journal from its first entry, and give what it says, by topic."""
    said: dict[str, list[bytes]] = {}
    engine: Any = None
    primary = "binance"
    with RangeReader(kafka) as reader:
        entries = list(Journal(kafka, service).read(reader, 0))
        for entry, messages in records_of(reader, entries):
            if bytes(entry.settings) != b"{}":
                assert engine is None
                if service == "trading":
                    chosen = msgspec.json.decode(entry.settings, type=TradingSettings)
                    engine, primary = Engine(chosen.engine), chosen.primary
                else:
                    engine = make_host(msgspec.json.decode(entry.settings, type=Chosen))
                    assert engine.start() == []
            for message in messages:
                for event in inputs_of(
                    message.topic(), message.value(), message.timestamp()[1], message.partition(), message.offset(),
                    primary,
                ):  # fmt: skip
                    if service == "trading" and isinstance(event, Fill):
                        continue
                    for output in engine.process(event):
                        value = write_signal(output, primary) if isinstance(output, Signal) else None
                        topic = "trade-signal" if value else output.topic
                        said.setdefault(topic, []).append(value or msgspec.json.encode(output))
            if entry.clock and service == "trading":
                for output in engine.process(Clock(engine.time, entry.clock)):
                    said.setdefault(output.topic, []).append(msgspec.json.encode(output))
    return said


STRATEGIES = """
[trading]
order_type = "market"
signal_seconds = 100000.0  # the signals of strategies that were down come late, and all at once

[trading.limits]
orders_per_second = 100000

[trading.watch]
trailing_stop = {{warning = "0.001"}}
silent = {{warning = "0.5"}}

[[strategies]]
name = "{file}"
symbols = ["000001", "600000"]
"""

# It buys on every third price that rises, and sells what it has on every third that falls.
FOLLOWER = """
from barnabas_quant.strategies import Strategy
from barnabas_quant.model.money import ONE

class Follower(Strategy):
    name = "FOLLOWER"
    last: dict[str, int] = {}
    heard: int = 0

    def on_trade(self, trade):
        before = self.last.get(trade.instrument)
        self.last[trade.instrument] = trade.price
        self.heard += 1
        if before is None or self.heard % 3:
            return
        held = self.positions.get(trade.instrument, 0)
        if trade.price > before:
            self.buy(trade.instrument, 100 * ONE, trade.price)
        elif trade.price < before and held >= 100 * ONE:
            self.sell(trade.instrument, 100 * ONE, trade.price)
"""


def run_a_session(tmp_path: Path, kafka: str, prices: int, kills: int) -> None:
    """Play prices while both services run and are killed; hold the topics against a replay of the journals."""
    file = tmp_path / "follower.py"
    file.write_text(FOLLOWER)
    settings = STRATEGIES.format(file=file)
    services = [Running(tmp_path, kafka, name, settings) for name in ("trading", "strategies")]
    dice = random.Random(kills)
    try:
        eventually(lambda: len(records(kafka, AT[0])) >= 2, PATIENCE)
        level = {"000001": 1000, "600000": 2000}
        heard = 0

        def worked_off() -> bool:
            taken = {"trading": 0, "strategies": 0}
            with RangeReader(kafka) as reader:
                for name in taken:
                    for entry in Journal(kafka, name).read(reader, 0):
                        taken[name] += sum(run[3] for run in entry.runs if run[0] == "stock-realtime")
            return all(count == heard for count in taken.values())

        for stretch in range(max(1, kills)):
            for number in range(stretch * prices // max(1, kills), (stretch + 1) * prices // max(1, kills)):
                symbol, partition = ("000001", 1) if dice.random() < 0.5 else ("600000", 0)
                level[symbol] += dice.choice((-1, 0, 1))
                text = f"{level[symbol] // 100}.{level[symbol] % 100:02d}"
                tell(kafka, "stock-realtime", price(symbol, number, text), partition=partition)
                heard += 1
                if kills and dice.random() < 2 * kills / prices:
                    service = dice.choice(services)
                    service.kill()
                    service.start()
            eventually(worked_off, PATIENCE)  # or all signals would come when the last price is long gone
        tell(kafka, "stock-realtime", price("000001", prices, "10.00"), partition=1)
        tell(kafka, "stock-realtime", price("600000", prices, "20.00"), partition=0)
        heard += 2
        eventually(worked_off, PATIENCE)
        signals = len(records(kafka, "trade-signal"))
        eventually(lambda: len(records(kafka, "trade-decisions")) >= signals, PATIENCE)
        for service in services:
            service.end()
    finally:
        for service in services:
            service.kill()
    fills = records(kafka, "fills")
    ends = Counter((each["status"], each["reason"][:40]) for each in records(kafka, "orders"))
    assert len(fills) > prices // 30, ends
    orders = [each["order"] for each in records(kafka, "orders") if each["step"] == "new"]
    assert len(orders) == len(set(orders)) == signals
    assert orders == [f"trade-signal-0-{number}" for number in range(signals)]
    trading = replayed(kafka, "trading")
    for topic in dict.fromkeys(output.topic for output in OUTPUTS):
        told = [bytes(m.value() or b"") for m in read_records(kafka, {topic: 1})]
        assert told == trading.get(topic, []), topic
    assert "trailing_stop" in {each["rule"] for each in records(kafka, "risk-alerts")}
    seqs = [json.loads(value)["seq"] for values in trading.values() for value in values]
    assert sorted(seqs) == list(range(len(seqs)))
    told = [bytes(m.value() or b"") for m in read_records(kafka, {"trade-signal": 1})]
    assert told == replayed(kafka, "strategies")["trade-signal"]


def test_what_was_told_is_what_the_journal_gives(tmp_path: Path, own_kafka: str) -> None:
    run_a_session(tmp_path, own_kafka, 300, 0)


@pytest.mark.long
def test_killed_again_and_again_no_order_is_lost_or_doubled(tmp_path: Path, own_kafka: str) -> None:
    run_a_session(tmp_path, own_kafka, 1200, 8)
