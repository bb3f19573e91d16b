"""The five strategies: their rules by hand and by TA-Lib, their parameters, their state."""

from __future__ import annotations

import csv
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest

from barnabas_quant.backtest.run import Loop
from barnabas_quant.model.intervals import DAY, MINUTE, SECOND
from barnabas_quant.model.money import ONE, units
from barnabas_quant.strategies import Host, Strategy, StrategyError
from barnabas_quant.strategies.book_imbalance import BookImbalance
from barnabas_quant.strategies.catalog import built_in
from barnabas_quant.strategies.grid import GridStrategy
from barnabas_quant.strategies.host import HostState
from barnabas_quant.strategies.ma_cross import MaCross
from barnabas_quant.strategies.macd import MacdCross
from barnabas_quant.strategies.pair import Pair
from barnabas_quant.trading import Engine, EngineSettings
from barnabas_quant.trading.events import Cancel, Depth, OrderEvent, Print, Signal
from barnabas_quant.trading.limits import Limits

from ..analysis.common import recording
from .common import BEGIN, BTC, ETH, FIVE, KEYS, Desk, bars, filled, make, market, signals

NAMES = sorted(FIVE)


def test_the_package_has_these_five() -> None:
    assert sorted(built_in()) == NAMES
    assert all(kind.summary and kind.__doc__ for kind in built_in().values())


@pytest.mark.parametrize("name", NAMES)
def test_what_was_saved_goes_on_as_if_nothing_had_been(name: str) -> None:
    """After every third event each thing starts anew from its state as JSON."""
    events = market(7, 1100)
    whole = Desk(make(name)).run(events)
    assert len(whole) > 15
    assert {one.side for _, one in whole if isinstance(one, Signal)} == {"BUY", "SELL"}
    desk = Desk(make(name))
    for number, event in enumerate(events):
        if number % 3 == 0:
            state = msgspec.json.encode(desk.host.save())
            desk.host = Host([make(name)])
            assert desk.host.load(msgspec.json.decode(state, type=HostState)) == []
        desk.hear(number, event)
    assert desk.said == whole


BAD: list[tuple[type[Strategy], dict[str, Any], str]] = [
    (MaCross, {"fast": 20, "slow": 5}, "fast has to be below slow"),
    (MaCross, {"fast": 0}, "fast"),
    (MaCross, {"fast": "many"}, "fast"),
    (MaCross, {"volume": "-1"}, "volume"),
    (MaCross, {"volume": 0}, "volume is 0"),
    (MaCross, {"volume": True}, "volume"),
    (MaCross, {"volume": 1e30}, "volume"),
    (MaCross, {"interval": "1 minute"}, "not an interval"),
    (MaCross, {"speed": 5}, "parameters: fast, slow, volume, interval"),
    (MacdCross, {"fast": 26, "slow": 12}, "fast has to be below slow"),
    (MacdCross, {"volume": "0.000000001"}, "decimal places"),
    (BookImbalance, {"enter": 20, "exit": 20}, "exit has to be below enter"),
    (BookImbalance, {"levels": 0}, "levels"),
    (BookImbalance, {"enter": 101}, "enter"),
    (Pair, {"enter": 1, "exit": 1.5}, "exit has to be below enter"),
    (Pair, {"bars": 2}, "bars"),
    (Pair, {"enter": float("nan")}, "enter|exit"),
    (GridStrategy, {"step": 1000, "lines": 10}, "not above 0"),
    (GridStrategy, {"by": "quotes"}, "by"),
    (GridStrategy, {"centre": "high"}, "centre"),
]


@pytest.mark.parametrize(("kind", "parameters", "text"), BAD)
def test_parameters_that_cannot_be(kind: type[Strategy], parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(StrategyError, match=text) as found:
        kind(KEYS, parameters)
    assert str(found.value).startswith(kind.name)


def test_a_pair_is_of_two() -> None:
    for keys in ((BTC,), (BTC, BTC), (BTC, ETH, "okx:BTC-USDT")):
        with pytest.raises(StrategyError, match="two instruments are wanted"):
            Pair(keys)
    with pytest.raises(StrategyError, match="no instrument"):
        MaCross(())


# Moving averages and MACD against TA-Lib


def walk(seed: int, count: int = 500) -> list[int]:
    dice, price, closes = Random(seed), 10_000, []
    for _ in range(count):
        price = max(100, price + round(dice.gauss(0, 100)))
        closes.append(price * ONE // 100)
    return closes


def daily(name: str) -> list[int]:
    with recording(f"ashare/{name}").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["trade_date"])
    return [units(str(Decimal(row["close"]))) for row in rows]


SERIES = [("walk", seed) for seed in range(3)] + [
    ("share", name) for name in ("000001.SZ.csv", "600000.SH.csv", "600519.SH.csv")
]


def said_at(kind: type[Strategy], parameters: dict[str, Any], closes: list[int]) -> tuple[int, list[tuple[int, str]]]:
    """Give the warm-up and at which bar what was said; all purchases are filled."""
    strategy = kind([BTC], parameters)
    host = Host([strategy])
    found: list[tuple[int, str]] = []
    for number, bar in enumerate(bars(closes)):
        for one in host.process(bar):
            assert isinstance(one, Signal)
            assert one.price == bar.close
            found.append((number, one.side))
            host.process(filled(one, number))
    return strategy.warm_up, found


def crossings(upper: Any, lower: Any) -> list[tuple[int, str]]:
    """Give where one line comes above another and where it falls below, the first purchase before any sale."""
    found: list[tuple[int, str]] = []
    before: bool | None = None
    for number, (high, low) in enumerate(zip(upper, lower, strict=True)):
        if high != high or low != low:  # not a number: it warms up
            continue
        above = bool(high - low > 1e-9)  # where both are equal, TA-Lib's rounding errors say nothing
        if before is not None and above != before and (above or found):
            found.append((number, "BUY" if above else "SELL"))
        before = above
    return found


@pytest.mark.parametrize(("what", "which"), SERIES)
@pytest.mark.parametrize(("fast", "slow"), [(5, 20), (1, 2), (10, 50)])
def test_ma_cross_crosses_where_talib_does(what: str, which: Any, fast: int, slow: int) -> None:
    talib: Any = pytest.importorskip("talib", reason="TA-Lib is not installed")
    numpy: Any = pytest.importorskip("numpy")
    closes = walk(which) if what == "walk" else daily(which)
    prices = numpy.array([close / ONE for close in closes])
    quick = talib.SMA(prices, fast) if fast > 1 else prices  # TA-Lib has no average of one
    expected = crossings(quick, talib.SMA(prices, slow))
    warm_up, found = said_at(MaCross, {"fast": fast, "slow": slow}, closes)
    assert len(expected) >= 3
    assert found == expected
    assert found[0][0] >= warm_up


@pytest.mark.parametrize(("what", "which"), SERIES)
@pytest.mark.parametrize("periods", [(12, 26, 9), (3, 10, 5)])
def test_macd_crosses_where_talib_does(what: str, which: Any, periods: tuple[int, int, int]) -> None:
    talib: Any = pytest.importorskip("talib", reason="TA-Lib is not installed")
    numpy: Any = pytest.importorskip("numpy")
    closes = walk(which) if what == "walk" else daily(which)
    line, signal, _ = talib.MACD(numpy.array([close / ONE for close in closes]), *periods)
    expected = crossings(line, signal)
    parameters = dict(zip(("fast", "slow", "signal"), periods, strict=True))
    warm_up, found = said_at(MacdCross, parameters, closes)
    assert len(expected) > 5
    assert found == expected
    assert found[0][0] >= warm_up


@pytest.mark.parametrize("name", ["MA_CROSS", "MACD", "PAIR"])
def test_warm_up_is_the_bars_before_the_first_signal_that_can_be(name: str) -> None:
    """A market that does what the strategy waits for makes it speak at once after its warm-up, and not before."""
    kind = FIVE[name][0]
    earliest = []
    for seed in range(40):
        strategy = kind(KEYS, FIVE[name][1])
        host = Host([strategy])
        pairs = zip(bars(walk(seed, 40)), bars(walk(seed + 100, 40), ETH), strict=True)
        for number, (one, other) in enumerate(pairs):
            if signals(host.process(one)) or signals(host.process(other)):
                earliest.append(number)
                break
    assert min(earliest) == strategy.warm_up > 0


def test_bars_of_one_interval_are_taken_the_shortest_that_comes() -> None:
    closes = walk(3, 200)
    minutes = list(bars(closes))
    longer = list(bars(walk(4, 40), interval="5m", length=5 * MINUTE))
    mixed = sorted([*longer, *minutes], key=lambda bar: (bar.time, bar.interval == "1m"))

    def said(events: Any, **parameters: Any) -> list[Signal]:
        host = Host([MaCross([BTC], {"fast": 2, "slow": 5, **parameters})])
        return [one for event in events for one in signals(host.process(event))]

    assert said(mixed) == said(minutes) != []
    assert said(mixed, interval="5m") == said(longer) != []


# The book


def book(bids: str, asks: str, whole: bool = True, second: int = 0) -> Depth:
    """Make a book of `price:quantity` in cents and pieces."""

    def side(levels: str) -> tuple[tuple[int, int], ...]:
        pairs = (level.split(":") for level in levels.split())
        return tuple((int(price) * ONE // 100, int(quantity) * ONE) for price, quantity in pairs)

    return Depth(BTC, BEGIN + second * SECOND, whole, side(bids), side(asks))


def heard(host: Host, *events: Any) -> list[tuple[str, int, int]]:
    """Give side, price in cents and quantity of what is said; all of it is filled."""
    found: list[tuple[str, int, int]] = []
    for event in events:
        for number, one in enumerate(host.process(event)):
            assert isinstance(one, Signal), one
            found.append((one.side, one.price * 100 // ONE, one.quantity // ONE))
            host.process(filled(one, number))
    return found


def imbalance(**parameters: Any) -> Host:
    return Host([BookImbalance([BTC], {"levels": 2, "enter": 50, "exit": -50, "pause": 10, "volume": 3} | parameters)])


def test_book_imbalance_by_hand() -> None:
    host = imbalance()
    assert heard(host, book("100:9", "101:1", whole=False)) == []  # changes of a book that nobody knows
    assert heard(host, book("100:2 99:1 98:90", "101:1 102:1")) == []  # (3 - 2) / 5; the third level does not count
    assert heard(host, book("99:4", "", whole=False)) == [("BUY", 101, 3)]  # (6 - 2) / 8
    assert heard(host, book("99:9", "", whole=False)) == []  # it has bought
    assert heard(host, book("", "101:22", whole=False)) == []  # (11 - 23) / 34: not yet
    assert heard(host, book("", "101:32", whole=False)) == [("SELL", 100, 3)]  # (11 - 33) / 44
    assert heard(host, book("", "101:90", whole=False)) == []
    assert heard(host, book("", "101:0", whole=False, second=9)) == []  # (11 - 1) / 12, but too soon
    assert heard(host, book("", "101:0", whole=False, second=10)) == [("BUY", 102, 3)]


def test_a_book_that_is_crossed_is_not_believed_until_a_whole_one_comes() -> None:
    host = imbalance()
    assert heard(host, book("100:1", "101:1"), book("101:9", "", whole=False)) == []
    assert heard(host, book("100:9", "101:0 102:1", whole=False)) == []
    assert heard(host, book("", "102:1")) == []
    assert heard(host, book("100:9", "102:1")) == [("BUY", 102, 3)]


# A pair


def pair_of(ratios: list[float], **parameters: Any) -> list[tuple[int, str, str, int]]:
    """Give at which bar what is said of two whose prices are `ratio` and 1; all is filled."""
    host = Host([Pair(KEYS, {"bars": 5, "enter": 1.99, "exit": 0.51, "notional": 600} | parameters)])
    found: list[tuple[int, str, str, int]] = []
    for number, ratio in enumerate(ratios):
        time = BEGIN + number * MINUTE
        for key, price in ((ETH, ONE), (BTC, round(ratio * 1000) * ONE // 1000)):
            (bar,) = bars([price], key)
            said = host.process(msgspec.structs.replace(bar, time=time + MINUTE, begin=time))
            for order, one in enumerate(signals(said)):
                found.append((number, one.side, one.instrument, one.quantity * 10 // ONE))
                host.process(filled(one, number * 10 + order))
    return found


def test_a_pair_by_hand() -> None:
    # Of 3, 3, 3, 3, 2 the average is 2.8, the deviation 0.4: a score of -2. Of 3, 3, 3, 2, 2.5: 2.7 and 0.4: -0.5.
    assert pair_of([3, 3, 3, 3, 2, 2.5]) == [(4, "BUY", BTC, 3000), (5, "SELL", BTC, 3000)]
    # Of 3, 3, 3, 2, 2.4: 2.68, 0.412: -0.68. Then 3, 3, 2, 2.4, 2.4: 2.56, 0.388: -0.41.
    assert pair_of([3, 3, 3, 3, 2, 2.4, 2.4]) == [(4, "BUY", BTC, 3000), (6, "SELL", BTC, 3000)]
    # The other way round, the second is cheap; with `short` the first is sold, and bought back.
    assert pair_of([3, 3, 3, 3, 4, 3]) == [(4, "BUY", ETH, 6000), (5, "SELL", ETH, 6000)]
    assert pair_of([3, 3, 3, 3, 4, 3], short=True) == [
        (4, "BUY", ETH, 6000), (4, "SELL", BTC, 1500), (5, "BUY", BTC, 1500), (5, "SELL", ETH, 6000)
    ]  # fmt: skip
    assert pair_of([3] * 20) == []  # no deviation, no score


def test_bars_of_a_pair_that_are_not_of_one_time_are_not_compared() -> None:
    host = Host([Pair(KEYS, {"bars": 5, "enter": 0.1, "exit": 0})])
    said = [host.process(bar) for key in KEYS for bar in bars(walk(1, 40), key)]
    assert not any(said[:40])
    assert not any(said[40:-1])  # the second's last bar alone meets its like: one ratio is no deviation


# A grid


def trade(cents: int, day: int = 0) -> Print:
    return Print(BTC, BEGIN + day * DAY, cents * ONE // 100, ONE)


def grid(**parameters: Any) -> Host:
    return Host([GridStrategy([BTC], {"step": 100, "lines": 2, "volume": 3} | parameters)])


def test_a_grid_by_hand() -> None:
    host = grid()  # around 100.00: lines at 98, 99, 100, 101; each sold one higher
    assert heard(host, trade(10_000), trade(9_950), trade(9_901)) == []
    assert heard(host, trade(9_900)) == [("BUY", 9_900, 3)]
    assert heard(host, trade(9_850), trade(9_900), trade(9_899)) == []  # it holds one already
    assert heard(host, trade(9_999)) == []
    assert heard(host, trade(10_001)) == [("SELL", 10_000, 3)]
    assert heard(host, trade(9_700)) == [("BUY", 10_000, 3), ("BUY", 9_900, 3), ("BUY", 9_800, 3)]
    assert heard(host, trade(9_000)) == []  # below the lowest there is none
    assert heard(host, trade(20_000)) == [("SELL", 9_900, 3), ("SELL", 10_000, 3), ("SELL", 10_100, 3)]


def test_a_grid_waits_for_its_fills() -> None:
    host = grid(centre="100")
    (bought,) = signals([one for event in (trade(9_950), trade(9_900)) for one in host.process(event)])
    assert not host.process(trade(9_999))
    assert not host.process(trade(9_890))  # and nothing bought twice
    half = msgspec.structs.replace(filled(bought, 1), quantity="1.5")
    host.process(half)
    (sold,) = signals(host.process(trade(10_000)))
    assert sold.quantity == ONE * 3 // 2
    assert not host.process(trade(10_100))
    host.process(filled(sold, 2))
    assert [one.price for one in signals([*host.process(trade(9_900))])] == [100 * ONE, 99 * ONE]


def test_a_grid_asks_again_the_next_day_for_what_was_not_filled() -> None:
    host = grid(centre="100")
    assert len([*host.process(trade(9_950)), *host.process(trade(9_900)), *host.process(trade(9_950))]) == 1
    (again,) = signals([one for cents in (9_950, 9_900) for one in host.process(trade(cents, day=1))])
    assert (again.side, again.price) == ("BUY", 99 * ONE)
    host.process(filled(again, 1))
    assert [one.side for one in signals(host.process(trade(10_000, day=1)))] == ["SELL"]
    assert not host.process(trade(10_000, day=1))
    assert [one.side for one in signals(host.process(trade(10_000, day=2)))] == ["SELL"]


def traded(events: Any, **settings: Any) -> list[tuple[str, str, str | None]]:
    """Run a grid on the engine; give side, what happened, and the price of each order but for its beginnings."""
    said: list[Any] = []
    engine = Engine(EngineSettings(cash={"USDT": 10_000 * ONE}, **settings))
    Loop(grid(centre="100"), engine, said.append).run(events)
    orders = [each for each in said if isinstance(each, OrderEvent) and each.step not in ("new", "submit")]
    return [(each.side, each.step, each.price) for each in orders]


def test_a_grid_asks_again_for_a_purchase_that_was_denied() -> None:
    events = [trade(cents) for cents in (9_950, 9_900, 9_950, 9_900)]
    assert traded(events, limits=Limits(order_quantity=ONE)) == [("BUY", "deny", "99")] * 2
    assert traded(events) == [("BUY", "accept", "99")]  # it stands, so there is nothing to ask again


def test_a_grid_waits_for_an_order_that_stands_for_days() -> None:
    """What is good till canceled is not taken for gone overnight; its line is known by its price."""
    fall = [trade(9_950), trade(9_750), trade(9_950)]  # both are asked for, neither is filled at these small sizes
    events = [msgspec.structs.replace(each, size=1) for each in fall]
    events += [msgspec.structs.replace(trade(cents, day=1), size=1) for cents in (9_950, 9_750, 9_950)]
    orders = traded(events, time_in_force="GTC")
    assert [each for each in orders if each[1] == "accept"] == [("BUY", "accept", "99"), ("BUY", "accept", "98")]
    orders = traded(events, time_in_force="DAY")
    assert len([each for each in orders if each[1] == "accept"]) == 4


def test_a_grid_sells_again_what_was_left_when_the_order_ended() -> None:
    rise = [trade(9_950), *[trade(9_900)] * 5, msgspec.structs.replace(trade(10_000), size=1)]
    rise += [trade(9_950, day=1), trade(10_000, day=1), *[trade(10_001, day=1)] * 3]
    orders = [each for each in traded(rise) if each[0] == "SELL"]
    assert ("SELL", "expire", "100") in orders
    assert orders[-1] == ("SELL", "complete", "100")
    assert [each[1] for each in orders].count("accept") == 2


def test_a_grid_sells_what_the_whole_purchase_has_bought() -> None:
    """Not beside a purchase that is open: what that buys later would be of no line."""
    host = grid(centre="100", volume=1)
    strategy: Any = host.strategies["GRID"]
    said: list[Any] = []
    prices = [(9_950, 1.0), (9_900, 0.001), (9_899, 0.4), (10_000, 5.0), (10_000, 5.0)]
    events = [msgspec.structs.replace(trade(cents), size=round(size * ONE)) for cents, size in prices]
    loop = Loop(host, Engine(EngineSettings(cash={"USDT": 10_000 * ONE}, time_in_force="GTC")), said.append)
    loop.run(events)
    assert strategy.positions == {BTC: 2 * ONE // 5}
    assert [one.side for one in signals(said)] == ["BUY"]
    loop.run(trade(cents) for cents in (9_899, 9_899, 10_000, 10_001, 10_001))
    assert [(one.side, one.quantity) for one in signals(said)] == [("BUY", ONE), ("SELL", ONE)]
    assert strategy.positions == {BTC: 0}
    assert strategy.grids[BTC].lines == {}


def test_a_grid_sells_the_part_that_a_purchase_has_bought_before_it_expired() -> None:
    fall = [trade(9_950), trade(9_900), msgspec.structs.replace(trade(9_899), size=ONE)]
    assert traded([*fall, trade(10_000), trade(10_000, day=1), trade(10_001, day=1)]) == [
        ("BUY", "accept", "99"), ("BUY", "fill", "99"), ("BUY", "expire", "99"),
        ("SELL", "accept", "100"), ("SELL", "complete", "100"),
    ]  # fmt: skip


def test_lines_of_a_grid_whose_stock_risk_has_sold_are_free() -> None:
    host = grid(centre="100")
    strategy: Any = host.strategies["GRID"]
    assert len(heard(host, trade(10_050), trade(9_800))) == 3  # 100, 99 and 98, of 3 each
    risk = filled(Signal("r", BEGIN, "SELL", BTC, 98 * ONE, 4 * ONE, "stop_loss"), 99)
    strategy.positions[BTC] -= 4 * ONE
    strategy.on_closed(risk)
    assert {number: line.quantity // ONE for number, line in strategy.grids[BTC].lines.items()} == {-1: 2, -2: 3}
    assert heard(host, trade(10_050)) == [("SELL", 9_900, 3), ("SELL", 10_000, 2)]
    assert heard(host, trade(10_000)) == [("BUY", 10_000, 3)]
    strategy.positions[BTC] = 0
    strategy.on_closed(risk)
    assert strategy.grids[BTC].lines == {}
    strategy.on_closed(msgspec.structs.replace(risk, instrument=ETH))


def test_a_line_whose_order_is_open_when_risk_sells_is_free_when_that_has_ended() -> None:
    host = grid(centre="100", volume=1)
    strategy: Any = host.strategies["GRID"]
    said: list[Any] = []
    engine = Engine(EngineSettings(cash={"USDT": 10_000 * ONE}))
    loop = Loop(host, engine, said.append)
    loop.run([trade(9_950), *[msgspec.structs.replace(trade(cents), size=ONE // 2) for cents in (9_900, 9_899)]])
    strategy.positions[BTC] = 0
    strategy.on_closed(filled(Signal("r", BEGIN, "SELL", BTC, 98 * ONE, ONE // 2, "stop_loss"), 99))
    assert [line.quantity for line in strategy.grids[BTC].lines.values()] == [0]  # its purchase is still open
    for output in engine.process(Cancel("c", BEGIN)):
        if isinstance(output, OrderEvent):
            host.process(output)
    assert strategy.grids[BTC].lines == {}


def test_a_grid_on_bars_hears_no_trades() -> None:
    host = grid(by="bars")
    assert heard(host, trade(10_000), trade(9_000)) == []
    closes = [cents * ONE // 100 for cents in (10_000, 9_900, 10_000)]
    assert heard(host, *bars(closes)) == [("BUY", 9_900, 3), ("SELL", 10_000, 3)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_sold_that_was_not_bought(name: str) -> None:
    """But by the pair, which may sell short here; with purchases that are never filled, too."""
    strategy = make(name)
    desk = Desk(strategy)
    for number, event in enumerate(market(11, 900)):
        before, held = len(desk.said), dict(strategy.positions)
        desk.hear(number, event)
        for _, one in desk.said[before:]:
            assert isinstance(one, Signal), one
            if one.side == "SELL" and name != "PAIR":
                assert one.quantity <= held.get(one.instrument, 0)
                held[one.instrument] -= one.quantity
    assert len(desk.said) > 10
