"""Tell the time and keep timers, so that whatever decides something can be tested with a clock that is moved by hand.

`Clock` reads the machine's clocks plus an offset, which `advance` raises. `Timers` holds deadlines; who owns it
calls `fire` when the earliest is due. Both know nothing of an event loop.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Any

_SWEEP = 1024


class Clock:
    """Read wall-clock milliseconds; `advance` moves it for tests."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return int((time.time() + self._offset) * 1000)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic() + self._offset

    def advance(self, seconds: float) -> None:
        """Move both clocks ahead."""
        self._offset += seconds


class Timer:
    """Hold one deadline. It is spent once it fired or was cancelled."""

    __slots__ = ("act", "at")

    def __init__(self, at: float, act: Callable[[], None] | None) -> None:
        self.at = at
        self.act = act

    def cancel(self) -> None:
        """Drop the deadline; harmless when it is spent."""
        self.act = None

    def __lt__(self, other: Timer) -> bool:
        return self.at < other.at


class Timers:
    """Hold deadlines in seconds of a monotonic clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._heap: list[Timer] = []
        self._sweep_at = _SWEEP
        self.on_earlier: Callable[[], Any] | None = None

    def after(self, seconds: float, act: Callable[[], None]) -> Timer:
        """Call `act` once `seconds` have passed."""
        timer = Timer(self._monotonic() + seconds, act)
        if len(self._heap) >= self._sweep_at:  # most timers are cancelled long before they are due
            self._heap = [t for t in self._heap if t.act is not None]
            heapq.heapify(self._heap)
            self._sweep_at = max(_SWEEP, 2 * len(self._heap))
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer and self.on_earlier is not None:
            self.on_earlier()
        return timer

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, None where there is none."""
        while self._heap and self._heap[0].act is None:
            heapq.heappop(self._heap)
        return self._heap[0].at if self._heap else None

    def fire(self) -> None:
        """Call what is due, in order of the deadlines, until nothing more is."""
        while True:
            deadline = self.next_deadline()
            if deadline is None or deadline > self._monotonic():
                return
            timer = heapq.heappop(self._heap)
            act, timer.act = timer.act, None
            if act is not None:
                act()
