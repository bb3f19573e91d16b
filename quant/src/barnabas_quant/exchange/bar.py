"""The bar of a simulated minute, and how the simulated exchange wraps what it sends."""

from __future__ import annotations

import msgspec

from barnabas_quant.exchange.walk import Instrument
from barnabas_quant.model.money import ONE, decimal_text


def combined(symbol: str, stream: str, data: dict[str, object]) -> bytes:
    """Wrap a message as a combined stream does."""
    return msgspec.json.encode({"stream": f"{symbol.lower()}@{stream}", "data": data})


class Bar:
    """Add up the trades of one minute: prices in ticks, volumes in lots, turnover in ticks times lots."""

    def __init__(self, instrument: Instrument, first_trade_id: int) -> None:
        self._instrument = instrument
        self._first_trade_id = first_trade_id
        self._prices: tuple[int, int, int, int] | None = None  # open, high, low, close
        self._lots = {True: 0, False: 0}  # by whether the buyer was the maker
        self._turnover = {True: 0, False: 0}
        self._told = 0  # trades that the last frame covered
        self.trades = 0

    @property
    def next_trade_id(self) -> int:
        """Give the id that the next trade gets."""
        return self._first_trade_id + self.trades

    def add(self, price: int, lots: int, buyer_is_maker: bool) -> None:
        """Count a trade in."""
        opening, high, low, _ = self._prices or (price,) * 4
        self._prices = (opening, max(high, price), min(low, price), price)
        self._lots[buyer_is_maker] += lots
        self._turnover[buyer_is_maker] += price * lots
        self.trades += 1

    def frame(self, start: int, time: int, closed: bool) -> bytes | None:
        """Make the kline frame at `time`; None where nothing was traded since the last one. Times in milliseconds."""
        if self._prices is None or (self.trades == self._told and not closed):
            return None
        self._told = self.trades
        instrument = self._instrument
        opening, high, low, close = (decimal_text(price * instrument.tick) for price in self._prices)
        quoted = instrument.tick * instrument.lot
        bar = {
            "t": start,
            "T": start + 59_999,
            "s": instrument.symbol,
            "i": "1m",
            "f": self._first_trade_id,
            "L": self.next_trade_id - 1,
            "o": opening,
            "c": close,
            "h": high,
            "l": low,
            "v": decimal_text(sum(self._lots.values()) * instrument.lot),
            "n": self.trades,
            "x": closed,
            "q": decimal_text(sum(self._turnover.values()) * quoted // ONE),
            "V": decimal_text(self._lots[False] * instrument.lot),
            "Q": decimal_text(self._turnover[False] * quoted // ONE),
            "B": "0",
        }
        return combined(instrument.symbol, "kline_1m", {"e": "kline", "E": time, "s": instrument.symbol, "k": bar})
