"""Many backtests at once: all combinations of some parameters on all cores, and what the best of them is worth.

Whoever tries many parameters finds one that was lucky. So the best is told together with its deflated Sharpe ratio:
the probability that it has any skill, given how many were tried and how much they differ (docs/backtest.md). A
walk-forward test chooses on the past and measures on what follows, which nobody has looked at.

Each process reads the history once and keeps it, where it has fewer than `KEPT` events; longer ones are read anew for
each run. Processes are started afresh (spawn): nothing of the parent's threads or connections goes with them.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from operator import attrgetter
from pathlib import Path
from typing import Any, TextIO

import msgspec

from barnabas_quant.backtest.jobs import Job, run_job
from barnabas_quant.backtest.metrics import (
    LEAST_DAYS,
    Metrics,
    daily_returns,
    deflated_sharpe,
    deviation,
    expected_best_sharpe,
    sharpe,
    total_return,
)  # fmt: skip
from barnabas_quant.backtest.page import number, percent
from barnabas_quant.backtest.report import write_report
from barnabas_quant.backtest.simulation import Simulation
from barnabas_quant.backtest.sources import Remarks, nothing_found
from barnabas_quant.errors import NotWritable, SettingsError
from barnabas_quant.strategies.base import StrategyError
from barnabas_quant.strategies.catalog import find_strategy
from barnabas_quant.trading.events import MarketEvent

KEPT = 500_000
"""Events of a history that a process keeps."""

MOST = 100_000
"""Combinations of one sweep."""

SURE = 0.95
"""Deflated Sharpe ratio below which the best counts as luck."""


class Run(msgspec.Struct, frozen=True):
    """Ask for one backtest: parameters, and the time in which it trades."""

    parameters: dict[str, Any]
    begin: int
    until: int
    with_returns: bool = False
    """Whether the daily returns are wanted, too."""


class Outcome(msgspec.Struct, frozen=True):
    """Hold what came of a run, on the account of the first currency."""

    run: Run
    metrics: Metrics
    returns: list[float]
    """A day each, where they were asked for."""
    failed: str = ""

    @property
    def rank(self) -> tuple[float, float]:
        """Give what outcomes are sorted by: the Sharpe ratio, then the return."""
        ratio = self.metrics.sharpe
        return (float("-inf") if ratio is None else ratio, self.metrics.total_return)


class Verdict(msgspec.Struct, frozen=True):
    """Say what the best of a sweep is worth."""

    trials: int
    expected: float
    """Yearly Sharpe ratio that the best of as many without skill would show."""
    deflated: float
    """Probability that the best one's true Sharpe ratio is above that of mere luck."""


def run_sweep(job: Job, grid: Mapping[str, Sequence[str]], jobs: int | None, target: Path, out: TextIO) -> int:
    """Run all combinations; print the best, write all of them and the report of the best. Raises QuantError."""
    chosen, left_out = combinations(job, grid)
    outcomes = ranked(run_all(job, [Run(each, job.setup.begin, job.until) for each in chosen], jobs))
    judged = verdict(outcomes, _periods(job))
    _print(outcomes, grid, left_out, out)
    lines = warnings(judged)
    for line in lines:
        print(line, file=out)
    best = msgspec.structs.replace(job, setup=msgspec.structs.replace(job.setup, parameters=outcomes[0].run.parameters))
    result, notes = run_job(best)
    page = write_report(result, target, [*notes, *lines])
    _write(target / "sweep.json", {"outcomes": outcomes, "verdict": judged, "left_out": left_out})
    print(f"report of the best: {page}; all of them: {target / 'sweep.json'}", file=out)
    return 0


def run_walk_forward(
    job: Job, grid: Mapping[str, Sequence[str]], splits: int, jobs: int | None, target: Path, out: TextIO
) -> int:
    """Choose on the first part of the history, trade the next, and so on `splits` times. Raises QuantError.

    The history is cut into `splits` + 1 stretches of the same time. What is chosen for a stretch had the best Sharpe
    ratio from the beginning up to it; it hears that past as its warm-up, and begins without a position.
    """
    if splits < 1:
        raise SettingsError("--walk-forward: 1 at least")
    chosen, left_out = combinations(job, grid)
    first, last = _span(job)
    first = max(first, job.setup.begin)
    edges = [first + (last + 1 - first) * n // (splits + 1) for n in range(splits + 2)]
    past = [Run(each, job.setup.begin, edge) for edge in edges[1:-1] for each in chosen]
    trained = run_all(job, past, jobs)
    picks: list[Outcome] = []
    for edge in edges[1:-1]:
        picks.append(ranked(outcome for outcome in trained if outcome.run.until == edge)[0])
    ahead = [
        Run(pick.run.parameters, begin, until, True)
        for pick, begin, until in zip(picks, edges[1:-1], edges[2:], strict=True)
    ]  # fmt: skip
    tested = sorted(run_all(job, ahead, jobs), key=lambda outcome: outcome.run.begin)
    periods = _periods(job)
    print(f"{'chosen':<32}{'Sharpe before':>15}{'Sharpe after':>15}{'return after':>15}", file=out)
    for pick, test in zip(picks, tested, strict=True):
        named = " ".join(f"{name}={pick.run.parameters[name]}" for name in grid)
        print(
            f"{named:<32}{number(pick.metrics.sharpe):>15}{number(test.metrics.sharpe):>15}"
            f"{percent(test.metrics.total_return):>15}", file=out,
        )  # fmt: skip
    returns = [one for test in tested for one in test.returns]
    ratio = sharpe(returns, periods) if len(returns) >= LEAST_DAYS else None
    whole = percent(total_return(returns))
    print(f"out of sample: return {whole}, Sharpe {number(ratio)}, {len(returns)} days", file=out)
    target.mkdir(parents=True, exist_ok=True)
    _write(
        target / "walk_forward.json",
        {"chosen": picks, "tested": tested, "return": total_return(returns), "sharpe": ratio, "left_out": left_out},
    )
    print(f"all of it: {target / 'walk_forward.json'}", file=out)
    return 0


def combinations(job: Job, grid: Mapping[str, Sequence[str]]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Give all combinations that the strategy takes, and why others are left out. Raises SettingsError for none."""
    values = [list(dict.fromkeys(value.strip() for value in each if value.strip())) for each in grid.values()]
    count = 1
    for each in values:
        count *= len(each)
    if not 0 < count <= MOST:
        raise SettingsError(f"--sweep: {count} combinations; 1 to {MOST} are possible")
    kind = find_strategy(job.setup.strategy)
    chosen, left_out = [], dict[str, int]()
    for picked in itertools.product(*values):
        parameters = dict(job.setup.parameters) | dict(zip(grid, picked, strict=True))
        try:
            kind(job.setup.instruments, parameters)
        except StrategyError as error:
            reason = str(error).partition(";")[0]
            left_out[reason] = left_out.get(reason, 0) + 1
        else:
            chosen.append(parameters)
    if not chosen:
        raise SettingsError(f"--sweep: the strategy takes none of them: {next(iter(left_out))}")
    return chosen, left_out


def run_all(job: Job, runs: Sequence[Run], jobs: int | None) -> list[Outcome]:
    """Run in processes, as many as cores, with a bar of progress where a person looks on. Raises QuantError."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    count = min(len(runs), jobs or _cores())
    console = Console(file=sys.stderr)
    columns = (TextColumn("backtests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=len(runs))
        outcomes: list[Outcome] = []
        if count <= 1:
            worker = _Worker(job)
            for run in runs:
                outcomes.append(worker.run(run))
                progress.advance(task)
            return outcomes
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, context, _begin, (msgspec.json.encode(job),)) as pool:
            waiting = [pool.submit(_run, msgspec.json.encode(run)) for run in runs]
            try:
                for done in as_completed(waiting):
                    outcomes.append(msgspec.json.decode(done.result(), type=Outcome))
                    progress.advance(task)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return outcomes


def ranked(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Give the best first; equals in the order of their parameters, whoever was done first."""
    by_name = sorted(outcomes, key=lambda outcome: str(sorted(outcome.run.parameters.items())))
    return sorted(by_name, key=attrgetter("rank"), reverse=True)


def verdict(outcomes: Sequence[Outcome], periods: int) -> Verdict | None:
    """Judge the best, which stands first; None where too little is known for any Sharpe ratio."""
    ratios = [ratio / periods**0.5 for outcome in outcomes if (ratio := outcome.metrics.sharpe) is not None]
    best = outcomes[0].metrics
    if not ratios or best.sharpe is None or best.skewness is None or best.kurtosis is None:
        return None
    expected = expected_best_sharpe((deviation(ratios) or 0.0) ** 2, len(outcomes))
    sure = deflated_sharpe(ratios[0], expected, best.days, best.skewness, best.kurtosis)
    return Verdict(len(outcomes), expected * periods**0.5, sure)


def warnings(judged: Verdict | None) -> list[str]:
    """Say in words what a verdict means."""
    if judged is None:
        return ["too few days to tell skill from luck"]
    said = (
        f"{judged.trials} combinations were tried: the best of as many without skill is expected to show a Sharpe "
        f"ratio of {judged.expected:.2f}; deflated Sharpe ratio {judged.deflated:.3f}"
    )
    if judged.deflated < SURE:
        said += f" - WARNING: below {SURE}, so the best may well be luck"
    return [said]


class _Worker:
    """Run backtests of one job in one process."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._kept: list[MarketEvent] | None = None
        self._too_many = False
        self._sources = job.open(Remarks())

    def run(self, run: Run) -> Outcome:
        setup = msgspec.structs.replace(self._job.setup, parameters=run.parameters, begin=run.begin)
        result = Simulation(setup).run(self._events(run.until), charts=False)
        currency, metrics = next(iter(result.metrics.items()))
        returns: list[float] = []
        if run.with_returns:
            curve = result.curves[currency]
            _, returns = daily_returns(curve.times, curve.equity, result.offsets[currency])
        return Outcome(run, metrics, returns, result.failures[0].reason if result.failures else "")

    def _events(self, until: int) -> Iterable[MarketEvent]:
        if self._kept is None and not self._too_many:
            kept = list(itertools.islice(self._read(self._job.until), KEPT + 1))
            if not kept:
                raise nothing_found(self._sources, self._job.wanted)
            self._too_many = len(kept) > KEPT
            self._kept = None if self._too_many else kept
        if self._kept is None:
            return self._read(until)
        return itertools.islice(self._kept, bisect_left(self._kept, until, key=attrgetter("time")))

    def _read(self, until: int) -> Iterator[MarketEvent]:
        return msgspec.structs.replace(self._job, until=until).events(self._sources)


def _cores() -> int:
    """Give how many cores this process may use: in a container fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_worker: _Worker | None = None


def _begin(job: bytes) -> None:
    global _worker
    _worker = _Worker(msgspec.json.decode(job, type=Job))


def _run(run: bytes) -> bytes:
    assert _worker is not None
    return msgspec.json.encode(_worker.run(msgspec.json.decode(run, type=Run)))


def _span(job: Job) -> tuple[int, int]:
    """Give the times of the first and the last event."""
    sources = job.open(Remarks())
    first = last = None
    for event in job.events(sources):
        first = event.time if first is None else first
        last = event.time
    if first is None or last is None:
        raise nothing_found(sources, job.wanted)
    return first, last


def _periods(job: Job) -> int:
    return next(iter(Simulation(job.setup).periods.values()))


def _print(
    outcomes: Sequence[Outcome], grid: Mapping[str, Sequence[str]], left_out: Mapping[str, int], out: TextIO
) -> None:
    print(
        "".join(f"{name:>12}" for name in grid)
        + f"{'Sharpe':>10}{'return':>12}{'drawdown':>12}{'trades':>9}", file=out,
    )  # fmt: skip
    for outcome in outcomes[:20]:
        m = outcome.metrics
        print(
            "".join(f"{outcome.run.parameters[name]:>12}" for name in grid)
            + f"{number(m.sharpe):>10}{percent(m.total_return):>12}{percent(m.max_drawdown):>12}{m.trades:>9,}"
            + (f"  stopped: {outcome.failed[:60]}" if outcome.failed else ""), file=out,
        )  # fmt: skip
    if len(outcomes) > 20:
        print(f"  ... and {len(outcomes) - 20} more", file=out)
    for reason, count in left_out.items():
        print(f"  left out: {count} x {reason}", file=out)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content)))
    except OSError as error:
        raise NotWritable.of(path, error) from error
