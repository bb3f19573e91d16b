"""What the trading part of the REST interface takes and answers, and its routes; trading_routes.py does it.

Each route is about the account of who asks, and no other.
"""

from __future__ import annotations

import msgspec

from barnabas_quant.gateway.openapi import Operation, Parameter
from barnabas_quant.gateway.portfolio import KEPT, Portfolio
from barnabas_quant.settings import Amount
from barnabas_quant.trading.events import Alert, CashFlow, Decision, Fill, OrderEvent
from barnabas_quant.trading.orders import OrderType, Side, TimeInForce


class NewOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for an order; amounts are decimal text. `test`: only say what would become of it."""

    symbol: str
    exchange: str | None = None
    """Default: a share's by its code, else the primary venue."""
    side: Side
    quantity: Amount
    type: OrderType | None = None
    """Default: limit with a price, else market."""
    price: Amount | None = None
    trigger: Amount | None = None
    trail: Amount | None = None
    trail_rate: Amount | None = None
    time_in_force: TimeInForce = "GTC"
    reduce_only: bool = False
    group: str = ""
    """Orders of one group: the first fill of one cancels the others."""
    test: bool = False


class SwitchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for trading to be off (the kill switch is pulled: open orders are canceled), or on again."""

    on: bool
    reason: str = ""
    flatten: bool = False
    """With it off: close every position as well."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what became of a request: its id, and the decision; null where that is not known in time."""

    id: str
    decision: Decision | None
    order: OrderEvent | None = None
    """Of an order that was accepted: the venue's first word about it, where that came within half a second."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Answer orders, the newest first: of each its last event."""

    orders: list[OrderEvent]


class Fills(msgspec.Struct, frozen=True, kw_only=True):
    """Answer fills, the newest first."""

    fills: list[Fill]


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """Answer decisions, the newest first."""

    decisions: list[Decision]


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """Answer alerts, the newest first."""

    alerts: list[Alert]


class CashFlows(msgspec.Struct, frozen=True, kw_only=True):
    """Answer funding and payments, the newest first."""

    flows: list[CashFlow]


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what an account was worth at a time, microseconds since 1970: the last one told of a stretch."""

    time: int
    equity: str
    cash: str
    least: str
    """The lowest equity of the stretch: what a drawdown is seen by."""
    peak: str


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Answer how an account's worth went, the oldest first."""

    currency: str
    points: list[Worth]


_LIMIT = Parameter("limit", f"at most, 1 to {KEPT}", "integer", default=100)
_BEFORE = Parameter("before", "those with a seq below this", "integer")
_WHO = (400, 401, 403, 503)

TRADING_OPERATIONS = (
    Operation("/api/v1/portfolio", "What the account has", Portfolio, failures=_WHO),
    Operation(
        "/api/v1/orders", "Orders of the account", Orders,
        (Parameter("status", "open, or over; default: over"), _LIMIT, _BEFORE), failures=_WHO,
    ),
    Operation(
        "/api/v1/orders", "Place an order; refused, by us or the venue: 422; 202: not decided yet", Told,
        method="post", body=NewOrder, status=201, failures=_WHO,
    ),
    Operation("/api/v1/orders", "Cancel all orders", Told, method="delete", failures=_WHO),
    Operation(
        "/api/v1/orders/{order}", "Cancel an order", Told, (Parameter("order", "its id"),), method="delete",
        failures=_WHO,
    ),
    Operation("/api/v1/fills", "Fills of the account", Fills, (_LIMIT, _BEFORE), failures=_WHO),
    Operation("/api/v1/decisions", "What became of signals and requests, and why", Decisions, (_LIMIT, _BEFORE),
              failures=_WHO),
    Operation("/api/v1/alerts", "What the rules of the watch told", Alerts, (_LIMIT, _BEFORE), failures=_WHO),
    Operation("/api/v1/cash-flows", "Funding, payments in and out", CashFlows, (_LIMIT, _BEFORE), failures=_WHO),
    Operation(
        "/api/v1/equity/{currency}", "How the account's worth went", Curve,
        (
            Parameter("currency", "USDT, CNY, ..."),
            Parameter("start", "microseconds since 1970", "integer"),
            Parameter("end", "times before this, microseconds since 1970", "integer"),
            Parameter("points", "at most, 2 to 5000", "integer", default=500),
        ),
        failures=_WHO,
    ),
    Operation(
        "/api/v1/kill-switch", "Switch trading of the account off, or on again", Told, method="put",
        body=SwitchRequest, failures=_WHO,
    ),
)  # fmt: skip
