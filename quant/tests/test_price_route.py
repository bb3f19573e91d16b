"""The way back to an answer: records through the real writers into real stores, which are then killed in turn."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis

from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.cache import tick_key
from barnabas_quant.model.markets import listing_of
from barnabas_quant.model.stock import Stock
from barnabas_quant.service import ConsumerService, Context, Status
from barnabas_quant.services.cache import CacheWriter
from barnabas_quant.services.history import HistoryWriter
from barnabas_quant.settings import History, Settings

from .conftest import eventually
from .stores import ClickHouse, Valkey
from .test_cache_service import book, kline, tick
from .test_gateway import Served, ask, event, served

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")


class Way:
    """Stores, writers and a gateway of one test module's own, as the topics have fixed names."""

    def __init__(self, valkey: Valkey, clickhouse: ClickHouse, gateway: Served, settings: Settings) -> None:
        self.valkey, self.clickhouse, self.gateway = valkey, clickhouse, gateway
        self._settings = settings

    def price(self, symbol: str, **parameters: str) -> dict[str, Any]:
        answer = self.gateway.get(f"price/{symbol}", **parameters)
        found: dict[str, Any] = answer.json()
        return found if answer.status_code == 200 else {"source": answer.status_code, **found}

    def where(self, symbol: str, **parameters: str) -> tuple[object, object]:
        found = self.price(symbol, **parameters)
        return found["source"], found.get("unavailable")

    def stock(self, record: str, symbol: str) -> None:
        """Write a record of shares as it stands, where its market's records lie."""
        at = listing_of(symbol).partition(3)
        self.gateway.producer.produce(Stock.topic, record.encode(), symbol.encode(), at)
        assert self.gateway.producer.flush(20) == 0

    @contextmanager
    def writing(self, *kinds: Callable[[Context], ConsumerService]) -> Iterator[list[ConsumerService]]:
        stop, bootstrap = threading.Event(), self._settings.bootstrap
        services = [kind(Context(self._settings, stop, Status(), DeadLetters(bootstrap, "x"))) for kind in kinds]
        threads = [threading.Thread(target=service.run) for service in services]
        for thread in threads:
            thread.start()
        try:
            yield services
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        assert not any(thread.is_alive() for thread in threads)


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with ExitStack() as stack:
        kafka = stack.enter_context(embedded.Broker()).bootstrap
        valkey = stack.enter_context(Valkey(tmp_path_factory.mktemp("valkey")))
        clickhouse = ClickHouse(tmp_path_factory.mktemp("clickhouse"))
        stack.enter_context(clickhouse)
        gateway = stack.enter_context(served(kafka, valkey.url, clickhouse.url))
        settings = Settings(kafka=kafka, redis=valkey.url, clickhouse=clickhouse.url, history=History(seconds=0.1))
        yield Way(valkey, clickhouse, gateway, settings)


def test_a_share_is_priced_from_redis_and_from_its_topic(way: Way) -> None:
    way.stock('{"symbol":"SH600519","price":1680.00,"time":"2019-02-11 09:30:00"}', "600519")
    assert way.price("600519")["source"] == 404  # of the primary venue
    first = way.price("600519", exchange="sse")
    assert (first["source"], first["price"]) == ("kafka", "1680.00")
    assert (first["symbol"], first["exchange"]) == ("600519", "sse")
    assert first["event_time"] == 1_549_848_600_000_000
    assert 0 <= first["age_ms"] < 30_000  # on the stream's clock: it was produced just now
    assert way.where("600519", exchange="sse") == ("redis", [])  # filled
    with way.writing(CacheWriter):
        way.stock('{"symbol":"600519","price":1680.5,"volume":100,"time":"09:30:03"}', "600519")
        way.stock('{"symbol":"700.HK","price":3e2,"time":"09:30:03"}', "00700")
        way.stock('{"symbol":"00700","price":388.2,"time":"09:30:03"}', "00700")
        eventually(lambda: way.price("sh600519", exchange="sse")["price"] == "1680.5")
        eventually(lambda: way.price("0700.HK", exchange="hkex").get("price") == "388.2")
    with redis.Redis.from_url(way.valkey.url) as client:
        held = json.loads(client.get(tick_key("sse", "600519")) or b"{}")
    assert (held["price"], held["kind"], held["symbol"]) == ("1680.5", "trade", "600519")
    assert way.price("600519", exchange="szse")["source"] == 404
    assert way.price("000001", exchange="szse")["source"] == 404
    assert way.price("BTCUSDT", exchange="sse")["source"] == 400
    known = way.gateway.get("symbols").json()["symbols"]
    assert ("sse", "600519") in {(one["exchange"], one["symbol"]) for one in known}


def test_shares_on_the_websocket_have_the_platforms_symbol_and_their_own_digits(way: Way) -> None:
    with way.gateway.open() as connection:
        ask(connection, "subscribe", "stock:600000")
        errors = way.gateway.status.errors
        foreign = '{"symbol":"BTCUSDT","price":1,"time":"09:30:00"}'
        for bad in (foreign, '{"symbol":"600000","price":-1,"time":"09:30:00"}', "{"):
            way.stock(bad, "600000")
        way.stock('{"symbol":"SH600000","price":10.50,"time":"09:30:00","more":[1]}', "600000")
        connection_text = connection.recv(20)
        assert '"price":10.50' in connection_text
        (got,) = json.loads(connection_text)
        assert (got["stream"], got["data"]["symbol"]) == ("stock:600000", "600000")
        assert way.gateway.status.errors == errors + 3
    with way.gateway.open() as late:
        ask(late, "subscribe", "stock:*")
        assert event(late, lambda e: e["data"]["symbol"] == "600000")


def test_stores_that_are_killed_in_turn(way: Way) -> None:
    symbol, now = "TURN", time.time_ns() // 1000
    way.stock('{"symbol":"600036","price":35.10,"time":"09:30:00"}', "600036")
    minute = now // 60_000_000 * 60_000_000
    with way.writing(CacheWriter, HistoryWriter):
        way.gateway.send(*(tick(symbol, update_id=n, price=f"{n}.5") for n in range(1, 11)))
        way.gateway.send(*(kline(symbol, minute - n * 60_000_000, "venue", now) for n in range(3)), book(symbol, 7))
        eventually(lambda: way.where(symbol) == ("redis", []))
        eventually(lambda: len(way.gateway.get(f"klines/{symbol}").json().get("klines", ())) == 3)
        with redis.Redis.from_url(way.valkey.url) as client:
            client.flushall()

        def told() -> bool:  # each answer from ClickHouse fills Redis; until the last tick is in, it is taken out again
            found = way.price(symbol)
            with redis.Redis.from_url(way.valkey.url) as client:
                client.flushall()
            return (found.get("source"), found.get("update_id")) == ("clickhouse", 10)

        eventually(told)
        eventually(lambda: way.gateway.get(f"orderbook/{symbol}").status_code == 200)

    first = way.price(symbol)
    assert (first["source"], first["price"], first["update_id"]) == ("clickhouse", "10.50000000", 10)
    assert way.where(symbol) == ("redis", [])
    way.valkey.kill()
    assert way.where(symbol) == ("clickhouse", ["redis"])
    assert way.gateway.get(f"orderbook/{symbol}").json()["source"] == "clickhouse"
    way.clickhouse.kill()
    last = way.price(symbol)
    assert (last["source"], last["unavailable"], last["price"]) == ("kafka", ["redis", "clickhouse"], "10.5")
    assert 0 <= last["age_ms"] < 120_000
    assert way.where("600036", exchange="sse") == ("kafka", ["redis"])
    assert way.price("NOBODY")["source"] == 404
    way.valkey.start()
    assert way.where(symbol) == ("kafka", ["clickhouse"])
    way.clickhouse.start()
    assert way.where(symbol) == ("clickhouse", [])
    assert way.where(symbol) == ("redis", [])
