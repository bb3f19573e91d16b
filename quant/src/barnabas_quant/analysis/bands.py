"""How far prices spread: standard deviation, Bollinger, ATR, Donchian, Keltner.

Source: TA-Lib's STDDEV, BBANDS and ATR; a Donchian channel is MAX and MIN, a Keltner channel an EMA and an ATR.
"""

from __future__ import annotations

from math import fsum, sqrt
from typing import ClassVar, NamedTuple

from msgspec import field

from barnabas_quant.analysis.averages import EMA
from barnabas_quant.analysis.indicator import Indicator, Parameter, bars, factor
from barnabas_quant.analysis.windows import Extremes


class Bands(NamedTuple):
    """Enclose the price."""

    upper: float
    middle: float
    lower: float


class StandardDeviation(Indicator):
    """Give the standard deviation of the last prices, all of them being the whole (divided by n, not n - 1)."""

    name: ClassVar[str] = "stddev"
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "length of the window"),)

    period: int = 20
    values: list[float] = field(default_factory=list)
    at: int = 0
    base: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    mean: float = 0.0

    @property
    def warm_up(self) -> int:
        return self.period - 1

    def update(self, price: float) -> float | None:
        """Take a price; answer the deviation; the average is in `mean`."""
        # Sums are those of the distance from a price of the window: squares of whole prices would cancel out digits.
        values, period = self.values, self.period
        if len(values) < period:
            if not values:
                self.base = price
            values.append(price)
            distance = price - self.base
            self.total += distance
            self.squares += distance * distance
            if len(values) < period:
                return None
        else:
            at, base = self.at, self.base
            distance, old = price - base, values[at] - base
            self.total += distance - old
            self.squares += distance * distance - old * old
            values[at] = price
            self.at = at = at + 1
            if at == period:
                self.at = 0
                self.base = base = values[0]
                self.total = fsum(value - base for value in values)
                self.squares = fsum((value - base) ** 2 for value in values)
        mean = self.total / period
        self.mean = self.base + mean
        variance = self.squares / period - mean * mean
        return sqrt(variance) if variance > 0.0 else 0.0


class BollingerBands(Indicator):
    """Give a simple average, and bands some standard deviations above and below it."""

    name: ClassVar[str] = "bollinger"
    outputs: ClassVar[tuple[str, ...]] = Bands._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (
        bars("period", "length of the window"),
        factor("deviations", "distance of the bands from the average", "standard deviations"),
    )

    period: int = 20
    deviations: float = 2.0
    spread: list[StandardDeviation] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.spread:
            self.spread = [StandardDeviation(self.period)]

    @property
    def warm_up(self) -> int:
        return self.period - 1

    def update(self, price: float) -> Bands | None:
        """Take a price; answer the bands."""
        spread = self.spread[0]
        deviation = spread.update(price)
        if deviation is None:
            return None
        distance, middle = deviation * self.deviations, spread.mean
        return Bands(middle + distance, middle, middle - distance)


class ATR(Indicator):
    """Average the true range (Wilder): the bar's range, or from the close before it where that lies outside."""

    name: ClassVar[str] = "atr"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "weight of the newest: 1 / period", low=1),)

    period: int = 14
    seen: int = 0
    previous: float = 0.0
    value: float = 0.0

    @property
    def warm_up(self) -> int:
        return self.period

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take a bar; answer the average range, in units of price."""
        previous = self.previous
        self.previous = close
        seen = self.seen
        if not seen:  # no close before it: the first bar has no true range
            self.seen = 1
            return None
        span = (high if high > previous else previous) - (low if low < previous else previous)
        period = self.period
        if seen < period:
            self.seen = seen + 1
            self.value += span  # a sum, so far
            return None
        if seen == period:
            self.seen = seen + 1
            self.value = (self.value + span) / period
        else:
            self.value = (self.value * (period - 1) + span) / period
        return self.value


class DonchianChannel(Indicator):
    """Give the highest high, the lowest low and the middle between them."""

    name: ClassVar[str] = "donchian"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low")
    outputs: ClassVar[tuple[str, ...]] = Bands._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "length of the window"),)

    period: int = 20
    window: list[Extremes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.window:
            self.window = [Extremes(self.period)]

    @property
    def warm_up(self) -> int:
        return self.period - 1

    def update(self, high: float, low: float) -> Bands | None:
        """Take a bar; answer the channel."""
        window = self.window[0]
        if not window.add(high, low):
            return None
        upper, lower = window.highest, window.lowest
        return Bands(upper, (upper + lower) / 2.0, lower)


class KeltnerChannel(Indicator):
    """Give an EMA of the close, and bands some average true ranges above and below it."""

    name: ClassVar[str] = "keltner"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    outputs: ClassVar[tuple[str, ...]] = Bands._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (
        bars("period", "period of the average"),
        bars("range_period", "period of the average true range", low=1),
        factor("ranges", "distance of the bands from the average", "average true ranges"),
    )

    period: int = 20
    range_period: int = 10
    ranges: float = 2.0
    average: list[EMA] = field(default_factory=list)
    range: list[ATR] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.average:
            self.average, self.range = [EMA(self.period)], [ATR(self.range_period)]

    @property
    def warm_up(self) -> int:
        return max(self.period - 1, self.range_period)

    def update(self, high: float, low: float, close: float) -> Bands | None:
        """Take a bar; answer the channel."""
        middle = self.average[0].update(close)
        span = self.range[0].update(high, low, close)
        if middle is None or span is None:
            return None
        distance = span * self.ranges
        return Bands(middle + distance, middle, middle - distance)
