"""The command `barnabas-quant backtest`: from its options to a setup and sources, figures printed, a report written."""

from __future__ import annotations

import argparse
import os
import re
import resource
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import msgspec

from barnabas_quant.backtest.jobs import KINDS, Job, run_job
from barnabas_quant.backtest.page import figures
from barnabas_quant.backtest.progress import ProgressFile
from barnabas_quant.backtest.report import write_report
from barnabas_quant.backtest.results import Result, Setup
from barnabas_quant.backtest.sources import FOREVER
from barnabas_quant.bus.topics import set_client_settings
from barnabas_quant.errors import QuantError, SettingsError
from barnabas_quant.model.intervals import DAY, SECOND, Interval
from barnabas_quant.model.money import units
from barnabas_quant.model.sessions import SessionCalendar
from barnabas_quant.settings import Settings
from barnabas_quant.strategies.catalog import find_strategy, make_strategy
from barnabas_quant.strategies.host import Host
from barnabas_quant.trading.configuration import engine_settings
from barnabas_quant.trading.inputs import key_from
from barnabas_quant.trading.instruments import Instrument, usual


def run_command(options: argparse.Namespace, settings: Settings, out: TextIO | None = None) -> int:
    """Do what the options say, printing to `out` (standard output). Raises QuantError."""
    if options.nice:
        os.nice(options.nice)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    if options.memory:
        resource.setrlimit(resource.RLIMIT_DATA, (options.memory * 2**20, before[1]))
    try:
        return _run(options, settings, out or sys.stdout)
    except MemoryError as error:
        resource.setrlimit(resource.RLIMIT_DATA, before)  # there may be nothing left to say it with
        bound = f"the {options.memory} MiB that it may use" if options.memory else "there is"
        raise QuantError(f"it needs more memory than {bound}: take fewer symbols, a shorter time or bars") from error


def _run(options: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    set_client_settings(settings.kafka_client)
    job = make_job(options, settings)
    target = options.out or Path(f"backtest-{find_strategy(job.setup.strategy).name}")
    if options.sweep:
        from barnabas_quant.backtest.sweep import run_sweep, run_walk_forward

        grid = {name: values.split(",") for name, values in map(_pair, options.sweep)}
        if options.walk_forward:
            return run_walk_forward(job, grid, options.walk_forward, options.jobs, target, out)
        return run_sweep(job, grid, options.jobs, target, out)
    if options.walk_forward:
        raise SettingsError("--walk-forward needs something to choose: --sweep NAME=A,B,...")
    began = time.perf_counter()
    watched = iter if options.progress is None else ProgressFile(options.progress, job.until).watched
    result, notes = run_job(job, watched)
    seconds = time.perf_counter() - began
    page = write_report(result, target, notes)
    show(result, notes, seconds, out)
    print(f"report: {page}", file=out)
    return 1 if result.failures else 0


def show(result: Result, notes: Sequence[str], seconds: float, out: TextIO) -> None:
    """Print the figures of each currency, two in a line."""
    rate = result.events / seconds if seconds else 0.0
    print(
        f"{result.name} on {', '.join(result.setup.instruments)}: {result.events:,} events in {seconds:.2f} s "
        f"({rate:,.0f}/s), {result.signals:,} signals, {len(result.fills):,} fills", file=out,
    )  # fmt: skip
    for metrics in result.metrics.values():
        cells = [f"{name:<18}{value:>18}" for name, value, _ in figures(metrics)]
        half = (len(cells) + 1) // 2
        for row, left in enumerate(cells[:half]):
            right = cells[half + row] if half + row < len(cells) else ""
            print(f"  {left}    {right}".rstrip(), file=out)
    for reason, count in result.reasons.most_common(5):
        which = " (the first)" if count > 1 else ""
        print(f"  {count:,} x came to nothing: {result.firsts.get(reason, reason)}{which}", file=out)
    for failure in result.failures:
        print(f"  {failure.strategy} was stopped: {failure.reason}", file=out)
    for note in notes:
        print(f"  note: {note}", file=out)


def make_job(options: argparse.Namespace, settings: Settings) -> Job:
    """Read the options. Raises SettingsError, StrategyError, SymbolError."""
    keys = tuple(
        dict.fromkeys(key_from(text, settings.primary) for text in map(str.strip, options.symbols.split(",")) if text)
    )
    if not keys:
        raise SettingsError("--symbols: none is named")
    instruments = [usual(*key.split(":", 1)) for key in keys]
    parameters: dict[str, str] = dict(_pair(text) for group in options.param for text in group)
    strategy = make_strategy(options.strategy, keys, parameters)
    host = Host([strategy])
    heard = {name for name, kind in KINDS.items() if host.hears(kind)}
    if more := {name.strip() for name in options.fill_by.split(",")} - {""} - KINDS.keys():
        raise SettingsError(f"--fill-by: {', '.join(sorted(more))}: there are {', '.join(KINDS)}")
    kinds = heard | {name.strip() for name in options.fill_by.split(",") if name.strip()}
    if not kinds:
        raise SettingsError(f"{strategy.name} hears nothing of the market")
    since = 0 if options.since is None else _time("--from", options.since, instruments[0], False)
    until = FOREVER if options.until is None else _time("--to", options.until, instruments[0], True)
    if since >= until:
        raise SettingsError(f"--from {options.since} is not before --to {options.until}")
    interval = options.interval or getattr(strategy.parameters, "interval", None) or None
    if interval:
        _interval("--interval", interval)
    bars, length = _warm_up(options.warm_up, options.since, kinds)
    if options.warm_up is None and options.since is not None and kinds == {"bars"}:
        bars = strategy.warm_up
    engine = engine_settings(settings.trading)
    cash = engine.cash | {currency: _amount(text) for currency, text in map(_pair, options.cash)}
    traded = {each.currency for each in instruments}
    engine = msgspec.structs.replace(
        engine, cash={currency: amount for currency, amount in cash.items() if currency in traded},
        order_type=options.order_type or engine.order_type,
    )  # fmt: skip
    return Job(
        setup=Setup(
            strategy=options.strategy, instruments=keys, parameters=parameters, engine=engine, begin=since,
            delay=round(options.delay_ms * 1000),
        ),
        sources=tuple(options.source), clickhouse=settings.clickhouse, kafka=settings.kafka,
        primary=settings.primary, kinds=tuple(sorted(kinds)), since=since,
        until=until, interval=interval, warm_up_bars=bars, warm_up=length,
    )  # fmt: skip


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise SettingsError(f"NAME=VALUE is wanted, not {text!r}")
    return name.strip(), value.strip()


def _amount(text: str) -> int:
    try:
        return units(text)
    except ValueError as error:
        raise SettingsError(f"--cash: {error}") from error


def _interval(option: str, text: str) -> Interval:
    try:
        return Interval.parse(text)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from error


def _time(option: str, text: str, instrument: Instrument, end: bool) -> int:
    """Read a date or a date and a time, of the exchange's zone where it has no other."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option}: not a date such as 2024-01-31: {text!r}") from None
    calendar, offset = instrument.calendar, 0
    if found.tzinfo is None:
        offset = calendar.offset if isinstance(calendar, SessionCalendar) else 0
        found = found.replace(tzinfo=UTC)
    time = round(found.timestamp() * SECOND) - offset
    return time + DAY if end and re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text) else time


def _warm_up(text: str | None, since: str | None, kinds: set[str]) -> tuple[int, int]:
    """Give bars, or microseconds."""
    if text is None:
        return 0, 0
    if since is None:
        raise SettingsError("--warm-up is before --from, which is missing")
    if text.isascii() and text.isdigit():
        if kinds != {"bars"}:
            raise SettingsError(f"--warm-up: it hears {', '.join(sorted(kinds))}: give a time such as 2h, not bars")
        return int(text), 0
    return 0, _interval("--warm-up", text).length
