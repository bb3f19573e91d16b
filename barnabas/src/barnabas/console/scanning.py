"""Scan a topic in one thread: a generator of pieces of JSON lines, which whoever reads it pulls at its own pace.

Forward scans read a chunk of each partition, show what they found by time, and go on. Newest goes backwards: the last
records of each partition are merged by time, so that the newest of all partitions come first, however unevenly they
are filled. With a filter, chunks grow while nothing is found. Live reads from the end on until it is stopped.
At least four times a second there is a piece, if only to say how far it is; nothing is read between two pulls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, Protocol

import msgspec

from barnabas.console.filters import Expression
from barnabas.console.merging import Merge, chunk
from barnabas.console.parts import Schemas
from barnabas.console.records import Formats, View

Seek = Literal["newest", "oldest", "offset", "time", "live"]
Reason = Literal["limit", "end", "stopped", "error", "time"]
_EVERY: Final = 0.25
_IDLE: Final = 1.0
_POLL: Final = 0.1
_SILENCE: Final = 15.0
_PIECE: Final = 64 * 1024
_BUDGET: Final = 48 << 20
_ROUND: Final = 16 << 20
_EOF: Final = -191
#: errors after which nothing comes any more: no such topic or partition, not allowed, not known
_FATAL: Final = frozenset({-190, -188, -169, 3, 17, 29, 58})


class Query(msgspec.Struct, frozen=True):
    """Say what is to be found. `bytes` is how much of each part is shown."""

    topic: str
    seek: Seek = "newest"
    limit: int = 100
    text: str = ""
    where: Expression | None = None
    formats: Formats = Formats()
    bytes: int = 4096

    @property
    def is_filtered(self) -> bool:
        """Tell whether records may be left out."""
        return bool(self.text) or self.where is not None


class Span(msgspec.Struct):
    """Hold what a partition has, and where the scan begins: the first offset, or for newest the end, exclusive."""

    begin: int
    end: int
    start: int


class Progress(msgspec.Struct, frozen=True, rename="camel", tag="progress", tag_field="t"):
    """Say how far a scan is; `bytes` are those of keys and values.

    `at` of a partition is the next offset; for newest: down to where all was seen.
    """

    scanned: str
    bytes: str
    matched: int
    elapsed_ms: int
    partitions: dict[str, dict[str, str]]
    errors: int
    last_error: str | None


class End(msgspec.Struct, frozen=True, rename="camel", tag="end", tag_field="t"):
    """Say why a scan ended and where it would go on."""

    reason: Reason
    message: str
    scanned: str
    bytes: str
    matched: int
    elapsed_ms: int
    partitions: dict[str, dict[str, str]]
    errors: int
    last_error: str | None
    next: dict[str, str]


class Source(Protocol):
    """Be what a scan reads from: `records.Reader`."""

    def assign(self, positions: dict[int, int]) -> None: ...

    def pause(self, partitions: Iterable[int]) -> None: ...

    def consume(self, seconds: float) -> list[Any]: ...


class _Ended(Exception):
    def __init__(self, reason: Reason, message: str = "") -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


class Scan:
    """Scan a topic once."""

    def __init__(
        self, source: Source, query: Query, spans: dict[int, Span], schemas: Schemas | None, seconds: float, *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._query, self._spans, self._schemas = source, query, spans, schemas
        self._seconds, self._clock = seconds, clock
        self._begun = self._told = self._heard = clock()
        self._until = math.inf if query.seek == "live" else self._begun + seconds  # stopped: before all times
        self._text = query.text.lower()
        self._scanned = self._bytes = self._matched = self._shown = self._errors = 0
        self._last_error: str | None = None
        self._at = {p: span.start for p, span in spans.items()}
        self._low = dict(self._at)
        self._latest: dict[int, int] = {}
        self._earliest: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._merge = Merge(query.limit, _BUDGET, newest=True)
        self.end: End | None = None
        """How it ended."""

    def stop(self) -> None:
        """End the scan soon; any thread may say so."""
        self._until = -math.inf

    def trouble(self, message: str) -> None:
        """Count an error of the client's."""
        self._errors += 1
        self._last_error = message

    def run(self) -> Iterator[list[bytes]]:
        """Give lines of JSON in pieces, records and progress; the last line is the end."""
        reason: Reason = "end"
        message = ""
        try:
            if self._query.seek == "newest":
                yield from self._newest()
            elif self._query.seek == "live":
                yield from self._live()
            else:
                yield from self._forward()
            reason = "limit" if self._shown >= self._query.limit else "end"
            if self._query.seek == "newest" and self._merge.is_cut:
                reason = "error"
                message = f"the newest {self._query.limit} records are too large for one page: it has {self._shown}"
        except _Ended as e:
            reason, message = e.reason, e.message
            if self._query.seek != "live":
                yield from self._emit(self._merge.take())
        following = {str(p): str(offset) for p, offset in sorted(self._merge.next_of(self._floors()).items())}
        self.end = End(reason, message, **self._state(), next=following)
        yield [encode(self.end)]

    # --- ways -----------------------------------------------------------------------------------------------

    def _forward(self) -> Iterator[list[bytes]]:
        left, number = self._query.limit, 0
        while left > 0:
            active = [p for p, span in self._spans.items() if self._at[p] < span.end]
            if not active:
                return
            size = chunk(len(active), left, number, filtered=self._query.is_filtered)
            self._merge = Merge(left, _BUDGET, newest=False)
            before = self._matched
            yield from self._read({p: (self._at[p], min(self._at[p] + size, self._spans[p].end)) for p in active})
            lines = self._merge.take()
            left -= len(lines)
            yield from self._emit(lines)
            if left > 0:  # what was too much for one round is read again; else the next page begins with it
                self._at = self._merge.next_of(self._at)
            number = number + 1 if self._matched - before < left else 0

    def _newest(self) -> Iterator[list[bytes]]:
        limit, number = self._query.limit, 0
        filtered = self._query.is_filtered
        active = [p for p, span in self._spans.items() if span.begin < span.start]
        while active and limit > 0:
            share = 1 if filtered else len(active)  # unfiltered, each partition may have all of the newest
            size = chunk(len(active), limit * share, number, filtered=filtered)
            ranges = {p: (max(self._spans[p].begin, self._low[p] - size), self._low[p]) for p in active}
            self._latest, self._earliest = {}, {}
            before = self._merge.copy()
            try:
                yield from self._read(ranges)
            except _Ended:  # chunks are read upwards: of one that is half read, the newest is what is missing
                self._merge = before
                raise
            for p, (low, _) in ranges.items():
                self._low[p] = low
            active = [p for p in active if self._goes_on(p, limit)]
            if filtered and active:
                # Later chunks are taken to be older: what is newer than all of them is shown while they are read.
                after = max(self._earliest.get(p, -1) for p in active)
                if all(p in self._earliest for p in active):
                    yield from self._emit(self._merge.take(after))
                if self._shown >= limit:
                    break
            number += 1
        yield from self._emit(self._merge.take())

    def _goes_on(self, partition: int, limit: int) -> bool:
        """Tell whether older records of a partition may be among the newest that are shown."""
        if self._low[partition] <= self._spans[partition].begin or self._counts.get(partition, 0) >= limit:
            return False
        floor = self._merge.floor
        latest = self._latest.get(partition)
        return not (self._merge.is_full and floor is not None and latest is not None and latest < floor)

    def _floors(self) -> dict[int, int]:
        return self._low if self._query.seek == "newest" else self._at

    def _live(self) -> Iterator[list[bytes]]:
        self._source.assign({p: span.start for p, span in self._spans.items()})
        while True:
            self._check()
            found: list[bytes] = []
            before = self._scanned
            for message in self._source.consume(_POLL):
                view = self._heed(message)
                if view is None:
                    continue
                self._at[view.partition] = view.offset + 1
                if self._wants(view):
                    self._shown += 1
                    found.append(encode(view.line(self._query.bytes)))
            if (line := self._due(_EVERY if self._scanned > before else _IDLE)) is not None:
                found.append(line)
            if found:
                yield found

    def _read(self, ranges: dict[int, tuple[int, int]]) -> Iterator[list[bytes]]:
        """Read offsets of partitions, up to what one round may hold; matches go to the merge."""
        active = {p for p, (low, high) in ranges.items() if low < high}
        forward = self._query.seek != "newest"
        self._heard = self._clock()
        self._source.assign({p: ranges[p][0] for p in active})
        while active:
            self._check()
            done: set[int] = set()
            for message in self._source.consume(_POLL):
                if message.error() is not None and message.error().code() == _EOF:
                    done.add(message.partition())
                    self._heard = self._clock()
                    continue
                if message.error() is None and message.partition() not in active - done:
                    continue
                if message.error() is None and message.offset() >= ranges[message.partition()][1]:
                    done.add(message.partition())
                    continue
                view = self._heed(message)
                if view is None:
                    continue
                self._note(view)
                if forward:
                    self._at[view.partition] = view.offset + 1
                if view.offset + 1 >= ranges[view.partition][1]:
                    done.add(view.partition)
            for partition in done & active:
                if forward:
                    self._at[partition] = max(self._at[partition], ranges[partition][1])
            active -= done
            if forward and self._merge.bytes > _ROUND:
                return
            if done and active:
                self._source.pause(done)
            if (line := self._due(_EVERY)) is not None:
                yield [line]

    # --- records --------------------------------------------------------------------------------------------

    def _heed(self, message: Any) -> View | None:
        """Return a record, None for what is none. Raises `_Ended` for an error that stays, and where it is time to."""
        error = message.error()
        if error is None:
            self._heard = self._clock()
            if self._heard > self._until:  # the record before may have waited for a registry
                raise self._over()
            view = View(message, self._query.formats, self._schemas)
            self._scanned += 1
            self._bytes += view.body
            return view
        if error.code() == _EOF:
            self._heard = self._clock()
            return None
        self.trouble(error.str())
        if error.code() in _FATAL:
            raise _Ended("error", error.str())
        return None

    def _wants(self, view: View) -> bool:
        found = (not self._text or view.holds(self._text)) and (
            self._query.where is None or self._query.where.matches(view.lookup)
        )
        if view.failed is not None:
            self.trouble(view.failed)
        if found:
            self._matched += 1
        return found

    def _note(self, view: View) -> None:
        p = view.partition
        self._latest[p] = max(self._latest.get(p, view.timestamp), view.timestamp)
        self._earliest[p] = min(self._earliest.get(p, view.timestamp), view.timestamp)
        if self._wants(view):
            self._counts[p] = self._counts.get(p, 0) + 1
            self._merge.add(view.order, encode(view.line(self._query.bytes)))

    def _emit(self, lines: list[bytes]) -> Iterator[list[bytes]]:
        self._shown += len(lines)
        piece: list[bytes] = []
        size = 0
        for line in lines:
            piece.append(line)
            size += len(line)
            if size >= _PIECE:
                yield piece
                piece, size = [], 0
        if piece:
            yield piece

    # --- how far --------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Raise `_Ended` where it is time to."""
        now = self._clock()
        if now > self._until:
            raise self._over()
        if self._query.seek != "live" and now - self._heard > _SILENCE:
            raise _Ended("error", self._last_error or f"the brokers have not answered for {_SILENCE:.0f} s")

    def _over(self) -> _Ended:
        if self._until == -math.inf:
            return _Ended("stopped")
        return _Ended("time", f"{self._seconds:.0f} s have passed: go on from here")

    def _due(self, every: float) -> bytes | None:
        now = self._clock()
        if now - self._told < every:
            return None
        self._told = now
        return encode(Progress(**self._state()))

    def _state(self) -> dict[str, Any]:
        at = self._floors()
        return {
            "scanned": str(self._scanned), "bytes": str(self._bytes), "matched": self._matched,
            "elapsed_ms": int((self._clock() - self._begun) * 1000),
            "partitions": {str(p): {"at": str(at[p]), "end": str(span.end)} for p, span in self._spans.items()},
            "errors": self._errors, "last_error": self._last_error,
        }


def encode(line: Any) -> bytes:
    """Write a line, without its end."""
    return msgspec.json.encode(line)
