"""The command from its options to a report, on files; and how long ten years of all shares take."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from barnabas_quant.cli import main

from .common import ASHARE, write_bars
from .test_simulation import RANDOM


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_bars(tmp_path / "BTCUSDT.csv", 250)
    return tmp_path


def backtest(*arguments: str) -> int:
    return main(["backtest", *arguments])


BARS = ("--symbols", "BTCUSDT", "--source", "BTCUSDT.csv")


def test_a_strategy_of_the_package(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = backtest(
        "MA_CROSS", *BARS, "--param", "fast=3", "slow=8", "--param", "volume=7", "--cash", "USDT=5000.5",
        "--order-type", "market", "--out", "there",
    )  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    held = json.loads((folder / "there" / "report.json").read_bytes())
    assert held["parameters"]["fast"] == 3 and float(held["parameters"]["volume"]) == 7
    assert held["metrics"]["USDT"]["first"] == "5000.5" and held["events"] == 250
    assert held["metrics"]["USDT"]["trades"] > 3
    assert "MA_CROSS on binance:BTCUSDT: 250 events" in said.out and "report: there/report.html" in said.out


def test_a_file_of_ones_own_between_two_days(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "dice.py").write_text(RANDOM)
    assert backtest("dice.py", *BARS, "--from", "2023-03-01", "--to", "2023-03-31", "--warm-up", "10") == 0
    held = json.loads((folder / "backtest-DICE" / "report.json").read_bytes())
    # Bars count by their ends: those of 2023-02-28 to 03-30 end in March, UTC; that of 03-31 after it.
    assert held["events"] == 10 + 31 and held["signals"] == 31
    assert backtest("dice.py", *BARS, "--from", "2023-03-01", "--to", "2023-03-31", "--warm-up", "10d") == 0
    assert json.loads((folder / "backtest-DICE" / "report.json").read_bytes())["events"] == 10 + 31


def test_what_a_strategy_needs_is_its_warm_up(folder: Path) -> None:
    assert backtest("MA_CROSS", *BARS, "--param", "fast=3", "slow=8", "--from", "2023-03-01") == 0
    held = json.loads((folder / "backtest-MA_CROSS" / "report.json").read_bytes())
    assert held["events"] > 250 - 31 - 28 + 1


GREEDY = """
from barnabas_quant.strategies import Strategy

class Greedy(Strategy):
    name = "GREEDY"

    def on_start(self):
        self.kept = []

    def on_bar(self, bar):
        self.kept.append(bytearray(16 * 2**20))
"""


def test_memory_is_bounded(folder: Path) -> None:
    def bounded(strategy: str, mib: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "barnabas_quant", "backtest", strategy, *BARS, "--memory", str(mib)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    (folder / "greedy.py").write_text(GREEDY)
    greedy = bounded("greedy.py", 300)  # of the 4 GB that it wants
    assert greedy.returncode == 1 and "GREEDY was stopped: MemoryError" in greedy.stdout
    assert bounded("MA_CROSS", 300).returncode == 0
    write_bars(folder / "BTCUSDT.csv", 20_000)  # more than what the heap has left over from the imports
    nothing = bounded("MA_CROSS", 1)
    assert nothing.returncode == 1
    assert "barnabas-quant: it needs more memory than the 1 MiB that it may use" in nothing.stderr


def test_why_orders_came_to_nothing_is_told_with_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest("MA_CROSS", *BARS, "--param", "fast=3", "slow=8", "volume=1000000", "--cash", "USDT=5000") == 0
    assert re.search(r"^  \d+ x came to nothing: balance: \d+(\.\d+)? USDT needed, 5000 free \(the first\)$",
                     capsys.readouterr().out, re.MULTILINE)  # fmt: skip
    assert "USDT needed, 5000 free (the first)" in (folder / "backtest-MA_CROSS" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("NOBODY", *BARS), "no strategy NOBODY"),
        (("MA_CROSS", *BARS, "--param", "fast=x"), "fast"),
        (("MA_CROSS", *BARS, "--param", "fast"), "NAME=VALUE is wanted"),
        (("MA_CROSS", *BARS, "--cash", "USDT=-5"), "--cash"),
        (("MA_CROSS", *BARS, "--from", "yesterday"), "--from: not a date"),
        (("MA_CROSS", *BARS, "--from", "2023-03-01", "--to", "2023-02-01"), "is not before"),
        (("MA_CROSS", *BARS, "--from", "2030-01-01"), "there are:\n  BTCUSDT.csv: binance:BTCUSDT 1d bars: 250"),
        (("MA_CROSS", *BARS, "--interval", "hour"), "not an interval"),
        (("MA_CROSS", *BARS, "--interval", "1h"), "its bars are 1d, not 1h"),
        (("MA_CROSS", *BARS, "--interval", "4h", "--from", "2030-01-01"), "its bars are 1d, not 4h"),
        (("MA_CROSS", *BARS, "--warm-up", "5"), "--from, which is missing"),
        (("MA_CROSS", *BARS, "--fill-by", "rumours"), "--fill-by: rumours"),
        (("MA_CROSS", *BARS, "--walk-forward", "2"), "--sweep"),
        (("MA_CROSS", "--symbols", "BTCUSDT", "--source", "none.csv"), "cannot read none.csv"),
        (("MA_CROSS", "--symbols", ",", "--source", "BTCUSDT.csv"), "none is named"),
        (("MA_CROSS", "--symbols", "BTCUSDT", "--data", "empty"), "no ClickHouse: give --clickhouse"),
        (("MA_CROSS", "--symbols", "600000", "--source", "BTCUSDT.csv"), ""),
    ],
)
def test_errors_say_what_is_wrong(
    folder: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not said:  # a file without a symbol is that of the only one there is
        assert backtest(*arguments) == 0
        return
    assert backtest(*arguments) in (1, 2)
    assert said in capsys.readouterr().err
    assert not list(folder.glob("backtest-*"))


def test_two_currencies_are_two_accounts(folder: Path) -> None:
    write_bars(folder / "600000.csv", 250, 2)
    code = backtest(
        "MA_CROSS", "--symbols", "BTCUSDT,600000", "--source", "BTCUSDT.csv", "600000.csv", "--order-type", "market",
        "--cash", "USDT=1000000", "--cash", "CNY=2000000",
    )  # fmt: skip
    assert code == 0
    metrics = json.loads((folder / "backtest-MA_CROSS" / "report.json").read_bytes())["metrics"]
    assert {name: found["first"] for name, found in metrics.items()} == {"USDT": "1000000", "CNY": "2000000"}
    assert all(found["trades"] > 0 for found in metrics.values())
    assert metrics["CNY"]["taxes"] != "0" == metrics["USDT"]["taxes"]
    page = (folder / "backtest-MA_CROSS" / "report.html").read_text()
    assert "Equity, USDT" in page and "Equity, CNY" in page


def test_a_strategy_that_was_stopped_is_code_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.py").write_text(RANDOM.replace("self.count += 1", "raise RuntimeError('no <b>luck</b>')"))
    assert backtest("bad.py", *BARS) == 1
    assert "DICE was stopped: RuntimeError: no <b>luck</b>" in capsys.readouterr().out
    assert "no &lt;b&gt;luck" in (folder / "backtest-DICE" / "report.html").read_text()


def test_ten_years_of_three_shares(folder: Path) -> None:
    files = [ASHARE / name for name in ("000001.SZ.csv", "600000.SH.csv", "600519.SH.csv")]
    if not all(path.exists() for path in files):
        pytest.skip("no recorded data in ../shared/data/ashare")
    subprocess.run(
        [sys.executable, "-m", "barnabas_quant", "backtest", "MA_CROSS", "--symbols", "000001,600000,600519",
         "--source", *map(str, files), "--order-type", "market"],
        check=True, stdout=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    held = json.loads((folder / "backtest-MA_CROSS" / "report.json").read_bytes())
    assert held["events"] == 7668 and held["metrics"]["CNY"]["trades"] > 200
