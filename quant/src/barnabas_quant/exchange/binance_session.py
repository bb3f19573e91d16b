"""Binance's side of one WebSocket connection: subscriptions by path and by command, pings, and the venue's limits.

Source: Binance API documentation, "WebSocket Streams" (spot) and "Websocket Market Streams" (USD-M): live subscribing,
error messages, limits. Error answers are the documented `{"code":..., "msg":..., "id":...}`; the id is left out where
the request has none that is valid. Names of streams are not checked: one that does not exist is never sent.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from barnabas_quant.exchange.hub import Hub, Made
from barnabas_quant.exchange.market import Market
from barnabas_quant.exchange.settings import Limits
from barnabas_quant.exchange.wire import Socket, ping_frame, text_frame

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_LONGEST_ID = 36
_numbers = itertools.count(1)


class _CommandError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BinanceSession:
    """Serve one connection. `notice`: tell of each end that the exchange brings about itself, and why."""

    def __init__(
        self,
        market: Market,
        hub: Hub,
        limits: Limits,
        names: list[str],
        combined: bool,
        now: Callable[[], int],
        notice: Callable[[BinanceSession, str], None],
    ) -> None:
        self.number = next(_numbers)
        self.venue = market.venue
        self.socket: Socket | None = None
        self.delivered = 0
        self._market = market
        self._hub = hub
        self._limits = limits
        self.combined = combined
        self._now = now
        self._notice = notice
        self._names: dict[str, None] = dict.fromkeys(names)
        self._messages: deque[float] = deque()
        self._a_second = limits.futures_messages_a_second if market.futures else limits.messages_a_second
        self._timers: list[asyncio.TimerHandle] = []
        self._pings: dict[bytes, float] = {}
        self._closed = False

    @property
    def streams(self) -> list[str]:
        """Give the keys of the streams that this connection gets."""
        return [self._market.key(name) for name in self._names]

    def opened(self, socket: Socket) -> None:
        self.socket = socket
        loop = asyncio.get_running_loop()
        if len(self._names) > self._limits.streams:
            self.end("more streams than a connection may have", 1008)
            return
        for name in self._names:
            self._subscribe(name)
        limits = self._limits
        self._timers = [
            loop.call_later(limits.ping_seconds, self._ping),
            loop.call_later(max(0.0, limits.life_seconds - limits.notice_seconds), self.announce_shutdown),
            loop.call_later(limits.life_seconds, self.end, "the connection's life is over", 1001),
        ]

    def closed(self) -> None:
        if not self._closed:
            self._closed = True
            for timer in self._timers:
                timer.cancel()
            for name in self._names:
                self._hub.unsubscribe(self._market.key(name), self)
            self._notice(self, "closed")

    def deliver(self, made: Made) -> None:
        socket = self.socket
        if socket is None or socket.ended:
            return
        self.delivered += 1
        socket.send(made.combined if self.combined else made.raw)
        if not socket.has_room and socket.waiting > self._limits.waiting_bytes:
            self._notice(self, "does not keep up")
            socket.abort()

    def end(self, why: str, code: int = 1000) -> None:
        """Close the connection in order."""
        if self.socket is not None and not self.socket.ended and not self.socket.silent:
            self._notice(self, why)
            self.socket.close(code, why)

    def announce_shutdown(self) -> None:
        """Send the event that tells of a near end."""
        if self.socket is not None:
            event = b'{"e":"serverShutdown","E":%d}' % self._now()
            whole = b'{"stream":"!serverShutdown","data":%s}' % event
            self.socket.send(text_frame(whole if self.combined else event))

    def pinged(self) -> None:
        self._count()

    def ponged(self, payload: bytes) -> None:
        self._count()
        if payload in self._pings:  # an unsolicited pong does not keep a connection alive
            self._pings.clear()

    def received(self, data: bytes) -> None:
        if not self._count():
            return
        identifier: Any = None
        answer: dict[str, Any]
        try:
            command = self._parse(data)
            identifier = self._identifier(command)
            answer = {"result": self._run(command), "id": identifier}
        except _CommandError as error:
            answer = {"code": error.code, "msg": str(error)}
            if identifier is not None:
                answer["id"] = identifier
        if self.socket is not None:
            self.socket.send(text_frame(msgspec.json.encode(answer)))

    def _count(self) -> bool:
        """Count a message of the client; answer False where that was one too many."""
        now = asyncio.get_running_loop().time()
        self._messages.append(now)
        while self._messages[0] <= now - 1.0:
            self._messages.popleft()
        if len(self._messages) > self._a_second:
            self.end("Too many requests", 1008)
            return False
        return True

    def _parse(self, data: bytes) -> dict[str, Any]:
        try:
            command = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _CommandError(3, "Invalid JSON: expected value at line 1 column 1") from error
        if not isinstance(command, dict):
            raise _CommandError(2, "Invalid request: expected an object at line 1 column 1")
        if "method" not in command:
            raise _CommandError(2, f"Invalid request: missing field `method` at line 1 column {len(data)}")
        return command

    def _identifier(self, command: dict[str, Any]) -> Any:
        given = command.get("id")
        if self._market.futures:
            valid = isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**64
        elif isinstance(given, str):
            valid = 0 < len(given) <= _LONGEST_ID and given.isascii() and given.replace("-", "").isalnum()
        else:
            integer = isinstance(given, int) and not isinstance(given, bool) and -(2**63) <= given < 2**63
            valid = integer or (given is None and "id" in command)
        if not valid:
            raise _CommandError(2, "Invalid request: request ID must be an unsigned integer")
        return given

    def _run(self, command: dict[str, Any]) -> Any:
        method, params = command["method"], command.get("params")
        if method not in _METHODS:
            expected = ", ".join(f"`{name}`" for name in _METHODS)
            raise _CommandError(
                2, f"Invalid request: unknown variant {method}, expected one of {expected} at line 1 column 28"
            )
        if method == "LIST_SUBSCRIPTIONS":
            if params:
                raise _CommandError(2, "Invalid request: too many parameters")
            return list(self._names)
        if not isinstance(params, list):
            raise _CommandError(2, "Invalid request: missing field `params` at line 1 column 28")
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(method, params)
        if not all(isinstance(name, str) and name for name in params):
            raise _CommandError(2, "Invalid request: params must be a list of strings")
        if method == "UNSUBSCRIBE":
            for name in params:
                if name in self._names:
                    del self._names[name]
                    self._hub.unsubscribe(self._market.key(name), self)
            return None
        fresh = [name for name in dict.fromkeys(params) if name not in self._names]
        if len(self._names) + len(fresh) > self._limits.streams:
            raise _CommandError(2, f"Invalid request: more than {self._limits.streams} streams")
        for name in fresh:
            self._names[name] = None
            self._subscribe(name)
        return None

    def _property(self, method: str, params: list[Any]) -> bool | None:
        if not params or not isinstance(params[0], str):
            raise _CommandError(2, "Invalid request: property name must be a string")
        if len(params) > (2 if method == "SET_PROPERTY" else 1):
            raise _CommandError(2, "Invalid request: too many parameters")
        if params[0] != "combined":
            raise _CommandError(0, "Unknown property")
        if method == "GET_PROPERTY":
            return self.combined
        if len(params) < 2 or not isinstance(params[1], bool):
            raise _CommandError(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        return None

    def _subscribe(self, name: str) -> None:
        self._market.wanted(name)
        self._hub.subscribe(self._market.key(name), self)

    def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        if self._closed or self.socket is None:
            return
        now = loop.time()
        if self._pings and now - next(iter(self._pings.values())) >= self._limits.pong_seconds:
            self.end("no pong", 1008)
            return
        payload = b"%d" % self._now()
        self._pings.setdefault(payload, now)
        self.socket.send(ping_frame(payload))
        wait = self._limits.ping_seconds
        oldest = next(iter(self._pings.values())) + self._limits.pong_seconds - now
        self._timers[0] = loop.call_later(min(wait, max(0.01, oldest)), self._ping)
