"""An order book rebuilt from a snapshot and the diffs after it, by the venue's own rules.

Spot: a diff whose last id is not beyond the book is old and dropped; otherwise it must begin at or before the next
id. Futures (diffs that carry the previous update id): a diff that ends before the snapshot is dropped, the first kept
one must span the snapshot's id or name it, each further one must name its predecessor. Anything else is a gap: the book
is wrong from there on and the caller starts over from a new snapshot.
Source: "How to manage a local order book correctly", Binance API documentation, spot and USD-M.
"""

from __future__ import annotations

from collections.abc import Iterable

from barnabas_quant.errors import BookGapError
from barnabas_quant.model.money import total_units, units
from barnabas_quant.model.records import Level, OrderBook


class Book:
    """Keep both sides of a book, price and quantity in units of 10^-8, and the id of its last update."""

    def __init__(self, snapshot: OrderBook) -> None:
        if snapshot.type != "snapshot":
            raise BookGapError(f"{snapshot.symbol}: a book starts from a snapshot, not from a {snapshot.type}")
        self.symbol = snapshot.symbol
        self.last_update_id = snapshot.last_update_id
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self._synchronised = False
        _merge(self.bids, snapshot.bids)
        _merge(self.asks, snapshot.asks)

    def apply(self, diff: OrderBook) -> bool:
        """Apply a diff; answer False for one that is older than the book. Raises BookGapError on a gap."""
        if self._is_old(diff):
            return False
        if not self._follows(diff):
            raise BookGapError(
                f"{self.symbol}: update {diff.first_update_id} to {diff.last_update_id} "
                f"does not follow {self.last_update_id}"
            )
        _merge(self.bids, diff.bids)
        _merge(self.asks, diff.asks)
        self.last_update_id = diff.last_update_id
        self._synchronised = True
        return True

    def best(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give (price, quantity) of the best bid and of the best ask. Raises ValueError on an empty side."""
        bid, ask = max(self.bids), min(self.asks)
        return (bid, self.bids[bid]), (ask, self.asks[ask])

    def _is_old(self, diff: OrderBook) -> bool:
        if diff.previous_update_id is None or self._synchronised:
            return diff.last_update_id <= self.last_update_id
        return diff.last_update_id < self.last_update_id

    def _follows(self, diff: OrderBook) -> bool:
        if diff.previous_update_id is None:
            return diff.first_update_id <= self.last_update_id + 1
        if diff.previous_update_id == self.last_update_id:
            return True
        return not self._synchronised and diff.first_update_id <= self.last_update_id


def _merge(side: dict[int, int], levels: Iterable[Level]) -> None:
    for price, quantity in levels:
        amount = total_units(quantity)
        if amount:
            side[units(price)] = amount
        else:
            side.pop(units(price), None)
