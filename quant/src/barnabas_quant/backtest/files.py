"""Histories in files: A-shares as vendors write them, bars as anybody does, recorded frames of Binance.

Bars of files that hold trades are made as the live platform makes them (analysis/candles.py). A capture is put in order
of the exchange's time within `WINDOW` of its reception; a frame that comes later keeps its place.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from barnabas_quant.analysis.candles import Candles, TradeFields
from barnabas_quant.backtest.csv_bars import CsvBars
from barnabas_quant.backtest.sources import Remarks, Source, SourceError, Terms, Wanted, described, widen
from barnabas_quant.errors import FrameError, QuantError
from barnabas_quant.feeds.ashare_files import AshareFile
from barnabas_quant.feeds.binance import BinanceDecoder
from barnabas_quant.feeds.capture import Capture
from barnabas_quant.feeds.lines import read_lines
from barnabas_quant.model import Frame
from barnabas_quant.model.intervals import SECOND, Interval
from barnabas_quant.model.money import total_units, units
from barnabas_quant.model.records import Kline, OrderBook, Tick, Trade
from barnabas_quant.model.sessions import HONG_KONG, SHANGHAI, SessionCalendar
from barnabas_quant.trading.events import Bar, Depth, MarketEvent, Print, Quote

WINDOW = 5 * SECOND
"""Microseconds of a capture that are kept to be put in order."""

_CALENDARS = {"sse": SHANGHAI, "szse": SHANGHAI, "hkex": HONG_KONG}
_MADE_OF_TRADES = "1m"  # bars that nobody named the interval of


def open_file(name: str, symbols: tuple[str, ...], remarks: Remarks, interval: str | None) -> Source:
    """Open a file by what stands in it; `KEY=FILE` says whose bars a file holds. Raises QuantError."""
    path, owner = Path(name), None
    if not path.exists() and "=" in name:
        owner, _, rest = name.partition("=")
        path = Path(rest)
    try:
        first = next(read_lines(path, 4096), b"")
    except FrameError as error:
        raise QuantError(f"{path}: {error}") from error
    header = first.removeprefix(b"\xef\xbb\xbf").decode("latin-1").lower()
    columns = {column.strip().strip('"') for column in header.split(",")}
    if {"open", "high", "low", "close"} <= columns and "ts_code" not in columns:
        return CsvBars(path, owner, symbols, remarks, interval)
    if b"{" in first or b"<->" in first or b"->" in first or not first:
        return CaptureFile(path, remarks)
    return Shares(path, remarks)


class Shares:
    """Read a file of A-shares: trades and minutes as prints, daily files as bars."""

    def __init__(self, path: Path, remarks: Remarks) -> None:
        self._file = AshareFile(path)
        self.name = path.name
        self._remarks = remarks
        self._terms = Terms(remarks)

    def events(self, wanted: Wanted) -> Iterator[MarketEvent]:
        if self._file.kind == "daily":
            return self._days(wanted)
        prints = self._prints(wanted)
        if Bar not in wanted.kinds:
            return (event for _, event in prints)
        return with_bars(prints, wanted)

    def before(self, wanted: Wanted, bars: int) -> int:
        return 0  # a file is read from its beginning

    def holds(self) -> list[str]:
        found: dict[str, tuple[int, int, int]] = {}
        if self._file.kind == "daily":
            for bar in self._days(None):
                widen(found, f"{bar.instrument} 1d bars", bar.time)
        else:
            for row in self._file.rows(lambda *_: None):
                widen(found, f"{row.stock.listing.venue}:{row.stock.symbol} prints", row.time)
        return described(found)

    def _complain(self, path: Path, line: int, reason: str, text: bytes) -> None:
        self._remarks.add(f"unreadable line of {path.name}", f"line {line}: {reason}")

    def _days(self, wanted: Wanted | None) -> Iterator[Bar]:
        if wanted is not None and (Bar not in wanted.kinds or wanted.interval not in (None, "1d")):
            raise SourceError(f"{self.name}: it holds daily bars (1d), and nothing else can be made of them")
        complain = self._complain if wanted else lambda *_: None
        last = 0
        for day in self._file.days(complain):
            key = f"{day.listing.venue}:{day.listing.symbol}"
            if wanted is not None and key not in wanted.instruments:
                continue
            calendar = _CALENDARS[day.listing.venue]
            midnight = int(datetime.fromisoformat(day.date).replace(tzinfo=UTC).timestamp()) * SECOND - calendar.offset
            end = midnight + calendar.sessions[-1][1]
            if end < last:
                raise SourceError(f"{self.name}: {day.date} stands below a later day; sort the file by time")
            last = end
            bar = Bar(
                key, end, midnight + calendar.sessions[0][0], "1d", day.open, day.high, day.low, day.close,
                total_units(day.volume),
            )  # fmt: skip
            if wanted is None:
                yield bar
            elif wanted.since <= end < wanted.until:
                yield self._terms.bar(bar)

    def _prints(self, wanted: Wanted) -> Iterator[tuple[TradeFields, Print]]:
        last = 0
        for row in self._file.rows(self._complain):
            stock, time = row.stock, row.time
            if time >= wanted.until:
                return
            venue = stock.listing.venue
            key = f"{venue}:{stock.symbol}"
            if time < wanted.since or key not in wanted.instruments:
                continue
            if time < last:
                raise SourceError(f"{self.name}, line {row.line}: earlier than the line above; sort the file by time")
            last = time
            volume = stock.volume or "0"
            trade = TradeFields(venue, stock.symbol, row.line, stock.price, volume, time, time)
            yield trade, Print(key, time, units(stock.price), units(volume))


class CaptureFile:
    """Read a recording of Binance's frames."""

    def __init__(self, path: Path, remarks: Remarks) -> None:
        self._capture = Capture(path)
        self.name = path.name
        self._remarks = remarks

    def events(self, wanted: Wanted) -> Iterator[MarketEvent]:
        ordered = _in_order(self._decoded(wanted, self._streams(wanted)))
        if Bar in wanted.kinds:
            return with_bars(ordered, wanted)
        return (event for _, event in ordered)

    def before(self, wanted: Wanted, bars: int) -> int:
        return 0  # a file is read from its beginning

    def holds(self) -> list[str]:
        found: dict[str, tuple[int, int, int]] = {}
        everything = Wanted(instruments=(), kinds=frozenset((Quote, Print, Depth)))
        for _, _, time, _, event in self._decoded(everything, self._streams(everything)):
            widen(found, f"{event.instrument} {type(event).__name__.lower()}s", time)
        return described(found)

    def _streams(self, wanted: Wanted) -> tuple[bytes, ...]:
        """Give what the names of the wanted streams hold, so that other frames are not decoded."""
        streams: list[bytes] = []
        if Quote in wanted.kinds:
            streams.append(b"@bookTicker")
        if wanted.kinds & {Print, Bar}:
            streams += [b"@trade", b"@aggTrade"]
        if Depth in wanted.kinds:
            streams += [b"@depth", b"lastUpdateId"]
        return tuple(streams)

    def _decoded(
        self, wanted: Wanted, streams: tuple[bytes, ...]
    ) -> Iterator[tuple[int, str, int, Trade | None, MarketEvent]]:
        """Give reception, topic, time and event of what is wanted (of all instruments, where none is named)."""
        decoder = BinanceDecoder(self._capture.exchange)
        prints = bool(wanted.kinds & {Print, Bar})
        for frame in self._capture.frames(self._complain):
            head = frame.text[:80]
            if not any(stream in head for stream in streams):
                continue
            for record, event in self._events_of(decoder, frame, prints):
                if wanted.instruments and event.instrument not in wanted.instruments:
                    continue
                if wanted.since <= event.time < wanted.until:
                    trade = record if isinstance(record, Trade) else None
                    yield frame.received // 1000, record.topic, event.time, trade, event

    def _events_of(
        self, decoder: BinanceDecoder, frame: Frame, prints: bool
    ) -> Iterator[tuple[Trade | Tick | OrderBook, MarketEvent]]:
        try:
            for record in decoder.records(frame):
                key = f"{record.exchange}:{record.symbol}"
                if isinstance(record, Trade) and prints:
                    price, size = units(record.price), total_units(record.quantity)
                    yield record, Print(key, record.trade_time, price, size, record.buyer_is_maker)
                elif isinstance(record, Tick) and record.kind == "quote":
                    yield record, Quote(
                        key, record.receive_time if record.event_time is None else record.event_time,
                        units(record.bid or "0"), total_units(record.bid_size or "0"),
                        units(record.ask or "0"), total_units(record.ask_size or "0"),
                    )  # fmt: skip
                elif isinstance(record, OrderBook):
                    bids, asks = (
                        tuple((units(price), total_units(quantity)) for price, quantity in side)
                        for side in (record.bids, record.asks)
                    )
                    time = record.receive_time if record.event_time is None else record.event_time
                    yield record, Depth(key, time, record.type == "snapshot", bids, asks)
        except (FrameError, ValueError) as error:
            self._complain(frame.sequence[0], str(error))

    def _complain(self, line: int, reason: str) -> None:
        self._remarks.add(f"unreadable line of {self.name}", f"line {line}: {reason[:120]}")


def _in_order(
    events: Iterable[tuple[int, str, int, Trade | None, MarketEvent]],
) -> Iterator[tuple[Trade | None, MarketEvent]]:
    """Sort by time, topic and place, holding what was received within `WINDOW`."""
    waiting: list[tuple[int, str, int, Trade | None, MarketEvent]] = []
    for number, (received, topic, time, trade, event) in enumerate(events):
        heapq.heappush(waiting, (time, topic, number, trade, event))
        while waiting and waiting[0][0] <= received - WINDOW:
            _, _, _, earliest, first = heapq.heappop(waiting)
            yield earliest, first
    while waiting:
        _, _, _, earliest, first = heapq.heappop(waiting)
        yield earliest, first


def with_bars(
    trades: Iterable[tuple[TradeFields | Trade | None, MarketEvent]], wanted: Wanted
) -> Iterator[MarketEvent]:
    """Give events, and before each trade the bars that it closes. Raises SourceError for an unusual interval."""
    try:
        interval = Interval.parse(wanted.interval or _MADE_OF_TRADES)
        calendars: dict[str, SessionCalendar] = _CALENDARS
        shares = all(key.partition(":")[0] in calendars for key in wanted.instruments)
        candles = Candles((interval,), calendars, sizes=not shares)
    except ValueError as error:
        raise SourceError(str(error)) from error
    for trade, event in trades:
        if trade is not None:
            closed, _ = candles.add((trade,))
            for kline in closed:
                yield bar_of(kline)
        yield event
    for exchange, clock in candles.clocks().items():  # what has ended by the last trade, though none came after it
        for kline in candles.advance(exchange, clock):
            yield bar_of(kline)


def bar_of(kline: Kline) -> Bar:
    """Make the event of a closed bar's record: its time is its end."""
    return Bar(
        f"{kline.exchange}:{kline.symbol}", kline.close_time + 1000, kline.open_time, kline.interval,
        units(kline.open), units(kline.high), units(kline.low), units(kline.close), total_units(kline.volume),
    )  # fmt: skip
