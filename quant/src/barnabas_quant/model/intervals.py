"""Intervals of bars as venues name them: `1s`, `5m`, `4h`, `1d`, `1w`.

A bar begins at a whole multiple of its interval since 1970 UTC; weeks begin on Monday, as Binance's do. Months are not
of one length and are no interval here. Source: "Kline/Candlestick chart intervals", Binance API documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SECOND = 1_000_000
"""Microseconds of a second."""

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_FIRST_MONDAY = 4 * DAY  # 1970-01-05
_PATTERN = re.compile(r"([1-9][0-9]{0,3})([smhdw])\Z")


@dataclass(frozen=True, slots=True)
class Interval:
    """Name a length of time in microseconds, and the moment that its multiples are counted from."""

    name: str
    length: int
    anchor: int

    @classmethod
    def parse(cls, name: str) -> Interval:
        """Read `NUMBER UNIT`, unit s, m, h, d or w. Raises ValueError."""
        found = _PATTERN.match(name)
        if found is None:
            raise ValueError(f"not an interval: {name!r}; write a number and one of s, m, h, d, w, such as 1m or 4h")
        count, unit = int(found[1]), found[2]
        return cls(name, count * _UNITS[unit], _FIRST_MONDAY if unit == "w" else 0)

    def begin(self, time: int) -> int:
        """Give when the bar that covers a time (microseconds since 1970 UTC) begins."""
        return time - (time - self.anchor) % self.length

    def divides(self, other: Interval) -> bool:
        """Tell whether each bar of another interval is made of whole bars of this one."""
        return other.length % self.length == 0 and (other.anchor - self.anchor) % self.length == 0


def parse_intervals(names: str) -> tuple[Interval, ...]:
    """Read intervals between commas and give them by length, shortest first. Raises ValueError, also on none."""
    found = {interval.name: interval for interval in map(Interval.parse, filter(None, re.split(r"[,\s]+", names)))}
    if not found:
        raise ValueError("no interval is named")
    return tuple(sorted(found.values(), key=lambda interval: (interval.length, interval.name)))
