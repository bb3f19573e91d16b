"""The hub: who listens to which stream, and what each client has yet to be sent.

It decides and does no I/O: `publish` puts an event before the clients that want it, a client's `take` gives what it is
to be sent next. A client that is slower than the market is never sent stale values: of ticks, candles and books it
keeps the newest only, of trades, depth and signals the last ones, and it is told how many were dropped. What waits for
one client is bounded in bytes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

CONFLATED = frozenset({"tick", "kline", "book", "stock"})
"""Kinds of streams of which only the newest event counts."""

QUEUED = frozenset({"depth", "trade", "signal", "account"})
"""Kinds of streams of which each event counts."""

_PARTS = {"tick": 3, "kline": 4, "book": 3, "depth": 3, "trade": 3, "stock": 2, "signal": 1, "account": 2}


class StreamError(ValueError):
    """Say what is wrong with a stream's name, or with asking for it."""


def check_stream(name: str) -> None:
    """Raise StreamError unless the name is one of a stream: KIND:EXCHANGE:SYMBOL and so on, SYMBOL perhaps `*`."""
    parts = name.split(":")
    wanted = _PARTS.get(parts[0])
    if wanted is None:
        raise StreamError(f"no stream {name!r}; there are {', '.join(sorted(_PARTS))}")
    symbol = 1 if parts[0] == "stock" else 2
    misplaced = any("*" in part for at, part in enumerate(parts) if at != symbol or part != "*")
    if len(parts) != wanted or not all(parts) or len(name) > 120 or misplaced:
        example = {1: "signal", 2: "stock:600519", 3: f"{parts[0]}:binance:BTCUSDT", 4: "kline:binance:BTCUSDT:1m"}
        raise StreamError(f"not a stream: {name!r}; write {example[wanted]}")


def wildcard(name: str) -> str:
    """Give the stream of all symbols that a stream belongs to."""
    parts = name.split(":")
    if len(parts) > 1 and parts[0] != "account":
        parts[1 if parts[0] == "stock" else 2] = "*"
    return ":".join(parts)


def shown(stream: str) -> str:
    """Give the name under which clients know a stream: that of an account is `account`, as each hears of its own."""
    return "account" if stream.startswith("account:") else stream


class Client:
    """Hold what one client wants and what waits for it. `wake` is called when there is something to take."""

    def __init__(self, wake: Callable[[], None], limit: int) -> None:
        """Take the wake-up call and how many bytes may wait."""
        self.streams: set[str] = set()
        self.dropped = 0
        self.overflowed = False
        """True once even the newest values alone are more than may wait: the client has to go."""
        self._wake = wake
        self._limit = limit
        self._bytes = 0
        self._newest: dict[str, bytes] = {}
        self._each: deque[tuple[str, bytes]] = deque()
        self._missed: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Give the bytes that wait."""
        return self._bytes

    def put(self, stream: str, place: str | None, event: bytes) -> None:
        """Put an event before the client; one with a place takes that of an earlier event there."""
        if self.overflowed:
            return
        if place is None:
            self._each.append((stream, event))
        else:
            # Taken out first, so that what changed last is sent last.
            self._bytes -= len(self._newest.pop(place, b""))
            self._newest[place] = event
        self._bytes += len(event)
        while self._bytes > self._limit and self._each:
            oldest, lost = self._each.popleft()
            self._bytes -= len(lost)
            self._missed[oldest] += 1
            self.dropped += 1
        if self._bytes > self._limit:
            self.overflow()
        self._wake()

    def overflow(self) -> None:
        """Give the client up: what waits is let go, and nothing is put before it any more."""
        self.overflowed = True
        self._newest.clear()
        self._each.clear()
        self._missed.clear()
        self._bytes = 0

    def take(self, most: int) -> bytes | None:
        """Give a JSON array of about `most` bytes of events; None where nothing waits."""
        events: list[bytes] = [
            b'{"op":"dropped","stream":"%s","count":%d}' % (shown(stream).encode(), count)
            for stream, count in self._missed.items()
        ]
        self._missed.clear()
        size = 0
        while self._each and size < most:
            size += len(event := self._each.popleft()[1])
            events.append(event)
        while self._newest and size < most:
            place = next(iter(self._newest))
            size += len(event := self._newest.pop(place))
            events.append(event)
        self._bytes -= size
        return b"[%s]" % b",".join(events) if events else None


_NOBODY: frozenset[Client] = frozenset()


class Hub:
    """Know the clients of each stream, and the last event of each conflated one."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self._wanting: dict[str, set[Client]] = {}
        self._last: dict[str, dict[str, tuple[str, bytes]]] = {}  # wildcard -> place -> stream, event

    def add(self, client: Client) -> None:
        """Take a client in."""
        self.clients.add(client)

    def remove(self, client: Client) -> None:
        """Forget a client."""
        self.clients.discard(client)
        for stream in client.streams:
            self._unlisten(client, stream)
        client.streams.clear()

    def subscribe(self, client: Client, streams: Iterable[str], most: int) -> list[str]:
        """Subscribe a client and send it the last values; answer which were new.

        Raises StreamError, and changes nothing then.
        """
        wanted = list(dict.fromkeys(streams))
        for stream in wanted:
            check_stream(stream)
        fresh = [stream for stream in wanted if stream not in client.streams]
        if len(client.streams) + len(fresh) > most:
            raise StreamError(f"more than {most} streams")
        for stream in fresh:
            client.streams.add(stream)
            self._wanting.setdefault(stream, set()).add(client)
            for place, (name, event) in self._known(stream):
                client.put(name, place, event)
        return fresh

    def unsubscribe(self, client: Client, streams: Iterable[str]) -> list[str]:
        """Unsubscribe a client; answer which it had."""
        gone = [stream for stream in dict.fromkeys(streams) if stream in client.streams]
        for stream in gone:
            client.streams.discard(stream)
            self._unlisten(client, stream)
        return gone

    def publish(self, stream: str, place: str | None, event: bytes, series: str | None = None) -> None:
        """Hand an event to everyone who listens.

        `place`: where it replaces an earlier one for a client that is slow; None: each counts. `series`: where it is
        remembered as the newest; that of `place` unless given.
        """
        every = wildcard(stream)
        if place is not None:
            self._last.setdefault(every, {})[series or place] = (stream, event)
        listening = self._wanting.get(stream, _NOBODY)
        if every != stream:  # who asked for it and for all of them hears it once
            listening = listening | self._wanting.get(every, _NOBODY)
        for client in listening:
            client.put(stream, place, event)

    def _known(self, stream: str) -> Iterator[tuple[str, tuple[str, bytes]]]:
        for place, (name, event) in self._last.get(wildcard(stream), {}).items():
            if stream in (name, wildcard(name)):
                yield place, (name, event)

    def _unlisten(self, client: Client, stream: str) -> None:
        wanting = self._wanting.get(stream)
        if wanting is not None:
            wanting.discard(client)
            if not wanting:
                del self._wanting[stream]
