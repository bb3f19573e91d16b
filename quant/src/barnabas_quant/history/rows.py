"""From records to rows: which table a record belongs to, and its line of JSON with where it came from.

A record's JSON is stored as it stands in its topic; ClickHouse reads it. It is decoded here as well, into its type and
away again, because one record that ClickHouse cannot read would hold up the whole batch. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import msgspec

from barnabas_quant.model import Gap, Kline, OrderBook, Record, Tick, Trade
from barnabas_quant.model.money import PLACES

TABLES = {
    Tick.topic: ("market_ticks",),
    Trade.topic: ("market_trades",),
    Kline.topic: ("market_klines",),
    OrderBook.topic: ("market_orderbooks", "market_orderbook_diffs"),
    Gap.topic: ("market_gaps",),
}
"""The tables that a topic's records go to."""

_MOST_DIGITS = 10
"""Digits before the point that a price may have: it is a Decimal(18, 8)."""

_EARLIEST, _LATEST = 0, 4_102_444_800_000_000
"""1970 and 2100, in microseconds: what lies outside is no time of a market."""

_decoders: dict[str, Callable[[bytes], Record]] = {
    record.topic: msgspec.json.Decoder(record).decode for record in (Tick, Trade, Kline, OrderBook, Gap)
}


def table_of(topic: str, value: bytes) -> tuple[str, int]:
    """Check a record; give its table and the month of its timestamp, which are one part of an insert.

    Raises ValueError, with what is wrong with it.
    """
    try:
        record = _decoders[topic](value)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from error
    if not record.exchange or not record.symbol or len(record.exchange) + len(record.symbol) > 200:
        raise ValueError("exchange and symbol must be there, 200 characters together at most")
    if isinstance(record, OrderBook):
        for side in (record.bids, record.asks):
            for price, quantity in side:
                _check_price(price)
                _check_quantity(quantity)
        table = "market_orderbooks" if record.type == "snapshot" else "market_orderbook_diffs"
        return table, _month(record.event_time if record.event_time is not None else record.receive_time)
    time = 0
    if isinstance(record, Tick):
        for text in (record.price, record.bid, record.ask):
            if text is not None:
                _check_price(text)
        for text in (record.bid_size, record.ask_size):
            if text is not None:
                _check_quantity(text)
        time = record.event_time if record.event_time is not None else record.receive_time
    elif isinstance(record, Trade):
        _check_price(record.price)
        _check_quantity(record.quantity)
        time = record.trade_time
    elif isinstance(record, Kline):
        for text in (record.open, record.high, record.low, record.close):
            _check_price(text)
        _check_quantity(record.volume)
        _check_quantity(record.quote_volume)
        time = record.open_time
    elif isinstance(record, Gap):
        time = record.to_time
    return TABLES[topic][0], _month(time)


def row(value: bytes, topic_id: str, partition: int, offset: int, produced: int) -> bytes:
    """Give a record's line for ClickHouse; `value` is one that `table_of` has checked."""
    return b'%s,"topic_id":"%s","kafka_partition":%d,"kafka_offset":%d,"produced":%d}' % (
        value.rstrip()[:-1],
        topic_id.encode(),
        partition,
        offset,
        produced,
    )


def _check_price(text: str) -> None:
    _check_decimal(text, _MOST_DIGITS)


def _check_quantity(text: str) -> None:
    _check_decimal(text, 30)


def _check_decimal(text: str, digits: int) -> None:
    whole, _, fraction = text.partition(".")
    if len(whole) > digits and len(whole.lstrip("0")) > digits:
        raise ValueError(f"too large: {text}")
    if len(fraction) > PLACES and fraction[PLACES:].strip("0"):
        raise ValueError(f"more than {PLACES} decimal places: {text}")


def _month(time: int) -> int:
    if not _EARLIEST <= time < _LATEST:
        raise ValueError(f"no time of a market: {time}")
    return _month_of_day(time // 86_400_000_000)


@cache
def _month_of_day(day: int) -> int:
    date = datetime.fromtimestamp(day * 86_400, UTC)
    return date.year * 12 + date.month
