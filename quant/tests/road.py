"""Accounts of a feed: what the exchange played, against what stands in the topics and in the gaps that were told.

Of trades every one must be there, once and in order. Of quotes and depth every frame is a row, or lies inside a gap
that was told, or (a quote) is no change; and no row lies inside a gap. A market that was running before the feed, and
runs on after it, is accounted for from the first row to the last one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec

from barnabas_quant.bus import partition_counts, read_records
from barnabas_quant.exchange.binance_rest import aggregate_of
from barnabas_quant.exchange.futures import futures_message, futures_snapshot
from barnabas_quant.exchange.messages import Trade as SpotTrade
from barnabas_quant.exchange.messages import decode, decode_snapshot, encode, stream_kind
from barnabas_quant.exchange.play import EPOCH, instruments, places_of, split
from barnabas_quant.feeds import BinanceDecoder, Capture, Frame, Instrument, Simulator
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.model import Gap, Kline, OrderBook, Record, Tick, Trade
from barnabas_quant.model.money import total_units
from testkit.ports import free_ports

from .conftest import PATIENCE, eventually

Streams = dict[str, dict[type[Record], list[Any]]]
"""What was played, by symbol and type of record."""


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
            try:
                self.running.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


def fetches(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Road:
    """An exchange that plays, and a live feed that writes it into a Kafka."""

    folder: Path
    bootstrap: str
    played: Callable[[], Streams]
    exchange: Process
    feed: Process
    rest: str
    whole: bool = True
    """Whether the feed listened from the first frame to the last one."""
    trade_stream: str = "trade"
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
        """Hold the topics against what was played; give what was counted. Fails where something is missing or twice."""
        played = self.played()
        gaps: dict[tuple[str, str], list[Gap]] = defaultdict(list)
        for gap in self.records(Gap):
            gaps[gap.symbol, gap.stream].append(gap)
        counted = {"trades": 0, "quotes": 0, "diffs": 0, "unchanged": 0, "missed quotes": 0, "missed diffs": 0}
        ticks, trades, books = self.records(Tick), self.records(Trade), self.records(OrderBook)
        for symbol, streams in played.items():
            found = [trade for trade in trades if trade.symbol == symbol]
            expected = self._between(streams[Trade], found, lambda trade: trade.trade_id)
            assert list(map(self._trade, found)) == list(map(self._trade, expected)), f"trades of {symbol}"
            told = [t for t in ticks if t.symbol == symbol and t.kind == "trade"]
            paid = [(trade.trade_id, trade.price) for trade in found]
            assert [(tick.update_id, tick.price) for tick in told] == paid, f"ticks of {symbol}"
            assert not [gap for gap in gaps[symbol, self.trade_stream] if not gap.filled]
            counted["trades"] += len(found)
            self._account_quotes(symbol, streams[Tick], ticks, gaps[symbol, "bookTicker"], counted)
            self._account_diffs(symbol, streams[OrderBook], books, gaps[symbol, "depth"], counted)
        if self.whole:
            self._account_klines(played)
        return counted

    def _between(self, frames: list[Any], rows: list[Any], number: Callable[[Any], int]) -> list[Any]:
        if self.whole:
            return frames
        assert rows
        return [frame for frame in frames if number(rows[0]) <= number(frame) <= number(rows[-1])]

    def _trade(self, trade: Trade) -> tuple[object, ...]:
        amounts = self._amount(trade.price), self._amount(trade.quantity)
        return (trade.trade_id, *amounts, trade.buyer_is_maker, trade.trade_time)

    def _amount(self, text: str) -> object:
        """Give an amount as it stands; as a number where the venue tells the market with fewer decimal places."""
        return text if self.whole else total_units(text)

    def _best(self, quote: Any) -> tuple[object, ...]:
        return tuple(map(self._amount, (quote.bid, quote.bid_size, quote.ask, quote.ask_size)))

    def _levels(self, levels: list[Any]) -> list[tuple[object, object]]:
        return [(self._amount(price), self._amount(size)) for price, size in levels]

    def _account_quotes(
        self, symbol: str, frames: list[Any], ticks: list[Any], gaps: list[Gap], counted: dict[str, int]
    ) -> None:
        mine = [tick for tick in ticks if tick.symbol == symbol and tick.kind == "quote"]
        rows = [(tick.update_id, *self._best(tick)) for tick in mine]
        expected, best = [], None
        for frame in self._between(frames, mine, lambda tick: tick.update_id):
            quote = self._best(frame)
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
        mine = [book for book in books if book.symbol == symbol and book.type == "diff"]
        rows = [self._diff(book) for book in mine]
        expected = []
        for frame in self._between(frames, mine, lambda book: book.last_update_id):
            if inside(frame.last_update_id, gaps):
                counted["missed diffs"] += 1
            else:
                expected.append(self._diff(frame))
        assert rows == expected, f"diffs of {symbol}: {first_difference(rows, expected)}"
        counted["diffs"] += len(rows)

    def _diff(self, book: OrderBook) -> tuple[object, ...]:
        return (book.first_update_id, book.last_update_id, self._levels(book.bids), self._levels(book.asks))

    def _account_klines(self, played: Streams) -> None:
        found = defaultdict(list)
        for kline in self.records(Kline):
            if kline.source == "venue":
                found[kline.symbol, kline.interval].append(kline)
        told = defaultdict(list)
        for streams in played.values():
            for kline in streams[Kline]:
                told[kline.symbol, kline.interval].append(kline)
        for series in found.keys() | told.keys():
            rows = [bar(kline) for kline in found[series] if kline.closed]
            assert rows == [bar(kline) for kline in told[series] if kline.closed], f"candles of {series}"
            times = [(kline.open_time, kline.closed, kline.event_time) for kline in found[series]]
            wrong = [(before, after) for before, after in pairwise(times) if before >= after]
            assert not wrong, f"candles of {series} twice or out of order: {wrong}"


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


def played_frames(capture: Path) -> Streams:
    """Decode a capture frame by frame: quotes (each frame, changed or not), trades, diffs, candles."""
    source = Capture(capture)
    return decoded(source.exchange, source.frames(lambda number, reason: None))


def decoded(exchange: str, frames: Iterable[Frame]) -> Streams:
    streams: Streams = defaultdict(lambda: defaultdict(list))
    for frame in frames:
        for record in BinanceDecoder(exchange).records(frame):  # a fresh one: every quote is a change
            if isinstance(record, Tick) and record.kind == "trade":
                continue
            if isinstance(record, OrderBook) and record.type == "snapshot":
                continue
            streams[record.symbol][type(record)].append(record)
    return streams


def simulated_frames(seed: int, count: int, begin: float, spelling: Callable[[str], str]) -> Streams:
    """Make again what the simulated market has played since `begin` (seconds since 1970), in spot's own words."""
    streams: Streams = defaultdict(lambda: defaultdict(list))
    for number in range((int(begin * 1000) - EPOCH) // 60_000, (int(time.time() * 1000) - EPOCH) // 60_000 + 1):
        minute = Simulator(seed, instruments(count)).minute(number, EPOCH + number * 60_000)
        for symbol, kinds in decoded("binance", minute).items():
            for kind, records in kinds.items():
                streams[spelling(symbol)][kind] += records
    return streams


def write_futures(path: Path, traded: Iterable[Instrument], frames: Iterable[Frame]) -> None:
    """Write a minute of the simulated spot market as a capture of the futures market."""
    places = {instrument.symbol: places_of(instrument) for instrument in traded}

    def told() -> Iterator[Frame]:
        for frame in frames:
            at = frame.received // 10**6
            if frame.symbol is not None:
                spot = decode_snapshot(frame.text)
                # The first diff has to span the snapshot's id: the venue's rule.
                snapshot = futures_snapshot(msgspec.structs.replace(spot, last=spot.last + 1), places[frame.symbol], at)
                yield Frame(frame.sequence, frame.received, encode(snapshot), frame.symbol)
                continue
            name, payload = split(frame.text)
            message = decode(stream_kind(name), payload, futures=False)
            assert message is not None
            if isinstance(message, SpotTrade):
                message, name = aggregate_of(message), name.replace("@trade", "@aggTrade")
            future = futures_message(message, places[message.symbol], at)
            yield Frame(frame.sequence, frame.received, b'{"stream":"%s","data":%s}' % (name.encode(), encode(future)))

    write_capture(path, told())


@contextlib.contextmanager
def road(folder: Path, bootstrap: str, capture: Path, speed: float, *exchange_options: str) -> Iterator[Road]:
    """Start an exchange and a feed on a Kafka; the capture begins once the feed listens to all of it."""
    played = played_frames(capture)
    options = ["--capture", str(capture), "--speed", str(speed), "--start", "subscribed", *exchange_options]
    with _road(folder, bootstrap, Capture(capture).exchange, sorted(played), lambda: played, options) as made:
        yield made


@contextlib.contextmanager
def running_road(
    folder: Path, bootstrap: str, exchange: str, symbols: list[str], seed: int, *more: str, history: int = 0
) -> Iterator[Road]:
    """Start an exchange that plays the simulated market as time goes by, and a feed."""
    begin = time.time() - 60
    spelled = {symbol.replace("-", ""): symbol for symbol in symbols}

    def played() -> Streams:
        return simulated_frames(seed, len(symbols), begin, lambda symbol: spelled[symbol])

    options = ["--venues", exchange, "--seed", str(seed), "--symbols", str(len(symbols)), "--backlog", "1"]
    with _road(folder, bootstrap, exchange, symbols, played, options, *more, history=history) as made:
        made.whole = False
        yield made


@contextlib.contextmanager
def _road(
    folder: Path, bootstrap: str, exchange: str, symbols: list[str], played: Callable[[], Streams],
    options: list[str], *more: str, history: int = 0,
) -> Iterator[Road]:  # fmt: skip
    port, metrics = free_ports(2)
    rest = f"http://127.0.0.1:{port}"
    config = folder / "road.toml"
    config.write_text(
        f'kafka = "{bootstrap}"\nexchange_listen = "127.0.0.1:{port}"\n'
        f"[venues.{exchange}]\nsymbols = {symbols!r}\nhistory = {history}\n".replace("'", '"')
        + "".join(f"{line}\n" for line in more)
    )
    quant = [sys.executable, "-m"]
    exchanging = Process(
        [*quant, "barnabas_quant.exchange", "--listen", f"127.0.0.1:{port}", *options],
        folder / "exchange.log", lambda: fetches(f"{rest}/control"),
    )  # fmt: skip
    feed = Process(
        [*quant, "barnabas_quant", "run", f"feed-{exchange.replace('_', '-')}", "--config", str(config),
         "--data", str(folder), "--metrics", f"127.0.0.1:{metrics}"],
        folder / "feed.log", lambda: fetches(f"http://127.0.0.1:{metrics}/metrics"),
    )  # fmt: skip
    made = Road(folder, bootstrap, played, exchanging, feed, rest)
    made.trade_stream = "aggTrade" if exchange == "binance_usdm" else "trade"
    try:
        exchanging.start()
        feed.start()
        yield made
    finally:
        try:
            feed.end()
        finally:
            exchanging.end()
            if os.environ.get("ROAD_LOGS"):
                print((folder / "feed.log").read_text())
