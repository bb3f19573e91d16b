"""From fills to trades: what each order that closed something earned, to the unit.

A trade is what one order closed of a position: it was entered at the position's average price, at the time at which
that position was opened, and has its part of the fees that the opening cost. So the profits of all trades, and what the
open rest cost, add up to what the account earned, exactly. A position that turns round is closed, then opened.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from barnabas_quant.model.money import ONE, total_units
from barnabas_quant.trading.events import Fill
from barnabas_quant.trading.instruments import notional


class Trade(msgspec.Struct, kw_only=True):
    """Hold a trade that is over; amounts in units of 10^-8, times in microseconds since 1970 UTC."""

    instrument: str
    currency: str
    side: Literal["long", "short"]
    quantity: int
    opened: int
    closed: int
    entry: int
    """What the quantity was opened for: the notional."""
    exit: int
    fees: int
    """Commissions and taxes of both sides."""
    order: str
    """Id of the order that closed it."""

    @property
    def profit(self) -> int:
        """Give what it earned, after fees and taxes."""
        return (self.exit - self.entry if self.side == "long" else self.entry - self.exit) - self.fees

    @property
    def entry_price(self) -> int:
        return self.entry * ONE // self.quantity

    @property
    def exit_price(self) -> int:
        return self.exit * ONE // self.quantity


class Holding(msgspec.Struct):
    """Hold what is open of an instrument: signed quantity, what it was opened for, the fees of that, since when."""

    currency: str
    quantity: int = 0
    cost: int = 0
    fees: int = 0
    since: int = 0


class TradeBook:
    """Take fills in order; keep the trades they make and what is open.

    Orders may be filled in turns: a further fill belongs to its order's trade, whichever began since. Whoever takes
    trades out of the list has settled them; what their orders close later are trades of their own.
    """

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self._by_order: dict[str, Trade] = {}
        self.open: dict[str, Holding] = {}

    def fill(self, fill: Fill) -> None:
        """Take a fill."""
        quantity, price = total_units(fill.quantity), total_units(fill.price)
        charges = signed_units(fill.fee) + signed_units(fill.taxes)
        held = self.open.setdefault(fill.instrument, Holding(fill.currency))
        buys = fill.side == "BUY"
        closing = min(quantity, max(0, -held.quantity if buys else held.quantity))
        traded = notional(price, quantity)
        if closing:
            gained = traded if closing == quantity else notional(price, closing)
            paid = charges if closing == quantity else part(charges, closing, quantity)
            open_quantity = abs(held.quantity)
            cost, fees = part(held.cost, closing, open_quantity), part(held.fees, closing, open_quantity)
            self._close(fill, held, closing, cost, gained, fees + paid)
            held.cost -= cost
            held.fees -= fees
            traded -= gained
            charges -= paid
        if quantity > closing:
            if not held.quantity or closing:
                held.since = fill.time
            held.cost += traded
            held.fees += charges
        held.quantity += quantity if buys else -quantity

    def _close(self, fill: Fill, held: Holding, quantity: int, cost: int, gained: int, fees: int) -> None:
        if len(self._by_order) != len(self.trades):  # some were taken out
            self._by_order = {trade.order: trade for trade in self.trades}
        trade = self._by_order.get(fill.order)
        if trade is not None:
            trade.quantity += quantity
            trade.entry += cost
            trade.exit += gained
            trade.fees += fees
            trade.closed = fill.time
            return
        trade = self._by_order[fill.order] = Trade(
            instrument=fill.instrument, currency=fill.currency, side="long" if held.quantity > 0 else "short",
            quantity=quantity, opened=held.since, closed=fill.time, entry=cost, exit=gained, fees=fees,
            order=fill.order,
        )  # fmt: skip
        self.trades.append(trade)


def part(amount: int, share: int, whole: int) -> int:
    """Give a part of an amount, rounded half up; all of it where the part is the whole."""
    return amount if share == whole else (2 * amount * share + whole) // (2 * whole)


def signed_units(text: str) -> int:
    """Read decimal text that may be negative, as the engine's outputs hold it."""
    return -total_units(text[1:]) if text.startswith("-") else total_units(text)
