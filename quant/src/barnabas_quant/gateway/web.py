"""What the handlers of all routes share: refusals, answers, bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from barnabas_quant.errors import BusError, QuantError, StoreUnavailable
from barnabas_quant.gateway.answers import ErrorWord, Failure
from barnabas_quant.history import ClickHouseError

Handler = Callable[[Request], Awaitable[Response]]

BODY = 16 * 1024
"""Bytes of a request's body at most."""

_T = TypeVar("_T")


class Refusal(QuantError):
    """Stand for what a client is refused; the message is for it."""

    status: ClassVar[int]
    word: ClassVar[ErrorWord]

    def headers(self) -> dict[str, str]:
        """Give headers that the answer has."""
        return {}


class BadRequest(Refusal, ValueError):
    """Say which parameter or member is wrong."""

    status, word = 400, "bad_request"


class Unauthorized(Refusal):
    """Say that it is not known who asks."""

    status, word = 401, "unauthorized"

    def headers(self) -> dict[str, str]:
        """Say what would let somebody in."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(Refusal):
    """Say that who asks may not, or not in this way."""

    status, word = 403, "forbidden"


class NotFound(Refusal):
    """Say that there is no such thing."""

    status, word = 404, "not_found"


class Conflict(Refusal):
    """Say that somebody else was quicker."""

    status, word = 409, "conflict"


class TooMany(Refusal):
    """Say that it was tried too often, and for how many seconds to leave it."""

    status, word = 429, "too_many"

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self._seconds = seconds

    def headers(self) -> dict[str, str]:
        """Say when to try again."""
        return {"Retry-After": str(self._seconds)}


class Busy(Refusal):
    """Say that this gateway cannot do it now."""

    status, word = 503, "unavailable"


def guarded(handler: Handler) -> Handler:
    """Turn errors into answers."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as error:
            return answer(Failure(error.word, str(error)), error.status, error.headers())
        except (StoreUnavailable, ClickHouseError, BusError) as error:
            return answer(Failure("unavailable", str(error)), 503)
        except QuantError as error:
            return answer(Failure("bad_request", str(error)), 400)

    return handle


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Write an answer as JSON."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def private(value: Any, status: int = 200) -> Response:
    """Write an answer that nobody on the way may keep; None: one without a body."""
    headers = {"Cache-Control": "no-store"}
    return Response(None, 204, headers) if value is None else answer(value, status, headers)


def is_json(content_type: str) -> bool:
    """Tell whether a Content-Type is JSON's: one that no page of another site can send without asking first."""
    return content_type.partition(";")[0].strip().lower() == "application/json"


async def read_body(request: Request, kind: type[_T]) -> _T:
    """Read the JSON of a request. Raises BadRequest, in words."""
    if not is_json(request.headers.get("content-type", "")):
        raise BadRequest("the body is JSON: send Content-Type: application/json")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > BODY:
                raise BadRequest(f"a body has at most {BODY} bytes")
    except ClientDisconnect as error:
        raise BadRequest("the body ended too early") from error
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as error:  # the former is msgspec's base, and that of what is no UTF-8
        raise BadRequest(f"the body is not as it should be: {error}") from error


def number(request: Request, name: str, least: int, most: int, default: int | None = None) -> int | None:
    """Read a parameter of the query that is a whole number. Raises BadRequest."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise BadRequest(f"{name}: a whole number from {least} to {most}, not {text[:40]!r}")
    return int(text)
