"""What a rule of the watch does about positions: makes them smaller, until that is done.

A target says what is to be left of a position. As long as it is not reached, orders of others in that instrument are
canceled and refused, and one market order after the other is sent for what is missing: at each price of the instrument,
a second after the one before at the earliest. So what cannot be sold today (T+1), while trading is suspended, or
because the venue said no, is sold when it can be; over nights and restarts, for targets are part of the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from barnabas_quant.model.intervals import SECOND
from barnabas_quant.trading.orders import Order

if TYPE_CHECKING:
    from barnabas_quant.trading.account import Account


class Target(msgspec.Struct):
    """Say what is to be left of a position, and by which rule."""

    rule: str
    left: int
    """Quantity, without its sign."""
    long: bool
    order: str = ""
    """The order that was sent last."""
    after: int = 0
    """When the next one may be sent."""
    canceled: list[str] = []
    """Orders of others whose cancellation is on its way."""


class Remedy:
    """Make positions smaller."""

    def __init__(self, account: Account, targets: dict[str, Target]) -> None:
        self._account = account
        self._targets = targets

    def begin(self, rule: str, keys: list[str], *, whole: bool) -> None:
        """Close positions, or halve them: at least by a lot, in whole lots."""
        for key in keys:
            position = self._account.ledger.positions.get(key)
            if position is None or not position.quantity:
                continue
            quantity, lot = abs(position.quantity), self._account.instruments[key].lot
            left = 0 if whole else max(0, quantity - max(lot, quantity // 2 // lot * lot))
            held = self._targets.get(key)
            if held is not None and held.left <= left and held.long == (position.quantity > 0):
                continue
            order = "" if held is None else held.order
            self._targets[key] = Target(rule, left, position.quantity > 0, order)
            self.pursue(key)

    def withdraw(self, reason: str, but: str) -> None:
        """Give up all targets, but those of one rule."""
        for key, target in list(self._targets.items()):
            if target.rule != but:
                del self._targets[key]
                if (order := self._account.orders.get(target.order)) is not None:
                    self._account.cancel(order, reason)

    def sent(self, order: Order) -> bool:
        """Tell whether an order is one of those that make a position smaller."""
        target = self._targets.get(order.request.instrument)
        return target is not None and target.order == order.id

    def settle(self, key: str) -> None:
        """Forget a target that is reached."""
        target = self._targets.get(key)
        if target is not None and self._missing(key, target) <= 0:
            del self._targets[key]

    def pursue_all(self) -> None:
        """Do the next thing for each target: cancellations have arrived, or time has passed."""
        for key in list(self._targets):
            self.pursue(key)

    def pursue(self, key: str) -> None:
        """Do the next thing for a target that is not reached."""
        target, account = self._targets.get(key), self._account
        if target is None:
            return
        if (missing := self._missing(key, target)) <= 0:
            del self._targets[key]
            return
        market = account.engine.market(key)
        if market.time < target.after or target.order in account.orders or market.suspended:
            return
        others = [order for order in account.orders.values() if order.request.instrument == key]
        for order in others:
            if order.id not in target.canceled:
                target.canceled.append(order.id)
                account.cancel(order, f"{target.rule}: the position is made smaller")
        if any(order.is_open for order in others):  # the cancellation travels; what they keep cannot be sold
            return
        target.canceled = []
        target.order = f"{target.rule}:{key}:{account.engine.seq}"
        target.after = market.time + SECOND
        account.close(key, target.order, target.rule, missing)

    def _missing(self, key: str, target: Target) -> int:
        quantity = self._account.ledger.positions[key].quantity
        return (quantity if target.long else -quantity) - target.left
