"""A live feed: connections to one venue, the states of its symbols, what they ask to be fetched, and Kafka.

One loop. Frames come in callbacks and leave as records in the same callback; the producer's queue is the only buffer.
When it is full nothing is read from the venue until there is room: the venue waits, or drops us, and then there is a
gap, told and where possible filled. A connection that breaks is opened again, ever later; one that grows old is
replaced before it is cut, without a hole (connection.py says how). Whatever fails for no reason known here ends the
feed: its process is started again, and goes on from what stands in the topics.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.live_producer import LiveProducer
from barnabas_quant.errors import BusError, FrameError
from barnabas_quant.feeds.live.connection import Connection, Timing
from barnabas_quant.feeds.live.pace import Backoff, Budget
from barnabas_quant.feeds.live.rest import Rest, RestError
from barnabas_quant.feeds.live.symbol import Counts, Places, SymbolState, Work
from barnabas_quant.feeds.live.venue import Handler, Venue
from barnabas_quant.service import Status

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """Say where a venue is and what is taken from it."""

    stream: str
    rest: str
    symbols: tuple[str, ...]
    intervals: tuple[str, ...] = ("1m",)
    history: int = 0
    """Candles of each interval that are fetched where the topic has none of a symbol."""
    kinds: tuple[str, ...] = ("trade", "quote", "depth", "kline")
    timing: Timing = field(default_factory=Timing)
    streams_a_connection: int | None = None
    """None: what the venue allows."""
    book_levels: int = 100
    """Levels a side of the snapshots of rebuilt books."""
    book_seconds: float = 1.0
    """Between two snapshots of a rebuilt book."""


class LiveFeed:
    """Run a feed until `stop` is set."""

    def __init__(
        self,
        venue: Venue,
        options: FeedOptions,
        producer: LiveProducer,
        letters: DeadLetters,
        status: Status,
        places: Callable[[str], Places],
    ) -> None:
        """Take the venue, the way to Kafka, and where its topics stand for a symbol."""
        self._venue = venue
        self._options = options
        self._producer = producer
        self._letters = letters
        self._status = status
        self._places = places
        self._stream_of = venue.stream_of
        self.counts = Counts()
        self.states: dict[str, SymbolState] = {}
        self._handlers: dict[bytes, Handler] = {}  # by the stream's name in a frame
        self._wanted: asyncio.Queue[Work] = asyncio.Queue()
        self._connections: dict[int, Connection] = {}
        """The one of each shard that delivers."""
        self._opening: dict[int, Connection] = {}
        self._shards: dict[int, dict[str, None]] = {}
        """Streams that belong on one connection, all of one address."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = iter(range(1, 2**62))
        self._budget = Budget(250, 300.0, time.monotonic)  # of Binance's 300 in five minutes
        self._rest = Rest(options.rest, venue.rest_weight, venue.rest_pause, lambda: Backoff(0.5, 30.0, random.random))
        self._failure: BaseException | None = None
        self._full = False
        producer.on_full = self._on_full
        self._stopping = False
        self._reported = 0
        for symbol in options.symbols:
            self._add(symbol, places(symbol))

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Listen until `stopped()`; then whatever was taken waits in the producer. Raises BusError."""
        self._place(stream for symbol in self._options.symbols for stream in self._streams(symbol))
        self._spawn(self._fetch())
        told = time.monotonic()
        try:
            while not stopped():
                await asyncio.sleep(0.05)
                self._pump()
                if self._failure is not None:
                    raise self._failure
                if time.monotonic() - told >= self._options.book_seconds:
                    told = time.monotonic()
                    for state in self.states.values():
                        state.tell_book(self._options.book_levels)
                    self._report()
        finally:
            self._stopping = True
            for connection in [*self._connections.values(), *self._opening.values()]:
                connection.end("stopped")
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._rest.close()
            self._report()

    async def subscribe(self, symbols: Sequence[str]) -> None:
        """Take further symbols while running, on the connections that have room or on new ones. Raises BusError."""
        for symbol in symbols:
            if symbol not in self.states:
                places = await asyncio.to_thread(self._places, symbol)
                if symbol not in self.states:
                    self._add(symbol, places)
                    self._place(self._streams(symbol))

    def unsubscribe(self, symbols: Sequence[str]) -> None:
        """Leave symbols while running."""
        for symbol in symbols:
            if self.states.pop(symbol, None) is None:
                continue
            gone = self._streams(symbol)
            for stream in gone:
                self._handlers[stream.encode()] = _pass_over  # some are on their way still
            for number, shard in self._shards.items():
                left = [stream for stream in gone if shard.pop(stream, self) is None]
                if left:
                    self._order_again(number)

    def _place(self, streams: Iterable[str]) -> None:
        """Put streams on connections: on those of their address that have room, else on new ones."""
        size = self._options.streams_a_connection or self._venue.streams_a_connection
        touched, fresh = set(), set()
        for stream in streams:
            address = self._url(stream)
            for number, shard in self._shards.items():
                if len(shard) < size and (not shard or self._url(next(iter(shard))) == address):
                    shard[stream] = None
                    touched.add(number)
                    break
            else:
                number = next(self._numbers)
                self._shards[number] = {stream: None}
                fresh.add(number)
        for number in touched - fresh:
            self._order_again(number)
        for number in fresh:
            self._spawn(self._keep(number))

    def _url(self, stream: str) -> str:
        return self._venue.url(self._options.stream, stream)

    # ---------------------------------------------------------------- frames

    def _take(self, payload: bytes, connection: Connection) -> None:
        received = time.time_ns() // 1000
        self.counts.frames += 1
        stream = self._stream_of(payload)
        handler = self._handlers.get(stream)
        if handler is None:
            self._no_stream(stream, payload, connection)
            return
        try:
            handler(payload, received)
        except FrameError as error:
            self._bad(payload, "absurd", str(error), stream)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            self._bad(payload, "malformed", f"malformed: {error}", stream)
        except BusError as error:
            self._failure = self._failure or error

    def _no_stream(self, stream: bytes, payload: bytes, connection: Connection) -> None:
        notice = self._venue.notice(payload)
        if notice == "stream":
            self._bad(payload, "not asked for", "a stream that nobody asked for", stream)
        elif notice == "shutdown":
            connection.expiring = True
        elif notice == "answer":
            connection.unanswered -= 1
        elif notice == "refused":
            connection.unanswered -= 1
            log.warning("%s refuses an order: %s", self._venue.exchange, payload[:300])
            self._status.error("refused")
        elif notice == "unknown":
            self._bad(payload, "unknown", "neither a stream's frame nor an answer", None)

    def _bad(self, payload: bytes, kind: str, reason: str, stream: bytes | None) -> None:
        self._status.error(kind)
        where = "" if stream is None else stream.decode("ascii", "replace")
        self._letters.put(payload, reason, f"{self._venue.exchange} {where}")

    def _on_full(self) -> None:
        if not self._full:
            self._full = True
            self._read(False)

    def _pump(self) -> None:
        """Serve the producer; read on when it has room."""
        if self._producer.pump() and self._full:
            self._full = False
            self._read(True)

    def _read(self, on: bool) -> None:
        for connection in (*self._connections.values(), *self._opening.values()):
            connection.read(on)

    def _report(self) -> None:
        status, counts = self._status, self.counts
        status.count(self._producer.taken - self._reported)
        self._reported = self._producer.taken
        depth = "depth" in self._options.kinds
        without = [symbol for symbol, state in self.states.items() if depth and not state.synchronised]
        open_ones = sum(not connection.ended.is_set() for connection in self._connections.values())
        status.ready = open_ones > 0
        words = [f"{open_ones} of {sum(bool(shard) for shard in self._shards.values())} connections"]
        if self._full:
            words.append("Kafka is slow: reading waits")
        if without:
            words.append(f"no book yet: {', '.join(without[:3])}{'...' if len(without) > 3 else ''}")
        if counts.gaps:
            words.append(f"{counts.gaps} gaps")
        if counts.mismatched:
            words.append(f"{counts.mismatched} of {counts.checked} quotes differed")
        status.note = ", ".join(words)

    # ---------------------------------------------------------------- symbols

    def _add(self, symbol: str, places: Places) -> None:
        state = SymbolState(
            self._venue.exchange,
            symbol,
            self._venue.trade_stream,
            places,
            self._producer.put,
            self._wanted.put_nowait,
            self.counts,
            self._options.history,
        )
        self.states[symbol] = state
        for stream in self._streams(symbol):
            self._handlers[stream.encode()] = self._venue.handler(stream, state)

    def _streams(self, symbol: str) -> list[str]:
        return self._venue.streams(symbol, self._options.kinds, self._options.intervals)

    # ---------------------------------------------------------------- connections

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: a task has failed", self._venue.exchange, exc_info=error)
            self._failure = self._failure or error

    async def _keep(self, number: int) -> None:
        """Keep one shard connected, as long as it has streams."""
        timing = self._options.timing
        backoff = Backoff(timing.first_pause, timing.longest_pause, random.random)
        connection: Connection | None = None
        while self._shards[number] and not self._stopping:
            try:
                fresh = await self._open(number, connection)
            except OSError as error:
                self._status.error("connection")
                log.warning("%s: %s", self._venue.exchange, error)
                await asyncio.sleep(backoff.next())
                continue
            connection = fresh
            if await self._watch(fresh):
                backoff.reset()
                continue  # it grows old: the next one is opened beside it
            if self._stopping or not self._shards[number]:
                break
            log.warning("%s: connection %d %s", self._venue.exchange, number, fresh.why)
            self._status.error("disconnected")
            if time.monotonic() - fresh.opened > timing.silence:
                backoff.reset()
            await asyncio.sleep(backoff.next())
        self._connections.pop(number, None)
        del self._shards[number]

    async def _open(self, number: int, old: Connection | None) -> Connection:
        """Open a shard's connection, beside an old one where that still delivers, and let it take over.

        Raises OSError.
        """
        while wait := self._budget.wait():
            await asyncio.sleep(wait)
        venue, timing = self._venue, self._options.timing
        if not (shard := self._shards[number]):
            raise OSError("nothing is wanted any more")
        connection = Connection(
            number, self._take, venue.messages_a_second, venue.idle_ping, self._is_answer, time.monotonic
        )
        await connection.open(self._url(next(iter(shard))), timing.handshake)
        self._opening[number] = connection
        try:
            connection.read(not self._full)
            if old is not None and not old.ended.is_set():
                connection.hold()
                await self._overlap(connection, old)
            self._connections[number] = connection
            connection.on_end = self._connection_ended
        finally:
            del self._opening[number]
        if connection.ended.is_set():
            self._connection_ended(connection)
        connection.release()
        await self._settle(connection)
        return connection

    async def _overlap(self, connection: Connection, old: Connection) -> None:
        """Wait until a connection delivers whatever the old one does, then end that. Raises OSError."""
        timing = self._options.timing
        await self._settle(connection)
        deadline = time.monotonic() + timing.handshake
        while connection.unanswered > 0 and not connection.ended.is_set():
            if time.monotonic() > deadline:
                connection.end("it does not answer orders")
            await asyncio.sleep(0.01)
        if connection.ended.is_set():
            raise OSError(f"connection {connection.number}, to replace another: {connection.why}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timing.overlap):
                await old.ended.wait()
        if not old.ended.is_set():
            old.on_end = lambda connection: None  # nothing is missed: both were open
            old.end("replaced")

    def _is_answer(self, payload: bytes) -> bool:
        return self._stream_of(payload) not in self._handlers

    def _order_again(self, number: int) -> None:
        for connections in (self._connections, self._opening):
            if connection := connections.get(number):
                self._spawn(self._settle(connection))

    async def _settle(self, connection: Connection) -> None:
        """Order what is wanted on a connection and is not there, and the other way round."""
        async with connection.settling:
            while not connection.ended.is_set():
                shard = self._shards.get(connection.number, {})
                missing = [stream for stream in shard if stream not in connection.asked]
                gone = [stream for stream in connection.asked if stream not in shard]
                some = (gone or missing)[: self._venue.most_orders]
                if not some:
                    break
                if gone:
                    connection.asked.difference_update(some)
                else:
                    connection.asked.update(some)
                await connection.order(*self._venue.order(not gone, some, next(self._numbers)))
        if not self._shards.get(connection.number):
            connection.end("nothing is wanted any more")

    def _connection_ended(self, connection: Connection) -> None:
        """Tell the symbols that frames may be missing."""
        if self._stopping:
            return
        for symbol, state in self.states.items():
            if not connection.asked.isdisjoint(self._streams(symbol)):
                state.broken(connection.why)

    async def _watch(self, connection: Connection) -> bool:
        """Wait until a connection ends (False) or is to be replaced (True)."""
        timing = self._options.timing
        pinged = time.monotonic()
        while not connection.ended.is_set():
            # Not wait_for: Python 3.11's loses a cancellation that comes together with what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(1.0, timing.silence / 4)):
                    await connection.ended.wait()
            now = time.monotonic()
            if connection.ended.is_set():
                break
            if connection.expiring or now - connection.opened > timing.life:
                return True
            if connection.silent > timing.silence:
                connection.end("silent")
            elif now - pinged > timing.idle_ping:
                pinged = now
                connection.ping()
        return False

    # ---------------------------------------------------------------- what is fetched

    async def _fetch(self) -> None:
        """Do what the symbols ask for; the REST interface takes one request after another."""
        while True:
            work = await self._wanted.get()
            self._spawn(self._do(work))

    async def _do(self, work: Work) -> None:
        """Fetch until it is there, ever later; only what the venue will never give is left out, and told as a gap."""
        backoff = Backoff(1.0, 60.0, random.random)
        state = self.states.get(work.symbol)
        while state is not None and state is self.states.get(work.symbol):
            try:
                await self._attempt(work, state)
                return
            except RestError as error:
                self._status.error("rest")
                log.warning("%s %s: %s", self._venue.exchange, work.symbol, error)
                if error.final and work.kind == "trades":
                    state.fetched_trades([], work)
                    return
                if error.final and work.kind == "klines":
                    state.fetched_klines([], work)
                    return
            except (FrameError, ValueError) as error:
                self._status.error("rest")
                log.warning("%s %s: an answer that cannot be used: %s", self._venue.exchange, work.symbol, error)
            await asyncio.sleep(0.2 + backoff.next())

    async def _attempt(self, work: Work, state: SymbolState) -> None:
        venue = self._venue
        if work.kind == "book":
            if venue.streamed_books:
                await self._order_book_again(work.symbol)
                return
            await asyncio.sleep(0.05)  # let the first changes come: a snapshot must not be older than they
            while not state.fetched_book(await venue.book(self._rest, work.symbol)):
                await asyncio.sleep(0.2)
        elif work.kind == "trades":
            first: int | None = work.first
            while first is not None:
                first = state.fetched_trades(await venue.trades(self._rest, work.symbol, first, work.last), work)
        else:
            klines = await venue.klines(self._rest, work.symbol, work.interval, work.first, work.last)
            state.fetched_klines(klines, work)

    async def _order_book_again(self, symbol: str) -> None:
        """Leave the depth of a symbol and take it again: it begins with a snapshot."""
        (stream,) = self._venue.streams(symbol, ("depth",), ())
        for connection in self._connections.values():
            if stream in connection.asked:
                async with connection.settling:
                    await connection.order(*self._venue.order(False, [stream], next(self._numbers)))
                    connection.asked.discard(stream)
                await self._settle(connection)


def _pass_over(payload: bytes, received: int) -> None:
    """Take what nobody wants any more."""
