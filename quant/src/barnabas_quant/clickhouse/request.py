"""What ClickHouse's HTTP interface takes, read from a request: parameters, headers, a body in any encoding."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from io import BytesIO
from typing import Any, BinaryIO, Final, cast
from urllib.parse import parse_qsl

from barnabas_quant.clickhouse.compression import BlockDecoder, Decoder, decoder
from barnabas_quant.clickhouse.engine import Query, Session
from barnabas_quant.clickhouse.errors import ClickHouseError, not_implemented

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_IN_MEMORY: Final = 32 << 20
_MANY_SESSIONS: Final = 10_000
# Parameters of the interface itself; each other one is a setting or, with `param_` before it, a value.
_OF_INTERFACE: Final = frozenset(
    "query database default_format user password quota_key role compress decompress session_id session_timeout "
    "session_check close_session query_id buffer_size wait_end_of_query stacktrace client_protocol_version".split()
)


class ClientGone(Exception):
    """Say that the connection ended before the body did."""


@dataclass(slots=True)
class Sessions:
    """Keep sessions until nobody asked for them longer than they allow."""

    known: dict[str, Session] = field(default_factory=dict)

    def find(self, parameters: dict[str, str]) -> Session | None:
        """Give the session that a request names, a new one if need be. Raises ClickHouseError."""
        name = parameters.get("session_id")
        if not name:
            return None
        text = parameters.get("session_timeout", "60")
        if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= 3600):
            raise ClickHouseError(374, "INVALID_SESSION_TIMEOUT", f"Invalid session timeout: {text[:20]!r}")
        now = time.monotonic()
        session = self.known.pop(name, None)  # put back at the end: the first are those unused for longest
        if session is not None and now - session.used > session.timeout:
            session = None
        if session is None:
            if parameters.get("session_check") == "1":
                raise ClickHouseError(372, "SESSION_NOT_FOUND", f"Session {name} not found")
            session = Session(float(text), now)
        session.timeout, session.used = float(text), now
        self.known[name] = session
        for old in list(self.known)[: max(0, len(self.known) - _MANY_SESSIONS)]:
            del self.known[old]
        while self.known and now - (first := next(iter(self.known.items())))[1].used > first[1].timeout:
            del self.known[first[0]]
        return session


@dataclass(slots=True)
class Request:
    """Hold a request as it came; `parameters` grow by the fields of a form."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    """With names in lower case."""
    body: BinaryIO = field(default_factory=BytesIO)

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> Request:
        """Read the line and the headers."""
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return cls(scope["method"], scope["path"], dict(pairs), headers)

    async def read(self, receive: Receive, limit: int) -> None:
        """Read the body to its end, unpacked; nobody sees a part of it. Raises ClickHouseError, ClientGone."""
        size = self.headers.get("content-length", "0")
        too_large = ClickHouseError(66, "QUERY_IS_TOO_LARGE", f"The body is longer than {limit} bytes (--max-body)")
        if size.isdigit() and int(size) > limit:
            raise too_large
        stages: list[Decoder] = []
        if encoding := self.headers.get("content-encoding", "").replace("identity", ""):
            stages.append(decoder(encoding))
        if self.parameters.get("decompress") == "1":
            stages.append(BlockDecoder())
        body = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
        self.body = body
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            for piece in _unpacked(stages, message.get("body", b"")):
                body.write(piece)
                if body.tell() > limit:
                    raise too_large
        for stage in stages:
            stage.finish()
        body.seek(0)
        if self.headers.get("content-type", "").startswith("multipart/form-data"):
            self._read_form()

    def _read_form(self) -> None:
        head = b"Content-Type: " + self.headers["content-type"].encode("latin-1") + b"\r\n\r\n"
        form = BytesParser(policy=HTTP).parsebytes(head + self.body.read())
        self.body = BytesIO()
        for part in form.iter_parts():
            if part.get_filename() is not None:
                raise not_implemented("External data are temporary tables, which are not kept here")
            name = part.get_param("name", header="content-disposition")
            value = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(value, bytes):
                self.parameters[name] = value.decode(errors="surrogateescape")

    def query(self, sessions: Sessions) -> Query:
        """Give what is asked for. Raises ClickHouseError."""
        text = self.parameters.get("query", "").encode(errors="surrogateescape")
        if text and self.body.read(1):
            text = text.rstrip() + b"\n"
        self.body.seek(0)
        version = self.parameters.get("client_protocol_version", "0")
        return Query(
            prefix=text,
            body=self.body,
            default_format=self.headers.get("x-clickhouse-format")
            or self.parameters.get("default_format")
            or "TabSeparated",
            database=self.headers.get("x-clickhouse-database") or self.parameters.get("database"),
            role=self.parameters.get("role"),
            settings={
                name: value
                for name, value in self.parameters.items()
                if name not in _OF_INTERFACE and not name.startswith("param_")
            },
            parameters={
                name.removeprefix("param_"): value
                for name, value in self.parameters.items()
                if name.startswith("param_")
            },
            read_only=self.method in {"GET", "HEAD"},
            protocol=int(version) if version.isascii() and version.isdigit() and len(version) < 9 else 0,
            session=sessions.find(self.parameters),
        )


def _unpacked(stages: Sequence[Decoder], data: bytes) -> Iterator[bytes]:
    if not stages:
        yield data
        return
    for piece in stages[0].feed(data):
        yield from _unpacked(stages[1:], piece)
