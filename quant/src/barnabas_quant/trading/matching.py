"""The paper venue, one instrument and one account at a time: which orders the market would have filled, when, how much,
at what price.

It believes what the market showed and is pessimistic where it showed nothing:

- An order that can be filled takes what is shown: the best quote up to its size, or level by level where the book is
  known. What is left waits for the next quote (a market or limit order) or goes (IOC, FOK). What was taken of a quote
  or a level is not there a second time until that changes.
- A limit order that rests joins the queue behind what was shown at its price. Trades at its price wear the queue down,
  trades through it fill it; where the quote shows less than stands before it, others have gone.
- Trades without quotes (prices of shares) fill market orders at the next trade's price. A trade at a day's highest
  price fills no purchase that rests there, nor one at the lowest a sale: everybody stands in that queue.
- Of a bar the open is known first. A stop that the open has passed is filled at the open; where a bar touches stop and
  take-profit, the stop was first; a limit is filled where the bar went through it, or opened better. An order that
  arrives inside a bar gets its close, or, resting, nothing of that bar; one that arrives at its end, nothing either.
  Nobody buys in a bar that never left the day's highest price, nor sells in one at the lowest.
- What came after the close waits for the next day.
- A trailing stop is compared with a bar's bad side before it follows the good one.

`participation` bounds what orders take of a trade or a bar; `slippage` makes what they take worse. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from barnabas_quant.model.money import ONE
from barnabas_quant.trading.events import Bar, Print
from barnabas_quant.trading.instruments import share
from barnabas_quant.trading.market import Market
from barnabas_quant.trading.orders import Order, Step


class Owner(Protocol):
    """Be the account whose orders are matched."""

    name: str

    def execute(self, order: Order, price: int, quantity: int, maker: bool, shown: int) -> int:
        """Fill an order at a price, where `shown` was seen; give the quantity that could be paid."""

    def happen(self, order: Order, step: Step, reason: str) -> None:
        """Make a transition of an order, with its reason."""

    def expire(self, order: Order, by: int | None = None) -> None:
        """Let an order for the day go when that is over by a time, or now."""


class MatcherState(msgspec.Struct, kw_only=True):
    """Hold all that a matcher remembers; its orders by their ids, in their order."""

    bids_taken: dict[int, int]
    asks_taken: dict[int, int]
    orders: list[str]


class Matcher:
    """Match the orders of an account in one market."""

    __slots__ = ("_market", "asks_taken", "bids_taken", "orders", "owner")

    def __init__(self, market: Market, owner: Owner) -> None:
        self._market = market
        self.owner = owner
        self.orders: list[Order] = []
        # By price, of what is shown: what orders of this account have taken.
        self.bids_taken: dict[int, int] = {}
        self.asks_taken: dict[int, int] = {}

    def save(self) -> MatcherState:
        """Give all that it remembers."""
        return MatcherState(
            bids_taken=self.bids_taken, asks_taken=self.asks_taken, orders=[order.id for order in self.orders]
        )

    def load(self, state: MatcherState, orders: Mapping[str, Order]) -> None:
        """Take what `save` gave; `orders` are all that are open, by their ids."""
        self.bids_taken, self.asks_taken = state.bids_taken, state.asks_taken
        self.orders = [orders[id] for id in state.orders]

    def arrive(self, order: Order) -> None:
        """Take an order that was accepted, and fill what can be filled at once."""
        market = self._market
        request = order.request
        order.working_price = request.price
        order.trigger = request.trigger
        if request.type == "trailing_stop":
            self._trail(order, market.reference(order))
        self.orders.append(order)
        if order.day is None:
            return
        if order.trigger is not None:
            if not self._triggered(order, market.reference(order)):
                return
            self._pull(order)
        self._begin(order)

    def leave(self, order: Order) -> None:
        """Forget an order that is no longer open."""
        self.orders = [other for other in self.orders if other is not order]

    # Quotes and books

    def match_quote(self) -> None:
        """Fill what the best bid and ask, or the book, now fill."""
        if not self.orders:
            return
        market = self._market
        for order in list(self.orders):
            if not _works(order):
                continue
            if order.trigger is not None:
                if market.printed:  # where trades are told, they trigger
                    continue
                reference = market.reference(order)
                if not self._triggered(order, reference):
                    self._trail(order, reference)
                    continue
                self._pull(order)
                self._begin(order)
            elif not (order.begun or order.rests):  # it came before the first quote, or for a later day
                self._begin(order)
            elif self._crosses(order):
                self._take(order)
            else:
                self._queue(order)

    def _crosses(self, order: Order) -> bool:
        market = self._market
        best = market.best(order)
        if not best:
            return False
        limit = order.working_price
        return limit is None or (limit >= best if order.buys else limit <= best)

    def _queue(self, order: Order) -> None:
        """Follow the queue before a resting order: it is not longer than what is shown."""
        market = self._market
        price = order.working_price
        if price is None:
            return
        best, size = (market.bid, market.bid_size) if order.buys else (market.ask, market.ask_size)
        if market.booked:
            shown = (market.bids if order.buys else market.asks).get(price, 0)
        elif price == best:
            if not size:  # it stands there, nobody knows how much
                return
            shown = size
        elif best and (price > best if order.buys else price < best):
            shown = 0
        else:
            return  # behind the best price, and nobody says what stands there
        if order.ahead is None or shown < order.ahead:
            order.ahead = shown

    def _begin(self, order: Order) -> None:
        """Work an order that has arrived or was triggered: take what is there, and rest with what is left."""
        market, tif = self._market, order.request.time_in_force
        if not market.quoted:  # the next quote, trade or bar decides
            limit = order.working_price
            rests = limit is not None and bool(market.last) and not self._within(order, market.last)
            order.rests = rests and tif not in ("IOC", "FOK")
            return
        order.begun = True
        if self._crosses(order):
            if tif == "FOK" and self._shown(order) < order.remaining:
                self.owner.happen(order, "cancel", "FOK: it cannot be filled whole")
                return
            self._take(order)
        if order.is_open:
            self._stay(order)
        if order.is_open:
            self._queue(order)

    def _stay(self, order: Order) -> None:
        """Let what could not be filled at once rest in the book, or go."""
        if (tif := order.request.time_in_force) in ("IOC", "FOK"):
            self.owner.happen(order, "cancel", f"{tif}: the rest cannot be filled at once")
        order.rests = order.working_price is not None

    def _shown(self, order: Order) -> int:
        market = self._market
        if market.booked:
            return sum(quantity for _, quantity in self._levels(order))
        return self._there(order)

    def _there(self, order: Order) -> int:
        """Give what is left of the best quote; all that is wanted where nobody knows its size."""
        market = self._market
        best, size = (market.ask, market.ask_size) if order.buys else (market.bid, market.bid_size)
        return size - self._taken(order).get(best, 0) if size else order.remaining

    def _taken(self, order: Order) -> dict[int, int]:
        return self.asks_taken if order.buys else self.bids_taken

    def _levels(self, order: Order) -> list[tuple[int, int]]:
        """Give the levels that an order may take, the best first, without what was taken of them."""
        market = self._market
        limit, buys = order.working_price, order.buys
        side = market.asks if buys else market.bids
        prices = sorted(side, reverse=not buys)
        taken = self._taken(order)
        return [
            (price, max(0, side[price] - taken.get(price, 0)))
            for price in prices
            if limit is None or (price <= limit if buys else price >= limit)
        ]

    def _take(self, order: Order) -> None:
        """Fill an order that crosses the best quote; one that rested gets its own price."""
        market = self._market
        if market.booked:
            for price, quantity in self._levels(order):
                if not order.is_open:
                    return
                if quantity:
                    shown = self._own_price(order, price)
                    self._took(order, price, self._fill(order, shown, min(quantity, order.remaining)))
            return
        there = self._there(order)
        if there > 0:
            best = market.best(order)
            self._took(order, best, self._fill(order, self._own_price(order, best), min(there, order.remaining)))

    def _took(self, order: Order, price: int, quantity: int) -> None:
        taken = self._taken(order)
        taken[price] = taken.get(price, 0) + quantity

    # Trades

    def match_print(self, event: Print) -> None:
        """Fill what a trade fills."""
        if not self.orders:
            return
        market = self._market
        price, size = event.price, event.size
        bounded = bool(size and market.model.participation)
        left = self._part(size) if bounded else 0
        for order in list(self.orders):
            if not _works(order):
                continue
            if order.trigger is not None:
                if not self._triggered(order, price):
                    self._trail(order, price)
                    continue
                self._pull(order)
                if market.quoted:
                    self._begin(order)
                    continue
            quantity = self._printed(order, event, left if bounded else order.remaining)
            if quantity > 0:
                left -= self._fill(order, self._own_price(order, price), quantity)
            if order.is_open and not market.quoted:
                self._stay(order)

    def _part(self, size: int) -> int:
        """Give what orders may take of a size, in whole lots (shares, where parts of lots are traded)."""
        market = self._market
        step = ONE if market.instrument.odd_lots_sold else market.instrument.lot
        return size if market.model.participation == ONE else share(size, market.model.participation) // step * step

    def _printed(self, order: Order, event: Print, most: int) -> int:
        """Give how much of an order a trade fills."""
        market = self._market
        price, wanted = event.price, min(order.remaining, most)
        if not order.rests:
            fills = not market.quoted and self._within(order, price) and not market.at_limit(order, price)
            if fills and order.request.time_in_force == "FOK" and wanted < order.remaining:
                return 0
            return wanted if fills else 0
        if price != order.working_price:
            return wanted if self._within(order, price) else 0  # it went through
        if market.at_limit(order, price) or (event.sold is not None and event.sold != order.buys):
            return 0  # nobody was served, or the other side of the book was taken
        if not event.size:
            return wanted
        if order.ahead is None:  # nobody showed what stands there: as much as is traded now, once
            order.ahead = event.size
        passed = event.size - order.ahead
        order.ahead = max(0, -passed)
        return min(wanted, max(0, passed))

    # Bars

    def match_bar(self, bar: Bar) -> None:
        """Fill what a bar fills."""
        if not self.orders:
            return
        market = self._market
        left = self._part(bar.volume) if market.model.participation else 0
        if market.model.participation and not left:
            return
        # Where one bar touches a stop and what would have been a gain, the stop was first.
        for order in sorted(self.orders, key=lambda each: each.request.type not in ("stop", "trailing_stop")):
            if not _works(order) or order.arrives >= bar.time:
                continue
            price = self._bar_price(order, bar)
            if price is not None and not self._sealed(order, bar):
                wanted = min(order.remaining, left) if market.model.participation else order.remaining
                if wanted and not (order.request.time_in_force == "FOK" and wanted < order.remaining):
                    left -= self._fill(order, price, wanted)
            if order.is_open and order.trigger is None:
                self._stay(order)

    def _sealed(self, order: Order, bar: Bar) -> bool:
        market = self._market
        if not market.high_limit:
            return False
        return bar.low >= market.high_limit if order.buys else bar.high <= market.low_limit

    def _bar_price(self, order: Order, bar: Bar) -> int | None:
        """Give the price at which a bar fills an order; None where it does not. Pulls triggers."""
        inside = order.arrives > bar.begin
        begin = bar.close if inside else bar.open
        good, bad = (bar.low, bar.high) if order.buys else (bar.high, bar.low)
        if order.trigger is not None:
            if inside:
                good = bad = bar.close
            if not self._triggered(order, good if order.request.type == "take_profit" else bad):
                self._trail(order, good)
                return None
            trigger = order.trigger
            passed = self._triggered(order, begin)
            self._pull(order)
            begin = begin if passed else trigger
            # A stop-limit whose limit lies before the price rests from the next bar on.
            return begin if self._within(order, begin) else None
        limit = order.working_price
        if limit is None:
            return begin
        if order.rests and inside:
            return None
        if order.rests and (good < limit if order.buys else good > limit):
            # In the book before the bar: at its own price, or better where the bar opened better.
            return min(limit, begin) if order.buys else max(limit, begin)
        if self._within(order, begin):
            return begin
        return limit if not inside and (good < limit if order.buys else good > limit) else None

    def _within(self, order: Order, price: int) -> bool:
        limit = order.working_price
        return limit is None or (price <= limit if order.buys else price >= limit)

    # Triggers

    def _triggered(self, order: Order, price: int) -> bool:
        rising = order.buys == (order.request.type != "take_profit")
        if order.trigger is None or not price:
            return False
        return price >= order.trigger if rising else price <= order.trigger

    def _trail(self, order: Order, price: int) -> None:
        market = self._market
        request = order.request
        if request.type != "trailing_stop" or not price:
            return
        best = order.best
        if best is None or (price < best if order.buys else price > best):
            order.best = price
            away = request.trail if request.trail is not None else share(price, request.trail_rate or 0)
            tick = market.instrument.tick
            order.trigger = max(tick, (price + away if order.buys else price - away) // tick * tick)

    def _pull(self, order: Order) -> None:
        order.trigger = None
        self.owner.happen(order, "trigger", "")

    # Fills

    def _own_price(self, order: Order, shown: int) -> int:
        """Give the price at which a quote or a trade fills an order: what rests gets its own."""
        return order.working_price if order.rests and order.working_price is not None else shown

    def _fill(self, order: Order, price: int, quantity: int) -> int:
        """Fill what rests at the price given, a taker at a worse one within its limit; give the quantity."""
        market = self._market
        if order.rests:
            return self.owner.execute(order, price, quantity, True, price)
        limit, paid = order.working_price, market.worse(price, order.buys)
        if limit is not None:
            paid = min(paid, limit) if order.buys else max(paid, limit)
        if market.high_limit:
            paid = min(max(paid, market.low_limit), market.high_limit)
        return self.owner.execute(order, paid, quantity, False, price)


def _works(order: Order) -> bool:
    """Tell whether the market can do something to an order now: it is open, and its day has come."""
    return order.is_open and order.day is not None
