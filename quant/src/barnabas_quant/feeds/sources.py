"""What a player plays: sources that give the same frames in the same order each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from barnabas_quant.feeds.capture import Capture, Report
from barnabas_quant.model import Frame


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
