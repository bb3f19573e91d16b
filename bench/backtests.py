"""MA_CROSS on the same bars in this engine and in others: `python -m bench.backtests --help`.

The others (backtesting.py, backtrader, nautilus_trader, vectorbt) come from PyPI into an environment of their own, as
their licences and their sizes ask for. Every engine buys one piece at the open after the fast average has crossed the
slow one from below, and sells it at the open after it has crossed back. Rounds go through the engines in turn; what is
timed is the run alone, not reading the file. The fills of the event-driven Python engines have to be the same as ours,
one by one: `--check` fails where they are not.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from bench.machine import Watch, describe

BEGIN, END = "<!-- backtests:begin -->", "<!-- backtests:end -->"
HERE = Path(__file__).parent / "engines"
ENVIRONMENT = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "barnabas-engines"
PACKAGES = {
    "backtesting.py": ("backtesting_py.py", ["backtesting==0.6.6"]),
    "backtrader": ("backtrader_.py", ["backtrader==1.9.78.123"]),
    "nautilus_trader": ("nautilus.py", ["nautilus_trader==1.221.0"]),
    "vectorbt": ("vectorbt_.py", ["vectorbt==1.0.0", "plotly<6"]),
}
SAME = ("backtesting.py", "backtrader")  # fill at the next open, as we do
FAST, SLOW, FEE = "20", "100", "0.001"


def write_bars(path: Path, count: int) -> None:
    """Write minutes of a random walk, all amounts with two places."""
    dice, price, start = random.Random(7), 6_000_000, datetime.datetime(2024, 1, 1)
    with path.open("w") as file:
        file.write("time,open,high,low,close,volume\n")
        for number in range(count):
            begin = price + dice.randint(-300, 300)
            end = max(1000, begin + dice.randint(-3000, 3000))
            high, low = max(begin, end) + dice.randint(0, 1000), min(begin, end) - dice.randint(0, 1000)
            amounts = ",".join(f"{amount / 100:.2f}" for amount in (begin, high, low, end))
            time = (start + datetime.timedelta(minutes=number)).isoformat()
            file.write(f"{time},{amounts},{dice.randint(100, 10_000)}\n")
            price = end


def environment(names: list[str]) -> Path:
    """Give the Python of the engines' environment, with what is missing installed."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    packages = [package for name in names for package in PACKAGES[name][1]]
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def run(python: Path | str, script: str, bars: Path) -> dict[str, Any]:
    command = [str(python), str(HERE / script), str(bars), FAST, SLOW, FEE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script}: {done.stderr[-1500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def fills_of(result: dict[str, Any]) -> list[tuple[str, float]]:
    return [(str(time)[:19], round(price, 2)) for time, price, _ in result["fills"]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.backtests", description=__doc__)
    parser.add_argument("--bars", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PACKAGES), help="which of the others")
    parser.add_argument("--check", action="store_true", help="compare the fills, measure nothing")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the table into this page")
    chosen = parser.parse_args()
    names = list(SAME) if chosen.check else [name for name in chosen.only.split(",") if name]
    python = environment(names)
    watch = Watch()
    rates: dict[str, list[float]] = {}
    different = 0
    with tempfile.TemporaryDirectory(prefix="barnabas-backtests-") as folder:
        bars = Path(folder) / "bars.csv"
        write_bars(bars, 20_000 if chosen.check else chosen.bars)
        for number in range(1 if chosen.check else chosen.rounds):
            ours = run(sys.executable, "ours.py", bars)
            rates.setdefault("Barnabas", []).append(ours["bars"] / ours["seconds"])
            for name in names:
                other = run(python, PACKAGES[name][0], bars)
                rates.setdefault(name, []).append(other["bars"] / other["seconds"])
                if name in SAME and number == 0:
                    mine, theirs = fills_of(ours), fills_of(other)
                    wrong = sum(a != b for a, b in zip(mine, theirs, strict=False)) + abs(len(mine) - len(theirs))
                    equity = abs(ours["equity"] - other["equity"])
                    different += wrong + (equity > 0.01)
                    print(f"{name}: {len(theirs)} fills, {wrong} differ; equity differs by {equity:.6f}", flush=True)
    if chosen.check:
        return 1 if different else 0
    base = statistics.median(rates["Barnabas"])
    text = "| engine | bars a second | Barnabas / it |\n|---|---|---|\n"
    for name, found in rates.items():
        rate = statistics.median(found)
        text += f"| {name} | {rate:,.0f} ({min(found):,.0f}–{max(found):,.0f}) | {base / rate:.2f}x |\n"
    text += f"\nMedians of {chosen.rounds} rounds of {chosen.bars:,} one-minute bars. "
    text += f"{describe(Path(tempfile.gettempdir()))['processor']}; others kept {watch.other_cores():.1f} cores busy."
    print(text)
    if chosen.markdown:
        page = chosen.markdown.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        chosen.markdown.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
