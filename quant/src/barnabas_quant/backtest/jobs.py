"""A backtest as data: what is run on which history, in a form that other processes can be given; and running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from barnabas_quant.backtest.files import open_file
from barnabas_quant.backtest.results import Result, Setup
from barnabas_quant.backtest.simulation import Simulation
from barnabas_quant.backtest.sources import Remarks, Source, Wanted, nothing_found, read
from barnabas_quant.errors import QuantError, SettingsError
from barnabas_quant.trading.events import Bar, Depth, MarketEvent, Print, Quote

KINDS: dict[str, type] = {"quotes": Quote, "trades": Print, "bars": Bar, "books": Depth}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Say what is run on what, in words and numbers alone."""

    setup: Setup
    sources: tuple[str, ...]
    """`clickhouse`, `kafka`, or files."""
    clickhouse: str | None
    kafka: str | None = None
    primary: str = ""
    kinds: tuple[str, ...]
    since: int
    until: int
    interval: str | None
    warm_up_bars: int = 0
    warm_up: int = 0
    """Microseconds before `since`."""

    @property
    def wanted(self) -> Wanted:
        """Give what the sources are asked for."""
        return Wanted(
            instruments=self.setup.instruments, kinds=frozenset(KINDS[kind] for kind in self.kinds),
            since=max(0, self.since - self.warm_up), until=self.until, interval=self.interval,
        )  # fmt: skip

    def open(self, remarks: Remarks) -> list[Source]:
        """Open its sources. Raises QuantError."""
        return [self._open(name, remarks) for name in self.sources]

    def events(self, sources: Sequence[Source]) -> Iterator[MarketEvent]:
        """Give its events from sources that it opened."""
        return read(sources, self.wanted, self.warm_up_bars)

    def _open(self, name: str, remarks: Remarks) -> Source:
        if name == "kafka":
            from barnabas_quant.backtest.topics import Topics

            if self.kafka is None:
                raise SettingsError("no Kafka: give --kafka HOST:PORT, or start the platform with `barnabas-quant up`")
            return Topics(self.kafka, self.primary)
        if name != "clickhouse":
            return open_file(name, self.setup.instruments, remarks, self.interval)
        from barnabas_quant.backtest.stored import Stored
        from barnabas_quant.history.client import ClickHouse

        if self.clickhouse is None:
            raise SettingsError(
                "no ClickHouse: give --clickhouse URL, start the platform with `barnabas-quant up`, or name files: "
                "--source FILE ..."
            )
        return Stored(ClickHouse(self.clickhouse))


Watched = Callable[[Iterator[MarketEvent]], Iterator[MarketEvent]]
"""Looks at events as they pass."""


def run_job(job: Job, watched: Watched = iter) -> tuple[Result, list[str]]:
    """Run a job; give its result and what should be known about the data. Raises QuantError."""
    remarks = Remarks()
    simulation = Simulation(job.setup)
    sources = job.open(remarks)
    events = Counted(watched(job.events(sources)))
    try:
        result = simulation.run(events)
    except QuantError:
        if events.any:
            raise
        raise nothing_found(sources, job.wanted) from None
    return result, remarks.lines()


class Counted:
    """Give events, and tell whether there was any."""

    def __init__(self, events: Iterator[MarketEvent]) -> None:
        self._events = events
        self.any = False

    def __iter__(self) -> Iterator[MarketEvent]:
        for event in self._events:
            self.any = True
            yield event
            yield from self._events
