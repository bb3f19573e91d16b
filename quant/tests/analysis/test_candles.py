"""Candles against three oracles: SQL over the same trades, the venue's own kline frames, and bars made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.analysis import Candles, TradeFields
from barnabas_quant.analysis.bars import FILL_LIMIT
from barnabas_quant.bus.producer import encode
from barnabas_quant.errors import StateError
from barnabas_quant.model import Kline, Trade, units
from barnabas_quant.model.intervals import DAY, SECOND, Interval, parse_intervals
from barnabas_quant.model.sessions import HONG_KONG, SHANGHAI

from .common import recording, records_of, shape, simulated, trade, trades_of

ALL = parse_intervals("1s,1m,5m,15m,1h,1d")


def run(trades: Sequence[Trade], names: str = "1s,1m,5m,15m,1h,1d", end: int | None = None) -> list[Kline]:
    """Give the closed bars of trades, those still open at the end, too."""
    candles = Candles(parse_intervals(names))
    closed, remarks = candles.add(trades)
    assert not remarks
    last = max(each.trade_time for each in trades)
    for exchange in {each.exchange for each in trades}:
        closed += candles.advance(exchange, last + DAY if end is None else end)
    return closed


SqlBars = dict[tuple[str, int], tuple[Any, ...]]


def sql_bars(path: Path, trades: Sequence[Trade], intervals: Sequence[Interval]) -> dict[str, SqlBars]:
    """Add trades up in ClickHouse; leave out the bars that each symbol's first trade falls into."""
    chdb = pytest.importorskip("chdb")
    path.write_bytes(b"\n".join(map(encode, trades)))
    wanted = ", ".join(f"('{each.name}', {each.length})" for each in intervals)
    query = f"""
        SELECT interval.1, symbol, intDiv(trade_time, interval.2) * interval.2 AS begin,
               argMin(toDecimal128(price, 8), trade_id), max(toDecimal128(price, 8)), min(toDecimal128(price, 8)),
               argMax(toDecimal128(price, 8), trade_id), sum(toDecimal128(quantity, 8)),
               sum(truncate(toDecimal128(price, 8) * toDecimal128(quantity, 8), 8)),
               sum(ifNull(last_trade_id, trade_id) - ifNull(first_trade_id, trade_id) + 1)
        FROM file('{path}', JSONEachRow, 'symbol String, trade_id Int64, price String, quantity String,
                  trade_time Int64, first_trade_id Nullable(Int64), last_trade_id Nullable(Int64)')
        ARRAY JOIN [{wanted}] AS interval
        GROUP BY interval, symbol, begin ORDER BY interval, symbol, begin
        SETTINGS output_format_json_quote_decimals = 1, output_format_json_quote_64bit_integers = 0"""
    found: dict[str, SqlBars] = {each.name: {} for each in intervals}
    known: set[tuple[str, str]] = set()
    for line in str(chdb.query(query, "JSONCompactEachRow")).splitlines():
        name, symbol, begin, *amounts, count = json.loads(line)
        if (name, symbol) in known:
            found[name][symbol, begin] = (*map(units, amounts), count)
        known.add((name, symbol))
    return found


def check_against_sql(tmp_path: Path, trades: Sequence[Trade]) -> None:
    closed = run(trades)
    found = sql_bars(tmp_path / "trades.jsonl", trades, ALL)
    for interval in ALL:
        expected = found[interval.name]
        bars = [bar for bar in closed if bar.interval == interval.name]
        traded = {
            (bar.symbol, bar.open_time): (
                *(units(x) for x in (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume)),
                bar.trades,
            )
            for bar in bars
            if bar.trades
        }
        assert traded == expected, interval.name
        check_fill(bars, interval)


def check_fill(bars: Sequence[Kline], interval: Interval) -> None:
    """Check that bars follow one another without a hole and that an empty one stands at the close before it."""
    before: dict[str, Kline] = {}
    for bar in bars:
        assert bar.closed
        assert bar.source == "computed"
        assert bar.open_time % interval.length == interval.anchor % interval.length
        assert bar.close_time == bar.open_time + interval.length - 1000
        last = before.get(bar.symbol)
        if last is not None:
            assert bar.open_time == last.open_time + interval.length
            if not bar.trades:
                assert (bar.open, bar.high, bar.low, bar.close) == (last.close,) * 4
                assert (bar.volume, bar.quote_volume) == ("0.00000000", "0.00000000")
        before[bar.symbol] = bar


@pytest.mark.parametrize("name", ["spot_ethusdt_20240808.gz", "usdm_btcusdt_20240808.gz"])
def test_recorded_trades_as_sql_adds_them_up(name: str, tmp_path: Path) -> None:
    trades = trades_of(records_of(recording(f"binance/{name}")))
    assert len(trades) > 5000
    check_against_sql(tmp_path, trades)


def test_recorded_aggregates_as_sql_adds_them_up(tmp_path: Path) -> None:
    trades = trades_of(records_of(recording("binance/BINANCE_FUTURES.ws.1.0.gz")))
    assert all(each.first_trade_id is not None for each in trades)
    check_against_sql(tmp_path, trades)


def test_simulated_trades_as_sql_adds_them_up(tmp_path: Path) -> None:
    check_against_sql(tmp_path, trades_of(simulated(seed=5, minutes=2)))


@pytest.mark.parametrize(("name", "least"), [("BINANCE.ws.1.0.gz", 1), ("BINANCE_FUTURES.ws.1.0.gz", 15)])
def test_recorded_kline_frames(name: str, least: int) -> None:
    """A venue's forming bar equals ours at the same number of trades, wherever all of its trades were recorded."""
    records = list(records_of(recording(f"binance/{name}")))
    agreed = compare_with_frames(records)
    assert agreed >= least


def test_simulated_kline_frames() -> None:
    assert compare_with_frames(simulated(seed=5, minutes=2)) > 200


def compare_with_frames(records: Sequence[Any]) -> int:
    trades = trades_of(records)
    candles = Candles(parse_intervals("1m"), delay=120 * SECOND, pace=0)
    ours: dict[tuple[str, int, int], Kline] = {}
    for each in trades:
        # The minute before a symbol's first trade is given one, so that a minute counts as seen from its start; where
        # it was not, the venue's number of trades, or its volume at that number, is another than ours.
        if each.symbol not in {symbol for symbol, _, _ in ours}:
            early = trade(0, each.trade_time / 1e6 - 60, each.price, symbol=each.symbol, exchange=each.exchange)
            candles.add([early])
        candles.add([each])
        for bar in candles.forming():
            ours[bar.symbol, bar.open_time, bar.trades] = bar
    first = {each.symbol: each.trade_time for each in reversed(trades)}
    agreed = 0
    for record in records:
        if not isinstance(record, Kline) or record.symbol not in first:
            continue
        bar = ours.get((record.symbol, record.open_time, record.trades))
        whole = record.open_time > first[record.symbol] or record.trades == 1
        if bar is None or not whole:
            continue
        assert [units(str(x)) for x in bar.amounts()[:6]] == [units(str(x)) for x in record.amounts()[:6]]
        assert (bar.open_time, bar.close_time) == (record.open_time, record.close_time)
        agreed += 1
    return agreed


def fields(bars: Sequence[Kline], interval: str) -> list[tuple[Any, ...]]:
    return [
        (bar.open_time // SECOND, *(float(x) for x in (bar.open, bar.high, bar.low, bar.close, bar.volume)), bar.trades)
        for bar in bars
        if bar.interval == interval
    ]


def test_bars_by_hand() -> None:
    trades = [
        trade(1, 59.5, "10"),
        trade(2, 60.0, "11", "2"),
        trade(3, 60.999, "9", "1"),
        trade(4, 61.0, "12", "1", ids=(40, 42)),
        trade(5, 64.5, "10", "0.5"),
    ]
    closed = run(trades, "1s,1m", end=120 * SECOND)
    assert fields(closed, "1s")[:5] == [
        (60, 11, 11, 9, 9, 3, 2),
        (61, 12, 12, 12, 12, 1, 3),
        (62, 12, 12, 12, 12, 0, 0),
        (63, 12, 12, 12, 12, 0, 0),
        (64, 10, 10, 10, 10, 0.5, 1),
    ]
    assert len(fields(closed, "1s")) == 60
    assert fields(closed, "1m") == [(60, 11, 12, 9, 10, 4.5, 6)]
    assert [bar.quote_volume for bar in closed if bar.interval == "1m"] == ["48.00000000"]


def test_quote_volume_is_cut_with_each_trade() -> None:
    """Prices, sizes and quote volumes of ETHBTC and others as the venue's REST interface answered them."""
    fills = [("0.00312700", "4.70800000", "0.01472191"), ("0.00062700", "3.55800000", "0.00223086"),
             ("0.00566780", "0.38000000", "0.00215376"), ("0.00312700", "12.36600000", "0.03866848")]  # fmt: skip
    trades = [trade(1, 59), *(trade(n, 60, price, size) for n, (price, size, _) in enumerate(fills, 2))]
    bar = next(bar for bar in run(trades, "1m") if bar.trades)
    assert units(bar.quote_volume) == sum(units(quote) for _, _, quote in fills)
    assert units(bar.quote_volume) < sum(units(p) * units(q) for p, q, _ in fills) // 10**8


def test_first_bar_is_never_told() -> None:
    candles = Candles(parse_intervals("1m"), pace=0)
    candles.add([trade(1, 61, "10"), trade(2, 100, "11")])
    assert candles.forming() == []
    closed, _ = candles.add([trade(3, 120, "12")])
    assert closed == []
    assert candles.counts["incomplete"] == 1
    assert fields(candles.forming(), "1m") == [(120, 12, 12, 12, 12, 1, 1)]


def test_last_bar_is_closed_by_the_clock() -> None:
    candles = Candles(parse_intervals("1m"))
    candles.add([trade(1, 30, "10"), trade(2, 90, "11")])
    assert candles.advance("x", 119 * SECOND) == []
    assert fields(candles.advance("x", 120 * SECOND), "1m") == [(60, 11, 11, 11, 11, 1, 1)]
    assert candles.advance("y", 10**15) == []
    # What comes afterwards for that minute is late.
    _, remarks = candles.add([trade(3, 119.9, "12")])
    assert [text.partition(":")[0] for _, text in remarks] == ["late"]


def test_other_symbols_move_the_clock() -> None:
    candles = Candles(parse_intervals("1m"))
    candles.add(
        [trade(1, 59, symbol="A"), trade(1, 59, symbol="B"), trade(2, 61, symbol="A"), trade(2, 61, symbol="B")]
    )
    closed, _ = candles.add([trade(3, 121.9, symbol="A")])
    assert [bar.symbol for bar in closed] == ["A"]
    closed, remarks = candles.add([trade(3, 119.9, symbol="B"), trade(4, 122, symbol="A")])
    assert [(bar.symbol, bar.trades) for bar in closed] == [("B", 2)]
    assert remarks == []


def test_late_trades_are_in_longer_bars_only() -> None:
    candles = Candles(parse_intervals("1s,1m,2m"), pace=0)
    candles.add([trade(1, 119, "10"), trade(2, 120.5, "10"), trade(3, 130, "20")])
    _, remarks = candles.add([trade(4, 125, "30", "2")])
    assert remarks == [(0, "late: traded at 125000000, after these were closed: 1s")]
    assert candles.counts == {"late 1s": 1, "late": 1, "incomplete": 3}
    candles.add([trade(5, 130.5, "15")])
    assert fields(candles.forming(), "1m") == [(120, 10, 30, 10, 15, 5, 4)]
    closed = candles.advance("x", 240 * SECOND)
    assert fields(closed, "1m") == [(120, 10, 30, 10, 15, 5, 4), (180, 15, 15, 15, 15, 0, 0)]
    assert fields(closed, "2m") == [(120, 10, 30, 10, 15, 5, 4)]
    assert fields(closed, "1s")[0] == (130, 20, 20, 15, 15, 2, 2)
    assert {bar.quote_volume for bar in closed if bar.trades == 4} == {"105.00000000"}


def test_a_symbol_that_begins_late_has_no_bars_yet() -> None:
    candles = Candles(parse_intervals("1s"))
    candles.add([trade(1, 60), trade(2, 70)])
    assert candles.add([trade(1, 65, symbol="NEW")])[1] == [(0, "late: traded at 65000000")]
    assert {bar.symbol for bar in candles.advance("x", 80 * SECOND)} == {"S"}


def test_the_clock_of_others_makes_a_trade_late() -> None:
    """Whether the bar has been told of yet or not: both trades stand in one batch."""
    candles = Candles(parse_intervals("1s"))
    candles.add([trade(1, 59, symbol="A"), trade(1, 60, symbol="B"), trade(2, 61.5, symbol="B")])
    closed, remarks = candles.add([trade(2, 64.1, symbol="A"), trade(3, 61.9, symbol="B")])
    assert [text.partition(":")[0] for _, text in remarks] == ["late"]
    assert [(bar.open_time // SECOND, bar.trades) for bar in closed if bar.symbol == "B"] == [(61, 1)]


def test_a_day_that_is_over_stays_over() -> None:
    afternoon = 1_549_004_300  # 2019-02-01 14:58:20 in Shanghai
    candles = Candles(parse_intervals("1m"), {"sse": SHANGHAI})
    candles.add([trade(1, afternoon - 60, exchange="sse"), trade(2, afternoon, exchange="sse")])
    assert len(candles.advance("sse", SHANGHAI.day(afternoon * SECOND)[1])) == 2
    closed, remarks = candles.add([trade(3, afternoon + 60, exchange="sse")])
    assert (closed, [text.partition(":")[0] for _, text in remarks]) == ([], ["late"])
    assert candles.advance("sse", SHANGHAI.day(afternoon * SECOND)[1] + DAY) == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (trade(3, 60), "duplicate: id 3, last 5"),
        (trade(5, 61), "duplicate: id 5, last 5"),
        (trade(6, 61, price="0.000"), "unusable: a price of 0"),
        (trade(6, 61, quantity="0"), "unusable: a quantity of 0"),
        (trade(6, 61, price="-1"), "unusable: not a plain decimal"),
        (trade(6, 61, price="1e5"), "unusable: not a plain decimal"),
        (trade(6, 61, price="٣.14159265"), "unusable: not a plain decimal"),
        (trade(6, 61, quantity="0.000000001"), "unusable: more than 8 decimal places"),
        (trade(6, 61, quantity="9" * 25), "unusable: too large"),
        (trade(6, 61, ids=(9, 3)), "unusable: -5 trades"),
        (trade(6, 10_000, received=61), "unusable: dated in the future"),
    ],
)
def test_what_cannot_be_used_changes_nothing(bad: Trade, reason: str) -> None:
    candles = Candles(parse_intervals("1m"))
    candles.add([trade(1, 59), trade(5, 60.5)])
    before = candles.save()
    closed, remarks = candles.add([bad])
    assert closed == []
    assert [index for index, _ in remarks] == [0]
    assert remarks[0][1].startswith(reason)
    assert candles.counts[reason.partition(":")[0]] == 1
    candles.counts.clear()
    other = Candles(parse_intervals("1m"))
    other.load(before)
    other.counts.clear()
    assert candles.save() == other.save()


def test_a_leap_into_the_future_is_refused_and_a_run_ahead_is_not() -> None:
    candles = Candles(parse_intervals("1m"))
    now = 1_700_000_000
    leap = trade(2, now + 2 * 86_400)
    _, remarks = candles.add([trade(1, now), leap, trade(2, now + 1)], produced=now * SECOND)
    assert remarks == [(1, "unusable: dated in the future")]
    ahead = [trade(3 + hour, now + 3600 * hour) for hour in range(1, 100)]
    assert candles.add(ahead, produced=now * SECOND)[1] == []
    # After an outage of days the records are as new as the trades.
    assert Candles(parse_intervals("1m")).add([trade(1, 1), leap], produced=(now + 2 * 86_400) * SECOND)[1] == []


def test_silence_is_filled_up_to_a_limit() -> None:
    closed = run([trade(1, 0.5), trade(2, 1.5), trade(3, 100_000.5)], "1s,1h", end=100_002 * SECOND)
    seconds = fields(closed, "1s")
    assert [bar[0] for bar in seconds] == [*range(1, FILL_LIMIT + 2), 100_000, 100_001]
    assert [bar[0] // 3600 for bar in fields(closed, "1h")] == list(range(1, 27))


def test_silence_beside_others_is_filled_up_to_the_same_limit() -> None:
    candles = Candles(parse_intervals("1s"))
    closed, _ = candles.add([trade(1, 1, symbol="A"), trade(1, 0, symbol="B"), trade(2, 1, symbol="B")])
    for number in range(1, 50):
        closed += candles.add([trade(number + 1, number * 100, symbol="A")])[0]
    assert [bar.open_time // SECOND for bar in closed if bar.symbol == "B"] == list(range(1, FILL_LIMIT + 2))


def test_venues_have_clocks_of_their_own() -> None:
    candles = Candles(parse_intervals("1m"))
    candles.add([trade(1, 1_700_000_000, exchange="live"), trade(1, 30, exchange="replay")])
    closed, remarks = candles.add([trade(2, 90, exchange="replay"), trade(3, 150, exchange="replay")])
    assert remarks == []
    assert [(bar.exchange, bar.open_time) for bar in closed] == [("replay", 60 * SECOND)]


def test_intervals_that_do_not_nest() -> None:
    trades = [trade(n, n * 7.3, str(100 + n % 13), str(1 + n % 3)) for n in range(1, 400)]
    closed = run(trades, "3m,5m,1w")
    for name, length in (("3m", 180), ("5m", 300)):
        for bar in (bar for bar in closed if bar.interval == name):
            begin = bar.open_time / SECOND
            inside = [each for each in trades if begin <= each.trade_time / SECOND < begin + length]
            assert bar.trades == len(inside)
            if inside:
                assert (bar.open, bar.close) == tuple(f"{each.price}.00000000" for each in (inside[0], inside[-1]))
                assert units(bar.volume) == sum(units(each.quantity) for each in inside)
    assert {bar.interval for bar in closed} == {"3m", "5m"}


trade_lists = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.integers(-40, 60),  # tenths of a second since the last trade of any symbol
        st.integers(1, 20),
        st.integers(1, 5),
        st.integers(-1, 2),  # how far the id moves on
    ),
    max_size=40,
)


def build(rows: Sequence[tuple[str, int, int, int, int]]) -> list[Trade]:
    time, ids, trades = 1_000_000, {"A": 10, "B": 10, "C": 10}, []
    for symbol, step, price, quantity, moved in rows:
        time += step
        ids[symbol] += moved
        trades.append(trade(ids[symbol], time / 10, str(price), str(quantity), symbol=symbol))
    return trades


@settings(max_examples=80, deadline=None)
@given(rows=trade_lists, cuts=st.sets(st.integers(0, 40)), saves=st.sets(st.integers(0, 40)))
def test_any_batches_and_any_restart_give_the_same_bars(
    rows: list[tuple[str, int, int, int, int]], cuts: set[int], saves: set[int]
) -> None:
    trades = build(rows)
    intervals = parse_intervals("2s,5s,1m")
    whole = Candles(intervals)
    expected, expected_remarks = whole.add(trades)
    candles = Candles(intervals)
    closed: list[Kline] = []
    remarks: list[tuple[int, str]] = []
    bounds = sorted({0, len(trades), *(n for n in cuts | saves if n < len(trades))})
    for start, end in pairwise(bounds):
        if start in saves:
            again = Candles(intervals)
            again.load(candles.save())
            candles = again
        bars, found = candles.add(trades[start:end])
        candles.forming()
        closed += bars
        remarks += [(start + index, text) for index, text in found]
    assert remarks == expected_remarks
    assert candles.counts == whole.counts
    for bars in (expected, closed):  # only the order within a symbol and interval matters
        bars.sort(key=lambda bar: (bar.symbol, bar.interval))
    assert list(map(shape, closed)) == list(map(shape, expected))
    end = trades[-1].trade_time + 100 * SECOND if trades else 0
    ours, theirs = candles.advance("x", end), whole.advance("x", end)
    assert list(map(shape, ours)) == list(map(shape, theirs))
    # Nothing is lost: each trade is in a bar of each interval, or was reported, or is in the incomplete first one.
    left_out = {index for index, text in remarks if "after these" not in text}
    used = [each for index, each in enumerate(trades) if index not in left_out]
    for name, length in ((each.name, each) for each in intervals):
        counted = sum(bar.trades for bar in (*closed, *ours) if bar.interval == name)
        late = whole.counts[f"late {name}"]
        first = {each.symbol: length.begin(each.trade_time) for each in reversed(used)}
        unseen = sum(length.begin(each.trade_time) == first[each.symbol] for each in used)
        assert len(used) - unseen <= counted + late <= len(used)


@settings(max_examples=60, deadline=None)
@given(rows=trade_lists, cut=st.integers(0, 40))
def test_sessions_do_not_depend_on_batches_either(rows: list[tuple[str, int, int, int, int]], cut: int) -> None:
    """Trades of some days, minutes to hours apart, some of them at night: bars lie in sessions, each of them once."""
    trades, time = [], 1_548_984_000
    for number, (symbol, step, price, quantity, _) in enumerate(rows):
        time += step * 200
        trades.append(trade(number, time, str(price), str(quantity), symbol=symbol, exchange="sse"))
    intervals, calendars = parse_intervals("1m,15m,1d"), {"sse": SHANGHAI}
    whole = Candles(intervals, calendars)
    expected, expected_remarks = whole.add(trades)
    candles = Candles(intervals, calendars)
    closed, remarks = candles.add(trades[:cut])
    again = Candles(intervals, calendars)
    again.load(candles.save())
    more, found = again.add(trades[cut:])
    closed += more
    assert [*remarks, *((cut + index, text) for index, text in found)] == expected_remarks
    for bars in (expected, closed):
        bars.sort(key=lambda bar: (bar.symbol, bar.interval))
    assert list(map(shape, closed)) == list(map(shape, expected))
    identities = [(bar.symbol, bar.interval, bar.open_time) for bar in expected]
    assert len(identities) == len(set(identities))
    for bar in expected:
        period = SHANGHAI.at(Interval.parse(bar.interval), bar.open_time)
        assert period is not None
        assert (period.open, period.end - 1000) == (bar.open_time, bar.close_time)


def test_damaged_state_is_refused() -> None:
    candles = Candles(parse_intervals("1m"))
    candles.add([trade(1, 60)])
    data = candles.save()
    for bad in (
        b"",
        data[:5],
        data[:-1],
        data[:20] + b"x" + data[21:],
        b"XXXX" + data[4:],
        data[:4] + b"\x09" + data[5:],
    ):
        with pytest.raises(StateError):
            Candles(parse_intervals("1m")).load(bad)
    with pytest.raises(StateError, match="other settings"):
        Candles(parse_intervals("1m,5m")).load(data)
    with pytest.raises(StateError, match="other settings"):
        Candles(parse_intervals("1m"), delay=0).load(data)


def test_volumes_beyond_64_bits() -> None:
    large = "90000000000.00000000"
    closed = run([trade(1, 1, "1"), trade(2, 60, "9000000000", large), trade(3, 61, "9000000000", large)], "1m")
    bar = next(bar for bar in closed if bar.trades)
    assert (bar.volume, bar.quote_volume) == ("180000000000.00000000", "1620000000000000000000.00000000")
    candles = Candles(parse_intervals("1m"))
    candles.add([trade(1, 60, "9000000000", large)])
    again = Candles(parse_intervals("1m"))
    again.load(candles.save())
    assert again.save() == candles.save()


def test_fields_read_what_the_topic_holds() -> None:
    record = trade(7, 60.5, "1.50", "2", ids=(3, 4))
    read = msgspec.json.decode(encode(record), type=TradeFields)
    for name in TradeFields.__struct_fields__:
        assert getattr(read, name) == getattr(record, name)


def test_session_calendars_are_used() -> None:
    nine_thirty = 1_548_984_600  # 2019-02-01 09:30 in Shanghai
    candles = Candles(parse_intervals("1m,1d"), {"sse": SHANGHAI, "hkex": HONG_KONG})
    closed, remarks = candles.add(
        [
            trade(1, nine_thirty - 298, "11.2", "5", exchange="sse"),
            trade(2, nine_thirty + 2, "11.3", "1", exchange="sse"),
            trade(3, nine_thirty + 2 * 3600 + 2, "11.1", "1", exchange="sse"),
            trade(4, nine_thirty + 5.5 * 3600, "11.4", "7", exchange="sse"),
            trade(5, nine_thirty + 5.5 * 3600 + 301, "11.4", "7", exchange="sse"),
        ]
    )
    assert remarks == [(4, f"outside hours: traded at {(nine_thirty + 5 * 3600 + 2101) * SECOND}")]
    closed += candles.advance("sse", (nine_thirty + 6 * 3600) * SECOND)
    minutes = fields(closed, "1m")
    assert len(minutes) == 240
    assert minutes[0] == (nine_thirty, 11.2, 11.3, 11.2, 11.3, 6, 2)
    assert minutes[120] == (nine_thirty + 3.5 * 3600, 11.1, 11.1, 11.1, 11.1, 1, 1)
    assert minutes[-1] == (nine_thirty + 5.5 * 3600 - 60, 11.4, 11.4, 11.4, 11.4, 7, 1)
    assert fields(closed, "1d") == [(nine_thirty, 11.2, 11.4, 11.1, 11.4, 14, 4)]
