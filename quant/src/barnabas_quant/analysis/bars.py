"""The bars of one symbol: how a trade gets into them, how longer ones grow out of shorter ones, how they are closed.

Only the bar of the shortest interval is touched by each trade. What it has gathered goes up into longer ones when it
is closed, or earlier, when somebody wants to see them: each bar remembers how much of itself has gone up already.
All bars of a symbol cover the moment that the symbol has reached, so a shorter one always lies within the longer.

Amounts are units of 10^-8. The quote volume of a trade is price times quantity, cut (not rounded) to eight places, as
the venue does with each fill (Binance's REST answers: 0.00312700 x 4.70800000 gives quoteQty 0.01472191); so it adds up
the same over bars of any length. Of an aggregate only the sum is known, which can be a few 10^-8 above its fills'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from barnabas_quant.model.intervals import Interval
from barnabas_quant.model.sessions import Calendar, Period

NEVER = 2**62
"""A time that does not come: the bounds of a bar that is none."""

FILL_LIMIT = 3600
"""Empty bars in a row that are shown of an interval; a symbol silent for longer has none until it trades again."""

_HIDDEN = Interval.parse("1s")


class Bar(msgspec.Struct, array_like=True, gc=False):
    """Gather the trades of one interval of one symbol; used again for the next one."""

    since: int = NEVER
    open_time: int = 0
    end: int = 0
    until: int = NEVER
    first: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    volume: int = 0
    quote: int = 0
    trades: int = 0
    complete: bool = False
    """False for a bar that the stream began in the middle of."""
    idle: int = 0
    """How many bars before this one were empty, in a row."""
    gone_volume: int = 0
    gone_quote: int = 0
    gone_trades: int = 0

    def begin(self, period: Period) -> None:
        """Start over at the last price."""
        self.since, self.open_time, self.end, self.until = period
        self.first = self.high = self.low = self.close
        self.volume = self.quote = self.trades = 0
        self.gone_volume = self.gone_quote = self.gone_trades = 0

    def period(self) -> Period:
        """Give the time that it covers."""
        return Period(self.since, self.open_time, self.end, self.until)

    def vacate(self) -> None:
        """Cover no time at all until trading begins again."""
        self.since = self.until = NEVER
        self.trades = 0
        self.idle = 0

    def take(self, price: int, quantity: int, quote: int, trades: int) -> None:
        """Add a trade that is newer than all others."""
        if not self.trades:
            self.first = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += quantity
        self.quote += quote
        self.trades += trades

    def mark_gone(self) -> None:
        """Remember that longer bars hold all of this one."""
        self.gone_volume, self.gone_quote, self.gone_trades = self.volume, self.quote, self.trades

    def rise(self, longer: Bar) -> None:
        """Put into a longer bar what it has not got yet; `mark_gone` once all have it."""
        if self.trades == self.gone_trades:
            return
        if longer.trades:
            longer.high = max(longer.high, self.high)
            longer.low = min(longer.low, self.low)
        else:
            longer.first, longer.high, longer.low = self.first, self.high, self.low
        longer.close = self.close
        longer.volume += self.volume - self.gone_volume
        longer.quote += self.quote - self.gone_quote
        longer.trades += self.trades - self.gone_trades


class Series(msgspec.Struct, array_like=True, gc=False):
    """Hold one symbol: the id of its last trade, that of the last one told of, and its bars, shortest first."""

    last_id: int
    told_id: int
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class Plan:
    """Say which bars a symbol of one market has, and which grow out of which."""

    calendar: Calendar
    intervals: tuple[Interval, ...]
    shown: tuple[bool, ...]
    """False for an interval that nobody asked for, kept because the others grow out of it."""
    longer: tuple[tuple[int, ...], ...]
    """For each interval the places of those that grow out of it."""

    @classmethod
    def of(cls, calendar: Calendar, intervals: Sequence[Interval]) -> Plan:
        """Plan for intervals given shortest first. Raises ValueError for one that the market cannot have."""
        asked = tuple(intervals)
        every = asked
        if not all(calendar.nests(every[0], other) for other in every[1:]):
            every = (_HIDDEN, *every)
        for interval in every:
            calendar.check(interval)
        longer: list[list[int]] = [[] for _ in every]
        for place in range(1, len(every)):
            nearest = max(at for at in range(place) if calendar.nests(every[at], every[place]))
            longer[nearest].append(place)
        shown = tuple(interval in asked for interval in every)
        return cls(calendar, every, shown, tuple(map(tuple, longer)))

    def settle(self, series: Series) -> None:
        """Bring longer bars up to the last trade."""
        bars = series.bars
        for place, bar in enumerate(bars):
            if bar.trades != bar.gone_trades:
                for at in self.longer[place]:
                    bar.rise(bars[at])
                bar.mark_gone()
