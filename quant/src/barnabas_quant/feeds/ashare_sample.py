"""The sample session in the package: nine shares of three markets, invented, the same whenever it is made.

    python -m barnabas_quant.feeds.ashare_sample FILE.csv.gz

Prices walk at random from an opening price in ticks of the exchange, an auction at the beginning and one at the end,
lunch between; nothing in it ever happened.
"""

from __future__ import annotations

import gzip
import heapq
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from barnabas_quant.model.markets import NAMES

SAMPLE = Path(__file__).with_name("ashare_sample.csv.gz")
"""Where the sample stands in the package."""

HEADER = "symbol,name,price,volume,time"
DAY = "2025-10-09"
SEED = 20251009


@dataclass(frozen=True, slots=True)
class Session:
    """Say when a market trades, in seconds since midnight."""

    auction: int
    stretches: tuple[tuple[int, int], ...]
    close: int


MAINLAND = Session(
    auction=9 * 3600 + 25 * 60,
    stretches=((9 * 3600 + 30 * 60, 11 * 3600 + 30 * 60), (13 * 3600, 14 * 3600 + 57 * 60)),
    close=15 * 3600,
)
HONG_KONG = Session(
    auction=9 * 3600 + 20 * 60,
    stretches=((9 * 3600 + 30 * 60, 12 * 3600), (13 * 3600, 16 * 3600)),
    close=16 * 3600 + 8 * 60 + 30,
)


@dataclass(frozen=True, slots=True)
class Share:
    """Describe a share of the sample: prices and ticks in thousandths, lots in shares."""

    symbol: str
    opening: int
    tick: int
    lot: int
    every: float
    """Seconds between two trades, on average."""
    session: Session


SHARES = (
    Share("600000", 11_820, 10, 100, 6.0, MAINLAND),
    Share("600519", 1_442_000, 10, 100, 7.0, MAINLAND),
    Share("601318", 55_310, 10, 100, 6.0, MAINLAND),
    Share("000001", 11_350, 10, 100, 6.0, MAINLAND),
    Share("000858", 121_600, 10, 100, 7.0, MAINLAND),
    Share("300750", 402_000, 10, 100, 7.0, MAINLAND),
    Share("00005", 108_400, 100, 400, 9.0, HONG_KONG),
    Share("00700", 661_500, 500, 100, 7.0, HONG_KONG),
    Share("09988", 176_300, 100, 100, 7.0, HONG_KONG),
)


def lines(seed: int = SEED, day: str = DAY) -> Iterator[str]:
    """Give the session's lines without their ends, the header first, then in the order of time."""
    yield HEADER
    trades = (_trades(share, number, random.Random(seed * 1000 + number)) for number, share in enumerate(SHARES))
    for second, number, price, volume in heapq.merge(*trades):
        share = SHARES[number]
        places = 2 if share.tick % 10 == 0 and share.session is MAINLAND else 3
        clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        text = f"{price // 1000}.{price % 1000:03d}"[: places - 3 or None]
        yield f"{share.symbol},{NAMES[share.symbol]},{text},{volume},{day} {clock}"


def write_sample(path: Path, seed: int = SEED, day: str = DAY) -> int:
    """Write a session, gzipped where the name ends in .gz, and answer how many records it has. Raises OSError."""
    made = list(lines(seed, day))
    data = "".join(f"{line}\n" for line in made).encode()
    path.write_bytes(gzip.compress(data, 9, mtime=0) if path.suffix == ".gz" else data)
    return len(made) - 1


def _trades(share: Share, number: int, chance: random.Random) -> Iterator[tuple[int, int, int, int]]:
    """Give second, number, price, volume of each trade. Only `random()` is asked: its values never change."""
    price = share.opening
    yield share.session.auction, number, price, share.lot * (50 + int(2000 * chance.random()))
    for start, end in share.session.stretches:
        second = float(start)
        while (second := second + share.every * 2 * chance.random()) < end:
            step = int(chance.random() * 5) - 2  # -2 .. 2 ticks
            pull = 1 if price < share.opening * 0.97 else -1 if price > share.opening * 1.03 else 0
            price += (step + pull) * share.tick
            lots = 1 + int(60 * chance.random() ** 4)
            yield int(second), number, price, lots * share.lot
    yield share.session.close, number, price, share.lot * (100 + int(4000 * chance.random()))


if __name__ == "__main__":
    print(f"{write_sample(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE)} records")
