"""OKX's side of one WebSocket connection: subscriptions, the text ping, the thirty seconds.

Source: OKX API documentation v5, "WebSocket: Connect, Subscribe, Unsubscribe", "Error Codes".
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec

from barnabas_quant.exchange.hub import Hub, Made
from barnabas_quant.exchange.okx_market import BARS, OkxMarket
from barnabas_quant.exchange.settings import OKX, Limits
from barnabas_quant.exchange.wire import Socket, text_frame

_PUBLIC = ("trades", "bbo-tbt", "books")
_BUSINESS = tuple(f"candle{bar}" for bar in BARS)
_LONGEST = 64 * 1024  # bytes of all arguments of one request
_numbers = itertools.count(1_000_001)


class OkxSession:
    """Serve one connection; `address` is public or business."""

    def __init__(
        self, market: OkxMarket, hub: Hub, limits: Limits, address: str, notice: Callable[[OkxSession, str], None]
    ) -> None:
        self.number = next(_numbers)
        self.venue = OKX
        self.socket: Socket | None = None
        self.delivered = 0
        self._market = market
        self._hub = hub
        self._limits = limits
        self._channels = _PUBLIC if address == "public" else _BUSINESS
        self._notice = notice
        self._subscribed: dict[str, None] = {}
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._connection = f"{self.number:08x}"

    @property
    def streams(self) -> list[str]:
        """Give the keys of the channels that this connection gets."""
        return list(self._subscribed)

    def opened(self, socket: Socket) -> None:
        self.socket = socket
        self._watch()

    def closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for key in self._subscribed:
            self._hub.unsubscribe(key, self)
        self._notice(self, "closed")

    def deliver(self, made: Made) -> None:
        socket = self.socket
        if socket is None or socket.ended:
            return
        self.delivered += 1
        self._alive()
        socket.send(made.raw)
        if not socket.has_room and socket.waiting > self._limits.waiting_bytes:
            self._notice(self, "does not keep up")
            socket.abort()

    def end(self, why: str, code: int = 1000) -> None:
        """Close the connection in order."""
        if self.socket is not None and not self.socket.ended and not self.socket.silent:
            self._notice(self, why)
            self.socket.close(code, why)

    def announce_shutdown(self) -> None:
        """Send the notice that tells of a near end."""
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        self._send({"event": "notice", "code": "64008", "msg": text, "connId": self._connection})

    def pinged(self) -> None:
        self._alive()

    def ponged(self, payload: bytes) -> None:
        self._alive()

    def received(self, data: bytes) -> None:
        self._alive()
        if data == b"ping":
            if self.socket is not None:
                self.socket.send(text_frame(b"pong"))
            return
        try:
            request = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            request = None
        if not isinstance(request, dict) or request.get("op") not in ("subscribe", "unsubscribe"):
            self._fail("60012", f"Invalid request: {data[:200].decode('utf-8', 'replace')}", request)
            return
        wanted = request.get("args")
        if not isinstance(wanted, list) or not wanted or len(data) > _LONGEST:
            self._fail("60013", "Invalid args", request)
            return
        for argument in wanted:
            self._argument(request["op"], argument, request)

    def _argument(self, operation: str, argument: Any, request: dict[str, Any]) -> None:
        channel = argument.get("channel") if isinstance(argument, dict) else None
        name = argument.get("instId") if isinstance(argument, dict) else None
        if channel not in self._channels or name not in self._market.histories:
            text = (
                f"Wrong URL or channel:{channel},instId:{name} doesn't exist. Please use the correct URL, channel and "
                "parameters referring to API document."
            )
            self._fail("60018", text, request)
            return
        key = self._market.key(str(channel), str(name))
        answer = {"event": operation, "arg": {"channel": channel, "instId": name}, "connId": self._connection}
        self._send(({"id": request["id"]} if "id" in request else {}) | answer)
        if operation == "unsubscribe":
            self._subscribed.pop(key, None)
            self._hub.unsubscribe(key, self)
            return
        self._subscribed[key] = None
        self._hub.subscribe(key, self)
        first = self._market.book_message(str(name)) if channel == "books" else None
        if first is not None and self.socket is not None:
            self.socket.send(text_frame(first))

    def _fail(self, code: str, text: str, request: Any) -> None:
        named = {"id": request["id"]} if isinstance(request, dict) and "id" in request else {}
        self._send(named | {"event": "error", "code": code, "msg": text, "connId": self._connection})

    def _send(self, answer: dict[str, Any]) -> None:
        if self.socket is not None:
            self._alive()
            self.socket.send(text_frame(msgspec.json.encode(answer)))

    def _alive(self) -> None:
        self._last = asyncio.get_running_loop().time()

    def _watch(self) -> None:
        """Close the connection where nothing has gone either way for thirty seconds."""
        loop = asyncio.get_running_loop()
        self._last = self._last or loop.time()
        left = self._last + self._limits.okx_idle_seconds - loop.time()
        if left <= 0:
            self.end("no data for too long", 4004)
        else:
            self._timer = loop.call_later(left, self._watch)
