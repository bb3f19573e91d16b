"""The cache writer: the newest tick, candle and book of each symbol, from the topics into Redis.

Of a batch only the last trade and the last quote of each symbol, the last of each candle and the last snapshot of each
book are written: what came before them was never to be read. Diffs of books are not cached; the feeds write snapshots
of the rebuilt book at an interval. A record of stock-realtime is a tick of its venue: `market_data:tick:sse:600519`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
from confluent_kafka import Message

from barnabas_quant.cache import Cache, book_key, kline_key, short_tick_key, tick_key
from barnabas_quant.cache.store import (
    Entry,
    book_entry,
    kline_entry,
    lifetime,
    now_ms,
    stamped,
    tick_entry,
)
from barnabas_quant.errors import SettingsError
from barnabas_quant.model import Kline, OrderBook, Tick
from barnabas_quant.model.stock import Stock, decode_stock
from barnabas_quant.service import ConsumerService, Context

_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]  # Redis' scripts compute with doubles
_Time = _Number


class _Tick(msgspec.Struct):
    exchange: str
    symbol: str
    kind: Literal["trade", "quote"]
    update_id: _Number
    receive_time: _Time
    event_time: _Time | None = None


class _Kline(msgspec.Struct):
    exchange: str
    symbol: str
    interval: str
    open_time: _Time
    source: Literal["venue", "computed"]
    event_time: _Time
    receive_time: _Time


class _Book(msgspec.Struct):
    exchange: str
    symbol: str
    type: Literal["snapshot", "diff"]
    last_update_id: _Number
    receive_time: _Time
    event_time: _Time | None = None


_decode_tick = msgspec.json.Decoder(_Tick).decode
_decode_kline = msgspec.json.Decoder(_Kline).decode
_decode_book = msgspec.json.Decoder(_Book).decode


class CacheWriter(ConsumerService):
    """Keep Redis up to date."""

    name = "cache"
    summary = "keeps the newest tick, candle and book of each symbol in Redis"
    group = "cache"
    topics = (Tick.topic, Kline.topic, OrderBook.topic, Stock.topic)
    needs = ("redis",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if self.settings.redis is None:
            raise SettingsError("no Redis: give --redis redis://HOST:PORT/0, or start the platform with `up`")
        self._cache = Cache(self.settings.redis)

    def handle(self, messages: Sequence[Message]) -> None:
        gathered = _Gathered(self.settings.primary, now_ms())
        take: dict[str, Callable[[Message], None]] = {
            Tick.topic: gathered.tick,
            Kline.topic: gathered.kline,
            OrderBook.topic: gathered.book,
            Stock.topic: gathered.stock,
        }
        bad: list[tuple[Message, str]] = []
        for message in messages:
            try:
                take[message.topic()](message)  # type: ignore[index]
            except ValueError as error:  # msgspec's and Unicode's are kinds of it
                bad.append((message, str(error)))
        self._cache.write(gathered.entries())
        for message, reason in bad:  # after the write: a batch that comes again leaves no second letter
            self.context.dead_letters.put_message(message, reason)
            self.status.error("malformed")

    def close(self) -> None:
        self._cache.close()


class _Gathered:
    """Keep of a batch what is to be written."""

    def __init__(self, primary: str, now: int) -> None:
        self._primary = primary
        self._now = now
        self._ticks: dict[tuple[str, str], dict[str, tuple[Message, _Tick]]] = {}
        self._stocks: dict[str, tuple[Message, Stock]] = {}
        self._klines: dict[str, tuple[Message, _Kline]] = {}
        self._books: dict[str, tuple[Message, _Book]] = {}

    def tick(self, message: Message) -> None:
        tick = _decode_tick(message.value() or b"")
        kinds = self._ticks.setdefault((tick.exchange, tick.symbol), {})
        held = kinds.get(tick.kind)
        if held is None or tick.update_id > held[1].update_id:
            kinds.pop(tick.kind, None)  # put behind the other kind: the two are written in the order of their topic
            kinds[tick.kind] = (message, tick)

    def stock(self, message: Message) -> None:
        stock = decode_stock(message.value())
        self._stocks[stock.symbol] = (message, stock)

    def kline(self, message: Message) -> None:
        kline = _decode_kline(message.value() or b"")
        key = kline_key(kline.exchange, kline.symbol, kline.interval)
        held = self._klines.get(key)
        if held is None or _age(kline) >= _age(held[1]):
            self._klines[key] = (message, kline)

    def book(self, message: Message) -> None:
        book = _decode_book(message.value() or b"")
        if book.type == "diff":
            return
        key = book_key(book.exchange, book.symbol)
        held = self._books.get(key)
        if held is None or book.last_update_id > held[1].last_update_id:
            self._books[key] = (message, book)

    def entries(self) -> list[Entry]:
        """Give the writes; what is too old for the cache is left out."""
        entries = []
        for (exchange, symbol), kinds in self._ticks.items():
            keys = self._tick_keys(exchange, symbol)
            trade_id = quote_id = -1
            for kind, (message, tick) in kinds.items():
                if kind == "trade":
                    trade_id = tick.update_id
                else:
                    quote_id = tick.update_id
                if (left := self._left(message, tick)) > 0:
                    value = self._stamped(message)
                    entries += [tick_entry(key, value, kind, trade_id, quote_id, left) for key in keys]
        for message, stock in self._stocks.values():
            produced, offset = int(message.timestamp()[1]), int(message.offset() or 0)
            if (left := lifetime(None, 0, produced, self._now)) > 0:
                share = stock.tick(produced, offset)
                value = stamped(msgspec.json.encode(share), produced, offset)
                keys = self._tick_keys(share.exchange, share.symbol)
                entries += [tick_entry(key, value, share.kind, offset, -1, left) for key in keys]
        for key, (message, kline) in self._klines.items():
            if (left := self._left(message, kline)) > 0:
                venue = kline.source == "venue"
                value = self._stamped(message)
                entries.append(kline_entry(key, value, kline.open_time, venue, kline.event_time, left))
        for key, (message, book) in self._books.items():
            if (left := self._left(message, book)) > 0:
                entries.append(book_entry(key, self._stamped(message), book.last_update_id, left))
        return entries

    def _tick_keys(self, exchange: str, symbol: str) -> list[str]:
        keys = [tick_key(exchange, symbol)]
        return [*keys, short_tick_key(symbol)] if exchange == self._primary else keys

    def _left(self, message: Message, record: _Tick | _Kline | _Book) -> int:
        return lifetime(record.event_time, record.receive_time, int(message.timestamp()[1]), self._now)

    def _stamped(self, message: Message) -> bytes:
        return stamped(bytes(message.value() or b""), int(message.timestamp()[1]), int(message.offset() or 0))


def _age(kline: _Kline) -> tuple[int, bool, int]:
    return kline.open_time, kline.source == "venue", kline.event_time
