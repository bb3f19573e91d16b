"""Binance's REST interface: answers from what was played, errors, weights and bans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from barnabas_quant.feeds import BinanceDecoder, Capture
from barnabas_quant.model import Trade, units

from ..conftest import eventually
from .conftest import START, Running, Start, end, launch, message, until


def no_report(number: int, reason: str) -> None:
    raise AssertionError(f"{number}: {reason}")


@pytest.fixture(scope="module")
def trades(capture: Path) -> list[Trade]:
    decoder = BinanceDecoder("binance")
    records = (record for frame in Capture(capture).frames(no_report) for record in decoder.records(frame))
    return [record for record in records if isinstance(record, Trade)]


@pytest.fixture(scope="module")
def played(capture: Path) -> Iterator[Running]:
    running = launch("--capture", capture, "--speed", "max")
    eventually(lambda: running.control()["play"]["state"] == "played")
    yield running
    end(running)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v3/depth", 400, -1102),
        ("/api/v3/depth?symbol=", 400, -1102),
        ("/api/v3/depth?symbol=NOSUCH", 400, -1121),
        ("/api/v3/depth?symbol=btcusdt", 400, -1121),
        ("/api/v3/depth?symbol=BTC%20USDT", 400, -1100),
        ("/api/v3/depth?symbol=BTCUSDT&limit=x", 400, -1100),
        ("/api/v3/depth?symbol=BTCUSDT&limit=-1", 400, -1100),
        ("/api/v3/depth?symbol=BTCUSDT&limit=0", 400, -1130),
        ("/api/v3/depth?symbol=BTCUSDT&limit=", 400, -1105),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=7", 400, -4021),
        ("/api/v3/klines?symbol=BTCUSDT", 400, -1102),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1s", 400, -1120),
        ("/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", 400, -1128),
        ("/fapi/v1/aggTrades?symbol=BTCUSDT&startTime=0&endTime=99999999", 400, -4052),
        ("/api/v3/ticker/price?symbol=BTCUSDT&symbols=[]", 400, -1128),
        ("/api/v3/ticker/price?symbols=BTCUSDT", 400, -1100),
        ('/api/v3/ticker/price?symbols=["NOSUCH"]', 400, -1121),
        ("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=99999999999999999999999", 400, -1100),
    ],
)
def test_errors(simulated: Running, path: str, status: int, code: int) -> None:
    answer = simulated.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(answer.json()) == ["code", "msg"]


def test_what_is_not_there(simulated: Running) -> None:
    assert simulated.get("/api/v3/order").status_code == 404
    assert simulated.get("/nothing").status_code == 404


def test_time_and_instruments(simulated: Running) -> None:
    assert simulated.get("/api/v3/ping").json() == {}
    assert list(simulated.get("/fapi/v1/time").json()) == ["serverTime"]
    info = simulated.get("/api/v3/exchangeInfo", symbol="BTCUSDT").json()
    assert info["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
    (symbol,) = info["symbols"]
    assert (symbol["symbol"], symbol["baseAsset"], symbol["quoteAsset"], symbol["status"]) == (
        "BTCUSDT", "BTC", "USDT", "TRADING",
    )  # fmt: skip
    filters = {one["filterType"]: one for one in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    futures = simulated.get("/fapi/v1/exchangeInfo").json()
    assert futures["futuresType"] == "U_MARGINED"
    assert {s["symbol"]: s["pricePrecision"] for s in futures["symbols"]} == {"BTCUSDT": 2, "ETHUSDT": 2}


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("/api/v3/ping", 1), ("/api/v3/exchangeInfo", 20), ("/api/v3/depth?symbol=BTCUSDT", 5),
        ("/api/v3/depth?symbol=BTCUSDT&limit=500", 25), ("/api/v3/depth?symbol=BTCUSDT&limit=5000", 250),
        ("/api/v3/trades?symbol=BTCUSDT", 25), ("/api/v3/klines?symbol=BTCUSDT&interval=1m", 2),
        ("/api/v3/ticker/bookTicker?symbol=BTCUSDT", 2), ("/api/v3/ticker/price", 4),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20), ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=50", 1),
    ],
)  # fmt: skip
def test_weights(simulated: Running, path: str, weight: int) -> None:
    before = int(simulated.get(path).headers["x-mbx-used-weight-1m"])
    after = int(simulated.get(path).headers["x-mbx-used-weight-1m"])
    assert after - before == weight or after == weight  # where a minute began between them


def test_depth_has_the_futures_fields(simulated: Running) -> None:
    spot = simulated.get("/api/v3/depth", symbol="BTCUSDT", limit=3).json()
    assert list(spot) == ["lastUpdateId", "bids", "asks"]
    assert [len(spot[side]) for side in ("bids", "asks")] == [3, 3]
    assert len(spot["bids"][0][0].partition(".")[2]) == 8
    futures = simulated.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5).json()
    assert list(futures) == ["lastUpdateId", "E", "T", "bids", "asks"]
    assert len(futures["bids"][0][0].partition(".")[2]) == 2


def test_tickers(simulated: Running) -> None:
    quote = simulated.get("/api/v3/ticker/bookTicker", symbol="BTCUSDT").json()
    assert list(quote) == ["symbol", "bidPrice", "bidQty", "askPrice", "askQty"]
    assert units(quote["bidPrice"]) < units(quote["askPrice"])
    assert [p["symbol"] for p in simulated.get("/api/v3/ticker/price").json()] == ["BTCUSDT", "ETHUSDT"]
    some = simulated.get("/api/v3/ticker/price", symbols='["ETHUSDT"]').json()
    assert [list(price) for price in some] == [["symbol", "price"]]
    assert list(simulated.get("/fapi/v1/ticker/price", symbol="ETHUSDT").json()) == ["symbol", "price", "time"]


def test_history_reaches_before_the_start_and_joins_the_stream(simulated: Running) -> None:
    with simulated.connect("/ws/btcusdt@trade") as client:
        first = message(client)
        kept = simulated.get("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=first["t"] - 5, limit=6).json()
        assert [trade["id"] for trade in kept] == list(range(first["t"] - 5, first["t"] + 1))
        last = kept[-1]
        assert (last["price"], last["qty"], last["time"]) == (first["p"], first["q"], first["T"])
        assert list(last) == ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"]
    rows = simulated.get("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=2).json()
    assert len(rows) == 2  # the minute before is whole
    assert rows[0][6] == rows[0][0] + 59_999 == rows[1][0] - 1


def test_trades_are_paged_by_id_without_a_gap(played: Running, trades: list[Trade]) -> None:
    fetched: list[dict[str, Any]] = []
    place = trades[0].trade_id
    while page := played.get("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=place, limit=17).json():
        fetched += page
        place = page[-1]["id"] + 1
    assert [(t["id"], t["price"], t["qty"], t["isBuyerMaker"], t["time"] * 1000) for t in fetched] == [
        (t.trade_id, t.price, t.quantity, t.buyer_is_maker, t.trade_time) for t in trades
    ]
    newest = played.get("/api/v3/trades", symbol="BTCUSDT", limit=3).json()
    assert newest == fetched[-3:]
    before = played.get("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=1, limit=2)
    assert [t["id"] for t in before.json()] == [t.trade_id for t in trades[:2]]
    assert before.headers["x-exchange-history-from"] == str(trades[0].trade_id)  # and it says so


def test_aggregates_by_id_and_by_time(played: Running, trades: list[Trade]) -> None:
    middle = trades[len(trades) // 2]
    by_id = played.get("/api/v3/aggTrades", symbol="BTCUSDT", fromId=middle.trade_id, limit=2).json()
    assert [trade["a"] for trade in by_id] == [middle.trade_id, middle.trade_id + 1]
    assert list(by_id[0]) == ["a", "p", "q", "f", "l", "T", "m", "M"]
    first, last = START + 2_000, START + 5_000
    by_time = played.get("/api/v3/aggTrades", symbol="BTCUSDT", startTime=first, endTime=last, limit=1000).json()
    assert [trade["a"] for trade in by_time] == [t.trade_id for t in trades if first <= t.trade_time // 1000 <= last]


def test_bars_add_up_the_trades(played: Running, trades: list[Trade]) -> None:
    rows = played.get("/api/v3/klines", symbol="BTCUSDT", interval="1s").json()
    assert [row[0] for row in rows] == [START + n * 1000 for n in range(len(rows))]
    assert sum(row[8] for row in rows) == len(trades)
    for row in rows:
        inside = [t for t in trades if row[0] <= t.trade_time // 1000 <= row[6]]
        prices = [units(t.price) for t in inside]
        if not inside:
            assert row[5] == "0.00000000"
            continue
        assert [units(text) for text in row[1:5]] == [prices[0], max(prices), min(prices), prices[-1]]
        assert units(row[5]) == sum(units(t.quantity) for t in inside)
        assert units(row[7]) == sum(units(t.price) * units(t.quantity) for t in inside) // 10**8
        assert units(row[9]) == sum(units(t.quantity) for t in inside if not t.buyer_is_maker)
    window = played.get("/api/v3/klines", symbol="BTCUSDT", interval="1s", startTime=START + 1500, limit=2).json()
    assert window == rows[2:4]
    ended = played.get("/api/v3/klines", symbol="BTCUSDT", interval="1s", endTime=START + 3500, limit=2).json()
    assert ended == rows[2:4]
    # The capture begins within an hour and within five minutes: no such bar is known whole.
    assert played.get("/api/v3/klines", symbol="BTCUSDT", interval="1h").json() == []
    minutes = played.get("/api/v3/klines", symbol="BTCUSDT", interval="1m").json()
    assert [row[0] for row in minutes] == [START]


def test_derived_bars_of_the_stream_are_those_of_rest(start: Start, capture: Path) -> None:
    running = start("--capture", capture, "--speed", "max", "--start", "subscribed", "--need", "btcusdt@kline_1s")
    with running.connect("/ws/btcusdt@kline_1s") as client:
        told = [m["k"] for m in until(client, lambda m: m["k"]["t"] == START + 8000 and m["k"]["x"]) if m["k"]["x"]]
    eventually(lambda: running.control()["play"]["state"] == "played")
    rows = running.get("/api/v3/klines", symbol="BTCUSDT", interval="1s", limit=1000).json()
    assert [[k[n] for n in "tohlcvTqnVQ"] + ["0"] for k in told] == rows[: len(told)]
    assert len(told) == 9


def test_requests_beyond_the_weight_are_refused_then_banned(start: Start, capture: Path) -> None:
    running = start("--capture", capture, "--limit-weight", "100", "--limit-ban-seconds", "1.5")
    seen: list[int] = []
    while 418 not in seen:
        answer = running.get("/api/v3/exchangeInfo")
        seen.append(answer.status_code)
        if answer.status_code != 200:
            assert answer.json()["code"] == -1003
            assert int(answer.headers["retry-after"]) >= 1
        assert len(seen) < 40
    assert seen.count(200) in range(5, 11)  # twice as many where a minute begins meanwhile
    assert seen.count(429) >= 10
    eventually(lambda: running.get("/api/v3/ping").status_code != 418)


def test_a_book_that_is_not_known_is_not_made_up(start: Start, tmp_path: Path, capture: Path) -> None:
    running = start("--capture", _without_snapshot(capture, tmp_path), "--speed", "max")
    eventually(lambda: running.control()["play"]["state"] == "played")
    answer = running.get("/api/v3/depth", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()["code"]) == (503, -1001)


def _without_snapshot(capture: Path, folder: Path) -> Path:
    path = folder / "capture"
    frames = [frame for frame in Capture(capture).frames(no_report) if frame.symbol is None]
    path.write_bytes(b"".join(b"%d %s\n" % (frame.received, frame.text) for frame in frames))
    assert all("stream" in json.loads(frame.text) for frame in frames)
    return path
