"""OKX's public WebSocket and REST interface, told from the same market."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from .conftest import PATIENCE, Running, Start, message, until

TRADE = ["instId", "tradeId", "px", "sz", "side", "ts", "count", "source", "seqId"]


def subscribe(client: ClientConnection, *channels: str, name: str = "BTC-USDT") -> None:
    args = [{"channel": channel, "instId": name} for channel in channels]
    client.send(json.dumps({"id": "7", "op": "subscribe", "args": args}))
    confirmed = 0
    while confirmed < len(channels):
        answer = message(client)
        if "event" in answer:
            assert (answer["event"], answer["id"]) == ("subscribe", "7"), answer
            confirmed += 1


def of(channel: str) -> Any:
    return lambda m: m.get("arg", {}).get("channel") == channel and "data" in m


def test_trades_are_those_of_the_spot_market(simulated: Running) -> None:
    with simulated.connect("/ws/v5/public") as okx, simulated.connect("/ws/btcusdt@trade") as spot:
        subscribe(okx, "trades")
        told = until(okx, of("trades"))[-1]
        assert list(told) == ["arg", "data"]
        (trade,) = told["data"]
        assert list(trade) == TRADE
        same = until(spot, lambda m: m["t"] >= int(trade["tradeId"]))[-1]
        assert str(same["t"]) == trade["tradeId"]
        assert (same["p"].rstrip("0"), same["T"]) == (trade["px"].rstrip("0"), int(trade["ts"]))
        assert trade["side"] == ("sell" if same["m"] else "buy")


def test_books_follow_each_other_and_agree_with_the_best(simulated: Running) -> None:
    sides: dict[str, dict[str, str]] = {}
    sequence = None
    best: dict[int, Any] = {}
    agreed = 0
    with simulated.connect("/ws/v5/public") as client:
        client.send(
            json.dumps(
                {"op": "subscribe", "args": [{"channel": c, "instId": "BTC-USDT"} for c in ("bbo-tbt", "books")]}
            )
        )
        while agreed < 5:
            told = message(client)
            if "event" in told:
                continue
            (data,) = told["data"]
            if told["arg"]["channel"] == "bbo-tbt":
                assert list(data) == ["asks", "bids", "ts", "seqId"]
                best[data["seqId"]] = (data["bids"][0][:2], data["asks"][0][:2])
                continue
            assert list(data) == ["asks", "bids", "ts", "checksum", "prevSeqId", "seqId"]
            if told["action"] == "snapshot":
                assert (sequence, data["prevSeqId"]) == (None, -1)
                sides = {side: {p: q for p, q, _, _ in data[side]} for side in ("asks", "bids")}
            else:
                assert data["prevSeqId"] == sequence
                for side in ("asks", "bids"):
                    for price, size, *_ in data[side]:
                        sides[side][price] = size
                        if size == "0":
                            del sides[side][price]
            sequence = data["seqId"]
            if sequence in best:
                bid, ask = max(sides["bids"], key=float), min(sides["asks"], key=float)
                assert best[sequence] == ([bid, sides["bids"][bid]], [ask, sides["asks"][ask]])
                agreed += 1


def test_bars_come_over_the_business_address(simulated: Running) -> None:
    with simulated.connect("/ws/v5/business") as client:
        subscribe(client, "candle1m", "candle1s")
        ended = until(client, lambda m: of("candle1s")(m) and m["data"][0][8] == "1")[-1]["data"][0]
        minute = until(client, of("candle1m"))[-1]["data"][0]
        assert len(ended) == len(minute) == 9
        rows = simulated.get("/api/v5/market/candles", instId="BTC-USDT", bar="1s", limit=100).json()["data"]
        assert ended in rows
        assert [int(row[0]) for row in rows] == sorted((int(row[0]) for row in rows), reverse=True)


def test_unsubscribe_and_errors(simulated: Running) -> None:
    with simulated.connect("/ws/v5/public") as client:
        subscribe(client, "books")
        client.send('{"op":"unsubscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}')
        until(client, lambda m: m.get("event") == "unsubscribe")
        for sent, code in (
            ("{", "60012"),
            ('{"op":"login","args":[]}', "60012"),
            ('{"op":"subscribe","args":{}}', "60013"),
            ('{"op":"subscribe","args":[{"channel":"candle1m","instId":"BTC-USDT"}]}', "60018"),
            ('{"op":"subscribe","args":[{"channel":"trades","instId":"NO-SUCH"}]}', "60018"),
            ('{"op":"subscribe","args":["trades"]}', "60018"),
        ):
            client.send(sent)
            answer = message(client)
            assert (answer["event"], answer["code"]) == ("error", code)


def test_text_ping_and_thirty_seconds(start: Start) -> None:
    running = start("--venues", "okx", "--symbols", "1", "--backlog", "0", "--limit-okx-idle-seconds", "2")
    with running.connect("/ws/v5/public") as idle, running.connect("/ws/v5/public") as alive:
        begun = time.monotonic()
        while time.monotonic() - begun < 4.0:
            alive.send("ping")
            assert alive.recv(timeout=PATIENCE) == "pong"
            time.sleep(0.05)
        with pytest.raises(ConnectionClosed) as closed:
            idle.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4004


def test_rest(simulated: Running) -> None:
    book = simulated.get("/api/v5/market/books", instId="BTC-USDT", sz=3).json()
    assert list(book) == ["code", "msg", "data"]
    assert [len(book["data"][0][side]) for side in ("asks", "bids")] == [3, 3]
    newest = simulated.get("/api/v5/market/history-trades", instId="BTC-USDT", limit=5).json()["data"]
    ids = [int(trade["tradeId"]) for trade in newest]
    assert ids == list(range(ids[0], ids[0] - 5, -1))
    older = simulated.get("/api/v5/market/history-trades", instId="BTC-USDT", after=ids[-1], limit=3).json()["data"]
    assert [int(trade["tradeId"]) for trade in older] == [ids[-1] - 1, ids[-1] - 2, ids[-1] - 3]
    for _ in range(2):  # again where the minute turns between the two requests
        bars = simulated.get("/api/v5/market/candles", instId="BTC-USDT", limit=2).json()["data"]
        spot = simulated.get("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=2).json()
        if int(bars[1][0]) == spot[0][0]:
            break
    assert int(bars[1][0]) == spot[0][0]
    assert [float(text) for text in bars[1][1:5]] == [float(text) for text in spot[0][1:5]]
    (instrument,) = simulated.get("/api/v5/public/instruments", instType="SPOT", instId="ETH-USDT").json()["data"]
    assert (instrument["baseCcy"], instrument["tickSz"], instrument["lotSz"]) == ("ETH", "0.01", "0.0001")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v5/market/books?instId=NO-SUCH", 200, "51001"),
        ("/api/v5/market/books", 400, "50014"),
        ("/api/v5/market/candles?instId=BTC-USDT&bar=7m", 200, "51000"),
        ("/api/v5/market/history-trades?instId=BTC-USDT&after=x", 200, "51000"),
        ("/api/v5/nothing", 404, "404"),
    ],
)
def test_rest_errors(simulated: Running, path: str, status: int, code: str) -> None:
    answer = simulated.get(path)
    assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (status, code, [])


def test_too_many_requests(start: Start, tmp_path: Path) -> None:
    running = start("--venues", "okx", "--symbols", "1", "--backlog", "0", "--limit-okx-requests", "2")
    answers = [running.get("/api/v5/public/time") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["code"] == "50011"
