"""How far a backtest has come, in a file that is written whole, twice a second: for whoever started it and looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from barnabas_quant.backtest.sources import FOREVER
from barnabas_quant.errors import NotWritable
from barnabas_quant.model.intervals import SECOND
from barnabas_quant.trading.events import MarketEvent

_EVERY = 0.5  # seconds between two writings
_LOOK = 256  # events between two looks at the clock


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how far it has come: `percent` is by time, of the stretch that was asked for; None: not known."""

    events: int = 0
    time: int | None = None
    """Of the last event, microseconds since 1970 UTC."""
    percent: float | None = None
    elapsed_ms: int = 0


class ProgressFile:
    """Keep a file of progress while events pass."""

    def __init__(self, path: Path, until: int, now: Callable[[], float] = time.time) -> None:
        """Take the file, and the time at which the events end; one that is not said ends now. Raises NotWritable."""
        self._path = path
        self._until = until if until < FOREVER else round(now() * SECOND)
        self._began = time.monotonic()
        self._due = self._began + _EVERY
        self._first: int | None = None
        self._write(0, None)

    def watched(self, events: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        """Give events as they come. Raises NotWritable where the file cannot be written."""
        count = 0
        for event in events:
            if self._first is None:
                self._first = event.time
            count += 1
            if not count % _LOOK and time.monotonic() >= self._due:
                self._write(count, event.time)
            yield event
        self._write(count, self._until)

    def _write(self, count: int, at: int | None) -> None:
        now = time.monotonic()
        self._due = now + _EVERY
        percent = None
        if at is not None and self._first is not None and self._until > self._first:
            percent = round(min(100.0, max(0.0, 100 * (at - self._first) / (self._until - self._first))), 1)
        held = Progress(events=count, time=at, percent=percent, elapsed_ms=round((now - self._began) * 1000))
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(held))
            fresh.replace(self._path)
        except OSError as error:
            raise NotWritable.of(self._path, error) from error


def read_progress(path: Path) -> Progress | None:
    """Read a file of progress; None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Progress)
    except (OSError, ValueError):
        return None
