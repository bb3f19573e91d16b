"""Scans of logs with gaps, against what a sort would give; and the bounds: time, silence, errors that stay."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.console.filters import parse
from barnabas.console.parts import Undecodable
from barnabas.console.scanning import Query, Scan, Span

from .properties import relaxed

EOF = -191


class Error:
    def __init__(self, code: int, text: str = "") -> None:
        self._code, self._text = code, text

    def code(self) -> int:
        return self._code

    def str(self) -> str:
        return self._text


class Message:
    """Be what confluent-kafka gives: a record, or an error."""

    def __init__(self, partition: int, offset: int, time: int = 0, error: Error | None = None) -> None:
        self._partition, self._offset, self._time, self._error = partition, offset, time, error

    def error(self) -> Error | None:
        return self._error

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, self._time

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b'{"n": %d}' % self._offset

    def headers(self) -> None:
        return None


class Log:
    """Hold partitions whose offsets have gaps, and give what a consumer would: in turns, with an end of each."""

    def __init__(self, partitions: dict[int, list[tuple[int, int]]], at_once: int) -> None:
        self._all = {p: [Message(p, offset, time) for offset, time in those] for p, those in partitions.items()}
        self._at_once = at_once
        self._queues: dict[int, list[Message]] = {}

    def assign(self, positions: dict[int, int]) -> None:
        self._queues = {
            p: [*(m for m in self._all[p] if m.offset() >= offset), Message(p, 1 << 40, error=Error(EOF))]
            for p, offset in positions.items()
        }

    def pause(self, partitions: Iterable[int]) -> None:
        for p in partitions:
            self._queues.pop(p, None)

    def consume(self, seconds: float) -> list[Any]:
        found = []
        for queue in self._queues.values():
            found += queue[: self._at_once]
            del queue[: self._at_once]
        return found


@st.composite
def logs(draw: st.DrawFn) -> dict[int, list[tuple[int, int]]]:
    """Draw partitions: offsets with gaps, times that do not go back."""
    found = {}
    for p in range(draw(st.integers(1, 4))):
        gaps = draw(st.lists(st.integers(1, 40), max_size=25))
        steps = draw(st.lists(st.integers(0, 5), min_size=len(gaps), max_size=len(gaps)))
        offset = time = 0
        rows = []
        for gap, step in zip(gaps, steps, strict=True):
            offset, time = offset + gap, time + step
            rows.append((offset, time))
        found[p] = rows
    return found


def scan(log: dict[int, list[tuple[int, int]]], query: Query, at_once: int) -> tuple[list[tuple[int, int]], Any]:
    ends = {p: (rows[-1][0] + 5 if rows else 0) for p, rows in log.items()}  # marks of transactions stand at the end
    newest = query.seek == "newest"
    spans = {p: Span(0, end, end if newest else 0) for p, end in ends.items()}
    lines = [json.loads(line) for piece in Scan(Log(log, at_once), query, spans, None, 60).run() for line in piece]
    return [(line["partition"], int(line["offset"])) for line in lines if line["t"] == "record"], lines[-1]


@relaxed
@given(logs(), st.integers(1, 30), st.integers(1, 9), st.booleans())
def test_newest_is_what_a_sort_gives(
    log: dict[int, list[tuple[int, int]]], limit: int, at_once: int, filtered: bool
) -> None:
    where = parse("value.n != 7 && value.n != 8") if filtered else None
    found, end = scan(log, Query("t", limit=limit, where=where), at_once)
    everything = [
        (time, p, offset) for p, rows in log.items() for offset, time in rows if not filtered or offset not in (7, 8)
    ]
    expected = [(p, offset) for _, p, offset in sorted(everything, reverse=True)[:limit]]
    assert sorted(found) == sorted(expected)
    if not filtered:
        assert found == expected
    assert end["reason"] == ("limit" if len(found) == limit else "end")


@relaxed
@given(logs(), st.integers(1, 30), st.integers(1, 9))
def test_forward_pages_give_every_record_once(
    log: dict[int, list[tuple[int, int]]], limit: int, at_once: int
) -> None:
    ends = {p: (rows[-1][0] + 5 if rows else 0) for p, rows in log.items()}
    at = dict.fromkeys(log, 0)
    seen: list[tuple[int, int]] = []
    for _ in range(200):
        spans = {p: Span(0, ends[p], at[p]) for p in log}
        source = Log(log, at_once)
        lines = [
            json.loads(line)
            for piece in Scan(source, Query("t", seek="oldest", limit=limit), spans, None, 60).run() for line in piece
        ]
        seen += [(line["partition"], int(line["offset"])) for line in lines if line["t"] == "record"]
        at = {int(p): int(offset) for p, offset in lines[-1]["next"].items()}
        if lines[-1]["reason"] == "end":
            break
    assert sorted(seen) == sorted((p, offset) for p, rows in log.items() for offset, _ in rows)


class Ticking(Log):
    """Take a second of its clock for each look."""

    now = 0.0

    def consume(self, seconds: float) -> list[Any]:
        self.now += 1
        return super().consume(seconds)


def broken_off(
    log: dict[int, list[tuple[int, int]]], query: Query, at_once: int, seconds: float
) -> tuple[list[tuple[int, int]], Any]:
    """Read newest for so long, and then on from there to the first; return what was shown, and the first end."""
    ends = {p: rows[-1][0] + 1 if rows else 0 for p, rows in log.items()}
    at, seen, first = ends, [], None
    for _ in range(200):
        source = Ticking(log, at_once)
        spans = {p: Span(0, ends[p], at[p]) for p in log}
        made = Scan(source, query, spans, None, 1e9 if first else seconds, clock=lambda: source.now)  # noqa: B023
        lines = [json.loads(line) for piece in made.run() for line in piece]
        seen += [(line["partition"], int(line["offset"])) for line in lines if line["t"] == "record"]
        first = first or lines[-1]
        if lines[-1]["reason"] == "end":
            break
        at = {int(p): int(offset) for p, offset in lines[-1]["next"].items()}
    return seen, first


@relaxed
@given(logs(), st.integers(1, 5), st.integers(1, 3), st.integers(0, 30))
def test_newest_that_time_ends_goes_on_where_all_was_seen(
    log: dict[int, list[tuple[int, int]]], limit: int, at_once: int, seconds: int
) -> None:
    seen, _ = broken_off(log, Query("t", limit=limit), at_once, seconds)
    assert sorted(seen) == sorted((p, offset) for p, rows in log.items() for offset, _ in rows)


@pytest.mark.parametrize("seconds", range(1, 25, 2))
def test_a_filter_that_time_ends_leaves_no_match_out(seconds: int) -> None:
    log = {0: [(n, n) for n in range(8000)]}
    seen, first = broken_off(log, Query("t", limit=1000, where=parse("value.n < 6000")), 200, seconds)
    assert seen == [(0, n) for n in reversed(range(6000))]
    assert first["reason"] == "time"


@pytest.mark.parametrize("seek", ["newest", "oldest"])
def test_time_and_stop_are_heeded_between_records(seek: Any) -> None:
    class Late:
        """Be a registry that is slow to answer."""

        has_ids = True

        def by_id(self, number: int) -> Any:
            source.now += 3
            if number == 2:
                made.stop()
            raise Undecodable("no answer")

        def of_subject(self, subject: str) -> None:
            return None

    def messages(first: int) -> list[Message]:
        found = [Message(0, n) for n in range(50)]
        for message in found:
            message.value = lambda: b"\0\0\0\0" + bytes([first])  # type: ignore[method-assign]
        return found

    for first, reason in ((1, "time"), (2, "stopped")):
        source = Endless(messages(first))
        spans = {0: Span(0, 50, 50 if seek == "newest" else 0)}
        made = Scan(source, Query("t", seek=seek), spans, Late(), 2, clock=lambda: source.now)  # noqa: B023
        list(made.run())
        assert made.end is not None
        assert (made.end.reason, made.end.scanned) == (reason, "1")


class Endless(Log):
    """Give records for ever, a second of the clock for each look."""

    def __init__(self, messages: list[Message]) -> None:
        self.now = 0.0
        self._messages = messages
        self._next = 0

    def assign(self, positions: dict[int, int]) -> None:
        """Take any."""

    def consume(self, seconds: float) -> list[Any]:
        self.now += 1
        self._next += 1
        return self._messages or [Message(0, self._next)]


def ended(source: Endless, *, seek: Any = "oldest", stop_after: int | None = None) -> Any:
    made = Scan(
        source, Query("t", seek=seek, where=parse("value.n < 0")), {0: Span(0, 1 << 30, 0)}, None, 60,
        clock=lambda: source.now,
    )
    for number, _ in enumerate(made.run()):
        if stop_after is not None and number >= stop_after:
            made.stop()
    return made.end


def test_a_filter_that_finds_nothing_ends_with_time() -> None:
    end = ended(Endless([]))
    assert end.reason == "time"
    assert 55 <= int(end.scanned) <= 65
    assert int(end.next["0"]) == int(end.scanned) + 1  # where the next page begins


def test_silence_is_an_error() -> None:
    class Silent(Endless):
        def consume(self, seconds: float) -> list[Any]:
            self.now += 1
            return []

    end = ended(Silent([]))
    assert (end.reason, end.elapsed_ms) == ("error", 16_000)


@pytest.mark.parametrize("code", [3, 29, -190])
def test_errors_that_stay_end_it(code: int) -> None:
    end = ended(Endless([Message(0, 0, error=Error(code, "no such thing"))]))
    assert (end.reason, end.message, end.errors) == ("error", "no such thing", 1)


def test_errors_that_pass_are_counted_and_live_goes_on() -> None:
    end = ended(Endless([Message(0, 0, error=Error(-195, "connection lost"))]), seek="live", stop_after=5)
    assert end.reason == "stopped"
    assert end.errors > 5
    assert end.last_error == "connection lost"
