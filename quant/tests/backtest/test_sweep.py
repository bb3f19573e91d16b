"""Sweeps: every combination once, the same whoever runs it, and the warning of luck."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import msgspec
import pytest

from barnabas_quant.backtest.jobs import Job
from barnabas_quant.backtest.results import Setup
from barnabas_quant.backtest.sources import SourceError
from barnabas_quant.backtest.sweep import (
    Run,
    combinations,
    ranked,
    run_all,
    run_sweep,
    run_walk_forward,
    verdict,
    warnings,
)  # fmt: skip
from barnabas_quant.errors import SettingsError
from barnabas_quant.model.money import ONE
from barnabas_quant.trading.engine import EngineSettings

from .common import write_bars

KEY = "binance:BTCUSDT"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    path = write_bars(tmp_path / "BTCUSDT.csv", 300)
    engine = EngineSettings(cash={"USDT": 10**5 * ONE}, order_type="market")
    return Job(
        setup=Setup(strategy="MA_CROSS", instruments=(KEY,), parameters={"volume": "50"}, engine=engine),
        sources=(str(path),), clickhouse=None, kinds=("bars",), since=0, until=2**62, interval=None,
    )  # fmt: skip


def test_combinations_are_those_that_the_strategy_takes(job: Job) -> None:
    chosen, left_out = combinations(job, {"fast": ["2", "5", "5"], "slow": ["5", "9"]})
    assert [(each["fast"], each["slow"]) for each in chosen] == [("2", "5"), ("2", "9"), ("5", "9")]
    assert all(each["volume"] == "50" for each in chosen)
    (reason,) = left_out
    assert "below slow" in reason and left_out[reason] == 1
    for grid in ({"fast": ["50"], "slow": ["5"]}, {"fast": [""]}, {"slow": list(map(str, range(10**5 + 1)))}):
        with pytest.raises(SettingsError):
            combinations(job, grid)


def test_processes_find_what_one_finds(job: Job) -> None:
    chosen, _ = combinations(job, {"fast": ["2", "3", "5"], "slow": ["8", "13"]})
    runs = [Run(each, 0, job.until) for each in chosen]
    alone, together = ranked(run_all(job, runs, 1)), ranked(run_all(job, runs, 2))
    assert len(alone) == 6 and msgspec.json.encode(alone) == msgspec.json.encode(together)
    ratios = [outcome.metrics.sharpe for outcome in alone]
    assert None not in ratios and ratios == sorted(ratios, key=lambda ratio: ratio or 0.0, reverse=True)
    random.shuffle(together)
    assert ranked(together) == alone


def test_a_sweep_writes_all_and_the_report_of_the_best(job: Job, tmp_path: Path) -> None:
    out = io.StringIO()
    assert run_sweep(job, {"fast": ["2", "5", "9"], "slow": ["8", "20"]}, 1, tmp_path / "out", out) == 0
    held = json.loads((tmp_path / "out" / "sweep.json").read_bytes())
    best = json.loads((tmp_path / "out" / "report.json").read_bytes())
    assert len(held["outcomes"]) == 5 and held["verdict"]["trials"] == 5
    assert held["outcomes"][0]["metrics"]["sharpe"] == best["metrics"]["USDT"]["sharpe"]
    assert "left out: 1 x" in out.getvalue() and "deflated Sharpe ratio" in out.getvalue()
    assert any("deflated" in note for note in best["notes"])


def test_luck_is_called_luck(job: Job) -> None:
    chosen, _ = combinations(job, {"fast": ["2", "3", "4", "5"], "slow": ["8", "13", "21", "34"]})
    judged = verdict(ranked(run_all(job, [Run(each, 0, job.until) for each in chosen], 1)), 365)
    assert judged is not None and judged.trials == 16 and 0 <= judged.deflated < 0.95  # a random walk
    assert "WARNING" in warnings(judged)[0]
    sure = msgspec.structs.replace(judged, deflated=0.99)
    assert "WARNING" not in warnings(sure)[0]
    assert "too few days" in warnings(None)[0]


def test_a_walk_forward_never_looks_ahead(job: Job, tmp_path: Path) -> None:
    out = io.StringIO()
    assert run_walk_forward(job, {"fast": ["2", "5"], "slow": ["8", "20"]}, 3, 1, tmp_path / "out", out) == 0
    held = json.loads((tmp_path / "out" / "walk_forward.json").read_bytes())
    assert len(held["chosen"]) == len(held["tested"]) == 3
    edge = 0
    for pick, test in zip(held["chosen"], held["tested"], strict=True):
        assert pick["run"]["until"] == test["run"]["begin"] > edge
        assert pick["metrics"]["end"] < test["run"]["begin"] <= test["metrics"]["begin"]
        assert pick["run"]["parameters"] == test["run"]["parameters"]
        edge = test["run"]["begin"]
    grown = 1.0
    for test in held["tested"]:
        for one in test["returns"]:
            grown *= 1 + one
    assert held["return"] == pytest.approx(grown - 1)


def test_a_sweep_over_nothing_says_what_there_is(job: Job) -> None:
    empty = msgspec.structs.replace(job, since=2**61)
    with pytest.raises(SourceError, match="1d bars: 300"):
        run_all(empty, [Run({}, 0, 2**62)], 1)
