"""What is known of a trading account: what the history holds, and what the stream brought since. No I/O.

Each kind of record has a number that rises (`seq`), so rows that come late, or twice, change nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from barnabas_quant.trading.events import (
    Alert,
    CashFlow,
    Decision,
    EquityEvent,
    Fill,
    OrderEvent,
    Output,
    PositionEvent,
)
from barnabas_quant.trading.orders import OPEN

KEPT = 500
"""Orders that are over, fills, decisions, flows and alerts that are kept, of each kind."""

_O = TypeVar("_O", bound=Output)


class Portfolio(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what an account has; amounts as decimal text, times in microseconds since 1970."""

    account: str
    opened: bool
    """Whether the trading service has told anything of it yet."""
    trading: bool
    """False while the kill switch is pulled."""
    switch: str
    """Who pulled or reset it last, and why."""
    equity: list[EquityEvent]
    positions: list[PositionEvent]
    orders: list[OrderEvent]
    """Those that are open."""
    alerts: list[Alert]
    """Conditions that hold."""
    seen: dict[str, int]
    """Of each topic the number of the last record that is in this answer: later ones come by the stream `account`."""


class View:
    """Hold the newest of one account."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.trading = True
        self.switch = ""
        self.equity: dict[str, EquityEvent] = {}
        self.positions: dict[str, PositionEvent] = {}
        self.open: dict[str, OrderEvent] = {}
        self.holds: dict[str, Alert] = {}
        self.over: deque[OrderEvent] = deque(maxlen=KEPT)
        self.fills: deque[Fill] = deque(maxlen=KEPT)
        self.decisions: deque[Decision] = deque(maxlen=KEPT)
        self.alerts: deque[Alert] = deque(maxlen=KEPT)
        self.flows: deque[CashFlow] = deque(maxlen=KEPT)
        self._seen: dict[type[Output], int] = {}

    def take(self, event: Output) -> None:
        """Take a record; one whose number is not above the last of its kind says nothing new."""
        if event.account != self.account or event.seq <= self._seen.get(type(event), -1):
            return
        self._seen[type(event)] = event.seq
        if isinstance(event, OrderEvent):
            if event.status in OPEN:
                self.open[event.order] = event
            else:
                self.open.pop(event.order, None)
                self.over.append(event)
        elif isinstance(event, Fill):
            self.fills.append(event)
        elif isinstance(event, PositionEvent):
            self.positions[event.instrument] = event
        elif isinstance(event, EquityEvent):
            self.equity[event.currency] = event
        elif isinstance(event, Decision):
            self.decisions.append(event)
            if event.rule == "kill-switch" and event.verdict == "accepted":
                self.trading, self.switch = not event.reason.startswith("pulled"), event.reason
        elif isinstance(event, Alert):
            self.alerts.append(event)
            if event.state == "cleared":
                self.holds.pop(event.key, None)
            else:
                self.holds[event.key] = event
        elif isinstance(event, CashFlow):
            self.flows.append(event)

    def portfolio(self) -> Portfolio:
        """Give what the account has."""
        return Portfolio(
            account=self.account, opened=bool(self.equity), trading=self.trading, switch=self.switch,
            equity=list(self.equity.values()), orders=list(self.open.values()), alerts=list(self.holds.values()),
            positions=[position for position in self.positions.values() if position.quantity.strip("-0.")],
            seen={kind.topic: seq for kind, seq in self._seen.items()},
        )  # fmt: skip


def newest(events: Iterable[_O], limit: int, before: int | None) -> list[_O]:
    """Give the newest first, at most `limit`, those below a number."""
    chosen = [event for event in reversed(list(events)) if before is None or event.seq < before]
    return chosen[:limit]
