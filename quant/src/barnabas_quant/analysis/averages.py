"""Moving averages: SMA, EMA, WMA, DEMA, TEMA, KAMA.

A running sum is added up anew each time its window has gone round, so that rounding errors do not pile up.
Source of warm-up and seeds: TA-Lib, functions of the same names.
"""

from __future__ import annotations

from math import fsum
from typing import ClassVar

from msgspec import field

from barnabas_quant.analysis.indicator import Indicator, Parameter, bars

_PERIOD = (bars("period", "length of the window"),)


class SMA(Indicator):
    """Average the last prices, all alike."""

    name: ClassVar[str] = "sma"
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "length of the window", low=1),)

    period: int = 20
    values: list[float] = field(default_factory=list)
    at: int = 0
    total: float = 0.0

    @property
    def warm_up(self) -> int:
        return self.period - 1

    def update(self, price: float) -> float | None:
        """Take a price; answer the average."""
        values, period = self.values, self.period
        if len(values) < period:
            values.append(price)
            self.total += price
            return self.total / period if len(values) == period else None
        at = self.at
        total = self.total + price - values[at]
        values[at] = price
        at += 1
        if at == period:
            at, total = 0, fsum(values)
        self.at, self.total = at, total
        return total / period


class EMA(Indicator):
    """Average all prices, the newer the heavier, by 2 / (period + 1); the first value is a simple average."""

    name: ClassVar[str] = "ema"
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "weight of the newest: 2 / (period + 1)", low=1),)

    period: int = 20
    factor: float = 0.0
    seen: int = 0
    value: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.factor = 2.0 / (self.period + 1)

    @property
    def warm_up(self) -> int:
        return self.period - 1

    def update(self, price: float) -> float | None:
        """Take a price; answer the average."""
        if self.seen < self.period:
            self.seen += 1
            self.value += price  # a sum, so far
            if self.seen < self.period:
                return None
            self.value /= self.period
            return self.value
        self.value = value = self.value + self.factor * (price - self.value)
        return value


class WMA(Indicator):
    """Average the last prices, the newest `period` times as heavy as the oldest."""

    name: ClassVar[str] = "wma"
    parameters: ClassVar[tuple[Parameter, ...]] = _PERIOD

    period: int = 20
    values: list[float] = field(default_factory=list)
    at: int = 0
    total: float = 0.0
    weighted: float = 0.0

    @property
    def warm_up(self) -> int:
        return self.period - 1

    def update(self, price: float) -> float | None:
        """Take a price; answer the average."""
        values, period = self.values, self.period
        if len(values) < period:
            values.append(price)
            self.total += price
            self.weighted += price * len(values)
            if len(values) < period:
                return None
        else:
            at = self.at
            self.weighted += period * price - self.total
            self.total += price - values[at]
            values[at] = price
            self.at = at = at + 1
            if at == period:
                self.at = 0
                self.total = fsum(values)
                self.weighted = fsum(weight * value for weight, value in enumerate(values, 1))
        return self.weighted / (period * (period + 1) / 2)


class DEMA(Indicator):
    """Take the lag out of an EMA once: 2 EMA - EMA of EMA."""

    name: ClassVar[str] = "dema"
    parameters: ClassVar[tuple[Parameter, ...]] = _PERIOD

    period: int = 20
    stages: list[EMA] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stages:
            self.stages = [EMA(self.period) for _ in range(2)]

    @property
    def warm_up(self) -> int:
        return 2 * (self.period - 1)

    def update(self, price: float) -> float | None:
        """Take a price; answer the average."""
        one, two = self.stages
        first = one.update(price)
        if first is None:
            return None
        second = two.update(first)
        return None if second is None else 2.0 * first - second


class TEMA(Indicator):
    """Take the lag out of an EMA twice: 3 EMA - 3 EMA of EMA + EMA of that."""

    name: ClassVar[str] = "tema"
    parameters: ClassVar[tuple[Parameter, ...]] = _PERIOD

    period: int = 20
    stages: list[EMA] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stages:
            self.stages = [EMA(self.period) for _ in range(3)]

    @property
    def warm_up(self) -> int:
        return 3 * (self.period - 1)

    def update(self, price: float) -> float | None:
        """Take a price; answer the average."""
        one, two, three = self.stages
        first = one.update(price)
        if first is None:
            return None
        second = two.update(first)
        if second is None:
            return None
        third = three.update(second)
        return None if third is None else 3.0 * first - 3.0 * second + third


class KAMA(Indicator):
    """Follow quickly where prices go one way, slowly where they go to and fro (Kaufman; constants of 2 and 30)."""

    name: ClassVar[str] = "kama"
    parameters: ClassVar[tuple[Parameter, ...]] = (bars("period", "bars that efficiency is measured over"),)

    period: int = 10
    values: list[float] = field(default_factory=list)
    at: int = 0
    travelled: float = 0.0
    value: float = 0.0

    @property
    def warm_up(self) -> int:
        return self.period

    def update(self, price: float) -> float | None:
        """Take a price; answer the average."""
        values, size = self.values, self.period + 1
        count = len(values)
        if count < size:
            values.append(price)
            if count:
                self.travelled += abs(price - values[-2])
            if count < self.period:
                return None
            self.value = values[-2]
            oldest = values[0]
        else:
            at = self.at
            second = values[at + 1 - size]
            self.travelled += abs(price - values[at - 1]) - abs(second - values[at])
            values[at] = price
            oldest = second
            self.at = at = at + 1
            if at == size:
                self.at = 0
                self.travelled = fsum(abs(values[n] - values[n - 1]) for n in range(1, size))
        moved = price - oldest
        travelled = self.travelled
        efficiency = 1.0 if travelled <= moved or travelled < 1e-14 else abs(moved / travelled)
        smoothing = efficiency * (2.0 / 3.0 - 2.0 / 31.0) + 2.0 / 31.0
        self.value = value = self.value + (price - self.value) * smoothing * smoothing
        return value
