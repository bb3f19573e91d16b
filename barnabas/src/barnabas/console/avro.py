"""Decode Avro within bounds: so many values, so many levels, and no count is taken on trust.

A schema is compiled to functions that read in Python. A decoder in C holds the interpreter for as long as a record
pleases, and takes as much memory: an array of nulls has ten bytes however long it is, and one whose schema refers to
itself ends the process when it is deep. fastavro checks schemas and resolves their names. Decimals are exact; other
logical types stay the numbers that they were stored as. Source: Avro's specification, binary encoding.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from barnabas.console.parts import MOST_VALUES, Schema, Undecodable

_LEVELS: Final = 150
#: bytes of a decimal at most: to write one takes time that grows with their square
_DECIMAL: Final = 1024
_LONGEST: Final = 10
_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")


def avro(name: str, texts: Sequence[str]) -> Schema:
    """Make a decoder of an Avro schema, the last of `texts`; the others are what it refers to, in order.

    Raises `Undecodable`.
    """
    try:
        import fastavro
    except ImportError:
        raise Undecodable("Avro needs fastavro, which is not installed: pip install 'barnabas[schemas]'") from None
    named: dict[str, Any] = {}
    try:
        for text in texts:
            parsed = fastavro.parse_schema(_plain(json.loads(text)), named_schemas=named)
        return _Avro(name, parsed, _reader(parsed, named, {}))
    except (
        ValueError, KeyError, TypeError, AttributeError, RecursionError, fastavro.schema.SchemaParseException,
        fastavro.schema.UnknownType,
    ) as e:
        raise Undecodable(f"{name} is no schema of Avro: {e}") from None


def _plain(schema: Any) -> Any:
    """Take off logical types but decimals: times stay the whole numbers that they were stored as."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if isinstance(schema, dict):
        return {
            key: value if key == "default" else _plain(value) for key, value in schema.items()
            if key != "logicalType" or value == "decimal"
        }
    return schema


class _Avro:
    kind: Literal["avro", "protobuf", "json"] = "avro"

    def __init__(self, name: str, parsed: Any, read: _Read) -> None:
        self.name = f"{name} ({parsed['name']})" if isinstance(parsed, dict) and "name" in parsed else name
        self._read = read

    def decode(self, raw: bytes) -> Any:
        source = _Source(raw)
        try:
            found = self._read(source)
        # the others: texts that are none, decimals out of bounds, a thread that is deep already
        except (_Wrong, ValueError, ArithmeticError, RecursionError) as e:
            raise Undecodable(f"does not follow {self.name}: {e}") from None
        except _TooMuch as e:
            raise Undecodable(f"{self.name}: {e}") from None
        if source.at != len(raw):
            raise Undecodable(f"does not follow {self.name}: {len(raw) - source.at} bytes are left over")
        return found


# --- bytes --------------------------------------------------------------------------------------------------


class _Wrong(Exception):
    """The bytes are not what the schema says."""


class _TooMuch(Exception):
    """There is more than is shown."""


class _Source:
    """Hold the bytes of a record, and how many values may still come."""

    __slots__ = ("at", "depth", "left", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at, self.left, self.depth = raw, 0, MOST_VALUES, 0

    def spend(self, values: int) -> None:
        self.left -= values
        if self.left < 0:
            raise _TooMuch(f"more than {MOST_VALUES:,} values are too many to be shown")

    def enter(self) -> None:
        self.depth += 1
        if self.depth > _LEVELS:
            raise _TooMuch(f"more than {_LEVELS} levels are too many to be shown")

    def take(self, size: int) -> bytes:
        begin, end = self.at, self.at + size
        if size < 0 or end > len(self.raw):
            raise _Wrong(f"{size} bytes are expected where {len(self.raw) - begin} are left")
        self.at = end
        return self.raw[begin:end]

    def long(self) -> int:
        raw, at, size = self.raw, self.at, len(self.raw)
        number = shift = 0
        while True:
            if at >= size:
                raise _Wrong("it ends within a number")
            byte = raw[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.at = at
                return (number >> 1) ^ -(number & 1)
            shift += 7
            if shift >= 7 * _LONGEST:
                raise _Wrong(f"a number has more than {_LONGEST} bytes")


_Read = Callable[[_Source], Any]


def _null(source: _Source) -> None:
    return None


def _boolean(source: _Source) -> bool:
    return source.take(1) != b"\0"


def _bytes(source: _Source) -> bytes:
    return source.take(source.long())


def _string(source: _Source) -> str:
    return source.take(source.long()).decode()


def _float(source: _Source) -> float:
    return float(_FLOAT.unpack(source.take(4))[0])


def _double(source: _Source) -> float:
    return float(_DOUBLE.unpack(source.take(8))[0])


_PRIMITIVES: Final[dict[str, _Read]] = {
    "null": _null, "boolean": _boolean, "int": _Source.long, "long": _Source.long, "float": _float, "double": _double,
    "bytes": _bytes, "string": _string,
}


# --- schemas ------------------------------------------------------------------------------------------------


def _reader(schema: Any, named: dict[str, Any], made: dict[str, _Read]) -> _Read:
    """Compile a parsed schema. `named` are the schemas that names stand for, `made` what was compiled of them."""
    if isinstance(schema, list):
        return _union([_reader(one, named, made) for one in schema])
    if isinstance(schema, str):
        return _PRIMITIVES.get(schema) or made.get(schema) or _reader(named[schema], named, made)
    kind = schema["type"]
    if not isinstance(kind, str):
        return _reader(kind, named, made)
    if kind in ("record", "error"):
        fields: list[tuple[str, _Read]] = []
        made[schema["name"]] = read = _record(fields)
        fields += [(field["name"], _reader(field["type"], named, made)) for field in schema["fields"]]
        return read
    if kind == "enum":
        read = made[schema["name"]] = _enum(list(schema["symbols"]))
        return read
    if kind == "fixed":
        read = made[schema["name"]] = _decimal_or(schema, _fixed(int(schema["size"])))
        return read
    if kind == "array":
        return _array(_reader(schema["items"], named, made))
    if kind == "map":
        return _map(_reader(schema["values"], named, made))
    return _decimal_or(schema, _reader(kind, named, made))


def _decimal_or(schema: dict[str, Any], read: _Read) -> _Read:
    if schema.get("logicalType") != "decimal":
        return read
    scale = int(schema.get("scale", 0))

    def read_decimal(source: _Source) -> Decimal:
        raw = read(source)
        if len(raw) > _DECIMAL:
            raise _TooMuch(f"a decimal of {len(raw)} bytes is too long to be shown")
        return Decimal(f"{int.from_bytes(raw, 'big', signed=True)}E{-scale}")

    return read_decimal


def _record(fields: list[tuple[str, _Read]]) -> _Read:
    def read_record(source: _Source) -> dict[str, Any]:
        source.enter()
        source.spend(len(fields))
        found = {name: read(source) for name, read in fields}
        source.depth -= 1
        return found

    return read_record


def _enum(symbols: list[str]) -> _Read:
    def read_enum(source: _Source) -> str:
        number = source.long()
        if not 0 <= number < len(symbols):
            raise _Wrong(f"symbol {number} of {len(symbols)}")
        return symbols[number]

    return read_enum


def _fixed(size: int) -> _Read:
    return lambda source: source.take(size)


def _union(branches: list[_Read]) -> _Read:
    def read_union(source: _Source) -> Any:
        number = source.long()
        if not 0 <= number < len(branches):
            raise _Wrong(f"branch {number} of {len(branches)}")
        return branches[number](source)

    return read_union


def _block(source: _Source) -> int:
    """Read how many items come next, 0 after the last; a negative count has the size of the block after it."""
    count = source.long()
    if count < 0:
        count = -count
        source.long()
    source.spend(count)
    return count


def _array(read: _Read) -> _Read:
    def read_array(source: _Source) -> list[Any]:
        source.enter()
        found: list[Any] = []
        while count := _block(source):
            found += [read(source) for _ in range(count)]
        source.depth -= 1
        return found

    return read_array


def _map(read: _Read) -> _Read:
    def read_map(source: _Source) -> dict[str, Any]:
        source.enter()
        found: dict[str, Any] = {}
        while count := _block(source):
            for _ in range(count):
                key = _string(source)
                found[key] = read(source)
        source.depth -= 1
        return found

    return read_map
