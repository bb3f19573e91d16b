"""`barnabas-quant play FILE`: a recorded capture into the topics, and a live table of what a consumer group reads back.

It uses the Kafka that it is told of, else the one of the platform that runs in the data folder, else it starts a broker
for its own length. It ends in order, whatever made it end: the feed stops and everything it wrote is acknowledged; the
table's group commits and leaves; a broker of its own gets SIGTERM and is waited for.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live

from barnabas_quant.bus import MARKET_TOPICS, Watcher, ensure_topics, wait_for_kafka
from barnabas_quant.endpoints import Endpoints, Started, only_one, remove_endpoints, running_platform, write_endpoints
from barnabas_quant.errors import ChildError, QuantError
from barnabas_quant.feeds.capture import Capture
from barnabas_quant.feeds.pacing import Pacer
from barnabas_quant.feeds.player import Player
from barnabas_quant.feeds.sources import CaptureSource
from barnabas_quant.processes import Child, check_port
from barnabas_quant.table import View
from barnabas_quant.up import stop_on_signals

GROUP = "barnabas-quant-table"
"""The consumer group of the live table."""

LISTEN = ("localhost:9092", "localhost:9093")
"""Where the broker listens unless told otherwise."""

START_PATIENCE = 30.0
"""Seconds that a broker may take to its first answer."""

SHOWN_COMPLAINTS = 20
"""Malformed lines that are printed; further ones are counted."""


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """Say what to play. `kafka` None: the running platform's, or a broker of its own; `speed` None: at once."""

    data: Path
    capture: Path
    listen: tuple[str, ...] = LISTEN
    kafka: str | None = None
    exchange: str | None = None
    speed: float | None = 1.0
    group: str = GROUP
    seconds: float | None = None
    until_played: bool = False


def broker_command(data: Path, listen: Sequence[str]) -> list[str]:
    """Give the command that runs the broker."""
    listeners = [part for address in listen for part in ("--listen", address)]
    return [sys.executable, "-m", "barnabas", "serve", "--data", str(data / "kafka"), *listeners]


def play(options: PlayOptions, output: TextIO) -> None:
    """Run until Ctrl-C, SIGTERM, the end of `seconds`, or with `until_played` until all is played and read.

    Raises QuantError where something could not start or has failed; everything is ended then, too.
    """
    stop = threading.Event()
    capture = Capture(options.capture, options.exchange)
    with stop_on_signals(stop), _kafka(options, output) as (bootstrap, broker):
        if created := ensure_topics(bootstrap):
            print(f"created topics: {', '.join(created)}", file=output, flush=True)
        _Run(options, bootstrap, broker, capture, stop, output).run()


@contextmanager
def _kafka(options: PlayOptions, output: TextIO) -> Iterator[tuple[str, Child | None]]:
    """Give the address of a Kafka that answers, and the broker's process where it is ours."""
    running = running_platform(options.data)  # not what a killed run left
    if bootstrap := options.kafka or (running.kafka if running else None):
        wait_for_kafka(bootstrap, 10.0)
        yield bootstrap, None
        return
    with only_one(options.data):
        yield from _own_kafka(options, output)


def _own_kafka(options: PlayOptions, output: TextIO) -> Iterator[tuple[str, Child | None]]:
    for address in options.listen:
        check_port(address, "--listen", f"use the Kafka that is there with --kafka {address}")
    bootstrap = options.listen[0]
    command = broker_command(options.data, options.listen)
    broker = Child("broker", command, options.data / "log" / "broker.log")
    try:
        process = Started.of(broker.pid)
        processes = {} if process is None else {"kafka": process}
        supervisor = Started.of(os.getpid())
        write_endpoints(options.data, Endpoints(kafka=bootstrap, supervisor=supervisor, processes=processes))
        try:
            wait_for_kafka(bootstrap, START_PATIENCE, lambda: broker.ended)
        except QuantError:
            broker.check()
            raise
        print(f"broker {broker.pid} answers at {', '.join(options.listen)}", file=output, flush=True)
        yield bootstrap, broker
    finally:
        code = broker.stop()
        remove_endpoints(options.data)
    if code:
        raise ChildError(f"the broker ended with code {code}; its output is in {broker.log}")


class _Run:
    """Hold one run's feed, table and their end."""

    def __init__(
        self,
        options: PlayOptions,
        bootstrap: str,
        broker: Child | None,
        capture: Capture,
        stop: threading.Event,
        output: TextIO,
    ) -> None:
        self._options = options
        self._bootstrap = bootstrap
        self._broker = broker
        self._stop = stop
        self._output = output
        self._failure: QuantError | None = None
        pacer = Pacer(options.speed, time.time_ns)
        self._player = Player(bootstrap, CaptureSource(capture), pacer, stop, Complaints(), self._broker_gone)
        self._view = View()

    def run(self) -> None:
        """Play and show until told to stop; then end feed and table in order. Raises QuantError."""
        feed = threading.Thread(target=self._play, name="feed")
        watcher = Watcher(self._bootstrap, self._options.group, [spec.name for spec in MARKET_TOPICS])
        feed.start()
        try:
            self._show(watcher)
        finally:
            self._stop.set()
            feed.join()
            self._view.sample(time.monotonic(), {} if self._broker_gone() else watcher.lags())
            watcher.close(commit=not self._broker_gone())
            print(f"end: {self._view.line(self._player.progress)}", file=self._output, flush=True)
        if self._broker is not None:
            self._broker.check()
        if self._failure is not None:
            raise self._failure
        if self._player.progress.unacknowledged:
            raise QuantError(
                f"{self._player.progress.unacknowledged} records were not acknowledged; run again to go on"
            )

    def _play(self) -> None:
        try:
            self._player.run()
        except QuantError as error:
            self._failure = error
        except BaseException as error:
            self._failure = QuantError(f"the feed has failed: {error!r}")
            raise

    def _broker_gone(self) -> bool:
        return self._broker is not None and self._broker.ended

    def _show(self, watcher: Watcher) -> None:
        begun = time.monotonic()
        end = None if self._options.seconds is None else begun + self._options.seconds
        console = Console(file=self._output)
        live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        sampled = begun
        self._view.sample(begun, {})
        if live:
            live.start()
        try:
            while not self._stop.is_set() and self._failure is None and not self._broker_gone():
                now = time.monotonic()
                if end is not None and now >= end:
                    break
                self._view.add(watcher.read(0.1))
                if now - sampled >= 1.0:
                    sampled = now
                    self._view.sample(now, watcher.lags())
                    self._draw(live)
                if self._options.until_played and self._player.progress.state == "played" and _settled(watcher):
                    break
        finally:
            if live:
                live.stop()

    def _draw(self, live: Live | None) -> None:
        if live:
            live.update(self._view.table(self._player.progress, self._bootstrap), refresh=True)
        else:
            stamp = datetime.now(UTC).strftime("%H:%M:%SZ")
            print(f"{stamp} {self._view.line(self._player.progress)}", file=self._output, flush=True)


def _settled(watcher: Watcher) -> bool:
    """Tell whether the table has read everything: all partitions assigned, none behind."""
    lags = watcher.lags()
    return len(lags) >= sum(spec.partitions for spec in MARKET_TOPICS) and not any(lags.values())


class Complaints:
    """Print the first malformed lines of a capture to standard error, and say where it stops printing."""

    def __init__(self) -> None:
        self._shown = 0

    def __call__(self, number: int, reason: str) -> None:
        self._shown += 1
        if self._shown <= SHOWN_COMPLAINTS:
            print(f"line {number}: {reason}", file=sys.stderr, flush=True)
        elif self._shown == SHOWN_COMPLAINTS + 1:
            print("further malformed lines are only counted", file=sys.stderr, flush=True)
