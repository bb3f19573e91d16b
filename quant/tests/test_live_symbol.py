"""A symbol's state, whatever comes in which order and whatever is missing: trades once and in order, gaps exact."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.errors import FrameError
from barnabas_quant.feeds.live import symbol as module
from barnabas_quant.feeds.live.symbol import Counts, Places, SymbolState, Work
from barnabas_quant.model import Gap, Kline, OrderBook, Tick, Trade, units

NOW = 1_700_000_000_000_000
MINUTE = 60_000_000
DECODERS = {kind.topic: msgspec.json.Decoder(kind).decode for kind in (Tick, Trade, OrderBook, Kline, Gap)}


class Desk:
    """Hold a state, what it wrote and what it asked for."""

    def __init__(self, places: Places | None = None, exchange: str = "x", history: int = 0) -> None:
        self.rows: list[Any] = []
        self.asked: list[Work] = []
        self.counts = Counts()
        self.state = SymbolState(
            exchange, "S", "trade", places or Places(), self._write, self.asked.append, self.counts, history
        )

    def _write(self, topic: str, key: bytes, value: bytes) -> None:
        assert key == b"x:S"
        self.rows.append(DECODERS[topic](value))

    def of(self, record: type, **wanted: object) -> list[Any]:
        found = [row for row in self.rows if isinstance(row, record)]
        return [row for row in found if all(getattr(row, name) == value for name, value in wanted.items())]

    def gaps(self, stream: str) -> list[tuple[int | None, int, bool]]:
        return [(gap.last_id, gap.next_id, gap.filled) for gap in self.of(Gap, stream=stream)]


def trade(number: int, price: str = "1.5") -> Trade:
    return Trade(
        exchange="x", symbol="S", trade_id=number, price=price, quantity="1", buyer_is_maker=False,
        event_time=NOW, trade_time=NOW, receive_time=NOW,
    )  # fmt: skip


def book(kind: str, first: int, last: int, levels: dict[int, int], previous: int | None = None) -> OrderBook:
    """Make bids at 1..99 and asks from 100 on, of whole prices and quantities."""
    sides = [(str(price), str(size)) for price, size in levels.items()]
    return OrderBook(
        exchange="x", symbol="S", type="snapshot" if kind == "snapshot" else "diff", first_update_id=first,
        last_update_id=last, previous_update_id=previous, bids=[one for one in sides if int(one[0]) < 100],
        asks=[one for one in sides if int(one[0]) >= 100], event_time=NOW, receive_time=NOW,
    )  # fmt: skip


class Market:
    """Make trades, quotes and changes of a book, and remember all of them."""

    def __init__(self, futures: bool) -> None:
        self.futures = futures
        self.trades: list[Trade] = []
        self.quotes: list[tuple[int, tuple[str, str, str, str]]] = []
        self.diffs: list[OrderBook] = []
        self.levels = {1: 1, 100: 1}
        self.books = {10: dict(self.levels)}
        self.update = 10

    def make(self, kind: str, price: int, size: int) -> tuple[str, Any]:
        if kind == "trade":
            self.trades.append(trade(len(self.trades) + 1))
            return kind, self.trades[-1]
        if kind == "quote":
            self.quotes.append((len(self.quotes) * 3 + 7, ("1", str(size + 1), "2", "1")))
            return kind, self.quotes[-1]
        previous = self.update
        self.update += 1 + size
        change = {price: size, 1: 1, 100: 1}  # both sides always have a level
        self.levels |= change
        self.books[self.update] = {price: size for price, size in self.levels.items() if size}
        first = previous + (3 if self.futures else 1)  # the ids of futures have holes
        before = previous if self.futures else None
        self.diffs.append(book("diff", min(first, self.update), self.update, change, before))
        return kind, self.diffs[-1]


def deliver(state: SymbolState, event: tuple[str, Any]) -> None:
    kind, what = event
    if kind == "trade":
        state.trade(what)
    elif kind == "quote":
        state.quote(what[0], what[1], NOW, NOW)
    else:
        state.diff(what)


EVENTS = st.tuples(
    st.sampled_from(["trade", "quote", "diff"]),
    st.sampled_from([2, 3, 101, 102]),
    st.integers(0, 3),
    st.sampled_from(["take"] * 4 + ["lose trade", "lose diff", "again", "break", "answer", "answer late"]),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(EVENTS, min_size=30, max_size=90), st.booleans(), st.sets(st.integers(1, 60), max_size=5), st.booleans()
)
def test_any_course_of_events(
    script: list[tuple[str, int, int, str]], futures: bool, forgotten: set[int], kill: bool
) -> None:
    market, desk, events = Market(futures), Desk(), []
    off = 0
    taken: list[Any] = []
    for number, (kind, price, size, fate) in enumerate(script):
        event = market.make(kind, price, size)
        events.append(event)
        if fate == "break":
            off = size + 1  # so many frames are lost with the connection
            desk.state.broken("cut")
        if off:
            off -= 1
            continue
        if fate == f"lose {kind}" and kind != "quote":
            continue
        taken.append(event)
        deliver(desk.state, event)
        if fate == "again":
            for earlier in taken[-4:]:
                deliver(desk.state, earlier)
        if fate.startswith("answer"):
            answer(desk, market, forgotten, late=fate.endswith("late"))
        if kill and number == len(script) // 2:  # another process goes on from the places
            answer(desk, market, forgotten)
            desk.asked.clear()
            rows, places = desk.rows, desk.state.places
            desk = Desk(msgspec_copy(places))
            desk.rows = rows
    for kind in ("trade", "quote", "diff", "diff"):  # the last of each stream show what is missing before them
        deliver(desk.state, market.make(kind, 3, 9 + len(script)))
    for _ in range(100):
        if not desk.asked:
            break
        answer(desk, market, forgotten)
    check_trades(desk, market, forgotten)
    check_quotes(desk, market)
    check_books(desk, market)


def msgspec_copy(places: Places) -> Places:
    return Places(places.trade, places.trade_tick, places.quote, places.diff, places.snapshot, dict(places.klines))


def answer(desk: Desk, market: Market, forgotten: set[int], late: bool = False) -> None:
    """Answer what was asked for, pages of seven trades; `late`: with the book of some changes ago."""
    wanted = list(desk.asked)
    desk.asked.clear()
    for work in wanted:
        if work.kind == "trades":
            first: int | None = work.first
            while first is not None:
                kept = [
                    one for one in market.trades if first <= one.trade_id <= work.last and one.trade_id not in forgotten
                ]
                first = desk.state.fetched_trades(kept[:7], work)
        else:
            updates = sorted(market.books)
            at = updates[max(0, len(updates) - 4)] if late else updates[-1]
            if not desk.state.fetched_book(book("snapshot", at, at, market.books[at])):
                desk.asked.append(work)


def check_trades(desk: Desk, market: Market, forgotten: set[int]) -> None:
    found = [row.trade_id for row in desk.of(Trade)]
    assert [row.update_id for row in desk.of(Tick, kind="trade")] == found
    gaps = desk.gaps("trade")
    told = [number for last, following, filled in gaps if not filled for number in range((last or 0) + 1, following)]
    assert found == sorted(set(found))
    assert set(told) <= forgotten
    assert found[-1] == len(market.trades)
    assert sorted(found + told) == list(range(found[0], found[-1] + 1))
    filled = [number for last, following, full in gaps if full for number in range((last or 0) + 1, following)]
    assert set(filled) <= set(found)


def check_quotes(desk: Desk, market: Market) -> None:
    rows = {row.update_id: (row.bid, row.bid_size, row.ask, row.ask_size) for row in desk.of(Tick, kind="quote")}
    numbers = [row.update_id for row in desk.of(Tick, kind="quote")]
    assert numbers == sorted(set(numbers))
    gaps = desk.gaps("bookTicker")
    best = None
    last = market.quotes[-1][0]
    assert numbers[-1] == desk.state.places.quote == last
    for number, quote in market.quotes:
        if number < numbers[0]:
            continue
        if any((begin or 0) < number < end for begin, end, _ in gaps):
            assert number not in rows
            best = None
        elif number in rows:
            assert rows[number] == quote
            best = quote
        else:
            assert quote == best, number


def check_books(desk: Desk, market: Market) -> None:
    rows = desk.of(OrderBook, type="diff")
    ids = [row.last_update_id for row in rows]
    assert ids == sorted(set(ids))
    gaps = desk.gaps("depth")
    for diff in market.diffs:
        number = diff.last_update_id
        if ids and number <= ids[-1]:
            missed = any((begin is None or begin < number) and number < end for begin, end, _ in gaps)
            assert missed != (number in ids), number
    rebuilt = desk.state._book
    if rebuilt is not None:
        levels = market.books[rebuilt.last_update_id]
        sides = {units(str(price)): units(str(size)) for price, size in levels.items()}
        assert rebuilt.bids | rebuilt.asks == sides
        desk.state.tell_book(1)
        best = desk.of(OrderBook, type="snapshot")[-1]
        assert best.last_update_id == rebuilt.last_update_id or best.last_update_id == desk.state.places.snapshot


def test_a_trade_that_stands_for_several() -> None:
    desk = Desk()
    desk.state.trade(trade(5), 3)
    desk.state.trade(trade(9), 6)
    assert not desk.asked
    desk.state.trade(trade(12), 11)
    assert desk.asked == [Work("trades", "S", 10, 10, cause="skipped")]
    assert desk.state.fetched_trades([trade(10)], desk.asked[0]) is None
    assert [row.trade_id for row in desk.of(Trade)] == [5, 9, 10, 12]
    assert desk.gaps("trade") == [(9, 11, True)]


def test_ticks_and_trades_that_ended_apart() -> None:
    desk = Desk(Places(trade=8, trade_tick=5))
    desk.state.trade(trade(10))
    assert (desk.asked[0].first, desk.asked[0].last) == (6, 9)
    desk.state.fetched_trades([trade(number) for number in (6, 7, 8, 9)], desk.asked[0])
    assert [row.trade_id for row in desk.of(Trade)] == [9, 10]
    assert [row.update_id for row in desk.of(Tick)] == [6, 7, 8, 9, 10]


def test_more_trades_than_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HELD", 10)
    desk, everything = Desk(), [trade(number) for number in range(1, 100)]
    desk.state.trade(everything[0])
    for one in everything[5:]:
        desk.state.trade(one)
    while desk.asked:
        work = desk.asked.pop(0)
        desk.state.fetched_trades(everything[work.first - 1 : work.last], work)
    assert [row.trade_id for row in desk.of(Trade)] == list(range(1, 100))


def bar(minute: int, closed: bool = True, event: int = 0) -> Kline:
    begin = NOW // MINUTE * MINUTE - 100 * MINUTE + minute * MINUTE
    return Kline(
        exchange="x", symbol="S", interval="1m", open_time=begin, close_time=begin + MINUTE - 1000, open="1", high="2",
        low="1", close="2", volume="0", quote_volume="0", trades=0, closed=closed, source="venue",
        event_time=begin + event, receive_time=NOW,
    )  # fmt: skip


def test_candles_that_are_missing() -> None:
    desk = Desk()
    desk.state.kline(bar(0, event=1))
    desk.state.kline(bar(1, closed=False, event=1))
    desk.state.kline(bar(1, closed=False, event=1))  # twice
    desk.state.broken("cut")
    desk.state.kline(bar(5, closed=False, event=1))
    desk.state.kline(bar(5, closed=False, event=2))
    (work,) = desk.asked
    assert (work.first, work.last, work.cause) == (bar(1).open_time, bar(5).open_time, "cut")
    desk.state.fetched_klines([bar(1, event=9), bar(2, event=9), bar(4, event=9)], work)
    rows = [(row.open_time, row.closed) for row in desk.of(Kline)]
    expected = [(0, True), (1, False), (1, True), (2, True), (4, True), (5, False), (5, False)]
    assert rows == [(bar(minute).open_time, closed) for minute, closed in expected]
    at = [bar(minute).open_time for minute in range(6)]
    assert desk.gaps("kline_1m") == [(at[0], at[3], True), (at[2], at[4], False), (at[3], at[5], True)]
    desk.state.kline(bar(5, event=3))
    assert len(desk.asked) == 1


def test_candles_from_before_the_first_one() -> None:
    desk = Desk(history=4)
    desk.state.kline(bar(9, closed=False, event=1))
    desk.state.kline(bar(9, closed=False, event=2))
    (work,) = desk.asked
    assert (work.first, work.last) == (bar(5).open_time, bar(9).open_time)
    assert not desk.rows
    desk.state.broken("cut")
    desk.state.fetched_klines([bar(8), bar(6), bar(4)], work)  # one that it does not have, one that nobody asked for
    desk.state.kline(bar(9, event=3))
    expected = [(6, True), (8, True), (9, False), (9, False), (9, True)]
    assert [(row.open_time, row.closed) for row in desk.rows] == [(bar(m).open_time, closed) for m, closed in expected]
    desk.state.kline(bar(10, closed=False, event=1))
    later = Desk(desk.state.places, history=4)  # another process goes on
    later.state.kline(bar(10, event=2))
    assert len(desk.asked) == 1
    assert not later.asked


def test_a_venue_without_earlier_candles() -> None:
    desk = Desk(history=4)
    desk.state.kline(bar(9, closed=False, event=1))
    desk.state.fetched_klines([], desk.asked[0])
    desk.state.kline(bar(9, event=2))
    assert [row.closed for row in desk.rows] == [False, True]
    assert len(desk.asked) == 1


def test_a_book_that_differs_from_its_quote_is_started_anew() -> None:
    desk = Desk()
    desk.state.diff(book("diff", 11, 12, {2: 1}))
    assert desk.state.fetched_book(book("snapshot", 10, 10, {1: 1, 100: 1}))
    desk.state.quote(13, ("2", "5", "100", "1"), NOW, NOW)
    desk.state.diff(book("diff", 13, 13, {2: 4}))
    assert (desk.counts.checked, desk.counts.mismatched) == (1, 1)
    assert not desk.state.synchronised
    desk.state.diff(book("diff", 14, 14, {2: 5}))
    assert [work.kind for work in desk.asked] == ["book", "book"]
    assert desk.state.fetched_book(book("snapshot", 13, 13, {1: 1, 2: 5, 100: 1}))
    assert desk.gaps("depth") == [(None, 12, False), (13, 14, False)]


def test_an_answer_that_nobody_waits_for_any_more_changes_no_book() -> None:
    desk = Desk()
    desk.state.diff(book("diff", 11, 12, {2: 1}))
    desk.state.broken("cut")
    desk.state.diff(book("diff", 13, 14, {2: 1}))  # a second request is on its way
    assert desk.state.fetched_book(book("snapshot", 13, 13, {1: 1, 100: 1}))
    assert desk.state.fetched_book(book("snapshot", 20, 20, {1: 1, 100: 1}))
    desk.state.diff(book("diff", 15, 16, {2: 2}))
    assert [row.last_update_id for row in desk.of(OrderBook, type="diff")] == [14, 16]


def test_levels_beyond_the_snapshot_are_not_told() -> None:
    def sides(kind: str, number: int, bids: list[tuple[str, str]]) -> OrderBook:
        asks = [("2000", "1")] if kind == "snapshot" else []
        return msgspec.structs.replace(book(kind, number, number, {}), bids=bids, asks=asks)

    desk = Desk()
    desk.state.diff(sides("diff", 11, [("900", "7")]))
    assert desk.state.fetched_book(sides("snapshot", 10, [(str(price), "1") for price in range(1000, 1400)]))
    desk.state.tell_book(1000)
    told = desk.of(OrderBook, type="snapshot")[-1]
    assert len(told.bids) == 400  # 900 is known, what lies between is not
    desk.state.diff(sides("diff", 12, [(str(price), "0") for price in range(1010, 1400)]))
    desk.state.diff(sides("diff", 13, [(str(price), "1") for price in range(500, 520)]))
    desk.state.tell_book(100)
    assert desk.of(OrderBook, type="snapshot")[-1] == told
    assert not desk.state.synchronised


def test_a_book_out_of_its_stream() -> None:
    desk = Desk()
    desk.state.streamed_book(book("snapshot", 10, 10, {1: 1, 100: 1}))
    desk.state.diff(book("diff", 11, 15, {2: 1}, 10))
    desk.state.streamed_book(book("snapshot", 12, 12, {1: 1, 100: 1}))  # of a connection that takes over
    desk.state.diff(book("diff", 13, 15, {2: 1}, 12))
    desk.state.diff(book("diff", 16, 18, {2: 2}, 15))
    assert not desk.asked
    desk.state.diff(book("diff", 21, 22, {2: 2}, 20))
    assert [work.kind for work in desk.asked] == ["book"]
    desk.state.streamed_book(book("snapshot", 24, 24, {1: 1, 100: 1}))
    desk.state.diff(book("diff", 25, 25, {3: 2}, 24))
    assert [row.last_update_id for row in desk.of(OrderBook, type="diff")] == [15, 18, 25]
    assert desk.gaps("depth") == [(None, 15, False), (18, 25, False)]
    desk.state.renumbered()
    desk.state.streamed_book(book("snapshot", 3, 3, {1: 1, 100: 1}))
    desk.state.diff(book("diff", 4, 5, {3: 2}, 3))
    assert desk.of(OrderBook, type="diff")[-1].last_update_id == 5


@pytest.mark.parametrize(
    "quote",
    [
        ("2", "1", "1", "1"), ("1", "1", "1", "1"), ("0", "1", "1", "1"), ("1.", "1", "2", "1"), ("1", "-1", "2", "1"),
        ("1", "1", "1e3", "1"), ("1", "1", "\u0662", "1"), ("1", "", "2", "1"), ("1", '1","x":"', "2", "1"),
        ("1.123456789", "1", "2", "1"), ("1" * 40, "1", "2" * 40, "1"),
    ],
)  # fmt: skip
def test_absurd_quotes(quote: tuple[str, str, str, str]) -> None:
    desk = Desk()
    with pytest.raises(FrameError):
        desk.state.quote(1, quote, NOW, NOW)
    assert not desk.rows


def test_absurd_trades_and_times() -> None:
    desk = Desk()
    for one in (trade(1, "0.0"), trade(1, "-1"), msgspec.structs.replace(trade(1), trade_time=NOW + 120_000_000)):
        with pytest.raises(FrameError):
            desk.state.trade(one)
    with pytest.raises(FrameError):
        desk.state.diff(book("diff", 9, 8, {}))
    assert not desk.rows
