"""The accounts that somebody looks at: read from the history once, then kept up by the stream.

The history is some records behind. Those that it lacks when an account is read from it are among the recent ones of the
stream, which the gateway reads from a little before its start on. Where even that leaves a hole, as after an hour
without a history, what was read is answered and not kept: the next one who asks has it read again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus.topic_ids import topic_id
from barnabas_quant.bus.topics import client_settings
from barnabas_quant.gateway.portfolio import KEPT, View
from barnabas_quant.gateway.trading import Worth
from barnabas_quant.history import AsyncClickHouse
from barnabas_quant.history.records import form_of
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

_VIEWS = 1000
_RECENT = 10_000
"""Records of each kind, of all accounts, that are kept until the history has them."""

_O = TypeVar("_O", bound=Output)

_TABLES: dict[type[Output], str] = {
    OrderEvent: "orders", Fill: "fills", PositionEvent: "positions", EquityEvent: "equity",
    Decision: "trade_decisions", Alert: "risk_alerts", CashFlow: "cash_flows",
}  # fmt: skip

_ON_ITS_WAY = ("new", "submit")

OPEN_STATES = ", ".join(f"'{status}'" for status in sorted(OPEN))
"""As a query names them."""

_LATEST = f"ORDER BY seq DESC LIMIT {KEPT}"
_LOADED: tuple[tuple[type[Output], str], ...] = (
    (PositionEvent, "ORDER BY seq DESC LIMIT 1 BY instrument"),
    (EquityEvent, "ORDER BY seq DESC LIMIT 1 BY currency"),
    (OrderEvent, f"AND status NOT IN ({OPEN_STATES}) {_LATEST}"),
    (
        OrderEvent,
        "AND `order` IN (SELECT `order` FROM orders WHERE account = {account:String} AND topic_id = {topic_id:UUID} "
        f"GROUP BY `order` HAVING argMax(status, seq) IN ({OPEN_STATES})) ORDER BY seq DESC LIMIT 1 BY `order`",
    ),
    (Fill, _LATEST),
    (Decision, _LATEST),
    (Decision, "AND rule = 'kill-switch' AND verdict = 'accepted' ORDER BY seq DESC LIMIT 1"),
    (Alert, _LATEST),
    (Alert, "ORDER BY seq DESC LIMIT 1 BY rule, subject"),
    (CashFlow, _LATEST),
)
"""What is asked of the history to begin with."""


_CURVE = """
WITH
    (SELECT (min(time), max(time) + 1) FROM equity WHERE account = {account:String} AND currency = {currency:String}
     AND topic_id = {id:UUID} AND time >= {start:Int64} AND time < {end:Int64}) AS bounds,
    greatest(intDiv(bounds.2 - bounds.1, {points:Int64}) + 1, 1) AS width
SELECT
    max(equity.time) AS time, argMax(equity.equity, seq) AS equity, argMax(cash, seq) AS cash,
    min(equity.equity) AS least, argMax(peak, seq) AS peak
FROM equity
WHERE account = {account:String} AND currency = {currency:String} AND topic_id = {id:UUID}
    AND equity.time >= {start:Int64} AND equity.time < {end:Int64}
GROUP BY intDiv(equity.time - bounds.1, width) ORDER BY time
"""


class _Last(msgspec.Struct):
    seq: int
    count: int


class Portfolios:
    """Know the accounts. All of it runs on one loop."""

    def __init__(self, bootstrap: str, history: AsyncClickHouse, whole: Callable[[str], bool | None]) -> None:
        """Take the stores, and what tells whether the stream began with a topic's first record; None: not read yet."""
        self._bootstrap = bootstrap
        self._history = history
        self._whole = whole
        self._views: OrderedDict[str, View] = OrderedDict()
        self._loading: dict[str, asyncio.Lock] = {}
        self._recent: dict[type[Output], deque[Output]] = {kind: deque(maxlen=_RECENT) for kind in _TABLES}
        self._ids: dict[str, str] = {}
        self._awaited: dict[str, asyncio.Future[OrderEvent]] = {}

    def hear(self, event: Output) -> None:
        """Take a record of the stream."""
        self._recent[type(event)].append(event)
        if isinstance(event, OrderEvent) and event.order in self._awaited and event.step not in _ON_ITS_WAY:
            awaited = self._awaited.pop(event.order)
            if not awaited.done():
                awaited.set_result(event)
        if (view := self._views.get(event.account)) is not None:
            view.take(event)

    async def venue_says(self, order: str, seconds: float) -> OrderEvent | None:
        """Give the first word of the venue about an order; None where it takes longer."""
        for event in self._recent[OrderEvent]:
            if isinstance(event, OrderEvent) and event.order == order and event.step not in _ON_ITS_WAY:
                return event
        awaited = self._awaited[order] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(awaited, seconds)
        except TimeoutError:
            return None
        finally:
            self._awaited.pop(order, None)

    async def view(self, account: str) -> View:
        """Give what is known of an account. Raises StoreUnavailable, ClickHouseError, BusError."""
        if (found := self._views.get(account)) is None:
            async with self._loading.setdefault(account, asyncio.Lock()):
                found = self._views.get(account) or await self._load(account)
            self._loading.pop(account, None)
        if account in self._views:
            self._views.move_to_end(account)
        return found

    async def records(self, kind: type[_O], account: str, rest: str, **given: object) -> list[_O]:
        """Give the records of a kind of an account that stand in the history, the oldest first, each once.

        `rest` goes on after the WHERE of the query. Raises StoreUnavailable, ClickHouseError, BusError.
        """
        form = form_of(_TABLES[kind])
        if (id := await self._topic_id(kind.topic)) is None:
            return []
        rows: list[Any] = await self._history.rows(
            f"SELECT {form.columns} FROM {form.table} WHERE account = {{account:String}} "
            f"AND topic_id = {{topic_id:UUID}} {rest} {form.settings}",
            form.row, account=account, topic_id=id, **given,
        )  # fmt: skip
        found = (msgspec.json.decode(form.value(row), type=kind) for row in rows)
        return sorted({event.seq: event for event in found}.values(), key=lambda event: event.seq)

    async def curve(self, account: str, currency: str, start: int, end: int, points: int) -> list[Worth]:
        """Give how an account's worth went, in at most so many points. Raises as `records` does."""
        if (id := await self._topic_id(EquityEvent.topic)) is None:
            return []
        given: dict[str, object] = {
            "account": account, "currency": currency, "id": id, "start": start, "end": end, "points": points,
        }  # fmt: skip
        return await self._history.rows(_CURVE, Worth, **given)

    async def _load(self, account: str) -> View:
        reached = await asyncio.gather(*(self._reached(kind) for kind in _TABLES))
        parts = await asyncio.gather(*(self.records(kind, account, rest) for kind, rest in _LOADED))
        every: dict[type[Output], dict[int, Output]] = {}
        for (kind, _), events in zip(_LOADED, parts, strict=True):
            every.setdefault(kind, {}).update((event.seq, event) for event in events)
        view = View(account)
        for kind in every:
            for seq in sorted(every[kind]):
                view.take(every[kind][seq])
        for recent in self._recent.values():
            for event in recent:
                view.take(event)
        if all(self._meets(kind, last) for kind, last in zip(_TABLES, reached, strict=True)):
            self._views[account] = view
            if len(self._views) > _VIEWS:
                self._views.popitem(last=False)
        return view

    async def _reached(self, kind: type[Output]) -> int:
        """Give the number of the last record of a kind that stands in the history; -1: there is none."""
        if (id := await self._topic_id(kind.topic)) is None:
            return -1
        query = f"SELECT toInt64(max(seq)) AS seq, count() AS count FROM {_TABLES[kind]} WHERE topic_id = {{id:UUID}}"
        (last,) = await self._history.rows(query, _Last, id=id)
        return last.seq if last.count else -1

    def _meets(self, kind: type[Output], reached: int) -> bool:
        """Tell whether nothing was told between what the history had and the recent records."""
        recent, whole = self._recent[kind], self._whole(kind.topic)
        if whole is None:
            return False
        return not recent or (whole and len(recent) < _RECENT) or reached >= recent[0].seq

    async def _topic_id(self, topic: str) -> str | None:
        """Give the id that a topic has: rows of one of the same name that was deleted are another engine's."""
        if topic not in self._ids:
            admin = AdminClient(client_settings(self._bootstrap))
            found = await asyncio.to_thread(topic_id, admin, topic)
            if found is None:
                return None
            self._ids[topic] = str(found)
        return self._ids[topic]


def decoded(topic: str, value: bytes) -> Output | None:
    """Read a record of one of the trading service's topics; None for what is none."""
    kind = next((kind for kind in _TABLES if kind.topic == topic), None)
    try:
        return None if kind is None else msgspec.json.decode(value, type=kind)
    except (ValueError, RecursionError):
        return None
