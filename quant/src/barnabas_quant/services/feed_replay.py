"""The feed that plays a recording into the topics, once, going on exactly where they stop."""

from __future__ import annotations

import logging
import threading
import time

from barnabas_quant.bus import MARKET_TOPICS, ensure_topics
from barnabas_quant.errors import BusError
from barnabas_quant.feeds.capture import Capture
from barnabas_quant.feeds.pacing import Pacer
from barnabas_quant.feeds.player import Player
from barnabas_quant.feeds.sources import CaptureSource
from barnabas_quant.service import Service
from barnabas_quant.settings import Settings

log = logging.getLogger(__name__)


class FeedReplay(Service):
    """Play the recordings named in the settings, one after the other; then stay and say so."""

    name = "feed-replay"
    summary = "plays recordings of an exchange into market_data.* (settings: [replay] files, exchange, speed)"
    creates = MARKET_TOPICS

    @classmethod
    def wanted(cls, settings: Settings) -> bool:
        return bool(settings.replay.files)

    def run(self) -> None:
        ensure_topics(self.settings.bootstrap, self.creates)
        for path in self.settings.replay.files:
            if self.context.stop.is_set():
                return
            self._play(Capture(path, self.settings.replay.exchange))
        self.status.note = "played"
        self.context.stop.wait()

    def _play(self, capture: Capture) -> None:
        pacer = Pacer(self.settings.replay.speed, time.time_ns)
        source = CaptureSource(capture)
        letter = self.context.dead_letters.put
        player = Player(self.settings.bootstrap, source, pacer, self.context.stop, self._complain, letter=letter)
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(player, capture, done), name="progress", daemon=True)
        watch.start()
        try:
            player.run()
        finally:
            done.set()
            watch.join()
        if left := player.progress.unacknowledged:
            raise BusError(f"{capture.path}: {left} records are not acknowledged; the next run makes them")

    def _watch(self, player: Player, capture: Capture, done: threading.Event) -> None:
        seen = 0
        while True:
            last = done.wait(0.5)
            progress = player.progress
            self.status.ready = progress.state != "starting"
            self.status.note = f"{progress.state} {capture.path.name}"
            self.status.count(progress.sent - seen)
            seen = progress.sent
            if last:
                return

    def _complain(self, number: int, reason: str) -> None:
        self.status.error("malformed")
        log.warning("line %d: %s", number, reason)
