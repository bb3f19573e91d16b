"""Two curves of equity at the same times, read from the files of two backtests."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from barnabas_quant.gateway.backtests import Curves

_Metrics = Mapping[str, dict[str, Any]]


def compared(a: tuple[Path, _Metrics], b: tuple[Path, _Metrics], points: int) -> list[Curves]:
    """Give figures and curves of each currency; `a` and `b` are an equity.csv each, and the figures by currency."""
    found = []
    for currency in dict.fromkeys((*a[1], *b[1])):
        ours, theirs = a[1].get(currency), b[1].get(currency)
        known = [each for each in (ours, theirs) if each is not None]
        times = grid(min(each["begin"] for each in known), max(each["end"] for each in known), points)
        found.append(
            Curves(
                currency=currency, a=ours, b=theirs, times=times, equity_a=sampled(a[0], currency, times),
                equity_b=sampled(b[0], currency, times),
            )
        )  # fmt: skip
    return found


def grid(begin: int, end: int, points: int) -> list[int]:
    """Give times from begin to end, both among them, equally far from each other; one where they are the same."""
    if end <= begin:
        return [begin]
    return list(dict.fromkeys(begin + (end - begin) * number // (points - 1) for number in range(points)))


def sampled(path: Path, currency: str, times: Sequence[int]) -> list[str | None]:
    """Give what a curve was worth at each time: the last equity at it or before.

    None before it begins and after it ends. `path` is an equity.csv, the rows of a currency in the order of time, as
    are `times`.
    """
    found: list[str | None] = []
    last: str | None = None
    at = 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["currency"] != currency:
                continue
            at = int(row["time"])
            while len(found) < len(times) and times[len(found)] < at:
                found.append(last)
            last = row["equity"]
    while len(found) < len(times):
        found.append(last if times[len(found)] <= at else None)
    return found
