"""Histories in topics: what Kafka still has of the market, for whoever has no database.

Records lie in the order in which they were produced, in many partitions; events are wanted in the order of the
exchange's time. So those that are wanted are read whole and sorted: some 200 bytes of memory each.
"""

from __future__ import annotations

from collections.abc import Iterator

from barnabas_quant.backtest.sources import SourceError, Wanted, described, widen
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.topics import partition_counts
from barnabas_quant.errors import BusError, RecordError
from barnabas_quant.model.records import Kline, OrderBook, Tick, Trade
from barnabas_quant.model.stock import Stock
from barnabas_quant.trading.events import Bar, Depth, MarketEvent, Print, Quote
from barnabas_quant.trading.inputs import inputs_of

_TOPICS: dict[type, tuple[str, ...]] = {
    Quote: (Tick.topic,), Print: (Trade.topic, Stock.topic), Bar: (Kline.topic,), Depth: (OrderBook.topic,),
}  # fmt: skip
_NAMES = {Quote: "quotes", Print: "trades", Depth: "books"}

_Placed = tuple[int, str, int, int, int, MarketEvent]
"""Time, topic, partition, offset, number within the record, event."""


class Topics:
    """Read the market's topics, as the trading service does. Raises BusError, too."""

    name = "kafka"

    def __init__(self, bootstrap: str, primary: str) -> None:
        self._bootstrap = bootstrap
        self._primary = primary
        self._read: tuple[tuple[tuple[str, ...], frozenset[type]], list[_Placed]] | None = None

    def events(self, wanted: Wanted) -> Iterator[MarketEvent]:
        found = self._wanted(wanted)
        if wanted.interval is None:
            intervals = {placed[5].interval for placed in found if isinstance(placed[5], Bar)}
            if len(intervals) > 1:
                raise SourceError(f"bars of which length? give --interval, one of {', '.join(sorted(intervals))}")
        for placed in found:
            event = placed[5]
            if not wanted.since <= placed[0] < wanted.until:
                continue
            if wanted.interval is None or not isinstance(event, Bar) or event.interval == wanted.interval:
                yield event

    def before(self, wanted: Wanted, bars: int) -> int:
        earliest = wanted.since
        for key in wanted.instruments:
            times = [
                time
                for time, *_, event in self._wanted(wanted)
                if isinstance(event, Bar) and event.instrument == key and time < wanted.since
                and wanted.interval in (None, event.interval)
            ]  # fmt: skip
            earliest = min([earliest, *times[-bars:]])
        return earliest

    def holds(self) -> list[str]:
        found: dict[str, tuple[int, int, int]] = {}
        for time, *_, event in self._all(frozenset(_TOPICS)):
            kind = f"{event.interval} bars" if isinstance(event, Bar) else _NAMES[type(event)]
            widen(found, f"{event.instrument} {kind}", time)
        return described(found)

    def _wanted(self, wanted: Wanted) -> list[_Placed]:
        """Give what there is of these instruments and kinds, whenever it was, in order."""
        key = (wanted.instruments, wanted.kinds)
        if self._read is None or self._read[0] != key:
            chosen = set(wanted.instruments)
            found = [placed for placed in self._all(wanted.kinds) if placed[5].instrument in chosen]
            found.sort(key=lambda placed: placed[:5])
            self._read = (key, found)
        return self._read[1]

    def _all(self, kinds: frozenset[type]) -> Iterator[_Placed]:
        for topic in dict.fromkeys(topic for kind in _TOPICS if kind in kinds for topic in _TOPICS[kind]):
            try:
                count = partition_counts(self._bootstrap, [topic], 2.0)[topic]
            except BusError:  # nobody has told anything of the kind
                continue
            with RangeReader(self._bootstrap) as reader:
                for message in reader.read(reader.bounds((topic, number) for number in range(count))):
                    partition, offset = int(message.partition() or 0), int(message.offset() or 0)
                    try:
                        made = inputs_of(
                            topic, bytes(message.value() or b""), int(message.timestamp()[1]), partition, offset,
                            self._primary,
                        )  # fmt: skip
                    except RecordError:  # a dead letter by now
                        continue
                    for number, event in enumerate(made):
                        if type(event) in kinds:
                            yield event.time, topic, partition, offset, number, event  # type: ignore[misc]
