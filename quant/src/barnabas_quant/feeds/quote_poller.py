"""The poller of level-1 quotes: asks over HTTP, again and again, and publishes what has changed.

A quote is published when its price or the day's volume is another than in the last record of its instrument; the
record's volume is what was added since. The last record of each instrument is read from the topic at the start, its
mark holds day, time and the day's volume, so that a restart neither repeats a quote nor counts a volume twice. Whoever
begins in the middle of a day does not know when the volume so far was traded: the first record has none. Quotes
without a trade on their day, and quotes older than the last one, are passed over.

A vendor that answers 403 or 429 is left alone at once; after other failures the remaining batches are tried first.
Pauses double up to a limit, shortened at random so that pollers do not meet; a longer `Retry-After` is kept.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from barnabas_quant.bus.marks import Mark, read_tails_of
from barnabas_quant.bus.producer import RecordProducer
from barnabas_quant.bus.topics import partition_counts
from barnabas_quant.errors import QuantError, RecordError
from barnabas_quant.feeds.level1 import Layout, Malformed, Quote, Unknown, parse_quotes, request_path
from barnabas_quant.feeds.trading_clock import is_open
from barnabas_quant.model.markets import Listing
from barnabas_quant.model.money import units
from barnabas_quant.model.stock import Stock, decode_stock, encode_stock

log = logging.getLogger(__name__)

MAX_BODY = 4 * 2**20
"""Bytes of the longest answer that is read."""

LONGEST_PAUSE = 60.0
"""Seconds between two tries after many failures."""

LONGEST_RETRY_AFTER = 900.0
"""Seconds that a vendor can make the poller wait."""

AHEAD = 600
"""Seconds that a quote may be ahead of the clock here."""

FLUSH_PATIENCE = 10.0

_HEADERS = {"Referer": "https://finance.sina.com.cn/", "User-Agent": "barnabas-quant"}  # Sina refuses without the first
_LIMITED = (403, 429)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """Say what is polled and how."""

    url: str
    """Base address: scheme, host, perhaps a path."""
    listings: tuple[Listing, ...]
    layout: Layout = "sina"
    seconds: float = 3.0
    """Between the beginnings of two rounds."""
    batch: int = 200
    """Instruments of one request at most."""
    timeout: float = 5.0
    """Seconds that an answer may take."""
    in_sessions: bool = False
    """Ask only while one of the markets trades, by the clock; holidays are not known."""


@dataclass(frozen=True, slots=True)
class Last:
    """Hold what was published last of an instrument: its time, its price in units, the day's shares by then."""

    time: str
    price: int
    shares: int


class _Failure(Exception):
    """Say why a request failed, whether the vendor wants to be left alone, and for how long it asks."""

    def __init__(self, reason: str, limited: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.limited = limited
        self.retry_after = retry_after


class QuotePoller:
    """Poll until `stop` is set."""

    def __init__(
        self,
        bootstrap: str,
        polling: Polling,
        stop: threading.Event,
        complain: Callable[[bytes, str, str], None],
        now: Callable[[], int] = time.time_ns,
        chance: random.Random | None = None,
        topic: str = Stock.topic,
    ) -> None:
        """Take where to write and what to poll; `complain` gets bytes that are no quote, why, and where from.

        Raises QuantError for an address that is none.
        """
        self._bootstrap = bootstrap
        self._polling = polling
        self._stop = stop
        self._complain = complain
        self._now = now
        self._topic = topic
        self._chance = chance or random.Random()
        try:
            self._client = httpx.Client(base_url=polling.url, headers=_HEADERS, timeout=polling.timeout)
        except (httpx.InvalidURL, ValueError) as error:
            raise QuantError(f"not an address to poll quotes from: {polling.url!r} ({error})") from error
        self._partitions = 0
        self._last: dict[Listing, Last] = {}
        self._seen: set[Listing] = set()  # by this run: the volume of a day that begins meanwhile is known
        self._bad: set[bytes] = set()  # malformed lines of the round before: not reported once more
        self._producer: RecordProducer | None = None
        self.published = 0
        self.unchanged = 0
        """Quotes that told nothing new, older ones and those without a trade among them."""
        self.failures = 0
        """Requests that failed, all in all."""
        self.state = "starting"
        """starting, polling, closed (the markets are), or why the last round failed."""

    def run(self) -> None:
        """Poll. Raises BusError."""
        self._partitions, self._last = last_quotes(self._bootstrap, self._topic, self._polling.listings)
        self._producer = RecordProducer(self._bootstrap, self._stop.is_set)
        in_a_row = 0
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                if self._polling.in_sessions and not self._any_open():
                    self.state = "closed"
                    self._stop.wait(self._polling.seconds)
                    continue
                failure = self._round()
                in_a_row = in_a_row + 1 if failure else 0
                if failure:
                    pause = max(self._back_off(in_a_row), failure.retry_after)
                    self.state = f"{failure}; the next try in {pause:.1f} s"
                    log.warning("%s: %s", self._polling.url, self.state)
                else:
                    pause = began + self._polling.seconds - time.monotonic()
                    self.state = "polling"
                self._stop.wait(max(0.0, pause))
        finally:
            self._client.close()
            if self._producer.flush(FLUSH_PATIENCE):
                self._producer.abandon()  # the next run publishes what has changed since the last acknowledged one

    def _any_open(self) -> bool:
        now = self._now() // 1000
        return any(is_open(venue, now) for venue in {listing.venue for listing in self._polling.listings})

    def _back_off(self, failures: int) -> float:
        longest = max(LONGEST_PAUSE, self._polling.seconds)
        return float(min(longest, self._polling.seconds * 2 ** min(failures, 20)) * (0.5 + self._chance.random() / 2))

    def _round(self) -> _Failure | None:
        """Ask for all instruments once; answer the last failure."""
        failure: _Failure | None = None
        bad: set[bytes] = set()
        every = self._polling.listings
        for at in range(0, len(every), self._polling.batch):
            if self._stop.is_set():
                break
            try:
                body = self._fetch(every[at : at + self._polling.batch])
            except _Failure as error:
                self.failures += 1
                failure = error
                if error.limited:
                    break
                continue
            for found in parse_quotes(body):
                self._take(found, bad)
        self._bad = bad
        return failure

    def _fetch(self, listings: Sequence[Listing]) -> bytes:
        try:
            with self._client.stream("GET", request_path(self._polling.layout, tuple(listings))) as answer:
                if answer.status_code != 200:
                    after = _retry_after(answer.headers, self._now())
                    raise _Failure(f"answered {answer.status_code}", answer.status_code in _LIMITED, after)
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise _Failure(f"an answer of more than {MAX_BODY} bytes")
                return body
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Failure(f"{type(error).__name__}: {error}") from error

    def _take(self, found: Quote | Unknown | Malformed, bad: set[bytes]) -> None:
        if isinstance(found, Quote):
            try:
                self._publish(found)
            except RecordError as error:
                found = Malformed(f"{found}".encode(), str(error))
        if isinstance(found, Malformed):
            bad.add(found.raw)
            if found.raw not in self._bad:
                self._complain(found.raw, found.reason, self._polling.url)
        elif isinstance(found, Unknown):
            log.debug("%s: %s is not known there", self._polling.url, found.text or "an instrument")

    def _publish(self, quote: Quote) -> None:
        """Publish a quote that tells something new. Raises RecordError."""
        assert self._producer is not None
        if quote.listing not in self._polling.listings:
            return
        watched = quote.listing in self._seen
        self._seen.add(quote.listing)
        last = self._last.get(quote.listing)
        if not quote.traded or (last is not None and quote.time < last.time):
            self.unchanged += 1
            return
        same_day = last is not None and last.time[:10] == quote.time[:10]
        before = last.shares if last is not None and same_day else 0
        price = units(quote.price)
        if last is not None and same_day and price == last.price and quote.shares <= before:
            self.unchanged += 1
            return
        # A correction downwards adds nothing.
        stock = quote.stock(max(0, quote.shares - before) if same_day or watched else None)
        if stock.event_time(0) // 1_000_000 > self._now() // 10**9 + AHEAD:
            raise RecordError(f"time: in the future: {quote.time}")
        shares = max(quote.shares, before)
        mark = Mark(_source(quote.listing), (*_sequence(quote.time), shares))
        partition = quote.listing.partition(self._partitions)
        self._producer.send(stock.key, self._topic, encode_stock(stock), mark, partition)
        self._last[quote.listing] = Last(quote.time, price, shares)
        self.published += 1


def last_quotes(bootstrap: str, topic: str, listings: Sequence[Listing]) -> tuple[int, dict[Listing, Last]]:
    """Give the topic's partitions, and what it holds last of each instrument. Raises BusError."""
    partitions = partition_counts(bootstrap, [topic])[topic]
    wanted: dict[tuple[str, int], list[str]] = {(topic, number): [] for number in range(partitions)}
    for listing in listings:
        wanted[topic, listing.partition(partitions)].append(_source(listing))
    found = read_tails_of(bootstrap, wanted)
    last: dict[Listing, Last] = {}
    for listing in listings:
        tail = found[topic, listing.partition(partitions)].get(_source(listing))
        if tail is None or len(tail.sequence) != 3:
            continue
        try:
            stock = decode_stock(tail.value)
        except RecordError:
            continue
        last[listing] = Last(stock.time, units(stock.price), tail.sequence[2])
    return partitions, last


def _source(listing: Listing) -> str:
    return f"level1-{listing.prefixed}"


def _sequence(time: str) -> tuple[int, int]:
    return int(time[:10].replace("-", "")), int(time[11:].replace(":", ""))


def _retry_after(headers: Mapping[str, str], now: int) -> float:
    """Read Retry-After, seconds or a date; 0 where there is none that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now / 10**9
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, min(seconds, LONGEST_RETRY_AFTER))
