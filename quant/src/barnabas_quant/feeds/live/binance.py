"""Binance as a live venue: spot and USD-M futures.

Source: Binance API documentation, "WebSocket Streams" and "Market Data Endpoints" (spot), "Websocket Market Streams"
and "Market Data Endpoints" (USD-M).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct, field

from barnabas_quant.feeds.binance import SPOT, USD_M, BinanceDecoder, Id, Time
from barnabas_quant.feeds.live.rest import Rest, RestError
from barnabas_quant.feeds.live.symbol import SymbolState
from barnabas_quant.feeds.live.venue import Handler, Notice
from barnabas_quant.model import DecimalText, Frame, Kline, OrderBook, Record, Trade

_PREFIX = b'{"stream":"'  # 11 bytes
# gc=False below: they hold no cycles, and the collector has hundreds of thousands a second less to look at.
_MOST_TRADES = 1000  # of one answer
_MOST_KLINES = 1000


class _Quote(Struct, gc=False):
    update_id: Id = field(name="u")
    symbol: str = field(name="s")
    bid: str = field(name="b")
    bid_size: str = field(name="B")
    ask: str = field(name="a")
    ask_size: str = field(name="A")
    event_time: Time | None = field(name="E", default=None)


class _QuoteFrame(Struct, gc=False):
    data: _Quote


class _TradeData(Struct, gc=False):
    event_time: Time = field(name="E")
    symbol: str = field(name="s")
    trade_id: Id = field(name="t")
    price: str = field(name="p")
    quantity: str = field(name="q")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")
    kind: str = field(name="X", default="MARKET")


class _TradeFrame(Struct, gc=False):
    data: _TradeData


class _OldTrade(Struct):
    id: Id
    price: DecimalText
    quantity: DecimalText = field(name="qty")
    time: Time
    buyer_is_maker: bool = field(name="isBuyerMaker")


class _OldAggregate(Struct):
    id: Id = field(name="a")
    price: DecimalText = field(name="p")
    quantity: DecimalText = field(name="q")
    first: Id = field(name="f")
    last: Id = field(name="l")
    time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")


class _Answer(Struct):
    id: int | None = None
    error: msgspec.Raw | None = None
    code: int | None = None
    event: str | None = field(name="e", default=None)
    result: msgspec.Raw | None = None


_quote = msgspec.json.Decoder(_QuoteFrame).decode
_trade = msgspec.json.Decoder(_TradeFrame).decode
_answer = msgspec.json.Decoder(_Answer).decode
_old_trades = msgspec.json.Decoder(list[_OldTrade]).decode
_old_aggregates = msgspec.json.Decoder(list[_OldAggregate]).decode
_Money = DecimalText
_OldKline = tuple[Time, _Money, _Money, _Money, _Money, _Money, Time, _Money, Id, _Money, _Money, str]
_old_klines = msgspec.json.Decoder(list[_OldKline]).decode


class Binance:
    """Speak Binance's language; `exchange` is binance or binance_usdm."""

    messages_a_second = 4.0  # of five, pongs among them
    streams_a_connection = 200  # of 1024: a busy one is no use to anybody when it falls behind
    most_orders = 100
    idle_ping: bytes | None = None
    rest_pause = 0.0
    streamed_books = False

    def __init__(self, exchange: str, now: Callable[[], int]) -> None:
        """Take the market, and a clock in microseconds since 1970."""
        self.exchange = exchange
        self._futures = exchange == USD_M
        self.trade_stream = "aggTrade" if self._futures else "trade"
        self.rest_weight = 2400 if self._futures else 6000
        self._path = "/fapi/v1" if self._futures else "/api/v3"
        self._now = now

    def url(self, base: str, stream: str) -> str:
        return f"{base.rstrip('/')}/stream"

    def streams(self, symbol: str, kinds: Sequence[str], intervals: Sequence[str]) -> list[str]:
        names = {"trade": [self.trade_stream], "quote": ["bookTicker"], "depth": ["depth@100ms"]}
        names["kline"] = [f"kline_{interval}" for interval in intervals]
        return [f"{symbol.lower()}@{name}" for kind in kinds for name in names[kind]]

    def order(self, subscribe: bool, streams: Sequence[str], number: int) -> tuple[bytes, int]:
        method = "SUBSCRIBE" if subscribe else "UNSUBSCRIBE"
        return msgspec.json.encode({"method": method, "params": list(streams), "id": number}), 1

    def stream_of(self, payload: bytes) -> bytes:
        # A frame of another shape gives something that is no stream's name; `notice` then says what it is.
        return payload[11 : payload.find(b'"', 11, 120)]

    def notice(self, payload: bytes) -> Notice:
        if payload.startswith(_PREFIX):
            return "stream"
        try:
            answer = _answer(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return "unknown"
        if answer.event == "serverShutdown":
            return "shutdown"
        if answer.error is not None or answer.code is not None:
            return "refused"
        return "answer" if answer.id is not None or answer.result is not None else "unknown"

    def handler(self, stream: str, state: SymbolState) -> Handler:
        kind = stream.split("@")[1]
        symbol = state.symbol
        if kind == "bookTicker":
            take_quote = state.quote

            def on_quote(payload: bytes, received: int) -> None:
                quote = _quote(payload).data
                if quote.symbol != symbol:
                    raise ValueError(f"a quote of {quote.symbol} in the stream of {symbol}")
                event_time = None if quote.event_time is None else quote.event_time * 1000
                best = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
                take_quote(quote.update_id, best, event_time, received)

            return on_quote
        if kind == "trade":
            exchange, take_trade = self.exchange, state.trade

            def on_trade(payload: bytes, received: int) -> None:
                data = _trade(payload).data
                if data.symbol != symbol:
                    raise ValueError(f"a trade of {data.symbol} in the stream of {symbol}")
                if data.kind == "NA":  # nothing was traded on the market
                    return
                take_trade(
                    Trade(
                        exchange=exchange,
                        symbol=symbol,
                        trade_id=data.trade_id,
                        price=data.price,
                        quantity=data.quantity,
                        buyer_is_maker=data.buyer_is_maker,
                        event_time=data.event_time * 1000,
                        trade_time=data.trade_time * 1000,
                        receive_time=received,
                    )
                )

            return on_trade
        decoder = BinanceDecoder(self.exchange)

        def on_other(payload: bytes, received: int) -> None:
            for record in decoder.records(Frame((0,), received * 1000, payload)):
                if record.symbol != symbol:
                    raise ValueError(f"a record of {record.symbol} in the stream of {symbol}")
                _hand(record, state)

        return on_other

    async def book(self, rest: Rest, symbol: str) -> OrderBook:
        body = await rest.get(f"{self._path}/depth", {"symbol": symbol, "limit": 1000})
        found = BinanceDecoder(self.exchange).records(Frame((0,), self._now() * 1000, body, symbol))
        if len(found) != 1 or not isinstance(found[0], OrderBook):
            raise RestError(f"no snapshot of {symbol}: {body[:200]!r}")
        return found[0]

    async def trades(self, rest: Rest, symbol: str, first: int, last: int) -> list[Trade]:
        limit = min(_MOST_TRADES, last - first + 1)
        path = "aggTrades" if self._futures else "historicalTrades"
        body = await rest.get(f"{self._path}/{path}", {"symbol": symbol, "fromId": first, "limit": limit})
        return [trade for trade in self._old(symbol, body) if first <= trade.trade_id <= last]

    def _old(self, symbol: str, body: bytes) -> list[Trade]:
        now = self._now()
        try:
            if self._futures:
                return [
                    Trade(
                        exchange=self.exchange, symbol=symbol, trade_id=old.id, price=old.price, quantity=old.quantity,
                        buyer_is_maker=old.buyer_is_maker, event_time=old.time * 1000, trade_time=old.time * 1000,
                        receive_time=now, first_trade_id=old.first, last_trade_id=old.last,
                    )
                    for old in _old_aggregates(body)
                ]  # fmt: skip
            return [
                Trade(
                    exchange=self.exchange, symbol=symbol, trade_id=past.id, price=past.price, quantity=past.quantity,
                    buyer_is_maker=past.buyer_is_maker, event_time=past.time * 1000, trade_time=past.time * 1000,
                    receive_time=now,
                )
                for past in _old_trades(body)
            ]  # fmt: skip
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RestError(f"trades of {symbol} cannot be read: {error}") from error

    async def klines(self, rest: Rest, symbol: str, interval: str, start: int, end: int) -> list[Kline]:
        found: list[Kline] = []
        at = start // 1000
        while at * 1000 < end:
            span = {"startTime": at, "endTime": end // 1000 - 1, "limit": _MOST_KLINES}
            body = await rest.get(f"{self._path}/klines", {"symbol": symbol, "interval": interval, **span})
            try:
                rows = _old_klines(body)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RestError(f"candles of {symbol} cannot be read: {error}") from error
            for row in rows:
                found.append(
                    Kline(
                        exchange=self.exchange, symbol=symbol, interval=interval, open_time=row[0] * 1000,
                        close_time=row[6] * 1000, open=row[1], high=row[2], low=row[3], close=row[4], volume=row[5],
                        quote_volume=row[7], trades=row[8], closed=True, source="venue", event_time=row[6] * 1000,
                        receive_time=self._now(),
                    )
                )  # fmt: skip
            if len(rows) < _MOST_KLINES:
                break
            at = max(at, rows[-1][0]) + 1
        return [kline for kline in found if start <= kline.open_time < end]


def _hand(record: Record, state: SymbolState) -> None:
    if isinstance(record, OrderBook):
        state.diff(record)
    elif isinstance(record, Kline):
        state.kline(record)
    elif isinstance(record, Trade):
        state.trade(record)


def spot(now: Callable[[], int]) -> Binance:
    """Make the spot market."""
    return Binance(SPOT, now)


def usd_m(now: Callable[[], int]) -> Binance:
    """Make the USD-M futures market."""
    return Binance(USD_M, now)
