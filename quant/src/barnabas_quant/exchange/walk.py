"""The simulated market's long memory: what each minute of an instrument begins with.

A minute opens at a price, with a trade id and an update id that follow from the minutes before it alone. So any
minute can be made again without making those before it, and a feed goes on after a crash where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

_OCTAVES = 13  # the longest noise has its turns 2^12 minutes apart, not quite three days

UPDATES_A_MINUTE = 100_000
"""Update ids set aside for a minute; its last depth event skips those not used."""

RandomFor = Callable[[str], Random]
"""Make the source of randomness for what the text names: the same text, the same numbers."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """Describe an instrument of the simulated exchange; prices in ticks, quantities in lots, both of 10^-8 units."""

    symbol: str
    price: int
    """Price that the walk keeps around, in ticks."""
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
    """Give the minutes of an instrument from number `start` on, without end; any minute takes the same time to reach.

    The price wanders like a random walk over minutes to hours, and within some hundredfold of a minute's change around
    its mean over days: the sum of noises, each smooth over twice as many minutes as the one before.
    """
    # Other seeds are other markets: their ids lie apart, so that records of two that are played within two years never
    # share an identity. The bound keeps even futures' ids, seven times as high, below 2^53, exact in every JSON reader.
    first_id = random(f"{seed} {instrument.symbol} walk").randrange(1_000, 8_000) * 10**11
    noises = [_Noise(random, f"{seed} {instrument.symbol} walk {octave}", 2**octave) for octave in range(_OCTAVES)]

    def price(number: int) -> int:
        offset = 0.5 * instrument.volatility * sum(noise.length**0.5 * noise.at(number) for noise in noises)
        return max(100, round(instrument.price * math.exp(offset)))

    def trades_before(number: int) -> int:
        spare = random(f"{seed} {instrument.symbol} trades {number}").randint(0, instrument.trades // 4)
        return number * instrument.trades + spare

    number, opening, traded = start, price(start), trades_before(start)
    while True:
        closing, traded_then = price(number + 1), trades_before(number + 1)
        yield Minute(
            number, opening, closing, first_id + traded, traded_then - traded, first_id + number * UPDATES_A_MINUTE
        )
        number, opening, traded = number + 1, closing, traded_then


class _Noise:
    """Give a smooth random function of the minute: normal values every `length` minutes, straight lines between."""

    def __init__(self, random: RandomFor, name: str, length: int) -> None:
        self.length = length
        self._random = random
        self._name = name
        self._known: dict[int, float] = {}

    def at(self, number: int) -> float:
        """Give its value at a minute."""
        node, past = divmod(number, self.length)
        share = past / self.length
        return self._node(node) * (1 - share) + (self._node(node + 1) * share if past else 0.0)

    def _node(self, node: int) -> float:
        value = self._known.get(node)
        if value is None:
            if len(self._known) > 8:
                self._known.clear()
            value = self._known[node] = self._random(f"{self._name} {node}").gauss(0.0, 1.0)
        return value
