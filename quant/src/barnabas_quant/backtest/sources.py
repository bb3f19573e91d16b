"""Market events in order, from wherever a history lies: what all sources share, and how several become one stream.

A source is asked for instruments, kinds of events and a time, and makes nothing else. Events come in the order of the
exchange's time (where a venue tells none: of reception); at the same time in that of their topics, partitions and
offsets, or lines. A stream is read as it is used; topics alone, which lie in no such order, are held in memory.

Prices that lie on no tick of their instrument (adjusted prices, mostly) are rounded to it, half up, and counted.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Protocol

import msgspec

from barnabas_quant.errors import QuantError
from barnabas_quant.model.intervals import DAY, SECOND
from barnabas_quant.trading.events import Bar, MarketEvent
from barnabas_quant.trading.instruments import Instrument, usual

FOREVER = 2**62


class SourceError(QuantError):
    """Say why there is nothing to run on, and what there is instead."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Say what is asked of a source: `since` <= time < `until`, microseconds since 1970 UTC."""

    instruments: tuple[str, ...]
    kinds: frozenset[type]
    """Of Quote, Print, Bar, Depth."""
    since: int = 0
    until: int = FOREVER
    interval: str | None = None
    """Of the bars; None: the only one that there is."""


class Remarks:
    """Gather what a user should know about the data: lines that are none, rounded prices."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, what: str, where: str = "") -> None:
        """Count a remark; the first place is kept."""
        self.counts[what] += 1
        self._first.setdefault(what, where)

    def lines(self) -> list[str]:
        """Give a line for each kind."""
        return [
            f"{count} x {what}" + (f" (first: {self._first[what]})" if self._first[what] else "")
            for what, count in self.counts.items()
        ]


class Source(Protocol):
    """Give events of one place."""

    name: str

    def events(self, wanted: Wanted) -> Iterator[MarketEvent]:
        """Give what is wanted, in order. Raises SourceError where nothing of the kind can be made."""

    def before(self, wanted: Wanted, bars: int) -> int:
        """Give a time from which on so many bars of each instrument (or all) lie before `wanted.since`."""

    def holds(self) -> list[str]:
        """Give, for a message, what there is: a line for each instrument (and interval)."""


class Terms:
    """Round prices to the ticks of their instruments."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks
        self._known: dict[str, Instrument] = {}

    def of(self, key: str) -> Instrument:
        """Give an instrument by its key. Raises SymbolError."""
        found = self._known.get(key)
        if found is None:
            exchange, _, symbol = key.partition(":")
            found = self._known[key] = usual(exchange, symbol)
        return found

    def bar(self, bar: Bar) -> Bar:
        """Give a bar whose prices lie on ticks."""
        tick = self.of(bar.instrument).tick
        prices = (bar.open, bar.high, bar.low, bar.close)
        if not any(price % tick for price in prices):
            return bar
        self._remarks.add(f"bar of {bar.instrument} read with prices on no tick, rounded")
        first, high, low, close = (max(tick, (2 * price + tick) // (2 * tick) * tick) for price in prices)
        return Bar(bar.instrument, bar.time, bar.begin, bar.interval, first, high, low, close, bar.volume)


def read(sources: Sequence[Source], wanted: Wanted, warm_up: int = 0) -> Iterator[MarketEvent]:
    """Give the events of all sources as one stream.

    With `warm_up` the stream begins with the last so many bars of each instrument that end before `wanted.since`.
    """
    streams = [
        source.events(msgspec.structs.replace(wanted, since=source.before(wanted, warm_up)) if warm_up else wanted)
        for source in sources
    ]
    merged = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("time"))
    return _last_bars(merged, wanted.since, warm_up) if warm_up else merged


def _last_bars(events: Iterable[MarketEvent], since: int, count: int) -> Iterator[MarketEvent]:
    kept: dict[str, deque[Bar]] = {}
    for event in events:
        if event.time >= since:
            yield from sorted((bar for bars in kept.values() for bar in bars), key=attrgetter("time"))
            kept.clear()
            yield event
            break
        if isinstance(event, Bar):
            kept.setdefault(event.instrument, deque(maxlen=count)).append(event)
    yield from events


def nothing_found(sources: Iterable[Source], wanted: Wanted) -> SourceError:
    """Make the error of a history without a wanted event: it says what there is."""
    held = [f"  {source.name}: {line}" for source in sources for line in source.holds()[:40]]
    asked = ", ".join(wanted.instruments) + (f" ({wanted.interval} bars)" if wanted.interval else "")
    return SourceError(f"no rows of {asked} in that time; there are:\n" + ("\n".join(held) or "  none at all"))


def widen(found: dict[str, tuple[int, int, int]], name: str, time: int) -> None:
    """Count an event of a kind, and its time."""
    count, first, last = found.get(name, (0, FOREVER, 0))
    found[name] = (count + 1, min(first, time), max(last, time))


def described(found: dict[str, tuple[int, int, int]]) -> list[str]:
    """Write what there is, a line each: name, count, first and last time."""
    return [
        f"{name}: {count}, {moment(first)} to {moment(last)}" for name, (count, first, last) in sorted(found.items())
    ]


def moment(time: int) -> str:
    """Write a time in UTC; the date alone where it is midnight."""
    text = datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return text[:10] if time % DAY == 0 else text
