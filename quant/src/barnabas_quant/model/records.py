"""The records of the market_data topics: one JSON object a record, key `exchange:symbol`.

Prices and quantities are the venue's own decimal text. Every time is an integer of microseconds since 1970 UTC:
`event_time` is the venue's clock (null where its frame carries none), `receive_time` the clock of whoever received
the frame. Kafka's own timestamp is the time of production and says nothing about the market.

Each type names its topic and its identity, and `fingerprint` folds identity, prices and sizes into 64 bits, so that
two sets of records can be compared by count and sum, in whatever order they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import ClassVar, Literal

import msgspec

from barnabas_quant.model.money import DecimalText

Level = tuple[DecimalText, DecimalText]
"""Price and quantity at that price; a quantity of zero in a diff removes the level."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what every record carries: which venue, which instrument."""

    topic: ClassVar[str]

    exchange: str
    symbol: str

    @property
    def key(self) -> bytes:
        """Give the record's Kafka key."""
        return f"{self.exchange}:{self.symbol}".encode()

    def identity(self) -> tuple[object, ...]:
        """Give what makes this record one of a kind within its topic."""
        raise NotImplementedError

    def amounts(self) -> tuple[object, ...]:
        """Give the prices and sizes that a fingerprint covers."""
        raise NotImplementedError

    def fingerprint(self) -> int:
        """Fold identity, prices and sizes into an unsigned 64-bit number."""
        text = msgspec.json.encode((self.identity(), self.amounts()))
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


class Tick(Record, frozen=True, kw_only=True):
    """Tell the market's state after one trade (kind trade) or one change of best bid or ask (kind quote).

    `price` is the last trade's; it and the quote are null as long as the feed has not seen one. `update_id` is the
    trade's id or the order book's update id, by kind.
    """

    topic: ClassVar[str] = "market_data.ticks"

    kind: Literal["trade", "quote"]
    price: DecimalText | None
    bid: DecimalText | None
    bid_size: DecimalText | None
    ask: DecimalText | None
    ask_size: DecimalText | None
    update_id: int
    event_time: int | None
    receive_time: int

    def identity(self) -> tuple[object, ...]:
        return (self.exchange, self.symbol, self.kind, self.update_id)

    def amounts(self) -> tuple[object, ...]:
        return (self.price, self.bid, self.bid_size, self.ask, self.ask_size)


_Quote = tuple[str | None, str | None, str | None, str | None]


def tick_writer(
    exchange: str, symbol: str
) -> Callable[[Literal["trade", "quote"], str | None, _Quote, int, int | None, int], bytes]:
    """Give what writes the ticks of one symbol, twice as fast as making a Tick and encoding it.

    It takes kind, price, (bid, bid size, ask, ask size), update id, event time and receive time, and gives the JSON
    that the Tick would give. Texts must be plain decimals: they are not escaped.
    """
    names = msgspec.json.encode({"exchange": exchange, "symbol": symbol}).decode()[:-1]

    def write(
        kind: Literal["trade", "quote"],
        price: str | None,
        quote: _Quote,
        update_id: int,
        event_time: int | None,
        receive_time: int,
    ) -> bytes:
        bid, bid_size, ask, ask_size = quote
        when = "null" if event_time is None else event_time
        paid = "null" if price is None else f'"{price}"'
        if bid is None:
            best = '"bid":null,"bid_size":null,"ask":null,"ask_size":null'
        else:
            best = f'"bid":"{bid}","bid_size":"{bid_size}","ask":"{ask}","ask_size":"{ask_size}"'
        return (
            f'{names},"kind":"{kind}","price":{paid},{best},"update_id":{update_id},"event_time":{when},'
            f'"receive_time":{receive_time}}}'
        ).encode()

    return write


class Trade(Record, frozen=True, kw_only=True):
    """Tell one trade, or an aggregate of trades, which then names its first and last trade id."""

    topic: ClassVar[str] = "market_data.trades"

    trade_id: int
    price: DecimalText
    quantity: DecimalText
    buyer_is_maker: bool
    event_time: int
    trade_time: int
    receive_time: int
    first_trade_id: int | None = None
    last_trade_id: int | None = None

    def identity(self) -> tuple[object, ...]:
        return (self.exchange, self.symbol, self.trade_id)

    def amounts(self) -> tuple[object, ...]:
        return (self.price, self.quantity)


class Kline(Record, frozen=True, kw_only=True):
    """Tell a bar, still forming or closed; `source` says whether the venue sent it or the platform computed it."""

    topic: ClassVar[str] = "market_data.klines"

    interval: str
    open_time: int
    close_time: int
    open: DecimalText
    high: DecimalText
    low: DecimalText
    close: DecimalText
    volume: DecimalText
    quote_volume: DecimalText
    trades: int
    closed: bool
    source: Literal["venue", "computed"]
    event_time: int
    receive_time: int

    def identity(self) -> tuple[object, ...]:
        return (self.exchange, self.symbol, self.interval, self.open_time, self.source)

    def amounts(self) -> tuple[object, ...]:
        # A forming bar is sent many times under one identity: its progress tells one sending from another.
        prices = (self.open, self.high, self.low, self.close)
        return (*prices, self.volume, self.quote_volume, self.trades, self.closed, self.event_time)


class OrderBook(Record, frozen=True, kw_only=True):
    """Tell an order book whole (snapshot) or what changed in it (diff, with absolute quantities).

    The first and last update id of a snapshot are the same. `previous_update_id` is what futures' diffs follow on.
    """

    topic: ClassVar[str] = "market_data.orderbooks"

    type: Literal["snapshot", "diff"]
    first_update_id: int
    last_update_id: int
    previous_update_id: int | None
    bids: list[Level]
    asks: list[Level]
    event_time: int | None
    receive_time: int

    def identity(self) -> tuple[object, ...]:
        return (self.exchange, self.symbol, self.type, self.last_update_id)

    def amounts(self) -> tuple[object, ...]:
        return (self.bids, self.asks)


class Gap(Record, frozen=True, kw_only=True):
    """Tell that a feed missed a stretch of a stream, from the last id it has to the first one after it.

    `stream` is trade, aggTrade, bookTicker, depth or kline_INTERVAL; ids are those of the stream's records (trade ids,
    update ids, open times of klines), both exclusive: `last_id` was the last before, `next_id` the first after; null
    where nothing came before. Times are of the feed's clock. `filled`: everything missed was fetched over REST and
    stands in its topic.
    """

    topic: ClassVar[str] = "market_data.gaps"

    stream: str
    last_id: int | None
    next_id: int
    from_time: int
    to_time: int
    cause: str
    filled: bool

    def identity(self) -> tuple[object, ...]:
        return (self.exchange, self.symbol, self.stream, self.next_id)

    def amounts(self) -> tuple[object, ...]:
        return (self.last_id, self.cause, self.filled)


class Reading(Record, frozen=True, kw_only=True):
    """Tell what indicators say about a closed bar: by name, `ma5` or, where one has several values, `macd.signal`.

    Values are floats: estimates to look at and to decide by, not money. One that still warms up is left out.
    """

    topic: ClassVar[str] = "market_data.indicators"

    interval: str
    open_time: int
    values: dict[str, float]
    event_time: int

    def identity(self) -> tuple[object, ...]:
        return (self.exchange, self.symbol, self.interval, self.open_time)

    def amounts(self) -> tuple[object, ...]:
        return (sorted(self.values.items()),)


MARKET_RECORDS: tuple[type[Record], ...] = (Tick, Trade, OrderBook, Kline)
"""The record type of each market_data topic."""
