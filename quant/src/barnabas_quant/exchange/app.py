"""The exchange put together: which path leads where, who is connected, what is played."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from barnabas_quant.exchange.binance_rest import BinanceRest
from barnabas_quant.exchange.binance_session import BinanceSession
from barnabas_quant.exchange.control import Control, Controlled
from barnabas_quant.exchange.faults import Faults
from barnabas_quant.exchange.hub import Hub
from barnabas_quant.exchange.ledger import Ledger
from barnabas_quant.exchange.market import Market
from barnabas_quant.exchange.okx_market import OkxMarket
from barnabas_quant.exchange.okx_rest import OkxRest
from barnabas_quant.exchange.okx_session import OkxSession
from barnabas_quant.exchange.play import Play
from barnabas_quant.exchange.rest import Weights, refusal
from barnabas_quant.exchange.settings import BINANCE, BINANCE_USDM, OKX, Limits, Retention
from barnabas_quant.exchange.sina import Sina
from barnabas_quant.exchange.wire import Connection, Request, Response, Session

log = logging.getLogger(__name__)

_SPLIT = ("/public", "/market")  # the two addresses of USD-M streams since 2026
_NOT_FOUND = Response(404, b'{"code":404,"msg":"nothing here"}')


class Exchange:
    """Hold everything that lives as long as the process; `play` is set before it runs."""

    def __init__(self, venues: tuple[str, ...], limits: Limits, retention: Retention) -> None:
        """Take the venues that are there; the first Binance venue has the plain paths /ws and /stream."""
        self._limits = limits
        self._sessions: dict[Controlled, None] = {}
        self._connections: dict[Connection, None] = {}
        self._handshakes: deque[float] = deque()
        self._ends: deque[dict[str, Any]] = deque(maxlen=100)
        self._tasks: set[asyncio.TimerHandle] = set()
        self._started = asyncio.Event()
        self.ledger = Ledger(retention.ids)
        self.faults = Faults(time.monotonic)
        self.hub = Hub(self.ledger, self.faults, lambda: asyncio.get_running_loop().time())
        self.markets = {
            venue: Market(venue, venue == BINANCE_USDM, self.hub, retention)
            for venue in venues
            if venue in (BINANCE, BINANCE_USDM)
        }
        self._plain = next(iter(self.markets.values()), None)
        self.okx = OkxMarket(self.hub, retention) if OKX in venues else None
        self.sina: Sina | None = None
        self.play: Play | None = None
        self._rests = {}
        for market in self.markets.values():
            most = limits.futures_weight if market.futures else limits.weight
            weights = Weights(most, limits.requests_until_ban, limits.ban_seconds, time.time)
            rest = BinanceRest(market, weights, most, self.now)
            self._rests[rest.prefix] = rest
        self._okx_rest = None if self.okx is None else OkxRest(self.okx, limits.okx_requests, self.now, time.monotonic)
        self._control = Control(
            self.hub, self.ledger, self.faults, lambda: list(self._sessions), self._later, self.start, self._status
        )

    def now(self) -> int:
        """Give the exchange's clock, milliseconds since 1970."""
        return self.play.now() if self.play is not None else time.time_ns() // 10**6

    def start(self) -> None:
        """Start a play that waits for subscribers."""
        self._started.set()

    async def subscribed(self, market: Market, names: list[str]) -> None:
        """Wait until each of these streams has a subscriber, or until `start`."""
        while not self._started.is_set() and not all(market.heard(name) for name in names):
            self.hub.changed.clear()
            waits = [asyncio.create_task(event.wait()) for event in (self.hub.changed, self._started)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def room(self) -> None:
        """Wait until every client keeps up. One that is silent or gone is not waited for."""
        for session in list(self._sessions):
            socket = session.socket
            if socket is not None and not socket.silent:
                await socket.room()

    def connection(self) -> Connection:
        """Make the protocol of a new connection."""
        connection = Connection(self, self._forget)
        self._connections[connection] = None
        return connection

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def close(self) -> None:
        """End every connection and timer."""
        for timer in self._tasks:
            timer.cancel()
        for connection in list(self._connections):
            connection.close()

    def sessions(self) -> list[Controlled]:
        """Give the WebSocket connections."""
        return list(self._sessions)

    # requests

    def admits(self) -> bool:
        return not self.faults.refuses(tcp=True)

    def answer(self, request: Request) -> Response | Session:
        path = request.path
        if path == "/control" or path.startswith("/control/"):
            return self._control.answer(request)
        if request.wants_websocket:
            return self._websocket(request)
        fault = self.faults.answer_for(path)
        answer = self._rest(request) if fault is None else self._faulty(path, *fault)
        return replace(answer, delay=answer.delay + self.faults.seconds) if self.faults.seconds else answer

    def _rest(self, request: Request) -> Response:
        path = request.path
        for prefix, rest in self._rests.items():
            if path.startswith(prefix + "/"):
                return rest.answer(request)
        if self._okx_rest is not None and path.startswith("/api/v5/"):
            return self._okx_rest.answer(request)
        if self.sina is not None and path.startswith("/list="):
            return self.sina.answer(request)
        return _NOT_FOUND

    def _faulty(self, path: str, status: int, retry_after: float, delay: float) -> Response:
        if status in (418, 429):
            most = self._limits.futures_weight if path.startswith("/fapi") else self._limits.weight
            answer = refusal(status, retry_after, most, int((time.time() + retry_after) * 1000))
            return Response(answer.status, answer.body, answer.headers, delay=delay)
        return Response(status, b'{"code":-1001,"msg":"Internal error; unable to process your request."}', delay=delay)

    def _websocket(self, request: Request) -> Response | Session:
        if self.faults.refuses(tcp=False):
            return Response(503, b"")
        now = time.monotonic()
        while self._handshakes and self._handshakes[0] <= now - self._limits.connections_seconds:
            self._handshakes.popleft()
        if len(self._handshakes) >= self._limits.connections:
            wait = int(self._handshakes[0] + self._limits.connections_seconds - now) + 1
            return Response(429, b"", {"retry-after": str(wait)})
        if request.query.get("timeUnit", "MILLISECOND").upper() != "MILLISECOND":
            return Response(400, b'{"code":-1100,"msg":"timeUnit: this exchange sends milliseconds only."}')
        session = self._session(request)
        if session is None:
            return _NOT_FOUND
        self._handshakes.append(now)
        self._sessions[session] = None
        return session

    def _session(self, request: Request) -> BinanceSession | OkxSession | None:
        path = request.path
        if self.okx is not None and path in ("/ws/v5/public", "/ws/v5/business"):
            return OkxSession(self.okx, self.hub, self._limits, path.rpartition("/")[2], self._notice)
        market = self._plain
        for prefix in _SPLIT:
            if path.startswith(prefix + "/"):
                market = self.markets.get(BINANCE_USDM)
                path = path.removeprefix(prefix)
        if market is None:
            return None
        if path == "/stream":
            names, combined = request.query.get("streams", ""), True
        elif path == "/ws" or path.startswith("/ws/"):
            names, combined = path[4:], False
        else:
            return None
        chosen = [name for name in names.split("/") if name]
        return BinanceSession(market, self.hub, self._limits, chosen, combined, self.now, self._notice)

    # connections

    def _notice(self, session: Controlled, why: str) -> None:
        if why == "closed":
            self._sessions.pop(session, None)
        else:
            self._ends.append({"number": session.number, "venue": session.venue, "why": why, "at": self.now()})
            log.info("connection %d of %s ends: %s", session.number, session.venue, why)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._tasks.add(asyncio.get_running_loop().call_later(seconds, act))

    def _status(self) -> dict[str, Any]:
        play = self.play
        described = {} if play is None else {"state": play.state, "frames": play.frames, **play.describe()}
        return {"play": described, "clock": self.now(), "venues": self._venues(), "ended": list(self._ends)}

    def _venues(self) -> dict[str, list[str]]:
        venues = {market.venue: sorted(market.histories) for market in self.markets.values()}
        if self.okx is not None:
            venues[OKX] = sorted(self.okx.histories)
        return venues
