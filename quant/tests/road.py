"""Accounts of a feed: what the exchange played, against what stands in the topics and in the gaps that were told.

Of trades every one must be there, once and in order. Of quotes and depth every frame is a row, or lies inside a gap
that was told, or (a quote) is no change; and no row lies inside a gap.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from barnabas_quant.bus import partition_counts, read_records
from barnabas_quant.feeds import BinanceDecoder, Capture
from barnabas_quant.model import Gap, Kline, OrderBook, Record, Tick, Trade

PATIENCE = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@dataclass
class Process:
    """A process that can be killed and started again with the same words."""

    command: list[str]
    log: Path
    answers: Callable[[], bool]
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        with self.log.open("ab") as output:
            self.running = subprocess.Popen(self.command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            assert self.running.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"no answer: {self.log.read_text()}"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        assert self.running is not None
        self.running.kill()
        self.running.wait()

    def end(self) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(signal.SIGTERM)
            self.running.wait(PATIENCE)


def fetches(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Road:
    """An exchange that plays a capture, and a live feed that writes it into a Kafka."""

    folder: Path
    bootstrap: str
    capture: Path
    exchange: Process
    feed: Process
    rest: str
    decoded: dict[type[Record], list[Any]] = field(default_factory=lambda: defaultdict(list))

    def order(self, name: str, **order: object) -> None:
        answer = httpx.post(f"{self.rest}/control/{name}", json=order, timeout=10)
        assert answer.status_code == 200, answer.text

    def frames(self) -> int:
        return int(httpx.get(f"{self.rest}/control", timeout=10).json()["play"]["frames"])

    def wait_for_frames(self, frames: int) -> None:
        eventually(lambda: self.frames() >= frames)

    def wait_until_played(self) -> None:
        eventually(lambda: httpx.get(f"{self.rest}/control", timeout=10).json()["play"]["state"] == "played")

    def wait_until_told(self, kind: type[Record], count: int) -> None:
        """Wait until a topic holds as many records."""
        eventually(lambda: len(self.records(kind)) >= count)

    def records(self, kind: type[Record]) -> list[Any]:
        """Read a topic's records, in order for each symbol."""
        counts = partition_counts(self.bootstrap, [kind.topic])
        decode = msgspec.json.Decoder(kind).decode
        return [decode(bytes(message.value() or b"")) for message in read_records(self.bootstrap, counts)]

    def account(self) -> dict[str, int]:
        """Hold the topics against the capture; give what was counted. Fails where something is missing or twice."""
        played = played_frames(self.capture)
        gaps: dict[tuple[str, str], list[Gap]] = defaultdict(list)
        for gap in self.records(Gap):
            gaps[gap.symbol, gap.stream].append(gap)
        counted = {"trades": 0, "quotes": 0, "diffs": 0, "unchanged": 0, "missed quotes": 0, "missed diffs": 0}
        ticks, trades, books = self.records(Tick), self.records(Trade), self.records(OrderBook)
        for symbol, streams in played.items():
            expected = [(t.trade_id, t.price, t.quantity, t.buyer_is_maker, t.trade_time) for t in streams[Trade]]
            found = [
                (t.trade_id, t.price, t.quantity, t.buyer_is_maker, t.trade_time) for t in trades if t.symbol == symbol
            ]
            assert found == expected, f"trades of {symbol}"
            told = [t.update_id for t in ticks if t.symbol == symbol and t.kind == "trade"]
            assert told == [one[0] for one in expected], f"trade ticks of {symbol}"
            assert not [gap for gap in gaps[symbol, "trade"] if not gap.filled]
            counted["trades"] += len(found)
            self._account_quotes(symbol, streams[Tick], ticks, gaps[symbol, "bookTicker"], counted)
            self._account_diffs(symbol, streams[OrderBook], books, gaps[symbol, "depth"], counted)
        self._account_klines(played)
        return counted

    def _account_quotes(
        self, symbol: str, frames: list[Any], ticks: list[Any], gaps: list[Gap], counted: dict[str, int]
    ) -> None:
        mine = [tick for tick in ticks if tick.symbol == symbol and tick.kind == "quote"]
        rows = [(tick.update_id, tick.bid, tick.bid_size, tick.ask, tick.ask_size) for tick in mine]
        expected, best = [], None
        for frame in frames:
            quote = (frame.bid, frame.bid_size, frame.ask, frame.ask_size)
            if inside(frame.update_id, gaps):
                counted["missed quotes"] += 1
                best = None
            elif quote == best:
                counted["unchanged"] += 1
            else:
                expected.append((frame.update_id, *quote))
                best = quote
        assert rows == expected, f"quotes of {symbol}: {first_difference(rows, expected)}"
        counted["quotes"] += len(rows)

    def _account_diffs(
        self, symbol: str, frames: list[Any], books: list[Any], gaps: list[Gap], counted: dict[str, int]
    ) -> None:
        rows = [
            (b.first_update_id, b.last_update_id, b.bids, b.asks)
            for b in books
            if b.symbol == symbol and b.type == "diff"
        ]
        expected = []
        for frame in frames:
            if inside(frame.last_update_id, gaps):
                counted["missed diffs"] += 1
            else:
                expected.append((frame.first_update_id, frame.last_update_id, frame.bids, frame.asks))
        assert rows == expected, f"diffs of {symbol}: {first_difference(rows, expected)}"
        counted["diffs"] += len(rows)

    def _account_klines(self, played: dict[str, dict[type[Record], list[Any]]]) -> None:
        found = defaultdict(list)
        for kline in self.records(Kline):
            if kline.source == "venue":
                found[kline.symbol].append(kline)
        for symbol, streams in played.items():
            closed = [kline for kline in streams[Kline] if kline.closed]
            rows = [kline for kline in found[symbol] if kline.closed]
            assert [bar(kline) for kline in rows] == [bar(kline) for kline in closed], f"candles of {symbol}"
            times = [(kline.open_time, kline.closed, kline.event_time) for kline in found[symbol]]
            assert times == sorted(set(times)), f"candles of {symbol} twice or out of order"


def bar(kline: Kline) -> tuple[object, ...]:
    """Give what a closed candle says, without when it came."""
    return (kline.open_time, kline.open, kline.high, kline.low, kline.close, kline.volume, kline.trades)


def inside(number: int, gaps: list[Gap]) -> bool:
    return any((gap.last_id is None or gap.last_id < number) and number < gap.next_id for gap in gaps)


def first_difference(rows: list[Any], expected: list[Any]) -> str:
    for number, (row, wanted) in enumerate(zip(rows, expected, strict=False)):
        if row != wanted:
            return f"{len(rows)} rows, {len(expected)} expected; at {number}: {row} instead of {wanted}"
    return f"{len(rows)} rows, {len(expected)} expected; {(rows + expected)[-1:]}"


def played_frames(capture: Path) -> dict[str, dict[type[Record], list[Any]]]:
    """Decode a capture frame by frame: by symbol, quotes (each frame, changed or not), trades, diffs, candles."""
    source = Capture(capture)
    streams: dict[str, dict[type[Record], list[Any]]] = defaultdict(lambda: defaultdict(list))
    for frame in source.frames(lambda number, reason: None):
        for record in BinanceDecoder(source.exchange).records(frame):  # a fresh one: every quote is a change
            if isinstance(record, Tick) and record.kind == "trade":
                continue
            if isinstance(record, OrderBook) and record.type == "snapshot":
                continue
            streams[record.symbol][type(record)].append(record)
    return streams


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@contextlib.contextmanager
def road(folder: Path, bootstrap: str, capture: Path, speed: float, *exchange_options: str) -> Iterator[Road]:
    """Start an exchange and a feed on a Kafka; the capture begins once the feed listens to all of it."""
    symbols = sorted(played_frames(capture))
    port, metrics = free_port(), free_port()
    rest = f"http://127.0.0.1:{port}"
    config = folder / "road.toml"
    config.write_text(
        f'kafka = "{bootstrap}"\nexchange_listen = "127.0.0.1:{port}"\n'
        f"[venues.binance]\nsymbols = {symbols!r}\n".replace("'", '"')
    )
    quant = [sys.executable, "-m"]
    exchange = Process(
        [*quant, "barnabas_quant.exchange", "--listen", f"127.0.0.1:{port}", "--capture", str(capture),
         "--speed", str(speed), "--start", "subscribed", *exchange_options],
        folder / "exchange.log", lambda: fetches(f"{rest}/api/v3/ping"),
    )  # fmt: skip
    feed = Process(
        [*quant, "barnabas_quant", "run", "feed-binance", "--config", str(config), "--data", str(folder),
         "--metrics", f"127.0.0.1:{metrics}"],
        folder / "feed.log", lambda: fetches(f"http://127.0.0.1:{metrics}/metrics"),
    )  # fmt: skip
    made = Road(folder, bootstrap, capture, exchange, feed, rest)
    try:
        exchange.start()
        feed.start()
        yield made
    finally:
        feed.end()
        exchange.end()
        if os.environ.get("ROAD_LOGS"):
            print((folder / "feed.log").read_text())
