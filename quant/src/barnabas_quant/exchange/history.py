"""What the REST interface of a venue answers from: of each symbol the book, the last quote, trades and bars.

All of it comes from the frames played so far. The book starts from the snapshot that the source holds and follows the
diffs; where a diff does not follow, there is no book until the next snapshot.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from barnabas_quant.exchange.book import LevelBook
from barnabas_quant.exchange.klines import Klines
from barnabas_quant.exchange.messages import (
    AnyAggregate,
    AnyDepth,
    AnyQuote,
    AnyTrade,
    Level,
    Places,
    Snapshot,
)
from barnabas_quant.exchange.settings import Retention
from barnabas_quant.model import units

Item = TypeVar("Item")

_RECENT = 1000  # diffs kept while there is no book yet


class Shelf(Generic[Item]):
    """Keep the newest items, `limit` of them and up to a quarter more, in the order of their rising ids."""

    def __init__(self, limit: int, id_of: Callable[[Item], int]) -> None:
        self._items: list[Item] = []
        self._limit = limit
        self._id_of = id_of

    def add(self, item: Item) -> None:
        """Put an item on the shelf; older ones fall off."""
        self._items.append(item)
        if len(self._items) > self._limit * 5 // 4 + 1:  # not one by one: that would move the whole list each time
            del self._items[: len(self._items) - self._limit]

    def newest(self, limit: int) -> list[Item]:
        """Give the newest items, oldest first."""
        return self._items[max(0, len(self._items) - limit) :]

    def since(self, first: int, limit: int) -> list[Item]:
        """Give items from an id on."""
        at = bisect_left(self._items, first, key=self._id_of)
        return self._items[at : at + limit]

    def before(self, end: int, limit: int) -> list[Item]:
        """Give the newest items below an id, oldest first."""
        at = bisect_left(self._items, end, key=self._id_of)
        return self._items[max(0, at - limit) : at]

    def within(self, start: int, end: int | None, limit: int, time_of: Callable[[Item], int]) -> list[Item]:
        """Give items by their time, both ends included; times never fall."""
        at = bisect_left(self._items, start, key=time_of)
        found = self._items[at : at + limit]
        return found if end is None else [item for item in found if time_of(item) <= end]

    @property
    def oldest(self) -> int | None:
        """Give the id of the oldest item."""
        return self._id_of(self._items[0]) if self._items else None


class History:
    """Keep what was played of one symbol."""

    def __init__(self, symbol: str, places: Places, steps: Places, retention: Retention) -> None:
        self.symbol = symbol
        self.places = places
        """Decimal places that amounts are written with."""
        self.steps = steps
        """Decimal places of the smallest step of a price and of a quantity."""
        self.trades: Shelf[AnyTrade] = Shelf(retention.trades, lambda trade: trade.trade_id)
        self.aggregates: Shelf[AnyAggregate] = Shelf(retention.trades, lambda trade: trade.aggregate_id)
        self.klines = Klines(symbol, places, retention.minutes, retention.seconds)
        self.quote: AnyQuote | None = None
        self.price: str | None = None
        self.price_time = 0
        self.book: LevelBook | None = None
        self.book_time = 0
        self._recent: deque[AnyDepth] = deque(maxlen=_RECENT)

    def add_trade(self, trade: AnyTrade) -> None:
        """Keep a trade."""
        self.trades.add(trade)
        self.price, self.price_time = trade.price, trade.trade_time
        self.klines.add(
            trade.trade_time, units(trade.price), units(trade.quantity), trade.buyer_is_maker,
            trade.trade_id, trade.trade_id,
        )  # fmt: skip

    def add_aggregate(self, trade: AnyAggregate, *, alone: bool) -> None:
        """Keep an aggregate; `alone`: the source tells no single trades, so bars come from aggregates."""
        self.aggregates.add(trade)
        if alone:
            self.price, self.price_time = trade.price, trade.trade_time
            self.klines.add(
                trade.trade_time, units(trade.price), units(trade.quantity), trade.buyer_is_maker,
                trade.first, trade.last,
            )  # fmt: skip

    def add_snapshot(self, snapshot: Snapshot) -> None:
        """Start the book, unless there is one."""
        if self.book is not None:
            return
        self.book = LevelBook(snapshot)
        self.book_time = snapshot.event_time or self.book_time
        for diff in self._recent:
            self._apply(diff)
        self._recent.clear()

    def add_depth(self, depth: AnyDepth) -> None:
        """Bring the book up to date."""
        self.book_time = depth.event_time
        if self.book is None:
            self._recent.append(depth)
        else:
            self._apply(depth)

    def levels(self, limit: int) -> tuple[list[Level], list[Level]] | None:
        """Give the best levels of both sides; None where there is no book."""
        return None if self.book is None else self.book.levels(limit)

    def _apply(self, diff: AnyDepth) -> None:
        if self.book is not None and not self.book.apply(diff):
            self.book = None
