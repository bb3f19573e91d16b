"""Parts of the exchange by themselves: bars' intervals, shelves, books, futures' ids."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.exchange.book import LevelBook
from barnabas_quant.exchange.futures import futures_id
from barnabas_quant.exchange.history import Shelf
from barnabas_quant.exchange.klines import INTERVALS, Bar, Klines, next_open, open_time
from barnabas_quant.exchange.messages import Depth, Places, Snapshot
from barnabas_quant.exchange.rest import Weights
from barnabas_quant.exchange.simulator import MINUTE, Simulator
from barnabas_quant.exchange.walk import BITCOIN_AND_OTHERS
from barnabas_quant.model import Book, OrderBook, units

START = 1_700_000_040_000


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("interval", "begins", "ends"),
    [
        ("1s", ms(2024, 2, 29, 13, 47, 12), ms(2024, 2, 29, 13, 47, 13)),
        ("15m", ms(2024, 2, 29, 13, 45), ms(2024, 2, 29, 14)),
        ("4h", ms(2024, 2, 29, 12), ms(2024, 2, 29, 16)),
        ("1d", ms(2024, 2, 29), ms(2024, 3, 1)),
        ("1w", ms(2024, 2, 26), ms(2024, 3, 4)),
        ("1M", ms(2024, 2, 1), ms(2024, 3, 1)),
    ],
)
def test_where_bars_begin_and_end(interval: str, begins: int, ends: int) -> None:
    time = ms(2024, 2, 29, 13, 47, 12) + 345
    assert (open_time(interval, time), next_open(interval, begins)) == (begins, ends)


@given(st.sampled_from(list(INTERVALS)), st.integers(0, 4 * 10**12))
def test_every_moment_is_in_one_bar(interval: str, time: int) -> None:
    opened = open_time(interval, time)
    assert opened <= time < next_open(interval, opened)
    assert open_time(interval, next_open(interval, opened)) == next_open(interval, opened)


def test_bars_without_trades_repeat_the_close_and_kept_bars_are_bounded() -> None:
    klines = Klines("X", Places(), minutes=3, seconds=100)
    klines.since = 0
    klines.add(30_000, units("5"), units("2"), False, 1, 1)
    klines.add(200_000, units("7"), units("1"), True, 2, 2)
    bars = list(klines.candles("1m", None, None, 10, 250_000))
    assert [(b.open, b.close, b.trades, b.first, b.closed) for b in bars] == [
        ("5.00000000", "5.00000000", 1, 1, True),
        ("5.00000000", "5.00000000", 0, -1, True),
        ("5.00000000", "5.00000000", 0, -1, True),
        ("7.00000000", "7.00000000", 1, 2, True),
        ("7.00000000", "7.00000000", 0, -1, False),
    ]
    for minute in range(4, 9):
        klines.add(minute * 60_000, units("1"), units("1"), True, minute, minute)
    assert [b.open_time for b in klines.candles("1m", None, None, 10, 540_000)] == [360_000, 420_000, 480_000, 540_000]


def test_bars_of_before_the_play() -> None:
    asked = []

    def minute(opened: int) -> Bar:
        asked.append(opened)
        at = opened // 60_000
        return Bar(*(units(str(price)) for price in (at, at + 2, at - 1, at + 1)), first=at, last=at, trades=1)

    klines = Klines("X", Places(), minutes=10, seconds=100)
    klines.since = 100 * 60_000
    klines.remembers(minute)
    klines.add(101 * 60_000, units("300"), units("1"), False, 1, 1)
    bars = list(klines.candles("1m", None, None, 1000, 101 * 60_000 + 1))
    # Ten minutes back from the newest; the first of the play, without a trade, repeats the close before it.
    assert [(b.open_time // 60_000, float(b.open), float(b.close), b.trades) for b in bars] == [
        *((number, number, number + 1, 1) for number in range(91, 100)), (100, 100, 100, 0), (101, 300, 300, 1),
    ]  # fmt: skip
    (five,) = klines.candles("5m", 95 * 60_000, 95 * 60_000, 9, 101 * 60_000 + 1)
    assert [float(x) for x in (five.open, five.high, five.low, five.close)] == [95, 101, 94, 100]
    assert (five.trades, five.first, five.last, five.closed) == (5, 95, 99, True)
    assert not list(klines.candles("15m", None, 90 * 60_000, 9, 101 * 60_000 + 1))  # it would lack some minutes
    assert [b.open_time // 1000 for b in klines.candles("1s", None, None, 100, 100 * 60_000 + 1_500)] == [6000, 6001]
    assert sorted(asked) == list(range(91 * 60_000, 100 * 60_000, 60_000))  # each once


def test_a_sketch_of_a_minute_goes_with_its_play() -> None:
    simulator, traded = Simulator(3, BITCOIN_AND_OTHERS), BITCOIN_AND_OTHERS[0]
    sketches = [simulator.sketch(traded, number) for number in range(50)]
    assert sketches[:5] == [Simulator(3, BITCOIN_AND_OTHERS).sketch(traded, number) for number in range(5)]
    for before, after in pairwise(sketches):
        assert (before.close, before.last + 1) == (after.open, after.first)
    for number in (7, 8, 9):
        told = [frame.text for frame in simulator.minute(number, START) if b"btcusdt@kline_1m" in frame.text[:40]]
        played = msgspec.json.decode(told[-1])["data"]["k"]
        sketch = sketches[number]
        assert (played["f"], played["L"], played["n"]) == (sketch.first, sketch.last, sketch.trades)
        spread = traded.price * traded.tick * 0.0004
        assert abs(units(played["o"]) - sketch.open) < spread
        assert abs(units(played["c"]) - sketch.close) < spread
        assert sketch.low <= min(sketch.open, sketch.close) <= max(sketch.open, sketch.close) <= sketch.high
        assert sketch.high - sketch.low < 6 * traded.volatility * sketch.open
        assert 0 < sketch.taker_volume < sketch.volume


@given(st.lists(st.integers(1, 5), max_size=60), st.integers(1, 9), st.integers(0, 200), st.integers(1, 20))
def test_shelf(steps: list[int], limit: int, place: int, count: int) -> None:
    shelf: Shelf[int] = Shelf(limit, lambda item: item)
    ids = [sum(steps[: n + 1]) for n in range(len(steps))]
    for item in ids:
        shelf.add(item)
    kept = [item for item in ids if shelf.oldest is not None and item >= shelf.oldest]
    assert min(limit, len(ids)) <= len(kept) <= 2 * limit
    assert shelf.newest(count) == kept[-count:]
    assert shelf.since(place, count) == [item for item in kept if item >= place][:count]
    assert shelf.before(place, count) == [item for item in kept if item < place][-count:]


_levels = st.lists(st.tuples(st.integers(1, 30).map(str), st.integers(0, 3).map(str)), max_size=5)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 4), _levels, _levels), max_size=15))
def test_book_is_that_of_the_feeds_rules(diffs: list[tuple[int, list[tuple[str, str]], list[tuple[str, str]]]]) -> None:
    ours = LevelBook(Snapshot(10, [("5", "1")], [("6", "1")]))

    def record(kind: str, first: int, last: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> OrderBook:
        return OrderBook(
            exchange="x", symbol="S", type="snapshot" if kind == "snapshot" else "diff", first_update_id=first,
            last_update_id=last, previous_update_id=None, bids=bids, asks=asks, event_time=None, receive_time=0,
        )  # fmt: skip

    theirs = Book(record("snapshot", 10, 10, [("5", "1")], [("6", "1")]))
    last = 8
    for width, bids, asks in diffs:
        first, last = last + 1, last + width
        assert ours.apply(Depth("depthUpdate", 1, "S", first, last, bids, asks))
        theirs.apply(record("diff", first, last, bids, asks))
    bids, asks = ours.levels(100)
    assert {units(p): units(q) for p, q in bids} == theirs.bids
    assert {units(p): units(q) for p, q in asks} == theirs.asks
    assert not ours.apply(Depth("depthUpdate", 1, "S", ours.last + 2, ours.last + 3, [], []))


@given(st.integers(10**14, 9 * 10**14))
def test_futures_ids_rise_have_gaps_and_fit(spot: int) -> None:
    assert futures_id(spot + 1) - futures_id(spot) > 1
    assert futures_id(spot + 10**9) < 2**53


def test_weights_begin_anew_with_the_minute() -> None:
    now = [600.0]
    weights = Weights(10, 2, 100.0, lambda: now[0])
    assert weights.take(10) is None
    refused = weights.take(1)
    assert refused is not None
    assert (refused.status, refused.headers["retry-after"]) == (429, "60")
    now[0] = 660.0
    assert weights.take(10) is None
    assert [answer.status for answer in (weights.take(1) for _ in range(3)) if answer] == [429, 429, 418]
    now[0] = 759.0
    banned = weights.take(1)
    assert banned is not None
    assert (banned.status, banned.headers["retry-after"]) == (418, "1")
    now[0] = 760.0
    assert weights.take(1) is None


def test_any_minute_of_the_simulated_market_is_at_hand() -> None:
    far = 4_000_000  # minutes: some seven years
    frames = list(Simulator(1, BITCOIN_AND_OTHERS[:1]).minute(far, far * MINUTE))
    assert frames == list(Simulator(1, BITCOIN_AND_OTHERS[:1]).minute(far, far * MINUTE))
    assert len(frames) > 1000
