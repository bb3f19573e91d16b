"""PAIR: two instruments that move together; when the ratio of their prices is far from its average, bet on its return.

The score is (ratio - average) / standard deviation over the last bars. At a score of -`enter` the first is cheap: buy
it, and with `short` sell the second. At `enter` it is the other way. When the score comes back to within `exit`, all is
closed. Nothing is opened beside what is left of the bet before. Source: Gatev, Goetzmann and Rouwenhorst, "Pairs
Trading: Performance of a Relative-Value Arbitrage Rule", Review of Financial Studies 19 (2006); they open at two
deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from barnabas_quant.analysis.bands import StandardDeviation
from barnabas_quant.model.money import ONE, DecimalText
from barnabas_quant.strategies.bars import check_interval, is_taken
from barnabas_quant.strategies.base import Strategy, StrategyError, some
from barnabas_quant.strategies.turns import Turn
from barnabas_quant.trading.events import Bar, OrderEvent


class Ratio(msgspec.Struct):
    """Hold what is known of the ratio."""

    interval: str
    deviation: StandardDeviation
    closes: dict[str, tuple[int, int]] = {}
    """Begin and close of the latest bar of each of the two."""
    side: int = 0
    """1: the first was bought because it is cheap; -1: the second; 0: nothing."""


class Pair(Strategy):
    """Trade the way back of a ratio to its average, on bars of the same time."""

    name = "PAIR"
    summary = "buys the one of two instruments that has become cheap against the other, sells when it no longer is"

    class Parameters(Strategy.Parameters):
        """Say what far is, and for how much."""

        bars: Annotated[int, Meta(ge=3, le=5000)] = 60
        """That average and deviation are taken over."""
        enter: Annotated[float, Meta(gt=0, le=10)] = 2.0
        """Score, in deviations, to open at."""
        exit: Annotated[float, Meta(ge=0, le=10)] = 0.5
        """Score to close at."""
        notional: DecimalText = "10000"
        """Money for each of the two."""
        short: bool = False
        """Whether the dear one is sold short: for futures."""
        interval: str = ""
        """Of the bars; empty: the shortest that comes."""

        def __post_init__(self) -> None:
            check_interval(self.interval)
            some("notional", self.notional)
            if self.exit >= self.enter:
                raise ValueError(f"exit has to be below enter: {self.exit}, {self.enter}")

    ratio: Ratio | None = None
    turns: dict[str, Turn] = {}

    def __init__(self, instruments: Sequence[str], parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__(instruments, parameters)
        if len(self.instruments) != 2:
            raise StrategyError(f"{self.name}: two instruments are wanted, there are {len(self.instruments)}")

    @property
    def warm_up(self) -> int:
        return int(self.parameters.bars) - 1

    def on_bar(self, bar: Bar) -> None:
        ratio = self.ratio
        if not is_taken(bar, self.parameters.interval, ratio.interval if ratio else ""):
            return
        if ratio is None or ratio.interval != bar.interval:
            side = ratio.side if ratio else 0
            ratio = self.ratio = Ratio(bar.interval, StandardDeviation(self.parameters.bars), {}, side)
        ratio.closes[bar.instrument] = (bar.begin, bar.close)
        if len(ratio.closes) < 2:
            return
        (first_begin, first), (second_begin, second) = (ratio.closes[key] for key in self.instruments)
        if first_begin == second_begin and second:
            self._weigh(ratio, first, second)

    def _weigh(self, ratio: Ratio, first: int, second: int) -> None:
        chosen = self.parameters
        value = first / second
        deviation = ratio.deviation.update(value)
        if not deviation:  # it warms up, or nothing moved
            return
        score = (value - ratio.deviation.mean) / deviation
        if ratio.side and score * ratio.side >= -chosen.exit:
            ratio.side = 0
            for key, price in zip(self.instruments, (first, second), strict=True):
                self._close(key, price)
        elif not ratio.side and abs(score) >= chosen.enter:
            ratio.side = 1 if score < 0 else -1
            if any(self.positions.get(key, 0) or self._turn(key).open for key in self.instruments):
                return  # what is left of the last bet is closed with this one
            cheap, dear = (0, 1) if score < 0 else (1, 0)
            prices = (first, second)
            self._open(cheap, prices[cheap], 1)
            if chosen.short:
                self._open(dear, prices[dear], -1)
        elif not ratio.side:
            for key, price in zip(self.instruments, (first, second), strict=True):
                if self._turn(key).again:
                    self._close(key, price)

    def _open(self, which: int, price: int, sign: int) -> None:
        quantity = some("notional", self.parameters.notional) * ONE // price
        if quantity:
            (self.buy if sign > 0 else self.sell)(self.instruments[which], quantity, price)

    def _close(self, key: str, price: int) -> None:
        held, turn = self.positions.get(key, 0), self._turn(key)
        turn.again = False
        if turn.may_close(held):
            (self.sell if held > 0 else self.buy)(key, abs(held), price)

    def _turn(self, key: str) -> Turn:
        return self.turns.setdefault(key, Turn())

    def on_order(self, order: OrderEvent) -> None:
        self._turn(order.instrument).hear(order, self.positions.get(order.instrument, 0))
