"""The exchange's own book of a symbol: levels as text, by the venue's rules for update ids.

It shares no code with the book that a feed rebuilds (model/book.py), so that one can be held against the other. Diffs
are only noted; levels are sorted, and those at zero dropped, when somebody asks.
"""

from __future__ import annotations

from barnabas_quant.exchange.messages import AnyDepth, FuturesDepth, Level, Snapshot
from barnabas_quant.model import units

_UNTIDY = 20_000  # levels a side that are tolerated before those at zero are dropped


class LevelBook:
    """Keep both sides from a snapshot on."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.last = snapshot.last
        self._bids = dict(snapshot.bids)
        self._asks = dict(snapshot.asks)
        self._synchronised = False

    def apply(self, diff: AnyDepth) -> bool:
        """Note a diff, or pass over an old one; answer False where it does not follow: the book is lost."""
        if isinstance(diff, FuturesDepth):
            if diff.last < self.last or (self._synchronised and diff.last == self.last):
                return True
            if not (diff.previous == self.last if self._synchronised else diff.first <= self.last):
                return False
        elif diff.last <= self.last:
            return True
        elif diff.first > self.last + 1:
            return False
        self._bids.update(diff.bids)
        self._asks.update(diff.asks)
        self.last = diff.last
        self._synchronised = True
        if len(self._bids) > _UNTIDY or len(self._asks) > _UNTIDY:
            self._bids, self._asks = _tidy(self._bids), _tidy(self._asks)
        return True

    def levels(self, limit: int) -> tuple[list[Level], list[Level]]:
        """Give the best levels of bids and asks."""
        self._bids, self._asks = _tidy(self._bids), _tidy(self._asks)
        bids = sorted(self._bids.items(), key=_price, reverse=True)
        return bids[:limit], sorted(self._asks.items(), key=_price)[:limit]


def _price(level: Level) -> int:
    return units(level[0])


def _tidy(side: dict[str, str]) -> dict[str, str]:
    return {price: quantity for price, quantity in side.items() if quantity.strip("0.")}
