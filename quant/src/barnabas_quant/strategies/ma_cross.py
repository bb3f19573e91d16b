"""MA_CROSS: buy when a fast moving average rises above a slow one, sell what was bought when it falls below."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from barnabas_quant.analysis.averages import SMA
from barnabas_quant.model.money import ONE
from barnabas_quant.strategies.base import Strategy
from barnabas_quant.trading.events import Bar


class Averages(msgspec.Struct):
    """Hold the two averages of one instrument."""

    fast: SMA
    slow: SMA
    above: bool | None = None


class MaCross(Strategy):
    """Follow the crossing of two simple moving averages of closing prices."""

    name = "MA_CROSS"
    summary = "buys when the fast moving average crosses the slow one from below, sells when from above"

    class Parameters(Strategy.Parameters):
        """Say how long the averages are."""

        fast: Annotated[int, Meta(ge=1, le=1000)] = 5
        slow: Annotated[int, Meta(ge=2, le=5000)] = 20
        volume: Annotated[int, Meta(ge=1)] = 1000
        """Whole pieces to buy at a time: shares, coins."""

        def __post_init__(self) -> None:
            if self.fast >= self.slow:
                raise ValueError(f"fast has to be below slow: {self.fast}, {self.slow}")

    averages: dict[str, Averages] = {}

    def on_bar(self, bar: Bar) -> None:
        key = bar.instrument
        held = self.averages.get(key)
        if held is None:
            held = self.averages[key] = Averages(SMA(self.parameters.fast), SMA(self.parameters.slow))
        price = bar.close / ONE
        fast, slow = held.fast.update(price), held.slow.update(price)
        if fast is None or slow is None:
            return
        above = fast > slow
        if held.above is not None and above != held.above:
            if above:
                self.buy(key, self.parameters.volume * ONE, bar.close)
            elif self.positions.get(key, 0) > 0:
                self.sell(key, self.positions[key], bar.close)
        held.above = above
