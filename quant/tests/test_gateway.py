"""The gateway as clients meet it: a real server on a real broker, Valkey and ClickHouse."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis
from confluent_kafka import Producer
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.partitioner import partition_of
from barnabas_quant.bus.topics import TOPICS, ensure_topics
from barnabas_quant.cache import Cache, book_key, short_tick_key, tick_key
from barnabas_quant.cache.store import book_entry, stamped, tick_entry
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history import migrate
from barnabas_quant.model import Record, Trade
from barnabas_quant.service import Context, Status
from barnabas_quant.services.gateway import GatewayService
from barnabas_quant.settings import Gateway, Settings
from testkit.ports import free_ports

from .conftest import eventually
from .stores import ClickHouse, Valkey
from .test_cache_service import book, kline, tick

NOWHERE = "http://127.0.0.1:1/default"
NO_REDIS = "redis://127.0.0.1:1/0"


def trade(symbol: str, number: int) -> Trade:
    return Trade(
        exchange="binance", symbol=symbol, trade_id=number, price="1.5", quantity="2", buyer_is_maker=True,
        event_time=1, trade_time=1, receive_time=1,
    )  # fmt: skip


class Served:
    """A gateway that runs in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = f"http://{settings.gateway_listen}"
        self.stop, self.status = threading.Event(), Status()
        self.bootstrap = settings.bootstrap
        context = Context(settings, self.stop, self.status, DeadLetters(settings.bootstrap, "gateway"))
        self.failures: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, args=(GatewayService(context),))
        self.producer = Producer({"bootstrap.servers": settings.bootstrap, "linger.ms": 0})
        self._counts = {spec.name: spec.partitions for spec in TOPICS}

    def _run(self, service: GatewayService) -> None:
        try:
            service.run()
        except BaseException as error:
            self.failures.append(error)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=15)

    def send(self, *records: Record) -> None:
        for record in records:
            at = partition_of(record.key, self._counts[record.topic])
            self.producer.produce(record.topic, msgspec.json.encode(record), record.key, at)
        assert self.producer.flush(20) == 0

    def open(self) -> ClientConnection:
        return connect(f"ws://{self.settings.gateway_listen}/api/v1/stream", max_size=2**24)


@contextmanager
def served(bootstrap: str, redis_url: str, clickhouse: str, **bounds: int) -> Iterator[Served]:
    ensure_topics(bootstrap)
    gateway = Served(
        Settings(
            kafka=bootstrap, redis=redis_url, clickhouse=clickhouse, gateway_listen=f"127.0.0.1:{free_ports(1)[0]}",
            gateway=Gateway(**bounds), data=Path("no-data-folder"),
        )
    )  # fmt: skip
    gateway.thread.start()
    try:
        eventually(lambda: gateway.status.ready or bool(gateway.failures))
        with gateway.open() as socket_:  # until a tick comes through, its reader is still on its way to the topics' end
            ask(socket_, "subscribe", "tick:binance:WARM")
            n = 0

            def heard() -> bool:
                nonlocal n
                n += 1
                gateway.send(tick("WARM", update_id=n))
                try:
                    return bool(socket_.recv(0.2))
                except TimeoutError:
                    return False

            eventually(heard)
        yield gateway
    finally:
        gateway.stop.set()
        gateway.thread.join(30)
    assert not gateway.thread.is_alive()
    assert not gateway.failures, gateway.failures


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        client = Client(running.url)
        migrate(client)
        share = {**msgspec.to_builtins(kline("601318", 60_000_000, "computed", 1)), "exchange": "sse"}
        place = {"topic_id": "00000000-0000-0000-0000-000000000001", "kafka_partition": 0, "kafka_offset": 1}
        client.insert("market_klines", msgspec.json.encode({**share, **place, "produced": 77}))
        client.close()
        yield running


@pytest.fixture(scope="module")
def gateway(bootstrap: str, valkey: Valkey, clickhouse: ClickHouse) -> Iterator[Served]:
    with served(bootstrap, valkey.url, clickhouse.url) as running:
        yield running


@pytest.fixture(scope="module")
def storeless(bootstrap: str) -> Iterator[Served]:
    """Give a gateway whose Redis and ClickHouse are both down, with small bounds."""
    with served(bootstrap, NO_REDIS, NOWHERE, client_bytes=100_000, clients=5, streams=3) as running:
        yield running


def ask(connection: ClientConnection, op: str, *streams: str, **more: Any) -> dict[str, Any]:
    """Send a request and give its answer; events that come before it are passed over."""
    connection.send(json.dumps({"op": op, "streams": streams, **more}))
    return answer(connection)


def answer(connection: ClientConnection) -> dict[str, Any]:
    while True:
        for event in json.loads(connection.recv(20)):
            if "op" in event:
                found: dict[str, Any] = event
                return found


def event(connection: ClientConnection, wanted: Callable[[dict[str, Any]], bool] = lambda event: True) -> Any:
    while True:
        for one in json.loads(connection.recv(20)):
            if "stream" in one and "data" in one and wanted(one):
                return one


# REST


def test_a_price_comes_from_redis_then_clickhouse_which_fills_redis(
    gateway: Served, valkey: Valkey, clickhouse: ClickHouse
) -> None:
    now = time.time_ns() // 10**6
    old = tick("ROUTE", update_id=4)
    row = msgspec.to_builtins(old) | {
        "produced": now - 5000, "kafka_partition": 0, "kafka_offset": 1,
        "topic_id": "00000000-0000-0000-0000-000000000001",
    }  # fmt: skip
    client = Client(clickhouse.url)
    client.insert("market_ticks", msgspec.json.encode(row))
    client.close()

    first = gateway.get("price/ROUTE").json()
    assert (first["source"], first["update_id"], first["price"]) == ("clickhouse", 4, "1.50000000")
    assert 5000 <= first["age_ms"] < 30_000
    assert first["unavailable"] == []
    second = gateway.get("price/ROUTE", exchange="binance").json()
    assert (second["source"], second["update_id"]) == ("redis", 4)
    with redis.Redis.from_url(valkey.url) as held:
        assert held.get(short_tick_key("ROUTE")) == held.get(tick_key("binance", "ROUTE"))
        assert 0 < held.pttl(short_tick_key("ROUTE")) <= 3_595_000

    cache = Cache(valkey.url)
    value = stamped(msgspec.json.encode(tick("ROUTE", update_id=5, price="2.5")), now, 9)
    cache.write([tick_entry(tick_key("binance", "ROUTE"), value, "trade", 5, -1, 3_600_000)])
    cache.close()
    third = gateway.get("price/ROUTE").json()
    assert (third["source"], third["price"]) == ("redis", "2.5")


def test_with_both_stores_down_a_price_is_the_newest_record_of_the_topic(storeless: Served, seed: int) -> None:
    symbol = f"K{seed}"
    storeless.send(*(tick(symbol, update_id=n, price=f"{n}") for n in range(1, 4)), tick(f"Z{seed}"))
    found = storeless.get(f"price/{symbol}").json()
    assert (found["source"], found["price"], found["update_id"]) == ("kafka", "3", 3)
    assert found["unavailable"] == ["redis", "clickhouse"]
    assert 0 <= found["age_ms"] < 30_000
    assert storeless.get(f"price/N{seed}").status_code == 404
    for path in ("klines", "trades", "orderbook"):
        response = storeless.get(f"{path}/{symbol}")
        assert (response.status_code, response.json()["error"]) == (503, "unavailable")
    health = storeless.get("health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert not health.json()["stores"]["redis"]["answers"]


def test_history_routes(gateway: Served, valkey: Valkey, clickhouse: ClickHouse) -> None:
    now = time.time_ns() // 10**6
    minute = now // 60_000 * 60_000 - 3_600_000
    place = {"produced": now, "kafka_partition": 0, "topic_id": "00000000-0000-0000-0000-000000000002"}
    bars = [kline("HIST", (minute + n * 60_000) * 1000, "venue", n) for n in range(5)]
    trades = [
        {
            "exchange": "binance", "symbol": "HIST", "trade_id": n, "price": "1.5", "quantity": "2",
            "buyer_is_maker": True, "event_time": now * 1000, "trade_time": now * 1000, "receive_time": now * 1000,
        }
        for n in range(10)
    ]  # fmt: skip
    client = Client(clickhouse.url)
    for table, rows in (("market_klines", map(msgspec.to_builtins, bars)), ("market_trades", iter(trades))):
        lines = [msgspec.json.encode({**row, **place, "kafka_offset": n}) for n, row in enumerate(rows)]
        client.insert(table, b"\n".join(lines))
    client.close()
    cache = Cache(valkey.url)
    value = stamped(msgspec.json.encode(book("HIST", 8)), now, 1)
    cache.write([book_entry(book_key("binance", "HIST"), value, 8, 3_600_000)])
    cache.close()

    found = gateway.get("klines/HIST", interval="1m", limit=3).json()["klines"]
    assert [bar["open_time"] for bar in found] == [bar.open_time for bar in bars[2:]]
    found = gateway.get("klines/HIST", start=minute + 60_000, end=minute + 180_000).json()["klines"]
    assert [bar["open_time"] for bar in found] == [bar.open_time for bar in bars[1:3]]
    for bounds in ({"source": "computed"}, {"interval": "1h"}, {"start": 0, "end": 1000}, {"start": minute + 300_000}):
        nothing = gateway.get("klines/HIST", **bounds)
        assert (nothing.status_code, nothing.json()["klines"]) == (200, []), bounds
    assert gateway.get("klines/HIST", exchange="okx").status_code == 404
    ids = [row["trade_id"] for row in gateway.get("trades/HIST", limit=3, before=8).json()["trades"]]
    assert ids == [7, 6, 5]
    nothing = gateway.get("trades/HIST", before=0)
    assert (nothing.status_code, nothing.json()["trades"]) == (200, [])
    held = gateway.get("orderbook/HIST", depth=1).json()
    assert (held["source"], held["last_update_id"], held["bids"]) == ("redis", 8, [["1", "2"]])


def test_a_symbol_that_was_only_heard_of_has_no_candles_and_no_trades_yet(gateway: Served, seed: int) -> None:
    symbol = f"N{seed}"
    assert gateway.get(f"klines/{symbol}").status_code == 404
    gateway.send(tick(symbol))
    for path in ("klines", "trades"):
        eventually(lambda path=path: gateway.get(f"{path}/{symbol}").status_code == 200)  # type: ignore[misc]
        assert gateway.get(f"{path}/{symbol}").json()[path] == []


def test_what_was_heard_counts_before_the_history_has_it(gateway: Served, seed: int) -> None:
    symbol, minute = f"H{seed}", 1_700_000_040_000_000
    bars = [kline(symbol, minute + n * 60_000_000, "venue", n) for n in range(4)]
    gateway.send(*bars)
    eventually(lambda: len((gateway.get(f"klines/{symbol}").json()).get("klines", ())) == 4)
    found = gateway.get(f"klines/{symbol}", limit=2).json()["klines"]
    assert [bar["open_time"] for bar in found] == [bar.open_time for bar in bars[2:]]
    gateway.send(*(trade(symbol, n) for n in range(5)))
    eventually(lambda: len(gateway.get(f"trades/{symbol}").json()["trades"]) == 5)
    found = gateway.get(f"trades/{symbol}", before=4, limit=2).json()["trades"]
    assert [(row["trade_id"], row["price"]) for row in found] == [(3, "1.5"), (2, "1.5")]


def test_what_is_known_and_how_it_is(gateway: Served) -> None:
    symbols = gateway.get("symbols").json()
    assert symbols["primary"] == "binance"
    assert ("binance", "WARM") in {(one["exchange"], one["symbol"]) for one in symbols["symbols"]}
    assert {"exchange": "sse", "symbol": "601318", "last_ms": 77} in symbols["symbols"]  # known from its bars
    health = gateway.get("health").json()
    assert health["status"] == "ok"
    assert set(health["stores"]) == {"kafka", "redis", "clickhouse"}
    assert "binance" in health["last_tick_age_ms"]
    paths = gateway.get("openapi.json").json()["paths"]
    assert "/api/v1/price/{symbol}" in paths
    assert httpx.get(f"{gateway.url}/docs", timeout=5).status_code == 200
    assert "<html" in httpx.get(f"{gateway.url}/", timeout=5).text.lower()


@pytest.mark.parametrize(
    ("path", "parameters", "status", "error"),
    [
        ("price/NOBODY", {}, 404, "unknown_symbol"),
        ("klines/NOBODY", {"start": 0}, 404, "unknown_symbol"),
        ("trades/NOBODY", {}, 404, "unknown_symbol"),
        ("price/NO BODY", {}, 400, "bad_request"),
        ("price/" + "A" * 41, {}, 400, "bad_request"),
        ("price/X", {"exchange": "Bin:ance"}, 400, "bad_request"),
        ("klines/X", {"interval": "0m"}, 400, "bad_request"),
        ("klines/X", {"limit": 0}, 400, "bad_request"),
        ("klines/X", {"limit": 5001}, 400, "bad_request"),
        ("klines/X", {"start": "-1"}, 400, "bad_request"),
        ("klines/X", {"source": "rumour"}, 400, "bad_request"),
        ("klines/X'; DROP TABLE market_klines", {}, 400, "bad_request"),
        ("orderbook/X", {"depth": 1001}, 400, "bad_request"),
        ("trades/X", {"limit": "many"}, 400, "bad_request"),
        ("trades/X", {"before": "1" * 30}, 400, "bad_request"),
        ("nothing/here", {}, 404, "not_found"),
    ],
)
def test_bad_requests(gateway: Served, path: str, parameters: dict[str, Any], status: int, error: str) -> None:
    response = gateway.get(path, **parameters)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.json()["message"]


# WebSocket


def test_subscribe_wildcard_list_unsubscribe(storeless: Served, seed: int) -> None:
    one, two = f"A{seed}", f"B{seed}"
    with storeless.open() as exact, storeless.open() as every:
        subscribed = ask(exact, "subscribe", f"tick:binance:{one}", id=7)
        assert subscribed == {"op": "subscribed", "streams": [f"tick:binance:{one}"], "id": 7}
        assert ask(every, "subscribe", "tick:binance:*")["op"] == "subscribed"
        storeless.send(tick(two), tick(one, update_id=5))
        got = event(exact)
        assert (got["stream"], got["data"]["update_id"]) == (f"tick:binance:{one}", 5)
        assert {event(every, lambda e: e["data"]["symbol"] in (one, two))["data"]["symbol"]} <= {one, two}
        assert ask(exact, "list")["streams"] == [f"tick:binance:{one}"]
        assert ask(exact, "unsubscribe", f"tick:binance:{one}", "signal")["streams"] == [f"tick:binance:{one}"]
        assert ask(exact, "list").get("streams") == []
        assert ask(exact, "ping", id="x") == {"op": "pong", "id": "x"}
    with storeless.open() as late:  # the last value at once
        ask(late, "subscribe", f"tick:binance:{one}")
        assert event(late)["data"]["update_id"] == 5


def test_hostile_frames_are_answered_and_the_connection_lives(storeless: Served, seed: int) -> None:
    with storeless.open() as connection:
        for frame in (
            b"\x00\xff", b"", "", "{", "[]", "null", '{"op":"explode"}', '{"op":"list","more":1}', "[" * 10_000,
            '{"op":"subscribe","streams":"tick:binance:X"}', '{"op":"subscribe","streams":["tick:*:X"]}',
            '{"op":"subscribe","streams":["a:b","signal"]}', f'{{"op":"list","id":{10**30}}}',
            '{"op":"subscribe","streams":["signal","stock:1","stock:2","stock:3"]}',
        ):  # fmt: skip
            connection.send(frame)
            assert answer(connection)["op"] == "error", frame
        assert ask(connection, "list").get("streams") == []
    with storeless.open() as connection:
        with pytest.raises(ConnectionClosed):
            connection.send("x" * 200_000)
            while True:
                connection.recv(20)
        assert connection.protocol.close_code == 1009
    with storeless.open() as connection:
        assert ask(connection, "ping")["op"] == "pong"


def test_records_that_are_none_reach_nobody(storeless: Served, seed: int) -> None:
    with storeless.open() as connection:
        ask(connection, "subscribe", "tick:binance:*", "signal")
        for bad in (
            b"", b"{", b"\xff", b'{"exchange":"binance","symbol":"a\\"b"}', b'{"exchange":"binance","symbol":"*"}',
            b'{"exchange":"binance","symbol":"X","note":"\xff"}',
        ):  # fmt: skip
            storeless.producer.produce("market_data.ticks", bad, b"x", 0)
        storeless.producer.produce("trade-signal", b"[1]", b"x", 0)
        storeless.producer.produce("trade-signal", b'{"signal":"BUY"}', b"x", 0)
        storeless.send(tick(f"OK{seed}"))
        symbols, signals = set(), []
        while f"OK{seed}" not in symbols or not signals:
            for one in json.loads(connection.recv(20)):
                if one.get("stream") == "signal":
                    signals.append(one["data"])
                elif "data" in one:
                    symbols.add(one["data"]["symbol"])
    assert signals == [{"signal": "BUY"}]
    assert not symbols & {"*", "X", 'a"b'}


def test_a_client_that_never_reads_is_bounded_and_slows_nobody(storeless: Served, seed: int) -> None:
    slow = socket.create_connection(tuple(storeless.settings.gateway_listen.split(":")), 10)  # type: ignore[arg-type]
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**18)
    slow.sendall(
        b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    slow.recv(1000)
    request = json.dumps({"op": "subscribe", "streams": ["signal"]}).encode()
    slow.sendall(bytes((0x81, 0x80 | len(request))) + bytes(4) + request)  # masked with zeros
    slow.recv(1000)
    with storeless.open() as quick:
        ask(quick, "subscribe", "signal", f"tick:binance:{seed}")
        padding = "x" * 50_000
        got = []
        for n in range(400):  # twenty megabytes; a hundred kilobytes may wait
            storeless.producer.produce("trade-signal", json.dumps({"n": n, "padding": padding}).encode(), b"x", 0)
            if n % 20 == 19:
                assert storeless.producer.flush(20) == 0
                while not got or got[-1] < n - 1:
                    got += [one["data"]["n"] for one in json.loads(quick.recv(20)) if "data" in one]
        begun = time.perf_counter()
        storeless.send(tick(f"{seed}"))
        event(quick, lambda e: e["stream"].startswith("tick"))
        assert time.perf_counter() - begun < 5
    # What the slow one is sent when it begins to read at last: not twenty megabytes, and the count of the rest.
    slow.settimeout(10)
    read = b""
    while b'"n": 399' not in read:
        part = slow.recv(2**20)
        assert part
        read += part
    slow.close()
    assert len(read) < 12_000_000
    assert b'{"op":"dropped","stream":"signal","count":' in read
    eventually(lambda: storeless.get("health").json()["clients"] == 0)


def test_the_limit_of_clients(storeless: Served) -> None:
    eventually(lambda: storeless.get("health").json()["clients"] == 0)
    with ExitStack() as stack:
        held = [stack.enter_context(storeless.open()) for _ in range(5)]
        for one in held:
            assert ask(one, "ping")["op"] == "pong"
        with storeless.open() as more, pytest.raises(ConnectionClosed):
            more.recv(10)
        assert more.protocol.close_code == 1013
        held.pop().close()
        eventually(lambda: storeless.get("health").json()["clients"] == 4)
        with storeless.open() as again:
            assert ask(again, "ping")["op"] == "pong"


def test_a_gateway_that_ends_closes_its_clients(bootstrap: str) -> None:
    with served(bootstrap, NO_REDIS, NOWHERE) as running:
        with running.open() as connection:
            assert ask(connection, "ping")["op"] == "pong"
            running.stop.set()
            with pytest.raises(ConnectionClosed):
                connection.recv(20)
        assert connection.protocol.close_code in (1001, 1012)


def test_a_port_that_is_taken_is_an_error(bootstrap: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        gateway = Served(Settings(kafka=bootstrap, redis=NO_REDIS, clickhouse=NOWHERE, gateway_listen=where))
        gateway.thread.start()
        gateway.thread.join(20)
    assert "is taken" in str(gateway.failures[0])
