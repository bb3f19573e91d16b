"""What the REST interfaces share: parameters read as Binance reads them, errors, and the weight of a minute."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from barnabas_quant.exchange.wire import Request, Response


class RestError(Exception):
    """Refuse a request as the venue does."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def response(self) -> Response:
        """Give the answer."""
        return Response(self.status, msgspec.json.encode({"code": self.code, "msg": str(self)}))


def unavailable() -> RestError:
    """Say that the exchange cannot know the answer (now): a book without a snapshot, a history not played."""
    return RestError(-1001, "Internal error; unable to process your request. Please try again.", 503)


_NUMBER = re.compile(r"[0-9]{1,20}\Z")


class Parameters:
    """Read the parameters of a request. All raise RestError."""

    def __init__(self, request: Request) -> None:
        self._query = request.query

    def text(self, name: str) -> str | None:
        """Give a parameter, None where it was not sent."""
        value = self._query.get(name)
        if value == "":
            raise RestError(-1105, f"Parameter '{name}' was empty.")
        return value

    def required(self, name: str) -> str:
        """Give a parameter that must be there."""
        value = self._query.get(name)
        if not value:
            raise RestError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def number(self, name: str) -> int | None:
        """Give a parameter that is a whole number."""
        value = self.text(name)
        if value is None:
            return None
        if not _NUMBER.match(value):
            raise RestError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Give `limit`: from 1 on, cut at the most that is allowed."""
        value = self.number("limit")
        if value is None:
            return default
        if value < 1:
            raise RestError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, most)


class Weights:
    """Add up the weight of a minute of the clock; refuse what goes beyond, and whoever does not stop.

    429 with Retry-After up to the end of the minute; after `patience` further requests 418, for `ban` seconds.
    All callers count as one address.
    """

    def __init__(self, most: int, patience: int, ban: float, now: Callable[[], float]) -> None:
        self._most = most
        self._patience = patience
        self._ban = ban
        self._now = now
        self._minute = 0
        self._refused = 0
        self._banned_until = 0.0
        self.used = 0

    def take(self, weight: int) -> Response | None:
        """Count a request; give the refusal where it is one."""
        now = self._now()
        if now < self._banned_until:
            return self._refuse(418, self._banned_until - now)
        minute = int(now // 60)
        if minute != self._minute or self._banned_until:
            self._minute, self.used, self._refused = minute, 0, 0
            self._banned_until = 0.0
        self.used += weight
        if self.used <= self._most:
            return None
        self._refused += 1
        if self._refused > self._patience:
            self._banned_until = now + self._ban
            return self._refuse(418, self._ban)
        return self._refuse(429, (minute + 1) * 60 - now)

    def _refuse(self, status: int, seconds: float) -> Response:
        return refusal(status, seconds, self._most, int((self._now() + seconds) * 1000))


def refusal(status: int, seconds: float, most: int, until: int) -> Response:
    """Give Binance's 429 or 418; `until` in milliseconds since 1970."""
    if status == 418:
        text = f"Way too many requests; IP banned until {until}. Please use WebSocket Streams for live updates."
    else:
        text = f"Too many requests; current limit is {most} request weight per 1 MINUTE."
    body = msgspec.json.encode({"code": -1003, "msg": text})
    return Response(status, body, {"retry-after": str(max(1, -int(-seconds // 1)))})
