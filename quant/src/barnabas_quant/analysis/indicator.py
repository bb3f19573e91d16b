"""What an indicator is: a small object that takes one bar at a time and answers a value, or None while it warms up.

Indicators are floats throughout. They are estimates for looking at and for deciding; none of them is an amount of
money, and none may be turned into one. Inputs are finite numbers. The first value comes after as many updates as
TA-Lib's function of the same name needs (`warm_up`), and all are equal to its values.

An indicator is a struct: its parameters and all that it remembers are its fields, so its state is its JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import msgspec

from barnabas_quant.analysis.snapshot import pack, unpack
from barnabas_quant.errors import StateError

VERSION = 1
"""Of the saved state of every indicator."""

_KIND = b"INDI"
_LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """Describe a parameter: a field of the indicator's struct, with what it may be."""

    name: str
    low: float
    high: float
    unit: str
    """What it counts: bars, standard deviations, ..."""
    text: str
    whole: bool = True

    def check(self, owner: str, value: float) -> None:
        """Raise ValueError for a value that is not allowed."""
        fits = not isinstance(value, bool) and isinstance(value, int if self.whole else (int, float))
        if not fits or not self.low <= value <= self.high:
            kind = "a whole number" if self.whole else "a number"
            raise ValueError(
                f"{owner}: {self.name} is {value!r}; it has to be {kind} of {self.unit} "
                f"from {self.low:g} to {self.high:g}"
            )


def bars(name: str, text: str, low: int = 2) -> Parameter:
    """Describe a parameter that counts bars."""
    return Parameter(name, low, _LONGEST, "bars", text)


def factor(name: str, text: str, unit: str, low: float = 0.0, high: float = 100.0) -> Parameter:
    """Describe a parameter that is a number with a fraction."""
    return Parameter(name, low, high, unit, text, whole=False)


class Indicator(msgspec.Struct):
    """Be the base of all indicators; each has an `update` of its own, which takes its `inputs` in their order."""

    name: ClassVar[str]
    """Name in the registry."""
    inputs: ClassVar[tuple[str, ...]] = ("close",)
    outputs: ClassVar[tuple[str, ...]] = ("value",)
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def __post_init__(self) -> None:
        for parameter in self.parameters:
            parameter.check(self.name, getattr(self, parameter.name))

    @property
    def warm_up(self) -> int:
        """Give the number of updates that answer None."""
        raise NotImplementedError

    def on_bar(self, bar: Mapping[str, Any]) -> Any:
        """Update from the named parts of a bar: high, low, close, volume, session."""
        update: Any = getattr(self, "update")  # noqa: B009 - each has its own
        return update(*[bar[name] for name in self.inputs])

    def save(self) -> bytes:
        """Write the state."""
        return pack(_KIND, VERSION, (self.name, self))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Make an indicator that goes on from saved state. Raises StateError where it is another's or damaged."""
        name, raw = unpack(data, _KIND, VERSION, tuple[str, msgspec.Raw])
        if name != cls.name:
            raise StateError(f"state is of {name}, not of {cls.name}")
        try:
            return msgspec.json.decode(raw, type=cls)
        except (msgspec.DecodeError, ValueError) as error:
            raise StateError(f"state of {name} cannot be read: {error}") from error
