"""Spoiled payloads: what a broken or hostile exchange might send in the place of a message.

Works on the messages of every venue: numbers and texts are found by their kind, not by the venue's field names. Each
kind is made from a true message, so that only the one thing is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

HUGE = 2 * 2**20
"""Bytes that a huge message is longer."""

_FUTURE = 10 * 365 * 86_400_000  # milliseconds

_PRICES = {"p", "b", "a", "px", "o", "c", "h", "l", "asks", "bids"}
_SIDES = (("b", "a"), ("bids", "asks"))
_TIMES = {"E", "T", "ts"}
_SYMBOLS = {"s", "instId"}


def spoiled(kind: str, payload: bytes) -> bytes:
    """Spoil a payload in one of the ways of KINDS."""
    return _WAYS[kind](payload)


def _edit(payload: bytes, change: Callable[[str, Any], Any]) -> bytes:
    """Rewrite every field of every object by its name."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(name, walk(inner)) for name, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return value

    return msgspec.json.encode(walk(msgspec.json.decode(payload)))


def _negative(name: str, value: Any) -> Any:
    def minus(text: Any) -> Any:
        return f"-{text}" if isinstance(text, str) and re.match(r"[0-9]", text) else text

    if name not in _PRICES:
        return value
    if isinstance(value, list):
        return [[minus(level[0]), *level[1:]] if isinstance(level, list) and level else level for level in value]
    return minus(value)


def _wrong_type(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return {"was": value}
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(value)]
    return value


def _future(name: str, value: Any) -> Any:
    if name not in _TIMES:
        return value
    if isinstance(value, int) and value > 10**11:
        return value + _FUTURE
    if isinstance(value, str) and value.isdigit():
        return str(int(value) + _FUTURE)
    return value


def _crossed(payload: bytes) -> bytes:
    """Swap bids and asks: the best bid is above the best ask."""

    def cross(value: Any) -> Any:
        if isinstance(value, dict):
            for bid, ask in _SIDES:
                if isinstance(value.get(bid), str | list) and isinstance(value.get(ask), str | list):
                    value = value | {bid: value[ask], ask: value[bid]}
            return {name: cross(inner) for name, inner in value.items()}
        return [cross(inner) for inner in value] if isinstance(value, list) else value

    return msgspec.json.encode(cross(msgspec.json.decode(payload)))


def _unknown(name: str, value: Any) -> Any:
    return "NOSUCHCOINUSDT" if name in _SYMBOLS and isinstance(value, str) else value


def _without_fields(payload: bytes) -> bytes:
    whole = msgspec.json.decode(payload)
    return msgspec.json.encode(dict(list(whole.items())[: len(whole) // 2]))


_WAYS: dict[str, Callable[[bytes], bytes]] = {
    "broken_json": lambda payload: payload[: len(payload) // 2],
    "huge": lambda payload: payload[:-1] + b',"padding":"' + b"x" * HUGE + b'"}',
    "wrong_types": lambda payload: _edit(payload, _wrong_type),
    "missing_fields": _without_fields,
    "negative_price": lambda payload: _edit(payload, _negative),
    "crossed_book": _crossed,
    "unknown_symbol": lambda payload: _edit(payload, _unknown),
    "future_clock": lambda payload: _edit(payload, _future),
    "not_an_object": lambda payload: b"[1,2,3]",
    "number_too_large": lambda payload: re.sub(rb":(\d{6,})", rb":\g<1>00000000000000000000", payload),
    "binary": lambda payload: b"\xff\xfe\x00" + payload[3:],
}

KINDS = tuple(_WAYS)
"""The ways in which a payload can be spoiled; `binary` goes out as a binary frame."""
