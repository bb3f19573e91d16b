"""A Binance market as the exchange plays it: spot or USD-M, from messages in, to streams out and history kept.

The source (a capture, or the simulated market) gives some streams as they are. Others are derived from them once
somebody subscribes, and counted in the ledger from then on: bars of intervals that the source does not tell, and depth
at another speed. Derived depth merges the events of a window (the last quantity of a price counts; ids run from the
first event's to the last one's); at a finer speed than the source's it repeats the source's events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from barnabas_quant.exchange.history import History
from barnabas_quant.exchange.hub import Hub
from barnabas_quant.exchange.klines import INTERVALS, SECOND, next_open, open_time
from barnabas_quant.exchange.messages import (
    Aggregate,
    AnyDepth,
    Depth,
    FuturesAggregate,
    FuturesDepth,
    FuturesQuote,
    FuturesTrade,
    Kline,
    Message,
    Places,
    Quote,
    Snapshot,
    Trade,
    encode,
    ids_of,
    stream_kind,
)
from barnabas_quant.exchange.settings import Retention

_SPEEDS = {"depth@0ms": 0, "depth@100ms": 100, "depth@250ms": 250, "depth@500ms": 500}


class Derived(Protocol):
    """Make a stream from what is played."""

    def advance(self, time: int) -> None:
        """Take note of the time before the next message is played."""

    def played(self, message: Message, payload: bytes) -> None:
        """Take note of a message."""


class Market:
    """Play one venue's messages, and remember what its REST interface is asked for."""

    def __init__(self, venue: str, futures: bool, hub: Hub, retention: Retention) -> None:
        self.venue = venue
        self.futures = futures
        self.histories: dict[str, History] = {}
        self.sources: set[str] = set()
        """Names of the streams that the source gives."""
        self.time = 0
        """The latest exchange time played, milliseconds."""
        self.since: int | None = None
        self.aggregates_are_trades = False
        """Every aggregate is one trade: history need not keep both."""
        self._hub = hub
        self._retention = retention
        self._derived: dict[str, dict[str, Derived]] = {}  # symbol -> name of the stream -> what makes it

    def list_symbol(self, symbol: str, places: Places, steps: Places, streams: Iterable[str]) -> History:
        """Make a symbol known, with the names of the streams that the source gives of it."""
        history = self.histories.get(symbol)
        if history is None:
            history = self.histories[symbol] = History(symbol, places, steps, self._retention)
            history.klines.since = self.since
        self.sources.update(streams)
        return history

    def begin(self, time: int) -> None:
        """Say from when on, milliseconds, the play covers everything."""
        self.since = time
        for history in self.histories.values():
            history.klines.since = time

    def key(self, name: str) -> str:
        """Give the key under which ledger and hub know a stream."""
        return f"{self.venue}:{name}"

    def snapshot(self, symbol: str, snapshot: Snapshot) -> None:
        """Take a depth snapshot of the source."""
        history = self.histories.get(symbol)
        if history is not None:
            history.add_snapshot(snapshot)

    def catch_up(self, message: Message) -> None:
        """Remember a message of the time before the play began, without sending it."""
        self._remember(message)

    def play(self, name: str, message: Message, payload: bytes) -> None:
        """Play a message of the stream `name`."""
        time = getattr(message, "event_time", 0)
        if time > self.time:
            self.time = time
        derived = self._derived.get(message.symbol)
        if derived:
            for one in tuple(derived.values()):
                one.advance(time)
        self._remember(message)
        first, last = ids_of(message)
        self._hub.publish(self.key(name), first, last, payload)
        if derived:
            for one in tuple(derived.values()):
                one.played(message, payload)

    def wanted(self, name: str) -> None:
        """Take note that somebody subscribes to a stream: derive it where the source does not give it."""
        symbol, _, rest = name.partition("@")
        history = self.histories.get(symbol.upper())
        if history is None or name in self.sources or symbol != symbol.lower():
            return
        derived = self._derived.setdefault(history.symbol, {})
        if name in derived:
            return
        if rest.startswith("kline_") and rest[6:] in INTERVALS:
            derived[name] = _Bars(self, history, name, rest[6:])
        elif rest == "depth" or rest in _SPEEDS:
            source = next((s for s in self.sources if s.partition("@")[0] == symbol and stream_kind(s) == "depth"), "")
            if source:
                speed = self._speed(rest)
                there = self._speed(source.partition("@")[2])
                derived[name] = _Depths(self, name, speed if speed > there else 0)

    def heard(self, name: str) -> bool:
        """Tell whether somebody listens to a stream of the source, or to depth of its symbol at another speed."""
        if self._hub.has_subscribers(self.key(name)):
            return True
        if stream_kind(name) != "depth":
            return False
        derived = self._derived.get(name.partition("@")[0].upper(), {})
        return any(stream_kind(one) == "depth" and self._hub.has_subscribers(self.key(one)) for one in derived)

    def publish(self, name: str, message: Message, payload: bytes | None = None) -> None:
        """Send a message of a derived stream."""
        first, last = ids_of(message)
        self._hub.publish(self.key(name), first, last, encode(message) if payload is None else payload)

    def _speed(self, rest: str) -> int:
        """Give the milliseconds between two events of a depth stream."""
        return _SPEEDS.get(rest, 250 if self.futures else SECOND)

    def _remember(self, message: Message) -> None:
        history = self.histories.get(message.symbol)
        if history is None:
            return
        if isinstance(message, Quote | FuturesQuote):
            history.quote = message
        elif isinstance(message, Depth | FuturesDepth):
            history.add_depth(message)
        elif isinstance(message, Trade):
            history.add_trade(message)
        elif isinstance(message, FuturesTrade):
            if message.reason != "NA":
                history.add_trade(message)
        elif isinstance(message, Aggregate | FuturesAggregate):
            if not self.aggregates_are_trades:
                history.add_aggregate(message, alone=f"{history.symbol.lower()}@trade" not in self.sources)
        elif isinstance(message, Kline):
            history.klines.record(message.candle)


class _Bars:
    """Tell the bars of an interval: once a second where something was traded, and at their end."""

    def __init__(self, market: Market, history: History, name: str, interval: str) -> None:
        self._market = market
        self._history = history
        self._name = name
        self._interval = interval
        self._open = open_time(interval, market.time)
        self._second = market.time // SECOND
        self._told = 0

    def advance(self, time: int) -> None:
        klines = self._history.klines
        end = next_open(self._interval, self._open)
        while end <= time:
            self._tell(end, time)
            self._open, end = end, next_open(self._interval, end)
            self._told = 0
            self._second = time // SECOND
        if time // SECOND > self._second:
            self._second = time // SECOND
            traded = klines.trades(self._interval, self._open)
            if traded != self._told:
                self._told = traded
                self._tell(time, time)

    def played(self, message: Message, payload: bytes) -> None:
        """Bars go by time and by what the history has."""

    def _tell(self, event_time: int, now: int) -> None:
        candle = self._history.klines.candle(self._interval, self._open, now)
        if candle is not None:
            self._market.publish(self._name, Kline("kline", event_time, self._history.symbol, candle))


class _Depths:
    """Tell what changed in the book once a window of `speed` milliseconds; 0: event by event, as the source does."""

    def __init__(self, market: Market, name: str, speed: int) -> None:
        self._market = market
        self._name = name
        self._speed = speed
        self._merged: AnyDepth | None = None

    def advance(self, time: int) -> None:
        merged = self._merged
        if merged is not None and time // self._speed > merged.event_time // self._speed:
            self._merged = None
            self._market.publish(self._name, merged)

    def played(self, message: Message, payload: bytes) -> None:
        if not isinstance(message, Depth | FuturesDepth):
            return
        if not self._speed:
            self._market.publish(self._name, message, payload)
        elif self._merged is None:
            self._merged = msgspec.structs.replace(message)
        else:
            merged = self._merged
            merged.bids = list((dict(merged.bids) | dict(message.bids)).items())
            merged.asks = list((dict(merged.asks) | dict(message.asks)).items())
            merged.last, merged.event_time = message.last, message.event_time
            if isinstance(merged, FuturesDepth) and isinstance(message, FuturesDepth):
                merged.trade_time = message.trade_time
