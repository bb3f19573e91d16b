"""Whether there is a trend, and which: MACD, ADX, Aroon, parabolic SAR, Ichimoku.

Source: TA-Lib's MACD, ADX (PLUS_DI, MINUS_DI), AROON, SAR; the lines of Ichimoku are its MIDPRICE.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from msgspec import field

from barnabas_quant.analysis.averages import EMA
from barnabas_quant.analysis.indicator import Indicator, Parameter, bars, factor
from barnabas_quant.analysis.windows import Extremes


class Divergence(NamedTuple):
    """Give the difference of two averages, its own average, and how far it is from that."""

    macd: float
    signal: float
    histogram: float


class MACD(Indicator):
    """Give a quick EMA minus a slow one, and an EMA of the difference.

    As in TA-Lib the quick average is seeded by the last prices of the slow one's seed, so both start at one bar.
    """

    name: ClassVar[str] = "macd"
    outputs: ClassVar[tuple[str, ...]] = Divergence._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (
        bars("fast", "period of the quick average"),
        bars("slow", "period of the slow average, longer than the quick one"),
        bars("signal", "period of the average of the difference", low=1),
    )

    fast: int = 12
    slow: int = 26
    signal: int = 9
    averages: list[EMA] = field(default_factory=list)
    skipped: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fast >= self.slow:
            raise ValueError(f"macd: fast is {self.fast}, slow {self.slow}; slow has to be the longer one")
        if not self.averages:
            self.averages = [EMA(self.fast), EMA(self.slow), EMA(self.signal)]

    @property
    def warm_up(self) -> int:
        return self.slow + self.signal - 2

    def update(self, price: float) -> Divergence | None:
        """Take a price; answer the three lines, in units of price."""
        fast, slow, signal = self.averages
        if signal.seen == self.signal:  # all are warm: without calls it is twice as quick
            fast.value = quick = fast.value + fast.factor * (price - fast.value)
            slow.value = lasting = slow.value + slow.factor * (price - slow.value)
            macd = quick - lasting
            signal.value = average = signal.value + signal.factor * (macd - signal.value)
            return Divergence(macd, average, macd - average)
        if self.skipped < self.slow - self.fast:
            self.skipped += 1
            slow.update(price)
            return None
        first, second = fast.update(price), slow.update(price)
        if first is None or second is None:
            return None
        third = signal.update(first - second)
        return None if third is None else Divergence(first - second, third, first - second - third)


class Direction(NamedTuple):
    """Give the strength of a trend, and that of movements up and down; 0 to 100 each."""

    adx: float
    plus_di: float
    minus_di: float


class ADX(Indicator):
    """Give the average directional index and the two directional indicators (Wilder)."""

    name: ClassVar[str] = "adx"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    outputs: ClassVar[tuple[str, ...]] = Direction._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "weight of the newest: 1 / period"),)

    period: int = 14
    seen: int = 0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    plus: float = 0.0
    minus: float = 0.0
    range: float = 0.0
    value: float = 0.0

    @property
    def warm_up(self) -> int:
        return 2 * self.period - 1

    def update(self, high: float, low: float, close: float) -> Direction | None:
        """Take a bar; answer the three indices."""
        seen, period, before = self.seen, self.period, self.close
        up, down = high - self.high, self.low - low
        self.high, self.low, self.close = high, low, close
        self.seen = seen + 1
        if not seen:
            return None
        span = (high if high > before else before) - (low if low < before else before)
        if seen < period:
            self.range += span
        else:
            self.plus -= self.plus / period
            self.minus -= self.minus / period
            self.range += span - self.range / period
        if down > 0.0 and up < down:
            self.minus += down
        elif up > 0.0 and up > down:
            self.plus += up
        if seen < period:
            return None
        plus = minus = 0.0
        if self.range:
            plus, minus = 100.0 * self.plus / self.range, 100.0 * self.minus / self.range
        if plus + minus:  # else the index stays where it was
            index = 100.0 * abs(plus - minus) / (plus + minus)
            if seen < 2 * period:
                self.value += index  # a sum, so far
            else:
                self.value = (self.value * (period - 1) + index) / period
        if seen < 2 * period - 1:
            return None
        if seen == 2 * period - 1:
            self.value /= period
        return Direction(self.value, plus, minus)


class Ages(NamedTuple):
    """Give how fresh the highest high and the lowest low are: 100 now, 0 a whole period ago."""

    up: float
    down: float


class Aroon(Indicator):
    """Tell how long ago the extremes of the last bars were."""

    name: ClassVar[str] = "aroon"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low")
    outputs: ClassVar[tuple[str, ...]] = Ages._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "bars looked back at"),)

    period: int = 14
    window: list[Extremes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.window:
            self.window = [Extremes(self.period + 1)]

    @property
    def warm_up(self) -> int:
        return self.period

    def update(self, high: float, low: float) -> Ages | None:
        """Take a bar; answer both ages."""
        window, period = self.window[0], self.period
        if not window.add(high, low):
            return None
        return Ages(100.0 * (period - window.since_highest) / period, 100.0 * (period - window.since_lowest) / period)


class ParabolicSAR(Indicator):
    """Give the price at which a trailing stop would turn around (Wilder)."""

    name: ClassVar[str] = "sar"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        factor("step", "what each new extreme adds to the acceleration", "of the distance"),
        factor("limit", "greatest acceleration", "of the distance"),
    )

    step: float = 0.02
    limit: float = 0.2
    seen: int = 0
    rising: bool = True
    high: float = 0.0
    low: float = 0.0
    extreme: float = 0.0
    acceleration: float = 0.0
    stop: float = 0.0

    @property
    def warm_up(self) -> int:
        return 1

    def update(self, high: float, low: float) -> float | None:
        """Take a bar; answer the stop that held for it."""
        before_high, before_low = self.high, self.low
        self.high, self.low = high, low
        step = min(self.step, self.limit)
        if self.seen < 2:
            self.seen += 1
            if self.seen == 1:
                return None
            down, up = before_low - low, high - before_high
            self.rising = not (down > 0.0 and up < down)
            self.extreme, self.stop = (high, before_low) if self.rising else (low, before_high)
            self.acceleration = step
            before_high, before_low = high, low
        top, bottom = max(before_high, high), min(before_low, low)
        if (low <= self.stop) if self.rising else (high >= self.stop):
            self.rising = not self.rising
            stop = min(self.extreme, bottom) if self.rising else max(self.extreme, top)
            self.extreme = high if self.rising else low
            self.acceleration = step
        else:
            stop = self.stop
            if (high > self.extreme) if self.rising else (low < self.extreme):
                self.extreme = high if self.rising else low
                self.acceleration = min(self.acceleration + step, self.limit)
        ahead = stop + self.acceleration * (self.extreme - stop)
        self.stop = min(ahead, bottom) if self.rising else max(ahead, top)
        return stop


class Cloud(NamedTuple):
    """Give the lines as they come out of this bar: both spans are drawn some bars ahead, the lagging one back."""

    conversion: float
    base: float
    span_a: float
    span_b: float
    lagging: float


class Ichimoku(Indicator):
    """Give the middles between extremes of three windows; displacement of the spans is the chart's business."""

    name: ClassVar[str] = "ichimoku"
    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    outputs: ClassVar[tuple[str, ...]] = Cloud._fields
    parameters: ClassVar[tuple[Parameter, ...]] = (
        bars("conversion", "window of the conversion line", low=1),
        bars("base", "window of the base line, and displacement of the spans", low=1),
        bars("span", "window of the second span", low=1),
    )

    conversion: int = 9
    base: int = 26
    span: int = 52
    windows: list[Extremes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.windows:
            self.windows = [Extremes(size) for size in (self.conversion, self.base, self.span)]

    @property
    def warm_up(self) -> int:
        return max(self.conversion, self.base, self.span) - 1

    def update(self, high: float, low: float, close: float) -> Cloud | None:
        """Take a bar; answer the lines."""
        full = [window.add(high, low) for window in self.windows]
        if not all(full):
            return None
        one, two, three = [(window.highest + window.lowest) / 2.0 for window in self.windows]
        return Cloud(one, two, (one + two) / 2.0, three, close)
