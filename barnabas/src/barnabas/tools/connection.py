"""Speak Kafka's protocol over one blocking connection.

`request` sends one message in the highest version that both sides know and waits for its answer. A connection that
failed once stays failed: whoever owns it opens another. TLS and SASL come from `security.py`, which is imported only
where they are asked for, because a tool should answer at once.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Any, Final

from barnabas import __version__
from barnabas.protocol.api import APIS, Key
from barnabas.protocol.codec import codec, decode, encode
from barnabas.protocol.errors import ErrorCode, SchemaError
from barnabas.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from barnabas.protocol.messages.headers import RequestHeader, ResponseHeader
from barnabas.protocol.schema import Message
from barnabas.tools.errors import AnswerError, ClientError
from barnabas.tools.settings import Settings

_LARGEST_ANSWER: Final = 512 * 1024 * 1024


class ConnectionFailed(ClientError):
    """The connection could not be made, or broke."""


class UnknownHost(ConnectionFailed):
    """The host's name has no address."""


class UnsupportedVersion(AnswerError):
    """The broker does not know an API in any version that this client speaks."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.UNSUPPORTED_VERSION, message)


class Connection:
    """Be one connection to a broker, ready to be asked. Raises `ClientError` where it cannot be made."""

    def __init__(self, host: str, port: int, settings: Settings, *, timeout: float = 10.0) -> None:
        self.host, self.port = host, port
        self._settings = settings
        self._correlation = 0
        self.answer: ApiVersionsResponse
        """What the broker said about its APIs and features."""
        self.versions: dict[int, tuple[int, int]] = {}
        """The broker's lowest and highest version of each API, by key."""
        if settings.security_protocol != "PLAINTEXT":
            from barnabas.tools import security

            security.prepare(settings)  # settings that are wrong are told of whether the broker answers or not
        try:
            self._socket = socket.create_connection((host, port), timeout=timeout)
        except socket.gaierror as e:
            raise UnknownHost(f"Couldn't resolve server {host}:{port} ({e.strerror})") from e
        except OSError as e:
            raise ConnectionFailed(
                f"Connection to {host}:{port} could not be established. Node may not be available. "
                f"({e.strerror or e})"
            ) from e
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if settings.security_protocol.endswith("SSL"):
                self._socket = security.wrap(self._socket, host, settings)
            self._learn_versions(timeout)
            if settings.security_protocol.startswith("SASL"):
                security.authenticate(self, settings)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def supports(self, key: int, version: int = 0) -> bool:
        """Tell whether the broker serves an API, in a version or a higher one."""
        return key in self.versions and self.versions[key][1] >= version

    def version_of(self, key: int, highest: int | None = None) -> int:
        """Return the highest version that both sides know. Raises `UnsupportedVersion`."""
        api = APIS[key]
        if key not in self.versions:
            raise UnsupportedVersion(f"The node does not support {_constant(api.name)}")
        low, high = self.versions[key]
        top = api.max_version if highest is None else min(highest, api.max_version)
        version = min(high, top)
        if version < max(low, api.min_version):
            raise UnsupportedVersion(
                f"The node does not support {_constant(api.name)} with version in range "
                f"[{api.min_version},{top}]. The supported range is [{low},{high}]."
            )
        return version

    def request(
        self, message: Message, *, version: int | None = None, highest: int | None = None, timeout: float | None = None
    ) -> Any:
        """Ask, and return the response. Raises `ConnectionFailed`, `UnsupportedVersion`."""
        key = type(message).KEY
        if version is None:
            version = self.version_of(key, highest)
        return self._ask(key, message, version, timeout or self._settings.request_timeout)

    def _learn_versions(self, timeout: float) -> None:
        request = ApiVersionsRequest("barnabas-tools", __version__)
        self.answer = self._ask(Key.API_VERSIONS, request, 4, timeout)
        if self.answer.error_code == ErrorCode.UNSUPPORTED_VERSION:
            known = {api.api_key: api.max_version for api in self.answer.api_keys}
            self.answer = self._ask(Key.API_VERSIONS, request, min(3, known.get(Key.API_VERSIONS, 0)), timeout)
        if self.answer.error_code:
            raise AnswerError(self.answer.error_code)
        self.versions = {api.api_key: (api.min_version, api.max_version) for api in self.answer.api_keys}

    def _ask(self, key: int, message: Message, version: int, timeout: float) -> Any:
        api = APIS[key]
        self._correlation += 1
        header = RequestHeader(key, version, self._correlation, self._settings.client_id)
        frame = encode(header, api.request_header_version(version)) + encode(message, version)
        self._socket.settimeout(timeout)
        deadline = time.monotonic() + timeout
        try:
            self._socket.sendall(struct.pack(">i", len(frame)) + frame)
            (size,) = struct.unpack(">i", self._read(4, deadline))
            if not 0 <= size <= _LARGEST_ANSWER:
                raise ConnectionFailed(f"{self.host}:{self.port} sent an answer of {size} bytes: is it a Kafka broker?")
            body = self._read(size, deadline)
        except TimeoutError:
            self.close()
            raise ConnectionFailed(f"{self.host}:{self.port} did not answer {api.name} in {timeout:.0f} s") from None
        except OSError as e:
            self.close()
            raise ConnectionFailed(f"Connection to {self.host}:{self.port} was lost: {e.strerror or e}") from e
        try:
            if key == Key.API_VERSIONS and body[4:6] == b"\x00\x23":
                version = 0  # this error comes in version 0, whatever was asked
            layout = api.response_header_version(version)
            (got,) = struct.unpack_from(">i", body)
            _, at = codec(ResponseHeader, layout).decode(body, 0, len(body))
            if got != self._correlation:
                raise SchemaError(f"answer {got} came to question {self._correlation}")
            return decode(api.response_class(), version, body[at:])
        except (SchemaError, struct.error, IndexError) as e:
            self.close()
            raise ConnectionFailed(
                f"{self.host}:{self.port} sent an answer that cannot be understood: is it a Kafka broker? ({e})"
            ) from e

    def _read(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            piece = self._socket.recv(min(size - len(data), 1 << 20))
            if not piece:
                self.close()
                raise ConnectionFailed(f"{self.host}:{self.port} closed the connection")
            data += piece
        return bytes(data)


def _constant(name: str) -> str:
    """Write the name of an API as Java's ApiKeys does: DescribeTopicPartitions is DESCRIBE_TOPIC_PARTITIONS."""
    return "".join(f"_{c}" if c.isupper() and i else c.upper() for i, c in enumerate(name)).upper()
