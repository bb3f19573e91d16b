"""The keys in Redis, one string a key: `market_data:tick:binance:BTCUSDT` and its like."""

from __future__ import annotations

TTL = 3600
"""Seconds that an entry lives, on the stream's clock."""


def tick_key(exchange: str, symbol: str) -> str:
    """Name the newest tick of a symbol."""
    return f"market_data:tick:{exchange}:{symbol}"


def short_tick_key(symbol: str) -> str:
    """Name the newest tick of a symbol of the primary venue."""
    return f"latest_tick:{symbol}"


def kline_key(exchange: str, symbol: str, interval: str) -> str:
    """Name the newest candle of an interval, still forming or just closed."""
    return f"market_data:kline:{exchange}:{symbol}:{interval}"


def book_key(exchange: str, symbol: str) -> str:
    """Name the newest snapshot of an order book."""
    return f"market_data:orderbook:{exchange}:{symbol}"
