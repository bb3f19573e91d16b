"""One purchase at a time, whatever becomes of the orders: on the engine, with limits that the price leaves behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from barnabas_quant.backtest.run import Loop
from barnabas_quant.model.intervals import DAY, MINUTE, SECOND
from barnabas_quant.model.money import ONE, units
from barnabas_quant.strategies import Host, Strategy
from barnabas_quant.strategies.book_imbalance import BookImbalance
from barnabas_quant.strategies.ma_cross import MaCross
from barnabas_quant.strategies.macd import MacdCross
from barnabas_quant.strategies.pair import Pair
from barnabas_quant.trading import Engine, EngineSettings
from barnabas_quant.trading.events import Bar, Cancel, Depth, Fill, Input, MarketEvent, OrderEvent, PositionEvent, Print
from barnabas_quant.trading.limits import Limits
from barnabas_quant.trading.market import VenueModel

from .common import BTC, ETH, KEYS, make, market, signals

MORNING = 19_676 * DAY


class Traded:
    """Run a strategy on the engine; between market events something may be asked for by hand."""

    def __init__(self, strategy: Strategy, **settings: Any) -> None:
        self.said: list[Any] = []
        limits = Limits(price_collar=None, daily_loss=None)
        self.engine = Engine(EngineSettings(cash={"USDT": 10**6 * ONE}, limits=limits, **settings))
        self.strategy: Any = strategy
        self._host = Host([strategy])
        self._loop = Loop(self._host, self.engine, self.said.append)

    def run(self, events: Iterable[MarketEvent]) -> list[tuple[str, int]]:
        """Give the sides and prices of what it asked for because of these events."""
        before = len(self.said)
        self._loop.run(events)
        return [(one.side, one.price // ONE) for one in signals(self.said[before:])]

    def hand(self, event: Input) -> None:
        for output in self.engine.process(event):
            self.said.append(output)
            if isinstance(output, Fill | OrderEvent):
                assert not signals(self._host.process(output))

    def most(self, key: str = BTC) -> int:
        told = (one for one in self.said if isinstance(one, PositionEvent) and one.instrument == key)
        return max((units(one.quantity) for one in told), default=0)

    def refused(self) -> list[OrderEvent]:
        return [one for one in self.said if isinstance(one, OrderEvent) and one.step in ("deny", "reject")]


def gaps(closes: Sequence[int], key: str = BTC, begin: int = MORNING) -> list[MarketEvent]:
    """Make bars that open where they close: what rests away from that is not touched."""
    times = [begin + n * MINUTE for n in range(1, len(closes) + 1)]
    prices = [close * ONE for close in closes]
    return [
        Bar(key, time, time - MINUTE, "1m", price, price, price, price, 1000 * ONE)
        for time, price in zip(times, prices, strict=True)
    ]


def crossing(**settings: Any) -> Traded:
    return Traded(MaCross([BTC], {"fast": 1, "slow": 2, "volume": 1}), **settings)


WAVES = [100, 99, 100, 101, 102, 95, 90, 85, 80, 84, 88, 92, 85, 80, 75, 79, 83, 87, 80, 75, 70, 74, 78]


def test_a_cross_buys_nothing_beside_an_exit_that_the_price_has_left_behind() -> None:
    traded = crossing()
    assert traded.run(gaps(WAVES[:8])) == [("BUY", 100), ("SELL", 95)]  # bought at 95, and it is 85
    assert traded.run(gaps(WAVES[8:], begin=MORNING + DAY // 2)) == []
    assert (traded.most(), traded.strategy.positions) == (ONE, {BTC: ONE})
    assert traded.run(gaps([96, 97, 96, 97], begin=MORNING + DAY // 2 + 30 * MINUTE)) == [("BUY", 97)]  # sold at 96
    assert not traded.refused()


def test_a_cross_buys_nothing_beside_a_purchase_that_is_open() -> None:
    traded = crossing()
    assert traded.run(gaps([100, 99, 100, 110, 109, 110, 109, 110])) == [("BUY", 100)]
    assert traded.run(gaps([100, 99, 98], begin=MORNING + DAY // 2)) == [("SELL", 100)]
    assert traded.most() == ONE


@pytest.mark.parametrize("how", ["expired", "canceled"])
def test_an_exit_that_was_not_filled_is_asked_for_again(how: str) -> None:
    traded = crossing()
    traded.run(gaps(WAVES[:8]))
    if how == "canceled":
        traded.hand(Cancel("c", MORNING + 9 * MINUTE))
    begin = MORNING + (DAY if how == "expired" else 10 * MINUTE)
    assert traded.run(gaps([84, 83, 82], begin=begin)) == [("SELL", 84)]  # once
    assert traded.run(gaps([90], begin=begin + 30 * MINUTE)) == [("BUY", 90)]
    assert [fill.side for fill in traded.said if isinstance(fill, Fill)] == ["BUY", "SELL"]


def test_an_exit_is_not_asked_for_again_once_the_rule_wants_to_hold() -> None:
    traded = crossing()
    traded.run(gaps(WAVES[:8]))
    assert traded.run(gaps([88, 89, 90], begin=MORNING + DAY)) == []  # expired, as the price had risen
    assert traded.run(gaps([89, 88], begin=MORNING + DAY + 30 * MINUTE)) == [("SELL", 89)]


def test_an_exit_that_goes_at_once_is_asked_for_at_each_bar_and_not_without_end() -> None:
    traded = Traded(MaCross([BTC], {"fast": 1, "slow": 2, "volume": 1}), time_in_force="IOC")
    said = traded.run(gaps([100, 99, 100, 100, 95, 90, 85, 85]))
    assert said == [("BUY", 100), ("SELL", 100), ("SELL", 95), ("SELL", 90), ("SELL", 85)]
    assert traded.strategy.positions == {BTC: 0}


def test_with_market_orders_crosses_are_traded_as_they_come() -> None:
    traded = crossing(order_type="market")
    assert traded.run(gaps(WAVES)) == [
        ("BUY", 100), ("SELL", 95), ("BUY", 84), ("SELL", 85), ("BUY", 79), ("SELL", 80), ("BUY", 74)
    ]  # fmt: skip
    assert traded.most() == ONE


def test_macd_holds_one_volume_and_asks_again() -> None:
    traded = Traded(MacdCross([BTC], {"fast": 2, "slow": 4, "signal": 2, "volume": 1}))
    wave = [100, 101, 102, 103, 104, 100, 96, 92, 96, 100, 104, 104, 98, 92, 86, 80, 84, 88, 92, 86, 80, 74, 78, 82, 76]
    said = traded.run(gaps(wave))
    assert [side for side, _ in said] == ["BUY", "SELL"]
    assert traded.most() == ONE
    assert traded.run(gaps([70, 70], begin=MORNING + DAY)) == [("SELL", 70)]
    assert not traded.refused()
    assert traded.strategy.positions == {BTC: 0}


@pytest.mark.parametrize("settings", [{}, {"time_in_force": "IOC"}, {"venue": VenueModel(latency=3 * SECOND)}])
@pytest.mark.parametrize(("name", "volume"), [("MA_CROSS", ONE // 2), ("MACD", ONE), ("BOOK_IMBALANCE", ONE // 100)])
def test_never_more_than_a_volume_is_held(name: str, volume: int, settings: dict[str, Any]) -> None:
    """In a market whose trades fill orders in parts."""
    most = set()
    for seed in range(4):
        dice, traded = Random(seed), Traded(make(name), **settings)
        events = market(seed, 800)
        traded.run(
            msgspec.structs.replace(event, size=dice.randrange(1, ONE)) if isinstance(event, Print) else event
            for event in events
        )
        most |= {traded.most(key) for key in KEYS}
    assert max(most) == volume


# Books


def book(second: int, bid: int, bids: int, asks: int) -> Depth:
    return Depth(BTC, MORNING + second * SECOND, True, ((bid * ONE, bids * ONE),), (((bid + 1) * ONE, asks * ONE),))


def swings(**settings: Any) -> Traded:
    return Traded(BookImbalance([BTC], {"levels": 1, "enter": 50, "exit": -50, "pause": 0, "volume": 1}), **settings)


def test_a_book_that_swings_is_bought_once() -> None:
    traded = swings(venue=VenueModel(latency=5 * SECOND))
    traded.run([book(0, 100, 9, 1), book(1, 100, 9, 1), book(6, 100, 9, 1)])
    later = [book(7, 100, 1, 9), book(11, 90, 2, 2), book(13, 90, 9, 1), book(14, 90, 1, 9)]
    assert traded.run(later) == [("SELL", 100)]  # it rests at 100, and it is 90
    assert traded.run([book(20, 90, 9, 1), book(21, 90, 1, 9), book(22, 90, 9, 1)]) == []
    traded.hand(Cancel("c", MORNING + 23 * SECOND))
    assert traded.run([book(30, 90, 9, 1), book(31, 90, 1, 9), book(32, 90, 1, 9)]) == [("SELL", 90)]
    assert traded.most() == ONE


def test_a_sale_of_a_book_that_was_refused_is_asked_for_with_the_next_swing() -> None:
    """Nothing else is bought meanwhile, so it would never be sold."""
    traded = swings()
    traded.run([book(0, 100, 9, 1), book(1, 100, 2, 2)])
    traded.engine.main.trading = False
    assert traded.run([book(2, 100, 1, 9), book(3, 100, 1, 9)]) == [("SELL", 100)]
    traded.engine.main.trading = True
    assert traded.run([book(4, 100, 9, 1), book(5, 100, 1, 9)]) == [("SELL", 100)]
    assert traded.strategy.positions == {BTC: 0}


# Pairs


def both(ratios: Sequence[tuple[int, int]], begin: int = MORNING) -> list[MarketEvent]:
    """Make bars of the first and the second of a pair."""
    first, second = ([pair[which] for pair in ratios] for which in (0, 1))
    found: list[MarketEvent] = []
    for one, other in zip(gaps(second, ETH, begin), gaps(first, BTC, begin), strict=True):
        found += [one, other]
    return found


def test_a_pair_opens_nothing_beside_what_is_left() -> None:
    traded = Traded(Pair([BTC, ETH], {"bars": 5, "enter": 1.99, "exit": 0.51, "notional": 200}))
    # Down to 200, bought there; back at 250 and sold there, but it falls and is cheap again.
    said = traded.run(both([(300, 100)] * 4 + [(200, 100), (200, 100), (250, 100), (240, 100)]))
    assert said == [("BUY", 200), ("SELL", 250)]
    flat = both([(240, 100)] * 8 + [(160, 100)], begin=MORNING + 30 * MINUTE)
    assert traded.run(flat) == []
    assert traded.strategy.positions == {BTC: ONE}
    # The day ends, and with it the sale: it is asked for again, as soon as the rule does not want to hold.
    assert traded.run(both([(240, 100), (239, 100), (239, 100)], begin=MORNING + DAY)) == [("SELL", 240)]
    assert traded.most() == ONE
    assert not traded.refused()


def test_what_was_asked_for_is_kept_with_the_state() -> None:
    traded = crossing()
    traded.run(gaps(WAVES[:8]))
    (turn,) = traded.strategy.turns.values()
    assert list(turn.open.values()) == ["SELL"]
    anew = MaCross([BTC], {"fast": 1, "slow": 2, "volume": 1})
    anew.load(traded.strategy.save())
    assert anew.turns == traded.strategy.turns
