"""Bars of every interval of a venue, added up from the trades that were played.

Bars of a second and of a minute are kept, bounded; longer ones are added up from minutes when they are asked for. A
bar is given only where the play covers it from its first moment, so none is built from half an interval; an interval
without trades repeats the close before it, with no volume and ids of -1, as the venue does. A source may know the
minutes before the play (`Klines.remembers`): a venue has bars of years, whoever begins to listen.
Amounts are units of 10^-8 (prices, quantities) and of 10^-16 (turnover).
Source: Binance API documentation, "Kline/Candlestick data".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from msgspec import Struct

from barnabas_quant.exchange.messages import Candle, Places
from barnabas_quant.model.money import ONE, decimal_text

SECOND = 1_000
MINUTE = 60 * SECOND
_HOUR = 60 * MINUTE
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY
_MONDAY = 4 * _DAY  # 1970-01-05

INTERVALS: dict[str, int] = {
    "1s": SECOND, "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE,
    "1h": _HOUR, "2h": 2 * _HOUR, "4h": 4 * _HOUR, "6h": 6 * _HOUR, "8h": 8 * _HOUR, "12h": 12 * _HOUR,
    "1d": _DAY, "3d": 3 * _DAY, "1w": _WEEK, "1M": 31 * _DAY,
}  # fmt: skip
"""Milliseconds of each interval; a month has its own length."""


def open_time(interval: str, time: int) -> int:
    """Give when the bar begins that `time` falls into; both in milliseconds since 1970 UTC."""
    if interval == "1M":
        return _month(datetime.fromtimestamp(time // 1000, UTC))
    if interval == "1w":
        return (time - _MONDAY) // _WEEK * _WEEK + _MONDAY
    length = INTERVALS[interval]
    return time // length * length


def next_open(interval: str, opened: int) -> int:
    """Give when the bar after the one that begins at `opened` begins."""
    if interval == "1M":
        return _month(datetime.fromtimestamp((opened + INTERVALS[interval]) // 1000, UTC))
    return opened + INTERVALS[interval]


def _month(time: datetime) -> int:
    return int(datetime(time.year, time.month, 1, tzinfo=UTC).timestamp()) * 1000


class Bar(Struct):
    """Hold the sums of one bar."""

    open: int
    high: int
    low: int
    close: int
    first: int
    last: int
    trades: int = 0
    volume: int = 0
    turnover: int = 0
    taker_volume: int = 0
    taker_turnover: int = 0

    def add(self, other: Bar) -> None:
        """Add a bar that comes after."""
        self.high, self.low, self.close = max(self.high, other.high), min(self.low, other.low), other.close
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.trades += other.trades
        self.volume += other.volume
        self.turnover += other.turnover
        self.taker_volume += other.taker_volume
        self.taker_turnover += other.taker_turnover


class Klines:
    """Keep the bars of one symbol."""

    def __init__(self, symbol: str, places: Places, minutes: int, seconds: int) -> None:
        self._symbol = symbol
        self.places = places
        self._kept = ((SECOND, {}, seconds), (MINUTE, {}, minutes))  # type: tuple[tuple[int, dict[int, Bar], int], ...]
        self._recorded: dict[tuple[str, int], Candle] = {}
        self.since: int | None = None
        """From when on the play covers everything, milliseconds."""
        self._earlier: dict[int, Bar] = {}
        self._remember: Callable[[int], Bar] | None = None

    def remembers(self, minute: Callable[[int], Bar]) -> None:
        """Take what gives the bar of a minute from before the play, by its beginning in milliseconds; whole ones only.

        As many minutes before the play are asked for as are kept of it.
        """
        self._remember = minute

    def add(self, time: int, price: int, quantity: int, buyer_is_maker: bool, first: int, last: int) -> None:
        """Count a trade in, or the trades of an aggregate, at `time`."""
        taken = 0 if buyer_is_maker else quantity
        value = price * quantity
        for length, bars, kept in self._kept:
            opened = time // length * length
            one = Bar(price, price, price, price, first, last, last - first + 1, quantity, value, taken, price * taken)
            bar = bars.get(opened)
            if bar is None:
                bars[opened] = one
                if len(bars) > kept:
                    del bars[next(iter(bars))]
            else:
                bar.add(one)

    def record(self, candle: Candle) -> None:
        """Keep a bar that the source itself told; it counts before what was added up here."""
        self._recorded[candle.interval, candle.open_time] = candle
        if len(self._recorded) > self._kept[1][2]:
            del self._recorded[next(iter(self._recorded))]

    def trades(self, interval: str, opened: int) -> int:
        """Give how many trades the bar that begins at `opened` has so far."""
        bar = self._bar(interval, opened)
        return 0 if bar is None else bar.trades

    def candle(self, interval: str, opened: int, now: int) -> Candle | None:
        """Give the bar that begins at `opened`; None where the play does not cover it or nothing was ever traded."""
        recorded = self._recorded.get((interval, opened))
        if recorded is not None:
            return recorded
        oldest = self._oldest(interval)
        if oldest is None or opened < oldest:
            return None
        bar = self._bar(interval, opened)
        if bar is None:
            close = self._close_before(opened)
            if close is None:
                return None
            bar = Bar(close, close, close, close, -1, -1)
        return self._candle(interval, opened, bar, closed=next_open(interval, opened) <= now)

    def candles(self, interval: str, start: int | None, end: int | None, limit: int, now: int) -> Iterator[Candle]:
        """Give bars that begin between `start` and `end`, both included: the first `limit`, without start the last."""
        newest = open_time(interval, min(now, now if end is None else end))
        oldest = self._oldest(interval)
        recorded = [opened for name, opened in self._recorded if name == interval]
        if oldest is None or recorded:
            oldest = min([*recorded, *([] if oldest is None else [oldest])], default=None)
        if oldest is None:
            return
        first = oldest if start is None else max(oldest, self._at_or_after(interval, start))
        if start is None:
            first = max(first, self._back(interval, newest, limit - 1))
        while first <= newest and limit:
            candle = self.candle(interval, first, now)
            if candle is not None:
                yield candle
                limit -= 1
            first = next_open(interval, first)

    def _oldest(self, interval: str) -> int | None:
        """Give when the first bar begins that the play covers and that is still kept."""
        if self.since is None:
            return None
        _, bars, kept = self._kept[0 if interval == "1s" else 1]
        oldest = self.since
        if self._remember is not None and interval != "1s":
            oldest = next(reversed(bars), oldest) - kept * MINUTE
        elif len(bars) >= kept:
            oldest = max(oldest, next(iter(bars)))
        return self._at_or_after(interval, oldest)

    def _at_or_after(self, interval: str, time: int) -> int:
        opened = open_time(interval, time)
        return opened if opened == time else next_open(interval, opened)

    def _back(self, interval: str, opened: int, count: int) -> int:
        if interval == "1M":
            for _ in range(count):
                opened = open_time(interval, opened - 1)
            return opened
        return opened - count * INTERVALS[interval]

    def _bar(self, interval: str, opened: int) -> Bar | None:
        length, bars, _ = self._kept[0 if interval == "1s" else 1]
        end = next_open(interval, opened)
        early = self.since if interval != "1s" and self._remember is not None else None
        if opened + length == end:
            return self._minute_before(opened) if early is not None and opened < early else bars.get(opened)
        whole: Bar | None = None
        for start in range(opened, end, length):
            bar = self._minute_before(start) if early is not None and start < early else bars.get(start)
            if bar is not None:
                if whole is None:
                    whole = Bar(bar.open, bar.high, bar.low, bar.close, bar.first, bar.last)
                whole.add(bar)
        return whole

    def _minute_before(self, opened: int) -> Bar:
        """Give the bar of a minute from before the play; `_oldest` bounds how many there are."""
        bar = self._earlier.get(opened)
        if bar is None:
            assert self._remember is not None
            bar = self._earlier[opened] = self._remember(opened)
        return bar

    def _close_before(self, opened: int) -> int | None:
        _, bars, _ = self._kept[0]
        for start in reversed(bars):
            if start < opened:
                return bars[start].close
        return None if self._remember is None or self.since is None else self._minute_before(self.since - MINUTE).close

    def _candle(self, interval: str, opened: int, bar: Bar, closed: bool) -> Candle:
        def price(amount: int) -> str:
            return Places.cut(decimal_text(amount), self.places.price)

        def volume(amount: int) -> str:
            return Places.cut(decimal_text(amount), self.places.quantity)

        return Candle(
            open_time=opened,
            close_time=next_open(interval, opened) - 1,
            symbol=self._symbol,
            interval=interval,
            first=bar.first,
            last=bar.last,
            open=price(bar.open),
            close=price(bar.close),
            high=price(bar.high),
            low=price(bar.low),
            volume=volume(bar.volume),
            trades=bar.trades,
            closed=closed,
            quote_volume=decimal_text(bar.turnover // ONE),
            taker_volume=volume(bar.taker_volume),
            taker_quote_volume=decimal_text(bar.taker_turnover // ONE),
        )
