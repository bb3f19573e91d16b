"""Speak the protocol on one connection: cut frames, decode, hand over, write the answers in order.

Requests of a connection are answered one after the other, as Kafka does: while an answer waits (a fetch without data, a
join) later frames stay in the buffer. Answers to frames that came together leave in one write.

Bytes arrive in one buffer that all connections share, and are served from there: an idle connection holds none. What
cannot be served yet (half a frame, a request behind one that waits) moves to a buffer of the connection's own, which
stays while the connection is busy.

Bytes from outside are not trusted. A frame's size is compared with `socket.request.max.bytes` before memory is taken,
and the buffer grows only as bytes arrive. Whatever cannot be decoded closes the connection; nothing here ends the
broker. A client that does not read is not read from either: few answers are made ahead of what it took.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from typing import TYPE_CHECKING, Final, cast

from barnabas.handlers.api_versions import unsupported_version
from barnabas.handlers.context import Answer, Buffers, Client, CloseConnection, Deferred, Request
from barnabas.handlers.registry import ROUTES, Route
from barnabas.log.files import StorageError
from barnabas.protocol.api import Key
from barnabas.protocol.codec import Decoder, Encoder, begin_message, codec, read_uvarint
from barnabas.protocol.errors import SchemaError
from barnabas.protocol.schema import Message

if TYPE_CHECKING:
    from barnabas.server.broker import Broker

logger = logging.getLogger(__name__)

#: how much one read brings into the shared buffer, and the least size of a connection's own
ARRIVALS: Final = 16 * 1024
_NO_BUFFER: Final = bytearray()
#: the least room that a read is given, unless fewer bytes are missing
_LEAST_ROOM: Final = 4 * 1024
#: answers of this many bytes are handed to the transport before the next request is served
_FLUSH_AT: Final = 256 * 1024
_REQUEST: Final = struct.Struct(">hhih")
_SIZE: Final = struct.Struct(">i")
_RESPONSE: Final = struct.Struct(">ii")
_MALFORMED: Final = (SchemaError, struct.error, IndexError, UnicodeDecodeError, ValueError)


class Codecs:
    """Hold what is needed to serve one API in one version."""

    __slots__ = ("decode", "encode", "flexible", "handler", "response", "route", "tagged_response")

    def __init__(self, route: Route, version: int) -> None:
        api = route.api
        self.route = route
        self.handler = route.handler()
        self.flexible = api.request_header_version(version) == 2
        self.tagged_response = api.response_header_version(version) == 1
        self.decode: Decoder = codec(api.request_class(), version).decode
        self.response = api.response_class()
        self.encode: Encoder = codec(self.response, version).encode


_codecs: dict[tuple[int, int], Codecs] = {}


def codecs_for(key: int, version: int, *, controller: bool) -> Codecs | None:
    """Return how an API is served in a version; None where it is not."""
    found = _codecs.get((key, version))
    if found is None:
        route = ROUTES.get(key)
        if route is None or not route.api.min_version <= version <= route.api.max_version:
            return None
        found = _codecs[key, version] = Codecs(route, version)
    api = found.route.api
    return found if (api.controller if controller else api.broker) else None


class Connection(asyncio.BufferedProtocol):
    """Hold one connection."""

    def __init__(self, broker: Broker, client: Client) -> None:
        self._broker = broker
        self._node = broker.node
        self._client = client
        self._controller = client.listener.is_controller
        self._max_frame = broker.node.config.socket_request_max_bytes
        self._transport: asyncio.Transport | None = None
        self._arrivals = broker.arrivals
        self._buffer = _NO_BUFFER  # its own, or while arrivals are served the shared one
        self._view = memoryview(_NO_BUFFER)
        self._start = 0
        self._end = 0
        self._waiting: Deferred | None = None
        self._out: Buffers = []
        self._out_bytes = 0
        self._answered: list[str] = []
        self._writable = True
        self._paused = False
        self._processing = False
        self._closed = False
        self.last_used = 0.0

    @property
    def is_waiting(self) -> bool:
        """Tell whether an answer is being waited for."""
        return self._waiting is not None

    @property
    def is_closing(self) -> bool:
        """Tell whether the connection was closed from this side, and perhaps has bytes left to write."""
        return self._closed

    # --- asyncio's calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=1024 * 1024)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._client.host = str(peer[0])
        self.last_used = time.monotonic()
        if not self._broker.admit(self, self._client):
            self._closed = True
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._broker.forget(self, self._client)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._buffer is _NO_BUFFER:
            return self._arrivals
        if len(self._buffer) - self._end < _LEAST_ROOM:
            self._make_room()
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._end += nbytes
        self.last_used = time.monotonic()
        if self._buffer is _NO_BUFFER:
            self._view = self._arrivals
            self._buffer = cast(bytearray, self._view.obj)
            try:
                self._process()
            finally:
                self._leave_arrivals()
        else:
            self._process()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._process()

    # --- frames ---------------------------------------------------------------------------------------------

    def _leave_arrivals(self) -> None:
        """Take what is unread out of the shared buffer, which the next connection is about to read into."""
        unread = self._view[self._start : self._end]
        self._buffer = bytearray(max(ARRIVALS, 2 * len(unread))) if unread else _NO_BUFFER
        self._view = memoryview(self._buffer)
        self._view[: len(unread)] = unread
        self._start, self._end = 0, len(unread)

    def _make_room(self) -> None:
        """Move what is unread to the front of a buffer that has room behind it.

        Afterwards at least half of the buffer is free: each byte is moved a bounded number of times.
        """
        unread = self._end - self._start
        capacity = len(self._buffer)
        if unread * 2 <= capacity:
            self._view[:unread] = bytes(self._view[self._start : self._end])
        else:
            capacity *= 2
            fresh = bytearray(capacity)
            fresh[:unread] = self._view[self._start : self._end]
            self._buffer = fresh
            self._view = memoryview(fresh)
        self._start, self._end = 0, unread

    def _process(self) -> None:
        """Serve the whole frames that are there, until one must wait."""
        if self._processing:
            return
        self._processing = True
        began = time.perf_counter()
        try:
            while self._waiting is None and self._writable and not self._closed:
                unread = self._end - self._start
                if unread < 4:
                    break
                (size,) = _SIZE.unpack_from(self._buffer, self._start)
                if size < _REQUEST.size - 2 or size > self._max_frame:
                    self._refuse(f"a frame of {size} bytes")
                    break
                if unread - 4 < size:
                    break
                at = self._start + 4
                self._start = at + size
                self._serve(self._view[at : at + size])
                if self._out_bytes >= _FLUSH_AT:
                    self._flush()
        finally:
            self._processing = False
        if self._start == self._end:
            self._start = self._end = 0
        self._flush()
        if self._answered:
            self._broker.metrics.answered(self._answered, time.perf_counter() - began)
            self._answered.clear()
        self._regulate()

    def _regulate(self) -> None:
        """Stop reading while nothing may be served and the buffer is full; go on otherwise."""
        transport = self._transport
        if transport is None or self._closed:
            return
        stuck = self._waiting is not None or not self._writable
        full = self._end - self._start >= max(ARRIVALS, len(self._buffer) // 2)
        if stuck and full and not self._paused:
            self._paused = True
            transport.pause_reading()
        elif self._paused and not stuck:
            self._paused = False
            transport.resume_reading()

    def _refuse(self, why: str) -> None:
        logger.warning(
            "connection %d from %s (%s): closed: %s", self._client.id, self._client.host,
            self._client.software_name or "unknown client", why,
        )
        self.close()

    def close(self) -> None:
        """Close the connection once what was answered is written."""
        if not self._closed:
            self._flush()
            self._closed = True
            self.last_used = time.monotonic()
            if self._transport is not None:
                self._transport.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def shrink(self) -> None:
        """Give back the connection's own buffer, once it is empty."""
        if self._end == 0:
            self._buffer = _NO_BUFFER
            self._view = memoryview(_NO_BUFFER)

    # --- requests -------------------------------------------------------------------------------------------

    def _serve(self, frame: memoryview) -> None:
        key, version, correlation, length = _REQUEST.unpack_from(frame) if len(frame) >= 10 else (-1, 0, 0, 0)
        codecs = codecs_for(key, version, controller=self._controller)
        if codecs is None:
            if key == Key.API_VERSIONS:
                self._answer_unknown_versions(correlation)
            else:
                self._refuse(f"API key {key} version {version} is not supported")
            return
        try:
            p = _REQUEST.size
            client_id = ""
            if length >= 0:
                if p + length > len(frame):
                    raise SchemaError("the client id is cut")
                client_id = str(frame[p : p + length], "utf-8")
                p += length
            if codecs.flexible:
                if frame[p] == 0:
                    p += 1
                else:
                    p = _skip_tags(frame, p)
            begin_message()
            message, p = codecs.decode(frame, p, len(frame))
        except _MALFORMED as e:
            self._refuse(f"a malformed {codecs.route.api.name} request of version {version}: {e}")
            return
        request = Request(key, version, client_id, self._client, message)
        try:
            answer: Answer
            if self._broker.faults.active:
                from barnabas.handlers import faults

                answer = faults.serve(self._broker.faults, self._node, request, codecs.handler)
            else:
                answer = codecs.handler(self._node, request)
        except CloseConnection as e:
            self._refuse(str(e))
            return
        except (StorageError, OSError) as e:
            logger.error("%s failed: %s", codecs.route.api.name, e)
            self._refuse("the disk failed")
            return
        except Exception:
            logger.exception("%s of version %d failed", codecs.route.api.name, version)
            self._refuse("an internal error, see the log")
            return
        if isinstance(answer, Deferred):
            self._wait(answer, codecs, correlation, version)
        else:
            self._reply(answer, codecs, correlation, version)

    def _wait(self, deferred: Deferred, codecs: Codecs, correlation: int, version: int) -> None:
        self._waiting = deferred
        started = time.perf_counter()

        def resolved(answer: Message | Buffers | None) -> None:
            if self._waiting is not deferred:
                return
            self._waiting = None
            if self._closed:
                return
            answered = len(self._answered)
            self._reply(answer, codecs, correlation, version)
            del self._answered[answered:]  # it is counted with its own time, not with that of its neighbours
            self._broker.metrics.request(codecs.route.api.name, time.perf_counter() - started)
            self.last_used = time.monotonic()
            if self._processing:
                return
            self._flush()
            if self._start != self._end:
                # not from here: what is served next may resolve another connection's answer, ever deeper in the stack
                asyncio.get_running_loop().call_soon(self._process)

        deferred.listen(resolved)

    def _reply(self, answer: Message | Buffers | None, codecs: Codecs, correlation: int, version: int) -> None:
        name = codecs.route.api.name
        if answer is None:
            self._answered.append(name)
            return
        if isinstance(answer, list):
            head = b"\x00" if codecs.tagged_response else b""
            size = 4 + len(head) + sum(len(piece) for piece in answer)
            self._out.append(_RESPONSE.pack(size, correlation) + head)
            self._out += answer
            self._out_bytes += size
        else:
            out = bytearray(8)
            if codecs.tagged_response:
                out.append(0)
            try:
                if type(answer) is not codecs.response:
                    raise TypeError(f"{name} was answered with {type(answer).__name__}")
                codecs.encode(out, answer)
                _RESPONSE.pack_into(out, 0, len(out) - 4, correlation)
            except Exception:
                # an answer may come from a timer or another connection's request: neither is to be hit by this
                logger.exception("the answer to %s of version %d cannot be encoded", name, version)
                self._refuse("an internal error, see the log")
                return
            self._out.append(out)
            self._out_bytes += len(out)
        self._answered.append(name)

    def _answer_unknown_versions(self, correlation: int) -> None:
        codecs = codecs_for(Key.API_VERSIONS, 0, controller=self._controller)
        assert codecs is not None
        self._reply(unsupported_version(), codecs, correlation, 0)

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self._closed:
            out, self._out = self._out, []
            self._out_bytes = 0
            if len(out) == 1:
                self._transport.write(out[0])
            else:
                self._transport.writelines(out)


def _skip_tags(frame: memoryview, p: int) -> int:
    count, p = read_uvarint(frame, p, len(frame))
    for _ in range(count):
        _, p = read_uvarint(frame, p, len(frame))
        size, p = read_uvarint(frame, p, len(frame))
        p += size
        if p > len(frame):
            raise SchemaError("a tagged field of the header is cut")
    return p


