"""The paper venue, one instrument at a time: which orders the market would have filled, when, how much, at what price.

It believes what the market showed and is pessimistic where it showed nothing:

- An order that can be filled takes what is shown: the best quote up to its size, or level by level where the book is
  known. What is left waits for the next quote (a market or limit order) or goes (IOC, FOK). What was taken of a quote
  or a level is not there a second time until that changes.
- A limit order that rests joins the queue behind what was shown at its price. Trades at its price wear the queue down,
  trades through it fill it; where the quote shows less than stands before it, others have gone.
- Trades without quotes (prices of shares) fill market orders at the next trade's price. A trade at a day's highest
  price fills no purchase that rests there, nor one at the lowest a sale: everybody stands in that queue.
- Bars fill orders only where neither quotes nor trades are told: the finest that the market tells decides.
- Of a bar the open is known first. A stop that the open has passed is filled at the open; where a bar touches stop and
  take-profit, the stop was first; a limit is filled where the bar went through it, or opened better. An order that
  arrives inside a bar gets its close, or, resting, nothing of that bar; one that arrives at its end, nothing either.
  Nobody buys in a bar that never left the day's highest price, nor sells in one at the lowest.
- While an instrument is suspended nothing is filled; what came after the close waits for the next day.
- A trailing stop is compared with a bar's bad side before it follows the good one.

`participation` bounds what orders take of a trade or a bar; `slippage` makes what they take worse. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from barnabas_quant.model.money import ONE
from barnabas_quant.trading.events import Bar, Depth, Print, Quote, Session
from barnabas_quant.trading.instruments import Instrument, notional, share
from barnabas_quant.trading.orders import Order, Step


class VenueModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how good the paper venue is to its customers."""

    latency: int = 0
    """Microseconds from an order to the venue, and from a cancellation."""
    slippage_ticks: int = 0
    slippage_rate: int = 0
    """What a taker's price is worse than the one shown: ticks, and a rate (10^-8) of the price."""
    participation: int = ONE
    """Share (10^-8) of a trade's size or a bar's volume that orders may take; 0: any quantity."""


_PLAIN = ("bid", "bid_size", "ask", "ask_size", "last", "time", "bids", "asks", "quoted", "printed", "booked",
          "suspended", "low_limit", "high_limit")  # fmt: skip

Execute = Callable[[Order, int, int, bool, int], int]
"""Fill an order: price, quantity, whether as maker, the price that was shown. Gives the quantity that could be paid."""

Happen = Callable[[Order, Step, str], None]
"""Make a transition of an order, with its reason."""


class MarketState(msgspec.Struct, kw_only=True):
    """Hold all that a market remembers, to be written and read back; its orders by their ids, in their order."""

    bid: int
    bid_size: int
    ask: int
    ask_size: int
    last: int
    time: int
    bids: dict[int, int]
    asks: dict[int, int]
    quoted: bool
    printed: bool
    booked: bool
    suspended: bool
    low_limit: int
    high_limit: int
    bids_taken: dict[int, int]
    asks_taken: dict[int, int]
    orders: list[str]


class Market:
    """Hold what the market of one instrument shows, and the orders that wait in it."""

    __slots__ = (
        "_asks_taken",
        "_bids_taken",
        "_execute",
        "_happen",
        "_model",
        "ask",
        "ask_size",
        "asks",
        "bid",
        "bid_size",
        "bids",
        "booked",
        "high_limit",
        "instrument",
        "last",
        "low_limit",
        "orders",
        "printed",
        "quoted",
        "suspended",
        "time",
    )  # fmt: skip

    def __init__(self, instrument: Instrument, model: VenueModel, execute: Execute, happen: Happen) -> None:
        self.instrument = instrument
        self._model = model
        self._execute = execute
        self._happen = happen
        self.bid = self.bid_size = self.ask = self.ask_size = self.last = self.time = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.quoted = self.printed = self.booked = self.suspended = False
        self.low_limit = self.high_limit = 0
        self.orders: list[Order] = []
        # By price, of what is shown: what our own orders have taken.
        self._bids_taken: dict[int, int] = {}
        self._asks_taken: dict[int, int] = {}

    def save(self) -> MarketState:
        """Give all that it remembers."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return MarketState(
            **plain, bids_taken=self._bids_taken, asks_taken=self._asks_taken, orders=[o.id for o in self.orders]
        )

    def load(self, state: MarketState, orders: Mapping[str, Order]) -> None:
        """Take what `save` gave; `orders` are all that are open, by their ids."""
        for name in _PLAIN:
            setattr(self, name, getattr(state, name))
        self._bids_taken, self._asks_taken = state.bids_taken, state.asks_taken
        self.orders = [orders[id] for id in state.orders]

    # What the market tells

    def quote(self, event: Quote) -> None:
        self._see_quote(event.time, event.bid, event.bid_size, event.ask, event.ask_size)

    def print(self, event: Print) -> None:
        self.time = event.time
        self.last = event.price
        self.printed = True
        if self.orders and not self.suspended:
            self._match_print(event)

    def bar(self, event: Bar) -> None:
        self.time = event.time
        if self.quoted or self.printed:
            return
        if self.orders and not self.suspended:
            self._match_bar(event)
        self.last = event.close

    def depth(self, event: Depth) -> None:
        if event.whole:
            bids, asks = dict(event.bids), dict(event.asks)
            for taken, old, new in ((self._bids_taken, self.bids, bids), (self._asks_taken, self.asks, asks)):
                for price in [price for price in taken if old.get(price) != new.get(price)]:
                    del taken[price]
            self.bids, self.asks, self.booked = bids, asks, True
        elif not self.booked:
            return
        else:
            for side, taken, levels in (
                (self.bids, self._bids_taken, event.bids),
                (self.asks, self._asks_taken, event.asks),
            ):
                for price, quantity in levels:
                    if quantity != side.get(price):
                        taken.pop(price, None)
                    if quantity:
                        side[price] = quantity
                    else:
                        side.pop(price, None)
        bid, ask = max(self.bids, default=0), min(self.asks, default=0)
        self._see_quote(event.time, bid, self.bids.get(bid, 0), ask, self.asks.get(ask, 0))

    def session(self, event: Session) -> None:
        self.time = event.time
        self.suspended = event.suspended
        if event.close and self.instrument.price_limit:
            self.low_limit, self.high_limit = self.instrument.limits(event.close)

    # What orders ask

    def refuses(self, order: Order) -> str:
        """Say why the venue refuses an order; empty where it does not."""
        request, instrument = order.request, self.instrument
        if self.suspended:
            return "trading is suspended"
        if request.type == "trailing_stop" and not self._reference(order):
            return "the market shows no price to follow"
        worth = notional(self.price_at_most(order), request.quantity)
        if 0 < worth < instrument.least and not request.reduce_only:
            return f"notional: {worth} units, at least {instrument.least} are needed"
        if instrument.most and request.quantity > instrument.most:
            return f"quantity: above {instrument.most} units"
        for name, price in (("price", request.price), ("trigger", request.trigger)):
            if price is None:
                continue
            if price % instrument.tick:
                return f"{name}: not a multiple of the tick, {instrument.tick} units"
            if self.high_limit and not self.low_limit <= price <= self.high_limit:
                return f"{name}: outside of the day's limits, {self.low_limit} to {self.high_limit} units"
        return ""

    def price_at_most(self, order: Order) -> int:
        """Give the price that an order may cost at most, as far as can be known; 0 where nothing is."""
        request = order.request
        if request.price is not None:
            # A futures sale may be filled above its limit, and keep more margin then.
            return max(request.price, self.bid) if self.instrument.leverage and not order.buys else request.price
        seen = max(self.ask if order.buys else self.bid, self.last, request.trigger or 0)
        if not seen or not order.buys:
            return seen
        return self._worse(seen, True)

    def arrive(self, order: Order) -> None:
        """Take an order that was accepted, and fill what can be filled at once."""
        request = order.request
        order.working_price = request.price
        order.trigger = request.trigger
        if request.type == "trailing_stop":
            self._trail(order, self._reference(order))
        self.orders.append(order)
        if order.day is None:
            return
        if order.trigger is not None:
            if not self._triggered(order, self._reference(order)):
                return
            self._pull(order)
        self._begin(order)

    def leave(self, order: Order) -> None:
        """Forget an order that is no longer open."""
        self.orders = [other for other in self.orders if other is not order]

    # Quotes and books

    def _see_quote(self, time: int, bid: int, bid_size: int, ask: int, ask_size: int) -> None:
        self.time = time
        if not self.booked:
            if bid != self.bid or bid_size != self.bid_size:
                self._bids_taken.clear()
            if ask != self.ask or ask_size != self.ask_size:
                self._asks_taken.clear()
        self.bid, self.bid_size, self.ask, self.ask_size = bid, bid_size, ask, ask_size
        self.quoted = True
        if self.orders and not self.suspended:
            self._match_quote()

    def _match_quote(self) -> None:
        for order in list(self.orders):
            if not _works(order):
                continue
            if order.trigger is not None:
                if self.printed:  # where trades are told, they trigger
                    continue
                reference = self._reference(order)
                if not self._triggered(order, reference):
                    self._trail(order, reference)
                    continue
                self._pull(order)
                self._begin(order)
                continue
            if self._crosses(order):
                self._take(order)
            else:
                self._queue(order)

    def _crosses(self, order: Order) -> bool:
        best = self.ask if order.buys else self.bid
        if not best:
            return False
        limit = order.working_price
        return limit is None or (limit >= best if order.buys else limit <= best)

    def _queue(self, order: Order) -> None:
        """Follow the queue before a resting order: it is not longer than what is shown."""
        price = order.working_price
        if price is None:
            return
        best, size = (self.bid, self.bid_size) if order.buys else (self.ask, self.ask_size)
        if self.booked:
            shown = (self.bids if order.buys else self.asks).get(price, 0)
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
        if not self.quoted:  # the next trade or bar decides
            limit = order.working_price
            order.rests = limit is not None and bool(self.last) and not self._within(order, self.last)
            return
        tif = order.request.time_in_force
        if self._crosses(order):
            if tif == "FOK" and self._shown(order) < order.remaining:
                self._happen(order, "cancel", "FOK: it cannot be filled whole")
                return
            self._take(order)
        if order.is_open and tif in ("IOC", "FOK"):
            self._happen(order, "cancel", f"{tif}: the rest cannot be filled at once")
        elif order.is_open:
            order.rests = order.working_price is not None
            self._queue(order)

    def _shown(self, order: Order) -> int:
        if self.booked:
            return sum(quantity for _, quantity in self._levels(order))
        return self._there(order)

    def _there(self, order: Order) -> int:
        """Give what is left of the best quote; all that is wanted where nobody knows its size."""
        best, size = (self.ask, self.ask_size) if order.buys else (self.bid, self.bid_size)
        return size - self._taken(order).get(best, 0) if size else order.remaining

    def _taken(self, order: Order) -> dict[int, int]:
        return self._asks_taken if order.buys else self._bids_taken

    def _levels(self, order: Order) -> list[tuple[int, int]]:
        """Give the levels that an order may take, the best first, without what was taken of them."""
        limit, buys = order.working_price, order.buys
        side = self.asks if buys else self.bids
        prices = sorted(side, reverse=not buys)
        taken = self._taken(order)
        return [
            (price, max(0, side[price] - taken.get(price, 0)))
            for price in prices
            if limit is None or (price <= limit if buys else price >= limit)
        ]

    def _take(self, order: Order) -> None:
        """Fill an order that crosses the best quote; one that rested gets its own price."""
        if self.booked:
            for price, quantity in self._levels(order):
                if not order.is_open:
                    return
                if quantity:
                    shown = self._own_price(order, price)
                    self._took(order, price, self._fill(order, shown, min(quantity, order.remaining)))
            return
        there = self._there(order)
        if there > 0:
            best = self.ask if order.buys else self.bid
            self._took(order, best, self._fill(order, self._own_price(order, best), min(there, order.remaining)))

    def _took(self, order: Order, price: int, quantity: int) -> None:
        taken = self._taken(order)
        taken[price] = taken.get(price, 0) + quantity

    # Trades

    def _match_print(self, event: Print) -> None:
        price, size = event.price, event.size
        bounded = bool(size and self._model.participation)
        left = self._part(size) if bounded else 0
        for order in list(self.orders):
            if not _works(order):
                continue
            if order.trigger is not None:
                if not self._triggered(order, price):
                    self._trail(order, price)
                    continue
                self._pull(order)
                if self.quoted:
                    self._begin(order)
                    continue
            quantity = self._printed(order, event, left if bounded else order.remaining)
            if quantity > 0:
                left -= self._fill(order, self._own_price(order, price), quantity)
            if order.is_open and not self.quoted:
                if order.request.time_in_force in ("IOC", "FOK"):
                    self._happen(order, "cancel", f"{order.request.time_in_force}: the rest cannot be filled at once")
                order.rests = order.working_price is not None

    def _part(self, size: int) -> int:
        """Give what orders may take of a size, in whole lots (shares, where parts of lots are traded)."""
        step = ONE if self.instrument.odd_lots_sold else self.instrument.lot
        return size if self._model.participation == ONE else share(size, self._model.participation) // step * step

    def _printed(self, order: Order, event: Print, most: int) -> int:
        """Give how much of an order a trade fills."""
        price, wanted = event.price, min(order.remaining, most)
        if not order.rests:
            fills = not self.quoted and self._within(order, price) and not self._at_limit(order, price)
            if fills and order.request.time_in_force == "FOK" and wanted < order.remaining:
                return 0
            return wanted if fills else 0
        if price != order.working_price:
            return wanted if self._within(order, price) else 0  # it went through
        if self._at_limit(order, price) or (event.sold is not None and event.sold != order.buys):
            return 0  # nobody was served, or the other side of the book was taken
        if not event.size:
            return wanted
        if order.ahead is None:  # nobody showed what stands there: as much as is traded now, once
            order.ahead = event.size
        passed = event.size - order.ahead
        order.ahead = max(0, -passed)
        return min(wanted, max(0, passed))

    def _at_limit(self, order: Order, price: int) -> bool:
        return bool(self.high_limit) and price == (self.high_limit if order.buys else self.low_limit)

    # Bars

    def _match_bar(self, bar: Bar) -> None:
        left = self._part(bar.volume) if self._model.participation else 0
        if self._model.participation and not left:
            return
        # Where one bar touches a stop and what would have been a gain, the stop was first.
        for order in sorted(self.orders, key=lambda each: each.request.type not in ("stop", "trailing_stop")):
            if not _works(order) or order.arrives >= bar.time:
                continue
            price = self._bar_price(order, bar)
            if price is not None and not self._sealed(order, bar):
                wanted = min(order.remaining, left) if self._model.participation else order.remaining
                if wanted and not (order.request.time_in_force == "FOK" and wanted < order.remaining):
                    left -= self._fill(order, price, wanted)
            if order.is_open and order.trigger is None:
                if order.request.time_in_force in ("IOC", "FOK"):
                    self._happen(order, "cancel", f"{order.request.time_in_force}: the rest cannot be filled at once")
                order.rests = order.working_price is not None

    def _sealed(self, order: Order, bar: Bar) -> bool:
        if not self.high_limit:
            return False
        return bar.low >= self.high_limit if order.buys else bar.high <= self.low_limit

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
        if order.rests and not inside and (good < limit if order.buys else good > limit):
            # In the book before the bar: at its own price, or better where the bar opened better.
            return min(limit, begin) if order.buys else max(limit, begin)
        if self._within(order, begin):
            return begin
        return limit if not inside and (good < limit if order.buys else good > limit) else None

    def _within(self, order: Order, price: int) -> bool:
        limit = order.working_price
        return limit is None or (price <= limit if order.buys else price >= limit)

    # Triggers

    def _reference(self, order: Order) -> int:
        """Give the price that triggers are held against: the last trade's, or the quote where trades are not told."""
        best = self.ask if order.buys else self.bid
        return best if self.quoted and not self.printed else self.last or best

    def _triggered(self, order: Order, price: int) -> bool:
        rising = order.buys == (order.request.type != "take_profit")
        if order.trigger is None or not price:
            return False
        return price >= order.trigger if rising else price <= order.trigger

    def _trail(self, order: Order, price: int) -> None:
        request = order.request
        if request.type != "trailing_stop" or not price:
            return
        best = order.best
        if best is None or (price < best if order.buys else price > best):
            order.best = price
            away = request.trail if request.trail is not None else share(price, request.trail_rate or 0)
            tick = self.instrument.tick
            order.trigger = max(tick, (price + away if order.buys else price - away) // tick * tick)

    def _pull(self, order: Order) -> None:
        order.trigger = None
        self._happen(order, "trigger", "")

    # Fills

    def _worse(self, price: int, buys: bool) -> int:
        tick = self.instrument.tick
        away = self._model.slippage_ticks * tick + -(-share(price, self._model.slippage_rate) // tick) * tick
        return price + away if buys else max(tick, price - away)

    def _own_price(self, order: Order, shown: int) -> int:
        """Give the price at which a quote or a trade fills an order: what rests gets its own."""
        return order.working_price if order.rests and order.working_price is not None else shown

    def _fill(self, order: Order, price: int, quantity: int) -> int:
        """Fill what rests at the price given, a taker at a worse one within its limit; give the quantity."""
        if order.rests:
            return self._execute(order, price, quantity, True, price)
        limit, paid = order.working_price, self._worse(price, order.buys)
        if limit is not None:
            paid = min(paid, limit) if order.buys else max(paid, limit)
        if self.high_limit:
            paid = min(max(paid, self.low_limit), self.high_limit)
        return self._execute(order, paid, quantity, False, price)


def _works(order: Order) -> bool:
    """Tell whether the market can do something to an order now: it is open, and its day has come."""
    return order.is_open and order.day is not None
