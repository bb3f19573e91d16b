"""Feeds that listen to a venue: one module a venue, one machine for all of them."""

from barnabas_quant.feeds.live.feed import FeedOptions, LiveFeed
from barnabas_quant.feeds.live.venue import Venue

__all__ = ["FeedOptions", "LiveFeed", "Venue"]
