"""What the REST interface answers: typed, so that the OpenAPI page is made from them."""

from __future__ import annotations

from typing import Literal

import msgspec

from barnabas_quant.gateway.prices import Price

__all__ = [
    "Bar",
    "Bars",
    "Book",
    "ErrorWord",
    "Failure",
    "Health",
    "Price",
    "StoreHealth",
    "Symbol",
    "Symbols",
    "TradeRow",
    "Trades",
]


ErrorWord = Literal[
    "unknown_symbol", "bad_request", "unavailable", "not_found", "unauthorized", "forbidden", "conflict", "too_many"
]


class Failure(msgspec.Struct, frozen=True):
    """Say what went wrong: `error` is one of a few words, `message` a sentence."""

    error: ErrorWord
    message: str


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Answer one candle; times in microseconds since 1970, amounts as decimal text."""

    open_time: int
    close_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int
    closed: bool
    source: Literal["venue", "computed"]


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """Answer candles, oldest first."""

    exchange: str
    symbol: str
    interval: str
    klines: list[Bar]


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """Answer an order book, best levels first, each (price, quantity)."""

    exchange: str
    symbol: str
    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    receive_time: int
    source: Literal["redis", "clickhouse", "kafka"]
    age_ms: int


class TradeRow(msgspec.Struct, frozen=True, kw_only=True):
    """Answer one trade."""

    trade_id: int
    price: str
    quantity: str
    buyer_is_maker: bool
    trade_time: int


class Trades(msgspec.Struct, frozen=True, kw_only=True):
    """Answer trades, newest first."""

    exchange: str
    symbol: str
    trades: list[TradeRow]


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """Name one instrument and when it was last heard of, in milliseconds since 1970."""

    exchange: str
    symbol: str
    last_ms: int


class Symbols(msgspec.Struct, frozen=True, kw_only=True):
    """Answer every instrument that the gateway knows."""

    primary: str
    symbols: list[Symbol]


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Say whether a store answers, and how long it took in milliseconds."""

    answers: bool
    ms: float
    message: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Say how the gateway and its stores are. `last_tick_age_ms`: since the last tick of each exchange came in."""

    status: Literal["ok", "degraded", "down"]
    stores: dict[str, StoreHealth]
    clients: int
    lag: int | None
    last_tick_age_ms: dict[str, int]
