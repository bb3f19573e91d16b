"""Read and write JSON without losing a digit: whole numbers stay whole, fractions are decimals, nothing is a float."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

_LONG: Final = 1000
#: levels that a value which is written may have
_DEPTH: Final = 200


def is_json(raw: bytes) -> bool:
    """Tell whether bytes are one JSON document; numbers are checked, not converted."""
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def read(text: str) -> Any:
    """Read JSON: numbers become int or Decimal. Raises `ValueError` for what is none, or is nested too deep."""
    try:
        try:
            return _decoder.decode(text)
        except msgspec.ValidationError:  # a whole number of thousands of digits: Python's reader takes it, more slowly
            return json.loads(text, parse_int=_fraction, parse_float=_fraction, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _fraction(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"a number out of all bounds: {text[:40]}") from None


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


_decoder: Final = msgspec.json.Decoder(float_hook=_fraction)


def write(value: Any) -> str:
    """Write what a decoder of Avro, MessagePack or Protobuf gave as JSON. Raises `ValueError` for what it cannot.

    Bytes are texts of hexadecimal digits after 0x; numbers keep all digits; what is no number (NaN, Infinity) is
    written as such a word in quotes; keys that are no texts are written as one.
    """
    out: list[str] = []
    _write(value, out, 0)
    return "".join(out)


def _write(value: Any, out: list[str], depth: int) -> None:
    if depth > _DEPTH:
        raise ValueError("nested too deep")
    if value is None:
        out.append("null")
    elif isinstance(value, bool):
        out.append("true" if value else "false")
    elif isinstance(value, int):
        out.append(str(value))
    elif isinstance(value, str):
        out.append(json.dumps(value, ensure_ascii=False))
    elif isinstance(value, float):
        out.append(repr(value) if math.isfinite(value) else f'"{value}"')
    elif isinstance(value, Decimal):
        out.append(format(value, "f") if value.is_finite() and _is_short(value) else f'"{value}"')
    elif isinstance(value, bytes | bytearray | memoryview):
        out.append(f'"0x{bytes(value).hex()}"')
    elif isinstance(value, Mapping):
        out.append("{")
        for number, (key, one) in enumerate(value.items()):
            if number:
                out.append(",")
            out.append(json.dumps(key if isinstance(key, str) else write(key), ensure_ascii=False))
            out.append(":")
            _write(one, out, depth + 1)
        out.append("}")
    elif isinstance(value, list | tuple):
        out.append("[")
        for number, one in enumerate(value):
            if number:
                out.append(",")
            _write(one, out, depth + 1)
        out.append("]")
    elif isinstance(value, msgspec.msgpack.Ext):
        _write({"ext": value.code, "data": value.data}, out, depth)
    else:
        out.append(json.dumps(str(value), ensure_ascii=False))


def _is_short(value: Decimal) -> bool:
    """Tell whether a number written without an exponent has no thousands of zeros."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and value.adjusted() < _LONG and exponent > -_LONG
