"""The simulated exchange is a market: its book, its ids, its bars and its frames agree with each other."""

import json
from collections import defaultdict
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.exchange.simulator import MINUTE
from barnabas_quant.exchange.walk import UPDATES_A_MINUTE
from barnabas_quant.feeds import BITCOIN_AND_OTHERS, BinanceDecoder, Frame, Instrument, Simulator
from barnabas_quant.model import Book, Kline, OrderBook, Record, Tick, Trade, units

START = 1_700_000_040_000


def frames(seed: int, count: int, instruments: tuple[Instrument, ...] = BITCOIN_AND_OTHERS) -> list[Frame]:
    simulator = Simulator(seed, instruments)
    return [frame for n in range(count) for frame in simulator.minute(n, START + n * MINUTE)]


def records(played: list[Frame]) -> Iterator[Record]:
    decoder = BinanceDecoder("binance")
    for frame in played:
        yield from decoder.records(frame)


def no_report(number: int, reason: str) -> None:
    raise AssertionError(f"{number}: {reason}")


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**60), st.sampled_from(BITCOIN_AND_OTHERS))
def test_book_rebuilt_from_diffs_agrees_with_quotes_and_snapshots(seed: int, instrument: Instrument) -> None:
    book: Book | None = None
    quote: Tick | None = None
    quotes = snapshots = 0
    for record in records(frames(seed, 2, (instrument,))):
        if isinstance(record, Tick) and record.kind == "quote":
            assert units(record.bid or "") < units(record.ask or "")
            assert quote is None or record.update_id > quote.update_id
            quote = record
        elif isinstance(record, OrderBook) and record.type == "snapshot":
            fresh = Book(record)
            if book is not None:
                snapshots += 1
                assert (book.last_update_id, book.bids, book.asks) == (fresh.last_update_id, fresh.bids, fresh.asks)
            book = fresh
        elif isinstance(record, OrderBook):
            assert book is not None
            assert record.first_update_id == book.last_update_id + 1
            assert book.apply(record)
            (bid, bid_size), (ask, ask_size) = book.best()
            assert bid < ask
            if quote is not None:  # a depth event leaves the best as the last quote before it told it
                quotes += 1
                told = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
                assert tuple(units(text or "") for text in told) == (bid, bid_size, ask, ask_size)
    assert snapshots == 1
    assert quotes > 1000


def test_trades_are_numbered_without_a_gap_and_bars_add_them_up() -> None:
    traded: dict[tuple[str, int], list[Trade]] = defaultdict(list)
    bars: dict[tuple[str, int], list[Kline]] = defaultdict(list)
    last: dict[str, int] = {}
    for record in records(frames(3, 3)):
        if isinstance(record, Trade):
            assert last.setdefault(record.symbol, record.trade_id - 1) == record.trade_id - 1
            last[record.symbol] = record.trade_id
            traded[record.symbol, record.trade_time // 1000 // MINUTE].append(record)
        elif isinstance(record, Kline):
            bars[record.symbol, record.open_time // 1000 // MINUTE].append(record)
    assert len(bars) == 3 * len(BITCOIN_AND_OTHERS)
    assert bars.keys() == traded.keys()
    for at, sent in bars.items():
        trades = traded[at]
        prices = [units(trade.price) for trade in trades]
        assert [bar.closed for bar in sent] == [False] * (len(sent) - 1) + [True]
        assert len(sent) > 10
        assert [bar.trades for bar in sent] == sorted(bar.trades for bar in sent)
        bar = sent[-1]
        assert [units(text) for text in (bar.open, bar.high, bar.low, bar.close)] == [
            prices[0], max(prices), min(prices), prices[-1],
        ]  # fmt: skip
        assert bar.trades == len(trades)
        assert units(bar.volume) == sum(units(trade.quantity) for trade in trades)
        assert units(bar.quote_volume) == sum(units(t.price) * units(t.quantity) for t in trades) // 10**8


def test_frames_are_ordered_numbered_and_shaped_as_the_venue_sends_them() -> None:
    played = frames(4, 2)
    assert [frame.received for frame in played] == sorted(frame.received for frame in played)
    assert [frame.sequence for frame in played] == sorted({frame.sequence for frame in played})
    assert [frame.sequence for frame in played if frame.sequence[2] == 0] == [(0, START, 0), (1, START + MINUTE, 0)]
    shapes = {
        "trade": "e E s t p q T m M",
        "bookTicker": "u s b B a A",
        "depth": "e E s U u b a",
        "kline_1m": "e E s k",
    }
    seen = set()
    for frame in played:
        message = json.loads(frame.text)
        if "stream" in message:
            symbol, kind = message["stream"].split("@")[:2]
            seen.add(kind)
            assert list(message) == ["stream", "data"]
            assert " ".join(message["data"]) == shapes[kind]
            assert message["data"]["s"] == symbol.upper()
        else:
            assert list(message) == ["lastUpdateId", "bids", "asks"]
            assert frame.symbol is not None
    assert seen == shapes.keys()


def test_update_ids_stay_within_those_set_aside() -> None:
    busy = Instrument("BUSYUSDT", price=10_000_000, tick=1_000, lot=1_000, volatility=0.05, trades=3000)
    last = [r.last_update_id for r in records(frames(1, 1, (busy,))) if isinstance(r, OrderBook)]
    assert last == sorted(last)
    assert last[-1] - last[0] == UPDATES_A_MINUTE


def test_the_same_seed_makes_the_same_market_and_another_seed_another() -> None:
    assert frames(7, 1) == frames(7, 1)
    assert frames(7, 1) != frames(8, 1)
    assert Simulator(7).identity == Simulator(7).identity
    assert Simulator(7).identity != Simulator(8).identity
    assert Simulator(7).identity != Simulator(7, BITCOIN_AND_OTHERS[:1]).identity


def test_any_minute_can_be_made_alone() -> None:
    simulator = Simulator(9)
    in_order = [list(simulator.minute(n, START + n * MINUTE)) for n in range(3)]
    assert list(Simulator(9).minute(2, START + 2 * MINUTE)) == in_order[2]
    assert list(simulator.minute(1, START + MINUTE)) == in_order[1]
