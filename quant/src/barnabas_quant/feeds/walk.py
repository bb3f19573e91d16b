"""The simulated market's long memory: what each minute of an instrument begins with.

A minute opens at a price, with a trade id and an update id that follow from the minutes before it alone. So any
minute can be made again without making those before it, and a feed goes on after a crash where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

UPDATES_A_MINUTE = 100_000
"""Update ids set aside for a minute; its last depth event skips those not used."""

RandomFor = Callable[[str], Random]
"""Make the source of randomness for what the text names: the same text, the same numbers."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """Describe an instrument of the simulated exchange; prices in ticks, quantities in lots, both of 10^-8 units."""

    symbol: str
    price: int
    """Price that the walk starts from and is drawn back to, in ticks."""
    tick: int
    """Smallest step of the price, in units of 10^-8."""
    lot: int
    """Smallest step of a quantity, in units of 10^-8."""
    volatility: float = 0.0006
    """Standard deviation of a minute's relative change of price."""
    trades: int = 240
    """Mean trades a minute."""
    size: int = 2_000
    """Mean quantity of a level, in lots."""


BITCOIN_AND_OTHERS: tuple[Instrument, ...] = (
    Instrument("BTCUSDT", price=6_180_000, tick=1_000_000, lot=1_000, volatility=0.0005, trades=480, size=60_000),
    Instrument("ETHUSDT", price=262_000, tick=1_000_000, lot=10_000, volatility=0.0007, trades=360, size=50_000),
    Instrument("BNBUSDT", price=5_120, tick=10_000_000, lot=100_000, volatility=0.0008, trades=180, size=9_000),
    Instrument("SOLUSDT", price=15_400, tick=1_000_000, lot=100_000, volatility=0.0009, trades=240, size=80_000),
    Instrument("XRPUSDT", price=5_700, tick=10_000, lot=10_000_000, volatility=0.0009, trades=180, size=40_000),
)
"""The instruments simulated unless others are named."""


@dataclass(frozen=True, slots=True)
class Minute:
    """Tell what a minute of an instrument begins with, and where it has to end."""

    number: int
    opening: int
    """Price at its start, in ticks."""
    closing: int
    """Price at its end and at the next one's start, in ticks."""
    first_trade_id: int
    trades: int
    first_update_id: int
    """Id of the book that it starts from; the next minute's is UPDATES_A_MINUTE higher."""


def minutes(instrument: Instrument, seed: str, random: RandomFor, start: int = 0) -> Iterator[Minute]:
    """Give the minutes of an instrument from number `start` on, without end.

    The price is a random walk in its logarithm, drawn back by a thousandth a minute, so that it wanders for days and
    neither vanishes nor explodes. Takes time proportional to `start`: a year back and forth is half a second.
    """
    yield from islice(_walk(instrument, random(f"{seed} {instrument.symbol} walk")), start, None)


def _walk(instrument: Instrument, rng: Random) -> Iterator[Minute]:
    # Other seeds are other markets: their ids lie apart, so that records of two never share an identity. The bound
    # keeps ids below 2^53, exact in every JSON reader, for a thousand years of minutes.
    first_id = rng.randrange(1_000, 8_000) * 10**12
    trade_id, offset = first_id, 0.0
    opening = instrument.price
    number = 0
    while True:
        offset = offset * 0.999 + rng.gauss(0.0, instrument.volatility)
        closing = max(100, round(instrument.price * math.exp(offset)))
        trades = rng.randint(instrument.trades * 3 // 4, instrument.trades * 5 // 4)
        yield Minute(number, opening, closing, trade_id, trades, first_id + number * UPDATES_A_MINUTE)
        opening = closing
        trade_id += trades
        number += 1
