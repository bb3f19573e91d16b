"""Declare Kafka's structures as typed classes.

A structure is a class whose annotations carry what Kafka's message definitions say: the wire type, the versions a
field exists in (`V`), the versions it may be null in (`Nullable`), the tag it travels under (`Tag`). The same
class serves every version; a field outside a version keeps its default. `codec.py` turns the declarations into
decoders and encoders.
"""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec

Buffer = bytes | bytearray | memoryview

ZERO_UUID = bytes(16)


# The marks are no named tuples: those are equal where their fields are, and the first releases of Python 3.11 give one
# `Annotated` out of their cache for two whose marks are equal: `Nullable("7+")` became the `V("7+")` of another field.


class Wire(msgspec.Struct, frozen=True):
    """Name a primitive wire type."""

    name: str


int8 = Annotated[int, Wire("int8")]
int16 = Annotated[int, Wire("int16")]
int32 = Annotated[int, Wire("int32")]
int64 = Annotated[int, Wire("int64")]
uint16 = Annotated[int, Wire("uint16")]
uint32 = Annotated[int, Wire("uint32")]
float64 = Annotated[float, Wire("float64")]
boolean = Annotated[bool, Wire("boolean")]
string = Annotated[str, Wire("string")]
uuid = Annotated[bytes, Wire("uuid")]
binary = Annotated[bytes, Wire("bytes")]
batches = Annotated[Buffer, Wire("records")]


class V(msgspec.Struct, frozen=True):
    """Bound the versions a field exists in, as Kafka writes ranges: `3+`, `0-12`, `5`."""

    range: str


class Nullable(msgspec.Struct, frozen=True):
    """Bound the versions in which a field may be null, where that is not all of its versions.

    A tagged structure is null on the wire only with this mark; without it, None means that it is not sent.
    """

    range: str


class Tag(msgspec.Struct, frozen=True):
    """Send a field as tagged field `number` in the versions `range`; without a `V` it exists in these alone."""

    number: int
    range: str


class Required:
    """Mark a structure that is always on the wire, though its Python default is None."""


class Struct(msgspec.Struct):
    """Be the base of every wire structure."""


class Message(Struct):
    """Be the base of requests, responses and stored records: a structure with a key and a range of versions."""

    KEY: ClassVar[int] = -1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "none"


def in_range(version: int, text: str) -> bool:
    """Tell whether a version lies in a range written as Kafka does (`2+`, `0-3`, `4`, `none`)."""
    if text == "none":
        return False
    if text.endswith("+"):
        return version >= int(text[:-1])
    low, _, high = text.partition("-")
    return int(low) <= version <= int(high or low)


def span(text: str) -> tuple[int, int]:
    """Return the lowest and highest version of a closed range (`3-13`, `0`)."""
    low, _, high = text.partition("-")
    return int(low), int(high or low)


class Rigid:
    """Keep a field's length as it was before flexible versions, in those too."""


class Field(NamedTuple):
    """Hold one resolved field: what the annotations of a structure say."""

    name: str
    wire: str  # a primitive's name or "struct"
    struct: type[Struct] | None
    array: bool
    optional: bool  # the Python type admits None
    versions: str
    nullable: str | None
    tag: Tag | None
    required: bool
    default: Any
    rigid: bool = False


def fields_of(cls: type[Struct]) -> list[Field]:
    """Resolve the annotations of a structure, in wire order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    defaults = {f.name: f for f in msgspec.structs.fields(cls)}
    return [_resolve(name, hints[name], defaults[name]) for name in cls.__struct_fields__]


def _resolve(name: str, hint: Any, info: Any) -> Field:
    versions: str | None = None
    nullable: str | None = None
    tag: Tag | None = None
    wire, required, rigid = "struct", False, False
    struct_type: type[Struct] | None = None
    array = optional = False
    todo = [hint]
    while todo:
        hint = todo.pop()
        origin = typing.get_origin(hint)
        if origin is Annotated:
            inner, *marks = typing.get_args(hint)
            todo.append(inner)
            for mark in marks:
                if isinstance(mark, V):
                    versions = mark.range
                elif isinstance(mark, Nullable):
                    nullable = mark.range
                elif isinstance(mark, Tag):
                    tag = mark
                elif mark is Required:
                    required = True
                elif mark is Rigid:
                    rigid = True
                elif isinstance(mark, Wire):
                    wire = mark.name
                    todo.clear()
        elif origin is list:
            array = True
            todo.append(typing.get_args(hint)[0])
        elif origin in (types.UnionType, typing.Union):
            members = [m for m in typing.get_args(hint) if m is not type(None)]
            optional = optional or len(members) < len(typing.get_args(hint))
            if wire == "struct":
                todo.extend(members[:1])
        elif isinstance(hint, type) and issubclass(hint, Struct):
            struct_type = hint
    default = info.default
    if default is msgspec.NODEFAULT:
        default = info.default_factory() if info.default_factory is not msgspec.NODEFAULT else []
    if versions is None:
        versions = tag.range if tag else "0+"
    return Field(name, wire, struct_type, array, optional, versions, nullable, tag, required, default, rigid)
