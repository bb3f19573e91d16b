"""Whether the partition of a group is surely ours: no I/O, no clock.

A group tells a member that it has lost its partition; one that was held up (a suspended machine) hears of it late. So
who has not looked at the group for a while holds nothing, and afterwards only once heartbeats have had time to fail.
"""

from __future__ import annotations

HELD_UP = 3.0
"""Seconds between two looks after which the group may have gone on without us: half of a session."""

SURE = 4.0
"""Seconds after being held up in which two heartbeats have been answered."""


class Tenure:
    """Hold since which end of the topic it is ours."""

    def __init__(self) -> None:
        self._since: int | None = None
        self._looked: float | None = None
        self._sure_at = 0.0

    def look(self, now: float, mine: bool) -> bool:
        """Note that the group was looked at, and what it said; answer whether the topic's end is wanted for `begin`."""
        if self._looked is not None and now - self._looked >= HELD_UP:
            self._since, self._sure_at = None, now + SURE
        self._looked = now
        if not mine:
            self._since = None
        return mine and self._since is None and now >= self._sure_at

    def begin(self, end: int | None) -> None:
        """Begin, where the topic ended at `end` after it had come to us; None: that is not known yet."""
        self._since = end

    def end(self) -> None:
        """Give it up."""
        self._since = None

    def holds(self, now: float, known_to: int) -> bool:
        """Tell whether it is ours, and all known that stood before."""
        if self._since is None or self._looked is None:
            return False
        return known_to >= self._since and now - self._looked < HELD_UP
