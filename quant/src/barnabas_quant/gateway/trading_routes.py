"""The trading part of the REST interface: the portfolio of who asks, orders, the kill switch.

What is asked for is written to `trade-commands`; the trading service decides, and its decision is the answer.
"""

from __future__ import annotations

from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from barnabas_quant.errors import SymbolError
from barnabas_quant.gateway import trading as api
from barnabas_quant.gateway.commands import Command, Commands
from barnabas_quant.gateway.identity import Identity, require
from barnabas_quant.gateway.portfolio import KEPT, newest
from barnabas_quant.gateway.portfolios import OPEN_STATES, Portfolios
from barnabas_quant.gateway.web import BadRequest, guarded, number, private, read_body
from barnabas_quant.model.money import units
from barnabas_quant.trading.events import (
    Alert,
    Cancel,
    CashFlow,
    Decision,
    Fill,
    Open,
    OrderEvent,
    Output,
    Place,
    Switch,
)
from barnabas_quant.trading.inputs import key_of
from barnabas_quant.trading.instruments import usual
from barnabas_quant.trading.orders import OrderRequest

_PATIENCE = 5.0  # seconds for a decision
_MOMENT = 0.5  # seconds for the venue's first word
_ALWAYS = 2**62

_O = TypeVar("_O", bound=Output)


class TradingRoutes:
    """Answer for the accounts."""

    def __init__(self, portfolios: Portfolios, commands: Commands[Decision], primary: str) -> None:
        self._portfolios = portfolios
        self._commands = commands
        self._primary = primary

    def routes(self) -> list[Route]:
        """Give the routes of TRADING_OPERATIONS."""
        return [
            Route("/api/v1/portfolio", guarded(self.portfolio)),
            Route("/api/v1/orders", guarded(self.orders)),
            Route("/api/v1/orders", guarded(self.place), methods=["POST"]),
            Route("/api/v1/orders", guarded(self.cancel_all), methods=["DELETE"]),
            Route("/api/v1/orders/{order:path}", guarded(self.cancel), methods=["DELETE"]),
            Route("/api/v1/fills", guarded(self.fills)),
            Route("/api/v1/decisions", guarded(self.decisions)),
            Route("/api/v1/alerts", guarded(self.alerts)),
            Route("/api/v1/cash-flows", guarded(self.flows)),
            Route("/api/v1/equity/{currency}", guarded(self.equity)),
            Route("/api/v1/kill-switch", guarded(self.switch), methods=["PUT"]),
        ]

    async def open(self, account: str) -> None:
        """Have an account opened that is not yet. Raises BusError, StoreUnavailable, ClickHouseError."""
        if not (await self._portfolios.view(account)).equity:
            await self._commands.ask(Open("", 0, account), _PATIENCE)

    async def portfolio(self, request: Request) -> Response:
        asking = await require(request)
        return private((await self._portfolios.view(asking.account)).portfolio())

    async def orders(self, request: Request) -> Response:
        asking = await require(request)
        status = request.query_params.get("status", "over")
        if status not in ("open", "over"):
            raise BadRequest("status: open or over")
        view = await self._portfolios.view(asking.account)
        if status == "open":
            return private(api.Orders(orders=newest(view.open.values(), _ALWAYS, None)))
        only = f"AND status NOT IN ({OPEN_STATES})"
        return private(api.Orders(orders=await self._newest(request, asking, OrderEvent, view.over, only)))

    async def fills(self, request: Request) -> Response:
        asking = await require(request)
        view = await self._portfolios.view(asking.account)
        return private(api.Fills(fills=await self._newest(request, asking, Fill, view.fills)))

    async def decisions(self, request: Request) -> Response:
        asking = await require(request)
        view = await self._portfolios.view(asking.account)
        return private(api.Decisions(decisions=await self._newest(request, asking, Decision, view.decisions)))

    async def alerts(self, request: Request) -> Response:
        asking = await require(request)
        view = await self._portfolios.view(asking.account)
        return private(api.Alerts(alerts=await self._newest(request, asking, Alert, view.alerts)))

    async def flows(self, request: Request) -> Response:
        asking = await require(request)
        view = await self._portfolios.view(asking.account)
        return private(api.CashFlows(flows=await self._newest(request, asking, CashFlow, view.flows)))

    async def equity(self, request: Request) -> Response:
        asking = await require(request)
        currency = request.path_params["currency"]
        points = await self._portfolios.curve(
            asking.account, currency, number(request, "start", 0, _ALWAYS, 0) or 0,
            number(request, "end", 0, _ALWAYS, _ALWAYS) or 0, number(request, "points", 2, 5000, 500) or 500,
        )  # fmt: skip
        return private(api.Curve(currency=currency, points=points))

    async def place(self, request: Request) -> Response:
        asking = await require(request)
        wanted = await read_body(request, api.NewOrder)
        command = Place("", 0, self._request(wanted), asking.account, wanted.test)
        return await self._ask(asking, command, made=not wanted.test)

    async def cancel_all(self, request: Request) -> Response:
        asking = await require(request)
        return await self._ask(asking, Cancel("", 0, "", account=asking.account))

    async def cancel(self, request: Request) -> Response:
        asking = await require(request)
        if not (order := request.path_params["order"]):
            raise BadRequest("which order? DELETE /api/v1/orders, without a slash at its end, cancels all of them")
        return await self._ask(asking, Cancel("", 0, order, account=asking.account))

    async def switch(self, request: Request) -> Response:
        asking = await require(request)
        wanted = await read_body(request, api.SwitchRequest)
        if len(wanted.reason) > 200:
            raise BadRequest("reason: at most 200 characters")
        command = Switch("", 0, wanted.on, asking.user, wanted.reason, wanted.flatten, asking.account)
        return await self._ask(asking, command)

    def _request(self, wanted: api.NewOrder) -> OrderRequest:
        def amount(text: str | None) -> int | None:
            return None if text is None else units(text)

        try:
            key = key_of(wanted.symbol, wanted.exchange, self._primary)
            usual(*key.split(":", 1))
        except SymbolError as error:
            raise BadRequest(f"symbol: {error}") from error
        if len(wanted.group) > 60:
            raise BadRequest("group: at most 60 characters")
        request = OrderRequest(
            instrument=key, side=wanted.side, quantity=units(wanted.quantity),
            type=wanted.type or ("market" if wanted.price is None else "limit"), price=amount(wanted.price),
            trigger=amount(wanted.trigger), trail=amount(wanted.trail), trail_rate=amount(wanted.trail_rate),
            time_in_force=wanted.time_in_force, reduce_only=wanted.reduce_only, group=wanted.group,
        )  # fmt: skip
        if wrong := request.wrong():
            raise BadRequest(wrong)
        return request

    async def _ask(self, asking: Identity, command: Command, made: bool = False) -> Response:
        await self.open(asking.account)
        id, decision = await self._commands.ask(command, _PATIENCE)
        if decision is None:
            return private(api.Told(id=id, decision=None), 202)
        order = await self._portfolios.venue_says(id, _MOMENT) if made and decision.verdict == "accepted" else None
        refused = decision.verdict == "rejected" or (order is not None and order.status == "rejected")
        if isinstance(command, Place) and command.test:  # it was asked for what would be, and is told
            refused = False
        return private(api.Told(id=id, decision=decision, order=order), 422 if refused else 201 if made else 200)

    async def _newest(self, request: Request, asking: Identity, kind: type[_O], known: Any, only: str = "") -> list[_O]:
        """Give the newest of a kind, from what is known, or, further back, from the history."""
        limit = number(request, "limit", 1, KEPT, 100) or 100
        before = number(request, "before", 0, _ALWAYS)
        found: list[_O] = newest(known, limit, before)
        if len(found) == limit or len(known) < KEPT:  # all there ever was is known
            return found
        older = await self._portfolios.records(
            kind, asking.account,
            f"{only} AND seq < {{before:UInt64}} ORDER BY seq DESC LIMIT {{limit:UInt32}}",
            before=found[-1].seq if found else before or _ALWAYS, limit=limit - len(found),
        )  # fmt: skip
        return [*found, *reversed(older)]
