"""OKX v5's public market data, told from the simulated spot market: the same trades, quotes and books.

Channels trades, bbo-tbt, books (a snapshot on subscription, then updates with seqId and prevSeqId) on the public
address, candles (candle1m, candle1D, ...) on the business address. Symbols are BASE-QUOTE. `checksum` is sent as 0: the
venue has given it up and compares nothing any more; seqId and prevSeqId say whether an update is missing. Sequence ids
are the spot market's update ids.
Source: OKX API documentation v5, "Order Book Trading - Market Data".
"""

from __future__ import annotations

from typing import Any

from barnabas_quant.exchange.binance_rest import split_symbol
from barnabas_quant.exchange.history import History
from barnabas_quant.exchange.hub import Hub
from barnabas_quant.exchange.klines import SECOND
from barnabas_quant.exchange.messages import Candle, Depth, Level, Message, Places, Quote, Snapshot, Trade, encode
from barnabas_quant.exchange.settings import OKX, Retention

DEEPEST = 400
"""Levels a side of a book."""

BARS: dict[str, str] = {
    "1s": "1s", "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h", "2H": "2h", "4H": "4h",
    "6Hutc": "6h", "12Hutc": "12h", "1Dutc": "1d", "3Dutc": "3d", "1Wutc": "1w", "1Mutc": "1M",
}  # fmt: skip
"""OKX's names of the intervals that the exchange knows; its plain 6H, 1D, ... begin at 16:00 UTC and are not played."""


class OkxMarket:
    """Play and remember the market in OKX's way."""

    def __init__(self, hub: Hub, retention: Retention) -> None:
        self.histories: dict[str, History] = {}
        """By instId."""
        self._hub = hub
        self._retention = retention
        self._names: dict[str, str] = {}
        self._told: dict[str, int] = {}  # instId -> seqId of the last update
        self._seconds: dict[str, tuple[int, int]] = {}  # instId -> the last second and minute in which bars were told

    def list_symbol(self, symbol: str, places: Places) -> History:
        """Make an instrument known by its Binance symbol."""
        name = "-".join(split_symbol(symbol))
        self._names[symbol] = name
        history = self.histories[name] = History(name, places, places, self._retention)
        return history

    def begin(self, time: int) -> None:
        """Say from when on, milliseconds, the play covers everything."""
        for history in self.histories.values():
            history.klines.since = time

    def key(self, channel: str, name: str) -> str:
        """Give the key under which ledger and hub know a channel of an instrument."""
        return f"{OKX}:{channel}:{name}"

    def snapshot(self, symbol: str, snapshot: Snapshot) -> None:
        """Take a depth snapshot of the spot market."""
        history = self.histories[self._names[symbol]]
        history.add_snapshot(snapshot)
        self._told.setdefault(history.symbol, snapshot.last)

    def catch_up(self, message: Message, places: Places, time: int) -> None:
        """Remember a message of the time before the play began."""
        history = self.histories[self._names[message.symbol]]
        if isinstance(message, Trade):
            history.add_trade(message)
        elif isinstance(message, Quote):
            history.quote = message
        elif isinstance(message, Depth):
            history.add_depth(message)
            self._told[history.symbol] = message.last

    def play(self, message: Message, places: Places, time: int) -> None:
        """Play a message of the spot market."""
        name = self._names[message.symbol]
        self._bars(name, time)
        before = self._told.get(name, -1)
        self.catch_up(message, places, time)
        if isinstance(message, Trade):
            told = self.trade(message) | {"count": "1", "source": "0", "seqId": self._told.get(name, 0)}
            self._publish("trades", name, message.trade_id, message.trade_id, [told])
        elif isinstance(message, Quote):
            told = {
                "asks": self._levels([(message.ask, message.ask_size)], places),
                "bids": self._levels([(message.bid, message.bid_size)], places),
                "ts": str(time),
                "seqId": message.update_id,
            }
            self._publish("bbo-tbt", name, message.update_id, message.update_id, [told])
        elif isinstance(message, Depth):
            told = {
                "asks": self._levels(message.asks, places),
                "bids": self._levels(message.bids, places),
                "ts": str(message.event_time),
                "checksum": 0,
                "prevSeqId": before,
                "seqId": message.last,
            }
            self._publish("books", name, message.first, message.last, [told], action="update")

    def trade(self, trade: Any) -> dict[str, Any]:
        """Tell a trade."""
        places = self.histories[self._names[trade.symbol]].places
        return {
            "instId": self._names[trade.symbol],
            "tradeId": str(trade.trade_id),
            "px": Places.cut(trade.price, places.price),
            "sz": Places.cut(trade.quantity, places.quantity),
            "side": "sell" if trade.buyer_is_maker else "buy",
            "ts": str(trade.trade_time),
        }

    def book(self, name: str, depth: int) -> dict[str, Any] | None:
        """Tell a whole book; None where there is none."""
        history = self.histories[name]
        levels = history.levels(depth)
        if levels is None or history.book is None:
            return None
        return {
            "asks": self._levels(levels[1], history.places),
            "bids": self._levels(levels[0], history.places),
            "ts": str(history.book_time),
            "seqId": history.book.last,
        }

    def book_message(self, name: str) -> bytes | None:
        """Give the first message of the channel books."""
        book = self.book(name, DEEPEST)
        if book is None:
            return None
        told = {"asks": book["asks"], "bids": book["bids"], "ts": book["ts"], "checksum": 0, "prevSeqId": -1}
        return self._message("books", name, [told | {"seqId": book["seqId"]}], "snapshot")

    @staticmethod
    def candle(candle: Candle) -> list[str]:
        """Tell a bar."""
        return [
            str(candle.open_time), candle.open, candle.high, candle.low, candle.close, candle.volume,
            candle.quote_volume, candle.quote_volume, "1" if candle.closed else "0",
        ]  # fmt: skip

    def _bars(self, name: str, time: int) -> None:
        """Tell bars once a second, of the channels that somebody listens to; and each at its end."""
        second = time // SECOND
        last = self._seconds.get(name)
        if last is not None and last[0] == second:
            return
        self._seconds[name] = (second, 0)
        if last is None:
            return
        history = self.histories[name]
        for bar, interval in BARS.items():
            channel = f"candle{bar}"
            if self._hub.has_subscribers(self.key(channel, name)):
                before = last[0] * SECOND
                for candle in history.klines.candles(interval, None, time, 2, second * SECOND):
                    ended = candle.close_time < second * SECOND
                    if not ended or candle.close_time >= before:
                        row = self.candle(candle)
                        self._publish(channel, name, candle.open_time, candle.last, [row])

    @staticmethod
    def _levels(levels: list[Level], places: Places) -> list[list[str]]:
        return [
            [price, size, "0", "1"] if size.strip("0.") else [price, "0", "0", "0"]
            for price, size in places.levels(levels)
        ]

    def _publish(
        self, channel: str, name: str, first: int, last: int, data: list[Any], action: str | None = None
    ) -> None:
        self._hub.publish(self.key(channel, name), first, last, self._message(channel, name, data, action))

    def _message(self, channel: str, name: str, data: list[Any], action: str | None) -> bytes:
        whole: dict[str, Any] = {"arg": {"channel": channel, "instId": name}}
        if action is not None:
            whole["action"] = action
        return encode(whole | {"data": data})
