"""Binance's frames, from JSON to records: no I/O, no clock.

`BinanceDecoder.records(frame)` answers the records of one combined-stream frame (`{"stream": ..., "data": ...}`) or of
one REST depth snapshot. It keeps the last trade price and the last quote of each symbol and nothing else, so feeding
it the same frames always gives the same records; whoever resumes feeds it the frames again.

Read: trade, aggTrade, bookTicker, depth (diffs, at any speed), kline, depth snapshots, for spot and for USD-M futures.
Every other stream, answers to commands and notices of the server give no record and are no error.
Source: Binance API documentation, "WebSocket Streams" (spot) and "Websocket Market Streams" (USD-M).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from barnabas_quant.errors import FrameError
from barnabas_quant.model import DecimalText, Frame, Kline, Level, OrderBook, Record, Tick, Trade

SPOT = "binance"
USD_M = "binance_usdm"

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Annotated[int, Meta(ge=0, lt=2**53)]


class _Envelope(Struct):
    """Cover both shapes of a frame: a combined stream's, and a depth snapshot's."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    last_update_id: Id | None = field(default=None, name="lastUpdateId")
    bids: list[Level] = field(default_factory=list)
    asks: list[Level] = field(default_factory=list)
    event_time: Time | None = field(default=None, name="E")


class _TradeData(Struct):
    event_time: Time = field(name="E")
    symbol: str = field(name="s")
    trade_id: Id = field(name="t")
    price: DecimalText = field(name="p")
    quantity: DecimalText = field(name="q")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")
    kind: str = field(name="X", default="MARKET")


class _AggregateData(Struct):
    event_time: Time = field(name="E")
    symbol: str = field(name="s")
    trade_id: Id = field(name="a")
    price: DecimalText = field(name="p")
    quantity: DecimalText = field(name="q")
    first: Id = field(name="f")
    last: Id = field(name="l")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")


class _QuoteData(Struct):
    update_id: Id = field(name="u")
    symbol: str = field(name="s")
    bid: DecimalText = field(name="b")
    bid_size: DecimalText = field(name="B")
    ask: DecimalText = field(name="a")
    ask_size: DecimalText = field(name="A")
    event_time: Time | None = field(name="E", default=None)


class _DepthData(Struct):
    event_time: Time = field(name="E")
    symbol: str = field(name="s")
    first: Id = field(name="U")
    last: Id = field(name="u")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")
    previous: Id | None = field(name="pu", default=None)


class _Bar(Struct):
    open_time: Time = field(name="t")
    close_time: Time = field(name="T")
    interval: str = field(name="i")
    open: DecimalText = field(name="o")
    close: DecimalText = field(name="c")
    high: DecimalText = field(name="h")
    low: DecimalText = field(name="l")
    volume: DecimalText = field(name="v")
    trades: Id = field(name="n")
    closed: bool = field(name="x")
    quote_volume: DecimalText = field(name="q")


class _KlineData(Struct):
    event_time: Time = field(name="E")
    symbol: str = field(name="s")
    bar: _Bar = field(name="k")


class _Memory(Struct):
    """Keep what a tick repeats from earlier frames of its symbol."""

    price: str | None = None
    bid: str | None = None
    bid_size: str | None = None
    ask: str | None = None
    ask_size: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_trade = msgspec.json.Decoder(_TradeData)
_aggregate = msgspec.json.Decoder(_AggregateData)
_quote = msgspec.json.Decoder(_QuoteData)
_depth = msgspec.json.Decoder(_DepthData)
_kline = msgspec.json.Decoder(_KlineData)

_Handler = Callable[[msgspec.Raw, int], list[Record]]


class BinanceDecoder:
    """Turn frames of one venue into records, in the order of the frames."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self._memory: dict[str, _Memory] = {}
        self._handlers: dict[str, _Handler] = {
            "trade": self._on_trade,
            "aggTrade": self._on_aggregate,
            "bookTicker": self._on_quote,
            "depth": self._on_depth,
            "kline": self._on_kline,
        }
        self._by_stream: dict[str, _Handler] = {}

    def records(self, frame: Frame) -> list[Record]:
        """Decode a frame: at most one record a topic, none for what is no market data.

        Raises FrameError for broken JSON, fields missing or of the wrong kind, prices that are no decimal text, and a
        depth snapshot whose symbol nobody knows.
        """
        received = frame.received // 1000
        try:
            envelope = _envelope.decode(frame.text)
            if envelope.stream is not None:
                return self._handler(envelope.stream)(envelope.data, received)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if envelope.last_update_id is None:
            return []
        return self._on_snapshot(envelope, frame.symbol, received)

    def _handler(self, stream: str) -> _Handler:
        handler = self._by_stream.get(stream)
        if handler is None:
            handler = self._by_stream[stream] = self._handlers.get(_stream_kind(stream), _nothing)
        return handler

    def _of(self, symbol: str) -> _Memory:
        memory = self._memory.get(symbol)
        if memory is None:
            memory = self._memory[symbol] = _Memory()
        return memory

    def _on_trade(self, data: msgspec.Raw, received: int) -> list[Record]:
        trade = _trade.decode(data)
        if trade.kind == "NA":  # futures send such frames with price 0: nothing was traded on the market
            return []
        record = Trade(
            exchange=self.exchange,
            symbol=trade.symbol,
            trade_id=trade.trade_id,
            price=trade.price,
            quantity=trade.quantity,
            buyer_is_maker=trade.buyer_is_maker,
            event_time=_microseconds(trade.event_time),
            trade_time=_microseconds(trade.trade_time),
            receive_time=received,
        )
        return [self._trade_tick(record), record]

    def _on_aggregate(self, data: msgspec.Raw, received: int) -> list[Record]:
        trade = _aggregate.decode(data)
        record = Trade(
            exchange=self.exchange,
            symbol=trade.symbol,
            trade_id=trade.trade_id,
            price=trade.price,
            quantity=trade.quantity,
            buyer_is_maker=trade.buyer_is_maker,
            event_time=_microseconds(trade.event_time),
            trade_time=_microseconds(trade.trade_time),
            receive_time=received,
            first_trade_id=trade.first,
            last_trade_id=trade.last,
        )
        return [self._trade_tick(record), record]

    def _trade_tick(self, trade: Trade) -> Tick:
        memory = self._of(trade.symbol)
        memory.price = trade.price
        return self._tick(memory, "trade", trade.symbol, trade.trade_id, trade.event_time, trade.receive_time)

    def _on_quote(self, data: msgspec.Raw, received: int) -> list[Record]:
        quote = _quote.decode(data)
        memory = self._of(quote.symbol)
        best = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
        if best == (memory.bid, memory.bid_size, memory.ask, memory.ask_size):
            return []  # a tick is a change
        memory.bid, memory.bid_size, memory.ask, memory.ask_size = best
        event_time = None if quote.event_time is None else _microseconds(quote.event_time)
        return [self._tick(memory, "quote", quote.symbol, quote.update_id, event_time, received)]

    def _tick(
        self, memory: _Memory, kind: str, symbol: str, update_id: int, event_time: int | None, received: int
    ) -> Tick:
        return Tick(
            exchange=self.exchange,
            symbol=symbol,
            kind="trade" if kind == "trade" else "quote",
            price=memory.price,
            bid=memory.bid,
            bid_size=memory.bid_size,
            ask=memory.ask,
            ask_size=memory.ask_size,
            update_id=update_id,
            event_time=event_time,
            receive_time=received,
        )

    def _on_depth(self, data: msgspec.Raw, received: int) -> list[Record]:
        depth = _depth.decode(data)
        return [
            OrderBook(
                exchange=self.exchange,
                symbol=depth.symbol,
                type="diff",
                first_update_id=depth.first,
                last_update_id=depth.last,
                previous_update_id=depth.previous,
                bids=depth.bids,
                asks=depth.asks,
                event_time=_microseconds(depth.event_time),
                receive_time=received,
            )
        ]

    def _on_snapshot(self, snapshot: _Envelope, symbol: str | None, received: int) -> list[Record]:
        if symbol is None:
            raise FrameError("a depth snapshot, and nothing says of which symbol")
        last = snapshot.last_update_id or 0
        return [
            OrderBook(
                exchange=self.exchange,
                symbol=symbol,
                type="snapshot",
                first_update_id=last,
                last_update_id=last,
                previous_update_id=None,
                bids=snapshot.bids,
                asks=snapshot.asks,
                event_time=None if snapshot.event_time is None else _microseconds(snapshot.event_time),
                receive_time=received,
            )
        ]

    def _on_kline(self, data: msgspec.Raw, received: int) -> list[Record]:
        kline = _kline.decode(data)
        bar = kline.bar
        return [
            Kline(
                exchange=self.exchange,
                symbol=kline.symbol,
                interval=bar.interval,
                open_time=_microseconds(bar.open_time),
                close_time=_microseconds(bar.close_time),
                open=bar.open,
                high=bar.high,
                low=bar.low,
                close=bar.close,
                volume=bar.volume,
                quote_volume=bar.quote_volume,
                trades=bar.trades,
                closed=bar.closed,
                source="venue",
                event_time=_microseconds(kline.event_time),
                receive_time=received,
            )
        ]


def _nothing(data: msgspec.Raw, received: int) -> list[Record]:
    return []


def _stream_kind(stream: str) -> str:
    """Name what a stream carries: `btcusdt@depth@100ms` carries depth, `btcusdt@kline_1m` kline.

    `depth5`, `depth10` and `depth20` are another kind: whole books without the ids that diffs need.
    """
    parts = stream.split("@")
    return parts[1].partition("_")[0] if len(parts) > 1 else ""


def _microseconds(time: int) -> int:
    """Read Binance's time: milliseconds, or microseconds where the connection asked for them (16 digits)."""
    return time if time >= 10**15 else time * 1000
