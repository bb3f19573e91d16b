"""A capture played: every frame as it was recorded, counted, at the pace asked for."""

from __future__ import annotations

import time
from collections import defaultdict
from hashlib import blake2b
from pathlib import Path

import pytest

from barnabas_quant.feeds import BinanceDecoder, Capture, Frame
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.model import Book, OrderBook, units

from ..conftest import eventually
from .conftest import PATIENCE, SHARED, START, Running, Start


def no_report(number: int, reason: str) -> None:
    raise AssertionError(f"{number}: {reason}")


def streams_of(path: Path) -> dict[str, list[bytes]]:
    """Give the frames of each stream of a capture."""
    frames: dict[str, list[bytes]] = defaultdict(list)
    for frame in Capture(path).frames(no_report):
        if frame.text.startswith(b'{"stream":"'):
            frames[frame.text[11 : frame.text.index(b'"', 11)].decode()].append(frame.text)
    return frames


def assert_played(running: Running, frames: dict[str, list[bytes]], venue: str) -> None:
    """Hold the ledger against the capture."""
    ledger = running.control("played")
    for stream, texts in frames.items():
        payloads = [text[text.index(b'"data":') + 7 : -1] for text in texts]
        digests = (int.from_bytes(blake2b(payload, digest_size=8).digest(), "big") for payload in payloads)
        played = ledger[f"{venue}:{stream}"]
        assert (played["count"], played["checksum"]) == (len(texts), sum(digests) % 2**64)


@pytest.mark.parametrize(
    ("name", "venue"),
    [(None, "binance"), ("BINANCE.ws.1.0.gz", "binance"), ("BINANCE_FUTURES.ws.1.0.gz", "binance_usdm")],
)
def test_every_frame_arrives_as_it_was_recorded(start: Start, capture: Path, name: str | None, venue: str) -> None:
    path = capture if name is None else SHARED / "binance" / name
    if not path.exists():
        pytest.skip(f"recordings are not part of the project: no {name} beside the repository")
    frames = streams_of(path)
    running = start("--capture", path, "--speed", "max", "--start", "subscribed")
    assert running.control()["play"]["state"] == "waiting"
    received: dict[str, list[bytes]] = defaultdict(list)
    with running.connect("/stream?streams=" + "/".join(frames), compression=None) as client:
        for _ in range(sum(map(len, frames.values()))):
            text = client.recv(timeout=PATIENCE, decode=False)
            assert isinstance(text, bytes)
            received[text[11 : text.index(b'"', 11)].decode()].append(text)
    assert received == frames
    eventually(lambda: running.control()["play"]["state"] == "played")
    assert_played(running, frames, venue)


@pytest.mark.parametrize(
    ("names", "symbol"),
    [
        ((), "BTCUSDT"),
        (("spot_btcusdt_20240808.gz",), "BTCUSDT"),
        (("BINANCE_FUTURES.ws.1.0.gz", "BINANCE_FUTURES.http.0.0.gz"), "SUSHIUSDT"),
    ],
)
def test_rest_depth_is_the_book_rebuilt_from_the_frames(
    start: Start, capture: Path, names: tuple[str, ...], symbol: str
) -> None:
    paths = [SHARED / "binance" / name for name in names] or [capture]
    if not all(path.exists() for path in paths):
        pytest.skip(f"recordings are not part of the project: no {names} beside the repository")
    exchange = Capture(paths[0]).exchange
    decoder = BinanceDecoder(exchange)
    frames = [
        frame
        for path in paths
        for frame in Capture(path, exchange).frames(no_report)
        if b"@depth" in frame.text[:40] or b"lastUpdateId" in frame.text[:20]
    ]
    books = [record for frame in frames for record in decoder.records(frame) if record.symbol == symbol]
    diffs = [record for record in books if isinstance(record, OrderBook) and record.type == "diff"]
    book = Book(next(record for record in books if isinstance(record, OrderBook) and record.type == "snapshot"))
    assert sum(book.apply(diff) for diff in diffs) > 50
    running = start("--speed", "max", *(option for path in paths for option in ("--capture", path)))
    eventually(lambda: running.control()["play"]["state"] == "played")
    url = "/fapi/v1/depth" if exchange == "binance_usdm" else "/api/v3/depth"
    answer = running.get(url, symbol=symbol, limit=1000).json()
    assert answer["lastUpdateId"] == book.last_update_id
    bids = [(price, book.bids[price]) for price in sorted(book.bids, reverse=True)[:1000]]
    asks = [(price, book.asks[price]) for price in sorted(book.asks)[:1000]]
    told = [[(units(price), units(quantity)) for price, quantity in answer[side]] for side in ("bids", "asks")]
    assert told == [bids, asks]


def test_pace(start: Start, capture: Path) -> None:
    running = start("--capture", capture, "--speed", "20", "--start", "subscribed", "--need", "btcusdt@depth@100ms")
    before = time.monotonic()  # the first frame comes later than this, and sooner than `begun`
    with running.connect("/ws/btcusdt@depth@100ms") as client:
        client.recv(timeout=PATIENCE)
        begun = time.monotonic()
        clock = running.get("/api/v3/time").json()["serverTime"]
        assert START <= clock < START + 10_000  # the exchange's clock is the capture's
        for _ in range(99):
            client.recv(timeout=PATIENCE)
        ended = time.monotonic()
    assert ended - before > 9.9 / 20 * 0.9  # ten seconds, twenty times as fast
    assert ended - begun < 9  # at the capture's own pace it is 9.9


def test_it_starts_on_command_and_says_when_it_is_over(start: Start, capture: Path) -> None:
    running = start("--capture", capture, "--speed", "max", "--start", "subscribed")
    assert running.control()["play"] | {"what": 0} == {
        "state": "waiting", "frames": 0, "what": 0, "speed": "max", "unreadable": 0,
        "streams": sorted(streams_of(capture)),
    }  # fmt: skip
    running.order("start")
    eventually(lambda: running.control()["play"]["state"] == "played")
    assert running.get("/api/v3/ping").status_code == 200
    (played,) = running.control("played", stream="btcusdt@depth@100ms", ids=1).values()
    assert played["count"] == len(played["ids"]) > 50
    assert played["ids"][0][0] == played["first_id"]
    assert played["ids"][-1][1] == played["last_id"]
    assert [first for first, _ in played["ids"][1:]] == [last + 1 for _, last in played["ids"][:-1]]
    assert_played(running, streams_of(capture), "binance")


def test_lines_that_are_no_frames_are_counted_and_passed_over(start: Start, capture: Path, tmp_path: Path) -> None:
    path = tmp_path / "spoiled"
    write_capture(path, Capture(capture).frames(no_report))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[200:200] = [b"rubbish\n", b'1700000041000000000 {"stream":"btcusdt@trade","data":{"p":1}}\n', b"1 {}\n"]
    path.write_bytes(b"".join(lines))
    running = start("--capture", path, "--speed", "max")
    eventually(lambda: running.control()["play"]["state"] == "played")
    assert running.control()["play"]["unreadable"] == 3
    assert_played(running, streams_of(capture), "binance")


def test_depth_at_other_speeds_is_merged_or_repeated(start: Start, capture: Path) -> None:
    running = start("--capture", capture, "--speed", "max", "--start", "subscribed", "--need", "btcusdt@depth")
    decoder = BinanceDecoder("binance")

    def books(path: Path) -> list[OrderBook]:
        records = (r for frame in Capture(path).frames(no_report) for r in decoder.records(frame))
        return [record for record in records if isinstance(record, OrderBook)]

    snapshot, *fine = books(capture)
    with running.connect("/stream?streams=btcusdt@depth/btcusdt@depth@0ms") as client:
        texts = []
        while sum(b"@depth@0ms" in text for text in texts) < len(fine):
            texts.append(client.recv(timeout=PATIENCE, decode=False))
    slow = [
        record
        for text in texts
        if b'@depth"' in text
        for record in decoder.records(Frame((0,), 0, text))
        if isinstance(record, OrderBook)
    ]
    assert len(slow) == 9  # the last second has not been followed by another
    merged, followed = Book(snapshot), Book(snapshot)
    for record in slow:
        merged.apply(record)
    for record in fine:
        if record.last_update_id <= merged.last_update_id:
            followed.apply(record)
    assert (merged.bids, merged.asks, merged.last_update_id) == (followed.bids, followed.asks, followed.last_update_id)
