"""From what the exchange makes to whoever subscribed: counted, perhaps spoiled by a fault, then delivered.

Everything made goes through `publish`: the ledger counts it, whoever receives it or not; the faults in force change,
repeat or drop it; then it goes to the subscribers of its stream, or waits where frames are delayed or frozen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from barnabas_quant.exchange.ledger import Ledger
from barnabas_quant.exchange.wire import binary_frame, text_frame


class Made:
    """Hold one message of a stream, `VENUE:NAME`; its frames are encoded once for all receivers."""

    __slots__ = ("_combined", "_raw", "binary", "first", "last", "name", "payload", "stream")

    def __init__(self, stream: str, first: int, last: int, payload: bytes, binary: bool = False) -> None:
        self.stream = stream
        self.name = stream.partition(":")[2]
        self.first = first
        self.last = last
        self.payload = payload
        self.binary = binary
        self._raw: bytes | None = None
        self._combined: bytes | None = None

    def instead(self, payload: bytes, binary: bool = False) -> Made:
        """Give another payload in the place of this one."""
        return Made(self.stream, self.first, self.last, payload, binary)

    @property
    def raw(self) -> bytes:
        """Give the frame with the payload alone."""
        if self._raw is None:
            self._raw = (binary_frame if self.binary else text_frame)(self.payload)
        return self._raw

    @property
    def combined(self) -> bytes:
        """Give the frame that names the stream, as a combined connection gets it."""
        if self._combined is None:
            whole = b'{"stream":"%s","data":%s}' % (self.name.encode(), self.payload)
            self._combined = binary_frame(self.payload) if self.binary else text_frame(whole)
        return self._combined


class Subscriber(Protocol):
    """Take messages."""

    def deliver(self, made: Made) -> None:
        """Send a message to the peer."""


class Spoiler(Protocol):
    """Change what goes out."""

    @property
    def active(self) -> bool:
        """Tell whether there is anything to change, to hold back or to freeze."""

    def spoil(self, made: Made) -> Iterable[Made]:
        """Give what goes out in the place of a message, in order."""

    def delay(self, made: Made) -> float:
        """Give how many seconds a message is held back."""

    def frozen(self, stream: str) -> bool:
        """Tell whether a stream is frozen: its messages wait for the thaw."""


class Hub:
    """Know who subscribed to what."""

    def __init__(self, ledger: Ledger, spoiler: Spoiler, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._spoiler = spoiler
        self._clock = clock
        self._subscribers: dict[str, dict[Subscriber, None]] = {}
        self._held: deque[tuple[float, Made]] = deque()
        self._frozen: list[Made] = []
        self.changed = asyncio.Event()
        """Set whenever somebody subscribes."""

    def subscribe(self, stream: str, subscriber: Subscriber) -> None:
        """Send a stream's messages to a subscriber from now on."""
        self._subscribers.setdefault(stream, {})[subscriber] = None
        self.changed.set()

    def unsubscribe(self, stream: str, subscriber: Subscriber) -> None:
        """Send it no more."""
        subscribers = self._subscribers.get(stream)
        if subscribers is not None:
            subscribers.pop(subscriber, None)
            if not subscribers:
                del self._subscribers[stream]

    def has_subscribers(self, stream: str) -> bool:
        """Tell whether anybody listens to a stream."""
        return stream in self._subscribers

    def subscribers(self) -> dict[str, int]:
        """Count the subscribers of every stream that has any."""
        return {stream: len(subscribers) for stream, subscribers in self._subscribers.items()}

    def publish(self, stream: str, first: int, last: int, payload: bytes) -> None:
        """Take a message that the exchange has made."""
        self._ledger.made(stream, first, last, payload)
        if not self._spoiler.active and not self._held:
            if stream in self._subscribers:
                self._deliver(Made(stream, first, last, payload))
            return
        for made in self._spoiler.spoil(Made(stream, first, last, payload)):
            self.send(made)

    def send(self, made: Made) -> None:
        """Deliver a message, unless its stream is frozen or delayed."""
        if self._spoiler.frozen(made.stream):
            self._frozen.append(made)
            return
        due = self._clock() + self._spoiler.delay(made)
        if self._held:
            due = max(due, self._held[-1][0])  # nothing overtakes what is delayed
        elif due <= self._clock():
            self._deliver(made)
            return
        self._held.append((due, made))
        if len(self._held) == 1:
            asyncio.get_running_loop().call_at(due, self._release)

    def thaw(self) -> None:
        """Deliver what waits of streams that are frozen no longer."""
        waiting, self._frozen = self._frozen, []
        for made in waiting:
            self.send(made)

    @property
    def held(self) -> int:
        """Count the messages that are held back."""
        return len(self._held) + len(self._frozen)

    def _release(self) -> None:
        while self._held and self._held[0][0] <= self._clock():
            self._deliver(self._held.popleft()[1])
        if self._held:
            asyncio.get_running_loop().call_at(self._held[0][0], self._release)

    def _deliver(self, made: Made) -> None:
        for subscriber in tuple(self._subscribers.get(made.stream, ())):
            subscriber.deliver(made)
