"""Bars made from trades: no I/O, no clock of its own, no float.

`Candles` takes the trades of one stream in the order in which they stand there and answers the bars that are closed by
them. The same trades give the same bars, however they are split into batches and wherever the state was saved and
loaded between them.

- Time is the venue's: a bar is closed when a later trade of its symbol comes, or when the stream's clock (the latest
  trade time of the venue, whatever the symbol) is `delay` beyond its end, or by `advance`.
- An interval in which nothing was traded has a bar, too, at the last price, as Binance has it; up to `FILL_LIMIT` of
  them in a row.
- The bars that a symbol's first trade falls into began before we were there: they are never told, neither forming nor
  closed. (Where a session's opening auction was seen, the bar is whole.)
- A trade whose id is not above the last of its symbol is a duplicate. A trade that comes after the bar of an interval
  was closed is late: it is in no bar of that interval, but it is in the longer ones that are still open. Both are
  counted and reported, as are trades without price or quantity, or dated more than an hour after their reception.
- An aggregate counts as many trades as its first and last id say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import msgspec

from barnabas_quant.analysis.bars import FILL_LIMIT, NEVER, Bar, Plan, Series
from barnabas_quant.analysis.snapshot import pack, unpack
from barnabas_quant.errors import StateError
from barnabas_quant.model.intervals import DAY, HOUR, SECOND, Interval
from barnabas_quant.model.money import ONE, total_text, units
from barnabas_quant.model.records import Kline, Trade
from barnabas_quant.model.sessions import AROUND_THE_CLOCK, Calendar

VERSION = 1
"""Of the saved state."""

DELAY = 2 * SECOND

_KIND = b"CNDL"
_MILLISECOND = 1000  # a bar is said to end a millisecond before the next begins, as at the venue
_FUTURE = HOUR  # a venue's clock and ours differ by seconds at most


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Amount = Annotated[str, msgspec.Meta(max_length=64)]
_Id = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
_Time = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class TradeFields(msgspec.Struct, frozen=True, gc=False):
    """Read what bars need of a trade's record and nothing else; amounts are looked at when they are converted."""

    exchange: _Name
    symbol: _Name
    trade_id: _Id
    price: _Amount
    quantity: _Amount
    trade_time: _Time
    receive_time: _Time
    first_trade_id: _Id | None = None
    last_trade_id: _Id | None = None


class _Units(dict[str, int]):
    """Remember what amounts come to: most prices and sizes repeat, and a look-up is an eighth of a conversion."""

    def __missing__(self, text: str) -> int:
        if len(self) >= 2**16:
            self.clear()
        amount = self[text] = units(text)
        return amount


class _Venue(msgspec.Struct, gc=False):
    """Keep what has been reached in one venue: all before `horizon` is closed, forming bars were told at `told`."""

    horizon: int = 0
    swept: int = 0
    told: int = 0
    series: dict[str, Series] = msgspec.field(default_factory=dict)


class _State(msgspec.Struct):
    intervals: list[str]
    delay: int
    venues: dict[str, _Venue]
    counts: dict[str, int]


class Candles:
    """Keep the bars of every symbol of a stream."""

    def __init__(
        self,
        intervals: Sequence[Interval],
        calendars: Mapping[str, Calendar] | None = None,
        delay: int = DELAY,
        pace: int = SECOND,
        sizes: bool = True,
    ) -> None:
        """Take the intervals and the calendar of each exchange that closes at times.

        `delay` is how far behind the stream's clock a symbol may trade and still be in time, `pace` how often a
        forming bar is told at most; both in microseconds of the venue's clock. Without `sizes` a quantity of 0 is a
        price that nothing was traded at, and moves the bar; else it is unusable.
        Raises ValueError for an interval that a calendar has no bars of.
        """
        self.intervals = tuple(sorted(intervals, key=lambda interval: interval.length))
        if not self.intervals:
            raise ValueError("no interval")
        self.delay = delay
        self.pace = pace
        self._smallest = 1 if sizes else 0
        self.counts: Counter[str] = Counter()
        """What was reported or left out, by kind: duplicate, late INTERVAL, unusable, outside hours, incomplete."""
        self._calendars = dict(calendars or {})
        self._everywhere = Plan.of(AROUND_THE_CLOCK, self.intervals)
        self._plans = {name: Plan.of(calendar, self.intervals) for name, calendar in self._calendars.items()}
        self._venues: dict[str, _Venue] = {}
        self._units = _Units()

    def add(
        self, trades: Iterable[TradeFields | Trade], produced: int | None = None
    ) -> tuple[list[Kline], list[tuple[int, str]]]:
        """Take trades; answer the bars that are closed now, and what could not be used: place in the batch, why.

        `produced` is when the records were made, in microseconds since 1970: a single trade dated far beyond that would
        move a venue's clock to where all others are late. A market that is simulated faster than life runs ahead of it,
        but not by a leap.
        """
        closed: list[Kline] = []
        remarks: list[tuple[int, str]] = []
        venues, to_units, delay, smallest = self._venues, self._units, self.delay, self._smallest
        series: Series | None
        bar: Bar | None
        for index, trade in enumerate(trades):
            try:
                venue = venues[trade.exchange]
                series = venue.series[trade.symbol]
                if trade.trade_id <= series.last_id:
                    self._remark(remarks, index, "duplicate", f"id {trade.trade_id}, last {series.last_id}")
                    continue
                bar = series.bars[0]
            except KeyError:
                venue = venues.setdefault(trade.exchange, _Venue())
                series = bar = None
            try:
                price, quantity = to_units[trade.price], to_units[trade.quantity]
            except ValueError as error:
                self._remark(remarks, index, "unusable", str(error))
                continue
            time = trade.trade_time
            count = 1
            if trade.first_trade_id is not None and trade.last_trade_id is not None:
                count = trade.last_trade_id - trade.first_trade_id + 1
            if not (price and quantity >= smallest and count > 0 and time <= trade.receive_time + _FUTURE):
                self._remark(remarks, index, "unusable", _absurd(price, quantity >= smallest, count))
                continue
            if series is None or bar is None or not bar.since <= time < bar.until or bar.until <= venue.horizon:
                if produced is not None and time > max(produced + _FUTURE, venue.horizon + DAY):
                    self._remark(remarks, index, "unusable", "dated in the future")
                    continue
                plan = self._plans.get(trade.exchange, self._everywhere)
                series = self._turn(plan, venue, trade, closed)
                if series is None:
                    outside = plan.calendar.at(plan.intervals[0], time) is None
                    self._remark(remarks, index, "outside hours" if outside else "late", f"traded at {time}")
                    continue
                bar = series.bars[0]
                if not bar.since <= time < bar.until:
                    late = self._add_late(plan, series, trade, price, quantity, count)
                    self._remark(remarks, index, "late", f"traded at {time}, after these were closed: {late}")
                    continue
            series.last_id = trade.trade_id
            if bar.trades:
                if price > bar.high:
                    bar.high = price
                elif price < bar.low:
                    bar.low = price
            else:
                bar.first = bar.high = bar.low = price
            bar.close = price
            bar.volume += quantity
            bar.quote += price * quantity // ONE
            bar.trades += count
            if time - delay > venue.horizon:
                venue.horizon = time - delay
        for exchange, venue in venues.items():
            if venue.horizon // SECOND != venue.swept // SECOND:  # nothing ends within a second
                self._sweep(exchange, venue, closed)
        return closed, remarks

    def advance(self, exchange: str, clock: int) -> list[Kline]:
        """Close every bar of a venue that ends by `clock`: nothing older is to come. Answer the closed ones."""
        closed: list[Kline] = []
        venue = self._venues.get(exchange)
        if venue is not None and clock > venue.horizon:
            venue.horizon = clock
            self._sweep(exchange, venue, closed)
        return closed

    def forming(self) -> list[Kline]:
        """Give the bars that have changed and are still open, each at most once in `pace`.

        Intervals of a second and less have none: they are closed as soon as they could be told.
        """
        told: list[Kline] = []
        for exchange, venue in self._venues.items():
            clock = venue.horizon + self.delay
            if clock < venue.told + self.pace:
                continue
            venue.told = clock
            plan = self._plans.get(exchange, self._everywhere)
            for symbol, series in venue.series.items():
                if series.told_id == series.last_id:
                    continue
                series.told_id = series.last_id
                plan.settle(series)
                for place, bar in enumerate(series.bars):
                    interval = plan.intervals[place]
                    if plan.shown[place] and bar.complete and bar.trades and interval.length > SECOND:
                        told.append(_kline(exchange, symbol, interval, bar, False, min(clock, bar.end - 1)))
        return told

    def clocks(self) -> dict[str, int]:
        """Give how far each venue's clock has come."""
        return {exchange: venue.horizon + self.delay for exchange, venue in self._venues.items()}

    def save(self) -> bytes:
        """Write the state, to be loaded into candles of the same intervals."""
        return pack(_KIND, VERSION, _State(self._names(), self.delay, self._venues, dict(self.counts)))

    def load(self, data: bytes) -> None:
        """Take up saved state. Raises StateError where it is damaged or of other intervals."""
        state = unpack(data, _KIND, VERSION, _State)
        if state.intervals != self._names() or state.delay != self.delay:
            raise StateError(f"state of {', '.join(state.intervals)}, delay {state.delay}: other settings")
        for exchange, venue in state.venues.items():
            wanted = len(self._plans.get(exchange, self._everywhere).intervals)
            if any(len(series.bars) != wanted for series in venue.series.values()):
                raise StateError(f"state of {exchange} was made for another calendar")
        self._venues = state.venues
        self.counts = Counter(state.counts)

    def _names(self) -> list[str]:
        return [interval.name for interval in self.intervals]

    def _remark(self, remarks: list[tuple[int, str]], index: int, kind: str, reason: str) -> None:
        self.counts[kind] += 1
        remarks.append((index, f"{kind}: {reason}"))

    def _turn(self, plan: Plan, venue: _Venue, trade: TradeFields | Trade, closed: list[Kline]) -> Series | None:
        """Make a symbol's bars cover the time of a trade, or what is open after it; None where no bar can take it."""
        time = trade.trade_time
        shortest = plan.calendar.at(plan.intervals[0], time)
        if shortest is None:
            return None
        series = venue.series.get(trade.symbol)
        if series is None:
            if shortest.until <= venue.horizon:
                return None
            series = venue.series[trade.symbol] = Series(-1, -1, [Bar() for _ in plan.intervals])
        moment = max(time, venue.horizon)
        self._close(plan, trade.exchange, trade.symbol, series, moment, closed)
        if series.bars[0].until == NEVER:
            if shortest.open < series.bars[0].end:
                return None  # that day is over
            for bar, interval in zip(series.bars, plan.intervals, strict=True):
                known = bar.close > 0
                period = plan.calendar.first(interval, time) if known else plan.calendar.at(interval, time)
                if period is not None:
                    bar.complete = known or time < period.open
                    bar.begin(period)
            self._close(plan, trade.exchange, trade.symbol, series, moment, closed)
        return series

    def _close(self, plan: Plan, exchange: str, symbol: str, series: Series, moment: int, closed: list[Kline]) -> None:
        """Close the bars of a symbol that end by a moment, and begin those that cover it."""
        calendar, bars = plan.calendar, series.bars
        for place, bar in enumerate(bars):
            interval = plan.intervals[place]
            while bar.until <= moment:
                if plan.shown[place]:
                    if not bar.complete:
                        self.counts["incomplete"] += 1
                    elif bar.trades or bar.idle < FILL_LIMIT:
                        closed.append(_kline(exchange, symbol, interval, bar, True, bar.end))
                if bar.trades:
                    for at in plan.longer[place]:
                        bar.rise(bars[at])
                    bar.idle = 0
                else:
                    bar.idle += 1
                bar.complete = True
                following = calendar.after(interval, bar.period())
                if following is not None and (bar.idle >= FILL_LIMIT or not plan.shown[place]):
                    following = calendar.at(interval, moment)  # nobody sees the bars between
                if following is None:
                    bar.vacate()
                else:
                    bar.begin(following)

    def _add_late(
        self, plan: Plan, series: Series, trade: TradeFields | Trade, price: int, quantity: int, count: int
    ) -> str:
        """Put a late trade into the bars that are still open; answer the intervals of the others."""
        plan.settle(series)
        missed = []
        for place, bar in enumerate(series.bars):
            if bar.since <= trade.trade_time < bar.until:
                bar.take(price, quantity, price * quantity // ONE, count)
                bar.mark_gone()
            elif plan.shown[place]:
                missed.append(plan.intervals[place].name)
                self.counts[f"late {plan.intervals[place].name}"] += 1
        series.last_id = trade.trade_id
        return ", ".join(missed)

    def _sweep(self, exchange: str, venue: _Venue, closed: list[Kline]) -> None:
        """Close what ends by a venue's horizon, whoever has traded."""
        plan, horizon = self._plans.get(exchange, self._everywhere), venue.horizon
        venue.swept = horizon
        for symbol, series in venue.series.items():
            if series.bars[0].until <= horizon:
                self._close(plan, exchange, symbol, series, horizon, closed)


def _kline(exchange: str, symbol: str, interval: Interval, bar: Bar, closed: bool, time: int) -> Kline:
    return Kline(
        exchange=exchange,
        symbol=symbol,
        interval=interval.name,
        open_time=bar.open_time,
        close_time=bar.end - _MILLISECOND,
        open=total_text(bar.first),
        high=total_text(bar.high),
        low=total_text(bar.low),
        close=total_text(bar.close),
        volume=total_text(bar.volume),
        quote_volume=total_text(bar.quote),
        trades=bar.trades,
        closed=closed,
        source="computed",
        event_time=time,
        receive_time=time,
    )


def _absurd(price: int, sized: bool, count: int) -> str:
    if not price:
        return "a price of 0"
    if not sized:
        return "a quantity of 0"
    return f"{count} trades in it" if count < 1 else "dated in the future"
