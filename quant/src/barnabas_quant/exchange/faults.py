"""Faults on command: what goes out is dropped, spoiled, delayed, frozen, and REST requests are refused.

Each command makes one entry in the log. An entry tells the exact places: stream and ids of every frame that was
withheld or sent spoiled, so that a test can account for every frame. A frame meets one fault at most: orders for the
same stream wait for one another. Streams are named by a pattern (`*`, `?`), over
`VENUE:NAME` or the name alone: `*@depth@100ms`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec import Struct, field

from barnabas_quant.exchange.garbage import KINDS, spoiled
from barnabas_quant.exchange.hub import Made
from barnabas_quant.exchange.ledger import digest


class Place(Struct):
    """Name a frame that a fault met."""

    stream: str
    first: int
    last: int
    what: str
    """skipped, lost (frozen away), garbage (sent as well), replaced, repeated, late (sent after the next one)."""
    payload_digest: str | None = None
    """Digest of what was sent in its place, where something was."""


class Entry(Struct):
    """Describe one fault in the log."""

    id: int
    fault: str
    at: int
    """When it was ordered, milliseconds since 1970."""
    order: dict[str, Any]
    done: bool = False
    places: list[Place] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)


class FaultError(Exception):
    """Say what is wrong with an order."""


class Faults:
    """Hold the faults in force and their log."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.log: list[Entry] = []
        self._streams: list[_OnStream] = []
        self._freezes: list[_Freeze] = []
        self.seconds = 0.0
        """How long everything is held back: frames, and answers of the REST interfaces."""
        self._delayed: Entry | None = None
        self._answers: list[_Answers] = []
        self._refusal: _Refusal | None = None

    def enter(self, fault: str, order: dict[str, Any], **detail: Any) -> Entry:
        """Write a fault into the log."""
        entry = Entry(len(self.log) + 1, fault, time.time_ns() // 10**6, order, detail=detail)
        self.log.append(entry)
        return entry

    # what goes out

    @property
    def active(self) -> bool:
        return bool(self._streams or self._freezes or self.seconds)

    def spoil(self, made: Made) -> Iterable[Made]:
        out = [made]
        for freeze in self._freezes:
            if freeze.lossy and freeze.matches(made):
                freeze.entry.places.append(Place(made.stream, made.first, made.last, "lost"))
                return []
        for fault in self._streams:
            if fault.matches(made):
                out = fault.apply(made)
                break
        if any(fault.entry.done for fault in self._streams):
            self._streams = [fault for fault in self._streams if not fault.entry.done]
        return out

    def delay(self, made: Made) -> float:
        return self.seconds

    def frozen(self, stream: str) -> bool:
        return any(freeze.matches_key(stream) for freeze in self._freezes if not freeze.lossy)

    def skip(self, order: dict[str, Any]) -> Entry:
        """Withhold the next `frames` frames of `stream`."""
        pattern, count = _pattern(order), _count(order, "frames", 1)
        entry = self.enter("skip", order)
        self._streams.append(_Skip(entry, pattern, count))
        return entry

    def garbage(self, order: dict[str, Any]) -> Entry:
        """Spoil the next `frames` frames of `stream`: `kind`, and `instead` of them or (default) as well."""
        kind = order.get("kind")
        if kind not in (*KINDS, "duplicate", "out_of_order"):
            raise FaultError(f"kind: one of {', '.join((*KINDS, 'duplicate', 'out_of_order'))}")
        pattern, count = _pattern(order), _count(order, "frames", 1)
        entry = self.enter("garbage", order)
        if kind == "out_of_order":
            self._streams.append(_Late(entry, pattern, count))
        else:
            self._streams.append(_Garbage(entry, pattern, count, str(kind), bool(order.get("instead", False))))
        return entry

    def delay_all(self, order: dict[str, Any]) -> Entry:
        """Hold back every frame and every REST answer for `seconds`; 0 ends it."""
        self.seconds = _number(order, "seconds", 0.0)
        if self._delayed is not None:
            self._delayed.done = True
        entry = self._delayed = self.enter("delay", order)
        entry.done = not self.seconds
        return entry

    def freeze(self, order: dict[str, Any]) -> Entry:
        """Send nothing of `stream` (default all) until the thaw; `lose` what is made meanwhile, or keep it."""
        entry = self.enter("freeze", order)
        self._freezes.append(_Freeze(entry, str(order.get("stream", "*")), bool(order.get("lose", False))))
        return entry

    def thaw(self) -> None:
        """End every freeze."""
        for freeze in self._freezes:
            freeze.entry.done = True
        self._freezes = []

    # requests and connections

    def answer_with(self, order: dict[str, Any]) -> Entry:
        """Answer the next `requests` REST requests with `status`, where the path begins with `path`."""
        status = order.get("status")
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise FaultError("status: 400 to 599")
        requests, path = _count(order, "requests", 1), str(order.get("path", "/"))
        retry_after, delay = _number(order, "retry_after", 1.0), _number(order, "delay", 0.0)
        entry = self.enter("rest", order, answered=[])
        self._answers.append(_Answers(entry, status, requests, path, retry_after, delay))
        return entry

    def answer_for(self, path: str) -> tuple[int, float, float] | None:
        """Give status, Retry-After and delay that a request is to get; None where none."""
        for answers in self._answers:
            if path.startswith(answers.path):
                answers.left -= 1
                answers.entry.detail["answered"].append(path)
                if not answers.left:
                    answers.entry.done = True
                    self._answers.remove(answers)
                return answers.status, answers.retry_after, answers.delay
        return None

    def refuse(self, order: dict[str, Any]) -> Entry:
        """Refuse the next `connections` connections (default all, until cleared): WebSockets, or with `tcp` any."""
        left = _count(order, "connections", 1) if "connections" in order else None
        entry = self.enter("refuse", order, refused=0)
        self._refusal = _Refusal(entry, left, bool(order.get("tcp", False)))
        return entry

    def refuses(self, tcp: bool) -> bool:
        """Tell whether a connection that comes now is refused."""
        refusal = self._refusal
        if refusal is None or refusal.tcp != tcp:
            return False
        refusal.entry.detail["refused"] += 1
        if refusal.left is not None:
            refusal.left -= 1
            if not refusal.left:
                refusal.entry.done = True
                self._refusal = None
        return True

    def clear(self) -> None:
        """End every fault in force."""
        for fault in self._streams:
            fault.give_up()
        self._streams = []
        self.thaw()
        self.seconds = 0.0
        for entry in self.log:
            entry.done = True
        self._answers = []
        self._refusal = None


class _Matching:
    def __init__(self, entry: Entry, pattern: str) -> None:
        self.entry = entry
        self._pattern = pattern
        self._known: dict[str, bool] = {}

    def matches(self, made: Made) -> bool:
        return not self.entry.done and self.matches_key(made.stream)

    def matches_key(self, stream: str) -> bool:
        known = self._known.get(stream)
        if known is None:
            name = stream.partition(":")[2]
            known = fnmatchcase(stream, self._pattern) or fnmatchcase(name, self._pattern)
            self._known[stream] = known
        return known


class _Freeze(_Matching):
    def __init__(self, entry: Entry, pattern: str, lossy: bool) -> None:
        super().__init__(entry, pattern)
        self.lossy = lossy


class _OnStream(_Matching):
    """Meet the next `left` frames of the streams that match."""

    def __init__(self, entry: Entry, pattern: str, left: int) -> None:
        super().__init__(entry, pattern)
        self._left = left

    def apply(self, made: Made) -> list[Made]:
        raise NotImplementedError

    def give_up(self) -> None:
        self.entry.done = True

    def _met(self, made: Made, what: str, sent: bytes | None = None) -> None:
        shown = None if sent is None else f"{digest(sent):016x}"
        self.entry.places.append(Place(made.stream, made.first, made.last, what, shown))
        self._left -= 1
        self.entry.done = self._left <= 0


class _Skip(_OnStream):
    def apply(self, made: Made) -> list[Made]:
        self._met(made, "skipped")
        return []


class _Garbage(_OnStream):
    def __init__(self, entry: Entry, pattern: str, left: int, kind: str, instead: bool) -> None:
        super().__init__(entry, pattern, left)
        self._kind = kind
        self._instead = instead

    def apply(self, made: Made) -> list[Made]:
        if self._kind == "duplicate":
            self._met(made, "repeated", made.payload)
            return [made, made]
        payload = spoiled(self._kind, made.payload)
        self._met(made, "replaced" if self._instead else "garbage", payload)
        wrong = made.instead(payload, binary=self._kind == "binary")
        return [wrong] if self._instead else [wrong, made]


class _Late(_OnStream):
    """Send a frame after the one that follows it in its stream."""

    def __init__(self, entry: Entry, pattern: str, left: int) -> None:
        super().__init__(entry, pattern, left)
        self._kept: dict[str, Made] = {}

    def apply(self, made: Made) -> list[Made]:
        kept = self._kept.pop(made.stream, None)
        if kept is None:
            self._kept[made.stream] = made
            return []
        self._met(kept, "late", kept.payload)
        return [made, kept]

    def give_up(self) -> None:
        for kept in self._kept.values():
            self._met(kept, "skipped")
        super().give_up()


class _Answers(Struct):
    entry: Entry
    status: int
    left: int
    path: str
    retry_after: float
    delay: float


class _Refusal(Struct):
    entry: Entry
    left: int | None
    tcp: bool


def _pattern(order: dict[str, Any]) -> str:
    pattern = order.get("stream")
    if not isinstance(pattern, str) or not pattern:
        raise FaultError("stream: the name of a stream, or a pattern")
    return pattern


def _count(order: dict[str, Any], name: str, default: int) -> int:
    value = order.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise FaultError(f"{name}: a whole number from 1 on")
    return value


def _number(order: dict[str, Any], name: str, default: float) -> float:
    value = order.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
        raise FaultError(f"{name}: a number from 0 on")
    return float(value)


encode_log = msgspec.json.Encoder().encode
