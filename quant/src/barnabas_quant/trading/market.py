"""What the market of one instrument shows: quotes, book, trades, the limits of the day; and what an order is to it.

Orders of each account are matched by their own `Matcher` (matching.py): accounts on paper do not meet each other. Bars
fill orders only where neither quotes nor trades are told: the finest that the market tells decides. While an instrument
is suspended nothing is filled. No I/O, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from barnabas_quant.model.intervals import MINUTE
from barnabas_quant.model.money import ONE
from barnabas_quant.trading.events import Bar, Depth, Print, Quote, Session, text
from barnabas_quant.trading.instruments import Instrument, notional, share
from barnabas_quant.trading.orders import Order

if TYPE_CHECKING:
    from barnabas_quant.trading.matching import Matcher


class VenueModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how good the paper venue is to its customers."""

    latency: int = 0
    """Microseconds from an order to the venue, and from a cancellation."""
    slippage_ticks: int = 0
    slippage_rate: int = 0
    """What a taker's price is worse than the one shown: ticks, and a rate (10^-8) of the price."""
    participation: int = ONE
    """Share (10^-8) of a trade's size or a bar's volume that orders may take; 0: any quantity."""


_AGAIN = 3
_LATE = MINUTE
"""So many events in a row, dated so much before the market's time, are a session that is played again."""

_SHOWN = ("bid", "bid_size", "ask", "ask_size", "last", "time", "bids", "asks", "quoted", "printed", "booked",
          "suspended", "low_limit", "high_limit", "older")  # fmt: skip


class MarketState(msgspec.Struct, kw_only=True):
    """Hold all that a market remembers, to be written and read back."""

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
    matchers: list[str]
    """Accounts, in the order in which their orders are matched."""
    older: int = 0
    """How many events in a row were from long before `time`."""


class Market:
    """Hold what the market of one instrument shows, and let the orders in it be matched by that."""

    __slots__ = (*_SHOWN, "instrument", "matchers", "model")

    def __init__(self, instrument: Instrument, model: VenueModel) -> None:
        self.instrument = instrument
        self.model = model
        self.bid = self.bid_size = self.ask = self.ask_size = self.last = self.time = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.quoted = self.printed = self.booked = self.suspended = False
        self.low_limit = self.high_limit = self.older = 0
        self.matchers: list[Matcher] = []
        """Those of the accounts that have sent an order here, the first first."""

    def save(self) -> MarketState:
        """Give all that it remembers."""
        shown = {name: getattr(self, name) for name in _SHOWN}
        return MarketState(**shown, matchers=[matcher.owner.name for matcher in self.matchers])

    def load(self, state: MarketState) -> None:
        """Take what `save` gave; matchers are put there by their accounts."""
        for name in _SHOWN:
            setattr(self, name, getattr(state, name))

    # What the market tells

    def come(self, time: int) -> None:
        """Take the time of an event. A late one counts as now, but where a session is played again, time goes back."""
        if time >= self.time:
            self.time, self.older = time, 0
            return
        self.older = self.older + 1 if time < self.time - _LATE else 0
        if self.older == _AGAIN:
            self.time, self.older = time, 0

    def quote(self, event: Quote) -> None:
        """Take the best bid and ask."""
        if not self.booked:
            for matcher in self.matchers:
                if event.bid != self.bid or event.bid_size != self.bid_size:
                    matcher.bids_taken.clear()
                if event.ask != self.ask or event.ask_size != self.ask_size:
                    matcher.asks_taken.clear()
        self._show(event.bid, event.bid_size, event.ask, event.ask_size)

    def print(self, event: Print) -> None:
        """Take a trade."""
        self.last = event.price
        self.printed = True
        if not self.suspended:
            for matcher in self.matchers:
                matcher.match_print(event)

    def bar(self, event: Bar) -> None:
        """Take a closed bar."""
        if self.quoted or self.printed:
            return
        if not self.suspended:
            for matcher in self.matchers:
                matcher.match_bar(event)
        self.last = event.close

    def depth(self, event: Depth) -> None:
        """Take the order book, whole or what changed; changes before the first whole one are passed over."""
        if event.whole:
            bids, asks = dict(event.bids), dict(event.asks)
            for matcher in self.matchers:
                for taken, old, new in ((matcher.bids_taken, self.bids, bids), (matcher.asks_taken, self.asks, asks)):
                    for price in [price for price in taken if old.get(price) != new.get(price)]:
                        del taken[price]
            self.bids, self.asks, self.booked = bids, asks, True
        elif not self.booked:
            return
        else:
            self._change(self.bids, event.bids, [matcher.bids_taken for matcher in self.matchers])
            self._change(self.asks, event.asks, [matcher.asks_taken for matcher in self.matchers])
        bid, ask = max(self.bids, default=0), min(self.asks, default=0)
        self._show(bid, self.bids.get(bid, 0), ask, self.asks.get(ask, 0))

    def session(self, event: Session) -> None:
        """Take the last close, and whether trading is suspended."""
        self.suspended = event.suspended
        if event.close and self.instrument.price_limit:
            self.low_limit, self.high_limit = self.instrument.limits(event.close)

    def _change(
        self, side: dict[int, int], levels: tuple[tuple[int, int], ...], all_taken: list[dict[int, int]]
    ) -> None:
        for price, quantity in levels:
            if quantity != side.get(price):
                for taken in all_taken:
                    taken.pop(price, None)
            if quantity:
                side[price] = quantity
            else:
                side.pop(price, None)

    def _show(self, bid: int, bid_size: int, ask: int, ask_size: int) -> None:
        self.bid, self.bid_size, self.ask, self.ask_size = bid, bid_size, ask, ask_size
        self.quoted = True
        if not self.suspended:
            for matcher in self.matchers:
                matcher.match_quote()

    # What concerns an order

    def refuses(self, order: Order) -> str:
        """Say why the venue refuses an order; empty where it does not."""
        request, instrument = order.request, self.instrument
        if self.suspended:
            return "trading is suspended"
        if request.type == "trailing_stop" and not self.reference(order):
            return "the market shows no price to follow"
        worth = notional(self.price_at_most(order), request.quantity)
        if 0 < worth < instrument.least and not request.reduce_only:
            return f"notional: {text(worth)} {instrument.currency}, at least {text(instrument.least)} are needed"
        if instrument.most and request.quantity > instrument.most:
            return f"quantity: above {text(instrument.most)}"
        for name, price in (("price", request.price), ("trigger", request.trigger)):
            if price is None:
                continue
            if price % instrument.tick:
                return f"{name}: not a multiple of the tick, {text(instrument.tick)}"
            if self.high_limit and not self.low_limit <= price <= self.high_limit:
                return f"{name}: outside of the day's limits, {text(self.low_limit)} to {text(self.high_limit)}"
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
        return self.worse(seen, True)

    def best(self, order: Order) -> int:
        """Give the best price on the other side of an order; 0 where nothing is there."""
        return self.ask if order.buys else self.bid

    def reference(self, order: Order) -> int:
        """Give the price that triggers are held against: the last trade's, or the quote where trades are not told."""
        best = self.best(order)
        return best if self.quoted and not self.printed else self.last or best

    def at_limit(self, order: Order, price: int) -> bool:
        """Tell whether a price is the day's last one for an order: everybody stands in that queue."""
        return bool(self.high_limit) and price == (self.high_limit if order.buys else self.low_limit)

    def worse(self, price: int, buys: bool) -> int:
        """Give what a taker pays where a price is shown."""
        tick = self.instrument.tick
        away = self.model.slippage_ticks * tick + -(-share(price, self.model.slippage_rate) // tick) * tick
        return price + away if buys else max(tick, price - away)
