"""Orders: what can be asked for, and the table of what may become of it.

An order's state changes by an event and in no other way; what the table does not have is a mistake in the program and
raises. Terms are those of the FIX protocol (OrdStatus, OrdType, TimeInForce).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from barnabas_quant.errors import QuantError

Side = Literal["BUY", "SELL"]
OrderType = Literal["market", "limit", "stop", "take_profit", "trailing_stop"]
TimeInForce = Literal["GTC", "IOC", "FOK", "DAY"]
Status = Literal[
    "new", "denied", "submitted", "rejected", "accepted", "triggered", "partially_filled", "filled", "canceled",
    "expired",
]  # fmt: skip
Step = Literal["deny", "submit", "reject", "accept", "trigger", "fill", "complete", "cancel", "expire"]
"""What happens to an order; `fill` leaves a part of it open, `complete` does not."""

TRANSITIONS: dict[tuple[Status, Step], Status] = {
    ("new", "deny"): "denied",  # by our own risk limits: the venue never hears of it
    ("new", "submit"): "submitted",
    ("submitted", "reject"): "rejected",  # by the venue
    ("submitted", "accept"): "accepted",
    ("submitted", "cancel"): "canceled",
    ("accepted", "trigger"): "triggered",
    ("accepted", "fill"): "partially_filled",
    ("accepted", "complete"): "filled",
    ("accepted", "cancel"): "canceled",
    ("accepted", "expire"): "expired",
    ("triggered", "fill"): "partially_filled",
    ("triggered", "complete"): "filled",
    ("triggered", "cancel"): "canceled",
    ("triggered", "expire"): "expired",
    ("partially_filled", "fill"): "partially_filled",
    ("partially_filled", "complete"): "filled",
    ("partially_filled", "cancel"): "canceled",
    ("partially_filled", "expire"): "expired",
}
OPEN: frozenset[Status] = frozenset({"new", "submitted", "accepted", "triggered", "partially_filled"})
"""States from which something can still happen."""


class OrderError(QuantError):
    """Say that something cannot happen to an order in its state."""


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for an order. Amounts in units.

    `price` is the limit of a limit order; with a stop or a take-profit it makes a stop-limit or take-profit-limit
    order of it. `trigger` is the price at which a stop or a take-profit becomes a market or limit order. A trailing
    stop follows the best price since it was accepted at a distance of `trail`, in units, or `trail_rate`, a rate.
    Orders with the same `group` (one cancels the others, OCO): the first fill of one cancels the rest.
    """

    instrument: str
    """Its key, `exchange:symbol`."""
    side: Side
    quantity: int
    type: OrderType = "market"
    price: int | None = None
    trigger: int | None = None
    trail: int | None = None
    trail_rate: int | None = None
    time_in_force: TimeInForce = "GTC"
    reduce_only: bool = False
    """Never more than closes the position."""
    group: str = ""
    strategy: str = ""

    def wrong(self) -> str:
        """Say what is wrong with it in itself; empty where nothing is."""
        if self.quantity <= 0:
            return "quantity has to be above 0"
        for name in ("price", "trigger", "trail", "trail_rate"):
            amount = getattr(self, name)
            if amount is not None and amount <= 0:
                return f"{name} has to be above 0"
        if self.type == "limit" and self.price is None:
            return "a limit order needs a price"
        if self.type == "market" and self.price is not None:
            return "a market order has no price"
        if self.type in ("stop", "take_profit") and self.trigger is None:
            return f"a {self.type} order needs a trigger"
        if self.type not in ("stop", "take_profit") and self.trigger is not None:
            return f"a {self.type} order has no trigger"
        if self.type == "trailing_stop" and (self.trail is None) == (self.trail_rate is None):
            return "a trailing stop needs a distance: trail or trail_rate"
        if self.type != "trailing_stop" and (self.trail is not None or self.trail_rate is not None):
            return f"a {self.type} order follows no price at a distance"
        return ""


class Order(msgspec.Struct, kw_only=True):
    """Hold an order and what became of it. Its id says where it came from, so the same input gives the same id."""

    id: str
    request: OrderRequest
    created: int
    """Time of the engine, microseconds since 1970 UTC, as all times."""
    status: Status = "new"
    arrives: int = 0
    """When it is at the venue."""
    filled: int = 0
    maker_notional: int = 0
    taker_notional: int = 0
    commission: int = 0
    taxes: int = 0
    """Charged so far."""
    hold: int = 0
    """Of the currency (a purchase, margin) or of the asset (a sale): what it keeps from being used elsewhere."""
    working_price: int | None = None
    """The limit at which it lies in the book; None: at any price."""
    trigger: int | None = None
    """What it waits for; a trailing stop's moves."""
    best: int | None = None
    """Best price since a trailing stop was accepted."""
    begun: bool = False
    """Whether it has met a quote: from then on it rests with what is left, or is gone (IOC, FOK)."""
    rests: bool = False
    """Whether it lies in the book: what fills it then takes it, at its own price."""
    ahead: int | None = None
    """What stands before it at its price; None as long as nobody has shown that."""
    fills: int = 0
    """How many it has had."""
    day: int | None = None
    """The trading day that it is for, days since 1970; None: the next one that has a price."""

    @property
    def remaining(self) -> int:
        return self.request.quantity - self.filled

    @property
    def buys(self) -> bool:
        return self.request.side == "BUY"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def step(self, step: Step) -> Status:
        """Make a transition; give the new state. Raises OrderError for one that the table does not have."""
        status = TRANSITIONS.get((self.status, step))
        if status is None:
            raise OrderError(f"order {self.id} is {self.status}: {step} cannot happen to it")
        self.status = status
        return status
