"""One symbol of a live feed: what its streams have told so far, and what follows from the next frame. No I/O, no clock.

Each stream has ids that rise. A record at or below the last id is one that stands in its topic already and is dropped.
Trade ids of a symbol rise by one: whatever is missing is seen by that, asked for (`Work`), and what comes meanwhile is
held back, so that the topic has all in order; candles likewise, by their opening times, and some from before the very
first one are fetched, too. Ids of quotes have holes: only a connection that broke tells that some were missed, and
those are gone, as are changes of the book: the gap is told with the ids around it. A book is rebuilt from snapshot and
diffs, compared with the quotes at the same update id, and started anew when it is wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import nlargest, nsmallest
from typing import Literal

import msgspec

from barnabas_quant.errors import BookGapError, FrameError
from barnabas_quant.model import Book, Gap, Kline, OrderBook, Record, Tick, Trade, decimal_text
from barnabas_quant.model.money import total_text, total_units
from barnabas_quant.model.records import tick_writer

MOST_HELD = 100_000
"""Trades of a symbol, and diffs of a book, that are held back while something is fetched."""

_MAYBE_CUT = 400
"""Levels a side from which on a snapshot may not be the whole book: the fewest that a venue cuts at (OKX)."""

_QUOTES_KEPT = 4_000
"""Quotes of a symbol that wait for the book to reach their update id."""

_HISTORY = "history"
"""Why candles are fetched from before the first one: what the venue lacks of them is no gap."""

_encode = msgspec.json.Encoder().encode

TICKS = Tick.topic

_FUTURE = 60 * 1_000_000
"""Microseconds that a venue's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Work:
    """Ask for something to be fetched: trades first..last, candles of an interval from `first` to `last`, or a book.

    The candles open at first <= time < last, microseconds since 1970; `step` is the length of their interval.
    """

    kind: Literal["trades", "klines", "book"]
    symbol: str
    first: int = 0
    last: int = 0
    interval: str = ""
    cause: str = ""
    step: int = 0


@dataclass(slots=True)
class Places:
    """Hold where the topics stand for a symbol: the last id of each stream; None: nothing is there."""

    trade: int | None = None
    trade_tick: int | None = None
    quote: int | None = None
    diff: int | None = None
    snapshot: int | None = None
    klines: dict[str, tuple[int, int, bool]] = field(default_factory=dict)
    """By interval: opening time, event time and whether closed, of the last candle."""
    price: str | None = None


@dataclass(slots=True)
class Counts:
    """Count what came and what was wrong, over all symbols of a feed."""

    frames: int = 0
    duplicates: int = 0
    gaps: int = 0
    checked: int = 0
    """Quotes that the book was compared with."""
    mismatched: int = 0


class SymbolState:
    """Turn what a venue says of one symbol into records."""

    def __init__(
        self,
        exchange: str,
        symbol: str,
        trade_stream: str,
        places: Places,
        write: Callable[[str, bytes, bytes], object],
        ask: Callable[[Work], None],
        counts: Counts,
        history: int = 0,
    ) -> None:
        """Take where the topics stand; `write` gets topic, key and record, `ask` what is to be fetched.

        `history`: how many candles of an interval are fetched where its topic has none.
        """
        self.exchange = exchange
        self.symbol = symbol
        self.key = f"{exchange}:{symbol}".encode()
        self.places = places
        self._trade_stream = trade_stream
        self._send = write
        self._tick_text = tick_writer(exchange, symbol)
        self._ask = ask
        self._counts = counts
        self._history = history
        self._stored_trade = -1 if places.trade is None else places.trade
        if places.trade is None:  # killed before the first trades were acknowledged: go on where their ticks end
            places.trade = places.trade_tick
        elif places.trade_tick is not None:
            places.trade = min(places.trade, places.trade_tick)  # one of the two topics may have got less
        self._price = places.price
        self._quote: tuple[str, str, str, str] = ("", "", "", "")
        self._held_trades: list[tuple[Trade, int]] | None = None  # each with the first id that it stands for
        self._hole = 0  # while trades are fetched: when it was seen
        self._trades_broken = "start" if places.trade is not None else ""
        self._quote_broken = "start" if places.quote is not None else ""
        self._depth_broken = "start"
        self._held_diffs: list[OrderBook] | None = None
        self._book: Book | None = None
        self._book_event: tuple[int | None, int] = (None, 0)
        self._floor = 0  # below this bid, and above this ask, levels are known only as far as they have changed
        self._ceiling: int | None = None
        self._told_snapshot = 0
        self._quotes: OrderedDict[int, tuple[str, str, str, str]] = OrderedDict()
        self._times: dict[str, int] = {}  # stream -> when something came last
        self._filling_klines: dict[str, list[Kline]] = {}
        self._klines_broken: dict[str, str] = dict.fromkeys(places.klines, "start")

    # ---------------------------------------------------------------- connections

    def broken(self, cause: str) -> None:
        """Take note that frames may have been missed: the connection was another one."""
        self._trades_broken = self._trades_broken or cause
        self._quote_broken = self._quote_broken or cause
        for interval in self.places.klines:
            self._klines_broken.setdefault(interval, cause)
        self._start_book_anew(cause)

    # ---------------------------------------------------------------- trades

    def trade(self, trade: Trade, first: int | None = None) -> None:
        """Take a trade; `first` where it stands for several ids, up to its own. Raises FrameError for an absurd one."""
        check_time(trade.trade_time, trade.receive_time)
        check_amounts(trade.price, trade.quantity)
        begin = trade.trade_id if first is None else first
        if self._held_trades is not None:
            if len(self._held_trades) >= MOST_HELD:
                self._held_trades.clear()  # they are a hole themselves now, which the next trade after it shows
            self._held_trades.append((trade, begin))
            return
        last = self.places.trade
        if last is None or begin <= last + 1:
            if last is not None and trade.trade_id <= last:
                self._counts.duplicates += 1
                return
            self._trades_broken = ""
            self._emit_trade(trade, live=True)
            return
        self._held_trades = [(trade, begin)]
        self._hole = trade.receive_time
        cause = self._trades_broken or "skipped"
        self._ask(Work("trades", self.symbol, last + 1, begin - 1, cause=cause))

    def fetched_trades(self, fetched: list[Trade], work: Work) -> int | None:
        """Take trades fetched for a hole, oldest first, as many as there are at a time; none: there are no more.

        Answers the id to go on from, None when the hole is done with. What the venue no longer has is told as a gap.
        """
        last = (self.places.trade or 0) if self.places.trade is not None else work.first - 1
        run = last  # where the stretch of fetched trades began
        for trade in sorted(fetched, key=lambda trade: trade.trade_id):
            if not last < trade.trade_id <= work.last:
                continue
            if trade.trade_id != last + 1:
                self._trade_gap(run, last + 1, work.cause, filled=True)
                self._trade_gap(last, trade.trade_id, work.cause, filled=False)
                run = trade.trade_id - 1
            self._emit_trade(trade, live=False)
            last = trade.trade_id
        self._trade_gap(run, last + 1, work.cause, filled=True)
        if fetched and last < work.last:
            return last + 1
        self._trade_gap(last, work.last + 1, work.cause, filled=False)
        self.places.trade = max(last, work.last)
        self._trades_broken = ""
        held, self._held_trades = self._held_trades or [], None
        for trade, first in held:
            self.trade(trade, first)
        return None

    def _trade_gap(self, last: int, following: int, cause: str, filled: bool) -> None:
        if following > last + 1:
            self._gap(self._trade_stream, last, following, self._hole, cause, filled)

    def _emit_trade(self, trade: Trade, live: bool) -> None:
        self.places.trade = trade.trade_id
        self._times[self._trade_stream] = trade.receive_time
        self._price = trade.price
        if self.places.trade_tick is None or trade.trade_id > self.places.trade_tick:
            bid, bid_size, ask, ask_size = self._quote if live else ("", "", "", "")
            quote = (bid or None, bid_size or None, ask or None, ask_size or None)
            told = trade.event_time, trade.receive_time
            self._send(TICKS, self.key, self._tick_text("trade", trade.price, quote, trade.trade_id, *told))
        if trade.trade_id > self._stored_trade:
            self._write(trade)

    # ---------------------------------------------------------------- quotes

    def quote(self, update_id: int, quote: tuple[str, str, str, str], event_time: int | None, received: int) -> None:
        """Take a best bid and ask (bid, its size, ask, its size). Raises FrameError for an absurd one."""
        last = self.places.quote
        if last is not None and update_id <= last:
            self._counts.duplicates += 1
            return
        check_quote(quote)
        if event_time is not None:
            check_time(event_time, received)
        if self._quote_broken:
            if last is not None:
                self._gap("bookTicker", last, update_id, received, self._quote_broken, filled=False)
            self._quote_broken = ""
            self._quote = ("", "", "", "")
        self.places.quote = update_id
        self._times["bookTicker"] = received
        if self._book is not None:
            self._quotes[update_id] = quote
            if len(self._quotes) > _QUOTES_KEPT:
                self._quotes.popitem(last=False)
        if quote == self._quote:
            return  # a tick is a change
        self._quote = quote
        self._send(TICKS, self.key, self._tick_text("quote", self._price, quote, update_id, event_time, received))

    # ---------------------------------------------------------------- depth

    def diff(self, diff: OrderBook) -> None:
        """Take a change of the book. Raises FrameError for an absurd one."""
        if diff.event_time is not None:
            check_time(diff.event_time, diff.receive_time)
        check_levels(diff)
        if self.places.diff is not None and diff.last_update_id <= self.places.diff:
            self._counts.duplicates += 1
            return
        if self._book is None:
            if self._held_diffs is None:
                self._held_diffs = []
                self._ask(Work("book", self.symbol, cause=self._depth_broken or "start"))
            if len(self._held_diffs) >= MOST_HELD:
                self._held_diffs.clear()  # a snapshot that is still to come goes on from later ones
            self._held_diffs.append(diff)
            return
        try:
            self._apply(self._book, diff)
        except BookGapError:
            self._start_book_anew("skipped")
            self.diff(diff)

    def streamed_book(self, snapshot: OrderBook) -> None:
        """Take a snapshot that came in the stream of diffs, ahead of those that follow on it."""
        book = self._book
        if book is not None and snapshot.last_update_id <= book.last_update_id:
            return  # of a connection that replaces another: its diffs go on from where the book is
        if book is not None:
            self._start_book_anew("skipped")
        self._held_diffs = []
        self.fetched_book(snapshot)

    def fetched_book(self, snapshot: OrderBook) -> bool:
        """Take a snapshot for the book; answer False where it is too old and another one is needed."""
        if self._held_diffs is None:
            return True  # nobody waits for one any more
        held = [diff for diff in self._held_diffs if diff.last_update_id >= snapshot.last_update_id]
        book = Book(snapshot)
        if held and not _reaches(snapshot, held[0]):
            return False
        self._held_diffs = None
        self._book = book
        self._floor = min(book.bids) if len(book.bids) >= _MAYBE_CUT else 0
        self._ceiling = max(book.asks) if len(book.asks) >= _MAYBE_CUT else None
        self._quotes.clear()
        if self.places.snapshot is None or snapshot.last_update_id > self.places.snapshot:
            self.places.snapshot = snapshot.last_update_id
            self._write(snapshot)
        for diff in held:
            self.diff(diff)
        return True

    def _apply(self, book: Book, diff: OrderBook) -> None:
        if not book.apply(diff):
            return  # older than the snapshot; the gap that the first kept one tells covers it
        if self._depth_broken:  # at the very start too: what came before the snapshot is in no row
            cause = self._depth_broken
            self._gap("depth", self.places.diff, diff.last_update_id, diff.receive_time, cause, filled=False)
            self._depth_broken = ""
        self.places.diff = diff.last_update_id
        self._times["depth"] = diff.receive_time
        self._book_event = (diff.event_time, diff.receive_time)
        self._write(diff)
        self._compare(book)

    def _compare(self, book: Book) -> None:
        """Compare the book with the quote of its update id, and see that it is not crossed."""
        quote = self._quotes.get(book.last_update_id)
        while self._quotes and next(iter(self._quotes)) <= book.last_update_id:
            self._quotes.popitem(last=False)
        if not book.bids or not book.asks:
            return
        (bid, bid_size), (ask, ask_size) = book.best()
        if bid >= ask:
            self._start_book_anew("crossed")
        elif quote is not None:
            self._counts.checked += 1
            if (bid, bid_size, ask, ask_size) != tuple(map(total_units, quote)):
                self._counts.mismatched += 1
                self._start_book_anew("mismatched")

    def renumbered(self) -> None:
        """Take note that the venue has begun a new count of update ids, below those of before."""
        self.places.quote = self.places.diff = self.places.snapshot = None
        self._told_snapshot = 0
        self._quote_broken = ""
        self._start_book_anew("renumbered")

    def _start_book_anew(self, cause: str) -> None:
        self._book = None
        self._held_diffs = None
        self._quotes.clear()
        self._depth_broken = self._depth_broken or cause

    def tell_book(self, levels: int) -> None:
        """Write a snapshot of the rebuilt book, its best levels, if it has changed since the last one.

        Levels beyond those of the snapshot it began with are left out: between them there may be others that nobody has
        told. Where the market has moved so far that hardly any is left, the book is started anew.
        """
        book = self._book
        if book is None or book.last_update_id <= max(self._told_snapshot, self.places.snapshot or 0):
            return
        self._told_snapshot = self.places.snapshot = book.last_update_id
        event_time, received = self._book_event
        ceiling = self._ceiling
        bids = [price for price in nlargest(levels, book.bids) if price >= self._floor]
        asks = [price for price in nsmallest(levels, book.asks) if ceiling is None or price <= ceiling]
        if 2 * len(bids) < min(levels, len(book.bids)) or 2 * len(asks) < min(levels, len(book.asks)):
            self._start_book_anew("beyond the snapshot")
            return
        snapshot = OrderBook(
            exchange=self.exchange,
            symbol=self.symbol,
            type="snapshot",
            first_update_id=book.last_update_id,
            last_update_id=book.last_update_id,
            previous_update_id=None,
            bids=[(decimal_text(price), total_text(book.bids[price])) for price in bids],
            asks=[(decimal_text(price), total_text(book.asks[price])) for price in asks],
            event_time=event_time,
            receive_time=received,
        )
        self._write(snapshot)

    @property
    def synchronised(self) -> bool:
        """Tell whether the book is one."""
        return self._book is not None

    # ---------------------------------------------------------------- candles

    def kline(self, kline: Kline) -> None:
        """Take a candle, forming or closed. Raises FrameError for an absurd one."""
        check_time(kline.event_time, kline.receive_time)
        check_amounts(kline.open, kline.high, kline.low, kline.close)
        if (held := self._filling_klines.get(kline.interval)) is not None:
            held.append(kline)
            return
        last = self.places.klines.get(kline.interval)
        step = kline.close_time // 1000 * 1000 + 1000 - kline.open_time
        if last is None:
            following = max(0, kline.open_time - self._history * step)
            cause = _HISTORY
        else:
            open_time, event_time, closed = last
            if (kline.open_time, kline.closed, kline.event_time) <= (open_time, closed, event_time):
                self._counts.duplicates += 1
                return
            following = open_time + step if closed else open_time
            cause = self._klines_broken.get(kline.interval, "skipped")
        if kline.open_time > following:  # a bar was not seen to close, or to begin with
            self._filling_klines[kline.interval] = [kline]
            self._ask(Work("klines", self.symbol, following, kline.open_time, kline.interval, cause, step))
            return
        self._emit_kline(kline)

    def fetched_klines(self, fetched: list[Kline], work: Work) -> None:
        """Take the closed candles fetched for a hole, then those held back; tell which are missing still."""
        held = self._filling_klines.pop(work.interval, [])
        received = held[0].receive_time if held else 0
        bars = {kline.open_time: kline for kline in fetched if work.first <= kline.open_time < work.last}
        if work.cause == _HISTORY:
            for open_time in sorted(bars):
                self._emit_kline(bars[open_time])
        else:
            self._fill_bars(bars, work, received)
        self._klines_broken.pop(work.interval, None)
        self.places.klines[work.interval] = (work.last - work.step, 0, True)  # what is missing is not asked for twice
        for kline in held:
            self.kline(kline)

    def _fill_bars(self, bars: dict[int, Kline], work: Work, received: int) -> None:
        stream = f"kline_{work.interval}"
        last = run = work.first - work.step
        for open_time in sorted(bars):
            if open_time != last + work.step:
                self._bar_gap(stream, run, last, work, received)
                self._gap(stream, last, open_time, received, work.cause, filled=False)
                run = open_time - work.step
            self._emit_kline(bars[open_time])
            last = open_time
        self._bar_gap(stream, run, last, work, received)
        if last + work.step < work.last:
            self._gap(stream, last, work.last, received, work.cause, filled=False)

    def _bar_gap(self, stream: str, run: int, last: int, work: Work, received: int) -> None:
        if last > run:
            self._gap(stream, run, last + work.step, received, work.cause, filled=True)

    def _emit_kline(self, kline: Kline) -> None:
        self.places.klines[kline.interval] = (kline.open_time, kline.event_time, kline.closed)
        self._times[f"kline_{kline.interval}"] = kline.receive_time
        self._write(kline)

    # ---------------------------------------------------------------- gaps

    def _gap(self, stream: str, last_id: int | None, next_id: int, now: int, cause: str, filled: bool) -> None:
        if last_id is not None:  # what lies before the very first record is no fault
            self._counts.gaps += 1
        gap = Gap(
            exchange=self.exchange,
            symbol=self.symbol,
            stream=stream,
            last_id=last_id,
            next_id=next_id,
            from_time=self._times.get(stream, now),
            to_time=now,
            cause=cause,
            filled=filled,
        )
        self._write(gap)

    def _write(self, record: Record) -> None:
        self._send(record.topic, self.key, _encode(record))


def _reaches(snapshot: OrderBook, diff: OrderBook) -> bool:
    """Tell whether a diff that was held back goes on from a snapshot, without a hole between."""
    if diff.previous_update_id is None:
        return diff.first_update_id <= snapshot.last_update_id + 1
    return diff.first_update_id <= snapshot.last_update_id or diff.previous_update_id == snapshot.last_update_id


def check_time(time: int, received: int) -> None:
    """Raise FrameError for a time that lies in the future. Both in microseconds since 1970."""
    if time > received + _FUTURE:
        raise FrameError(f"its time is {(time - received) / 1_000_000:.0f} s in the future")


def check_amounts(*amounts: str) -> None:
    """Raise FrameError unless all are plain decimals above zero."""
    for text in amounts:
        if _number(text) <= 0:
            raise FrameError(f"not above zero: {text[:40]}")


def check_quote(quote: tuple[str, str, str, str]) -> None:
    """Raise FrameError for a quote that is no plain decimals, or crossed."""
    try:
        bid, ask = _numbers[quote[0]], _numbers[quote[2]]
        _numbers[quote[1]], _numbers[quote[3]]
    except KeyError:
        bid, _, ask, _ = map(_number, quote)
    if not 0 < bid < ask:
        raise FrameError(f"a crossed quote, or one at zero: bid {quote[0]}, ask {quote[2]}")


def _number(text: str) -> int:
    number = _numbers.get(text)
    if number is None:
        try:
            number = total_units(text)
        except ValueError as error:
            raise FrameError(str(error)[:100]) from error
        if len(_numbers) > _MOST_NUMBERS:
            _numbers.clear()
        _numbers[text] = number
    return number


_numbers: dict[str, int] = {}  # prices and sizes come again and again: looking one up is a tenth of reading it
_MOST_NUMBERS = 100_000


def check_levels(book: OrderBook) -> None:
    """Raise FrameError for a diff whose ids go backwards."""
    if book.first_update_id > book.last_update_id:
        raise FrameError(f"update ids go backwards: {book.first_update_id} to {book.last_update_id}")
