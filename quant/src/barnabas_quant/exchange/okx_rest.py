"""OKX's REST interface for market data: /api/v5/market and what goes with it.

Answers are `{"code": "0", "msg": "", "data": [...]}`, newest first. Too many requests to one path within two seconds
are answered 429 with code 50011.
Source: OKX API documentation v5, "Order Book Trading - Market Data", "Public Data", "Error Codes".
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import msgspec

from barnabas_quant.exchange.history import History
from barnabas_quant.exchange.okx_market import BARS, DEEPEST, OkxMarket
from barnabas_quant.exchange.wire import Request, Response


class _OkxError(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class OkxRest:
    """Answer requests. `now`: the exchange's clock, milliseconds; `clock`: seconds, for the limits."""

    def __init__(self, market: OkxMarket, most: int, now: Callable[[], int], clock: Callable[[], float]) -> None:
        self._market = market
        self._most = most
        self._now = now
        self._clock = clock
        self._asked: dict[str, deque[float]] = defaultdict(deque)
        self._routes: dict[str, tuple[int, Callable[[dict[str, str]], list[Any]]]] = {
            "/public/time": (1, lambda query: [{"ts": str(now())}]),
            "/public/instruments": (1, self._instruments),
            "/market/books": (2, self._books),
            "/market/trades": (5, self._trades),
            "/market/history-trades": (1, self._history_trades),
            "/market/candles": (2, self._candles),
            "/market/history-candles": (1, self._candles),
            "/market/ticker": (1, self._ticker),
        }

    def answer(self, request: Request) -> Response:
        """Answer a request whose path begins with /api/v5."""
        route = self._routes.get(request.path.removeprefix("/api/v5"))
        if route is None or request.method != "GET":
            return Response(404, b'{"msg":"API endpoint does not exist","code":"404","data":[]}')
        share, handle = route
        try:
            self._count(request.path, self._most * share)
            return Response(200, msgspec.json.encode({"code": "0", "msg": "", "data": handle(request.query)}))
        except _OkxError as error:
            body = msgspec.json.encode({"code": error.code, "data": [], "msg": str(error)})
            return Response(error.status, body)

    def _count(self, path: str, most: int) -> None:
        asked, now = self._asked[path], self._clock()
        while asked and asked[0] <= now - 2.0:
            asked.popleft()
        if len(asked) >= most:
            raise _OkxError("50011", "Too Many Requests", 429)
        asked.append(now)

    def _history(self, query: dict[str, str]) -> History:
        name = query.get("instId")
        if not name:
            raise _OkxError("50014", "Parameter instId can not be empty.")
        history = self._market.histories.get(name)
        if history is None:
            raise _OkxError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.", 200)
        return history

    def _number(self, query: dict[str, str], name: str) -> int | None:
        text = query.get(name)
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise _OkxError("51000", f"Parameter {name} error", 200)
        return int(text)

    def _limit(self, query: dict[str, str], name: str, default: int, most: int) -> int:
        value = self._number(query, name)
        return default if value is None else max(1, min(value, most))

    def _books(self, query: dict[str, str]) -> list[Any]:
        history = self._history(query)
        book = self._market.book(history.symbol, self._limit(query, "sz", 1, DEEPEST))
        if book is None:
            raise _OkxError("50001", "Service temporarily unavailable. Please try again later.", 503)
        return [book]

    def _trades(self, query: dict[str, str]) -> list[Any]:
        found = self._history(query).trades.newest(self._limit(query, "limit", 100, 500))
        return [self._market.trade(trade) for trade in reversed(found)]

    def _history_trades(self, query: dict[str, str]) -> list[Any]:
        history = self._history(query)
        limit = self._limit(query, "limit", 100, 100)
        after, before = self._number(query, "after"), self._number(query, "before")
        by_time = query.get("type") == "2"
        if by_time:
            kept = history.trades.newest(10**9)
            found = [
                trade
                for trade in kept
                if (after is None or trade.trade_time < after) and (before is None or trade.trade_time > before)
            ][-limit:]
        elif after is not None:
            found = history.trades.before(after, limit)
            if before is not None:
                found = [trade for trade in found if trade.trade_id > before]
        elif before is not None:
            found = [trade for trade in history.trades.newest(limit) if trade.trade_id > before]
        else:
            found = history.trades.newest(limit)
        return [self._market.trade(trade) | {"source": ""} for trade in reversed(found)]

    def _candles(self, query: dict[str, str]) -> list[Any]:
        history = self._history(query)
        interval = BARS.get(query.get("bar") or "1m")
        if interval is None:
            raise _OkxError("51000", "Parameter bar error", 200)
        limit = self._limit(query, "limit", 100, 300)
        after, before = self._number(query, "after"), self._number(query, "before")
        end = None if after is None else after - 1
        candles = list(history.klines.candles(interval, None, end, limit, self._now()))
        kept = [candle for candle in candles if before is None or candle.open_time > before]
        return [self._market.candle(candle) for candle in reversed(kept)]

    def _ticker(self, query: dict[str, str]) -> list[Any]:
        history = self._history(query)
        quote = history.quote
        if quote is None:
            raise _OkxError("50001", "Service temporarily unavailable. Please try again later.", 503)
        return [
            {
                "instType": "SPOT", "instId": history.symbol, "last": history.price or "", "askPx": quote.ask,
                "askSz": quote.ask_size, "bidPx": quote.bid, "bidSz": quote.bid_size, "ts": str(self._now()),
            }
        ]  # fmt: skip

    def _instruments(self, query: dict[str, str]) -> list[Any]:
        if query.get("instType") != "SPOT":
            raise _OkxError("51000", "Parameter instType error", 200)
        wanted = query.get("instId")
        answer = []
        for name, history in self._market.histories.items():
            if wanted in (None, name):
                base, quote = name.split("-")
                steps = history.steps
                answer.append(
                    {
                        "instType": "SPOT", "instId": name, "baseCcy": base, "quoteCcy": quote, "state": "live",
                        "tickSz": _step(steps.price), "lotSz": _step(steps.quantity), "minSz": _step(steps.quantity),
                    }
                )  # fmt: skip
        return answer


def _step(places: int) -> str:
    return "1" if not places else f"0.{1:0{places}d}"
