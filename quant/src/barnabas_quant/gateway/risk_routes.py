"""Risk over REST: the account of who asks, its limits and rules, and what it uses of them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from barnabas_quant.backtest.trades import signed_units
from barnabas_quant.errors import BusError, StoreUnavailable, SymbolError
from barnabas_quant.gateway.identity import require
from barnabas_quant.gateway.market import Market
from barnabas_quant.gateway.portfolio import View
from barnabas_quant.gateway.portfolios import Portfolios
from barnabas_quant.gateway.prices import Price
from barnabas_quant.gateway.risk import Known, held_keys, risk_of
from barnabas_quant.gateway.web import guarded, private
from barnabas_quant.history import ClickHouseError
from barnabas_quant.model.intervals import DAY
from barnabas_quant.settings import Trading
from barnabas_quant.trading.events import MAIN, EquityEvent, Fill, OrderEvent

_SECOND = 1.0
_ORDERS = 10_000  # of all accounts, that are remembered for a second
_DAYS = 10_000  # beginnings of a day that are remembered, of accounts
_SETTLED = 60_000_000  # microseconds of the market after which the history has the records of a moment


class RiskRoutes:
    """Answer how much of its limits an account uses."""

    def __init__(
        self, settings: Trading, portfolios: Portfolios, market: Market, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._portfolios = portfolios
        self._market = market
        self._clock = clock
        self._sent: deque[tuple[float, str]] = deque(maxlen=_ORDERS)
        self._began: dict[tuple[str, int], dict[str, EquityEvent | None]] = {}

    def routes(self) -> list[Route]:
        """Give the routes of RISK_OPERATIONS."""
        return [Route("/api/v1/risk", guarded(self.risk))]

    def hear(self, event: OrderEvent) -> None:
        """Take what happened to an order: one that the limits let through counts for a second."""
        if event.step == "submit":
            self._sent.append((self._clock(), event.account))

    async def risk(self, request: Request) -> Response:
        asking = await require(request)
        view = await self._portfolios.view(asking.account)
        keys = held_keys(view)
        prices = await asyncio.gather(*(self._price(key) for key in keys))
        known = Known(
            prices=dict(zip(keys, prices, strict=True)), ages=self._market.last_tick_ages(),
            began=await self._day(view), orders=self._orders(asking.account),
        )  # fmt: skip
        return private(risk_of(view, self._settings, known))

    async def _price(self, key: str) -> Price | None:
        exchange, _, symbol = key.partition(":")
        try:
            return await self._market.prices.latest(symbol, exchange)
        except (StoreUnavailable, ClickHouseError, BusError, SymbolError):
            return None

    def _orders(self, account: str) -> int:
        while self._sent and self._sent[0][0] <= self._clock() - _SECOND:
            self._sent.popleft()
        return sum(name == account for _, name in self._sent)

    async def _day(self, view: View) -> dict[str, int | None]:
        """Give what the account was worth when its day (UTC, by the market's time) began, by currency.

        That is the first equity told on it. Where a fill of that day was told before, or the history lags, it is not
        known; where nothing was told on that day, it began with what was told last. Payments are no loss.
        """
        house = await self._portfolios.view(MAIN)
        now = max((event.time for each in (view, house) for event in each.equity.values()), default=0)
        day = now // DAY
        try:
            firsts = await self._firsts(view.account, day, now)
        except (StoreUnavailable, ClickHouseError, BusError):
            return {}
        found: dict[str, int | None] = {}
        for currency, event in view.equity.items():
            if event.time // DAY < day:
                found[currency] = signed_units(event.equity)
            elif (first := firsts.get(currency)) is not None:
                paid = sum(
                    signed_units(flow.amount)
                    for flow in view.flows
                    if flow.kind == "transfer" and flow.currency == currency and flow.seq > first.seq
                )
                found[currency] = signed_units(first.equity) + paid
        return found

    async def _firsts(self, account: str, day: int, now: int) -> dict[str, EquityEvent | None]:
        """Give the first equity that was told on a day, by currency; None where a fill was told before it.

        It is remembered once the fills that were told before it have had the time to reach the history, too.
        """
        if (known := self._began.get((account, day))) is not None:
            return known
        records = self._portfolios.records
        first = await records(
            EquityEvent, account, "AND time >= {day:Int64} ORDER BY seq LIMIT 1 BY currency", day=day * DAY
        )
        if not first:
            return {}
        fills = await records(
            Fill, account, "AND time >= {day:Int64} AND seq < {seq:UInt64} ORDER BY seq LIMIT 1", day=day * DAY,
            seq=min(event.seq for event in first),
        )  # fmt: skip
        found = {event.currency: None if fills else event for event in first}
        if min(event.time for event in first) < now - _SETTLED:
            if len(self._began) >= _DAYS:
                self._began.clear()
            self._began[account, day] = found
        return found
