"""How often something may be tried: growing pauses with jitter, and budgets of so many in so long."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Backoff:
    """Give pauses that double up to a longest one, each drawn between nothing and its bound ("full jitter")."""

    def __init__(self, first: float, longest: float, random: Callable[[], float]) -> None:
        """Take seconds, and a source of numbers from 0 to 1."""
        self._first = first
        self._longest = longest
        self._random = random
        self._bound = first

    def next(self) -> float:
        """Give the next pause, in seconds."""
        pause = self._random() * self._bound
        self._bound = min(self._longest, self._bound * 2)
        return pause

    def reset(self) -> None:
        """Begin again: it went well."""
        self._bound = self._first


class Budget:
    """Allow so many uses within a span of time; say how long to wait for the next."""

    def __init__(self, uses: int, span: float, now: Callable[[], float]) -> None:
        """Take how many, in how many seconds, and a clock in seconds that never goes back."""
        self._uses = uses
        self._span = span
        self._now = now
        self._taken: deque[float] = deque()

    def wait(self) -> float:
        """Give the seconds until a use is allowed; 0 takes it."""
        now = self._now()
        while self._taken and self._taken[0] <= now - self._span:
            self._taken.popleft()
        if len(self._taken) < self._uses:
            self._taken.append(now)
            return 0.0
        return self._taken[0] + self._span - now
