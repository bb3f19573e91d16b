"""Binance's messages as types: field names of ours, names and order on the wire those of the venue.

Each kind of message has a spot and a USD-M form with the same attributes, so whoever keeps history need not tell them
apart. The exchange has types of its own and shares none with the feed's decoder, which it is there to test.
Source: Binance API documentation, "WebSocket Streams" (spot), "Websocket Market Streams" (USD-M); order of the fields
as in recordings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import msgspec
from msgspec import Struct, field

Level = tuple[str, str]
"""Price and quantity, as text."""


class Trade(Struct, gc=False):
    """One trade of the spot market."""

    kind: str = field(name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    trade_id: int = field(name="t")
    price: str = field(name="p")
    quantity: str = field(name="q")
    trade_time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")
    ignored: bool = field(name="M", default=True)


class FuturesTrade(Struct, gc=False):
    """One trade of the futures market; `reason` NA: nothing was traded on the market, the price is 0."""

    kind: str = field(name="e")
    event_time: int = field(name="E")
    trade_time: int = field(name="T")
    symbol: str = field(name="s")
    trade_id: int = field(name="t")
    price: str = field(name="p")
    quantity: str = field(name="q")
    reason: str = field(name="X", default="MARKET")
    buyer_is_maker: bool = field(name="m", default=False)


class Aggregate(Struct, gc=False):
    """The trades of one taker order at one price, spot."""

    kind: str = field(name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    aggregate_id: int = field(name="a")
    price: str = field(name="p")
    quantity: str = field(name="q")
    first: int = field(name="f")
    last: int = field(name="l")
    trade_time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")
    ignored: bool = field(name="M", default=True)


class FuturesAggregate(Struct, gc=False):
    """The trades of one taker order at one price, futures."""

    kind: str = field(name="e")
    event_time: int = field(name="E")
    aggregate_id: int = field(name="a")
    symbol: str = field(name="s")
    price: str = field(name="p")
    quantity: str = field(name="q")
    first: int = field(name="f")
    last: int = field(name="l")
    trade_time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")


class Quote(Struct, gc=False):
    """Best bid and ask, spot."""

    update_id: int = field(name="u")
    symbol: str = field(name="s")
    bid: str = field(name="b")
    bid_size: str = field(name="B")
    ask: str = field(name="a")
    ask_size: str = field(name="A")


class FuturesQuote(Struct, gc=False):
    """Best bid and ask, futures."""

    kind: str = field(name="e")
    update_id: int = field(name="u")
    symbol: str = field(name="s")
    bid: str = field(name="b")
    bid_size: str = field(name="B")
    ask: str = field(name="a")
    ask_size: str = field(name="A")
    trade_time: int = field(name="T")
    event_time: int = field(name="E")


class Depth(Struct):
    """What changed in the book, spot."""

    kind: str = field(name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    first: int = field(name="U")
    last: int = field(name="u")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")


class FuturesDepth(Struct):
    """What changed in the book, futures; `previous` is the `last` of the event before."""

    kind: str = field(name="e")
    event_time: int = field(name="E")
    trade_time: int = field(name="T")
    symbol: str = field(name="s")
    first: int = field(name="U")
    last: int = field(name="u")
    previous: int = field(name="pu")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")


class Candle(Struct):
    """The bar within a kline message."""

    open_time: int = field(name="t")
    close_time: int = field(name="T")
    symbol: str = field(name="s")
    interval: str = field(name="i")
    first: int = field(name="f")
    last: int = field(name="L")
    open: str = field(name="o")
    close: str = field(name="c")
    high: str = field(name="h")
    low: str = field(name="l")
    volume: str = field(name="v")
    trades: int = field(name="n")
    closed: bool = field(name="x")
    quote_volume: str = field(name="q")
    taker_volume: str = field(name="V")
    taker_quote_volume: str = field(name="Q")
    ignored: str = field(name="B", default="0")


class Kline(Struct):
    """A bar as it stands, of either market."""

    kind: str = field(name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    candle: Candle = field(name="k")


class Snapshot(Struct):
    """The book as the REST interface answers it; futures have the times."""

    last: int = field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]
    event_time: int | None = field(name="E", default=None)


AnyTrade = Trade | FuturesTrade
AnyAggregate = Aggregate | FuturesAggregate
AnyQuote = Quote | FuturesQuote
AnyDepth = Depth | FuturesDepth
Message = AnyTrade | AnyAggregate | AnyQuote | AnyDepth | Kline

_SPOT: dict[str, type[Struct]] = {
    "trade": Trade, "aggTrade": Aggregate, "bookTicker": Quote, "depth": Depth, "kline": Kline
}  # fmt: skip
_FUTURES: dict[str, type[Struct]] = {
    "trade": FuturesTrade,
    "aggTrade": FuturesAggregate,
    "bookTicker": FuturesQuote,
    "depth": FuturesDepth,
    "kline": Kline,
}
_DECODERS = {
    futures: {kind: msgspec.json.Decoder(form) for kind, form in forms.items()}
    for futures, forms in ((False, _SPOT), (True, _FUTURES))
}
encode = msgspec.json.Encoder().encode
decode_snapshot = msgspec.json.Decoder(Snapshot).decode


def stream_kind(stream: str) -> str:
    """Name what a stream carries: `btcusdt@depth@100ms` carries depth, `btcusdt@kline_1m` kline, `@depth5` depth5."""
    parts = stream.split("@")
    return parts[1].partition("_")[0] if len(parts) > 1 else ""


def decode(kind: str, payload: bytes, futures: bool) -> Message | None:
    """Decode a payload; None for a kind that is not known. Raises msgspec.DecodeError."""
    decoder = _DECODERS[futures].get(kind)
    return None if decoder is None else cast(Message, decoder.decode(payload))


def ids_of(message: Message) -> tuple[int, int]:
    """Give first and last id of a message: trade ids, update ids, of a kline its open time and its last trade."""
    if isinstance(message, Trade | FuturesTrade):
        return message.trade_id, message.trade_id
    if isinstance(message, Aggregate | FuturesAggregate):
        return message.aggregate_id, message.aggregate_id
    if isinstance(message, Quote | FuturesQuote):
        return message.update_id, message.update_id
    if isinstance(message, Kline):
        return message.candle.open_time, message.candle.last
    return message.first, message.last


@dataclass(frozen=True, slots=True)
class Places:
    """Say how many decimal places a symbol's prices and quantities are written with."""

    price: int = 8
    quantity: int = 8

    @staticmethod
    def cut(text: str, places: int) -> str:
        """Write decimal text of eight places with fewer; the rest are zeros."""
        return text if places >= 8 else text[: len(text) - 8 + places].rstrip(".")

    def levels(self, levels: list[Level]) -> list[Level]:
        """Write levels of eight places with this symbol's."""
        return [(self.cut(price, self.price), self.cut(quantity, self.quantity)) for price, quantity in levels]
