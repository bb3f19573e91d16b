"""The options of `barnabas-quant backtest`, apart from what it does: every command line reads these."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_backtest_options(command: argparse.ArgumentParser) -> None:
    """Declare the options of the command, beside those of the settings."""
    command.add_argument("strategy", metavar="STRATEGY", help="its name, or a file ending in .py that holds it")
    command.add_argument("--symbols", required=True, metavar="A,B", help="SYMBOL or EXCHANGE:SYMBOL, between commas")
    command.add_argument("--from", dest="since", metavar="DATE", help="2024-01-31, or with a time: 2024-01-31T09:30")
    command.add_argument("--to", dest="until", metavar="DATE", help="a date counts to its end")
    command.add_argument(
        "--param", action="append", nargs="+", default=[], metavar="NAME=VALUE", help="of the strategy"
    )
    command.add_argument(
        "--cash", action="append", default=[], metavar="CUR=AMOUNT", help="default: that of the settings"
    )
    command.add_argument(
        "--source", nargs="+", default=["clickhouse"], metavar="SOURCE",
        help="clickhouse (default), kafka (what the topics still have), or files: A-shares, captures, CSV of bars "
        "(SYMBOL=FILE: whose they are)",
    )  # fmt: skip
    command.add_argument("--interval", help="of the bars that it hears, such as 1m or 1d")
    command.add_argument(
        "--fill-by", metavar="KINDS", default="",
        help="what the venue sees besides what the strategy hears: quotes, trades, bars, books, between commas",
    )  # fmt: skip
    command.add_argument("--warm-up", metavar="N", help="bars (default: what it needs), or 30d, heard before --from")
    command.add_argument("--order-type", choices=("market", "limit"), help="what a signal becomes (default: settings)")
    command.add_argument(
        "--delay-ms", type=float, default=0.0, metavar="N", help="how long a signal travels (default 0)"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="of the report (default backtest-STRATEGY)")
    command.add_argument(
        "--sweep", action="append", default=[], metavar="NAME=A,B,...", help="try all of these values, on all cores"
    )
    command.add_argument(
        "--walk-forward", type=int, metavar="N", help="sweep on the past, test on what follows, N times"
    )
    command.add_argument(
        "--progress", type=Path, metavar="FILE", help="keep there how far it has come, as JSON (not of a sweep)"
    )
    command.add_argument("--nice", type=int, default=0, metavar="N", help="leave the processor to others, as nice does")
    command.add_argument(
        "--memory", type=int, metavar="MIB", help="end with an error where it needs more memory (default: no bound)"
    )
    command.add_argument("--jobs", type=int, metavar="N", help="processes of a sweep (default: as many as cores)")
