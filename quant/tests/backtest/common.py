"""Generated histories that the tests of backtests share."""

from __future__ import annotations

from pathlib import Path
from random import Random

from barnabas_quant.backtest.sources import Remarks, Source, Wanted, read
from barnabas_quant.trading.events import Bar, Depth, MarketEvent, Print, Quote

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
ASHARE = SHARED / "ashare"

ALL = frozenset((Quote, Print, Bar, Depth))


def write_bars(path: Path, days: int = 200, seed: int = 1, header: str = "time,open,high,low,close,volume") -> Path:
    """Write daily bars of a random walk, weekends too, from 2023-01-01 on."""
    from datetime import date, timedelta

    random, price = Random(seed), 2000
    lines = [header]
    for number in range(days):
        first, close = price, max(100, price + random.randint(-60, 62))
        high, low = max(first, close) + random.randint(0, 20), min(first, close) - random.randint(0, 20)
        day = date(2023, 1, 1) + timedelta(number)
        texts = [f"{amount // 100}.{amount % 100:02d}" for amount in (first, high, low, close)]
        lines.append(f"{day},{','.join(texts)},{random.randint(10_000, 90_000)}")
        price = close
    path.write_text("\n".join(lines) + "\n")
    return path


def events_of(
    source: Source, *instruments: str, kinds: frozenset[type] = frozenset((Bar,)), warm_up: int = 0, **more: object
) -> list[MarketEvent]:
    """Read a source to its end."""
    wanted = Wanted(instruments=instruments, kinds=kinds, **more)  # type: ignore[arg-type]
    return list(read([source], wanted, warm_up))


def opened(path: Path, *symbols: str, remarks: Remarks | None = None, interval: str | None = None) -> Source:
    """Open a file as the command does."""
    from barnabas_quant.backtest.files import open_file

    return open_file(str(path), symbols, remarks or Remarks(), interval)
