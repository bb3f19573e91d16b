"""Buy what closes above all its last closes, sell it when it closes below the last few.

The file that docs/strategies.md builds. Source of the rule: Richard Donchian's channel; the "turtles" used 20 and 10
days.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from barnabas_quant.model.money import DecimalText, units
from barnabas_quant.strategies import Strategy
from barnabas_quant.trading.events import Bar


class Breakout(Strategy):
    name = "BREAKOUT"

    class Parameters(Strategy.Parameters):
        high: Annotated[int, Meta(ge=1, le=1000)] = 20
        low: Annotated[int, Meta(ge=1, le=1000)] = 10
        volume: DecimalText = "0.1"
        interval: str = "1m"

    closes: dict[str, list[int]] = {}

    @property
    def warm_up(self) -> int:
        return max(self.parameters.high, self.parameters.low)

    def on_bar(self, bar: Bar) -> None:
        chosen = self.parameters
        if bar.interval != chosen.interval:
            return
        closes = self.closes.setdefault(bar.instrument, [])
        if len(closes) == self.warm_up:
            held = self.positions.get(bar.instrument, 0)
            if held == 0 and bar.close > max(closes[-chosen.high :]):
                self.buy(bar.instrument, units(chosen.volume), bar.close)
            elif held > 0 and bar.close < min(closes[-chosen.low :]):
                self.sell(bar.instrument, held, bar.close)
            closes.pop(0)
        closes.append(bar.close)
