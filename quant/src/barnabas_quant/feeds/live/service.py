"""A live feed as a service: one class a venue, which says how its venue is made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar

import uvloop

from barnabas_quant.bus.live_producer import LiveProducer
from barnabas_quant.bus.producer import PATIENCE
from barnabas_quant.bus.topics import GAPS, MARKET_TOPICS, ensure_topics
from barnabas_quant.errors import BusError, SettingsError
from barnabas_quant.feeds.live.feed import FeedOptions, LiveFeed
from barnabas_quant.feeds.live.places import read_places
from barnabas_quant.feeds.live.symbol import Places
from barnabas_quant.feeds.live.symbols import SymbolsFile, symbols_path
from barnabas_quant.feeds.live.venue import Venue
from barnabas_quant.service import Service
from barnabas_quant.settings import Settings

_LOOK_EVERY = 1.0  # seconds, at the file of symbols


class LiveFeedService(Service):
    """Listen to a venue of the settings, or to the simulated exchange where it has no address."""

    exchange: ClassVar[str]
    simulated_path: ClassVar[str] = ""
    """Where the simulated exchange, which has all venues on one port, speaks for this one."""
    needs = ("exchange",)
    creates = (*MARKET_TOPICS, GAPS)

    @staticmethod
    def make_venue(now: Callable[[], int]) -> Venue:
        """Make the venue; `now` is a clock in microseconds since 1970."""
        raise NotImplementedError

    @classmethod
    def wanted(cls, settings: Settings) -> bool:
        """Run where the venue has symbols, and no recording is played instead."""
        return cls.exchange in settings.venues and not settings.replay.files

    @classmethod
    def simulated(cls, settings: Settings) -> bool:
        """Ask the simulated exchange where the venue lacks an address of its own."""
        venue = settings.venues.get(cls.exchange)
        return venue is not None and (venue.stream is None or venue.rest is None)

    def run(self) -> None:
        """Listen until told to stop. Raises SettingsError, BusError."""
        settings = self.settings
        venue_settings = settings.venues.get(self.exchange)
        file = SymbolsFile(symbols_path(settings.data, self.exchange))
        symbols = file.read()
        if venue_settings is None or (symbols is None and not venue_settings.symbols):
            raise SettingsError(f"no symbols of {self.exchange}: set venues.{self.exchange}.symbols")
        ensure_topics(settings.bootstrap, self.creates)
        venue = type(self).make_venue(lambda: time.time_ns() // 1000)
        simulated = settings.exchange_listen
        options = FeedOptions(
            stream=venue_settings.stream or f"ws://{simulated}{self.simulated_path}",
            rest=venue_settings.rest or f"http://{simulated}",
            symbols=venue_settings.symbols if symbols is None else symbols,
            intervals=venue_settings.intervals,
            history=venue_settings.history,
            kinds=venue_settings.streams,
        )
        known = read_places(settings.bootstrap, self.exchange, options.symbols, options.intervals)
        producer = LiveProducer(settings.bootstrap)

        def places(symbol: str) -> Places:
            if symbol not in known:
                known.update(read_places(settings.bootstrap, self.exchange, [symbol], options.intervals))
            return known[symbol]

        async def follow(feed: LiveFeed) -> None:
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                wanted = file.read()
                if wanted is None:
                    wanted = venue_settings.symbols
                feed.unsubscribe([symbol for symbol in feed.states if symbol not in wanted])
                await feed.subscribe(wanted)

        async def listen() -> None:
            feed = LiveFeed(venue, options, producer, self.context.dead_letters, self.status, places)
            following = asyncio.create_task(follow(feed))
            await feed.run(lambda: self.context.stop.is_set() or following.done())
            if following.done():
                following.result()  # it never ends but by failing
            following.cancel()

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(listen())
        finally:
            if left := producer.flush(PATIENCE):
                raise BusError(f"{left} records were not acknowledged; the next run fetches or tells them")
