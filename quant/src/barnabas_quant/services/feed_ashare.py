"""The feed that plays files of A-shares and Hong Kong shares into `stock-realtime`, once, going on where it stopped."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from barnabas_quant.bus.producer import PATIENCE
from barnabas_quant.bus.topics import ensure_topics, topic_specs
from barnabas_quant.errors import QuantError
from barnabas_quant.feeds.ashare_files import AshareFile
from barnabas_quant.feeds.ashare_replay import AshareReplay
from barnabas_quant.feeds.ashare_sample import SAMPLE
from barnabas_quant.feeds.pacing import Pacer
from barnabas_quant.feeds.trading_clock import TradingClock
from barnabas_quant.model.markets import VENUES
from barnabas_quant.model.stock import Stock
from barnabas_quant.service import Service

log = logging.getLogger(__name__)

_LETTER_PATIENCE = 30.0  # seconds


class FeedAshare(Service):
    """Play the files of the settings, or the sample in the package; then stay and say so."""

    name = "feed-ashare"
    summary = "plays files of shares into stock-realtime (settings: [ashare] files, speed, skip_closed)"
    creates = tuple(topic_specs([Stock.topic]))

    def run(self) -> None:
        ensure_topics(self.settings.bootstrap, self.creates)
        settings = self.settings.ashare
        files = [AshareFile(path) for path in settings.files or (SAMPLE,)]
        venues = (
            {file.listing.venue for file in files if file.listing} if all(file.listing for file in files) else VENUES
        )
        replay = AshareReplay(
            self.settings.bootstrap,
            files,
            Pacer(settings.speed, time.time_ns),
            self.context.stop,
            self._complain,
            settle=self._settle,
            clock=TradingClock(venues) if settings.skip_closed else None,
        )
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(replay, done), name="progress", daemon=True)
        watch.start()
        try:
            replay.run()
        finally:
            done.set()
            watch.join()
        self.context.stop.wait()

    def _watch(self, replay: AshareReplay, done: threading.Event) -> None:
        seen = 0
        while True:
            last = done.wait(0.5)
            sent = replay.sent
            self.status.ready = replay.state != "starting"
            self.status.note = replay.state
            self.status.count(sent - seen)
            seen = sent
            if last:
                return

    def _complain(self, path: Path, number: int, reason: str, line: bytes) -> None:
        self.status.error("malformed")
        log.warning("%s, line %d: %s", path, number, reason)
        self.context.dead_letters.put(line, reason, f"{path.name}#{number}")

    def _settle(self) -> None:
        patience = PATIENCE if self.context.stop.is_set() else _LETTER_PATIENCE
        if left := self.context.dead_letters.flush(patience):
            raise QuantError(f"{left} dead letters were not acknowledged within {patience:g} s")
