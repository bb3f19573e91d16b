"""The feed that polls level-1 quotes over HTTP and publishes what has changed to `stock-realtime`."""

from __future__ import annotations

import threading

from barnabas_quant.bus.topics import ensure_topics, topic_specs
from barnabas_quant.feeds.quote_poller import Polling, QuotePoller
from barnabas_quant.model.markets import listing_of
from barnabas_quant.model.stock import Stock
from barnabas_quant.service import Service
from barnabas_quant.settings import Settings


class FeedQuotes(Service):
    """Poll the quotes of the settings."""

    name = "feed-quotes"
    summary = "polls level-1 quotes into stock-realtime (settings: [quotes] url, symbols, seconds, layout, batch)"
    needs = ("exchange",)
    creates = tuple(topic_specs([Stock.topic]))

    @classmethod
    def wanted(cls, settings: Settings) -> bool:
        # Simulated quotes of today would overtake the session of the sample, which has the same shares: against the
        # simulated exchange it runs when it is asked for by name.
        return settings.quotes.url is not None

    @classmethod
    def simulated(cls, settings: Settings) -> bool:
        return settings.quotes.url is None

    def run(self) -> None:
        ensure_topics(self.settings.bootstrap, self.creates)
        settings = self.settings.quotes
        polling = Polling(
            url=settings.url or f"http://{self.settings.exchange_listen}",
            listings=tuple(dict.fromkeys(listing_of(symbol) for symbol in settings.symbols)),
            layout=settings.layout,
            seconds=settings.seconds,
            batch=settings.batch,
            in_sessions=settings.in_sessions,
        )
        poller = QuotePoller(self.settings.bootstrap, polling, self.context.stop, self._complain)
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(poller, done), name="progress", daemon=True)
        watch.start()
        try:
            poller.run()
        finally:
            done.set()
            watch.join()

    def _watch(self, poller: QuotePoller, done: threading.Event) -> None:
        published = failures = 0
        while True:
            last = done.wait(0.5)
            now = (poller.published, poller.failures)
            self.status.ready = poller.state in ("polling", "closed")
            self.status.note = poller.state
            self.status.count(now[0] - published)
            for _ in range(now[1] - failures):
                self.status.error("request failed")
            published, failures = now
            if last:
                return

    def _complain(self, raw: bytes, reason: str, origin: str) -> None:
        self.status.error("malformed")
        self.context.dead_letters.put(raw, reason, origin)
