"""One connection to a venue: opened, kept alive, and watched for silence.

A connection that is to replace another one holds its messages back at first (`hold`): the old one delivers as before,
until the new one gets everything that was ordered; then the old one ends, and what was held is handed on (`release`).
What came over both is told by its ids. So no frame falls between the two, and none overtakes another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

log = logging.getLogger(__name__)

MOST_BYTES = 16 * 2**20
"""Bytes of the longest message that is taken; a longer one ends the connection."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Hold the seconds that connections live by."""

    silence: float = 30.0
    """Without any frame, after which a connection is taken for dead."""
    idle_ping: float = 15.0
    """Between two pings of ours."""
    life: float = 23.5 * 3600
    """After which a connection is replaced by a fresh one; venues end them at 24 hours."""
    handshake: float = 10.0
    """For a connection to open, and for the venue to confirm what was ordered on it."""
    overlap: float = 1.0
    """That the old connection goes on beside its successor: how far one may lag behind the other."""
    first_pause: float = 0.25
    """Bound of the first pause before a connection is opened again; it doubles."""
    longest_pause: float = 30.0


class Connection(WSListener):
    """Receive frames, and send orders within the venue's limit. `take` gets each message's payload."""

    def __init__(
        self,
        number: int,
        take: Callable[[bytes, Connection], None],
        orders_a_second: float,
        idle_ping: bytes | None,
        answers: Callable[[bytes], bool],
        now: Callable[[], float],
    ) -> None:
        """Take who gets the messages, the venue's limit and ping, what tells an answer from a stream's frame."""
        self.number = number
        self.opened = now()
        self.heard = now()
        self.ended = asyncio.Event()
        self.why = ""
        self.on_end: Callable[[Connection], None] = lambda connection: None
        """Called once, at the moment that it ends."""
        self.asked: set[str] = set()
        """Streams that were ordered on it."""
        self.unanswered = 0
        """Orders that the venue has not answered yet."""
        self.settling = asyncio.Lock()
        """Held by whoever brings `asked` in line with what is wanted."""
        self.expiring = False
        """True once the server has said that it will end the connection."""
        self._take = take
        self._pause = 1.0 / orders_a_second
        self._idle_ping = idle_ping
        self._answers = answers
        self._now = now
        self._transport: WSTransport | None = None
        self._part: bytearray | None = None  # of a message in several frames
        self._held: list[bytes] | None = None
        self._straight = True  # neither held nor ended: a frame goes on at once
        self._sending = asyncio.Lock()
        self._reading = True

    async def open(self, url: str, handshake: float) -> None:
        """Connect. Raises OSError (WSError and time-outs with it)."""
        try:
            async with asyncio.timeout(handshake):
                self._transport, _ = await ws_connect(
                    lambda: self, url, enable_auto_pong=False, max_frame_size=MOST_BYTES
                )
        except (WSError, TimeoutError, ValueError) as error:
            raise OSError(f"{url}: {error!r}") from error
        self.opened = self.heard = self._now()

    async def order(self, message: bytes, answers: int) -> None:
        """Send a message to the server, no faster than it allows; it has so many answers."""
        async with self._sending:
            if self._transport is not None and not self.ended.is_set():
                self.unanswered += answers
                self._transport.send(WSMsgType.TEXT, message)
            await asyncio.sleep(self._pause)

    def hold(self) -> None:
        """Keep what comes until `release`; answers to orders are not kept."""
        self._held = []
        self._straight = False

    def release(self) -> None:
        """Hand on what was held, and everything from now on."""
        held, self._held = self._held or [], None
        self._straight = not self.ended.is_set()
        for payload in held:
            self._take(payload, self)

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._transport is None or self.ended.is_set():
            return
        if self._idle_ping is None:
            self._transport.send_ping(b"")
        else:
            self._transport.send(WSMsgType.TEXT, self._idle_ping)

    def end(self, why: str) -> None:
        """Cut the connection."""
        self.why = self.why or why
        if self._transport is not None and not self.ended.is_set():
            with contextlib.suppress(WSError, OSError):
                self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()
        self._end()

    @property
    def silent(self) -> float:
        """Give the seconds since a sign of life; none while nothing is read."""
        return self._now() - self.heard if self._reading else 0.0

    def read(self, on: bool) -> None:
        """Stop reading, so that the venue has to wait, or go on."""
        if self._transport is None or self.ended.is_set() or on == self._reading:
            return
        self._reading = on
        if on:
            self.heard = self._now()  # it had no chance to be heard
            self._transport.underlying_transport.resume_reading()
        else:
            self._transport.underlying_transport.pause_reading()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame off the wire."""
        self.heard = self._now()
        kind = frame.msg_type
        if frame.payload_size > MOST_BYTES:  # refused when its head came, and handed on when it is there all the same
            self.end("a frame beyond the limit")
            return
        if kind == WSMsgType.TEXT or kind == WSMsgType.BINARY:
            if frame.fin:
                if self._straight:
                    self._take(frame.get_payload_as_bytes(), self)
                else:
                    self._message(frame.get_payload_as_bytes())
            else:
                self._part = bytearray(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CONTINUATION:
            if self._part is None:
                self.end("a continuation of nothing")
                return
            self._part += frame.get_payload_as_memoryview()
            if len(self._part) > MOST_BYTES:
                self._part = None
                self.end("a message without end")
            elif frame.fin:
                whole, self._part = bytes(self._part), None
                self._message(whole)
        elif kind == WSMsgType.PING:
            # Not left to picows, which would keep it to itself: a ping is a sign of life.
            if not self.ended.is_set():
                transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self.why = self.why or f"closed by the venue ({frame.get_close_code()})"
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Note the end."""
        self.why = self.why or "cut"
        self._end()

    def _message(self, payload: bytes) -> None:
        if self.ended.is_set():  # cut, and read to the end of its buffer
            return
        if self._held is None or self._answers(payload):
            self._take(payload, self)
        else:
            self._held.append(payload)

    def _end(self) -> None:
        if not self.ended.is_set():
            self.ended.set()
            self._straight = False
            self.on_end(self)
