"""Hold a rate: when the next record may be sent, so that not more than so many are sent in a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Throttle:
    """Hold a rate in records a second, from a start on; a negative one is no limit, 0 stops for ever.

    As in Java's tools the first record is free, and what was missed is caught up.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._start = clock()

    @property
    def burst(self) -> int:
        """Return how many records go out at once: those of 2 ms, which is the shortest pause that Java's tools make."""
        return 500 if self._rate < 0 else max(1, min(500, int(self._rate / 500)))

    def pause(self, sent: int) -> float:
        """Return for how many seconds to wait after so many records; 0 for none."""
        if self._rate < 0 or sent < 2:
            return 0.0
        if self._rate == 0:
            return math.inf
        return max(0.0, self._start + (sent - 1) / self._rate - self._clock())
