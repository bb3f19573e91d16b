"""Binance's REST interface for market data: /api/v3 of the spot market, /fapi/v1 of USD-M futures.

Answers come from what was played. Trades and bars that are not kept any more, or that lie before the play, are left
out, and the header `x-exchange-history-from` names the oldest id that there is; a book that is not known (no snapshot
yet, or a gap in the source) is answered 503. Aggregates of a source that has none are its trades, one by one.
Source: Binance API documentation, "Market Data endpoints" (spot), "Market Data" (USD-M); weights of 2026.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from barnabas_quant.exchange.history import History
from barnabas_quant.exchange.klines import INTERVALS
from barnabas_quant.exchange.market import Market
from barnabas_quant.exchange.messages import (
    Aggregate,
    AnyAggregate,
    AnyTrade,
    Candle,
    FuturesAggregate,
    FuturesQuote,
    FuturesTrade,
)
from barnabas_quant.exchange.rest import Parameters, RestError, Weights, unavailable
from barnabas_quant.exchange.wire import Request, Response
from barnabas_quant.model import decimal_text, units

_FUTURES_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
_Handler = Callable[[Parameters], Any]
_Weigh = Callable[[Parameters], int]


class BinanceRest:
    """Answer the requests of one venue. `now`: its clock, milliseconds since 1970."""

    def __init__(self, market: Market, weights: Weights, most: int, now: Callable[[], int]) -> None:
        self._market = market
        self._weights = weights
        self._most = most
        self._now = now
        self.prefix = "/fapi/v1" if market.futures else "/api/v3"
        futures = market.futures
        self._routes: dict[str, tuple[_Weigh, _Handler]] = {
            "/ping": (lambda p: 1, lambda p: {}),
            "/time": (lambda p: 1, lambda p: {"serverTime": now()}),
            "/exchangeInfo": (lambda p: 1 if futures else 20, self._exchange_info),
            "/depth": (self._depth_weight, self._depth),
            "/trades": (lambda p: 5 if futures else 25, self._trades),
            "/historicalTrades": (lambda p: 20 if futures else 25, self._old_trades),
            "/aggTrades": (lambda p: 20 if futures else 4, self._aggregates),
            "/klines": (self._klines_weight, self._klines),
            "/ticker/bookTicker": (self._ticker_weight, self._quotes),
            "/ticker/price": (self._ticker_weight, self._prices),
        }
        self._history_from: int | None = None

    def answer(self, request: Request) -> Response:
        """Answer a request whose path begins with `prefix`."""
        route = self._routes.get(request.path.removeprefix(self.prefix))
        if route is None:
            return Response(404, b"<html><body><h2>404 Not found</h2></body></html>", content_type="text/html")
        if request.method != "GET":
            return Response(405, b"", {"allow": "GET"})
        weigh, handle = route
        parameters = Parameters(request)
        self._history_from = None
        try:
            refused = self._weights.take(weigh(parameters))
            answer = refused or Response(200, msgspec.json.encode(handle(parameters)))
        except RestError as error:
            answer = error.response()
        answer.headers["x-mbx-used-weight"] = answer.headers["x-mbx-used-weight-1m"] = str(self._weights.used)
        if self._history_from is not None:
            answer.headers["x-exchange-history-from"] = str(self._history_from)
        return answer

    def _history(self, parameters: Parameters) -> History:
        return self._named(parameters.required("symbol"))

    def _named(self, symbol: str) -> History:
        if not symbol.isascii() or not symbol.replace("_", "").isalnum():
            raise RestError(
                -1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'."
            )
        history = self._market.histories.get(symbol)
        if history is None:
            raise RestError(-1121, "Invalid symbol.")
        return history

    def _chosen(self, parameters: Parameters) -> list[History] | None:
        """Give the symbols that a ticker is asked for; None: one, `symbol`."""
        several = parameters.text("symbols")
        if parameters.text("symbol") is not None:
            if several is not None:
                raise RestError(-1128, "Combination of optional parameters invalid.")
            return None
        if several is None:
            return list(self._market.histories.values())
        try:
            names = msgspec.json.decode(several, type=list[str])
        except msgspec.DecodeError as error:
            raise RestError(
                -1100, "Illegal characters found in parameter 'symbols'; legal range is "
                "'^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$'."
            ) from error  # fmt: skip
        return [self._named(name) for name in names]

    # depth

    def _depth_limit(self, parameters: Parameters) -> int:
        if not self._market.futures:
            return parameters.limit(100, 5000)
        limit = parameters.number("limit")
        if limit is not None and limit not in _FUTURES_DEPTHS:
            raise RestError(-4021, f"'{limit}' is not valid depth limit.")
        return 500 if limit is None else limit

    def _depth_weight(self, parameters: Parameters) -> int:
        limit = self._depth_limit(parameters)
        if self._market.futures:
            return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20
        return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250

    def _depth(self, parameters: Parameters) -> Any:
        history = self._history(parameters)
        levels = history.levels(self._depth_limit(parameters))
        if levels is None or history.book is None:
            raise unavailable()
        answer: dict[str, Any] = {"lastUpdateId": history.book.last}
        if self._market.futures:
            answer |= {"E": max(self._market.time, history.book_time), "T": history.book_time}
        return answer | {"bids": levels[0], "asks": levels[1]}

    # trades

    def _trades(self, parameters: Parameters) -> Any:
        history = self._history(parameters)
        return [self._trade(trade) for trade in history.trades.newest(parameters.limit(500, 1000))]

    def _old_trades(self, parameters: Parameters) -> Any:
        history = self._history(parameters)
        limit = parameters.limit(100 if self._market.futures else 500, 500 if self._market.futures else 1000)
        first = parameters.number("fromId")
        self._history_from = history.trades.oldest
        found = history.trades.newest(limit) if first is None else history.trades.since(first, limit)
        return [self._trade(trade) for trade in found]

    def _trade(self, trade: AnyTrade) -> dict[str, Any]:
        value = units(trade.price) * units(trade.quantity) // 10**8
        answer: dict[str, Any] = {
            "id": trade.trade_id,
            "price": trade.price,
            "qty": trade.quantity,
            "quoteQty": decimal_text(value),
            "time": trade.trade_time,
            "isBuyerMaker": trade.buyer_is_maker,
        }
        if not isinstance(trade, FuturesTrade):
            answer["isBestMatch"] = True
        return answer

    def _aggregates(self, parameters: Parameters) -> Any:
        history = self._history(parameters)
        limit = parameters.limit(500, 1000)
        first, start, end = (parameters.number(name) for name in ("fromId", "startTime", "endTime"))
        if first is not None and (start is not None or end is not None):
            raise RestError(-1128, "Combination of optional parameters invalid.")
        if start is not None and end is not None and self._market.futures and end - start > 3_600_000:
            raise RestError(-4052, "The time interval between startTime and endTime should be within 1 hour.")
        shelf = history.aggregates
        if shelf.oldest is None:
            return self._from_trades(history, first, start, end, limit)
        self._history_from = shelf.oldest
        if first is not None:
            found = shelf.since(first, limit)
        elif start is not None or end is not None:
            found = shelf.within(start or 0, end, limit, lambda trade: trade.trade_time)
        else:
            found = shelf.newest(limit)
        return [self._aggregate(trade) for trade in found]

    def _from_trades(
        self, history: History, first: int | None, start: int | None, end: int | None, limit: int
    ) -> list[dict[str, Any]]:
        shelf = history.trades
        self._history_from = shelf.oldest
        if first is not None:
            found = shelf.since(first, limit)
        elif start is not None or end is not None:
            found = shelf.within(start or 0, end, limit, lambda trade: trade.trade_time)
        else:
            found = shelf.newest(limit)
        return [self._aggregate(aggregate_of(trade)) for trade in found]

    def _aggregate(self, trade: AnyAggregate) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "a": trade.aggregate_id,
            "p": trade.price,
            "q": trade.quantity,
            "f": trade.first,
            "l": trade.last,
            "T": trade.trade_time,
            "m": trade.buyer_is_maker,
        }
        if not isinstance(trade, FuturesAggregate):
            answer["M"] = True
        return answer

    # bars

    def _klines_limit(self, parameters: Parameters) -> int:
        return parameters.limit(500, 1500 if self._market.futures else 1000)

    def _klines_weight(self, parameters: Parameters) -> int:
        if not self._market.futures:
            return 2
        limit = self._klines_limit(parameters)
        return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10

    def _klines(self, parameters: Parameters) -> Any:
        history = self._history(parameters)
        interval = parameters.required("interval")
        if interval not in INTERVALS or (self._market.futures and interval == "1s"):
            raise RestError(-1120, "Invalid interval.")
        start, end = parameters.number("startTime"), parameters.number("endTime")
        candles = history.klines.candles(interval, start, end, self._klines_limit(parameters), self._now())
        return [self._row(candle) for candle in candles]

    def _row(self, candle: Candle) -> list[Any]:
        return [
            candle.open_time, candle.open, candle.high, candle.low, candle.close, candle.volume, candle.close_time,
            candle.quote_volume, candle.trades, candle.taker_volume, candle.taker_quote_volume, "0",
        ]  # fmt: skip

    # tickers

    def _ticker_weight(self, parameters: Parameters) -> int:
        one = parameters.text("symbol") is not None
        return (1 if one else 2) if self._market.futures else (2 if one else 4)

    def _quotes(self, parameters: Parameters) -> Any:
        chosen = self._chosen(parameters)
        if chosen is None:
            return self._quote(self._history(parameters))
        return [self._quote(history) for history in chosen if history.quote is not None]

    def _quote(self, history: History) -> dict[str, Any]:
        quote = history.quote
        if quote is None:
            raise unavailable()
        answer: dict[str, Any] = {
            "symbol": history.symbol,
            "bidPrice": quote.bid,
            "bidQty": quote.bid_size,
            "askPrice": quote.ask,
            "askQty": quote.ask_size,
        }
        if isinstance(quote, FuturesQuote):
            answer |= {"time": quote.trade_time, "lastUpdateId": quote.update_id}
        return answer

    def _prices(self, parameters: Parameters) -> Any:
        chosen = self._chosen(parameters)
        if chosen is None:
            return self._price(self._history(parameters))
        return [self._price(history) for history in chosen if history.price is not None]

    def _price(self, history: History) -> dict[str, Any]:
        if history.price is None:
            raise unavailable()
        answer: dict[str, Any] = {"symbol": history.symbol, "price": history.price}
        if self._market.futures:
            answer["time"] = history.price_time
        return answer

    # what is traded

    def _exchange_info(self, parameters: Parameters) -> Any:
        histories = self._chosen(parameters) or [self._history(parameters)]
        limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self._most}]
        answer: dict[str, Any] = {"timezone": "UTC", "serverTime": self._now()}
        if self._market.futures:
            answer["futuresType"] = "U_MARGINED"
        return answer | {
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [self._symbol(history) for history in histories],
        }

    def _symbol(self, history: History) -> dict[str, Any]:
        base, quote = split_symbol(history.symbol)
        places = history.steps
        tick, lot = (self._step(step) for step in (places.price, places.quantity))
        price = {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick}
        size = {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "900000.00000000", "stepSize": lot}
        if self._market.futures:
            return {
                "symbol": history.symbol, "pair": history.symbol, "contractType": "PERPETUAL",
                "deliveryDate": 4133404800000, "onboardDate": 1569398400000, "status": "TRADING",
                "baseAsset": base, "quoteAsset": quote, "marginAsset": quote, "pricePrecision": places.price,
                "quantityPrecision": places.quantity, "baseAssetPrecision": 8, "quotePrecision": 8,
                "filters": [price, size], "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK"],
            }  # fmt: skip
        return {
            "symbol": history.symbol, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8,
            "quoteAsset": quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "icebergAllowed": False,
            "ocoAllowed": False, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
            "filters": [price, size], "permissions": ["SPOT"],
        }  # fmt: skip

    def _step(self, places: int) -> str:
        """Write 10 to the power of -`places` as the market writes its amounts."""
        text = "1" if not places else f"0.{1:0{places}d}"
        return text if self._market.futures else decimal_text(units(text))


def aggregate_of(trade: AnyTrade) -> AnyAggregate:
    """Tell a trade as an aggregate of itself."""
    form = FuturesAggregate if isinstance(trade, FuturesTrade) else Aggregate
    return form(
        kind="aggTrade", event_time=trade.event_time, symbol=trade.symbol, aggregate_id=trade.trade_id,
        price=trade.price, quantity=trade.quantity, first=trade.trade_id, last=trade.trade_id,
        trade_time=trade.trade_time, buyer_is_maker=trade.buyer_is_maker,
    )  # fmt: skip


def split_symbol(symbol: str) -> tuple[str, str]:
    """Split a symbol into base and quote asset, by the quote assets that the venue has."""
    for quote in ("USDT", "USDC", "FDUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY"):
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote), quote
    return symbol, "USDT"
