"""Reports of a backtest: JSON and CSV with exact amounts, and one HTML page (page.py) that needs no network."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from barnabas_quant.backtest.page import page
from barnabas_quant.backtest.results import Result
from barnabas_quant.errors import NotWritable
from barnabas_quant.trading.events import text

FORMAT = 1
"""Of report.json."""

_MONEY = ("first", "last", "profit", "average_profit", "traded", "fees", "taxes", "slippage")


def write_report(result: Result, folder: Path, notes: Sequence[str] = ()) -> Path:
    """Write report.html, report.json, trades.csv, fills.csv and equity.csv; give the page. Raises NotWritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(document(result, notes))))
        _write(
            folder / "trades.csv",
            ("instrument", "side", "quantity", "opened", "closed", "entry_price", "exit_price", "fees", "profit",
             "currency", "order"),
            (
                (one.instrument, one.side, text(one.quantity), one.opened, one.closed, text(one.entry_price),
                 text(one.exit_price), text(one.fees), text(one.profit), one.currency, one.order)
                for one in result.book.trades
            ),
        )  # fmt: skip
        _write(
            folder / "fills.csv",
            ("time", "order", "instrument", "side", "price", "quantity", "fee", "taxes", "currency", "liquidity",
             "slippage"),
            (
                (one.time, one.order, one.instrument, one.side, one.price, one.quantity, one.fee, one.taxes,
                 one.currency, one.liquidity, one.slippage)
                for one in result.fills
            ),
        )  # fmt: skip
        _write(
            folder / "equity.csv",
            ("currency", "time", "equity", "held"),
            (
                (currency, time, text(equity), text(held))
                for currency, curve in result.curves.items()
                for time, equity, held in zip(curve.times, curve.equity, curve.held, strict=True)
            ),
        )
        target = folder / "report.html"
        target.write_text(page(result, notes), encoding="utf-8")
    except OSError as error:
        raise NotWritable.of(folder, error) from error
    return target


def document(result: Result, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Give what report.json holds: money as decimal text, times in microseconds since 1970 UTC."""
    metrics = {}
    for currency, found in result.metrics.items():
        values = msgspec.to_builtins(found)
        metrics[currency] = values | {
            name: None if values[name] is None else text(values[name]) for name in _MONEY
        }  # fmt: skip
    return {
        "format": FORMAT,
        "strategy": result.name,
        "recorded": result.recorded,
        "parameters": result.parameters,
        "instruments": result.setup.instruments,
        "engine": msgspec.to_builtins(result.setup.engine),
        "begin": result.setup.begin,
        "delay": result.setup.delay,
        "events": result.events,
        "signals": result.signals,
        "orders": dict(result.orders),
        "reasons": dict(result.reasons),
        "failures": msgspec.to_builtins(result.failures),
        "notes": list(notes),
        "metrics": metrics,
    }


def _write(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
