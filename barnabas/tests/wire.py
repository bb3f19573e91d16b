"""Speak Kafka's protocol to a broker, message by message, for tests that must say exactly what is sent.

    with Wire.to(broker.bootstrap) as wire:
        answer = wire.request(MetadataRequest(topics=None), 12)

Requests may be sent ahead of their answers: `send` returns a correlation id, `receive` reads the next answer. It is
built on the package's own protocol layer, so that whatever the broker can decode a test can say.
"""

from __future__ import annotations

import itertools
import socket
import struct
from types import TracebackType
from typing import Any, Self

from barnabas.protocol.api import APIS
from barnabas.protocol.codec import codec, decode, encode
from barnabas.protocol.messages.headers import RequestHeader, ResponseHeader
from barnabas.protocol.schema import Message

TIMEOUT_S = 10.0


class Closed(Exception):
    """The broker closed the connection."""


def frame(
    message: Message, version: int, *, correlation: int = 0, client_id: str | None = "test", key: int | None = None
) -> bytes:
    """Return a request with its length in front; `key` may lie."""
    api = APIS[type(message).KEY]
    header = RequestHeader(api.key if key is None else key, version, correlation, client_id)
    out = encode(header, api.request_header_version(version)) + encode(message, version)
    return struct.pack(">i", len(out)) + out


class Wire:
    """Be one connection. `timeout` in seconds bounds each wait for the socket; it raises `TimeoutError`."""

    def __init__(self, host: str, port: int, *, timeout: float = TIMEOUT_S) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._correlations = itertools.count(1)
        self._sent: dict[int, tuple[int, int]] = {}

    @classmethod
    def to(cls, bootstrap: str, *, timeout: float = TIMEOUT_S) -> Self:
        """Connect to HOST:PORT (the first of a list)."""
        host, _, port = bootstrap.split(",")[0].rpartition(":")
        return cls(host.strip("[]"), int(port), timeout=timeout)

    def send(self, message: Message, version: int, client_id: str | None = "test") -> int:
        """Send a request; return its correlation id, for which an answer is then expected."""
        correlation = next(self._correlations)
        self._sent[correlation] = (type(message).KEY, version)
        self.raw(frame(message, version, correlation=correlation, client_id=client_id))
        return correlation

    def receive(self) -> tuple[int, Any]:
        """Read the next answer; return its correlation id and the response. Raises `Closed`."""
        body = self.read_frame()
        (correlation,) = struct.unpack_from(">i", body)
        key, version = self._sent.pop(correlation)
        api = APIS[key]
        _, at = codec(ResponseHeader, api.response_header_version(version)).decode(body, 0, len(body))
        return correlation, decode(api.response_class(), version, body[at:])

    def request(self, message: Message, version: int, client_id: str | None = "test") -> Any:
        """Send a request and return the response, which must be the next answer. Raises `Closed`."""
        asked = self.send(message, version, client_id)
        correlation, response = self.receive()
        if correlation != asked:
            raise AssertionError(f"request {asked} got the answer of request {correlation}")
        return response

    def raw(self, data: bytes) -> None:
        """Send bytes as they are. Raises `Closed`."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed("the broker closed the connection") from e

    def read_frame(self) -> bytes:
        """Read one answer without its length. Raises `Closed`."""
        (size,) = struct.unpack(">i", self.read(4))
        return self.read(size)

    def read(self, size: int) -> bytes:
        """Read that many bytes. Raises `Closed`."""
        out = bytearray()
        while len(out) < size:
            try:
                piece = self.socket.recv(min(size - len(out), 1 << 20))
            except ConnectionResetError as e:
                raise Closed("the broker reset the connection") from e
            if not piece:
                raise Closed(f"the broker closed the connection after {len(out)} of {size} bytes")
            out += piece
        return bytes(out)

    def is_closed(self) -> bool:
        """Wait until the broker closes the connection; return False when it sends something instead."""
        try:
            return not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
