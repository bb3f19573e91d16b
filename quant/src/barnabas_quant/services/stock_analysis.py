"""The analysis service of the tutorial: bars and moving averages of shares, from `stock-realtime`.

A record is a price, and what was traded since the one before it; a bar counts records as trades, and a record without
volume moves only the price. Bars lie in the sessions of Shanghai, Shenzhen and Hong Kong. The number of a record in its
partition serves as its trade id: a symbol always goes to the same partition.
"""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Message

from barnabas_quant.analysis.candles import Candles, TradeFields
from barnabas_quant.candle_service import CandleService
from barnabas_quant.model.intervals import SECOND, Interval
from barnabas_quant.model.sessions import HONG_KONG, SHANGHAI
from barnabas_quant.model.stock import Stock, decode_stock

_CALENDARS = {"sse": SHANGHAI, "szse": SHANGHAI, "hkex": HONG_KONG}


class StockAnalysis(CandleService):
    """Compute candles and moving averages from stock-realtime."""

    name = "stock-analysis"
    summary = "candles and moving averages (MA5, MA10, MA20, ...) of shares, from stock-realtime (settings: computed)"
    group = "analysis-service"
    topics = (Stock.topic,)

    def wanted_intervals(self) -> tuple[Interval, ...]:
        # Quotes come every three seconds: there are no bars of a second.
        return tuple(interval for interval in super().wanted_intervals() if interval.length > SECOND)

    def make_candles(self) -> Candles:
        return Candles(self.intervals, _CALENDARS, sizes=False)

    def read_all(self, batch: Sequence[Message]) -> list[TradeFields]:
        return list(map(_read, batch))

    def over(self, exchange: str, clock: int) -> int | None:
        ends, settles = _CALENDARS[exchange].day(clock)
        return settles if clock >= ends else None


def _read(message: Message) -> TradeFields:
    stock = decode_stock(message.value())
    produced = int(message.timestamp()[1])
    return TradeFields(
        exchange=stock.listing.venue,
        symbol=stock.symbol,
        trade_id=int(message.offset() or 0),
        price=stock.price,
        quantity=stock.volume or "0",
        trade_time=stock.event_time(produced),
        receive_time=produced * 1000,
    )
