"""The live feed of OKX."""

from __future__ import annotations

from collections.abc import Callable

from barnabas_quant.feeds.live.okx import Okx
from barnabas_quant.feeds.live.service import LiveFeedService
from barnabas_quant.feeds.live.venue import Venue


class FeedOkx(LiveFeedService):
    """Listen to OKX spot."""

    name = "feed-okx"
    summary = "OKX spot: trades, quotes, books, candles into market_data.*"
    exchange = "okx"

    @staticmethod
    def make_venue(now: Callable[[], int]) -> Venue:
        return Okx(now)
