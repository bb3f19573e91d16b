"""Connections of a live feed, against a WebSocket server on loopback that behaves as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from barnabas_quant.bus import ensure_topics, partition_counts, read_records
from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.live_producer import LiveProducer
from barnabas_quant.feeds.live.binance import spot
from barnabas_quant.feeds.live.connection import Connection, Timing
from barnabas_quant.feeds.live.feed import FeedOptions, LiveFeed
from barnabas_quant.feeds.live.symbol import Places
from barnabas_quant.model import Gap, Tick
from barnabas_quant.service import Status

PATIENCE = 20.0
Behaviour = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def connected(behaviour: Behaviour) -> AsyncIterator[tuple[Connection, list[bytes]]]:
    """Give a connection to a server, and what comes on it."""
    came: list[bytes] = []
    async with serve(behaviour, "127.0.0.1", 0, max_size=None, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        connection = Connection(
            1, lambda payload, _: came.append(payload), 20.0, None, lambda payload: payload == b"answer", time.monotonic
        )
        await connection.open(f"ws://127.0.0.1:{port}/", 5)
        yield connection, came
        connection.end("done")


async def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.005)


def test_a_ping_is_answered_with_its_payload_and_is_a_sign_of_life() -> None:
    async def run() -> None:
        answered: list[float] = []

        async def behave(server: ServerConnection) -> None:
            for payload in (b"", b"abc", b"x" * 125):
                answered.append(await (await server.ping(payload)))  # only a pong with this payload counts
            await server.wait_closed()

        async with connected(behave) as (connection, came):
            connection.heard = 0.0
            await eventually(lambda: len(answered) == 3)
            assert connection.silent < PATIENCE
            assert not came

    asyncio.run(run())


def test_fragments_and_large_messages_come_whole_and_endless_ones_end_the_connection() -> None:
    large, limit = b"y" * (15 * 2**20), 16 * 2**20

    async def run() -> None:
        async def behave(server: ServerConnection) -> None:
            await server.send(["ab", "", "cd", "e"])
            await server.send(large)
            await server.send("last")
            with contextlib.suppress(ConnectionClosed):
                await server.send([b"z" * (limit // 2)] * 3)
            await server.wait_closed()

        async with connected(behave) as (connection, came):
            await eventually(connection.ended.is_set)
            assert came == [b"abcde", large, b"last"]
            assert connection.why == "a message without end"

    asyncio.run(run())


def test_a_frame_beyond_the_limit_ends_the_connection() -> None:
    async def run() -> None:
        async def behave(server: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                await server.send("w" * (17 * 2**20))
            await server.wait_closed()

        async with connected(behave) as (connection, came):
            await eventually(connection.ended.is_set)
            assert not came

    asyncio.run(run())


def test_the_end_is_told_once_and_with_its_reason() -> None:
    async def run() -> None:
        for code, reason in ((1001, "closed by the venue (1001)"), (None, "cut")):
            told: list[str] = []

            async def behave(server: ServerConnection, code: int | None = code) -> None:
                await server.recv()
                if code is None:
                    server.transport.abort()
                else:
                    await server.close(code)

            async with connected(behave) as (connection, _):
                connection.on_end = lambda ended, told=told: told.append(ended.why)  # type: ignore[misc]
                await connection.order(b"go", 1)
                await eventually(connection.ended.is_set)
                connection.end("once more")
                assert len(told) == 1
                assert reason.split(" (")[0] in told[0]

    asyncio.run(run())


def test_orders_keep_to_the_limit() -> None:
    async def run() -> None:
        at: list[float] = []

        async def behave(server: ServerConnection) -> None:
            async for _ in server:
                at.append(time.monotonic())

        async with connected(behave) as (connection, _):
            begun = time.monotonic()
            await asyncio.gather(*(connection.order(b"order", 1) for _ in range(6)))
            await eventually(lambda: len(at) == 6)
            assert at[-1] - begun > 0.95 * 5 / 20.0
            assert connection.unanswered == 6

    asyncio.run(run())


def test_what_is_held_comes_in_order_and_answers_at_once() -> None:
    async def run() -> None:
        async def behave(server: ServerConnection) -> None:
            await server.recv()
            for payload in (b"1", b"2", b"answer", b"3"):
                await server.send(payload)
            await server.recv()
            await server.send(b"4")
            await server.wait_closed()

        async with connected(behave) as (connection, came):
            connection.hold()
            await connection.order(b"begin", 0)
            await eventually(lambda: came == [b"answer"] and len(connection._held or []) == 3)
            connection.release()
            await connection.order(b"go", 0)
            await eventually(lambda: len(came) == 5)
            assert came == [b"answer", b"1", b"2", b"3", b"4"]

    asyncio.run(run())


# -------------------------------------------------------------------- a whole feed


class QuoteVenue:
    """Send quotes with rising ids to every connection that has subscribed, each with a lag of its own."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.connections: list[ServerConnection] = []
        self.subscribed: dict[ServerConnection, float] = {}
        self.sent = 0
        self.silent: set[ServerConnection] = set()

    async def behave(self, server: ServerConnection) -> None:
        lag = 0.05 * (len(self.connections) % 3)
        self.connections.append(server)
        with contextlib.suppress(ConnectionClosed):
            async for text in server:
                order = json.loads(text)
                assert order["params"] == [f"{self.symbol.lower()}@bookTicker"]
                await asyncio.sleep(0.1)  # an order takes effect when it does
                self.subscribed[server] = lag
                await server.send(json.dumps({"result": None, "id": order["id"]}))
        self.subscribed.pop(server, None)

    async def play(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.002)
            self.sent += 1
            quote = {"u": self.sent, "s": self.symbol, "b": "1", "B": str(self.sent), "a": "2", "A": "1"}
            text = json.dumps({"stream": f"{self.symbol.lower()}@bookTicker", "data": quote}, separators=(",", ":"))
            for server, lag in list(self.subscribed.items()):
                if server not in self.silent:
                    loop.call_later(lag, self._send, server, text)

    def _send(self, server: ServerConnection, text: str) -> None:
        with contextlib.suppress(ConnectionClosed, RuntimeError):
            server.protocol.send_text(text.encode())
            server.send_data()


Told = tuple[list[int], list[Gap], QuoteVenue]


def listen(bootstrap: str, timing: Timing, course: Callable[[QuoteVenue, LiveFeed], Awaitable[None]]) -> Told:
    """Run a feed on a venue for as long as `course` takes; give the ids in the topic and the gaps told."""
    symbol = f"S{uuid.uuid4().hex[:12].upper()}"
    ensure_topics(bootstrap)
    venue, producer = QuoteVenue(symbol), LiveProducer(bootstrap)
    letters = DeadLetters(bootstrap, "test")

    async def run() -> None:
        async with serve(venue.behave, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            options = FeedOptions(
                f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}", (symbol,), kinds=("quote",), timing=timing
            )
            feed = LiveFeed(spot(lambda: 0), options, producer, letters, Status(), lambda _: Places())
            done = asyncio.Event()
            playing = asyncio.create_task(venue.play())
            running = asyncio.create_task(feed.run(done.is_set))
            try:
                await course(venue, feed)
            finally:
                done.set()
                await running
                playing.cancel()

    asyncio.run(run())
    assert producer.flush(20) == 0
    assert letters.flush(5) == 0
    decode: dict[str, Any] = {kind.topic: msgspec.json.Decoder(kind).decode for kind in (Tick, Gap)}
    rows = [
        decode[str(message.topic())](bytes(message.value() or b""))
        for message in read_records(bootstrap, partition_counts(bootstrap, list(decode)))
        if message.key() == f"binance:{symbol}".encode()
    ]
    return [row.update_id for row in rows if isinstance(row, Tick)], [r for r in rows if isinstance(r, Gap)], venue


def test_connections_that_grow_old_are_replaced_without_a_hole(bootstrap: str) -> None:
    async def course(venue: QuoteVenue, feed: LiveFeed) -> None:
        await eventually(lambda: len(venue.connections) >= 5)

    timing = Timing(life=0.4, overlap=1.0, idle_ping=0.1, silence=2.0)
    ids, gaps, _ = listen(bootstrap, timing, course)
    assert not gaps
    assert len(ids) > 300
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_a_server_that_says_it_will_end_is_left_without_a_hole(bootstrap: str) -> None:
    async def course(venue: QuoteVenue, feed: LiveFeed) -> None:
        await eventually(lambda: len(venue.subscribed) == 1 and venue.sent > 100)
        leaving = venue.connections[0]
        await leaving.send('{"e":"serverShutdown","E":1}')
        await eventually(lambda: leaving not in venue.subscribed)
        count = venue.sent
        await eventually(lambda: venue.sent > count + 200)

    ids, gaps, venue = listen(bootstrap, Timing(overlap=1.0, silence=2.0), course)
    assert len(venue.connections) == 2
    assert not gaps
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_a_connection_that_is_half_open_is_given_up_and_the_hole_is_told(bootstrap: str) -> None:
    async def course(venue: QuoteVenue, feed: LiveFeed) -> None:
        await eventually(lambda: len(venue.subscribed) == 1 and venue.sent > 50)
        dead = venue.connections[0]
        venue.silent.add(dead)
        dead.transport.pause_reading()  # nor are pings answered
        await eventually(lambda: len(venue.connections) == 2 and len(venue.subscribed) >= 1)
        count = venue.sent
        await eventually(lambda: venue.sent > count + 200)

    ids, gaps, _ = listen(bootstrap, Timing(silence=2.0, idle_ping=0.1, first_pause=0.05), course)
    (gap,) = gaps
    assert (gap.stream, gap.cause, gap.filled) == ("bookTicker", "silent", False)
    assert gap.last_id is not None
    assert gap.next_id - gap.last_id > 100
    assert ids == [*range(ids[0], gap.last_id + 1), *range(gap.next_id, ids[-1] + 1)]


def test_a_quiet_market_is_no_silence(bootstrap: str) -> None:
    async def course(venue: QuoteVenue, feed: LiveFeed) -> None:
        await eventually(lambda: len(venue.subscribed) == 1)
        venue.silent.add(venue.connections[0])
        await asyncio.sleep(5.0)  # twice as long as a silence, and more
        venue.silent.clear()
        count = venue.sent
        await eventually(lambda: venue.sent > count + 50)

    _, gaps, venue = listen(bootstrap, Timing(silence=2.0, idle_ping=0.1), course)
    assert len(venue.connections) == 1
    assert not gaps


def test_symbols_come_and_go_while_running(bootstrap: str) -> None:
    orders: list[tuple[str, tuple[str, ...]]] = []

    async def behave(server: ServerConnection) -> None:
        async for text in server:
            order = json.loads(text)
            orders.append((order["method"], tuple(order["params"])))
            await server.send(json.dumps({"result": None, "id": order["id"]}))

    async def run() -> None:
        async with serve(behave, "127.0.0.1", 0, close_timeout=0.1) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            options = FeedOptions(
                f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}", ("A", "B"), kinds=("quote",),
                streams_a_connection=2,
            )  # fmt: skip
            feed = LiveFeed(
                spot(lambda: 0), options, LiveProducer(bootstrap), DeadLetters(bootstrap, "test"), Status(),
                lambda _: Places(),
            )  # fmt: skip
            done = asyncio.Event()
            running = asyncio.create_task(feed.run(done.is_set))
            await eventually(lambda: len(orders) == 1)
            await feed.subscribe(["C", "A"])  # a second connection
            await eventually(lambda: len(orders) == 2)
            feed.unsubscribe(["B"])
            await eventually(lambda: len(orders) == 3)
            await feed.subscribe(["D"])  # in the place of B
            await eventually(lambda: len(orders) == 4)
            feed.unsubscribe(["C"])
            await eventually(lambda: len(feed._shards) == 1)
            done.set()
            await running

    asyncio.run(run())
    assert orders[:4] == [
        ("SUBSCRIBE", ("a@bookTicker", "b@bookTicker")),
        ("SUBSCRIBE", ("c@bookTicker",)),
        ("UNSUBSCRIBE", ("b@bookTicker",)),
        ("SUBSCRIBE", ("d@bookTicker",)),
    ]


@pytest.mark.parametrize("address", ["ws://127.0.0.1:1/", "ws://127.0.0.1:99999/", "http://", "nonsense"])
def test_an_address_where_nobody_answers_is_an_os_error(address: str) -> None:
    async def run() -> None:
        connection = Connection(1, lambda payload, _: None, 1.0, None, lambda payload: False, time.monotonic)
        with pytest.raises(OSError, match=r".+"):
            await connection.open(address, 2)

    asyncio.run(run())
