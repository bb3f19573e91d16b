"""What all routes share: who may ask, headers of every answer, bodies, errors as answers.

`Guard` stands before everything. It refuses names that this console is not known by, where only this machine may ask
(else a foreign page could point its own name at the loopback address), questions from pages of other sites, writes
without the token of `/api/session`, and writes at all where the console is read-only.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import msgspec
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from barnabas.console.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Refusal,
    Refused,
    Unauthorized,
    Unreachable,
)
from barnabas.console.login import COOKIE, Identity, Login
from barnabas.console.settings import ConsoleSettings
from barnabas.protocol.error_texts import name_of
from barnabas.protocol.errors import BarnabasError, ErrorCode
from barnabas.tools.cluster import Unreachable as NoBroker
from barnabas.tools.errors import AnswerError, ClientError, ConfigError, ToolError

BODY: Final = 24 << 20
"""Bytes of a request's body at most: a record of 10 MiB in hexadecimal digits."""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()), (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"), (b"cross-origin-opener-policy", b"same-origin"),
)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_SESSION: Final = "/api/session"
_SUMMARY: Final = re.compile("/api/clusters/[^/]+/(topics|groups)/summary")
_NOT_FOUND: Final = (
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.RESOURCE_NOT_FOUND,
)
_CONFLICT: Final = (ErrorCode.TOPIC_ALREADY_EXISTS, ErrorCode.NON_EMPTY_GROUP, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC)

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


# --- answers ------------------------------------------------------------------------------------------------


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Write an answer as JSON."""
    return Response(msgspec.json.encode(value), status, dict(headers or {}), media_type="application/json")


def refused(error: Refusal) -> Response:
    """Write a refusal."""
    return answer({"error": error.word, "message": str(error), **error.more()}, error.status)


def refusal(error: BarnabasError) -> Refusal:
    """Return what an error of the client or of a tool is for the page."""
    if isinstance(error, Refusal):
        return error
    cause = error.__cause__ or error.__context__
    if isinstance(error, ToolError) and isinstance(cause, ClientError):
        return refusal(cause)  # the tool has dressed it as Java does
    if isinstance(error, AnswerError):
        name = name_of(error.code)
        if error.code in _NOT_FOUND:
            return NotFound(str(error))
        if error.code in _CONFLICT:
            return Conflict(str(error))
        return Refused(str(error), name)
    if isinstance(error, ClientError | ConfigError):
        return Unreachable(unreachable_text(error))
    return BadRequest(str(error).strip())


def unreachable_text(error: BarnabasError) -> str:
    """Say that a cluster does not answer; Java's words for that name a call, which helps nobody here."""
    return "no broker of the cluster can be reached" if isinstance(error, NoBroker) else str(error)


def guarded(handler: Handler) -> Handler:
    """Turn errors into answers."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except BarnabasError as e:
            return refused(refusal(e))

    return handle


class NameRoute(Route):
    """Match an address as it was sent, and hand on its parts decoded: names may have slashes and percent signs."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether an address is one of this route."""
        match, more = super().matches({**scope, "path": sent_path(scope)})
        if match is not Match.NONE:
            more["path_params"] = {name: unquote(part) for name, part in more["path_params"].items()}
        return match, more


def sent_path(scope: Scope) -> str:
    """Return a path before it was decoded."""
    raw: bytes = scope["raw_path"]
    return raw.decode("latin-1")


# --- questions ----------------------------------------------------------------------------------------------


async def read_body(request: Request, kind: type[T]) -> T:
    """Read the JSON of a request. Raises `BadRequest`."""
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > BODY:
                raise BadRequest(f"a body has at most {BODY} bytes")
    except ClientDisconnect:
        raise BadRequest("the body ended too early") from None
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as e:  # msgspec's errors, and what is no UTF-8
        raise BadRequest(f"the body is not as it should be: {e}") from None


def number(request: Request, name: str, least: int, most: int, default: int) -> int:
    """Read a parameter that is a whole number. Raises `BadRequest`."""
    text = request.query_params.get(name)
    return default if text is None else whole(name, text, least, most)


def whole(name: str, text: str, least: int, most: int) -> int:
    """Read a whole number. Raises `BadRequest`."""
    digits = text[1:] if text.startswith("-") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and least <= int(text) <= most):
        raise BadRequest(f"{name}: expected a whole number from {least} to {most}, not {text[:40]!r}")
    return int(text)


def identity(request: Request) -> Identity:
    """Say who asks: `Guard` found out."""
    found: Identity = request.scope["barnabas.identity"]
    return found


def cookie_of(headers: Mapping[str, str]) -> str | None:
    """Return the session's cookie, whatever cookies others have set: those of all ports of a host come together."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE)


# --- the guard ----------------------------------------------------------------------------------------------


class Guard:
    """Stand before the application."""

    def __init__(self, app: ASGIApp, settings: ConsoleSettings, login: Login) -> None:
        self._app, self._settings, self._login = app, settings, login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer that it may not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_api = scope["path"].startswith("/api")

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
                if is_api:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check_host(headers)
            if is_api:
                scope["barnabas.identity"] = self._check(scope["method"], sent_path(scope), headers)
        except Refusal as e:
            await refused(e)(scope, receive, dressed)
            return
        await self._app(scope, receive, dressed)

    def _check_host(self, headers: Mapping[str, str]) -> None:
        allowed = self._settings.allowed_hosts
        if not self._settings.is_loopback and not allowed:
            return
        name = host_of(headers.get("host", ""))
        if name not in allowed and not (self._settings.is_loopback and name in _LOOPBACK):
            raise Forbidden(f"{name[:100]!r} is no name of this console: --allow-host makes it one")

    def _check(self, method: str, path: str, headers: Mapping[str, str]) -> Identity:
        if method not in ("GET", "POST", "DELETE"):
            raise BadRequest(f"{method} means nothing here")
        site = headers.get("sec-fetch-site")
        if site not in (None, "same-origin", "none"):
            raise Forbidden("a page of another site may not ask")
        who = self._login.identify(headers, cookie_of(headers))
        if not who.may and path != _SESSION:
            raise Unauthorized("sign in first")
        if method == "GET":
            return who
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
            raise Forbidden("a page of another site may not ask")
        if method == "POST" and _SUMMARY.fullmatch(path):  # a question that is too long for an address
            return who
        if path != _SESSION and self._settings.read_only:
            raise Forbidden("this console is read-only")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise BadRequest("send Content-Type: application/json")
        if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), who.csrf.encode()):
            raise Forbidden("X-CSRF-Token is missing or old: ask /api/session for it")
        return who


def host_of(text: str) -> str:
    """Return the name of a Host header, without the port and the brackets of IPv6."""
    text = text.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") <= 1 else text
