"""Reports: whatever others wrote is escaped, nothing is fetched, amounts are exact, pictures are sound."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from barnabas_quant.backtest.charts import Line, line_chart, thinned
from barnabas_quant.backtest.page import money, page
from barnabas_quant.backtest.report import write_report
from barnabas_quant.backtest.results import Result
from barnabas_quant.backtest.trades import signed_units
from barnabas_quant.errors import QuantError
from barnabas_quant.strategies.host import Failure

from .common import events_of, opened, write_bars
from .test_simulation import RANDOM, run

KEY = "binance:BTCUSDT"


@pytest.fixture
def result(tmp_path: Path) -> Result:
    strategy = tmp_path / "dice.py"
    strategy.write_text(RANDOM)
    return run(str(strategy), events_of(opened(write_bars(tmp_path / "b.csv", 120), KEY), KEY), KEY)[1]


def test_a_report_holds_what_happened(tmp_path: Path, result: Result) -> None:
    target = write_report(result, tmp_path / "out" / "deep", ["a note"])
    folder = target.parent
    assert {path.name for path in folder.iterdir()} == {
        "report.html", "report.json", "trades.csv", "fills.csv", "equity.csv",
    }  # fmt: skip
    held = json.loads((folder / "report.json").read_bytes())
    metrics = held["metrics"]["USDT"]
    with (folder / "trades.csv").open() as file:
        trades = list(csv.DictReader(file))
    assert len(trades) == metrics["trades"] == len(result.book.trades)
    assert sum(signed_units(row["profit"]) for row in trades) == sum(trade.profit for trade in result.book.trades)
    with (folder / "fills.csv").open() as file:
        fills = list(csv.DictReader(file))
    assert sum(signed_units(row["fee"]) for row in fills) == signed_units(metrics["fees"]) > 0
    with (folder / "equity.csv").open() as file:
        equity = list(csv.DictReader(file))
    assert equity[-1]["equity"] == metrics["last"] and equity[0]["equity"] == metrics["first"] == "1000000"
    assert held["notes"] == ["a note"] and held["signals"] == result.signals
    assert (folder / "report.html").read_text() == page(result, ["a note"])


def test_a_page_needs_no_network_and_its_pictures_are_sound(result: Result) -> None:
    text = page(result)
    assert "default-src 'none'" in text and "prefers-color-scheme:dark" in text
    assert not re.search(r"https?://|src=|<script|<link|@import|url\(", text)
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(pictures) == 5  # equity, drawdown, exposure, rolling Sharpe, prices
    for picture in pictures:
        for number in re.findall(r'points="([^"]*)"', picture):
            assert all(0 <= float(part) <= 1000 for point in number.split() for part in point.split(","))
        ElementTree.fromstring(picture)
    assert text.count('class="buy"') + text.count('class="sell"') == len(result.fills)
    assert "Returns by month" in text and "<td>2023</td>" in text


def test_whatever_others_wrote_is_escaped(result: Result) -> None:
    evil = '<script>alert("x")</script>&\'"'
    failure = Failure(strategy=evil, time=0, reason=evil, traceback=evil)
    setup = msgspec.structs.replace(result.setup, instruments=(KEY,))
    book = result.book
    for trade in book.trades:
        trade.instrument, trade.currency = evil, evil
    bad = msgspec.structs.replace(
        result, name=evil, parameters={evil: evil}, failures=[failure], setup=setup,
        reasons=type(result.reasons)({evil: 3}), orders=type(result.orders)({evil: 3}),
    )  # fmt: skip
    text = page(bad, [evil])
    assert "<script" not in text and 'alert("x")' not in text
    assert text.count("&lt;script&gt;") >= 8


def test_a_page_of_nothing(result: Result) -> None:
    result.candles[KEY].kept.clear()
    result.book.trades.clear()
    result.fills.clear()
    assert "no prices" in page(result) and "none was closed" in page(result)


def test_a_folder_that_cannot_be_written(tmp_path: Path, result: Result) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QuantError, match="cannot write"):
        write_report(result, tmp_path / "file" / "x")


def test_thinned_curves_keep_their_extremes() -> None:
    values = [float(n % 97) for n in range(50_000)]
    values[12_345], values[23_456] = -500.0, 900.0
    times, kept = thinned(range(50_000), values)
    assert len(kept) <= 1100 and min(kept) == -500.0 and max(kept) == 900.0
    assert times == sorted(times) and (times[0], times[-1]) == (0, 49_999)


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [None, 1.0, None], [None], [], [1e12, 1e12 + 1], [-1e-9, 1e-9]])
def test_charts_of_odd_curves(values: list[float | None]) -> None:
    drawn = line_chart(list(range(len(values))), [Line(values, "equity")], str, 0)
    if any(value is not None for value in values):
        ElementTree.fromstring(drawn)
    else:
        assert "nothing to draw" in drawn


def test_money_is_rounded_half_up_and_signed() -> None:
    assert [money(amount) for amount in (0, 500_000, 499_999, -500_000, -400_000, 123_456_789_012_345)] == [
        "0.00", "0.01", "0.00", "-0.01", "0.00", "1,234,567.89",
    ]  # fmt: skip
