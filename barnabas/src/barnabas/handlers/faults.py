"""Let requests fail on purpose, so that users can test how their programs take it.

A fault is asked for by the name of an API and applies to its next requests: an error in the place where that API
reports errors, or a delay in front of the answer. The request of a failed one has no effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from barnabas.handlers.context import Answer, CloseConnection, Deferred, Request
from barnabas.node.node import Node
from barnabas.protocol.api import APIS
from barnabas.protocol.errors import BarnabasError, ErrorCode
from barnabas.protocol.schema import Message, Struct


class Faults:
    """Hold the faults that are asked for, by API key."""

    def __init__(self) -> None:
        self.active = False
        self._errors: dict[int, deque[int]] = {}
        self._delays: dict[int, deque[float]] = {}

    def fail(self, api: str, error: str | int, times: int = 1) -> None:
        """Answer the next `times` requests of an API with an error (`"NOT_LEADER_OR_FOLLOWER"` or a number)."""
        code = int(ErrorCode[error]) if isinstance(error, str) else int(ErrorCode(error))
        self._errors.setdefault(api_key(api), deque()).extend([code] * times)
        self.active = True

    def delay(self, api: str, seconds: float, times: int = 1) -> None:
        """Hold back the answers to the next `times` requests of an API."""
        self._delays.setdefault(api_key(api), deque()).extend([seconds] * times)
        self.active = True

    def clear(self) -> None:
        """Drop all faults."""
        self._errors.clear()
        self._delays.clear()
        self.active = False

    def take_error(self, key: int) -> int | None:
        """Return the error for the next request of an API, and use it up."""
        waiting = self._errors.get(key)
        return waiting.popleft() if waiting else None

    def take_delay(self, key: int) -> float | None:
        """Return the delay for the next request of an API, and use it up."""
        waiting = self._delays.get(key)
        return waiting.popleft() if waiting else None


def api_key(name: str) -> int:
    """Return the key of an API named as in Kafka's documentation (`Produce`, `OffsetCommit`, ...)."""
    for api in APIS.values():
        if api.name.lower() == name.lower().replace("_", ""):
            return api.key
    raise BarnabasError(f"There is no API {name!r}; names are those of the protocol: Produce, Fetch, JoinGroup, ...")


def serve(faults: Faults, node: Node, request: Request, handler: Callable[[Node, Request], Answer]) -> Answer:
    """Serve a request, with the fault that is asked for it if there is one."""
    code = faults.take_error(request.key)
    seconds = faults.take_delay(request.key)
    if seconds is None:
        return handler(node, request) if code is None else failed(request, code)
    deferred = Deferred()

    def late() -> None:
        try:
            answer = handler(node, request) if code is None else failed(request, code)
        except CloseConnection:
            answer = None  # the connection waits on without an answer, which a delayed request must bear
        if isinstance(answer, Deferred):
            answer.listen(deferred.resolve)
        else:
            deferred.resolve(answer)

    if request.key == 0:  # the records are views into the connection's buffer: keep them
        for topic in request.message.topic_data:
            for partition in topic.partition_data:
                if partition.records is not None:
                    partition.records = bytearray(partition.records)
    node.timers.after(seconds, late)
    return deferred


def failed(request: Request, code: int) -> Message:
    """Build the answer that reports an error for everything a request names."""
    response = APIS[request.key].response_class()()
    _mark(response, request.message, code)
    return response


#: where a request's list and the response's list of the same things have different names
_PAIRS = {
    "topic_data": "responses", "partition_data": "partition_responses", "topics": "topics", "partitions": "partitions",
    "groups": "groups", "resources": "results", "coordinator_keys": "coordinators", "groups_names": "results",
    "topic_names": "responses", "partition_indexes": "partitions", "members": "members",
}


def _mark(response: Any, request: Any, code: int) -> None:
    """Copy names and numbers from the request's structure, and put the error wherever the response has a place."""
    from barnabas.protocol.schema import fields_of

    if hasattr(response, "error_code"):
        response.error_code = code
    fields = {f.name: f for f in fields_of(type(response))}
    for name in getattr(request, "__struct_fields__", ()):
        value = getattr(request, name)
        if name in fields and not fields[name].array and not isinstance(value, Struct):
            setattr(response, name, value)
        if not isinstance(value, list):
            continue
        target = fields.get(_PAIRS.get(name, name)) or fields.get("responses") or fields.get("results")
        if target is None or target.struct is None:
            continue
        made = []
        for item in value:
            entry: Any = target.struct()
            if isinstance(item, Struct):
                _mark(entry, item, code)
                for alias in ("partition", "partition_index", "index"):
                    for source in ("partition", "partition_index", "index"):
                        if hasattr(entry, alias) and hasattr(item, source):
                            setattr(entry, alias, getattr(item, source))
            else:
                first = fields_of(target.struct)[0].name
                setattr(entry, first, item)
                if hasattr(entry, "error_code"):
                    entry.error_code = code
            made.append(entry)
        setattr(response, target.name, made)
