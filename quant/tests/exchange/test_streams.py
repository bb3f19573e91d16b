"""Binance's WebSocket streams, spot and USD-M: shapes, subscriptions, errors, limits."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from barnabas_quant.feeds import BinanceDecoder, Frame
from barnabas_quant.model import Book, OrderBook, Tick, units

from .conftest import SHARED, Running, Start, command, message, until

SPOT = {
    "trade": "e E s t p q T m M",
    "aggTrade": "e E s a p q f l T m M",
    "bookTicker": "u s b B a A",
    "depthUpdate": "e E s U u b a",
    "kline": "e E s k",
}
FUTURES = {
    "trade": "e E T s t p q X m",
    "aggTrade": "e E a s p q f l T m",
    "bookTicker": "e u s b B a A T E",
    "depthUpdate": "e E T s U u pu b a",
    "kline": "e E s k",
}
BAR = "t T s i f L o c h l v n x q V Q B"
KINDS = ("trade", "aggTrade", "bookTicker", "depth@100ms", "kline_1m")


def event(data: dict[str, Any]) -> str:
    return str(data.get("e", "bookTicker"))


def shape(value: Any) -> Any:
    """Describe names, order and types of a message; of a list its first item."""
    if isinstance(value, dict):
        return [(name, shape(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str):
        return "decimal" if re.fullmatch(r"\d+(\.\d+)?", value) else "text"
    return type(value).__name__


def collect(running: Running, path: str, symbol: str) -> dict[str, dict[str, Any]]:
    """Give one message of each kind, of depth one with both sides."""
    found: dict[str, dict[str, Any]] = {}
    with running.connect(f"{path}/stream?streams=" + "/".join(f"{symbol}@{kind}" for kind in KINDS)) as client:
        while len(found) < len(KINDS):
            data = message(client)["data"]
            if (data.get("b") and data.get("a")) or "p" in data or "k" in data:
                found[event(data)] = data
    return found


@pytest.fixture(scope="module")
def spot(simulated: Running) -> dict[str, dict[str, Any]]:
    return collect(simulated, "", "btcusdt")


@pytest.fixture(scope="module")
def futures(simulated: Running) -> dict[str, dict[str, Any]]:
    return collect(simulated, "/market", "btcusdt")


def test_messages_have_the_venues_fields_in_its_order(
    spot: dict[str, dict[str, Any]], futures: dict[str, dict[str, Any]]
) -> None:
    for found, shapes in ((spot, SPOT), (futures, FUTURES)):
        assert {kind: " ".join(data) for kind, data in found.items()} == shapes
        assert " ".join(found["kline"]["k"]) == BAR
        assert {data["s"] for data in found.values()} == {"BTCUSDT"}


@pytest.mark.parametrize(
    ("venue", "files"),
    [
        ("spot", ("spot_btcusdt_20240808.gz", "BINANCE.ws.1.0.gz")),
        ("futures", ("usdm_btcusdt_20240808.gz", "BINANCE_FUTURES.ws.1.0.gz")),
    ],
)
def test_messages_have_the_shape_of_recorded_ones(
    venue: str, files: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    recorded: dict[str, Any] = {}
    for name in files:
        path = SHARED / "binance" / name
        if not path.exists():
            pytest.skip(f"recordings are not part of the project: no {name} beside the repository")
        with gzip.open(path) as lines:
            for line in lines:
                if len(recorded) == len(KINDS):
                    break
                if (at := line.find(b'{"stream"')) >= 0:
                    data = json.loads(line[at:])["data"]
                    if event(data) != "depthUpdate" or (data["b"] and data["a"]):
                        recorded.setdefault(event(data), data)
    assert len(recorded) == len(KINDS)
    made = request.getfixturevalue(venue)
    assert {kind: shape(data) for kind, data in made.items()} == {kind: shape(data) for kind, data in recorded.items()}


@pytest.mark.parametrize("path", ["", "/public"])
def test_book_from_rest_and_diffs_agrees_with_every_quote(simulated: Running, path: str) -> None:
    futures = path != ""
    rest = "/fapi/v1/depth" if futures else "/api/v3/depth"
    decoder = BinanceDecoder("binance_usdm" if futures else "binance")
    quotes: dict[int, tuple[int, ...]] = {}
    book: Book | None = None
    agreed = 0
    with simulated.connect(f"{path}/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker") as client:
        kept = until(client, lambda m: m["stream"].endswith("100ms"))
        snapshot = simulated.get(rest, symbol="BTCUSDT", limit=1000).content
        while agreed < 8:
            kept.append(message(client))
            if book is None:
                records = decoder.records(Frame((0,), 0, snapshot, "BTCUSDT"))
                assert isinstance(records[0], OrderBook)
                book = Book(records[0])
            for record in (r for m in kept for r in decoder.records(Frame((0,), 0, json.dumps(m).encode()))):
                if isinstance(record, Tick):
                    amounts = (record.bid, record.bid_size, record.ask, record.ask_size)
                    quotes[record.update_id] = tuple(units(text or "") for text in amounts)
                elif isinstance(record, OrderBook) and book.apply(record) and record.last_update_id in quotes:
                    assert (*book.best()[0], *book.best()[1]) == quotes[record.last_update_id]
                    agreed += 1
            kept.clear()


def test_raw_streams_and_several_on_one_path(simulated: Running) -> None:
    with simulated.connect("/ws/btcusdt@trade/ethusdt@trade") as client:
        seen = {m["s"] for m in until(client, lambda m: m["s"] == "ETHUSDT")}
        seen |= {m["s"] for m in until(client, lambda m: m["s"] == "BTCUSDT")}
        assert seen == {"BTCUSDT", "ETHUSDT"}


def test_commands(simulated: Running) -> None:
    with simulated.connect("/ws") as client:
        assert command(client, method="SUBSCRIBE", params=["btcusdt@bookTicker"], id=1) == {"result": None, "id": 1}
        assert "stream" not in message(client)
        listed = command(client, method="LIST_SUBSCRIPTIONS", id="a-1")
        assert listed == {"result": ["btcusdt@bookTicker"], "id": "a-1"}
        assert command(client, method="SET_PROPERTY", params=["combined", True], id=-2) == {"result": None, "id": -2}
        assert command(client, method="GET_PROPERTY", params=["combined"], id=None) == {"result": True, "id": None}
    with simulated.connect("/stream") as client:
        params = ["btcusdt@bookTicker", "ethusdt@bookTicker"]
        assert command(client, method="SUBSCRIBE", params=params, id=1)["result"] is None
        assert set(message(client)) == {"stream", "data"}
        assert command(client, method="UNSUBSCRIBE", params=params[:1], id=2)["result"] is None
        assert command(client, method="LIST_SUBSCRIPTIONS", id=3)["result"] == params[1:]
        assert {message(client)["stream"] for _ in range(20)} == {"ethusdt@bookTicker"}


@pytest.mark.parametrize(
    ("sent", "code", "text"),
    [
        ("{", 3, "Invalid JSON: expected value"),
        ("\u00e9", 3, "Invalid JSON"),
        ("[]", 2, "expected an object"),
        ('{"id":1}', 2, "missing field `method`"),
        ('{"method":"SUBSCRIBE","params":["a@trade"]}', 2, "request ID must be an unsigned integer"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1.5}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":9223372036854775808}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":"' + "x" * 37 + '"}', 2, "request ID"),
        ('{"method":"LISTEN","params":[],"id":1}', 2, "unknown variant LISTEN, expected one of `SUBSCRIBE`"),
        ('{"method":"SUBSCRIBE","params":"a@trade","id":1}', 2, "missing field `params`"),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "list of strings"),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["a"],"id":1}', 2, "too many parameters"),
        ('{"method":"SET_PROPERTY","params":["combine",true],"id":1}', 0, "Unknown property"),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "Invalid value type: expected Boolean"),
        ('{"method":"SET_PROPERTY","params":[true],"id":1}', 2, "property name must be a string"),
        ('{"method":"SUBSCRIBE","params":[' + ",".join(f'"s{n}@trade"' for n in range(1025)) + '],"id":1}', 2, "1024"),
    ],
)
def test_errors_are_answered(simulated: Running, sent: str, code: int, text: str) -> None:
    with simulated.connect("/ws") as client:
        client.send(sent)
        answer = message(client)
        assert answer["code"] == code
        assert text in answer["msg"]
        assert answer.get("id", 1) == 1


def test_the_sixth_message_within_a_second_ends_the_connection(simulated: Running) -> None:
    with simulated.connect("/ws") as client:
        for number in range(5):
            client.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        client.ping()
        assert [message(client)["id"] for _ in range(5)] == list(range(5))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_more_streams_than_allowed_in_the_address(simulated: Running) -> None:
    names = "/".join(f"s{n}@trade" for n in range(1025))
    with simulated.connect(f"/stream?streams={names}") as client, pytest.raises(ConnectionClosed):
        client.recv(timeout=20)


@pytest.mark.parametrize(
    ("path", "status"), [("/wss/btcusdt@trade", 404), ("/stream?streams=btcusdt@trade&timeUnit=MICROSECOND", 400)]
)
def test_addresses_that_are_not_there(simulated: Running, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        simulated.connect(path)
    assert refused.value.response.status_code == status


def handshake(running: Running, path: str) -> socket.socket:
    """Open a WebSocket that answers nothing by itself."""
    client = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert b"101 Switching" in head
    return client


def masked(opcode: int, payload: bytes) -> bytes:
    return bytes((0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def test_pings_and_the_end_of_who_does_not_answer(start: Start, capture: Path) -> None:
    running = start(
        "--capture", capture, "--start", "subscribed", "--limit-ping-seconds", "0.1", "--limit-pong-seconds", "2",
        "--limit-messages-a-second", "100",
    )  # fmt: skip
    begun = time.monotonic()
    with handshake(running, "/ws") as mute, handshake(running, "/ws") as wrong, handshake(running, "/ws") as right:
        clients = {mute: 0.0, wrong: 0.0, right: 0.0}
        while not (clients[mute] and clients[wrong]) or time.monotonic() - begun < 3.0:
            for client in clients:
                if clients[client]:
                    continue
                head = client.recv(2)
                if not head or head[0] == 0x88:
                    clients[client] = time.monotonic() - begun
                    continue
                assert head[0] == 0x89
                payload = client.recv(head[1])
                assert payload.isdigit()
                if client is right:
                    client.sendall(masked(0xA, payload))
                elif client is wrong:  # an unsolicited pong does not keep it alive
                    client.sendall(masked(0xA, b""))
        assert clients[right] == 0.0
        assert 1.9 < clients[mute] < 15
        assert 1.9 < clients[wrong] < 15


def test_a_connection_lives_as_long_as_it_may(start: Start, capture: Path) -> None:
    running = start(
        "--capture", capture, "--start", "subscribed", "--limit-life-seconds", "0.4", "--limit-notice-seconds", "0.2"
    )
    with running.connect("/ws") as raw, running.connect("/stream") as combined:
        told = message(raw)
        assert (list(told), told["e"]) == (["e", "E"], "serverShutdown")
        wrapped = message(combined)
        assert wrapped["stream"] == "!serverShutdown"
        assert list(wrapped["data"]) == ["e", "E"]
        for client in (raw, combined):
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=20)


def test_connections_from_one_address_are_limited(start: Start, capture: Path) -> None:
    running = start("--capture", capture, "--start", "subscribed", "--limit-connections", "2")
    with running.connect("/ws"), running.connect("/ws"), pytest.raises(InvalidStatus) as refused:
        running.connect("/ws")
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["retry-after"]) > 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"GET /" + b"a" * 100_000,
        b"POST /control/skip HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v3/depth?symbol=%ff%fe&limit=%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_hostile_requests_are_refused(simulated: Running, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", simulated.port), timeout=20) as client:
        try:
            client.sendall(sent)
            answer = client.recv(4096)
        except ConnectionError:
            answer = b""
        assert answer == b"" or re.match(rb"HTTP/1.1 4\d\d ", answer), answer
    assert simulated.get("/api/v3/ping").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x81\x05hello",  # not masked
        b"\x81\xff" + b"\x7f" * 8 + b"\0\0\0\0",  # longer than anything
        b"\xf1\x80\0\0\0\0",  # reserved bits
        b"\x89\xfe\x00\xff" + b"\0" * 259,  # a ping that is too long
        masked(0x0, b"x"),  # goes on with nothing
        masked(0x8, b"\x00"),  # a close of one byte
    ],
)
def test_hostile_frames_end_the_connection(simulated: Running, sent: bytes) -> None:
    with handshake(simulated, "/ws") as client:
        client.sendall(sent)
        answer = client.recv(4096)
        assert answer == b"" or answer[0] == 0x88
    assert simulated.get("/api/v3/ping").status_code == 200


def test_a_message_in_fragments(simulated: Running) -> None:
    with simulated.connect("/ws") as client:
        client.send(iter(['{"method":"LIST_', 'SUBSCRIPTIONS","id":4}']))
        assert message(client) == {"result": [], "id": 4}
