"""The control interface under /control: faults on command, and what there is to account for.

| request | what it does |
|---|---|
| `GET /control` | what is played, connections, subscriptions, faults in force |
| `GET /control/played` | by stream: count, first and last id, checksum; `?ids=1` the ids, `?stream=PATTERN` some |
| `GET /control/log` | every fault with its order and its exact places |
| `POST /control/start` | start a capture that waits for subscribers |
| `POST /control/drop` | `{"how": "close" or abort, half, silent, "connections": "all" or [1, 2] or 3, "code": 1001}` |
| `POST /control/skip` | `{"stream": PATTERN, "frames": 1}`: the next frames are made, and not sent |
| `POST /control/garbage` | `{"stream": PATTERN, "kind": KIND, "frames": 1, "instead": false}` |
| `POST /control/delay` | `{"seconds": 0.5}` holds every frame and REST answer back; 0 ends it |
| `POST /control/freeze`, `thaw` | `{"stream": "*", "lose": false, "seconds": null}`: nothing is sent until the thaw |
| `POST /control/rest` | `{"status": 429, "requests": 1, "path": "/api/v3", "retry_after": 1, "delay": 0}` |
| `POST /control/refuse` | `{"connections": 3, "tcp": false}`: WebSockets get 503, with `tcp` every connection is cut |
| `POST /control/shutdown` | `{"seconds": 1}`: `serverShutdown`, and the end of all connections after that time |
| `POST /control/clear` | end every fault in force |

Orders are JSON objects (none: `{}`) and are answered with their entry in the log, or 400 and the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec

from barnabas_quant.exchange.faults import Entry, FaultError, Faults
from barnabas_quant.exchange.garbage import KINDS
from barnabas_quant.exchange.hub import Hub
from barnabas_quant.exchange.ledger import Ledger
from barnabas_quant.exchange.wire import Request, Response, Socket

_WAYS = ("close", "abort", "half", "silent")


class Controlled(Protocol):
    """What a connection of any venue offers to the control interface."""

    number: int
    venue: str
    socket: Socket | None
    delivered: int

    @property
    def streams(self) -> list[str]:
        """Give the keys of the streams that it gets."""

    def end(self, why: str, code: int = 1000) -> None:
        """Close the connection in order."""

    def announce_shutdown(self) -> None:
        """Tell the client that the connection is about to end."""


class Control:
    """Answer requests under /control."""

    def __init__(
        self,
        hub: Hub,
        ledger: Ledger,
        faults: Faults,
        sessions: Callable[[], list[Controlled]],
        later: Callable[[float, Callable[[], None]], None],
        start: Callable[[], None],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._hub = hub
        self._ledger = ledger
        self._faults = faults
        self._sessions = sessions
        self._later = later
        self._start = start
        self._status = status
        self._orders: dict[str, Callable[[dict[str, Any]], Entry]] = {
            "start": self._begin,
            "drop": self._drop,
            "skip": faults.skip,
            "garbage": faults.garbage,
            "delay": faults.delay_all,
            "freeze": self._freeze,
            "thaw": self._thaw,
            "rest": faults.answer_with,
            "refuse": faults.refuse,
            "shutdown": self._shutdown,
            "clear": self._clear,
        }

    def answer(self, request: Request) -> Response:
        """Answer a request."""
        name = request.path.removeprefix("/control").strip("/")
        if request.method == "GET":
            return self._show(name, request)
        order = self._orders.get(name)
        if request.method != "POST" or order is None:
            return _answer(404, {"error": f"no such order: {name}", "orders": list(self._orders)})
        try:
            given = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
            entry = order(given)
        except (msgspec.DecodeError, UnicodeDecodeError, FaultError) as error:
            return _answer(400, {"error": str(error)})
        return _answer(200, entry)

    def _show(self, name: str, request: Request) -> Response:
        if name == "":
            return _answer(200, self._status() | self._state())
        if name == "log":
            return _answer(200, self._faults.log)
        if name == "played":
            pattern = request.query.get("stream")
            streams = None
            if pattern is not None:
                known = self._ledger.last_ids()
                streams = [s for s in known if fnmatchcase(s, pattern) or fnmatchcase(s.partition(":")[2], pattern)]
            return _answer(200, self._ledger.report(streams, ids=request.query.get("ids") == "1"))
        return _answer(404, {"error": f"nothing here: {name}", "pages": ["", "log", "played"]})

    def _state(self) -> dict[str, Any]:
        sessions = [
            {
                "number": session.number,
                "venue": session.venue,
                "streams": len(session.streams),
                "delivered": session.delivered,
                "silent": session.socket is not None and session.socket.silent,
                "waiting_bytes": 0 if session.socket is None or session.socket.ended else session.socket.waiting,
            }
            for session in self._sessions()
        ]
        return {
            "connections": sessions,
            "subscribers": self._hub.subscribers(),
            "held": self._hub.held,
            "in_force": [entry for entry in self._faults.log if not entry.done],
            "garbage_kinds": [*KINDS, "duplicate", "out_of_order"],
        }

    def _begin(self, order: dict[str, Any]) -> Entry:
        self._start()
        return self._at_once("start", order)

    def _drop(self, order: dict[str, Any]) -> Entry:
        how = order.get("how", "abort")
        if how not in _WAYS:
            raise FaultError(f"how: one of {', '.join(_WAYS)}")
        code = order.get("code", 1001)
        if not isinstance(code, int) or not 1000 <= code <= 4999:
            raise FaultError("code: 1000 to 4999")
        chosen = self._chosen(order.get("connections", "all"))
        place = self._ledger.last_id
        met = [
            {"number": s.number, "venue": s.venue, "last_ids": {stream: place(stream) for stream in s.streams}}
            for s in chosen
        ]
        for session in chosen:
            socket = session.socket
            if socket is None:
                continue
            if how == "close":
                session.end("dropped on command", code)
            elif how == "abort":
                socket.abort()
            elif how == "half":
                socket.close_half()
            else:
                socket.silent = True
        return self._at_once("drop", order, dropped=met)

    def _chosen(self, which: Any) -> list[Controlled]:
        sessions = [s for s in self._sessions() if s.socket is not None and not s.socket.silent]
        if which == "all":
            return sessions
        if isinstance(which, int) and not isinstance(which, bool):
            return sessions[:which]
        if isinstance(which, list):
            return [session for session in sessions if session.number in which]
        raise FaultError('connections: "all", how many, or a list of their numbers')

    def _freeze(self, order: dict[str, Any]) -> Entry:
        seconds = order.get("seconds")
        if seconds is not None and (not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0):
            raise FaultError("seconds: a number from 0 on")
        entry = self._faults.freeze(order)
        if seconds is not None:
            self._later(float(seconds), self._warm)
        return entry

    def _thaw(self, order: dict[str, Any]) -> Entry:
        self._warm()
        return self._at_once("thaw", order)

    def _warm(self) -> None:
        self._faults.thaw()
        self._hub.thaw()

    def _shutdown(self, order: dict[str, Any]) -> Entry:
        seconds = order.get("seconds", 1)
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
            raise FaultError("seconds: a number from 0 on")
        sessions = self._sessions()
        for session in sessions:
            session.announce_shutdown()

        def end() -> None:
            for session in sessions:
                session.end("server shutdown", 1001)

        self._later(float(seconds), end)
        return self._at_once("shutdown", order, connections=[session.number for session in sessions])

    def _clear(self, order: dict[str, Any]) -> Entry:
        self._faults.clear()
        self._hub.thaw()
        return self._at_once("clear", order)

    def _at_once(self, fault: str, order: dict[str, Any], **detail: Any) -> Entry:
        entry = self._faults.enter(fault, order, **detail)
        entry.done = True
        return entry


def _answer(status: int, body: Any) -> Response:
    return Response(status, msgspec.json.encode(body))
