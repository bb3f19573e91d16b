"""Nobody sees what has not been: what is decided up to an event does not depend on what comes after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.backtest.run import Loop
from barnabas_quant.model.intervals import MINUTE
from barnabas_quant.model.money import ONE
from barnabas_quant.strategies import Host, Strategy
from barnabas_quant.trading import Engine, EngineSettings
from barnabas_quant.trading.events import Bar, Depth, Fill, MarketEvent, Print, Quote

from .common import BEGIN, BTC, CENT, FIVE, make, market

CASH = 10_000_000 * ONE


def decisions(events: Iterable[MarketEvent], upto: int, delay: int) -> list[Any]:
    """Run all five through a backtest; give all that anybody said until an event had been taken."""
    said: list[Any] = []
    known = 0

    def counted() -> Iterator[MarketEvent]:
        nonlocal known
        for number, event in enumerate(events):
            if number == upto:
                known = len(said)
            yield event

    engine = Engine(EngineSettings(cash={"USDT": CASH}, order_type="market"))
    Loop(Host(make(name) for name in sorted(FIVE)), engine, said.append, delay).run(counted())
    return said[: known or len(said)]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000), cut=st.integers(1, 299), shuffled=st.booleans(), other=st.integers(0, 10_000),
    delay=st.sampled_from([0, 5_000_000]),
)  # fmt: skip
def test_what_comes_later_changes_nothing(seed: int, cut: int, shuffled: bool, other: int, delay: int) -> None:
    events = market(seed, 300)
    tail = events[cut:] if shuffled else market(other, 300 - cut)
    Random(other).shuffle(tail)
    assert decisions(events, cut, delay) == decisions([*events[:cut], *tail], cut, delay)


def test_the_property_can_fail() -> None:
    """All five say something on such a market, and another end of it is another story."""
    events = market(1, 300)
    said = decisions(events, 300, 0)
    assert {one.strategy for one in said if isinstance(one, Fill)} == set(FIVE)
    assert said != decisions([*events[:150], *market(2, 150)], 300, 0)


# Who would profit


class Follower(Strategy):
    """Own one after a price that rose, none after one that fell: right, if only it were in time."""

    name = "FOLLOWER"
    last: int = 0
    wanted: bool = False

    def on_bar(self, bar: Bar) -> None:
        self.move(bar.close)

    def on_trade(self, trade: Print) -> None:
        self.move(trade.price)

    def on_tick(self, quote: Quote) -> None:
        self.move((quote.bid + quote.ask) // 2)

    def on_book(self, depth: Depth) -> None:
        self.move((depth.bids[0][0] + depth.asks[0][0]) // 2)

    def move(self, price: int) -> None:
        rising, self.last = price > self.last, price
        held = self.positions.get(BTC, 0)
        if rising and not held:
            self.buy(BTC, ONE, price + 5 * CENT)
        elif not rising and held:
            self.sell(BTC, held, price - 5 * CENT)


class Seer(Follower):
    """Do the same with the knowledge of the step that comes when its order is filled."""

    name = "SEER"

    def __init__(self, rises: list[bool]) -> None:
        super().__init__([BTC])
        self._rises = iter(rises)

    def move(self, price: int) -> None:
        self.last = price - 1 if next(self._rises, False) else price + 1
        super().move(price)


def walk(seed: int, count: int = 400) -> list[int]:
    dice, price, prices = Random(seed), 100_000, []
    for _ in range(count):
        price = max(1000, price + dice.choice((-400, 400)))
        prices.append(price * CENT)
    return prices


def told(kind: str, prices: list[int]) -> Iterator[MarketEvent]:
    before = prices[0]
    for number, price in enumerate(prices):
        time = BEGIN + (number + 1) * MINUTE
        if kind == "bar":
            high, low = max(before, price), min(before, price)
            yield Bar(BTC, time, time - MINUTE, "1m", before, high, low, price, 1000 * ONE)
        elif kind == "trade":
            yield Print(BTC, time, price, 1000 * ONE)
        elif kind == "quote":
            yield Quote(BTC, time, price - CENT, 1000 * ONE, price + CENT, 1000 * ONE)
        else:
            yield Depth(BTC, time, True, ((price - CENT, 1000 * ONE),), ((price + CENT, 1000 * ONE),))
        before = price


def profit(strategy: Strategy, events: Iterable[MarketEvent], order_type: Any, delay: int) -> tuple[int, int]:
    """Give what is earned, and in how many fills."""
    said: list[Any] = []
    engine = Engine(EngineSettings(cash={"USDT": CASH}, order_type=order_type, signal_age=MINUTE * 5))
    Loop(Host([strategy]), engine, said.append, delay).run(events)
    return engine.main.equity("USDT") - CASH, len([one for one in said if isinstance(one, Fill)])


KINDS = ["bar", "trade", "quote", "book"]


@pytest.mark.parametrize("delay", [0, 1000])
@pytest.mark.parametrize("order_type", ["market", "limit"])
@pytest.mark.parametrize("kind", KINDS)
def test_who_would_profit_from_one_event_earlier_makes_nothing(kind: str, order_type: str, delay: int) -> None:
    """Each step is four times the fee: it would pay to be in time. So it only costs the fees."""
    runs = [profit(Follower([BTC]), told(kind, walk(seed)), order_type, delay) for seed in range(4)]
    assert min(fills for _, fills in runs) > 30
    assert sum(earned for earned, _ in runs) < -100 * ONE


@pytest.mark.parametrize("kind", KINDS)
def test_who_knows_the_next_step_earns(kind: str) -> None:
    """On the same walks, so that the test above could fail. A trade fills at its own price, all others at the last."""
    for seed in range(4):
        prices = walk(seed)
        rises = [after > before for before, after in pairwise(prices)]
        earned, fills = profit(Seer(rises[1:] if kind == "trade" else rises), told(kind, prices), "market", 0)
        assert fills > 50
        assert earned > 100 * ONE
