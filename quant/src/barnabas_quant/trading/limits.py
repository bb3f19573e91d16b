"""The limits that an order is held against before the venue hears of it.

A limit of None is none. Amounts of money are in the instrument's currency, in units of 10^-8; so are rates. Orders that
only make a position smaller pass the limits of position, notional, leverage and daily loss: those are there to stop
risk from growing, not from shrinking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from barnabas_quant.model.intervals import DAY, SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.trading.events import text
from barnabas_quant.trading.instruments import Instrument, notional, share
from barnabas_quant.trading.orders import Order

if TYPE_CHECKING:
    from barnabas_quant.trading.account import Account

Refusal = tuple[str, str, dict[str, str]]
"""The rule, the reason, the numbers that it saw."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what is allowed."""

    symbols: tuple[str, ...] | None = None
    """Keys of the instruments that may be traded, `exchange:symbol`."""
    order_quantity: int | None = None
    order_notional: int | None = None
    position: int | None = None
    """Quantity, long or short, that a position may have."""
    position_notional: int | None = None
    gross_notional: int | None = None
    """Of all positions of a currency and this order together, long and short added."""
    leverage: int | None = None
    """Gross notional over equity, as a rate: 3 x 10^8 is threefold."""
    orders_per_second: int | None = None
    price_collar: int | None = ONE // 10
    """How far a limit price may be beyond the market's, on the side that costs, as a rate."""
    daily_loss: int | None = None
    """What a day (UTC) may lose of the equity at its beginning before only closing is allowed."""


class LimitsState(msgspec.Struct):
    """Remember what limits over time need."""

    times: list[int] = []
    """When orders were let through, within the last second."""
    day: int = -1
    began: dict[str, int] = {}
    """Equity at the beginning of the day, by currency."""

    def refuse(
        self, limits: Limits, account: Account, order: Order, price: int, counts: bool = True
    ) -> Refusal | None:
        """Say which limit an order breaks, at the price it may cost; None where it breaks none: then it counts."""
        self.turn(account)
        request, instrument = order.request, account.engine.instrument(order.request.instrument)
        worth = notional(price, request.quantity)
        if limits.symbols is not None and instrument.key not in limits.symbols:
            return "symbols", f"{instrument.key} is not allowed", {}
        for rule, limit, value in (
            ("order_quantity", limits.order_quantity, request.quantity),
            ("order_notional", limits.order_notional, worth),
        ):
            if limit is not None and value > limit:
                return rule, "above the limit", {"value": text(value), "limit": text(limit)}
        if (found := self._collar(limits, account, order)) is not None:
            return found
        held = account.ledger.position(instrument.key).quantity
        pending = sum(
            other.remaining if other.buys else -other.remaining
            for other in account.orders.values()
            if other.request.instrument == instrument.key and other.buys == order.buys and not other.request.reduce_only
        )
        after = held + pending + (request.quantity if order.buys else -request.quantity)
        grows = not request.reduce_only and (abs(after) > abs(held) or after * held < 0)
        if grows and (found := self._growth(limits, account, instrument, after, price)) is not None:
            return found
        if limits.orders_per_second is not None:
            self.times = [time for time in self.times if time > account.time - SECOND]
            if len(self.times) >= limits.orders_per_second:
                numbers = {"orders": str(len(self.times) + 1), "limit": str(limits.orders_per_second)}
                return "orders_per_second", "too many orders", numbers
            if counts:
                self.times.append(account.time)
        return None

    def transferred(self, currency: str, amount: int) -> None:
        """Take note of money paid in or out: neither a gain nor a loss of the day."""
        self.began[currency] = self.began.get(currency, 0) + amount

    def turn(self, account: Account) -> None:
        """Remember, on the first call of a day (UTC), what the account was worth at its beginning."""
        day = account.time // DAY
        if day != self.day:
            self.day = day
            self.began = {currency: account.equity(currency) for currency in account.ledger.cash}

    def _collar(self, limits: Limits, account: Account, order: Order) -> Refusal | None:
        limit = order.request.price
        market = account.engine.shown(account.engine.instrument(order.request.instrument))
        # What a stop is worth is told by its trigger: that is where the market is when it becomes an order.
        seen = order.request.trigger or (market.ask if order.buys else market.bid) or market.last
        if limits.price_collar is None or limit is None or not seen:
            return None
        away = share(seen, limits.price_collar)
        if limit > seen + away if order.buys else limit < seen - away:
            numbers = {"price": text(limit), "market": text(seen), "limit": text(limits.price_collar)}
            return "price_collar", "the price is too far from the market's", numbers
        return None

    def _growth(
        self, limits: Limits, account: Account, instrument: Instrument, after: int, price: int
    ) -> Refusal | None:
        currency, worth = instrument.currency, notional(price, abs(after))
        gross = worth + sum(
            abs(position.value())
            for key, position in account.ledger.positions.items()
            if key != instrument.key and account.instruments[key].currency == currency
        )
        equity = account.equity(currency)
        loss = self.began.get(currency, equity) - equity
        allowed = None if limits.daily_loss is None else share(max(0, self.began.get(currency, 0)), limits.daily_loss)
        leverage = gross * ONE // equity if equity > 0 else 10**18
        for rule, limit, value in (
            ("position", limits.position, abs(after)),
            ("position_notional", limits.position_notional, worth),
            ("gross_notional", limits.gross_notional, gross),
            ("leverage", limits.leverage, leverage),
            ("daily_loss", allowed, loss),
        ):
            if limit is not None and value > limit:
                return rule, "above the limit", {"value": text(value), "limit": text(limit)}
        return None
