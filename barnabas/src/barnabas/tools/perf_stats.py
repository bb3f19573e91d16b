"""Count what the performance tests measure, and write it as Java's tools do: rates, latencies, percentiles.

With --json every report is a JSON document in a line of its own (`document`), and what else is said goes to standard
error.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from barnabas.tools.client_properties import failure
from barnabas.tools.terminal import clear

_SAMPLES: Final = 500_000


def number(value: float, digits: int) -> str:
    """Write a number as Java's %.f does."""
    if value != value:
        return "NaN"
    return "Infinity" if value == float("inf") else f"{value:.{digits}f}"


def document(figures: Mapping[str, Any]) -> None:
    """Print figures as JSON, in a line; what is no number is null."""
    shown = {
        name: (round(value, 6) if math.isfinite(value) else None) if isinstance(value, float) else value
        for name, value in figures.items()
    }
    print(json.dumps(shown, ensure_ascii=False), flush=True)


def ratio(a: float, b: float) -> float:
    """Divide as Java does, also by 0."""
    return a / b if b else float("inf") if a > 0 else float("nan")


def percentiles(latencies: Sequence[int], *fractions: float) -> list[int]:
    """Return the latencies that so large a part of all is not above."""
    ordered = sorted(latencies)
    return [ordered[min(int(fraction * len(ordered)), len(ordered) - 1)] if ordered else 0 for fraction in fractions]


class Stats:
    """Count records, bytes and latencies (ms); print a line for each interval, and the total."""

    def __init__(
        self, records: int, interval_ms: int, *, steady: bool = False, clock: Any = time.time, as_json: bool = False
    ) -> None:
        self._clock, self._interval, self._steady, self._json = clock, interval_ms, steady, as_json
        self._start = clock() * 1000
        self._sampling = max(1, records // min(max(records, 1), _SAMPLES))
        self._samples: list[int] = []
        self.quiet = False
        """Whether the lines for the intervals are left out."""
        self.count = self._bytes = self._total = self._max = 0
        self._new_window()

    def _new_window(self) -> None:
        self._window_start = self._clock() * 1000
        self._window_count = self._window_bytes = self._window_total = self._window_max = 0

    def add(self, latencies: list[int], size: int) -> None:
        """Take in the latencies of records that were acknowledged, with the bytes that all of them held."""
        if latencies:
            count, total, most = len(latencies), sum(latencies), max(latencies)
            self._samples += latencies[-self.count % self._sampling :: self._sampling]
            self.count += count
            self._bytes += size
            self._total += total
            self._max = max(self._max, most)
            self._window_count += count
            self._window_bytes += size
            self._window_total += total
            self._window_max = max(self._window_max, most)
            if self._clock() * 1000 - self._window_start >= self._interval:
                if self._steady and self.count == self._window_count:
                    clear()
                    print("In steady state.", flush=True, file=sys.stderr if self._json else sys.stdout)
                if not self.quiet:
                    self._print_window()
                self._new_window()

    def _figures(self, what: str, count: int, size: int, since: float, total: int, most: int) -> dict[str, Any]:
        # Java's clock counts whole milliseconds
        seconds = int(self._clock() * 1000 - since) / 1000
        return {
            "report": what, "records": count, "recordsPerSecond": ratio(count, seconds),
            "mbPerSecond": ratio(size / (1024 * 1024), seconds), "averageLatencyMs": ratio(total, count),
            "maxLatencyMs": most,
        }

    def _print_window(self) -> None:
        clear()
        found = self._figures(
            "interval", self._window_count, self._window_bytes, self._window_start, self._window_total,
            self._window_max,
        )
        if self._json:
            document(found)
            return
        print(
            f"{found['records']} records sent, {number(found['recordsPerSecond'], 1)} records/sec "
            f"({number(found['mbPerSecond'], 2)} MB/sec), {number(found['averageLatencyMs'], 1)} ms avg latency, "
            f"{found['maxLatencyMs']:.1f} ms max latency.",
            flush=True,
        )

    def print_total(self) -> None:
        """Print the line at the end."""
        half, most, nearly, all_but = percentiles(self._samples, 0.5, 0.95, 0.99, 0.999)
        what = "steady state" if self._steady else "total"
        found = self._figures(what, self.count, self._bytes, self._start, self._total, self._max)
        if self._json:
            document(found | {"latencyMs50th": half, "latencyMs95th": most, "latencyMs99th": nearly,
                              "latencyMs99.9th": all_but})
            return
        print(
            f"{self.count}{' steady state' if self._steady else ''} records sent, "
            f"{number(found['recordsPerSecond'], 6)} records/sec ({number(found['mbPerSecond'], 2)} MB/sec), "
            f"{number(found['averageLatencyMs'], 2)} ms avg latency, {self._max:.2f} ms max latency, "
            f"{half} ms 50th, {most} ms 95th, {nearly} ms 99th, {all_but} ms 99.9th."
        )


class Reports:
    """Collect the delivery reports of records: as little as can be for each, the rest for many at once."""

    def __init__(self, size: int | None, *stats: Stats) -> None:
        self._size, self._stats = size, stats
        self._seconds: list[float] = []
        self._sizes: list[int] = []
        seconds, sizes = self._seconds.append, self._sizes.append

        def same_size(error: Any, message: Any) -> None:
            if error is None:
                seconds(message.latency())
            else:
                print(failure(error), file=sys.stderr)

        def own_size(error: Any, message: Any) -> None:
            if error is None:
                sizes(len(message))
            same_size(error, message)

        self.callback = own_size if size is None else same_size

    def settle(self) -> None:
        """Hand what was collected to the statistics."""
        if self._seconds:
            latencies = [int(seconds * 1000 + 0.5) for seconds in self._seconds]
            size = sum(self._sizes) if self._size is None else self._size * len(latencies)
            self._seconds.clear()
            self._sizes.clear()
            for stats in self._stats:
                stats.add(latencies, size)
