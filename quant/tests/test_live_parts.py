"""The parts of a live feed: pauses and budgets, REST within its limits, where topics stand, the producer."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from barnabas_quant.bus import ensure_topics, partition_counts, partition_of, read_records
from barnabas_quant.bus.live_producer import LiveProducer
from barnabas_quant.bus.topics import TopicSpec
from barnabas_quant.feeds.live.binance import spot
from barnabas_quant.feeds.live.okx import Okx, bar_of
from barnabas_quant.feeds.live.pace import Backoff, Budget
from barnabas_quant.feeds.live.places import read_places
from barnabas_quant.feeds.live.rest import Rest, RestError
from barnabas_quant.feeds.live.symbol import Places
from barnabas_quant.model import Kline, OrderBook, Record, Tick, Trade
from testkit.ports import free_ports

from .road import Process

# -------------------------------------------------------------------- pace


def test_pauses_double_up_to_the_longest_and_are_drawn_below_it() -> None:
    whole = Backoff(1.0, 5.0, lambda: 1.0)
    assert [whole.next() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    whole.reset()
    assert whole.next() == 1.0
    assert Backoff(1.0, 5.0, lambda: 0.25).next() == 0.25


def test_a_budget_says_how_long_to_wait() -> None:
    now = 100.0
    budget = Budget(2, 10.0, lambda: now)
    assert [budget.wait(), budget.wait()] == [0.0, 0.0]
    now = 103.0
    assert budget.wait() == 7.0
    assert budget.wait() == 7.0  # asking takes nothing
    now = 110.0
    assert [budget.wait(), budget.wait()] == [0.0, 0.0]
    assert budget.wait() == 10.0


# -------------------------------------------------------------------- REST


class Answers(ThreadingHTTPServer):
    """Answer each request with the next of a list: status, headers, body; the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.list: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, float]] = []


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Answers)
        server.asked.append((self.path, time.monotonic()))
        status, headers, body = server.list.pop(0) if len(server.list) > 1 else server.list[0]
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None: ...


@pytest.fixture
def answers() -> Iterator[Answers]:
    server = Answers()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def ask(server: Answers, weight: int, *paths: str, attempts: int = 8) -> list[Any]:
    """Ask for paths all at once; give the bodies, or the errors."""
    rest = Rest(
        f"http://127.0.0.1:{server.server_port}", weight, 0.0, lambda: Backoff(0.01, 0.05, lambda: 1.0), patience=5
    )
    try:
        asking = (rest.get(path, {"symbol": "S"}, attempts) for path in paths)
        return list(await asyncio.gather(*asking, return_exceptions=True))
    finally:
        await rest.close()


OK = (200, {}, b"[]")


@pytest.mark.parametrize("status", [429, 418])
def test_whoever_is_told_to_wait_waits_and_so_does_everything_else(answers: Answers, status: int) -> None:
    answers.list = [(status, {"Retry-After": "1"}, b"{}"), OK]
    assert asyncio.run(ask(answers, 6000, "/a", "/b")) == [b"[]", b"[]"]
    first, *later = [at for _, at in answers.asked]
    assert len(later) == 2
    assert min(later) - first >= 1.0


def test_a_failing_server_is_asked_again_and_given_up(answers: Answers) -> None:
    answers.list = [(503, {}, b""), (500, {}, b"x"), OK]
    assert asyncio.run(ask(answers, 6000, "/a")) == [b"[]"]
    answers.list = [(503, {}, b"")]
    (error,) = asyncio.run(ask(answers, 6000, "/a", attempts=3))
    assert isinstance(error, RestError)
    assert (error.final, len(answers.asked)) == (False, 6)


def test_a_refusal_of_one_symbol_stops_nothing(answers: Answers) -> None:
    answers.list = [(400, {}, b'{"code":-1121,"msg":"Invalid symbol."}'), OK]
    error, body = asyncio.run(ask(answers, 6000, "/a", "/b"))
    assert isinstance(error, RestError)
    assert (error.code, error.final, body) == (-1121, True, b"[]")
    answers.list = [(403, {}, b"<html>")]  # of a wall on the way: not the venue's last word
    (error,) = asyncio.run(ask(answers, 6000, "/a"))
    assert (error.code, error.final) == (0, False)


@pytest.mark.parametrize("header", ["soon", "-1", "\u0663", "9" * 30])
def test_a_strange_retry_after_is_no_trap(answers: Answers, header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas_quant.feeds.live.rest._LONGEST", 0.1)
    answers.list = [(429, {"Retry-After": header.encode("utf-8").decode("latin-1")}, b""), OK]
    assert asyncio.run(ask(answers, 6000, "/a")) == [b"[]"]


def test_a_server_that_hangs_up(answers: Answers) -> None:
    answers.list = [OK]
    answers.server_close()
    (error,) = asyncio.run(ask(answers, 6000, "/a", attempts=2))
    assert isinstance(error, RestError)


# -------------------------------------------------------------------- what venues answer


def with_rest(server: Answers, work: Any) -> Any:
    async def run() -> Any:
        rest = Rest(f"http://127.0.0.1:{server.server_port}", 6000, 0.0, lambda: Backoff(0.01, 0.01, lambda: 1.0))
        try:
            return await work(rest)
        finally:
            await rest.close()

    return asyncio.run(run())


def old(number: int) -> dict[str, object]:
    return {"instId": "A-B", "tradeId": str(number), "px": "1", "sz": "1", "side": "sell", "ts": "1"}


def test_okx_refuses_with_status_200(answers: Answers) -> None:
    answers.list = [(200, {}, b'{"code":"51001","msg":"no such thing","data":[]}')]
    with pytest.raises(RestError, match="51001") as caught:
        with_rest(answers, lambda rest: Okx(lambda: 0).trades(rest, "A-B", 1, 2))
    assert caught.value.final
    answers.list = [(200, {}, b'{"code":"50001","msg":"later","data":[]}')]
    with pytest.raises(RestError) as caught:
        with_rest(answers, lambda rest: Okx(lambda: 0).trades(rest, "A-B", 1, 2))
    assert not caught.value.final


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"code":"0","data":[{"tradeId":"x"}]}', b'{"code":"0","data":7}', b"\xff"]
)
def test_answers_that_cannot_be_read(answers: Answers, body: bytes) -> None:
    answers.list = [(200, {}, body)]
    venues: list[Any] = [Okx(lambda: 0)] if body == b"[]" else [Okx(lambda: 0), spot(lambda: 0)]
    for venue in venues:
        with pytest.raises(RestError) as caught:
            with_rest(answers, lambda rest, venue=venue: venue.trades(rest, "A-B", 1, 2))
        assert not caught.value.final


def test_okx_finds_the_oldest_trades_it_still_has(answers: Answers) -> None:
    class Memory(_Handler):
        def do_GET(self) -> None:
            after = int(self.path.split("after=")[1].split("&")[0])
            rows = [old(number) for number in range(after - 1, after - 101, -1) if number >= 7777]
            body = msgspec.json.encode({"code": "0", "msg": "", "data": rows})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    answers.RequestHandlerClass = Memory
    found = with_rest(answers, lambda rest: Okx(lambda: 0).trades(rest, "A-B", 1, 9000))
    assert [trade.trade_id for trade in found][:3] == [7777, 7778, 7779]
    page = with_rest(answers, lambda rest: Okx(lambda: 0).trades(rest, "A-B", 8000, 9000))
    assert [trade.trade_id for trade in page] == list(range(8000, 8100))


def test_okx_names_its_intervals() -> None:
    assert [bar_of(name) for name in ("1s", "1m", "4h", "6h", "1d", "1w")] == [
        "1s", "1m", "4H", "6Hutc", "1Dutc", "1Wutc",
    ]  # fmt: skip


# -------------------------------------------------------------------- where topics stand


def records_of(exchange: str, symbol: str, number: int, trades: int, ticks: int) -> list[Record]:
    common: dict[str, Any] = {"exchange": exchange, "symbol": symbol, "event_time": 5, "receive_time": 6}
    best: dict[str, Any] = {"price": "7.5", "bid": "1", "bid_size": "1", "ask": "2", "ask_size": "1"}
    found: list[Record] = [Tick(kind="quote", update_id=1000 + number, **best, **common)]
    for at in range(max(trades, ticks)):
        if at < trades:
            found.append(
                Trade(trade_id=number + at, price="7", quantity="1", buyer_is_maker=True, trade_time=5, **common)
            )
        if at < ticks:
            found.append(Tick(kind="trade", update_id=number + at, **best, **common))
    sides: dict[str, Any] = {"previous_update_id": None, "bids": [], "asks": []}
    found.append(OrderBook(type="snapshot", first_update_id=50, last_update_id=50 + number, **sides, **common))
    found.append(OrderBook(type="diff", first_update_id=51, last_update_id=60 + number, **sides, **common))
    amounts = dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume"), "1")
    for interval, source in (("1m", "venue"), ("5m", "venue"), ("1m", "computed")):
        bar: dict[str, Any] = {"interval": interval, "source": source, "open_time": number, "close_time": number + 1}
        found.append(Kline(trades=0, closed=interval == "1m", **bar, **amounts, **common))
    return found


def test_places_of_several_symbols_of_a_partition(bootstrap: str) -> None:
    exchange = f"x{uuid.uuid4().hex[:12]}"
    ensure_topics(bootstrap)
    count = partition_counts(bootstrap, [Trade.topic])[Trade.topic]
    symbols = [f"S{number}" for number in range(count + 5)]  # two at least share a partition
    assert len({partition_of(f"{exchange}:{symbol}".encode(), count) for symbol in symbols}) < len(symbols)
    producer = LiveProducer(bootstrap)
    for number, symbol in enumerate(symbols):
        for record in records_of(exchange, symbol, number + 1, trades=1 + number % 4, ticks=3):
            producer.put(record.topic, record.key, msgspec.json.encode(record))
    for number in range(3000):  # a busy one behind: the quiet ones lie further back than the first stride
        (record, *_) = records_of(exchange, symbols[0], 5000 + number, 0, 0)
        producer.put(record.topic, record.key, msgspec.json.encode(record))
    producer.put(Trade.topic, f"{exchange}:S3".encode(), b"typed by hand")
    assert producer.flush(20) == 0
    places = read_places(bootstrap, exchange, [*symbols, "NEW"], ["1m", "5m"])
    assert places["NEW"] == Places()
    for at, symbol in enumerate(symbols):
        number, found = at + 1, places[symbol]
        assert (found.trade, found.trade_tick) == (number + at % 4, number + 2)
        assert found.quote == (8999 if at == 0 else 1000 + number)
        assert (found.snapshot, found.diff, found.price) == (50 + number, 60 + number, "7.5")
        assert found.klines == {"1m": (number, 5, True), "5m": (number, 5, False)}


# -------------------------------------------------------------------- the producer


def broker_process(folder: Path, port: int) -> Process:
    command = [sys.executable, "-m", "barnabas.cli", "serve", "--data", str(folder / "kafka")]
    return Process([*command, "--listen", f"127.0.0.1:{port}"], folder / "kafka.log", lambda: answers_at(port))


def answers_at(port: int) -> bool:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        return bool(AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"}).list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def test_a_full_queue_says_so_and_a_broker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("barnabas.cli", reason="the package barnabas is not installed")
    (port,) = free_ports(1)
    broker, address = broker_process(tmp_path, port), f"127.0.0.1:{port}"
    producer = LiveProducer(address, queue=100)
    taken = 0
    while producer.put("road", b"k", b"%d" % taken):  # nobody answers yet
        taken += 1
    taken += 1
    assert taken == 101
    assert not producer.pump()
    assert not producer.put("road", b"k", b"%d" % taken)  # kept all the same, in order
    taken += 1
    try:
        broker.start()
        ensure_topics(address, [TopicSpec("road", 1)])
        for kill in (False, True, True):
            if kill:
                broker.kill()
                broker.start()
            for _ in range(500):
                deadline = time.monotonic() + 60
                while not producer.pump():
                    assert time.monotonic() < deadline
                    time.sleep(0.002)
                producer.put("road", b"k", b"%d" % taken)
                taken += 1
        assert producer.flush(60) == 0
        values = [int(message.value() or b"") for message in read_records(address, {"road": 1})]
        assert values == list(range(taken))
    finally:
        broker.kill()
