"""Make messages with any values that their schema allows, odd ones more often than a client would send them.

The source of chance is a parameter: a seeded `random.Random`, or hypothesis' `randoms()`, which then finds the smallest
message that fails.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from barnabas.protocol.batch import build_batch
from barnabas.protocol.schema import ZERO_UUID, Field, Message, Struct, fields_of, in_range

_INTEGERS = {
    "int8": (-(1 << 7), (1 << 7) - 1), "int16": (-(1 << 15), (1 << 15) - 1), "int32": (-(1 << 31), (1 << 31) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1), "uint16": (0, (1 << 16) - 1), "uint32": (0, (1 << 32) - 1),
}
_TEXTS = ["", "a", "topic", "Ä\U0001f40e", "x" * 130, "a.b", "a_b", "0", "name with spaces", "\x00", "."]
_BATCH = bytes(build_batch([(b"k", b"v"), (None, b"w")], 1700000000000))
_fields: dict[type[Struct], list[Field]] = {}

#: given a field, may return a value for it; None leaves it to the generator
Chooser = Callable[[Field, Random], Any]


def _nothing(_: Field, __: Random) -> Any:
    return None


def make(
    cls: type[Struct], version: int, chance: Random, choose: Chooser = _nothing, *, flexible: bool | None = None
) -> Any:
    """Return a structure whose fields of that version hold random values; all others keep their defaults."""
    if flexible is None:
        assert issubclass(cls, Message)
        flexible = in_range(version, cls.FLEXIBLE)
    found = _fields.get(cls)
    if found is None:
        found = _fields[cls] = fields_of(cls)
    values = {}
    for field in found:
        if in_range(version, field.versions):
            values[field.name] = _value(field, version, chance, choose, flexible)
    return cls(**values)


def _value(field: Field, version: int, chance: Random, choose: Chooser, flexible: bool) -> Any:
    if field.tag is not None and chance.random() < 0.5:
        return list(field.default) if isinstance(field.default, list) else field.default
    if may_be_null(field, version) and chance.random() < 0.2:
        return None
    if not field.array:
        return _one(field, version, chance, choose, flexible)
    count = chance.choice((0, 1, 1, 2, 3))
    made = [_one(field, version, chance, choose, flexible) for _ in range(count)]
    if made and chance.random() < 0.15:
        made.append(made[0])  # the same entry twice
    return made


def may_be_null(field: Field, version: int) -> bool:
    """Tell whether a field may be None on the wire in a version."""
    if field.required or not field.optional:
        return False
    if field.wire == "struct" and not field.array and field.tag is not None and field.nullable is None:
        return False
    return field.nullable is None or in_range(version, field.nullable)


def _one(field: Field, version: int, chance: Random, choose: Chooser, flexible: bool) -> Any:
    chosen = choose(field, chance)
    if chosen is not None:
        return chosen
    wire = field.wire
    if wire == "struct":
        assert field.struct is not None
        return make(field.struct, version, chance, choose, flexible=flexible)
    if wire in _INTEGERS:
        low, high = _INTEGERS[wire]
        return chance.choice((low, high, low + 1, 1, 0, 0, 1, 2, chance.randint(low, high), max(low, -1), max(low, -2)))
    if wire == "boolean":
        return chance.random() < 0.5
    if wire == "float64":
        return chance.choice((0.0, -1.5, 1e300, float("inf"), 0.1))
    if wire == "string":
        return chance.choice(_TEXTS)
    if wire == "uuid":
        return chance.choice((ZERO_UUID, bytes(15) + b"\x01", chance.randbytes(16)))
    if wire == "records":
        return chance.choice((b"", _BATCH, chance.randbytes(70)))
    return chance.choice((b"", b"\x00", chance.randbytes(chance.randint(1, 200))))
