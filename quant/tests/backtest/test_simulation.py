"""Simulations: trades add up to the account, a warm-up trades nothing, charts keep what was seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas_quant.backtest.results import Candles, Result, Setup
from barnabas_quant.backtest.simulation import Simulation
from barnabas_quant.backtest.trades import TradeBook, signed_units
from barnabas_quant.errors import QuantError
from barnabas_quant.model.intervals import DAY, MINUTE
from barnabas_quant.model.money import ONE
from barnabas_quant.trading.engine import EngineSettings
from barnabas_quant.trading.events import Bar, Fill, MarketEvent, Print, Quote, text
from barnabas_quant.trading.limits import Limits
from barnabas_quant.trading.market import VenueModel

from .common import events_of, opened, write_bars

RANDOM = '''
from random import Random
from barnabas_quant.strategies.base import Strategy
from barnabas_quant.model.money import ONE

class Dice(Strategy):
    """Buy and sell by dice whose next throw is part of the state."""

    name = "DICE"
    count: int = 0

    def on_bar(self, bar):
        self.count += 1
        dice = Random(self.count)
        side = self.buy if dice.random() < (0.3 if self.count % 40 < 20 else 0.7) else self.sell
        side(bar.instrument, dice.randint(1, 9) * ONE // 10, bar.close)
'''


@pytest.fixture
def dice(tmp_path: Path) -> str:
    path = tmp_path / "dice.py"
    path.write_text(RANDOM)
    return str(path)


def run(strategy: str, events: list[MarketEvent], key: str, **more: object) -> tuple[Simulation, Result]:
    engine = EngineSettings(
        cash={"USDT": 10**6 * ONE}, order_type="market", limits=Limits(price_collar=None), equity_every=MINUTE,
        signal_age=DAY,
    )  # fmt: skip
    simulation = Simulation(Setup(strategy=strategy, instruments=(key,), engine=engine, **more))  # type: ignore[arg-type]
    return simulation, simulation.run(events)


@pytest.mark.parametrize("key", ["binance:BTCUSDT", "binance_usdm:BTCUSDT"])  # against cash; futures, short as well
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_trades_and_what_is_open_add_up_to_the_account(tmp_path: Path, dice: str, key: str, seed: int) -> None:
    path = write_bars(tmp_path / "b.csv", 300, seed)
    simulation, result = run(dice, events_of(opened(path, key), key), key)
    metrics = result.metrics["USDT"]
    assert metrics.trades > 20
    open_profit = sum(
        mark * held.quantity // ONE - (held.cost if held.quantity > 0 else -held.cost) - held.fees
        for held, mark in simulation.marks().values()
    )
    total = sum(trade.profit for trade in result.book.trades) + open_profit
    assert abs(total - metrics.profit) <= len(result.fills)  # a unit, 10^-8, of rounding a product
    charged = sum(signed_units(fill.fee) + signed_units(fill.taxes) for fill in result.fills)
    held = sum(holding.fees for holding in result.book.open.values())
    assert sum(trade.fees for trade in result.book.trades) + held == charged == metrics.fees + metrics.taxes
    if key.startswith("binance_usdm"):
        assert {trade.side for trade in result.book.trades} == {"long", "short"}


def fill(side: str, quantity: int, price: int, fee: int, order: str, time: int = 0) -> Fill:
    return Fill(
        seq=0, time=time, fill=order, order=order, instrument="x:Y", side="BUY" if side == "BUY" else "SELL",
        price=text(price * ONE), quantity=text(quantity * ONE), fee=text(fee * ONE), taxes="0", currency="USDT",
        liquidity="taker", slippage="0", strategy="S",
    )  # fmt: skip


def test_trades_by_hand() -> None:
    book = TradeBook()
    book.fill(fill("BUY", 10, 100, 10, "a", 1))
    book.fill(fill("BUY", 10, 110, 12, "b", 2))
    book.fill(fill("SELL", 4, 120, 1, "c", 3))  # of 20 at 105 with fees of 22
    book.fill(fill("SELL", 6, 90, 2, "c", 4))
    book.fill(fill("SELL", 15, 100, 3, "d", 5))  # closes 10, and is short of 5
    book.fill(fill("BUY", 5, 80, 4, "e", 6))
    first, second, third = book.trades
    assert (first.quantity, first.entry, first.exit, first.fees) == (10 * ONE, 1050 * ONE, 1020 * ONE, 14 * ONE)
    assert (first.opened, first.closed, first.side, first.profit) == (1, 4, "long", -44 * ONE)
    assert (second.quantity, second.entry, second.exit, second.fees) == (10 * ONE, 1050 * ONE, 1000 * ONE, 13 * ONE)
    assert (third.side, third.opened, third.profit) == ("short", 5, (500 - 400 - 1 - 4) * ONE)
    assert book.open["x:Y"].quantity == book.open["x:Y"].cost == book.open["x:Y"].fees == 0


def test_two_orders_that_are_filled_in_turns_are_two_trades() -> None:
    book = TradeBook()
    book.fill(fill("BUY", 10, 100, 0, "a"))
    for order, price, time in (("b", 110, 1), ("c", 90, 2), ("b", 120, 3), ("c", 80, 4)):
        book.fill(fill("SELL", 2, price, 1, order, time))
    first, second = book.trades
    assert (first.order, first.quantity, first.exit, first.closed) == ("b", 4 * ONE, 460 * ONE, 3)
    assert (second.order, second.profit, second.fees) == ("c", -62 * ONE, 2 * ONE)
    settled = book.trades.pop(0)
    book.fill(fill("SELL", 2, 130, 1, "b", 5))  # whoever took the trade has counted it: it stays as it was
    assert (settled.quantity, [trade.order for trade in book.trades]) == (4 * ONE, ["c", "b"])


def test_a_warm_up_is_heard_and_not_traded_on(tmp_path: Path, dice: str) -> None:
    key = "binance:BTCUSDT"
    events = events_of(opened(write_bars(tmp_path / "b.csv", 60), key), key)
    begin = events[40].time
    _, result = run(dice, events, key, begin=begin)
    assert 0 < result.signals <= 20
    assert all(one.time >= begin for one in result.fills)
    assert min(result.curves["USDT"].times) == begin
    _, whole = run(dice, events, key)
    later = [(one.side, one.quantity) for one in whole.fills if one.time > begin and one.side == "BUY"]
    buys = [(one.side, one.quantity) for one in result.fills if one.side == "BUY"]
    assert buys == later[-len(buys) :]  # its dice were thrown before as well


@pytest.mark.parametrize("delay", [0, DAY // 2])
def test_what_happens_does_not_depend_on_what_comes(tmp_path: Path, dice: str, delay: int) -> None:
    key = "binance:BTCUSDT"
    past = events_of(opened(write_bars(tmp_path / "b.csv", 120, 1), key), key)
    other = events_of(opened(write_bars(tmp_path / "c.csv", 200, 2), key), key)[120:]
    now = past[-1].time
    fills = []
    for future in ([], other, other[::-1]):
        _, result = run(dice, past + future, key, delay=delay)
        fills.append([one for one in result.fills if one.time <= now])
    assert fills[0] and fills[0] == fills[1] == fills[2]


def test_nobody_profits_from_the_bar_that_an_order_was_made_at(tmp_path: Path) -> None:
    # Prices jump up on every odd day, from the open on, and down on every even one. Whoever bought at the bar that he
    # has seen would win each time; who gets the next bar's open, after the jump, wins nothing.
    path = tmp_path / "jumps.py"
    path.write_text(
        RANDOM.replace("dice.random() < (0.3 if self.count % 40 < 20 else 0.7)", "self.count % 2").replace(
            "dice.randint(1, 9) * ONE // 10", "10 * ONE"
        )
    )
    key = "binance:BTCUSDT"
    events: list[MarketEvent] = []
    for day in range(100):
        price = (110 if day % 2 else 100) * ONE
        events.append(Bar(key, (day + 1) * DAY, day * DAY, "1d", price, price, price, price, 10**6 * ONE))
    _, result = run(str(path), events, key)  # bought at 100 seen: filled at 110; sold at 110 seen: filled at 100
    assert result.metrics["USDT"].trades == 49
    assert all(trade.profit < 0 and trade.exit < trade.entry for trade in result.book.trades)


ONCE = """
from barnabas_quant.strategies.base import Strategy
from barnabas_quant.model.money import ONE

class Once(Strategy):
    name = "ONCE"
    asked: bool = False

    def on_bar(self, bar):
        if not self.asked:
            self.asked = True
            self.buy(bar.instrument, ONE, bar.close)
"""


@pytest.mark.parametrize(("seconds", "price"), [(0, "100"), (59, "200"), (119, "300")])
def test_a_signal_that_travels_meets_the_market_that_it_arrives_in(tmp_path: Path, seconds: int, price: str) -> None:
    """As an order that travels does: it gets no price of before."""
    path, key, second = tmp_path / "once.py", "binance:BTCUSDT", MINUTE // 60
    path.write_text(ONCE)
    closes = [price * ONE for price in (100, 200, 300, 400)]
    events: list[MarketEvent] = []
    for number, (first, last) in enumerate(zip([closes[0], *closes], closes, strict=False)):
        begin = DAY + number * MINUTE
        events.append(Bar(key, begin + MINUTE, begin, "1m", first, last, first, last, 1000 * ONE))
    _, result = run(str(path), events, key, delay=seconds * second)
    assert [fill.price for fill in result.fills] == [price]
    venue = EngineSettings(
        cash={"USDT": 10**6 * ONE}, order_type="market", venue=VenueModel(latency=seconds * second)
    )
    again = Simulation(Setup(strategy=str(path), instruments=(key,), engine=venue)).run(events)
    assert [fill.price for fill in again.fills] == [price]


def test_orders_of_a_day_that_ends_while_a_signal_travels_are_heard_of_before_it_arrives(tmp_path: Path) -> None:
    path, key = tmp_path / "twice.py", "binance:BTCUSDT"
    path.write_text(
        ONCE.replace("asked: bool = False", "heard: list[str] = []").replace(
            "if not self.asked:\n            self.asked = True\n            self.buy(bar.instrument, ONE, bar.close)",
            "self.buy(bar.instrument, ONE, bar.close // 2)\n\n    def on_order(self, order):\n"
            "        self.heard.append(order.order + ' ' + order.step)",
        )
    )
    setup = Setup(
        strategy=str(path), instruments=(key,), engine=EngineSettings(cash={"USDT": 10**6 * ONE}), delay=MINUTE
    )
    bars = [DAY - 4 * MINUTE, DAY - MINUTE, DAY + 5 * MINUTE]
    simulation = Simulation(setup)
    simulation.run([Bar(key, time, time - MINUTE, "1m", *[100 * ONE] * 4, ONE) for time in bars])
    heard = simulation.host.strategies["ONCE"].heard  # type: ignore[attr-defined]
    assert heard == ["ONCE-0 new", "ONCE-0 submit", "ONCE-0 accept", "ONCE-0 expire"] + [
        f"ONCE-1 {step}" for step in ("new", "submit", "accept")
    ]


def test_no_event_and_no_cash_are_errors(dice: str) -> None:
    with pytest.raises(QuantError, match="no events"):
        run(dice, [], "binance:BTCUSDT")
    with pytest.raises(QuantError, match="no CNY to trade with: --cash CNY="):
        run(dice, [], "sse:600000")


def test_a_strategy_that_raises_ends_with_its_traceback(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(RANDOM.replace("self.count += 1", "1 / (self.count - 0)"))
    key = "binance:BTCUSDT"
    _, result = run(str(path), events_of(opened(write_bars(tmp_path / "b.csv", 10), key), key), key)
    (failure,) = result.failures
    assert "ZeroDivisionError" in failure.reason and "on_bar" in failure.traceback and result.signals == 0


def test_charts_keep_extremes_in_bounded_room() -> None:
    candles = Candles()
    for n in range(100_000):
        candles.add(n, n, n + 5, n - 5, n + 1)
    assert len(candles.kept) <= 2401
    assert (candles.kept[0].open, candles.kept[0].low, candles.kept[-1].close) == (0, -5, 100_000)
    assert max(candle.high for candle in candles.kept) == 100_004
    assert all(a.time < b.time and a.close == b.open for a, b in zip(candles.kept, candles.kept[1:], strict=False))


def test_quotes_are_charted_where_no_bars_are(tmp_path: Path) -> None:
    path = tmp_path / "quiet.py"
    path.write_text(RANDOM.replace("on_bar(self, bar)", "on_tick(self, bar)").replace("self.count += 1", "return"))
    key = "binance:BTCUSDT"
    events: list[MarketEvent] = [
        Quote(key, DAY + n, (100 + n) * ONE, ONE, (102 + n) * ONE if n != 3 else 0, ONE) for n in range(6)
    ]
    _, result = run(str(path), events, key)
    assert [candle.close // ONE for candle in result.candles[key].kept] == [101, 102, 103, 105, 106]
    assert not any(isinstance(event, Bar) for event in events)


def test_bars_of_one_interval_are_drawn_and_no_price_beside_them() -> None:
    key, minute = "binance:BTCUSDT", 60_000_000
    setup = Setup(strategy="MA_CROSS", instruments=(key,), engine=EngineSettings(cash={"USDT": 10**12}))
    begin = 1_700_000_040_000_000
    events = [Print(key, begin + number, 100 * 10**8, 10**8) for number in range(50)]
    for number in range(5):
        for interval, length in (("1m", minute), ("5m", 5 * minute)):
            at = begin + number * minute
            events.append(Bar(key, at + length, at, interval, *[(100 + number) * 10**8] * 4, 10**8))
    result = Simulation(setup).run(sorted(events, key=lambda event: event.time))
    assert [candle.time for candle in result.candles[key].kept] == [begin + n * minute for n in range(1, 6)]
