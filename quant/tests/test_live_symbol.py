"""One symbol of a live feed, frame by frame: recordings as the oracle, and every way in which a stream may fail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from barnabas_quant.errors import FrameError
from barnabas_quant.feeds import BinanceDecoder, Capture
from barnabas_quant.feeds.live.binance import spot, usd_m
from barnabas_quant.feeds.live.symbol import Counts, Places, SymbolState, Work
from barnabas_quant.model import Gap, Kline, OrderBook, Record, Tick, Trade

from .conftest import SHARED, START

NOW = START * 1000
MINUTE = 60_000_000


class Bench:
    """A symbol's state, what it wrote (by type, in order), and what it asked for."""

    def __init__(self, places: Places | None = None, exchange: str = "binance", symbol: str = "BTCUSDT") -> None:
        self.asked: list[Work] = []
        self.counts = Counts()
        self._sent: dict[str, list[bytes]] = defaultdict(list)
        mine = f"{exchange}:{symbol}".encode()

        def write(topic: str, key: bytes, value: bytes) -> None:
            assert key == mine
            self._sent[topic].append(value)

        stream = "trade" if exchange == "binance" else "aggTrade"
        self.state = SymbolState(exchange, symbol, stream, places or Places(), write, self.asked.append, self.counts)

    def written(self, kind: type[Record]) -> list[Any]:
        decode = msgspec.json.Decoder(kind).decode
        return [decode(value) for value in self._sent[kind.topic]]

    def gaps(self) -> list[tuple[str, int | None, int, bool]]:
        return [(gap.stream, gap.last_id, gap.next_id, gap.filled) for gap in self.written(Gap)]

    def trade_ids(self) -> list[int]:
        return [trade.trade_id for trade in self.written(Trade)]


def trade(number: int, price: str = "10.5", quantity: str = "1", time: int = NOW) -> Trade:
    return Trade(
        exchange="binance", symbol="BTCUSDT", trade_id=number, price=price, quantity=quantity, buyer_is_maker=True,
        event_time=time, trade_time=time, receive_time=NOW,
    )  # fmt: skip


def book(kind: Any, first: int, last: int, bids: Any, asks: Any, previous: int | None = None) -> OrderBook:
    return OrderBook(
        exchange="binance", symbol="BTCUSDT", type=kind, first_update_id=first, last_update_id=last,
        previous_update_id=previous, bids=bids, asks=asks, event_time=NOW, receive_time=NOW,
    )  # fmt: skip


def kline(minute: int, closed: bool = True, close: str = "2") -> Kline:
    opened = NOW // MINUTE * MINUTE + minute * MINUTE
    return Kline(
        exchange="binance", symbol="BTCUSDT", interval="1m", open_time=opened, close_time=opened + MINUTE - 1000,
        open="2", high="3", low="1", close=close, volume="1", quote_volume="2", trades=1, closed=closed,
        source="venue", event_time=NOW, receive_time=NOW,
    )  # fmt: skip


# ------------------------------------------------------------------ the oracle


def replay(path: Path) -> dict[str, tuple[Bench, list[int]]]:
    """Hand a capture's frames to the venue's handlers as they stand; give each symbol's bench and trades played."""
    capture = Capture(path)
    venue = (spot if capture.exchange == "binance" else usd_m)(lambda: NOW)
    decoder = BinanceDecoder(capture.exchange)
    played: dict[str, tuple[Bench, list[int]]] = {}
    handlers: dict[str, Callable[[bytes, int], None]] = {}
    snapshots: dict[str, OrderBook] = {}
    for frame in capture.frames(lambda number, reason: None):
        stream = venue.stream_of(frame.text).decode()
        if "@" not in stream:
            for record in decoder.records(frame):
                if isinstance(record, OrderBook):
                    snapshots[record.symbol] = record
            continue
        symbol = stream.partition("@")[0].upper()
        if symbol not in played:
            played[symbol] = (Bench(exchange=capture.exchange, symbol=symbol), [])
        bench, trades = played[symbol]
        if stream not in handlers:
            handlers[stream] = venue.handler(stream, bench.state)
        handlers[stream](frame.text, frame.received // 1000)
        if stream.endswith(("@trade", "@aggTrade")):
            trades += [one.trade_id for one in decoder.records(frame) if isinstance(one, Trade)]
        for work in list(bench.asked):
            if work.kind == "trades":  # a venue that has none any more
                bench.state.fetched_trades([], work)
                bench.asked.remove(work)
            elif work.kind == "book" and symbol in snapshots and bench.state.fetched_book(snapshots[symbol]):
                bench.asked.remove(work)
    return played


def check(path: Path) -> int:
    """Check a capture played whole; give how many quotes the books were compared with."""
    compared = 0
    for symbol, (bench, trades) in replay(path).items():
        assert bench.counts.mismatched == 0, symbol
        assert bench.trade_ids() == trades, symbol
        assert bench.counts.duplicates == 0, symbol
        compared += bench.counts.checked
    return compared


@pytest.mark.parametrize(("name", "least"), [("spot_btcusdt_20240808.gz", 564), ("usdm_btcusdt_20240808.gz", 503)])
def test_recorded_market(name: str, least: int) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"recordings are not part of the project: no {name} beside the repository")
    assert check(path) >= least


def test_generated_market(capture_file: Path) -> None:
    assert check(capture_file) > 100


# ------------------------------------------------------------------ trades


def test_a_hole_in_trades_is_fetched_and_later_ones_wait() -> None:
    bench = Bench(Places(trade=10, trade_tick=10))
    for number in (11, 15, 16):
        bench.state.trade(trade(number))
    assert bench.trade_ids() == [11]
    (work,) = bench.asked
    assert (work.kind, work.first, work.last) == ("trades", 12, 14)
    assert bench.state.fetched_trades([trade(14), trade(12), trade(13)], work) is None
    assert bench.trade_ids() == [11, 12, 13, 14, 15, 16]
    assert [tick.update_id for tick in bench.written(Tick)] == [11, 12, 13, 14, 15, 16]
    assert bench.gaps() == [("trade", 11, 15, True)]


def test_what_the_venue_no_longer_has_is_told() -> None:
    bench = Bench(Places(trade=10, trade_tick=10))
    bench.state.trade(trade(20))
    (work,) = bench.asked
    assert bench.state.fetched_trades([trade(14), trade(15)], work) == 16
    assert bench.state.fetched_trades([], work) is None
    assert bench.trade_ids() == [14, 15, 20]
    told = {gap for gap in bench.gaps() if not gap[3]}
    assert told == {("trade", 10, 14, False), ("trade", 15, 20, False)}


def test_trades_seen_before_are_dropped_and_counted() -> None:
    bench = Bench(Places(trade=10, trade_tick=10))
    for number in (9, 10, 11, 11):
        bench.state.trade(trade(number))
    assert bench.trade_ids() == [11]
    assert bench.counts.duplicates == 3


def test_topics_that_got_less_than_each_other() -> None:
    """Killed between two acknowledgements: trades end at 8, their ticks at 10; each gets what it lacks, once."""
    bench = Bench(Places(trade=8, trade_tick=10))
    bench.state.trade(trade(12))
    (work,) = bench.asked
    bench.state.fetched_trades([trade(number) for number in range(work.first, work.last + 1)], work)
    assert bench.trade_ids() == [9, 10, 11, 12]
    assert [tick.update_id for tick in bench.written(Tick)] == [11, 12]


@pytest.mark.parametrize(
    "bad", [trade(11, price="0"), trade(11, price="-1"), trade(11, quantity="0"), trade(11, time=NOW + 3600 * 10**6)]
)
def test_absurd_trades_are_refused_and_leave_no_mark(bad: Trade) -> None:
    bench = Bench(Places(trade=10, trade_tick=10))
    with pytest.raises(FrameError):
        bench.state.trade(bad)
    bench.state.trade(trade(11))
    assert bench.trade_ids() == [11]


# ------------------------------------------------------------------ quotes


def test_quotes_missed_are_told_with_the_ids_around_them() -> None:
    bench = Bench()
    bench.state.quote(5, ("10", "1", "11", "1"), None, NOW)
    bench.state.broken("cut")
    bench.state.quote(9, ("10", "1", "11", "1"), None, NOW)
    assert [tick.update_id for tick in bench.written(Tick)] == [5, 9]
    assert bench.gaps() == [("bookTicker", 5, 9, False)]


@pytest.mark.parametrize(
    "bad", [("11", "1", "11", "1"), ("12", "1", "11", "1"), ("0", "1", "11", "1"), ("-1", "1", "11", "1"),
            ("1e3", "1", "2000", "1"), ("", "1", "2", "1"), ("10", "x", "11", "1")],
)  # fmt: skip
def test_absurd_quotes(bad: tuple[str, str, str, str]) -> None:
    bench = Bench()
    with pytest.raises(FrameError):
        bench.state.quote(5, bad, None, NOW)
    assert not bench.written(Tick)
    assert bench.state.places.quote is None


# ------------------------------------------------------------------ books


def started() -> Bench:
    bench = Bench()
    bench.state.diff(book("diff", 11, 12, [["10", "2"]], []))
    assert [work.kind for work in bench.asked] == ["book"]
    assert bench.state.fetched_book(book("snapshot", 10, 10, [("10", "1")], [("11", "1")]))
    return bench


def test_a_book_that_skips_is_started_anew() -> None:
    bench = started()
    bench.state.diff(book("diff", 15, 16, [], []))
    assert [work.kind for work in bench.asked] == ["book", "book"]
    assert not bench.state.synchronised
    assert not bench.state.fetched_book(book("snapshot", 13, 13, [("10", "1")], [("11", "1")])), "too old"
    assert bench.state.fetched_book(book("snapshot", 15, 15, [("10", "1")], [("11", "1")]))
    assert bench.gaps()[-1] == ("depth", 12, 16, False)
    diffs = [one.last_update_id for one in bench.written(OrderBook) if one.type == "diff"]
    assert diffs == [12, 16]


def test_a_crossed_book_is_started_anew() -> None:
    bench = started()
    bench.state.diff(book("diff", 13, 13, [("12", "1")], []))
    assert not bench.state.synchronised


def test_a_book_that_differs_from_the_quote_is_started_anew() -> None:
    bench = started()
    bench.state.quote(13, ("10", "7", "11", "1"), None, NOW)
    bench.state.diff(book("diff", 13, 13, [("10", "3")], []))
    assert bench.counts.mismatched == 1
    assert not bench.state.synchronised


# ------------------------------------------------------------------ candles


def test_candles_missed_are_fetched() -> None:
    bench = Bench()
    bench.state.kline(kline(0))
    bench.state.kline(kline(4, closed=False))
    (work,) = bench.asked
    assert (work.first, work.last) == (kline(1).open_time, kline(4).open_time)
    bench.state.fetched_klines([kline(1), kline(3)], work)
    assert [one.open_time for one in bench.written(Kline)] == [kline(n).open_time for n in (0, 1, 3, 4)]
    unfilled = [gap for gap in bench.gaps() if not gap[3]]
    assert unfilled == [("kline_1m", kline(1).open_time, kline(3).open_time, False)]
