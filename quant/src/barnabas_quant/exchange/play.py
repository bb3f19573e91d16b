"""What is played: the simulated market at the pace of the wall clock, or a capture at any speed.

The simulated market is a function of its seed and of the minute of the wall clock: whoever starts it again finds it
where it would be, ids and prices alike, and recent history is made again at the start; of what lies before that there
are bars alone. Its spot frames are told to each venue in that venue's way.

A capture is played as it was recorded, once. Symbols, streams and first snapshots are looked up ahead; its clock is
the exchange's own event time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from typing import Protocol

import msgspec

from barnabas_quant.errors import QuantError
from barnabas_quant.exchange.binance_rest import aggregate_of
from barnabas_quant.exchange.futures import futures_message, futures_snapshot
from barnabas_quant.exchange.klines import Bar
from barnabas_quant.exchange.market import Market
from barnabas_quant.exchange.messages import (
    Aggregate,
    FuturesAggregate,
    FuturesQuote,
    FuturesTrade,
    Kline,
    Message,
    Places,
    Quote,
    Snapshot,
    Trade,
    decode,
    decode_snapshot,
    encode,
    stream_kind,
)
from barnabas_quant.exchange.okx_market import OkxMarket
from barnabas_quant.exchange.simulator import MINUTE
from barnabas_quant.feeds import BITCOIN_AND_OTHERS, Capture, Frame, Instrument, Simulator
from barnabas_quant.feeds.pacing import Pacer

log = logging.getLogger(__name__)

EPOCH = 1_577_836_800_000
"""2020-01-01 UTC: minute 0 of the simulated market, milliseconds since 1970."""

_BURST = 200  # frames between two looks at everything else
_LOOK_AHEAD = 20_000  # frames of a capture that are searched for symbols and snapshots


class Play(Protocol):
    """Play something to its end, if it has one."""

    state: str
    frames: int

    def prepare(self) -> None:
        """Do what has to be done before anybody is let in."""

    async def run(self) -> None:
        """Play."""

    def now(self) -> int:
        """Give the exchange's clock, milliseconds since 1970."""

    def describe(self) -> dict[str, object]:
        """Tell what is played, for the control page."""


def split(text: bytes) -> tuple[str, bytes]:
    """Split a combined frame into the stream's name and the payload, untouched. Raises msgspec.DecodeError."""
    if text.startswith(b'{"stream":"'):
        end = text.index(b'"', 11)
        if text.startswith(b'","data":', end):
            return text[11:end].decode(), text[end + 9 : -1]
    wrapped = msgspec.json.decode(text, type=_Wrapped)
    return wrapped.stream, bytes(wrapped.data)


class _Wrapped(msgspec.Struct):
    stream: str
    data: msgspec.Raw


def places_of(instrument: Instrument) -> Places:
    """Give the decimal places that an instrument needs."""
    return Places(8 - int(math.log10(instrument.tick)), 8 - int(math.log10(instrument.lot)))


def instruments(count: int) -> tuple[Instrument, ...]:
    """Give so many instruments: the well-known ones, then as many made-up ones as it takes."""
    more = tuple(
        Instrument(f"SIM{number:03d}USDT", price=10_000 + 37 * number, tick=1_000_000, lot=100_000)
        for number in range(len(BITCOIN_AND_OTHERS) + 1, count + 1)
    )
    return BITCOIN_AND_OTHERS[:count] + more


class SimulatedPlay:
    """Play the simulated market for as long as it runs."""

    def __init__(
        self,
        simulator: Simulator,
        instruments: Iterable[Instrument],
        spot: Market | None,
        futures: Market | None,
        okx: OkxMarket | None,
        backlog: int = 1,
        remembers: bool = True,
    ) -> None:
        """Take the venues, how many minutes before now are played, and whether there are bars of earlier ones."""
        self.state = "playing"
        self.frames = 0
        self._simulator = simulator
        self._spot = spot
        self._futures = futures
        self._okx = okx
        self._backlog = backlog
        self._coming: Iterator[Frame] = iter(())
        for market in (spot, futures):
            if market is not None:
                market.aggregates_are_trades = True
        self._places: dict[str, Places] = {}
        for instrument in instruments:
            symbol, places, lower = instrument.symbol, places_of(instrument), instrument.symbol.lower()
            self._places[symbol] = places
            names = [f"{lower}@{kind}" for kind in ("trade", "aggTrade", "bookTicker", "depth@100ms", "kline_1m")]
            histories = []
            if spot is not None:
                histories.append(spot.list_symbol(symbol, Places(), places, names))
            if futures is not None:
                histories.append(futures.list_symbol(symbol, places, places, names))
            if okx is not None:
                histories.append(okx.list_symbol(symbol, places))
            for history in histories if remembers else ():
                history.klines.remembers(partial(self._sketch, instrument))

    def now(self) -> int:
        return time.time_ns() // 10**6

    def describe(self) -> dict[str, object]:
        return {"what": self._simulator.identity, "symbols": list(self._places)}

    def prepare(self) -> None:
        """Make again what lies before now, so that history and books are there."""
        number = (self.now() - EPOCH) // MINUTE - self._backlog
        for market in (self._spot, self._futures, self._okx):
            if market is not None:
                market.begin(EPOCH + number * MINUTE)
        self._coming = self._frames(number)
        quotes: dict[bytes, Frame] = {}
        while True:
            frame = next(self._coming)
            at = frame.received // 10**6
            if at >= self.now():
                break
            if b'@bookTicker"' in frame.text[:40]:
                quotes[frame.text[: frame.text.index(b"@")]] = frame  # of quotes only the last one is history
            else:
                self._tell(frame, at, late=True)
        for quote in quotes.values():
            self._tell(quote, quote.received // 10**6, late=True)
        self._coming = chain((frame,), self._coming)

    async def run(self) -> None:
        for frame in self._coming:
            at = frame.received // 10**6
            wait = at / 1000 - time.time()
            if wait > 0.001:
                await asyncio.sleep(wait)
            self._tell(frame, at, late=False)
            self.frames += 1
            if self.frames % _BURST == 0:
                await asyncio.sleep(0)

    def _sketch(self, instrument: Instrument, opened: int) -> Bar:
        return self._simulator.sketch(instrument, (opened - EPOCH) // MINUTE)

    def _frames(self, number: int) -> Iterator[Frame]:
        while True:
            yield from self._simulator.minute(number, EPOCH + number * MINUTE)
            number += 1

    def _tell(self, frame: Frame, at: int, late: bool) -> None:
        if frame.symbol is not None:
            snapshot = decode_snapshot(frame.text)
            if self._spot is not None:
                self._spot.snapshot(frame.symbol, snapshot)
            if self._futures is not None:
                self._futures.snapshot(frame.symbol, futures_snapshot(snapshot, self._places[frame.symbol], at))
            if self._okx is not None:
                self._okx.snapshot(frame.symbol, snapshot)
            return
        name, payload = split(frame.text)
        message = decode(stream_kind(name), payload, futures=False)
        if message is None:
            return
        self._tell_all(name, message, payload, at, late)
        if isinstance(message, Trade):
            aggregate = aggregate_of(message)
            self._tell_all(f"{message.symbol.lower()}@aggTrade", aggregate, encode(aggregate), at, late)

    def _tell_all(self, name: str, message: Message, payload: bytes, at: int, late: bool) -> None:
        places = self._places[message.symbol]
        if self._spot is not None:
            if late:
                self._spot.catch_up(message)
            else:
                self._spot.play(name, message, payload)
        if self._futures is not None:
            told = futures_message(message, places, at)
            if late:
                self._futures.catch_up(told)
            else:
                self._futures.play(name, told, encode(told))
        if self._okx is not None:
            (self._okx.catch_up if late else self._okx.play)(message, places, at)


class CapturePlay:
    """Play captures of one venue, merged by the time of reception. Raises QuantError for files that do not fit."""

    def __init__(
        self,
        captures: list[Capture],
        market: Market,
        speed: float | None,
        ready: Callable[[list[str]], Awaitable[None]],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        """Take how fast (None: as fast as it goes), what to wait for before, and what to wait for on the way."""
        if len({capture.exchange for capture in captures}) != 1:
            raise QuantError("captures of different venues cannot be played together")
        self.state = "waiting"
        self.frames = 0
        self.unreadable = 0
        self._captures = captures
        self._market = market
        self._speed = speed
        self._ready = ready
        self._room = room
        self._pacer = Pacer(speed, time.time_ns)
        self._told_at = 0.0
        self._look_ahead()

    def now(self) -> int:
        if self.state == "playing" and self._speed is not None:
            return self._market.time + int((time.monotonic() - self._told_at) * 1000 * self._speed)
        return self._market.time

    def describe(self) -> dict[str, object]:
        return {
            "what": [capture.identity for capture in self._captures],
            "speed": self._speed or "max",
            "unreadable": self.unreadable,
            "streams": sorted(self._market.sources),
        }

    async def run(self) -> None:
        await self._ready(sorted(self._market.sources))
        self.state = "playing"
        began = False
        for frame in self._frames():
            if self._speed is not None:
                wait = self._pacer.wait(frame.received)
                if wait > 0.001:
                    await asyncio.sleep(wait)
            try:
                began = self._tell(frame, began)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
                self.unreadable += 1
                log.warning("%s of the capture cannot be played: %s", frame.sequence, error)
                continue
            self._told_at = time.monotonic()
            self.frames += 1
            if self.frames % _BURST == 0:
                await asyncio.sleep(0)
                if self._speed is None:
                    await self._room()
        self.state = "played"

    def prepare(self) -> None:
        """Captures were looked into already."""

    def _frames(self) -> Iterator[Frame]:
        def report(number: int, reason: str) -> None:
            self.unreadable += 1
            log.warning("line %d of the capture cannot be played: %s", number, reason)

        if len(self._captures) == 1:
            return self._captures[0].frames(report)
        return merge(*(capture.frames(report) for capture in self._captures), key=attrgetter("received"))

    def _tell(self, frame: Frame, began: bool) -> bool:
        market = self._market
        if not frame.text.startswith(b'{"stream"'):
            if frame.symbol is not None and b'"lastUpdateId"' in frame.text[:40]:
                market.snapshot(frame.symbol, decode_snapshot(frame.text))
            return began
        name, payload = split(frame.text)
        message = decode(stream_kind(name), payload, market.futures)
        if message is None:
            return began
        if not began:
            market.begin(getattr(message, "event_time", frame.received // 10**6))
        if message.symbol not in market.histories:
            places = Places() if not market.futures else _places_in(message)
            market.list_symbol(message.symbol, places, places, ())
        market.sources.add(name)
        market.play(name, message, payload)
        return True

    def _look_ahead(self) -> None:
        market = self._market
        names: dict[str, set[str]] = {}
        snapshots: dict[str, Snapshot] = {}
        places: dict[str, Places] = {}
        first_time = 0
        for frame in islice(self._frames(), _LOOK_AHEAD):
            try:
                if frame.text.startswith(b'{"stream"'):
                    name, payload = split(frame.text)
                    message = decode(stream_kind(name), payload, market.futures)
                    if message is not None:
                        first_time = first_time or getattr(message, "event_time", 0)
                        names.setdefault(message.symbol, set()).add(name)
                        places[message.symbol] = _finer(places.get(message.symbol), _places_in(message))
                elif frame.symbol is not None and b'"lastUpdateId"' in frame.text[:40]:
                    snapshots.setdefault(frame.symbol, decode_snapshot(frame.text))
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
                continue
        self.unreadable = 0
        if not names:
            raise QuantError(f"{self._captures[0].path}: no frame of a stream in the first {_LOOK_AHEAD}")
        for symbol, streams in names.items():
            steps = places[symbol]
            market.list_symbol(symbol, steps if market.futures else Places(), steps, streams)
            if symbol in snapshots:
                market.snapshot(symbol, snapshots[symbol])
        market.time = first_time


def _places_in(message: Message) -> Places:
    """Give the decimal places that a message's amounts are written with; of spot's eight only those in use."""
    if isinstance(message, Kline):
        return Places(_decimals(message.candle.close), _decimals(message.candle.volume))
    if isinstance(message, Trade | FuturesTrade | Aggregate | FuturesAggregate):
        return Places(_decimals(message.price), _decimals(message.quantity))
    if isinstance(message, Quote | FuturesQuote):
        return Places(_decimals(message.bid), _decimals(message.bid_size))
    levels = message.bids + message.asks
    if not levels:
        return Places(0, 0)
    return Places(max(_decimals(price) for price, _ in levels), max(_decimals(size) for _, size in levels))


def _decimals(text: str) -> int:
    fraction = text.partition(".")[2]
    return len(fraction.rstrip("0")) if len(fraction) == 8 else len(fraction)


def _finer(one: Places | None, other: Places) -> Places:
    if one is None:
        return other
    return Places(max(one.price, other.price), max(one.quantity, other.quantity))
