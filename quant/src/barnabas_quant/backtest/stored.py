"""Histories in ClickHouse: ticks as quotes, trades as prints, computed klines as bars, books as depth.

Each table is read a page at a time by its own sorting key, an instrument a stream; the streams are merged by time,
topic, partition and offset. A row that a writer left twice is read once. Strategies live on computed bars; for the time
before the first one of these, when nobody listened, the venue's own stand, as a feed fetched them. Shares' prices are
in no table, their bars are.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from barnabas_quant.backtest.sources import FOREVER, SourceError, Wanted, described
from barnabas_quant.history.client import ClickHouse
from barnabas_quant.model.intervals import Interval
from barnabas_quant.model.money import total_units, units
from barnabas_quant.model.records import Kline, OrderBook, Tick, Trade
from barnabas_quant.trading.events import Bar, Depth, MarketEvent, Print, Quote

_PAGE = 50_000

_Placed = tuple[int, str, int, int, int, MarketEvent]
"""Time, topic, partition, offset, number of the stream, event."""


class _Row(msgspec.Struct):
    time: int
    topic_id: str
    kafka_partition: int
    kafka_offset: int


class _QuoteRow(_Row):
    bid: str | None
    bid_size: str | None
    ask: str | None
    ask_size: str | None


class _TradeRow(_Row):
    price: str
    quantity: str
    buyer_is_maker: bool


class _BarRow(_Row):
    close_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str


class _BookRow(_Row):
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Held(msgspec.Struct):
    name: str
    count: int
    first: int
    last: int


class _Named(msgspec.Struct):
    name: str
    computed: int


class _Time(msgspec.Struct):
    time: int


_R = TypeVar("_R", bound=_Row)

_HELD = {
    "bars": "SELECT concat(exchange, ':', symbol, ' ', interval, ' bars') AS name, uniqExact(open_time) AS count, "
    "{times} FROM market_klines WHERE closed GROUP BY name ORDER BY name",
    "trades": "SELECT concat(exchange, ':', symbol, ' trades') AS name, count() AS count, {times} FROM market_trades "
    "GROUP BY name ORDER BY name",
    "quotes": "SELECT concat(exchange, ':', symbol, ' quotes') AS name, count() AS count, {times} FROM market_ticks "
    "WHERE kind = 'quote' GROUP BY name ORDER BY name",
}
_TIMES = "toUnixTimestamp64Micro(min(timestamp)) AS first, toUnixTimestamp64Micro(max(timestamp)) AS last"


class Stored:
    """Read the tables of the history. Raises StoreUnavailable and ClickHouseError, too."""

    name = "clickhouse"

    def __init__(self, client: ClickHouse, page: int = _PAGE) -> None:
        """Take a client, and how many rows are read at a time."""
        self._client = client
        self._page = page

    def events(self, wanted: Wanted) -> Iterator[MarketEvent]:
        streams: list[Iterator[_Placed]] = []
        interval = self._interval(wanted) if Bar in wanted.kinds else None
        for key in wanted.instruments:
            if interval is not None:
                streams.append(self._bars(len(streams), key, wanted, interval))
            if Print in wanted.kinds:
                streams.append(self._prints(len(streams), key, wanted))
            if Quote in wanted.kinds:
                streams.append(self._quotes(len(streams), key, wanted))
            if Depth in wanted.kinds:
                for table in ("market_orderbooks", "market_orderbook_diffs"):
                    streams.append(self._depth(len(streams), key, wanted, table))
        merged = streams[0] if len(streams) == 1 else heapq.merge(*streams)
        return (placed[5] for placed in merged)

    def holds(self) -> list[str]:
        found: dict[str, tuple[int, int, int]] = {}
        for query in _HELD.values():
            for row in self._client.rows(query.replace("{times}", _TIMES), _Held):
                found[row.name] = (row.count, row.first, row.last)
        return described(found)

    def before(self, wanted: Wanted, bars: int) -> int:
        """Give the time from which on each instrument has so many bars (or all it has) before `wanted.since`."""
        earliest = wanted.since
        interval = self._interval(wanted)
        for key in wanted.instruments:
            exchange, _, symbol = key.partition(":")
            rows = self._client.rows(
                "SELECT DISTINCT close_time + 1000 AS time FROM market_klines WHERE exchange = {exchange:String} AND "
                "symbol = {symbol:String} AND interval = {interval:String} AND closed AND (source = 'computed' OR "
                "open_time < {computed:Int64}) AND close_time + 1000 < {since:Int64} "
                "ORDER BY time DESC LIMIT {bars:UInt64}",
                _Time, exchange=exchange, symbol=symbol, interval=interval.name, since=wanted.since, bars=bars,
                computed=self._computed_since(key, interval),
            )  # fmt: skip
            if rows:
                earliest = min(earliest, rows[-1].time)
        return earliest

    def _computed_since(self, key: str, interval: Interval) -> int:
        """Give the beginning of an instrument's first computed bar; where there is none a time that never comes."""
        exchange, _, symbol = key.partition(":")
        rows = self._client.rows(
            "SELECT toUnixTimestamp64Micro(timestamp) AS time FROM market_klines WHERE exchange = {exchange:String} "
            "AND symbol = {symbol:String} AND interval = {interval:String} AND closed AND source = 'computed' "
            "ORDER BY timestamp LIMIT 1",
            _Time, exchange=exchange, symbol=symbol, interval=interval.name,
        )  # fmt: skip
        return rows[0].time if rows else _late(FOREVER)

    def _interval(self, wanted: Wanted) -> Interval:
        if wanted.interval is not None:
            try:
                return Interval.parse(wanted.interval)
            except ValueError as error:
                raise SourceError(str(error)) from error
        names: dict[bool, set[str]] = {True: set(), False: set()}
        for key in wanted.instruments:
            exchange, _, symbol = key.partition(":")
            for row in self._client.rows(
                "SELECT DISTINCT interval AS name, source = 'computed' AS computed FROM market_klines WHERE exchange = "
                "{exchange:String} AND symbol = {symbol:String} AND closed",
                _Named, exchange=exchange, symbol=symbol,
            ):  # fmt: skip
                names[bool(row.computed)].add(row.name)
        found: list[Interval] = []
        for name in names[True] or names[False]:
            with suppress(ValueError):  # a venue has months
                found.append(Interval.parse(name))
        if len(found) > 1:
            given = ", ".join(one.name for one in sorted(found, key=lambda one: one.length))
            raise SourceError(f"bars of which length? give --interval, one of {given}")
        return found[0] if found else Interval.parse("1m")

    def _rows(
        self, key: str, table: str, columns: str, kind: type[_R], since: int, until: int, only: str = "", **more: Any
    ) -> Iterator[_R]:
        """Give the rows of an instrument in their table's order, each once."""
        exchange, _, symbol = key.partition(":")
        after, place = "", ""
        given: dict[str, Any] = {"since": since}
        while True:
            rows = self._client.rows(
                f"SELECT toUnixTimestamp64Micro(timestamp) AS time, toString(topic_id) AS topic_id, kafka_partition, "
                f"kafka_offset, {columns} FROM {table} AS t WHERE exchange = {{exchange:String}} AND "
                f"symbol = {{symbol:String}} {only} AND timestamp >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') "
                f"AND timestamp < fromUnixTimestamp64Micro({{until:Int64}}, 'UTC') {after} "
                f"ORDER BY timestamp, t.topic_id, kafka_partition, kafka_offset LIMIT {{page:UInt64}}",
                kind, exchange=exchange, symbol=symbol, until=until, page=self._page, **given, **more,
            )  # fmt: skip
            for row in rows:
                if (here := f"{row.topic_id}-{row.kafka_partition}-{row.kafka_offset}") != place:
                    place = here
                    yield row
            if len(rows) < self._page:
                return
            last = rows[-1]
            given = {
                "since": last.time, "topic": last.topic_id, "partition": last.kafka_partition,
                "offset": last.kafka_offset,
            }  # fmt: skip
            after = (
                "AND (timestamp > fromUnixTimestamp64Micro({since:Int64}, 'UTC') OR (t.topic_id, kafka_partition, "
                "kafka_offset) > ({topic:UUID}, {partition:UInt16}, {offset:UInt64}))"
            )

    def _bars(self, number: int, key: str, wanted: Wanted, interval: Interval) -> Iterator[_Placed]:
        for row in self._bar_rows(key, wanted, interval):
            end = row.close_time + 1000
            if wanted.since <= end < wanted.until:
                event = Bar(
                    key, end, row.time, interval.name, units(row.open), units(row.high), units(row.low),
                    units(row.close), total_units(row.volume),
                )  # fmt: skip
                yield end, Kline.topic, row.kafka_partition, row.kafka_offset, number, event

    def _bar_rows(self, key: str, wanted: Wanted, interval: Interval) -> Iterator[_BarRow]:
        """Give the venue's bars that begin before the first computed one, then the computed ones."""
        since = max(0, wanted.since - interval.length)  # a bar is found by its beginning and counts by its end
        until = _late(wanted.until)

        def rows(source: str, until: int) -> Iterator[_BarRow]:
            return self._rows(
                key, "market_klines", "close_time, open, high, low, close, volume", _BarRow, since, until,
                "AND interval = {interval:String} AND closed AND source = {source:String}",
                interval=interval.name, source=source,
            )  # fmt: skip

        told = -1
        for row in rows("venue", min(until, self._computed_since(key, interval))):
            if row.time > told:  # a venue may tell of a bar's end twice
                yield row
            told = row.time
        yield from rows("computed", until)

    def _prints(self, number: int, key: str, wanted: Wanted) -> Iterator[_Placed]:
        def made(row: _TradeRow) -> Print:
            return Print(key, row.time, units(row.price), total_units(row.quantity), row.buyer_is_maker)

        rows = self._rows(
            key, "market_trades", "price, quantity, buyer_is_maker", _TradeRow, wanted.since, _late(wanted.until)
        )
        return _placed(number, Trade.topic, rows, made)

    def _quotes(self, number: int, key: str, wanted: Wanted) -> Iterator[_Placed]:
        def made(row: _QuoteRow) -> Quote:
            return Quote(
                key, row.time, units(row.bid or "0"), total_units(row.bid_size or "0"), units(row.ask or "0"),
                total_units(row.ask_size or "0"),
            )  # fmt: skip

        rows = self._rows(
            key, "market_ticks", "bid, bid_size, ask, ask_size", _QuoteRow, wanted.since, _late(wanted.until),
            "AND kind = 'quote'",
        )  # fmt: skip
        return _placed(number, Tick.topic, rows, made)

    def _depth(self, number: int, key: str, wanted: Wanted, table: str) -> Iterator[_Placed]:
        def made(row: _BookRow) -> Depth:
            bids, asks = (
                tuple((units(price), total_units(quantity)) for price, quantity in side)
                for side in (row.bids, row.asks)
            )
            return Depth(key, row.time, table == "market_orderbooks", bids, asks)

        rows = self._rows(key, table, "bids, asks", _BookRow, wanted.since, _late(wanted.until))
        return _placed(number, OrderBook.topic, rows, made)


def _placed(number: int, topic: str, rows: Iterator[_R], made: Callable[[_R], MarketEvent]) -> Iterator[_Placed]:
    for row in rows:
        yield row.time, topic, row.kafka_partition, row.kafka_offset, number, made(row)


def _late(until: int) -> int:
    """Bound a time to what ClickHouse's DateTime64 reaches."""
    return min(until, 9_223_372_036_000_000) if until < FOREVER else 9_000_000_000_000_000
