"""Highest and lowest of the last values, in constant time a value."""

from __future__ import annotations

import msgspec
from msgspec import field


class Extremes(msgspec.Struct):
    """Keep the highest and the lowest of the last `size` values, and how long ago they were.

    Each queue holds only values that nothing newer outdoes, oldest first; of equal ones the newest counts.
    """

    size: int
    seen: int = 0
    highs: list[tuple[int, float]] = field(default_factory=list)
    lows: list[tuple[int, float]] = field(default_factory=list)

    def add(self, high: float, low: float) -> bool:
        """Take a value's upper and lower part; answer True once `size` of them have come."""
        seen = self.seen
        oldest = seen - self.size
        highs, lows = self.highs, self.lows
        if highs and highs[0][0] <= oldest:
            del highs[0]
        if lows and lows[0][0] <= oldest:
            del lows[0]
        while highs and highs[-1][1] <= high:
            highs.pop()
        while lows and lows[-1][1] >= low:
            lows.pop()
        highs.append((seen, high))
        lows.append((seen, low))
        self.seen = seen + 1
        return oldest >= -1

    @property
    def highest(self) -> float:
        """Give the highest value."""
        return self.highs[0][1]

    @property
    def lowest(self) -> float:
        """Give the lowest value."""
        return self.lows[0][1]

    @property
    def since_highest(self) -> int:
        """Give how many values came after the highest."""
        return self.seen - 1 - self.highs[0][0]

    @property
    def since_lowest(self) -> int:
        """Give how many values came after the lowest."""
        return self.seen - 1 - self.lows[0][0]
