"""Decide which records of several partitions are shown, and where a scan goes on: no I/O.

Records are ordered by time, then partition, then offset. `Merge` keeps the first so many in that order (or the last,
for newest), within a budget of bytes, and remembers of each partition the nearest record that it let go, so that the
next page begins there.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

Order = tuple[int, int, int]
"""Time in milliseconds, partition, offset."""


class Merge:
    """Keep the records that come first, or last where `newest`, `limit` of them within `budget` bytes."""

    def __init__(self, limit: int, budget: int, *, newest: bool) -> None:
        self._limit, self._budget, self._newest = limit, budget, newest
        self._heap: list[tuple[Order, bytes]] = []
        self._dropped: dict[int, int] = {}
        self.bytes = 0
        """What it holds."""
        self.is_cut = False
        """Whether the budget made it hold fewer than it should."""

    def copy(self) -> Merge:
        """Return another that holds the same."""
        made = Merge(self._limit, self._budget, newest=self._newest)
        made._heap, made._dropped = self._heap.copy(), self._dropped.copy()
        made.bytes, made.is_cut = self.bytes, self.is_cut
        return made

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, order: Order, line: bytes) -> None:
        """Take a record; what comes last in the order goes where there are too many."""
        self._push(order, line)
        while len(self._heap) > self._limit or (self.bytes > self._budget and len(self._heap) > 1):
            if len(self._heap) <= self._limit:
                self._limit = len(self._heap) - 1
                self.is_cut = True
            order, line = heapq.heappop(self._heap)
            order = self._turned(order)
            self.bytes -= len(line)
            self._drop(order[1], order[2])

    def _push(self, order: Order, line: bytes) -> None:
        self.bytes += len(line)
        heapq.heappush(self._heap, (self._turned(order), line))

    def _turned(self, order: Order) -> Order:
        return order if self._newest else (-order[0], -order[1], -order[2])

    def _drop(self, partition: int, offset: int) -> None:
        before = self._dropped.get(partition, offset)
        self._dropped[partition] = max(before, offset) if self._newest else min(before, offset)

    @property
    def is_full(self) -> bool:
        """Tell whether it holds as many as it may."""
        return len(self._heap) >= self._limit

    @property
    def floor(self) -> int | None:
        """Return the time of the one that would go next, None where there is none."""
        return self._turned(self._heap[0][0])[0] if self._heap else None

    def take(self, after: int | None = None) -> list[bytes]:
        """Return what it holds, in order, and forget it; of newest: only what is later than a time."""
        kept = [one for one in self._heap if after is not None and one[0][0] <= after]
        taken = [one for one in self._heap if after is None or one[0][0] > after]
        self._heap = kept
        heapq.heapify(self._heap)
        self._limit -= len(taken)
        self.bytes -= sum(len(line) for _, line in taken)
        return [line for _, line in sorted(taken, reverse=True)]

    def next_of(self, scanned: Mapping[int, int]) -> dict[int, int]:
        """Return where each partition goes on, given up to where it was scanned: what was let go comes again."""
        found = dict(scanned)
        for partition, offset in self._dropped.items():
            found[partition] = offset + 1 if self._newest else offset
        return found


def chunk(partitions: int, left: int, number: int, *, filtered: bool) -> int:
    """Return how many offsets of each partition a round reads: more from round to round while little is found.

    `left`: records that are still wanted; `number`: rounds that were.
    """
    first = 1000 if filtered else min(left, 5000)
    share: int = -(-first // max(1, partitions))
    return max(1, min(share << 2 * min(number, 10), 50_000))
