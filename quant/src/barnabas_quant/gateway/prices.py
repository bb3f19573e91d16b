"""The route of the latest price: Redis first, then ClickHouse (and Redis filled again), then the topic itself.

Shares are in no table: for them the topic is the history, and Redis is filled from it.

A store that is down is passed over and said to be: each answer names where it came from and how old it is. Age is that
on the stream's own clock: how late the record reached the feed, and how long ago it was produced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

import msgspec

from barnabas_quant.cache import Cache, short_tick_key, tick_key
from barnabas_quant.cache.store import lifetime, now_ms, tick_entry
from barnabas_quant.errors import BusError, RecordError, StoreUnavailable
from barnabas_quant.gateway.newest import Newest
from barnabas_quant.history import AsyncClickHouse, ClickHouseError
from barnabas_quant.model import Tick
from barnabas_quant.model.markets import VENUES, listing_of
from barnabas_quant.model.stock import Stock, decode_stock

log = logging.getLogger(__name__)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the latest price: decimal text; times in microseconds, age in milliseconds, null where unknown."""

    exchange: str
    symbol: str
    price: str | None
    bid: str | None
    bid_size: str | None
    ask: str | None
    ask_size: str | None
    kind: Literal["trade", "quote"]
    update_id: int
    event_time: int | None
    receive_time: int
    source: Literal["redis", "clickhouse", "kafka"]
    age_ms: int
    unavailable: list[str] = []
    """Stores that were asked before and did not answer."""


class _Cached(msgspec.Struct, kw_only=True):
    exchange: str
    symbol: str
    kind: Literal["trade", "quote"]
    update_id: int
    receive_time: int
    produced: int
    price: str | None = None
    bid: str | None = None
    bid_size: str | None = None
    ask: str | None = None
    ask_size: str | None = None
    event_time: int | None = None


_cached = msgspec.json.Decoder(_Cached).decode

_LATEST = """
SELECT exchange, symbol, toString(kind) AS kind, update_id, price, bid, bid_size, ask, ask_size,
       event_time, receive_time, produced
FROM market_ticks WHERE exchange = {exchange:String} AND symbol = {symbol:String}
ORDER BY timestamp DESC, kafka_offset DESC LIMIT 1
"""


class Prices:
    """Find the latest price of a symbol."""

    def __init__(
        self,
        cache: Cache,
        history: AsyncClickHouse,
        newest: Newest,
        primary: str,
        now: Callable[[], int] = now_ms,
    ) -> None:
        self._cache = cache
        self._history = history
        self._newest = newest
        self._primary = primary
        self._now = now

    async def latest(self, symbol: str, exchange: str) -> Price | None:
        """Give the price; None where no store that answers knows the symbol.

        Raises StoreUnavailable where none of the three answers, SymbolError for no symbol of a venue of shares.
        """
        if exchange in VENUES:
            return await self._latest_share(symbol, exchange)
        down: list[str] = []
        if (held := await self._held(exchange, symbol, down)) is not None:
            return self._answer(held, "redis", down)
        try:
            rows = await self._history.rows(_LATEST, _Cached, exchange=exchange, symbol=symbol)
            if rows:
                if "redis" not in down:
                    await asyncio.to_thread(self._fill, rows[0])
                return self._answer(rows[0], "clickhouse", down)
        except (StoreUnavailable, ClickHouseError) as error:  # the latter: its tables are not made yet
            log.debug("%s", error)
            down.append("clickhouse")
        if not down:  # both answer and have nothing: a search through the topic for every mistyped symbol helps nobody
            return None
        try:
            found = await asyncio.to_thread(self._newest.find, Tick.topic, f"{exchange}:{symbol}".encode())
        except BusError as error:
            if len(down) == 2:
                raise StoreUnavailable(f"Redis, ClickHouse and Kafka do not answer: {error}") from error
            return None
        if found is None:
            return None
        value, produced, _ = found
        try:
            tick = msgspec.json.decode(value, type=Tick)
        except msgspec.DecodeError as error:
            log.warning("the newest tick of %s:%s: %s", exchange, symbol, error)
            return None
        return self._answer(_Cached(**msgspec.structs.asdict(tick), produced=produced), "kafka", down)

    async def _latest_share(self, symbol: str, exchange: str) -> Price | None:
        """Give the price of a share. Raises SymbolError, StoreUnavailable."""
        listing = listing_of(symbol)
        if listing.venue != exchange:
            return None
        down: list[str] = []
        if (held := await self._held(exchange, listing.symbol, down)) is not None:
            return self._answer(held, "redis", down)
        key = listing.symbol.encode()
        try:
            found = await asyncio.to_thread(
                self._newest.find, Stock.topic, key, lambda _, partitions: listing.partition(partitions)
            )
        except BusError as error:
            if down:
                raise StoreUnavailable(f"Redis and Kafka do not answer: {error}") from error
            return None
        if found is None:
            return None
        value, produced, offset = found
        try:
            tick = decode_stock(value).tick(produced, offset)
        except RecordError as error:
            log.warning("the newest record of %s: %s", listing.symbol, error)
            return None
        row = _Cached(**msgspec.structs.asdict(tick), produced=produced)
        if not down:
            await asyncio.to_thread(self._fill, row)
        return self._answer(row, "kafka", down)

    async def _held(self, exchange: str, symbol: str, down: list[str]) -> _Cached | None:
        """Give what Redis holds; where it does not answer, put it among those that are down."""
        try:
            value = await asyncio.to_thread(self._cache.read, tick_key(exchange, symbol))
            return None if value is None else _cached(value)
        except StoreUnavailable as error:
            log.debug("%s", error)
            down.append("redis")
        except msgspec.DecodeError as error:  # somebody else's value under our key
            log.warning("%s: %s", tick_key(exchange, symbol), error)
        return None

    def _answer(self, tick: _Cached, source: Literal["redis", "clickhouse", "kafka"], down: list[str]) -> Price:
        fields = {name: getattr(tick, name) for name in Price.__struct_fields__ if hasattr(tick, name)}
        late = 0 if tick.event_time is None else max(0, tick.receive_time - tick.event_time) // 1000
        age = late + max(0, self._now() - tick.produced)
        return Price(**fields, source=source, age_ms=age, unavailable=list(down))

    def _fill(self, tick: _Cached) -> None:
        """Put a row back into the cache, as the cache writer would have; what is newer there stays."""
        left = lifetime(tick.event_time, tick.receive_time, tick.produced, self._now())
        if left <= 0:
            return
        ids = (tick.update_id, -1) if tick.kind == "trade" else (-1, tick.update_id)
        value = msgspec.json.encode(tick)
        keys = [tick_key(tick.exchange, tick.symbol)]
        if tick.exchange == self._primary:
            keys.append(short_tick_key(tick.symbol))
        try:
            self._cache.write(tick_entry(key, value, tick.kind, *ids, left) for key in keys)
        except StoreUnavailable as error:
            log.debug("%s", error)
