"""MACD: buy when the MACD line rises above its signal line, sell what was bought when it falls below.

Source: Gerald Appel, "Technical Analysis: Power Tools for Active Investors" (2005), chapter 8; the lines are TA-Lib's.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from barnabas_quant.analysis.trends import MACD
from barnabas_quant.model.money import ONE, DecimalText
from barnabas_quant.strategies.bars import check_interval, is_taken
from barnabas_quant.strategies.base import Strategy, some
from barnabas_quant.strategies.turns import Turn
from barnabas_quant.trading.events import Bar, OrderEvent


class Lines(msgspec.Struct):
    """Hold the indicator of one instrument."""

    interval: str
    macd: MACD
    above: bool | None = None


class MacdCross(Strategy):
    """Follow the crossing of MACD and its signal line, on closing prices."""

    name = "MACD"
    summary = "buys when MACD crosses its signal line from below, sells when from above"

    class Parameters(Strategy.Parameters):
        """Say how long the averages are, and of what."""

        fast: Annotated[int, Meta(ge=2, le=1000)] = 12
        slow: Annotated[int, Meta(ge=3, le=5000)] = 26
        signal: Annotated[int, Meta(ge=1, le=1000)] = 9
        volume: DecimalText = "100"
        """How much to buy at a time: shares, coins."""
        interval: str = ""
        """Of the bars; empty: the shortest that comes."""

        def __post_init__(self) -> None:
            check_interval(self.interval)
            some("volume", self.volume)
            if self.fast >= self.slow:
                raise ValueError(f"fast has to be below slow: {self.fast}, {self.slow}")

    lines: dict[str, Lines] = {}
    turns: dict[str, Turn] = {}

    @property
    def warm_up(self) -> int:
        chosen = self.parameters
        return MACD(chosen.fast, chosen.slow, chosen.signal).warm_up + 1

    def on_bar(self, bar: Bar) -> None:
        key, chosen = bar.instrument, self.parameters
        held = self.lines.get(key)
        if not is_taken(bar, chosen.interval, held.interval if held else ""):
            return
        if held is None or held.interval != bar.interval:
            held = self.lines[key] = Lines(bar.interval, MACD(chosen.fast, chosen.slow, chosen.signal))
        found = held.macd.update(bar.close / ONE)
        if found is None:
            return
        above = found.histogram > 0
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
