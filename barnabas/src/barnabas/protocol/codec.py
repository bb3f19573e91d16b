"""Compile declared structures to codecs, a decoder and an encoder for each version, at first use.

`codec(cls, version)` writes both as Python source and executes it, so that a run of fixed-size fields costs one
`struct` call and nothing interprets a schema while requests flow.

Decoding guarantees: no read goes beyond the buffer, no length is trusted before it is compared with what is left,
every failure is a `SchemaError`. Unknown tags are skipped. Strings must be UTF-8. A message holds at most
`MAX_ELEMENTS` elements in all its arrays together, since two bytes of input can become an object a hundred times
as large.
"""

from __future__ import annotations

import struct
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

from barnabas.protocol.errors import SchemaError
from barnabas.protocol.schema import Buffer, Field, Message, Struct, Tag, fields_of, in_range

Decoder = Callable[[Buffer, int, int], tuple[Any, int]]
Encoder = Callable[[bytearray, Any], None]

MAX_ELEMENTS = 1_000_000


class _Budget:
    """Count down how many elements the message that is being decoded may still have."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_ELEMENTS


_budget = _Budget()


def begin_message() -> None:
    """Reset the count of elements: call it before a codec's `decode`; the function `decode` does."""
    _budget.left = MAX_ELEMENTS


#: the longest string that Kafka's own clients read, in bytes
_MAX_STRING = 32767
_FIXED = {
    "int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint16": "H", "uint32": "I", "float64": "d",
    "boolean": "?", "uuid": "16s",
}


def read_uvarint(b: Buffer, p: int, end: int) -> tuple[int, int]:
    """Read an unsigned varint of at most 32 bits; return value and position behind it."""
    value = shift = 0
    while True:
        if p >= end:
            raise SchemaError("varint runs beyond the buffer")
        byte = b[p]
        p += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > 0xFFFFFFFF:
                raise SchemaError("varint is longer than 32 bits")
            return value, p
        shift += 7
        if shift > 28:
            raise SchemaError("varint is longer than 5 bytes")


def write_uvarint(out: bytearray, value: int) -> None:
    """Append an unsigned varint."""
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def _check(p: int, size: int, end: int) -> int:
    if size < 0 or size > end - p:
        raise SchemaError(f"length {size} at byte {p} exceeds the {end - p} bytes left")
    return p + size


def _skip_tags(b: Buffer, p: int, end: int) -> int:
    count, p = read_uvarint(b, p, end)
    for _ in range(count):
        _, p = read_uvarint(b, p, end)
        size, p = read_uvarint(b, p, end)
        p = _check(p, size, end)
    return p


class Codec(NamedTuple):
    """Pair a decoder `(buffer, position, end) -> (object, position)` with an encoder `(out, object)`."""

    decode: Decoder
    encode: Encoder


_codecs: dict[tuple[type[Struct], int, bool], Codec] = {}


def codec(cls: type[Struct], version: int, flexible: bool | None = None) -> Codec:
    """Return the codec of a structure in one version, compiled at first use.

    `flexible` is derived from a message's `FLEXIBLE`; nested structures are given their message's.
    """
    if flexible is None:
        assert issubclass(cls, Message)
        flexible = in_range(version, cls.FLEXIBLE)
    key = (cls, version, flexible)
    found = _codecs.get(key)
    if found is None:
        found = _codecs[key] = _compile(cls, version, flexible)
    return found


def decode(cls: type[Any], version: int, data: Buffer) -> Any:
    """Decode a whole message; raises `SchemaError` on any malformed input, trailing bytes are allowed."""
    end = len(data)
    begin_message()
    try:
        return codec(cls, version).decode(data, 0, end)[0]
    except (struct.error, IndexError, UnicodeDecodeError) as e:
        raise SchemaError(f"{cls.__name__} v{version}: {e}") from e


def encode(message: Message, version: int) -> bytearray:
    """Encode a message; raises `SchemaError` where a value does not fit the version."""
    out = bytearray()
    try:
        codec(type(message), version).encode(out, message)
    except (struct.error, AttributeError, TypeError) as e:
        raise SchemaError(f"{type(message).__name__} v{version}: {e}") from e
    return out


class _Writer:
    """Collect lines of generated source and the names that they refer to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "uvarint": read_uvarint, "put_uvarint": write_uvarint, "check": _check, "skip_tags": _skip_tags,
            "SchemaError": SchemaError, "budget": _budget,
        }

    def __call__(self, depth: int, *lines: str) -> None:
        self.lines += ["    " * depth + line for line in lines]

    def bind(self, prefix: str, value: Any) -> str:
        """Give a value a name in the generated code's globals."""
        name = f"{prefix}{len(self.names)}"
        self.names[name] = value
        return name

    def fixed(self, fmt: str) -> tuple[str, str, int]:
        """Bind unpack_from and pack of a format; return their names and the size."""
        compiled = struct.Struct(">" + fmt)
        return self.bind("unpack", compiled.unpack_from), self.bind("pack", compiled.pack), compiled.size


def _compile(cls: type[Struct], version: int, flexible: bool) -> Codec:
    all_fields = fields_of(cls)
    live = [f for f in all_fields if in_range(version, f.versions)]
    tagged = [f for f in live if f.tag is not None and in_range(version, f.tag.range)] if flexible else []
    plain = [f for f in live if f not in tagged]
    w = _Writer()
    _decoder(w, cls, all_fields, plain, tagged, version, flexible)
    _encoder(w, plain, tagged, version, flexible)
    namespace: dict[str, Any] = w.names
    exec(compile("\n".join(w.lines), f"<{cls.__name__} v{version}>", "exec"), namespace)
    return Codec(namespace["decode"], namespace["encode"])


def _is_nullable(f: Field, version: int) -> bool:
    if f.wire == "records":
        return True
    if f.wire == "struct" and f.tag is not None and f.nullable is None:
        return False  # None only means that the tagged field is not sent
    return f.optional and not f.required and (f.nullable is None or in_range(version, f.nullable))


def _runs(plain: list[Field]) -> list[list[Field]]:
    """Group neighbouring fixed-size fields, which are read and written by one struct call."""
    groups: list[list[Field]] = []
    for f in plain:
        fixed = f.wire in _FIXED and not f.array
        if fixed and groups and groups[-1][0].wire in _FIXED and not groups[-1][0].array:
            groups[-1].append(f)
        else:
            groups.append([f])
    return groups


def _decoder(w: _Writer, cls: type[Struct], every: list[Field], plain: list[Field], tagged: list[Field],
             version: int, flexible: bool) -> None:
    w(0, "def decode(b, p, end):")
    for run in _runs(plain):
        if run[0].wire in _FIXED and not run[0].array:
            unpack, _, size = w.fixed("".join(_FIXED[f.wire] for f in run))
            w(1, f"{', '.join('v_' + f.name for f in run)}, = {unpack}(b, p)", f"p += {size}")
        else:
            _read(w, 1, run[0], version, flexible)
    for f in tagged:
        w(1, f"v_{f.name} = {_default(w, f)}")
    if flexible and not tagged:
        w(1, "if p < end and b[p] == 0: p += 1", "else: p = skip_tags(b, p, end)")
    elif flexible:
        w(1, "n, p = uvarint(b, p, end)", "for _ in range(n):")
        w(2, "tag, p = uvarint(b, p, end)", "size, p = uvarint(b, p, end)", "stop = check(p, size, end)")
        for f in tagged:
            assert f.tag is not None
            w(2, f"if tag == {f.tag.number}:")
            if f.wire in _FIXED and not f.array:
                unpack, _, size = w.fixed(_FIXED[f.wire])
                w(3, f"check(p, {size}, stop)", f"v_{f.name}, = {unpack}(b, p)")
            else:
                w(3, "whole, end = end, stop")
                _read(w, 3, f, version, flexible)
                w(3, "end = whole")
        w(2, "p = stop")
    present = {f.name for f in plain} | {f.name for f in tagged}
    arguments = ", ".join("v_" + f.name if f.name in present else _default(w, f) for f in every)
    w(1, f"return {w.bind('cls', cls)}({arguments}), p", "")


def _default(w: _Writer, f: Field) -> str:
    if isinstance(f.default, Struct):
        return f"{w.bind('default', type(f.default))}()"
    return "[]" if isinstance(f.default, list) else w.bind("default", f.default)


def _read_length(w: _Writer, depth: int, wide: bool, flexible: bool) -> None:
    """Read a length into `n`: -1 is null."""
    if flexible:
        w(depth, "n = b[p]", "if n < 128: p += 1", "else: n, p = uvarint(b, p, end)", "n -= 1")
    else:
        unpack, _, size = w.fixed("i" if wide else "h")
        w(depth, f"n, = {unpack}(b, p)", f"p += {size}")


def _read(w: _Writer, depth: int, f: Field, version: int, flexible: bool) -> None:
    """Read one field that is not a run of fixed-size ones into `v_<name>`."""
    target = "v_" + f.name
    nullable = _is_nullable(f, version)
    if f.array:
        _read_length(w, depth, True, flexible)
        w(depth, "if n < 0:")
        w(depth + 1, f"{target} = None" if nullable else f"raise SchemaError('{f.name} is null')")
        w(depth, "else:")
        w(depth + 1, "if n > end - p: raise SchemaError('array of %d elements in %d bytes' % (n, end - p))")
        w(depth + 1, "budget.left -= n", "if budget.left < 0: raise SchemaError('too many elements')")
        if f.wire in _FIXED:
            size = struct.calcsize(">" + _FIXED[f.wire])
            w(depth + 1, f"check(p, n * {size}, end)",
              f"{target} = list({w.bind('unpack_from', struct.unpack_from)}('>' + '{_FIXED[f.wire]}' * n, b, p))",
              f"p += n * {size}")
        else:
            w(depth + 1, f"{target} = []", "for _ in range(n):")
            if f.wire == "struct":
                assert f.struct is not None
                inner = w.bind("decode", codec(f.struct, version, flexible).decode)
                w(depth + 2, f"item, p = {inner}(b, p, end)")
            else:
                _read_scalar(w, depth + 2, f._replace(name="item"), "item", False, flexible)
            w(depth + 2, f"{target}.append(item)")
    elif f.wire == "struct":
        assert f.struct is not None
        inner = w.bind("decode", codec(f.struct, version, flexible).decode)
        if nullable:
            # a tagged structure begins with 0 or 1, as a length of an array does; any other with the byte -1 or 1
            w(depth, "marker = b[p]", "p += 1", f"if marker == {255 if f.tag is None else 0}:")
            w(depth + 1, f"{target} = None")
            w(depth, "else:")
            depth += 1
        w(depth, f"{target}, p = {inner}(b, p, end)")
    else:
        _read_scalar(w, depth, f, target, nullable, flexible)


def _read_scalar(w: _Writer, depth: int, f: Field, target: str, nullable: bool, flexible: bool) -> None:
    if f.wire in _FIXED:
        unpack, _, size = w.fixed(_FIXED[f.wire])
        w(depth, f"{target}, = {unpack}(b, p)", f"p += {size}")
        return
    _read_length(w, depth, f.wire != "string", flexible and not f.rigid)
    w(depth, "if n < 0:")
    w(depth + 1, f"{target} = None" if nullable else f"raise SchemaError('{f.name} is null')")
    w(depth, "else:")
    w(depth + 1, "q = check(p, n, end)")
    if f.wire == "string":
        w(depth + 1, f"{target} = str(b[p:q], 'utf-8')")
    elif f.wire == "records":
        w(depth + 1, f"{target} = b[p:q]")  # a view: the broker hardly touches records
    else:
        w(depth + 1, f"{target} = bytes(b[p:q])")
    w(depth + 1, "p = q")


def _encoder(w: _Writer, plain: list[Field], tagged: list[Field], version: int, flexible: bool) -> None:
    w(0, "def encode(out, m):")
    for run in _runs(plain):
        if run[0].wire in _FIXED and not run[0].array:
            _, pack, _ = w.fixed("".join(_FIXED[f.wire] for f in run))
            w(1, f"out += {pack}({', '.join('m.' + f.name for f in run)})")
        else:
            _write(w, 1, run[0], version, flexible)
    if not flexible:
        w(1, "return")
        return
    if not tagged:
        w(1, "out.append(0)")
        return
    w(1, "tags = []")
    for f in sorted(tagged, key=lambda f: typing.cast(Tag, f.tag).number):
        assert f.tag is not None
        default = "[]" if isinstance(f.default, list) else w.bind("default", f.default)
        w(1, f"if m.{f.name} != {default}:")
        w(2, "whole, out = out, bytearray()")
        if f.wire in _FIXED and not f.array:
            _, pack, _ = w.fixed(_FIXED[f.wire])
            w(2, f"out += {pack}(m.{f.name})")
        else:
            _write(w, 2, f, version, flexible)
        w(2, f"tags.append(({f.tag.number}, out))", "out = whole")
    w(1, "put_uvarint(out, len(tags))", "for tag, body in tags:")
    w(2, "put_uvarint(out, tag)", "put_uvarint(out, len(body))", "out += body")


def _write_length(w: _Writer, depth: int, value: str, wide: bool, flexible: bool) -> None:
    if flexible:
        w(depth, f"n = {value} + 1", "if n < 128: out.append(n)", "else: put_uvarint(out, n)")
    else:
        _, pack, _ = w.fixed("i" if wide else "h")
        w(depth, f"out += {pack}({value})")


def _write_null(w: _Writer, depth: int, wide: bool, flexible: bool) -> None:
    null = b"\xff" * (4 if wide else 2)
    w(depth, "out.append(0)" if flexible else f"out += {null!r}")


def _write(w: _Writer, depth: int, f: Field, version: int, flexible: bool) -> None:
    nullable = _is_nullable(f, version)
    w(depth, f"v = m.{f.name}")
    if f.array:
        w(depth, "if v is None:")
        if nullable:
            _write_null(w, depth + 1, True, flexible)
        else:
            w(depth + 1, f"raise SchemaError('{f.name} may not be null in version {version}')")
        w(depth, "else:")
        _write_length(w, depth + 1, "len(v)", True, flexible)
        if f.wire in _FIXED:
            w(depth + 1, f"out += {w.bind('pack', struct.pack)}('>' + '{_FIXED[f.wire]}' * len(v), *v)")
        else:
            w(depth + 1, "for v in v:")
            if f.wire == "struct":
                assert f.struct is not None
                inner = w.bind("encode", codec(f.struct, version, flexible).encode)
                w(depth + 2, f"{inner}(out, v)")
            else:
                _write_scalar(w, depth + 2, f, flexible)
    elif f.wire == "struct":
        assert f.struct is not None
        inner = w.bind("encode", codec(f.struct, version, flexible).encode)
        if nullable:
            w(depth, f"if v is None: out.append({255 if f.tag is None else 0})", "else:")
            w(depth + 1, "out.append(1)", f"{inner}(out, v)")
        else:
            w(depth, f"{inner}(out, {w.bind('empty', f.struct)}() if v is None else v)")
    else:
        w(depth, "if v is None:")
        if nullable:
            _write_null(w, depth + 1, f.wire != "string", flexible and not f.rigid)
        else:
            w(depth + 1, f"raise SchemaError('{f.name} may not be null in version {version}')")
        w(depth, "else:")
        _write_scalar(w, depth + 1, f, flexible)


def _write_scalar(w: _Writer, depth: int, f: Field, flexible: bool) -> None:
    if f.wire == "string":
        w(depth, "v = v.encode()")
        if f.name == "error_message":  # it may quote a name of any length; cutting it harms nobody
            w(depth, f"if len(v) > {_MAX_STRING}: v = v[:{_MAX_STRING}].decode(errors='ignore').encode()")
    _write_length(w, depth, "len(v)", f.wire != "string", flexible and not f.rigid)
    w(depth, "out += v")
