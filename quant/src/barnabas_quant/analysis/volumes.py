"""What volume adds to prices: OBV, VWAP, MFI. Source: TA-Lib's OBV and MFI; VWAP by its definition."""

from __future__ import annotations

from math import fsum
from typing import ClassVar

from msgspec import field

from barnabas_quant.analysis.indicator import Indicator, Parameter, bars

_NOTHING = 1e-14  # below this, as a part of the prices themselves, a difference is none but rounding


class OBV(Indicator):
    """Add up volume, with the sign of the price's change."""

    name: ClassVar[str] = "obv"
    inputs: ClassVar[tuple[str, ...]] = ("close", "volume")

    previous: float | None = None
    value: float = 0.0

    @property
    def warm_up(self) -> int:
        return 0

    def update(self, close: float, volume: float) -> float:
        """Take a bar; answer the sum, in units of volume."""
        previous = self.previous
        if previous is None or close > previous:
            self.value += volume
        elif close < previous:
            self.value -= volume
        self.previous = close
        return self.value


class VWAP(Indicator):
    """Average the typical price since the session began, weighted by volume."""

    name: ClassVar[str] = "vwap"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close", "volume", "session")

    session: int | None = None
    volume: float = 0.0
    turnover: float = 0.0

    @property
    def warm_up(self) -> int:
        return 0

    def update(self, high: float, low: float, close: float, volume: float, session: int) -> float | None:
        """Take a bar and the session that it belongs to, a number that changes when a new one begins (its day, say).

        Answer the average; None while nothing was traded in the session.
        """
        if session != self.session:
            self.session = session
            self.volume = self.turnover = 0.0
        self.volume += volume
        self.turnover += (high + low + close) / 3.0 * volume
        return self.turnover / self.volume if self.volume else None


class MFI(Indicator):
    """Give money that came in on rising typical prices as percent of all that moved, 0 to 100."""

    name: ClassVar[str] = "mfi"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close", "volume")
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "length of the window"),)

    period: int = 14
    previous: float | None = None
    flows: list[float] = field(default_factory=list)
    at: int = 0
    into: float = 0.0
    out: float = 0.0

    @property
    def warm_up(self) -> int:
        return self.period

    def update(self, high: float, low: float, close: float, volume: float) -> float | None:
        """Take a bar; answer the index, 0 where hardly any money moved (less than 1), as TA-Lib does."""
        price = (high + low + close) / 3.0
        previous, self.previous = self.previous, price
        if previous is None:
            return None
        flow = 0.0
        if abs(price - previous) > _NOTHING * (price + previous):
            flow = price * volume if price > previous else -price * volume
        flows, period = self.flows, self.period
        if len(flows) < period:
            flows.append(flow)
        else:
            at = self.at
            old, flows[at] = flows[at], flow
            if old > 0.0:
                self.into -= old
            else:
                self.out += old
            self.at = at = at + 1
        if flow > 0.0:
            self.into += flow
        else:
            self.out -= flow
        if len(flows) < period:
            return None
        if self.at == period:
            self.at = 0
            self.into = fsum(value for value in flows if value > 0.0)
            self.out = -fsum(value for value in flows if value < 0.0)
        both = self.into + self.out
        return 100.0 * self.into / both if both >= 1.0 else 0.0
