"""The analysis service: bars of every symbol and interval, and their indicators, from trades."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from confluent_kafka import Message

from barnabas_quant.analysis.candles import TradeFields
from barnabas_quant.candle_service import CandleService
from barnabas_quant.model.records import Trade

_decode = msgspec.json.Decoder(TradeFields).decode


class Analysis(CandleService):
    """Compute candles from market_data.trades."""

    name = "analysis"
    summary = "candles and indicators from trades, into market_data.klines and .indicators (settings: computed)"
    group = "analysis"
    topics = (Trade.topic,)

    def read_all(self, batch: Sequence[Message]) -> list[TradeFields]:
        return [_decode(message.value() or b"") for message in batch]
