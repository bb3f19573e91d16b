"""The gateway's web application: REST under /api/v1, the WebSocket, the page of the API, and the trading page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute

from barnabas_quant.gateway.answers import (
    Bars,
    Book,
    Failure,
    Health,
    Price,
    Symbol,
    Symbols,
    Trades,
)
from barnabas_quant.gateway.health import ask_stores
from barnabas_quant.gateway.identity import Doorkeeper
from barnabas_quant.gateway.market import Market
from barnabas_quant.gateway.openapi import Operation, Parameter, document, page
from barnabas_quant.gateway.pages import Pages
from barnabas_quant.gateway.sockets import Sockets
from barnabas_quant.gateway.web import BadRequest, answer, guarded, number
from barnabas_quant.model.markets import VENUES, listing_of

_SYMBOL = re.compile(r"[A-Za-z0-9._\-]{1,40}\Z")
_WORD = re.compile(r"[a-z0-9_]{1,40}\Z")
_INTERVAL = re.compile(r"[1-9][0-9]{0,3}[smhdwM]\Z")

_SYMBOL_PARAMETER = Parameter("symbol", "the symbol in its venue's spelling: BTCUSDT, 600519")
_EXCHANGE = Parameter("exchange", "the venue: binance, binance_usdm, okx, sse, szse, hkex; default: the primary one")

OPERATIONS = (
    Operation(
        "/api/v1/price/{symbol}", "The latest price, and where it came from", Price, (_SYMBOL_PARAMETER, _EXCHANGE)
    ),
    Operation(
        "/api/v1/klines/{symbol}",
        "Candles, oldest first",
        Bars,
        (
            _SYMBOL_PARAMETER,
            _EXCHANGE,
            Parameter("interval", "1s, 1m, 5m, 15m, 1h, 1d", default="1m"),
            Parameter("start", "first opening time, milliseconds since 1970", "integer"),
            Parameter("end", "opening times before this, milliseconds since 1970", "integer"),
            Parameter("limit", "candles at most, 1 to 5000", "integer", default=500),
            Parameter("source", "venue or computed; default: the venue's where it has them, else computed"),
        ),
    ),
    Operation(
        "/api/v1/orderbook/{symbol}",
        "The order book",
        Book,
        (_SYMBOL_PARAMETER, _EXCHANGE, Parameter("depth", "levels a side, 1 to 1000", "integer", default=20)),
    ),
    Operation(
        "/api/v1/trades/{symbol}",
        "Trades, newest first",
        Trades,
        (
            _SYMBOL_PARAMETER,
            _EXCHANGE,
            Parameter("limit", "trades at most, 1 to 1000", "integer", default=100),
            Parameter("before", "trade ids below this", "integer"),
        ),
    ),
    Operation("/api/v1/symbols", "Every instrument that was heard of", Symbols),
    Operation("/api/v1/health", "Whether the stores answer, how old the market is", Health),
)


@dataclass(frozen=True, slots=True)
class Part:
    """Add routes of another module to the application, and their lines in the page of the API."""

    operations: tuple[Operation, ...]
    routes: list[Route]


def application(
    market: Market, sockets: Sockets, doorkeeper: Doorkeeper | None = None, parts: Sequence[Part] = ()
) -> Starlette:
    """Put the routes together. `doorkeeper` tells the handlers of the parts who asks (`identity.require(request)`)."""
    api = _Api(market, sockets)
    operations = (*OPERATIONS, *(operation for part in parts for operation in part.operations))
    described = document(operations)
    shown = page(operations)

    async def openapi(request: Request) -> Response:
        return answer(described)

    async def docs(request: Request) -> Response:
        return HTMLResponse(shown)

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        word: Literal["not_found", "bad_request"] = "not_found" if error.status_code == 404 else "bad_request"
        failure = Failure(word, f"{request.method} {request.url.path}: {error.detail}")
        return answer(failure, error.status_code, error.headers)

    made = Starlette(
        exception_handlers={HTTPException: refuse},
        routes=[
            Route("/api/v1/price/{symbol}", guarded(api.price)),
            Route("/api/v1/klines/{symbol}", guarded(api.klines)),
            Route("/api/v1/orderbook/{symbol}", guarded(api.orderbook)),
            Route("/api/v1/trades/{symbol}", guarded(api.trades)),
            Route("/api/v1/symbols", guarded(api.symbols)),
            Route("/api/v1/health", guarded(api.health)),
            Route("/api/v1/openapi.json", openapi),
            Route("/docs", docs),
            *Pages().routes(),
            WebSocketRoute("/api/v1/stream", sockets.serve),
            *(route for part in parts for route in part.routes),
        ],
    )
    made.state.doorkeeper = doorkeeper
    return made


class _Api:
    """Read parameters, ask the market, write answers."""

    def __init__(self, market: Market, sockets: Sockets) -> None:
        self._market = market
        self._sockets = sockets

    async def price(self, request: Request) -> Response:
        symbol, exchange = self._instrument(request)
        found = await self._market.prices.latest(symbol, exchange)
        return answer(found) if found else self._unknown(symbol, exchange)

    async def klines(self, request: Request) -> Response:
        symbol, exchange = self._instrument(request)
        interval = request.query_params.get("interval", "1m")
        if not _INTERVAL.match(interval):
            raise BadRequest(f"interval: not an interval such as 1m or 1h: {interval!r}")
        source = request.query_params.get("source")
        if source not in (None, "venue", "computed"):
            raise BadRequest("source: venue or computed")
        found = await self._market.klines(
            exchange,
            symbol,
            interval,
            number(request, "start", 0, 2**53),
            number(request, "end", 0, 2**53),
            number(request, "limit", 1, 5000, 500) or 500,
            source,
        )
        return answer(found) if found else self._unknown(symbol, exchange)

    async def orderbook(self, request: Request) -> Response:
        symbol, exchange = self._instrument(request)
        depth = number(request, "depth", 1, 1000, 20) or 20
        found = await self._market.book(exchange, symbol, depth)
        return answer(found) if found else self._unknown(symbol, exchange)

    async def trades(self, request: Request) -> Response:
        symbol, exchange = self._instrument(request)
        limit = number(request, "limit", 1, 1000, 100) or 100
        before = number(request, "before", 0, 2**63 - 1)
        found = await self._market.trades(exchange, symbol, limit, before)
        return answer(found) if found else self._unknown(symbol, exchange)

    async def symbols(self, request: Request) -> Response:
        known = await self._market.symbols()
        return answer(Symbols(primary=self._market.primary, symbols=known))

    async def health(self, request: Request) -> Response:
        stores = await ask_stores(self._market)
        answering = [store.answers for store in stores.values()]
        health = Health(
            status="ok" if all(answering) else "degraded" if any(answering) else "down",
            stores=stores,
            clients=self._sockets.count,
            lag=self._market.lag,
            last_tick_age_ms=self._market.last_tick_ages(),
        )
        return answer(health, 200 if stores["kafka"].answers else 503)

    def _instrument(self, request: Request) -> tuple[str, str]:
        """Read symbol and venue, the symbol of a share in the platform's spelling. Raises BadRequest, SymbolError."""
        symbol = request.path_params["symbol"]
        if not _SYMBOL.match(symbol):
            raise BadRequest(f"symbol: letters, digits, dot, dash and underscore, 40 at most: {symbol[:60]!r}")
        exchange = request.query_params.get("exchange", self._market.primary)
        if not _WORD.match(exchange):
            raise BadRequest(f"exchange: not a venue's name: {exchange[:60]!r}")
        return (listing_of(symbol).symbol if exchange in VENUES else symbol), exchange

    def _unknown(self, symbol: str, exchange: str) -> Response:
        return answer(Failure("unknown_symbol", f"no {symbol} at {exchange}; /api/v1/symbols lists what there is"), 404)


__all__ = ["OPERATIONS", "Part", "Symbol", "application"]
