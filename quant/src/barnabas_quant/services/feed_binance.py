"""The live feed of Binance spot."""

from __future__ import annotations

from collections.abc import Callable

from barnabas_quant.feeds.live.binance import spot
from barnabas_quant.feeds.live.service import LiveFeedService
from barnabas_quant.feeds.live.venue import Venue


class FeedBinance(LiveFeedService):
    """Listen to Binance spot."""

    name = "feed-binance"
    summary = "Binance spot: trades, quotes, books, candles into market_data.*"
    exchange = "binance"

    @staticmethod
    def make_venue(now: Callable[[], int]) -> Venue:
        return spot(now)
