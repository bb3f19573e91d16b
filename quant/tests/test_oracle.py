"""A book rebuilt from snapshot and diffs has, wherever a quote exists for its update id, that very best bid and ask."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from barnabas_quant.errors import BookGapError
from barnabas_quant.feeds import BinanceDecoder, Capture
from barnabas_quant.model import Book, OrderBook, Record, Tick, units

from .conftest import SHARED


def records(path: Path) -> Iterable[Record]:
    capture = Capture(path)
    decoder = BinanceDecoder(capture.exchange)

    def report(number: int, reason: str) -> None:
        raise AssertionError(f"line {number}: {reason}")

    for frame in capture.frames(report):
        yield from decoder.records(frame)


def agreements(path: Path) -> int:
    """Count the update ids at which quote and rebuilt book agree; fail where they do not, or the book has a gap."""
    quotes: dict[tuple[str, int], tuple[int, ...]] = {}
    diffs: dict[str, list[OrderBook]] = {}
    snapshots: dict[str, OrderBook] = {}
    for record in records(path):
        if isinstance(record, Tick) and record.kind == "quote":
            best = (record.bid, record.bid_size, record.ask, record.ask_size)
            quotes[record.symbol, record.update_id] = tuple(units(text or "") for text in best)
        elif isinstance(record, OrderBook) and record.type == "diff":
            diffs.setdefault(record.symbol, []).append(record)
        elif isinstance(record, OrderBook):
            snapshots.setdefault(record.symbol, record)
    agreed = 0
    for symbol, snapshot in snapshots.items():
        book = Book(snapshot)
        for diff in diffs[symbol]:
            quote = quotes.get((symbol, diff.last_update_id))
            if book.apply(diff) and quote is not None:
                assert (*book.best()[0], *book.best()[1]) == quote, (symbol, diff.last_update_id)
                agreed += 1
    return agreed


@pytest.mark.parametrize(
    ("name", "least"),
    [("spot_btcusdt_20240808.gz", 564), ("spot_ethusdt_20240808.gz", 100), ("usdm_btcusdt_20240808.gz", 503)],
)
def test_recorded_market(name: str, least: int) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"recordings are not part of the project: no {name} beside the repository")
    assert agreements(path) >= least


def test_simulated_market(long_capture_file: Path) -> None:
    assert agreements(long_capture_file) > 1000


def book(last: int) -> Book:
    return Book(update("snapshot", last, last, None, [("1", "1")], [("2", "1")]))


def update(
    kind: str, first: int, last: int, previous: int | None, bids: list[tuple[str, str]], asks: list[tuple[str, str]]
) -> OrderBook:
    return OrderBook(
        exchange="x", symbol="S", type="snapshot" if kind == "snapshot" else "diff", first_update_id=first,
        last_update_id=last, previous_update_id=previous, bids=bids, asks=asks, event_time=None, receive_time=0,
    )  # fmt: skip


def test_spot_rules() -> None:
    rebuilt = book(100)
    assert not rebuilt.apply(update("diff", 90, 100, None, [("1", "9")], []))
    assert rebuilt.apply(update("diff", 101, 105, None, [("1", "0"), ("0.5", "3"), ("0.4", "0")], [("1.5", "2")]))
    assert (rebuilt.bids, rebuilt.asks) == (
        {units("0.5"): units("3")},
        {units("1.5"): units("2"), units("2"): units("1")},
    )
    with pytest.raises(BookGapError, match="107 to 108 does not follow 105"):
        rebuilt.apply(update("diff", 107, 108, None, [], []))


def test_futures_rules() -> None:
    rebuilt = book(100)
    assert not rebuilt.apply(update("diff", 80, 99, 79, [], []))
    assert rebuilt.apply(update("diff", 95, 110, 90, [("1", "2")], []))
    assert rebuilt.apply(update("diff", 150, 160, 110, [], []))
    with pytest.raises(BookGapError):
        rebuilt.apply(update("diff", 170, 180, 165, [], []))
    with pytest.raises(BookGapError):
        book(100).apply(update("diff", 101, 110, 99, [], []))
    assert book(100).apply(update("diff", 101, 110, 100, [], []))  # it names the snapshot as its predecessor
