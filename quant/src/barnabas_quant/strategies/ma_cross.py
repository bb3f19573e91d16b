"""MA_CROSS: buy when a fast moving average rises above a slow one, sell what was bought when it falls below.

Source: Brock, Lakonishok and LeBaron, "Simple Technical Trading Rules and the Stochastic Properties of Stock Returns",
Journal of Finance 47 (1992), the variable-length moving average rule, without its band. Averages are compared as sums
of whole units: where two are equal, rounding errors would decide.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from barnabas_quant.model.money import DecimalText
from barnabas_quant.strategies.bars import check_interval, is_taken
from barnabas_quant.strategies.base import Strategy, some
from barnabas_quant.strategies.turns import Turn
from barnabas_quant.trading.events import Bar, OrderEvent


class Averages(msgspec.Struct):
    """Hold the two averages of one instrument, as the sums of the last closes."""

    interval: str
    closes: list[int] = []
    """As many as the slow one needs, the oldest first."""
    fast: int = 0
    slow: int = 0
    above: bool | None = None


class MaCross(Strategy):
    """Follow the crossing of two simple moving averages of closing prices."""

    name = "MA_CROSS"
    summary = "buys when the fast moving average crosses the slow one from below, sells when from above"

    class Parameters(Strategy.Parameters):
        """Say how long the averages are, and of what."""

        fast: Annotated[int, Meta(ge=1, le=1000)] = 5
        slow: Annotated[int, Meta(ge=2, le=5000)] = 20
        volume: DecimalText = "1000"
        """How much to buy at a time: shares, coins."""
        interval: str = ""
        """Of the bars; empty: the shortest that comes."""

        def __post_init__(self) -> None:
            check_interval(self.interval)
            some("volume", self.volume)
            if self.fast >= self.slow:
                raise ValueError(f"fast has to be below slow: {self.fast}, {self.slow}")

    averages: dict[str, Averages] = {}
    turns: dict[str, Turn] = {}

    @property
    def warm_up(self) -> int:
        return int(self.parameters.slow)

    def on_bar(self, bar: Bar) -> None:
        key, chosen = bar.instrument, self.parameters
        held = self.averages.get(key)
        if not is_taken(bar, chosen.interval, held.interval if held else ""):
            return
        if held is None or held.interval != bar.interval:
            held = self.averages[key] = Averages(bar.interval)
        closes = held.closes
        closes.append(bar.close)
        held.fast += bar.close
        held.slow += bar.close
        if len(closes) > chosen.fast:
            held.fast -= closes[-1 - chosen.fast]
        if len(closes) > chosen.slow:
            held.slow -= closes.pop(0)
        if len(closes) < chosen.slow:
            return
        above = held.fast * chosen.slow > held.slow * chosen.fast
        turn, position = self.turns.setdefault(key, Turn()), self.positions.get(key, 0)
        if above:
            if held.above is False and position <= 0 and not turn.open:
                self.buy(key, some("volume", chosen.volume), bar.close)
            turn.again = False
        elif (held.above or turn.again) and position > 0 and turn.may_close(position):
            self.sell(key, position, bar.close)
            turn.again = False
        held.above = above

    def on_order(self, order: OrderEvent) -> None:
        self.turns.setdefault(order.instrument, Turn()).hear(order, self.positions.get(order.instrument, 0))
