"""What a feed plays: a capture or the simulated exchange, each with its way of going on after a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from barnabas_quant.errors import ResumeError
from barnabas_quant.feeds.binance import Frame
from barnabas_quant.feeds.capture import Capture, Report
from barnabas_quant.feeds.simulator import MINUTE, Simulator


class Source(Protocol):
    """Give frames in an order that is the same each time."""

    @property
    def identity(self) -> str:
        """Name the source; records carry it."""

    @property
    def exchange(self) -> str:
        """Name the venue that the frames come from."""

    def frames(self, last: tuple[int, ...] | None, report: Report) -> Iterator[Frame]:
        """Give the frames from where whoever has everything up to `last` can go on, or from before that place."""


class CaptureSource:
    """Play a capture from its first line: what has been written already is skipped by the feed, record by record."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self.identity = capture.identity
        self.exchange = capture.exchange

    def frames(self, last: tuple[int, ...] | None, report: Report) -> Iterator[Frame]:
        yield from self._capture.frames(report)


class SimulatorSource:
    """Play the simulated exchange without end, from the minute that was interrupted.

    The market stands still while nobody plays it: the interrupted minute is finished as it began, the next one
    starts at the minute that `now` (milliseconds since 1970) says, or right after the last where that is later.
    """

    def __init__(self, simulator: Simulator, now: Callable[[], int]) -> None:
        self._simulator = simulator
        self._now = now
        self.identity = simulator.identity
        self.exchange = simulator.exchange

    def frames(self, last: tuple[int, ...] | None, report: Report) -> Iterator[Frame]:
        number, start = 0, self._this_minute()
        if last is not None:
            if len(last) != 3:
                raise ResumeError(f"{self.identity}: a record of this source has a mark of another kind")
            number, start = last[0], last[1]
        if number > 0:  # one whole minute brings back last prices and quotes of every instrument
            for frame in self._simulator.minute(number - 1, start - MINUTE):
                yield replace(frame, replayed=True)
        while True:
            yield from self._simulator.minute(number, start)
            number += 1
            start = max(start + MINUTE, self._this_minute())

    def _this_minute(self) -> int:
        return self._now() // MINUTE * MINUTE
