"""What the tests of strategies share: streams that make all five speak, and a desk that fills what they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

from barnabas_quant.model.intervals import MINUTE
from barnabas_quant.model.money import ONE
from barnabas_quant.strategies import Failure, Host, Strategy
from barnabas_quant.strategies.book_imbalance import BookImbalance
from barnabas_quant.strategies.grid import GridStrategy
from barnabas_quant.strategies.ma_cross import MaCross
from barnabas_quant.strategies.macd import MacdCross
from barnabas_quant.strategies.pair import Pair
from barnabas_quant.trading.events import Bar, Depth, Fill, MarketEvent, Print, Signal, text

BTC, ETH = "binance:BTCUSDT", "binance:ETHUSDT"
KEYS = (BTC, ETH)
BEGIN = 1_700_000_040_000_000  # microseconds, the beginning of a minute
CENT = ONE // 100

FIVE: dict[str, tuple[type[Strategy], dict[str, Any]]] = {
    "MA_CROSS": (MaCross, {"fast": 2, "slow": 5, "volume": "0.5"}),
    "MACD": (MacdCross, {"fast": 3, "slow": 6, "signal": 3, "volume": 1}),
    "BOOK_IMBALANCE": (BookImbalance, {"levels": 3, "enter": 30, "exit": -30, "pause": 0}),
    "PAIR": (Pair, {"bars": 10, "enter": 1.2, "exit": 0.3, "short": True}),
    "GRID": (GridStrategy, {"step": 10, "lines": 20}),
}
"""The strategies of the package, with parameters by which they speak often."""


def make(name: str) -> Strategy:
    kind, parameters = FIVE[name]
    return kind(KEYS, parameters)


def market(seed: int, count: int) -> list[MarketEvent]:
    """Make a market of trades, books and minute bars of two instruments."""
    dice = Random(seed)
    events: list[MarketEvent] = []
    price = {BTC: 1000 * 100, ETH: 100 * 100}
    time = BEGIN
    while len(events) < count:
        time += dice.randrange(1, 20_000_000)
        key = dice.choice(KEYS)
        price[key] = max(100, price[key] + round(dice.gauss(0, price[key] / 400)))
        what = dice.random()
        if what < 0.4:
            events.append(Print(key, time, price[key] * CENT, dice.randrange(1, 9) * ONE, dice.random() < 0.5))
        elif what < 0.7:
            events.append(depth(dice, key, time, price[key]))
        else:
            time = time // MINUTE * MINUTE + MINUTE
            for each in KEYS:
                close = price[each] * CENT
                events.append(Bar(each, time, time - MINUTE, "1m", close, close, close, close, ONE))
    return events[:count]


def depth(dice: Random, key: str, time: int, middle: int) -> Depth:
    def side(sign: int) -> tuple[tuple[int, int], ...]:
        return tuple(((middle + sign * n) * CENT, dice.randrange(0 if n > 1 else 1, 9) * ONE) for n in range(1, 6))

    return Depth(key, time, True, side(-1), side(1))


def filled(signal: Signal, number: int, price: int | None = None) -> Fill:
    """Make the fill of a whole signal at its own price."""
    return Fill(
        seq=number, time=signal.time, fill=f"o{number}-0", order=f"o{number}", instrument=signal.instrument,
        side=signal.side, price=text(price or signal.price), quantity=text(signal.quantity), fee="0", taxes="0",
        currency="USDT", liquidity="taker", slippage="0", strategy=signal.strategy,
    )  # fmt: skip


Said = tuple[int, Signal | Failure]


class Desk:
    """Fill each signal at once, but every third: that is never filled. What is said stands with the event's number."""

    def __init__(self, *strategies: Strategy) -> None:
        self.host = Host(strategies)
        self.said: list[Said] = [(-1, one) for one in self.host.start()]
        self._orders = 0

    def hear(self, number: int, event: MarketEvent) -> None:
        waiting = list(self.host.process(event))
        while waiting:
            one = waiting.pop(0)
            self.said.append((number, one))
            if isinstance(one, Signal):
                self._orders += 1
                if self._orders % 3:
                    waiting += self.host.process(filled(one, self._orders))

    def run(self, events: Iterable[MarketEvent], first: int = 0) -> list[Said]:
        for number, event in enumerate(events, first):
            self.hear(number, event)
        return self.said


def bars(closes: Sequence[int], key: str = BTC, interval: str = "1m", length: int = MINUTE) -> Iterator[Bar]:
    """Make bars of closing prices, in units."""
    for number, close in enumerate(closes):
        time = BEGIN + (number + 1) * length
        yield Bar(key, time, time - length, interval, close, close, close, close, ONE)


def signals(said: Iterable[Any]) -> list[Signal]:
    return [one for one in said if isinstance(one, Signal)]
