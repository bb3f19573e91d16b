"""HTTP/1.1 and WebSocket on one port: bytes to requests, answers and messages, and nothing of any venue.

A connection starts as HTTP (parsed by h11). A request is answered by the application with a `Response`, or with a
session, where it asks for a WebSocket: from then on the connection carries frames. What the peer sends is parsed by
the `websockets` package's protocol, which has no I/O of its own; what we send is encoded here, once for all receivers,
and everything sent within one turn of the event loop leaves in one write.

A `Socket` can also misbehave on purpose: close without a close frame, close one direction only, fall silent.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Protocol as Interface
from urllib.parse import parse_qsl, unquote, urlsplit

import h11
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side

log = logging.getLogger(__name__)

MAX_HEAD = 64 * 1024
"""Bytes of a request's head; a URL that names 1024 streams fits."""

MAX_BODY = 1024 * 1024
"""Bytes of a request's body."""

MAX_MESSAGE = 256 * 1024
"""Bytes of a message that a client may send over a WebSocket."""

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


@dataclass(frozen=True, slots=True)
class Request:
    """Hold one HTTP request; names of headers in lower case, the last of equal names counts."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def wants_websocket(self) -> bool:
        """Tell whether the connection asks to become a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


@dataclass(frozen=True, slots=True)
class Response:
    """Hold the answer to a request; it is sent `delay` seconds later."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=UTF-8"
    delay: float = 0.0


class Session(Interface):
    """Speak for a venue on one WebSocket connection."""

    def opened(self, socket: Socket) -> None:
        """Begin: the handshake is done."""

    def received(self, data: bytes) -> None:
        """Take a whole message, of text or of bytes."""

    def pinged(self) -> None:
        """Take note of a ping; it has been answered."""

    def ponged(self, payload: bytes) -> None:
        """Take note of a pong."""

    def closed(self) -> None:
        """End: the connection is gone."""


class Application(Interface):
    """Answer requests."""

    def admits(self) -> bool:
        """Tell whether a new connection is let in."""

    def answer(self, request: Request) -> Response | Session:
        """Answer a request, with a session where it becomes a WebSocket."""


def text_frame(payload: bytes) -> bytes:
    """Encode a message as one text frame."""
    return _head(0x81, len(payload)) + payload


def binary_frame(payload: bytes) -> bytes:
    """Encode a message as one binary frame."""
    return _head(0x82, len(payload)) + payload


def ping_frame(payload: bytes) -> bytes:
    """Encode a ping of at most 125 bytes."""
    return _head(0x89, len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Encode a close frame."""
    payload = code.to_bytes(2, "big") + reason.encode()
    return _head(0x88, len(payload)) + payload


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


class Socket:
    """Send and receive messages on a connection that has become a WebSocket."""

    def __init__(self, transport: asyncio.Transport, session: Session) -> None:
        self._transport = transport
        self._session = session
        self._protocol = Protocol(Side.SERVER, max_size=MAX_MESSAGE)
        self._loop = asyncio.get_running_loop()
        self._pending: list[bytes] = []
        self._scheduled = False
        self._parts: list[bytes] = []
        self._room = asyncio.Event()
        self._room.set()
        self.silent = False
        """Set: nothing is sent any more, not even pongs, while the connection stays open."""
        self.ended = False

    @property
    def waiting(self) -> int:
        """Give the bytes that the peer has not taken yet."""
        return self._transport.get_write_buffer_size()

    @property
    def has_room(self) -> bool:
        """Tell whether the peer keeps up."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until the peer keeps up or is gone."""
        await self._room.wait()

    def send(self, frame: bytes) -> None:
        """Send a frame that is encoded already, with the others of this turn of the event loop."""
        if self.silent or self.ended:
            return
        self._pending.append(frame)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def close(self, code: int, reason: str = "") -> None:
        """Close in order: what waits is sent, then a close frame."""
        if not self.ended:
            self.send(close_frame(code, reason))
            self._flush()
            self._end()
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection at once, without a close frame."""
        self._end()
        self._transport.abort()

    def close_half(self) -> None:
        """Say that nothing more will come, without a close frame, and go on reading."""
        self._flush()
        self.silent = True
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self._protocol.receive_data(data)
        replies = self._protocol.data_to_send()
        for frame in self._protocol.events_received():
            opcode, payload = frame.opcode, bytes(frame.data)  # type: ignore[union-attr]
            if opcode is Opcode.PING:
                self._session.pinged()
            elif opcode is Opcode.PONG:
                self._session.ponged(payload)
            elif opcode is not Opcode.CLOSE:
                self._parts.append(payload)
                if frame.fin:  # type: ignore[union-attr]
                    message = b"".join(self._parts)
                    self._parts.clear()
                    self._session.received(message)
        for reply in replies:
            if reply:
                self.send(reply)
            elif not self.silent:  # the protocol is at its end: a close was answered, or the peer broke the rules
                self._flush()
                self._end()
                self._transport.close()

    def pause(self) -> None:
        """Take note that the peer does not keep up."""
        self._room.clear()

    def resume(self) -> None:
        """Take note that the peer keeps up again."""
        self._room.set()

    def lost(self) -> None:
        """Take note that the connection is gone."""
        self._end()
        self._session.closed()

    def _end(self) -> None:
        self.ended = True
        self._room.set()

    def _flush(self) -> None:
        self._scheduled = False
        if self._pending:
            if not self.silent and not self.ended:
                self._transport.write(b"".join(self._pending))
            self._pending.clear()


class Connection(asyncio.Protocol):
    """Carry one connection: HTTP until a request makes a WebSocket of it."""

    def __init__(self, application: Application, forget: Callable[[Connection], None]) -> None:
        self._application = application
        self._forget = forget
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._transport: asyncio.Transport | None = None
        self._head: h11.Request | None = None
        self._body = b""
        self.socket: Socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._application.admits():
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._forget(self)
        self._transport = None
        if self.socket is not None:
            self.socket.lost()

    def pause_writing(self) -> None:
        if self.socket is not None:
            self.socket.pause()

    def resume_writing(self) -> None:
        if self.socket is not None:
            self.socket.resume()

    def data_received(self, data: bytes) -> None:
        if self.socket is not None:
            self.socket.feed(data)
            return
        try:
            self._http.receive_data(data)
            self._read_requests()
        except (h11.RemoteProtocolError, ValueError) as error:  # ValueError: an address that is none
            log.debug("a peer does not speak HTTP: %s", error)
            if self._transport is not None:
                self._transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                self._transport.close()

    def eof_received(self) -> bool:
        return False

    def close(self) -> None:
        """Cut the connection: the server ends."""
        if self._transport is not None:
            self._transport.abort()

    def _read_requests(self) -> None:
        while self.socket is None and self._transport is not None:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._head, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY:
                    raise h11.RemoteProtocolError("the body is too large", 413)
            elif isinstance(event, h11.EndOfMessage):
                self._answer()
            else:
                return

    def _answer(self) -> None:
        assert self._head is not None
        url = urlsplit(self._head.target.decode("ascii"))
        request = Request(
            method=self._head.method.decode("ascii"),
            path=unquote(url.path),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in self._head.headers},
            body=self._body,
        )
        answer = self._application.answer(request)
        if not isinstance(answer, Response):
            self._upgrade(request, answer)
        elif answer.delay > 0:
            asyncio.get_running_loop().call_later(answer.delay, self._respond_late, answer)
        else:
            self._respond(answer)

    def _respond_late(self, response: Response) -> None:
        if self._transport is not None:
            self._respond(response)
            self._read_requests()

    def _respond(self, response: Response) -> None:
        assert self._transport is not None
        headers = [("content-type", response.content_type), ("content-length", str(len(response.body)))]
        headers += response.headers.items()
        parts = [self._http.send(h11.Response(status_code=response.status, headers=headers))]
        if self._head is not None and self._head.method != b"HEAD":
            parts.append(self._http.send(h11.Data(data=response.body)))
        parts.append(self._http.send(h11.EndOfMessage()))
        self._transport.write(b"".join(part for part in parts if part))
        if self._http.our_state is h11.MUST_CLOSE:
            self._transport.close()
        else:
            self._http.start_next_cycle()

    def _upgrade(self, request: Request, session: Session) -> None:
        assert self._transport is not None
        key = request.headers.get("sec-websocket-key", "")
        if request.method != "GET" or not key or request.headers.get("sec-websocket-version") != "13":
            self._respond(Response(400, b'{"code":-1000,"msg":"Not a WebSocket handshake."}'))
            return
        accept = base64.b64encode(sha1(key.encode("latin-1") + _ACCEPT).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.socket = Socket(self._transport, session)
        session.opened(self.socket)
        rest, _ = self._http.trailing_data
        if rest:
            self.socket.feed(rest)
