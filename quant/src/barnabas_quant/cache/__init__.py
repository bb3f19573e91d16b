"""The newest tick, candle and book of each symbol in Redis."""

from barnabas_quant.cache.keys import book_key, kline_key, short_tick_key, tick_key
from barnabas_quant.cache.store import Cache

__all__ = ["Cache", "book_key", "kline_key", "short_tick_key", "tick_key"]
