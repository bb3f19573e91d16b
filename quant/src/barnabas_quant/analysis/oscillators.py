"""Where a price stands between extremes, and how fast it got there: RSI, stochastics, CCI, Williams %R, ROC, momentum.

Source: TA-Lib's RSI, STOCH, STOCHF, STOCHRSI, CCI, WILLR, ROC, MOM; simple averages smooth the stochastics.
"""

from __future__ import annotations

from math import fsum
from typing import ClassVar, NamedTuple

from msgspec import field

from barnabas_quant.analysis.averages import SMA
from barnabas_quant.analysis.indicator import Indicator, Parameter, bars
from barnabas_quant.analysis.windows import Extremes

_NOTHING = 1e-14  # below this, as a part of the prices themselves, a difference is none but rounding


class RSI(Indicator):
    """Give gains as percent of all movement (Wilder), 0 to 100."""

    name: ClassVar[str] = "rsi"
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "weight of the newest: 1 / period"),)

    period: int = 14
    seen: int = 0
    previous: float = 0.0
    gain: float = 0.0
    loss: float = 0.0

    @property
    def warm_up(self) -> int:
        return self.period

    def update(self, price: float) -> float | None:
        """Take a price; answer the index."""
        change = price - self.previous
        self.previous = price
        period, seen = self.period, self.seen
        if seen > period:
            before = period - 1
            if change > 0.0:
                self.gain = gain = (self.gain * before + change) / period
                self.loss = loss = self.loss * before / period
            else:
                self.gain = gain = self.gain * before / period
                self.loss = loss = (self.loss * before - change) / period
        else:
            self.seen = seen + 1
            if not seen:
                return None
            if change > 0.0:
                self.gain += change
            else:
                self.loss -= change
            if seen < period:
                return None
            self.gain = gain = self.gain / period
            self.loss = loss = self.loss / period
        both = gain + loss
        return 100.0 * gain / both if both else 0.0


class Lines(NamedTuple):
    """Give %K and its average %D, 0 to 100."""

    k: float
    d: float


class FastStochastic(Indicator):
    """Tell where the close stands between lowest low and highest high, in percent, and the average of that."""

    name: ClassVar[str] = "stochastic_fast"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    outputs: ClassVar[tuple[str, ...]] = Lines._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (
        bars("k_period", "length of the window", low=1),
        bars("d_period", "length of the average", low=1),
    )

    k_period: int = 5
    d_period: int = 3
    window: list[Extremes] = field(default_factory=list)
    average: list[SMA] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.window:
            self.window, self.average = [Extremes(self.k_period)], [SMA(self.d_period)]

    @property
    def warm_up(self) -> int:
        return self.k_period + self.d_period - 2

    def update(self, high: float, low: float, close: float) -> Lines | None:
        """Take a bar; answer %K and %D."""
        window = self.window[0]
        if not window.add(high, low):
            return None
        k = _position(window, close)
        d = self.average[0].update(k)
        return None if d is None else Lines(k, d)


class SlowStochastic(Indicator):
    """Smooth %K of the fast stochastic, and average that once more."""

    name: ClassVar[str] = "stochastic"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    outputs: ClassVar[tuple[str, ...]] = Lines._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (
        bars("k_period", "length of the window", low=1),
        bars("slowing", "length of the average that makes %K", low=1),
        bars("d_period", "length of the average that makes %D", low=1),
    )

    k_period: int = 5
    slowing: int = 3
    d_period: int = 3
    window: list[Extremes] = field(default_factory=list)
    averages: list[SMA] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.window:
            self.window = [Extremes(self.k_period)]
            self.averages = [SMA(self.slowing), SMA(self.d_period)]

    @property
    def warm_up(self) -> int:
        return self.k_period + self.slowing + self.d_period - 3

    def update(self, high: float, low: float, close: float) -> Lines | None:
        """Take a bar; answer %K and %D."""
        window = self.window[0]
        if not window.add(high, low):
            return None
        k = self.averages[0].update(_position(window, close))
        if k is None:
            return None
        d = self.averages[1].update(k)
        return None if d is None else Lines(k, d)


class StochasticRSI(Indicator):
    """Tell where the RSI stands between its own extremes."""

    name: ClassVar[str] = "stochastic_rsi"
    outputs: ClassVar[tuple[str, ...]] = Lines._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (
        bars("period", "period of the RSI"),
        bars("k_period", "length of the window over the RSI", low=1),
        bars("d_period", "length of the average", low=1),
    )

    period: int = 14
    k_period: int = 5
    d_period: int = 3
    index: list[RSI] = field(default_factory=list)
    stochastic: list[FastStochastic] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.index:
            self.index, self.stochastic = [RSI(self.period)], [FastStochastic(self.k_period, self.d_period)]

    @property
    def warm_up(self) -> int:
        return self.period + self.k_period + self.d_period - 2

    def update(self, price: float) -> Lines | None:
        """Take a price; answer %K and %D."""
        index = self.index[0].update(price)
        return None if index is None else self.stochastic[0].update(index, index, index)


class CCI(Indicator):
    """Give the distance of the typical price from its average, in mean deviations times 0.015."""

    name: ClassVar[str] = "cci"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "length of the window"),)

    period: int = 14
    values: list[float] = field(default_factory=list)
    at: int = 0

    @property
    def warm_up(self) -> int:
        return self.period - 1

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take a bar; answer the index. Takes time proportional to the period."""
        price = (high + low + close) / 3.0
        values, period = self.values, self.period
        if len(values) < period:
            values.append(price)
            if len(values) < period:
                return None
        else:
            values[self.at] = price
            self.at = (self.at + 1) % period
        average = fsum(values) / period
        deviation = sum([abs(value - average) for value in values]) / period
        distance = price - average
        return distance / (0.015 * deviation) if deviation > _NOTHING * average and distance else 0.0


class WilliamsR(Indicator):
    """Tell how far the close is below the highest high, in percent of the range: -100 to 0."""

    name: ClassVar[str] = "williams_r"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "length of the window"),)

    period: int = 14
    window: list[Extremes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.window:
            self.window = [Extremes(self.period)]

    @property
    def warm_up(self) -> int:
        return self.period - 1

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take a bar; answer the distance."""
        window = self.window[0]
        if not window.add(high, low):
            return None
        highest, lowest = window.highest, window.lowest
        span = highest - lowest
        return -100.0 * (highest - close) / span if span > _NOTHING * (highest + lowest) else 0.0


class _Distance(Indicator):
    # Compares a price with that of `period` bars before.
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "how far back the price compared with is", low=1),)

    period: int = 10
    values: list[float] = field(default_factory=list)
    at: int = 0

    @property
    def warm_up(self) -> int:
        return self.period

    def _swap(self, price: float) -> float | None:
        values, at = self.values, self.at
        if len(values) < self.period:
            values.append(price)
            return None
        old = values[at]
        values[at] = price
        self.at = at + 1 if at + 1 < self.period else 0
        return old


class Momentum(_Distance):
    """Give the price minus that of some bars ago."""

    name: ClassVar[str] = "momentum"

    def update(self, price: float) -> float | None:
        """Take a price; answer the difference."""
        old = self._swap(price)
        return None if old is None else price - old


class ROC(_Distance):
    """Give by how many percent the price is above that of some bars ago."""

    name: ClassVar[str] = "roc"

    def update(self, price: float) -> float | None:
        """Take a price; answer the percentage, 0 where the old price was 0."""
        old = self._swap(price)
        if old is None:
            return None
        return (price / old - 1.0) * 100.0 if old else 0.0


def _position(window: Extremes, close: float) -> float:
    highest, lowest = window.highest, window.lowest
    span = highest - lowest
    return 100.0 * (close - lowest) / span if span > _NOTHING * (highest + lowest) else 0.0
