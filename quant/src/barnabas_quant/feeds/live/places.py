"""Where a feed's topics stand: the last record of each stream of each symbol, read back from the ends of partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec
from confluent_kafka import Message

from barnabas_quant.bus.partitioner import partition_of
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.topics import partition_counts
from barnabas_quant.feeds.live.symbol import Places
from barnabas_quant.model import Kline, OrderBook, Tick, Trade

MOST_READ = 300_000
"""Records of a partition that are read back at most: a symbol that is not among them is taken for new."""

_FIRST_STRIDE = 500

_Record = TypeVar("_Record")


def read_places(bootstrap: str, exchange: str, symbols: Iterable[str], intervals: Iterable[str]) -> dict[str, Places]:
    """Find where the topics stand for each symbol. Raises BusError."""
    places = {symbol: Places() for symbol in symbols}
    keys = {f"{exchange}:{symbol}".encode(): symbol for symbol in places}
    with RangeReader(bootstrap) as reader:
        ticks = _Back(reader, bootstrap, Tick.topic, keys, msgspec.json.Decoder(Tick).decode)
        for (symbol, _), tick in ticks.last(lambda tick: tick.kind, {"trade", "quote"}).items():
            if tick.kind == "trade":
                places[symbol].trade_tick, places[symbol].price = tick.update_id, tick.price
            else:
                places[symbol].quote = tick.update_id
                places[symbol].price = places[symbol].price or tick.price
        trades = _Back(reader, bootstrap, Trade.topic, keys, msgspec.json.Decoder(Trade).decode)
        for (symbol, _), trade in trades.last(lambda trade: "", {""}).items():
            places[symbol].trade = trade.trade_id
        books = _Back(reader, bootstrap, OrderBook.topic, keys, msgspec.json.Decoder(OrderBook).decode)
        for (symbol, kind), book in books.last(lambda book: book.type, {"snapshot", "diff"}).items():
            if kind == "diff":
                places[symbol].diff = book.last_update_id
            else:
                places[symbol].snapshot = book.last_update_id
        klines = _Back(reader, bootstrap, Kline.topic, keys, msgspec.json.Decoder(Kline).decode)
        for (symbol, interval), kline in klines.last(
            lambda kline: kline.interval if kline.source == "venue" else "", set(intervals)
        ).items():
            places[symbol].klines[interval] = (kline.open_time, kline.event_time, kline.closed)
    return places


class _Back(Generic[_Record]):
    """Read a topic backwards."""

    def __init__(
        self,
        reader: RangeReader,
        bootstrap: str,
        topic: str,
        keys: dict[bytes, str],
        decode: Callable[[bytes], _Record],
    ) -> None:
        self._reader = reader
        self._topic = topic
        self._keys = keys
        self._decode = decode
        self._count = partition_counts(bootstrap, [topic])[topic]

    def last(self, slot: Callable[[_Record], str], slots: set[str]) -> dict[tuple[str, str], _Record]:
        """Give the last record of each symbol and slot, by symbol and slot."""
        found: dict[tuple[str, str], _Record] = {}
        wanted: dict[int, set[tuple[str, str]]] = {}
        for key, symbol in self._keys.items():
            wanted.setdefault(partition_of(key, self._count), set()).update((symbol, one) for one in slots)
        bounds = self._reader.bounds((self._topic, number) for number in wanted)
        ends = {at[1]: (low, end, end) for at, (low, end) in bounds.items()}
        stride = _FIRST_STRIDE
        while ends:
            ranges = {(self._topic, number): (max(low, end - stride), end) for number, (low, end, _) in ends.items()}
            newest: dict[tuple[str, str], _Record] = {}
            for message in self._reader.read(ranges):
                self._look(message, slot, newest)
            for (symbol, one), record in newest.items():
                if one in slots:
                    found.setdefault((symbol, one), record)
            ends = {
                number: (ends[number][0], start, ends[number][2])
                for (_, number), (start, _) in ranges.items()
                if start > ends[number][0]
                and ends[number][2] - start < MOST_READ
                and not wanted[number] <= found.keys()
            }
            stride *= 8
        return found

    def _look(self, message: Message, slot: Callable[[_Record], str], newest: dict[tuple[str, str], _Record]) -> None:
        symbol = self._keys.get(bytes(message.key() or b""))
        if symbol is None:
            return
        try:
            record = self._decode(bytes(message.value() or b""))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # typed by hand, and wrong: no place of ours
        newest[symbol, slot(record)] = record
