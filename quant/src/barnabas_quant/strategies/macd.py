"""MACD: buy when the MACD line rises above its signal line, sell what was bought when it falls below."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from barnabas_quant.analysis.trends import MACD
from barnabas_quant.model.money import ONE
from barnabas_quant.strategies.base import Strategy
from barnabas_quant.trading.events import Bar


class Lines(msgspec.Struct):
    """Hold the indicator of one instrument."""

    macd: MACD
    above: bool | None = None


class MacdCross(Strategy):
    """Follow the crossing of MACD and its signal line, on closing prices."""

    name = "MACD"
    summary = "buys when MACD crosses its signal line from below, sells when from above"

    class Parameters(Strategy.Parameters):
        """Say how long the averages are."""

        fast: Annotated[int, Meta(ge=2, le=1000)] = 12
        slow: Annotated[int, Meta(ge=3, le=5000)] = 26
        signal: Annotated[int, Meta(ge=1, le=1000)] = 9
        volume: Annotated[int, Meta(ge=1)] = 100
        """Whole pieces to buy at a time: shares, coins."""

        def __post_init__(self) -> None:
            if self.fast >= self.slow:
                raise ValueError(f"fast has to be below slow: {self.fast}, {self.slow}")

    lines: dict[str, Lines] = {}

    def on_bar(self, bar: Bar) -> None:
        key, chosen = bar.instrument, self.parameters
        held = self.lines.get(key)
        if held is None:
            held = self.lines[key] = Lines(MACD(chosen.fast, chosen.slow, chosen.signal))
        found = held.macd.update(bar.close / ONE)
        if found is None:
            return
        above = found.histogram > 0
        if held.above is not None and above != held.above:
            if above:
                self.buy(key, chosen.volume * ONE, bar.close)
            elif self.positions.get(key, 0) > 0:
                self.sell(key, self.positions[key], bar.close)
        held.above = above
