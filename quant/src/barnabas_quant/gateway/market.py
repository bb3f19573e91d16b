"""What the gateway knows and whom it asks: prices, candles, books, trades, symbols."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from barnabas_quant.bus.topics import kafka_answers
from barnabas_quant.cache import Cache, book_key
from barnabas_quant.cache.store import now_ms
from barnabas_quant.errors import BusError, StoreUnavailable
from barnabas_quant.gateway.answers import Bar, Bars, Book, Symbol, TradeRow, Trades
from barnabas_quant.gateway.newest import Newest
from barnabas_quant.gateway.prices import Prices
from barnabas_quant.gateway.reader import Event
from barnabas_quant.history import AsyncClickHouse, ClickHouseError
from barnabas_quant.model import Kline
from barnabas_quant.model.markets import VENUES, listing_of
from barnabas_quant.service import Status
from barnabas_quant.settings import Settings

log = logging.getLogger(__name__)


class _KlineRow(Bar, frozen=True, kw_only=True):
    event_time: int


class _BookRow(msgspec.Struct, kw_only=True):
    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    receive_time: int
    produced: int
    event_time: int | None = None


class _SymbolRow(msgspec.Struct):
    exchange: str
    symbol: str
    last_ms: int


class _One(msgspec.Struct):
    one: int


_kline = msgspec.json.Decoder(Kline).decode
_trade = msgspec.json.Decoder(TradeRow).decode
_book = msgspec.json.Decoder(_BookRow).decode

_KLINES = """
SELECT open_time, close_time, open, high, low, close, volume, quote_volume, trades, closed,
       toString(source) AS source, event_time
FROM market_klines
WHERE exchange = {exchange:String} AND symbol = {symbol:String} AND interval = {interval:String}
  AND timestamp >= fromUnixTimestamp64Milli({start:Int64}) AND timestamp < fromUnixTimestamp64Milli({end:Int64})
ORDER BY timestamp {direction}, source, event_time DESC LIMIT 1 BY timestamp, source LIMIT {limit:UInt32}
"""

_TRADES = """
SELECT trade_id, price, quantity, buyer_is_maker, trade_time
FROM market_trades
WHERE exchange = {exchange:String} AND symbol = {symbol:String} AND trade_id < {before:UInt64}
ORDER BY trade_id DESC LIMIT 1 BY trade_id LIMIT {limit:UInt32}
"""

_BOOK = """
SELECT last_update_id, bids, asks, event_time, receive_time, produced
FROM market_orderbooks WHERE exchange = {exchange:String} AND symbol = {symbol:String}
ORDER BY timestamp DESC, last_update_id DESC LIMIT 1
"""

_SYMBOLS = f"""
SELECT exchange, symbol, max(produced) AS last_ms FROM market_ticks GROUP BY exchange, symbol
UNION ALL
SELECT exchange, symbol, max(produced) AS last_ms FROM market_klines
WHERE exchange IN {VENUES} GROUP BY exchange, symbol
"""  # of shares there are bars, and no ticks

_KNOWN = """
SELECT 1 AS one FROM market_klines WHERE exchange = {exchange:String} AND symbol = {symbol:String} LIMIT 1
UNION ALL SELECT 1 AS one FROM market_trades WHERE exchange = {exchange:String} AND symbol = {symbol:String} LIMIT 1
UNION ALL SELECT 1 AS one FROM market_ticks WHERE exchange = {exchange:String} AND symbol = {symbol:String} LIMIT 1
"""

_BARS_HEARD = 10
_TRADES_HEARD = 500
"""Candles of each series and trades of each instrument that are remembered: the history has them a second later."""

_FAR = 4_000_000_000_000  # milliseconds: the year 2096


class Market:
    """Ask the stores, and remember what the stream brought since the gateway started."""

    def __init__(
        self,
        settings: Settings,
        cache: Cache,
        history: AsyncClickHouse,
        status: Status,
        stopping: Callable[[], bool],
    ) -> None:
        """Take the stores, the reader's status, and what tells whether the gateway is to end."""
        self.primary = settings.primary
        self._bootstrap = settings.bootstrap
        self._cache = cache
        self._history = history
        self._status = status
        newest = Newest(settings.bootstrap, stopping)
        self.prices = Prices(cache, history, newest, settings.primary)
        self._heard: dict[tuple[str, str], int] = {}  # exchange, symbol -> Kafka's timestamp of the last tick
        self._bars: dict[tuple[str, str, str, str], dict[str, bytes]] = {}  # by place: the newest of each bar
        self._trades: dict[str, deque[bytes]] = {}  # by stream
        self._known: dict[tuple[str, str], int] | None = None

    @property
    def lag(self) -> int | None:
        """Give how many records the stream is behind."""
        return self._status.lag

    def hear(self, event: Event) -> None:
        """Remember an event of the stream."""
        kind, _, rest = event.stream.partition(":")
        if kind == "tick":
            exchange, _, symbol = rest.partition(":")
            self._heard[exchange, symbol] = event.produced
        elif kind == "stock":
            self._heard[listing_of(rest).venue, rest] = event.produced
        elif kind == "kline":
            exchange, symbol, interval = rest.split(":")
            source = (event.series or "").rpartition("@")[2]
            bars = self._bars.setdefault((exchange, symbol, interval, source), {})
            bars[event.place or ""] = event.record
            if len(bars) > _BARS_HEARD:
                del bars[next(iter(bars))]
        elif kind == "trade":
            if (trades := self._trades.get(rest)) is None:
                trades = self._trades[rest] = deque(maxlen=_TRADES_HEARD)
            trades.append(event.record)

    def last_tick_ages(self) -> dict[str, int]:
        """Give milliseconds since the last tick of each exchange came."""
        now = now_ms()
        ages: dict[str, int] = {}
        for (exchange, _), produced in self._heard.items():
            age = max(0, now - produced)
            ages[exchange] = min(ages.get(exchange, age), age)
        return ages

    def heard(self) -> dict[tuple[str, str], int]:
        """Give when the last tick of each exchange and symbol came: Kafka's timestamp, milliseconds since 1970."""
        return dict(self._heard)

    def forming(self, exchange: str, symbol: str, interval: str) -> tuple[int, str] | None:
        """Give opening time and close of the newest candle that the stream brought, the venue's own before ours."""
        bars = self._bars_heard(exchange, symbol, interval, 0, _FAR)
        newest = max(bars, key=lambda bar: (bar.open_time, bar.source == "venue"), default=None)
        return None if newest is None else (newest.open_time, newest.close)

    async def klines(
        self,
        exchange: str,
        symbol: str,
        interval: str,
        start: int | None,
        end: int | None,
        limit: int,
        source: str | None,
    ) -> Bars | None:
        """Give candles, the forming one with them; None where nobody knows the symbol. Raises StoreUnavailable."""
        rows = await self._history.rows(
            _KLINES.replace("{direction}", "DESC" if start is None else "ASC"),
            _KlineRow,
            exchange=exchange,
            symbol=symbol,
            interval=interval,
            start=start or 0,
            end=end or _FAR,
            limit=limit * 2,  # a bar may stand there from both sources
        )
        bars: dict[int, _KlineRow] = {}
        for row in (*rows, *self._bars_heard(exchange, symbol, interval, start or 0, end or _FAR)):
            if source is not None and row.source != source:
                continue
            held = bars.get(row.open_time)
            if held is None or _rank(row) >= _rank(held):
                bars[row.open_time] = row
        ordered = [bars[at] for at in sorted(bars)]
        chosen = ordered[-limit:] if start is None else ordered[:limit]
        if not chosen and not await self._knows(exchange, symbol):
            return None
        plain = [Bar(**{name: getattr(row, name) for name in Bar.__struct_fields__}) for row in chosen]
        return Bars(exchange=exchange, symbol=symbol, interval=interval, klines=plain)

    def _bars_heard(self, exchange: str, symbol: str, interval: str, start: int, end: int) -> list[_KlineRow]:
        found = []
        for source in ("venue", "computed"):
            for record in self._bars.get((exchange, symbol, interval, source), {}).values():
                try:
                    bar = _kline(record)
                except msgspec.DecodeError:  # the stream passes on what it does not read; this needs all of it
                    continue
                if start * 1000 <= bar.open_time < end * 1000:
                    found.append(_KlineRow(**{name: getattr(bar, name) for name in _KlineRow.__struct_fields__}))
        return found

    def _trades_heard(self, exchange: str, symbol: str) -> Iterator[TradeRow]:
        for record in self._trades.get(f"{exchange}:{symbol}", ()):
            with contextlib.suppress(msgspec.DecodeError):
                yield _trade(record)

    async def trades(self, exchange: str, symbol: str, limit: int, before: int | None) -> Trades | None:
        """Give trades, newest first; None where nobody knows the symbol. Raises StoreUnavailable."""
        end = 2**63 if before is None else before
        rows = await self._history.rows(
            _TRADES, TradeRow, exchange=exchange, symbol=symbol, limit=limit, before=end
        )
        heard = (trade for trade in self._trades_heard(exchange, symbol) if trade.trade_id < end)
        every = {trade.trade_id: trade for trade in (*heard, *rows)}
        if not every and not await self._knows(exchange, symbol):
            return None
        newest = [every[id] for id in sorted(every, reverse=True)]
        return Trades(exchange=exchange, symbol=symbol, trades=newest[:limit])

    async def _knows(self, exchange: str, symbol: str) -> bool:
        """Tell whether anything was ever heard of a symbol. Raises StoreUnavailable."""
        if (exchange, symbol) in self._heard or any(key[:2] == (exchange, symbol) for key in self._bars):
            return True
        return bool(await self._history.rows(_KNOWN, _One, exchange=exchange, symbol=symbol))

    async def book(self, exchange: str, symbol: str, depth: int) -> Book | None:
        """Give the newest book: from Redis, else from ClickHouse. Raises StoreUnavailable where neither answers."""
        down = 0
        try:
            value = await asyncio.to_thread(self._cache.read, book_key(exchange, symbol))
            if value is not None:
                return self._book_of(_book(value), exchange, symbol, depth, "redis")
        except StoreUnavailable:
            down += 1
        except msgspec.DecodeError as error:  # somebody else's value under our key
            log.warning("%s: %s", book_key(exchange, symbol), error)
        try:
            rows = await self._history.rows(_BOOK, _BookRow, exchange=exchange, symbol=symbol)
        except StoreUnavailable:
            if down:
                raise
            return None
        return self._book_of(rows[0], exchange, symbol, depth, "clickhouse") if rows else None

    def _book_of(
        self, row: _BookRow, exchange: str, symbol: str, depth: int, source: Literal["redis", "clickhouse"]
    ) -> Book:
        late = 0 if row.event_time is None else max(0, row.receive_time - row.event_time) // 1000
        return Book(
            exchange=exchange,
            symbol=symbol,
            last_update_id=row.last_update_id,
            bids=row.bids[:depth],
            asks=row.asks[:depth],
            receive_time=row.receive_time,
            source=source,
            age_ms=late + max(0, now_ms() - row.produced),
        )

    async def symbols(self) -> list[Symbol]:
        """Give what was heard of since the start, and what the history knows from before where it answers."""
        if self._known is None:
            try:
                rows = await self._history.rows(_SYMBOLS, _SymbolRow)
                self._known = {(row.exchange, row.symbol): row.last_ms for row in rows}
            except (StoreUnavailable, ClickHouseError):  # the latter: its tables are not made yet
                pass  # asked again next time
        last = {**(self._known or {}), **self._heard}
        return [Symbol(exchange=at[0], symbol=at[1], last_ms=last[at]) for at in sorted(last)]

    async def ask_kafka(self) -> None:
        """Raise BusError unless Kafka answers."""
        if not await asyncio.to_thread(kafka_answers, self._bootstrap):
            raise BusError(f"no Kafka answers at {self._bootstrap}")

    async def ask_redis(self) -> None:
        """Raise StoreUnavailable unless Redis answers."""
        await asyncio.to_thread(self._cache.read, "market_data:health")

    async def ask_clickhouse(self) -> None:
        """Raise StoreUnavailable unless ClickHouse answers."""
        await self._history.rows("SELECT 1 AS one", _One)


def _rank(row: _KlineRow) -> tuple[bool, int]:
    return row.source == "venue", row.event_time
