"""BOOK_IMBALANCE: buy when far more is bid for than offered near the top of the book, sell when it is the other way.

Imbalance is (bids - asks) / (bids + asks), of the quantities at the best levels of either side, from -1 to 1.
Source: Gould and Bonart, "Queue Imbalance as a One-Tick-Ahead Price Predictor in a Limit Order Book" (2016); that more
levels than the first tell more: Cont, Kukanov and Stoikov, "The Price Impact of Order Book Events" (2014).
"""

from __future__ import annotations

from heapq import nlargest, nsmallest
from typing import Annotated

import msgspec
from msgspec import Meta

from barnabas_quant.model.intervals import SECOND
from barnabas_quant.model.money import DecimalText
from barnabas_quant.strategies.base import Strategy, some
from barnabas_quant.strategies.turns import Turn
from barnabas_quant.trading.events import Depth, OrderEvent


class Sides(msgspec.Struct):
    """Hold the book of one instrument, quantities by price, and what was asked for because of it."""

    bids: dict[int, int]
    asks: dict[int, int]
    known: bool = False
    """Whether a whole book has come that the changes since belong to."""
    bought: bool = False
    """Whether a purchase was asked for since the imbalance was last below `exit`."""
    sold: bool = False
    """Whether a sale was asked for since the imbalance was last at `enter`."""
    bought_at: int = 0
    """Time of the last purchase asked for."""

    def apply(self, depth: Depth) -> None:
        """Take a whole book, or what changed."""
        if depth.whole:
            self.bids, self.asks, self.known = {}, {}, True
        for side, changes in ((self.bids, depth.bids), (self.asks, depth.asks)):
            for price, quantity in changes:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)


class BookImbalance(Strategy):
    """Follow the weight of what stands near the top of the book."""

    name = "BOOK_IMBALANCE"
    summary = "buys when the best levels of the book hold far more bids than asks, sells when far more asks"

    class Parameters(Strategy.Parameters):
        """Say how lopsided is enough."""

        levels: Annotated[int, Meta(ge=1, le=100)] = 5
        """Of each side, counted from the best."""
        enter: Annotated[int, Meta(ge=1, le=100)] = 60
        """Imbalance to buy at, in hundredths."""
        exit: Annotated[int, Meta(ge=-100, le=99)] = -20
        """Imbalance to sell at, in hundredths."""
        pause: Annotated[int, Meta(ge=0, le=86_400)] = 5
        """Seconds between two purchases, at least."""
        volume: DecimalText = "0.01"
        """How much to buy at a time: coins."""

        def __post_init__(self) -> None:
            some("volume", self.volume)
            if self.exit >= self.enter:
                raise ValueError(f"exit has to be below enter: {self.exit}, {self.enter}")

    books: dict[str, Sides] = {}
    turns: dict[str, Turn] = {}

    def on_book(self, depth: Depth) -> None:
        key, chosen = depth.instrument, self.parameters
        book = self.books.get(key)
        if book is None:
            book = self.books[key] = Sides({}, {})
        if not (book.known or depth.whole):
            return
        book.apply(depth)
        if not book.bids or not book.asks:
            return
        bids, asks = nlargest(chosen.levels, book.bids), nsmallest(chosen.levels, book.asks)
        if bids[0] >= asks[0]:  # no market is so: a change was missed, and only a whole book can mend that
            book.bids, book.asks, book.known = {}, {}, False
            return
        bid, ask = sum(map(book.bids.__getitem__, bids)), sum(map(book.asks.__getitem__, asks))
        lean, whole = 100 * (bid - ask), bid + ask
        turn, held = self.turns.setdefault(key, Turn()), self.positions.get(key, 0)
        if lean >= chosen.enter * whole:
            book.sold = False
            rested = not book.bought and self.time - book.bought_at >= chosen.pause * SECOND
            if rested and held <= 0 and not turn.open:
                book.bought, book.bought_at = True, self.time
                self.buy(key, some("volume", chosen.volume), asks[0])
        elif lean <= chosen.exit * whole:
            book.bought = False
            if held > 0 and (turn.again or not book.sold) and turn.may_close(held):
                book.sold, turn.again = True, False
                self.sell(key, held, bids[0])

    def on_order(self, order: OrderEvent) -> None:
        self.turns.setdefault(order.instrument, Turn()).hear(order, self.positions.get(order.instrument, 0))
