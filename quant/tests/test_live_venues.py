"""The live feed of the other venues: USD-M futures and OKX, with the same accounts as Binance spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from barnabas_quant.feeds import BITCOIN_AND_OTHERS, BinanceDecoder, Capture, Simulator
from barnabas_quant.feeds.live.binance import Binance, spot, usd_m
from barnabas_quant.feeds.live.symbol import Counts, Places, SymbolState
from barnabas_quant.feeds.live.venue import Handler
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.model import Gap, Kline, OrderBook, Record, Tick, Trade

from .conftest import SHARED, START, eventually
from .road import played_frames, road, running_road, write_futures

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")


@pytest.fixture
def own_kafka() -> Iterator[str]:
    """Give a Kafka of this test's own: the feed's topics have fixed names."""
    with embedded.Broker() as broker:
        yield broker.bootstrap


@pytest.mark.long
def test_futures_whose_connections_drop_and_whose_frames_are_skipped(tmp_path: Path, own_kafka: str) -> None:
    capture, traded = tmp_path / "usdm.gz", BITCOIN_AND_OTHERS[:2]
    write_futures(capture, traded, Simulator(12, traded).minute(0, START))
    with road(tmp_path, own_kafka, capture, 8) as made:
        made.wait_for_frames(300)
        made.order("skip", stream="*@aggTrade", frames=3)
        made.order("skip", stream="*ethusdt@depth*", frames=1)
        made.wait_for_frames(900)
        made.order("drop", how="abort")
        made.wait_until_played()
        made.wait_until_told(Trade, sum(len(streams[Trade]) for streams in played_frames(capture).values()))
        made.feed.end()
        counted = made.account()
        gaps = made.records(Gap)
        books = made.records(OrderBook)
    assert counted["trades"] > 500
    assert counted["diffs"] > 500
    assert ("aggTrade", True) in {(gap.stream, gap.filled) for gap in gaps}
    assert all(book.previous_update_id is not None for book in books if book.type == "diff")


@pytest.mark.long
def test_okx_with_faults(tmp_path: Path, own_kafka: str) -> None:
    symbols = ["BTC-USDT", "ETH-USDT"]
    with running_road(tmp_path, own_kafka, "okx", symbols, 21, 'intervals = ["1s", "1m"]') as made:
        made.wait_until_told(Kline, 4)
        made.wait_until_told(Trade, 20)
        made.order("skip", stream="okx:trades:*", frames=2)
        made.order("skip", stream="okx:books:ETH-USDT", frames=1)
        eventually(lambda: any(gap.filled for gap in made.records(Gap)))
        eventually(lambda: any(gap.cause == "skipped" and gap.stream == "depth" for gap in made.records(Gap)))
        # Away until the market has moved: whoever is back at once may have missed no quote.
        made.order("refuse", connections=1000)
        made.order("drop", how="abort")
        made.wait_for_frames(made.frames() + 100)
        made.order("clear")
        eventually(lambda: any(gap.stream == "bookTicker" for gap in made.records(Gap)))
        count = len(made.records(OrderBook))
        made.wait_until_told(OrderBook, count + 40)
        made.feed.end()
        counted = made.account()
        bars = made.records(Kline)
        snapshots = [book for book in made.records(OrderBook) if book.type == "snapshot"]
        ticks = made.records(Tick)
    assert {record.exchange for record in (*bars, *snapshots, *ticks)} == {"okx"}
    assert counted["trades"] > 20
    assert counted["quotes"] > 100
    assert counted["diffs"] > 60
    assert counted["missed quotes"] > 0
    for symbol in symbols:
        seconds = [bar.open_time for bar in bars if bar.symbol == symbol and bar.interval == "1s" and bar.closed]
        assert seconds == list(range(seconds[0], seconds[-1] + 1, 1_000_000))
    for snapshot in snapshots:
        assert snapshot.bids[0][0] < snapshot.asks[0][0] or len(snapshot.bids[0][0]) != len(snapshot.asks[0][0])


Replayed = tuple[Counts, list[Record], list[Record]]


def replay(capture: Capture, venue: Binance) -> Replayed:
    """Take a capture's frames as the feed takes them; give the counts, the rows made, and those of the decoder."""
    counts, rows, expected, asked = Counts(), [], [], []
    decoders = {kind.topic: msgspec.json.Decoder(kind).decode for kind in (Tick, Trade, OrderBook, Kline, Gap)}
    states: dict[str, SymbolState] = {}
    handlers: dict[bytes, Handler] = {}
    snapshots: dict[str, OrderBook] = {}
    decoder = BinanceDecoder(capture.exchange)
    for frame in capture.frames(lambda number, reason: None):
        records = decoder.records(frame)
        expected += records
        if not frame.text.startswith(b'{"stream"'):
            (snapshot,) = records
            assert isinstance(snapshot, OrderBook)
            snapshots[snapshot.symbol] = snapshot
        else:
            stream = venue.stream_of(frame.text)
            if stream not in handlers:
                symbol = stream.split(b"@")[0].decode().upper()
                if symbol not in states:
                    states[symbol] = SymbolState(
                        venue.exchange, symbol, venue.trade_stream, Places(),
                        lambda topic, key, value: rows.append(decoders[topic](value)), asked.append, counts,
                    )  # fmt: skip
                handlers[stream] = venue.handler(stream.decode(), states[symbol])
            handlers[stream](frame.text, frame.received // 1000)
        for work in list(asked):
            state, snapshot = states[work.symbol], snapshots.get(work.symbol)
            if work.kind == "trades":
                state.fetched_trades([], work)
            elif snapshot is None or not state.fetched_book(snapshot):
                continue
            asked.remove(work)
    return counts, rows, expected


def compare(replayed: Replayed) -> None:
    """Check that ticks and trades are those of the decoder, and diffs too from the first one that was kept."""
    _, rows, expected = replayed
    for kind in (Tick, Trade):
        assert [row for row in rows if isinstance(row, kind)] == [one for one in expected if isinstance(one, kind)]
    symbols = {row.symbol for row in rows}
    for symbol in symbols:
        kept = [row for row in rows if isinstance(row, OrderBook) and row.type == "diff" and row.symbol == symbol]
        assert kept
        told = [
            one
            for one in expected
            if isinstance(one, OrderBook)
            and one.type == "diff"
            and one.symbol == symbol
            and one.last_update_id >= kept[0].last_update_id
        ]
        assert kept == told


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "venue", "checked"),
    [("spot_btcusdt_20240808.gz", spot, 564), ("usdm_btcusdt_20240808.gz", usd_m, 503)],
)
def test_recorded_market(name: str, venue: Callable[[Callable[[], int]], Binance], checked: int) -> None:
    if not (SHARED / name).exists():
        pytest.skip(f"recordings are not part of the project: no {name} beside the repository")
    replayed = replay(Capture(SHARED / name), venue(lambda: 0))
    assert (replayed[0].checked, replayed[0].mismatched) == (checked, 0)
    compare(replayed)


def test_simulated_market(tmp_path: Path) -> None:
    traded = BITCOIN_AND_OTHERS[:2]
    minute = list(Simulator(13, traded).minute(0, START))
    write_capture(tmp_path / "spot.gz", minute)
    write_futures(tmp_path / "usdm.gz", traded, minute)
    for name, venue in (("spot.gz", spot), ("usdm.gz", usd_m)):
        replayed = replay(Capture(tmp_path / name), venue(lambda: 0))
        assert replayed[0].checked > 300
        assert replayed[0].mismatched == 0
        compare(replayed)
