"""A simulated exchange that speaks Binance's frames: no I/O, no clock; randomness is handed in.

Time goes in minutes. Everything about a minute (frames, prices, ids) follows from the seed, the instrument and the
minute's number; the wall clock only says when it starts. Over minutes all goes on without a break: update ids (each
depth event begins at the one after its predecessor's last), trade ids, the book, the price. So a place in the stream is
(minute, start of the minute, frame within it), and a feed that knows it makes the rest again, frame for frame.

Within a minute, every 100 ms a fair price moves, quotes it has crossed are pulled, others come in, sizes change, and
trades take from the best level. Each change has an update id; one that changes a best level or its size sends a
bookTicker frame with that id; a depth frame sums up each 100 ms. A bar is sent every second in which its instrument
traded, and once more, closed. Each minute begins with the depth snapshot that the REST interface would answer.

Of a minute that nobody played there is a bar all the same (`sketch`): where the price began and ended and how often it
was traded are what a play would have; how high, how low and how much are drawn: playing takes a thousand times as long.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import merge
from operator import itemgetter
from random import Random

import msgspec

from barnabas_quant.exchange import klines
from barnabas_quant.exchange.bar import Bar, combined
from barnabas_quant.exchange.settings import BINANCE
from barnabas_quant.exchange.walk import (
    BITCOIN_AND_OTHERS,
    UPDATES_A_MINUTE,
    Instrument,
    Minute,
    RandomFor,
    minutes,
)
from barnabas_quant.model import Frame, decimal_text

MINUTE = 60_000
"""Milliseconds of a minute."""

STEP = 100
"""Milliseconds between two depth events."""

VERSION = 2
"""Part of every simulation's identity: raise it with any change of what a seed generates."""

_DEPTH = 20  # levels a side that are kept filled
_FURTHEST = 30  # levels a side beyond which the worst is withdrawn

_SHARE = 0.2125  # of a level that a trade takes: one in ten all of it, the others an eighth on average

_Timed = tuple[int, bytes, str | None]
_Side = dict[int, int]  # price in ticks -> quantity in lots
_BIDS, _ASKS = 0, 1


class Simulator:
    """Make the frames of a simulated market; the same seed and instruments always make the same ones."""

    exchange = BINANCE

    def __init__(
        self,
        seed: int = 1,
        instruments: Sequence[Instrument] = BITCOIN_AND_OTHERS,
        random: RandomFor = Random,
    ) -> None:
        shape = repr((VERSION, seed, tuple(instruments))).encode()
        self.identity = f"simulator-{blake2b(shape, digest_size=8).hexdigest()}"
        self._seed = seed
        self._instruments = tuple(instruments)
        self._random = random
        self._walks: dict[str, tuple[int, Iterator[Minute]]] = {}
        self._sketched: dict[str, tuple[int, Iterator[Minute]]] = {}

    def minute(self, number: int, start: int) -> Iterator[Frame]:
        """Give the frames of one minute that starts at `start`, milliseconds since 1970, ordered by time."""
        streams = [self._play(instrument, number, start) for instrument in self._instruments]
        for index, (time, text, symbol) in enumerate(merge(*streams, key=itemgetter(0))):
            yield Frame((number, start, index), time * 1_000_000, text, symbol)

    def _play(self, instrument: Instrument, number: int, start: int) -> Iterator[_Timed]:
        minute = self._begin(instrument, number, self._walks)
        market = _Market(
            instrument,
            minute,
            self._random(f"{self._seed} {instrument.symbol} {number}"),
            self._book(instrument, number, minute.opening),
        )
        return market.play(start, self._book(instrument, number + 1, minute.closing))

    def sketch(self, instrument: Instrument, number: int) -> klines.Bar:
        """Give the bar of one minute without playing it; a sketch of the next minute begins where this one ends.

        The extremes are those of a random walk between both ends, each drawn for itself. Half of what is traded, more
        or less, is bought.
        """
        minute = self._begin(instrument, number, self._sketched)
        rng = self._random(f"{self._seed} {instrument.symbol} {number} sketch")
        opening, closing, deviation = minute.opening, minute.closing, instrument.price * instrument.volatility
        above, below = (
            math.hypot(closing - opening, deviation * math.sqrt(-2.0 * math.log(1.0 - rng.random()))) for _ in range(2)
        )
        high = max(opening, closing, round((opening + closing + above) / 2))
        low = min(opening, closing, max(1, round((opening + closing - below) / 2)))
        lots = max(minute.trades, round(minute.trades * instrument.size * _SHARE * rng.uniform(0.6, 1.4)))
        bought = round(lots * rng.uniform(0.3, 0.7))
        quantity, taken = lots * instrument.lot, bought * instrument.lot
        middle = (opening + closing) // 2 * instrument.tick
        return klines.Bar(
            open=opening * instrument.tick, high=high * instrument.tick, low=low * instrument.tick,
            close=closing * instrument.tick, first=minute.first_trade_id,
            last=minute.first_trade_id + minute.trades - 1, trades=minute.trades, volume=quantity,
            turnover=middle * quantity, taker_volume=taken, taker_turnover=middle * taken,
        )  # fmt: skip

    def _begin(
        self, instrument: Instrument, number: int, walks: dict[str, tuple[int, Iterator[Minute]]]
    ) -> Minute:
        """Give what a minute begins with; quickly where `walks`, of each symbol, has got as far as that."""
        at, walk = walks.get(instrument.symbol, (-1, iter(())))
        if at != number:
            walk = minutes(instrument, str(self._seed), self._random, number)
        walks[instrument.symbol] = (number + 1, walk)
        return next(walk)

    def _book(self, instrument: Instrument, number: int, fair: int) -> tuple[_Side, _Side]:
        """Make the book that a minute starts from."""
        rng = self._random(f"{self._seed} {instrument.symbol} {number} book")
        book: tuple[_Side, _Side] = ({}, {})
        for side in (_BIDS, _ASKS):
            _fill(book[side], side, fair, instrument, rng)
        return book


class _Market:
    """Play one minute of one instrument."""

    def __init__(self, instrument: Instrument, minute: Minute, rng: Random, book: tuple[_Side, _Side]) -> None:
        self._instrument = instrument
        self._minute = minute
        self._rng = rng
        self._book = book
        self._update_id = minute.first_update_id
        self._told_id = minute.first_update_id  # the last id that a depth event has told
        self._touched: tuple[set[int], set[int]] = (set(), set())
        self._bar = Bar(instrument, minute.first_trade_id)
        self._out: list[_Timed] = []

    def play(self, start: int, target: tuple[_Side, _Side]) -> Iterator[_Timed]:
        """Give the minute's frames with their times; its book ends as `target`, which the next one starts from."""
        steps = MINUTE // STEP
        fair = self._fair_prices(steps)
        trades = Counter(self._rng.randrange(steps) for _ in range(self._minute.trades))
        self._snapshot(start)
        for step in range(steps):
            time = start + step * STEP
            self._move(fair[step], time)
            acts = [self._trade] * trades[step] + [self._resize] * self._rng.randint(1, 4)
            self._rng.shuffle(acts)
            for act, offset in zip(acts, sorted(self._rng.randrange(STEP - 1) for _ in acts), strict=True):
                act(time + offset)
            end = time + STEP - 1
            last = step == steps - 1
            if last:
                self._become(target, end)
                self._update_id = self._minute.first_update_id + UPDATES_A_MINUTE
            self._depth(end)
            if step % 10 == 9 and (text := self._bar.frame(start, end, closed=last)):
                self._out.append((end, text, None))
            yield from self._out
            self._out.clear()

    def _fair_prices(self, steps: int) -> list[int]:
        """Draw the fair price of each step, in ticks: a random walk from the opening price to the closing one."""
        instrument, minute = self._instrument, self._minute
        deviation = instrument.price * instrument.volatility / steps**0.5
        position, path = 0.0, []
        for _ in range(steps):
            position += self._rng.gauss(0.0, deviation)
            path.append(position)
        drift = (minute.closing - minute.opening - position) / steps
        return [max(50, round(minute.opening + walked + drift * (i + 1))) for i, walked in enumerate(path)]

    def _move(self, fair: int, time: int) -> None:
        """Move the fair price: quotes that it crossed are pulled, others come in beside it."""
        bids = {price: lots for price, lots in self._book[_BIDS].items() if price < fair}
        asks = {price: lots for price, lots in self._book[_ASKS].items() if price > fair}
        for side, prices in ((_BIDS, bids), (_ASKS, asks)):
            _fill(prices, side, fair, self._instrument, self._rng)
            for price in sorted(prices, reverse=side == _BIDS)[_FURTHEST:]:
                del prices[price]
        self._become((bids, asks), time)

    def _become(self, target: tuple[_Side, _Side], time: int) -> None:
        """Change the book into another, level by level.

        No side is empty and bids never meet asks on the way: a side gets its new levels before it loses others, and
        the side that the market moves away from goes first, which makes room for the other.
        """
        rising = min(target[_ASKS]) >= self._best(_ASKS)
        changes = []
        for side in (_ASKS, _BIDS) if rising else (_BIDS, _ASKS):
            now = self._book[side]
            changes += [(side, price, lots) for price, lots in target[side].items() if now.get(price) != lots]
            changes += [(side, price, 0) for price in now if price not in target[side]]
        for side, price, lots in changes:
            self._set(side, price, lots, time)

    def _resize(self, time: int) -> None:
        """Change the quantity of a level, more often of one near the best."""
        side = self._rng.randrange(2)
        levels = sorted(self._book[side], reverse=side == _BIDS)
        price = levels[min(len(levels) - 1, int(self._rng.expovariate(0.4)))]
        self._set(side, price, _lots(self._instrument, self._rng), time)

    def _trade(self, time: int) -> None:
        """Take from the best bid (the buyer was there first: he is the maker) or the best ask, rarely all of it."""
        side = self._rng.randrange(2)
        price = self._best(side)
        resting = self._book[side][price]
        whole = self._rng.random() < 0.1 and len(self._book[side]) > 2
        if resting == 1 and not whole:
            resting += 1  # another order has joined the level
        lots = resting if whole else self._rng.randint(1, max(1, (resting - 1) // 4))
        instrument, trade_id = self._instrument, self._bar.next_trade_id
        self._bar.add(price, lots, buyer_is_maker=side == _BIDS)
        self._send(
            time,
            "trade",
            {
                "e": "trade",
                "E": time,
                "s": instrument.symbol,
                "t": trade_id,
                "p": decimal_text(price * instrument.tick),
                "q": decimal_text(lots * instrument.lot),
                "T": time,
                "m": side == _BIDS,
                "M": True,
            },
        )
        self._set(side, price, resting - lots, time)

    def _best(self, side: int) -> int:
        return max(self._book[side]) if side == _BIDS else min(self._book[side])

    def _set(self, side: int, price: int, lots: int, time: int) -> None:
        """Change one level (0 lots: remove it) under an update id of its own, and tell a change of the best."""
        prices = self._book[side]
        best = self._best(side)
        if lots:
            prices[price] = lots
        else:
            del prices[price]
        self._update_id += 1
        self._touched[side].add(price)
        if price == best or self._best(side) != best:
            self._quote(time)

    def _quote(self, time: int) -> None:
        (bid, bid_size), (ask, ask_size) = (self._level(side, self._best(side)) for side in (_BIDS, _ASKS))
        quote = {"u": self._update_id, "s": self._instrument.symbol, "b": bid, "B": bid_size, "a": ask, "A": ask_size}
        self._send(time, "bookTicker", quote)

    def _depth(self, time: int) -> None:
        if self._update_id == self._told_id:
            return
        levels = [
            [self._level(side, price) for price in sorted(self._touched[side], reverse=side == _BIDS)]
            for side in (_BIDS, _ASKS)
        ]
        self._send(
            time,
            "depth@100ms",
            {
                "e": "depthUpdate",
                "E": time,
                "s": self._instrument.symbol,
                "U": self._told_id + 1,
                "u": self._update_id,
                "b": levels[_BIDS],
                "a": levels[_ASKS],
            },
        )
        self._told_id = self._update_id
        for touched in self._touched:
            touched.clear()

    def _snapshot(self, time: int) -> None:
        levels = [
            [self._level(side, price) for price in sorted(self._book[side], reverse=side == _BIDS)]
            for side in (_BIDS, _ASKS)
        ]
        answer = {"lastUpdateId": self._update_id, "bids": levels[_BIDS], "asks": levels[_ASKS]}
        self._out.append((time, msgspec.json.encode(answer), self._instrument.symbol))

    def _level(self, side: int, price: int) -> tuple[str, str]:
        instrument = self._instrument
        return decimal_text(price * instrument.tick), decimal_text(self._book[side].get(price, 0) * instrument.lot)

    def _send(self, time: int, stream: str, data: dict[str, object]) -> None:
        self._out.append((time, combined(self._instrument.symbol, stream, data), None))


def _lots(instrument: Instrument, rng: Random) -> int:
    return 1 + int(rng.expovariate(1.0) * instrument.size)


def _fill(prices: _Side, side: int, fair: int, instrument: Instrument, rng: Random) -> None:
    """Put a level right beside the fair price, and others ever further away until the side has its depth."""
    sign = -1 if side == _BIDS else 1
    spacing = max(2, round(instrument.price * 0.00004))
    near = max(1, spacing // 50)  # nobody leaves a wide spread open
    if fair > near and not any(abs(price - fair) <= near for price in prices):
        prices[fair + sign * rng.randint(1, near)] = _lots(instrument, rng)
    price = fair
    while len(prices) < _DEPTH and price > 1:
        price = max(1, price + sign * rng.randint(1, spacing))
        if price not in prices:
            prices[price] = _lots(instrument, rng)
