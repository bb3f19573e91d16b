"""Faults on command: each does what it says, at the places that its entry in the log names, and nowhere else."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from barnabas_quant.exchange.garbage import KINDS
from barnabas_quant.exchange.ledger import digest

from ..conftest import eventually
from .conftest import HTTP, PATIENCE, START, Running, Start, message, until

DEPTH = "btcusdt@depth@100ms"
QUOTES = "btcusdt@bookTicker"


@pytest.fixture
def waiting(start: Start, capture: Path) -> Running:
    """Give an exchange whose capture waits for the order to start."""
    return start("--capture", capture, "--speed", "max", "--start", "subscribed", "--need", "nobody@trade")


def played(running: Running) -> None:
    running.order("start")
    eventually(lambda: running.control()["play"]["state"] == "played")


def made(running: Running, stream: str) -> list[list[int]]:
    """Give first and last id of every frame that was made."""
    (one,) = running.control("played", stream=stream, ids=1).values()
    return list(one["ids"])


def rest_of(client: ClientConnection, seconds: float = 0.3) -> list[Any]:
    """Read what there is."""
    read = []
    while True:
        try:
            read.append(client.recv(timeout=seconds))
        except TimeoutError:
            return read


def all_of(client: ClientConnection, count: int) -> list[Any]:
    """Read so many messages, however long they take to come, and what comes beyond them."""
    read: list[Any] = []
    with suppress(TimeoutError):
        while len(read) < count:
            read.append(client.recv(timeout=PATIENCE))
    return read + rest_of(client)


def spans(messages: list[Any]) -> list[list[int]]:
    return [[m["U"], m["u"]] if "U" in m else [m["u"], m["u"]] for m in messages]


def test_skipped_frames_leave_exactly_the_gap_that_the_log_tells(waiting: Running) -> None:
    with waiting.connect(f"/ws/{DEPTH}") as client:
        order = waiting.order("skip", stream=DEPTH, frames=3)
        assert (order["fault"], order["done"], order["places"]) == ("skip", False, [])
        played(waiting)
        received = spans([json.loads(m) for m in all_of(client, len(made(waiting, DEPTH)) - 3)])
    entry = waiting.entry(order)
    assert entry["done"]
    skipped = [[place["first"], place["last"]] for place in entry["places"]]
    assert {place["what"] for place in entry["places"]} == {"skipped"}
    assert skipped == made(waiting, DEPTH)[:3]
    assert skipped + received == made(waiting, DEPTH)


def test_a_pattern_names_many_streams_and_the_venue(waiting: Running) -> None:
    with waiting.connect(f"/stream?streams={DEPTH}/{QUOTES}") as client:
        order = waiting.order("skip", stream="binance:btcusdt@*", frames=40)
        waiting.order("skip", stream="okx:*", frames=1)
        played(waiting)
        count = len(made(waiting, DEPTH)) + len(made(waiting, QUOTES))
        received = [json.loads(m) for m in all_of(client, count - 40)]
    places = waiting.entry(order)["places"]
    assert len(places) == 40
    for stream in (DEPTH, QUOTES):
        mine = [[p["first"], p["last"]] for p in places if p["stream"] == f"binance:{stream}"]
        assert mine + spans([m["data"] for m in received if m["stream"] == stream]) == made(waiting, stream)


def test_garbage_comes_beside_or_instead_of_a_true_frame(waiting: Running) -> None:
    ways = [(kind, instead) for kind in KINDS for instead in (False, True)]
    with waiting.connect(f"/ws/{QUOTES}") as client:
        orders = [
            waiting.order("garbage", stream=QUOTES, kind=kind, frames=1, instead=instead) for kind, instead in ways
        ]
        played(waiting)
        ids = made(waiting, QUOTES)
        received = all_of(client, len(ids) + len(KINDS))  # a kind's second one comes instead of a frame
    for (kind, instead), order, (first, last) in zip(ways, orders, ids, strict=False):
        (place,) = waiting.entry(order)["places"]
        assert (place["first"], place["last"]) == (first, last)
        assert place["what"] == ("replaced" if instead else "garbage")
        wrong = received.pop(0)
        payload = wrong if isinstance(wrong, bytes) else wrong.encode()
        assert place["payload_digest"] == f"{digest(payload):016x}"
        assert_spoiled(kind, wrong, first)
        if not instead:
            assert json.loads(received.pop(0))["u"] == first
    assert spans([json.loads(m) for m in received]) == ids[len(ways) :]


def assert_spoiled(kind: str, wrong: str | bytes, update_id: int) -> None:
    """Check that a quote is wrong in this way, and in no other."""
    if kind == "binary":
        assert isinstance(wrong, bytes)
        return
    assert isinstance(wrong, str)
    if kind == "broken_json":
        with pytest.raises(ValueError, match="char"):
            json.loads(wrong)
        return
    data = json.loads(wrong)
    facts = {
        "huge": lambda: len(wrong) > 2 * 2**20 and data["u"] == update_id,
        "wrong_types": lambda: isinstance(data["b"], dict) and isinstance(data["u"], list),
        "missing_fields": lambda: data["u"] == update_id and "A" not in data,
        "negative_price": lambda: data["b"].startswith("-") and not data["B"].startswith("-"),
        "crossed_book": lambda: float(data["b"]) > float(data["a"]),
        "unknown_symbol": lambda: data["s"] == "NOSUCHCOINUSDT",
        "future_clock": lambda: data["u"] == update_id,  # a quote has no clock; see the next test
        "not_an_object": lambda: isinstance(data, list),
        "number_too_large": lambda: data["u"] > 2**64,
    }
    assert facts[kind]()


def test_a_clock_in_the_future(waiting: Running) -> None:
    with waiting.connect("/ws/btcusdt@trade") as client:
        waiting.order("garbage", stream="btcusdt@trade", kind="future_clock")
        played(waiting)
        wrong, true = message(client), message(client)
    assert wrong["T"] - true["T"] == wrong["E"] - true["E"] > 300 * 86_400_000
    assert wrong["t"] == true["t"]


def test_duplicates_and_frames_out_of_order(waiting: Running) -> None:
    with waiting.connect(f"/stream?streams={DEPTH}/{QUOTES}") as client:
        twice = waiting.order("garbage", stream=DEPTH, kind="duplicate", frames=2)
        late = waiting.order("garbage", stream=QUOTES, kind="out_of_order", frames=1)
        played(waiting)
        depth, quotes = made(waiting, DEPTH), made(waiting, QUOTES)
        received = [json.loads(m) for m in all_of(client, len(depth) + 2 + len(quotes))]
    assert spans([m["data"] for m in received if m["stream"] == DEPTH]) == [
        depth[0], depth[0], depth[1], depth[1], *depth[2:],
    ]  # fmt: skip
    assert spans([m["data"] for m in received if m["stream"] == QUOTES]) == [quotes[1], quotes[0], *quotes[2:]]
    assert [p["what"] for p in waiting.entry(twice)["places"]] == ["repeated"] * 2
    assert [[p["first"], p["what"]] for p in waiting.entry(late)["places"]] == [[quotes[0][0], "late"]]


@pytest.mark.parametrize("lose", [False, True])
def test_freeze_and_thaw(waiting: Running, lose: bool) -> None:
    with waiting.connect(f"/ws/{DEPTH}") as client:
        order = waiting.order("freeze", stream="*@depth*", lose=lose)
        played(waiting)
        client.ping().wait(PATIENCE)  # the connection looks alive
        assert rest_of(client, 0.1) == []
        assert waiting.control()["held"] == (0 if lose else len(made(waiting, DEPTH)))
        waiting.order("thaw")
        received = spans([json.loads(m) for m in all_of(client, 0 if lose else len(made(waiting, DEPTH)))])
    entry = waiting.entry(order)
    assert entry["done"]
    lost = [[place["first"], place["last"]] for place in entry["places"]]
    assert lost + received == made(waiting, DEPTH)
    assert bool(lost) == lose


def test_a_freeze_of_so_many_seconds_thaws_by_itself(waiting: Running) -> None:
    with waiting.connect(f"/ws/{DEPTH}") as client:
        waiting.order("freeze", seconds=0.3)
        played(waiting)
        first = message(client)
        assert [first["U"], first["u"]] == made(waiting, DEPTH)[0]


def test_delay_holds_everything_back_in_order(start: Start, capture: Path) -> None:
    running = start("--capture", capture, "--speed", "50", "--start", "subscribed", "--need", "nobody@trade")
    with running.connect(f"/stream?streams={DEPTH}/{QUOTES}") as client:
        running.order("delay", seconds=0.4)
        begun = time.monotonic()
        running.order("start")
        received = [json.loads(client.recv(timeout=PATIENCE))]
        assert 0.35 < time.monotonic() - begun < 10
        begun = time.monotonic()
        assert running.get("/api/v3/ping").status_code == 200
        assert 0.4 <= time.monotonic() - begun < 10
        running.order("delay", seconds=0)
        eventually(lambda: running.control()["play"]["state"] == "played")
        count = len(made(running, DEPTH)) + len(made(running, QUOTES))
        received += [json.loads(m) for m in all_of(client, count - 1)]
    for stream in (DEPTH, QUOTES):
        assert spans([m["data"] for m in received if m["stream"] == stream]) == made(running, stream)


def test_drops(waiting: Running) -> None:
    ways = ("close", "abort", "half", "silent")
    with ExitStack() as stack:
        clients = [stack.enter_context(waiting.connect(f"/ws/{DEPTH}")) for _ in (*ways, "not at all")]
        numbers = [connection["number"] for connection in waiting.control()["connections"]]
        for how, number in zip(ways, numbers, strict=False):
            order = waiting.order("drop", how=how, connections=[number], code=1012)
            assert order["detail"]["dropped"] == [
                {"number": number, "venue": "binance", "last_ids": {f"binance:{DEPTH}": None}}
            ]
        played(waiting)
        for how, client in zip(ways, clients, strict=False):
            if how == "silent":
                assert rest_of(client, 0.2) == []
                assert not client.ping().wait(0.2)
                continue
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=PATIENCE)
            frame = closed.value.rcvd
            assert (None if frame is None else frame.code) == (1012 if how == "close" else None)
        everything = made(waiting, DEPTH)
        assert spans([json.loads(m) for m in all_of(clients[-1], len(everything))]) == everything


def test_the_log_says_where_a_connection_was_dropped(start: Start, capture: Path) -> None:
    running = start("--capture", capture, "--speed", "2", "--start", "subscribed", "--need", DEPTH)
    with running.connect(f"/ws/{DEPTH}") as client:
        received = [message(client) for _ in range(3)]
        order = running.order("drop", how="abort")
        try:
            while True:
                received.append(message(client))
        except ConnectionClosed:
            pass
    last = order["detail"]["dropped"][0]["last_ids"][f"binance:{DEPTH}"]
    assert received[-1]["u"] <= last  # what was made last may have been cut off on its way
    with running.connect(f"/ws/{DEPTH}") as client:
        assert message(client)["U"] > last


@pytest.mark.parametrize("status", [418, 429, 500, 503])
def test_requests_are_refused_as_often_as_ordered(simulated: Running, status: int) -> None:
    order = simulated.order("rest", status=status, requests=2, path="/api/v3/klines", retry_after=7)
    url = "/api/v3/klines?symbol=BTCUSDT&interval=1m"
    assert simulated.get("/api/v3/time").status_code == 200
    answers = [simulated.get(url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].json()["code"] == (-1003 if status in (418, 429) else -1001)
    assert answers[0].headers.get("retry-after") == ("7" if status in (418, 429) else None)
    entry = simulated.entry(order)
    assert (entry["done"], entry["detail"]) == (True, {"answered": ["/api/v3/klines"] * 2})


def test_connections_are_refused_and_shut_down(waiting: Running) -> None:
    order = waiting.order("refuse", connections=2)
    for _ in range(2):
        with pytest.raises(InvalidStatus) as refused:
            waiting.connect("/ws")
        assert refused.value.response.status_code == 503
    with waiting.connect("/ws"):
        pass
    assert waiting.entry(order)["detail"] == {"refused": 2}
    waiting.order("refuse", connections=1, tcp=True)
    with pytest.raises(httpx.TransportError):
        waiting.get("/api/v3/ping")
    assert waiting.get("/api/v3/ping").status_code == 200
    with waiting.connect("/stream") as client:
        waiting.order("shutdown", seconds=0.1)
        assert message(client)["data"]["e"] == "serverShutdown"
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=PATIENCE)
    with waiting.connect("/ws"):  # others may come
        assert waiting.control()["ended"][-1]["why"] == "server shutdown"


def test_clear_ends_everything_in_force(waiting: Running) -> None:
    waiting.order("skip", stream="*", frames=1000)
    waiting.order("freeze")
    waiting.order("delay", seconds=60)
    waiting.order("rest", status=503, requests=1000)
    waiting.order("refuse")
    assert len(waiting.control()["in_force"]) == 5
    waiting.order("clear")
    assert waiting.control()["in_force"] == []
    with waiting.connect(f"/ws/{DEPTH}") as client:
        played(waiting)
        everything = made(waiting, DEPTH)
        assert spans([json.loads(m) for m in all_of(client, len(everything))]) == everything
    assert waiting.get("/api/v3/ping").status_code == 200


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("skip", b"{}"), ("skip", b'{"stream":"x","frames":0}'), ("skip", b'{"stream":"x","frames":"1"}'),
        ("skip", b"["), ("skip", b"\xff"), ("garbage", b'{"stream":"x","kind":"nice"}'), ("drop", b'{"how":"gently"}'),
        ("drop", b'{"connections":"some"}'), ("drop", b'{"code":7}'), ("rest", b'{"status":200}'),
        ("delay", b'{"seconds":-1}'), ("freeze", b'{"seconds":"x"}'), ("shutdown", b'{"seconds":null}'),
        ("refuse", b'{"connections":0}'),
    ],
)  # fmt: skip
def test_orders_that_make_no_sense_are_refused(simulated: Running, name: str, body: bytes) -> None:
    before = len(simulated.control("log"))
    answer = HTTP.post(f"{simulated.rest}/control/{name}", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert len(simulated.control("log")) == before


def test_what_is_no_order(simulated: Running) -> None:
    assert HTTP.post(f"{simulated.rest}/control/explode", json={}).status_code == 404
    assert simulated.get("/control/nowhere").status_code == 404


def test_a_client_that_does_not_read_is_dropped_and_the_others_go_on(start: Start, capture: Path) -> None:
    running = start("--rate", "60000", "--symbols", "1", "--limit-waiting-bytes", "100000")
    # Prepared frames pass over who is behind; those of a market drop him: see below.
    with running.connect(f"/ws/{QUOTES}") as client:
        until(client, lambda m: True)
    slow = start("--capture", capture, "--speed", "200", "--start", "subscribed", "--need", "nobody@trade",
                 "--limit-waiting-bytes", "20000")  # fmt: skip
    slow.order("garbage", stream=QUOTES, kind="huge", frames=20)
    with slow.connect(f"/ws/{QUOTES}", max_queue=1) as deaf, slow.connect(f"/ws/{DEPTH}") as client:
        slow.order("start")
        until(client, lambda m: m["E"] >= START + 9_000)
        eventually(lambda: any(end["why"] == "does not keep up" for end in slow.control()["ended"]))
        deaf.close_socket()
