"""The live feed of Binance USD-M futures."""

from __future__ import annotations

from collections.abc import Callable

from barnabas_quant.feeds.live.binance import usd_m
from barnabas_quant.feeds.live.service import LiveFeedService
from barnabas_quant.feeds.live.venue import Venue


class FeedBinanceUsdM(LiveFeedService):
    """Listen to Binance USD-M futures."""

    name = "feed-binance-usdm"
    summary = "Binance USD-M futures: aggregate trades, quotes, books, candles into market_data.*"
    exchange = "binance_usdm"
    simulated_path = "/market"

    @staticmethod
    def make_venue(now: Callable[[], int]) -> Venue:
        return usd_m(now)
