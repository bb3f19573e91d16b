"""Decode keys, values and headers for showing: text, JSON, Avro, Protobuf, MessagePack, numbers, or plain bytes.

Nothing here guesses: `auto` takes bytes for JSON or text where they are that, for a schema's where a Confluent header
names one that is known, and else shows them as hexadecimal digits. What was wanted and cannot be done stands in
`error`, beside the bytes. JSON's text is handed on as it was stored: its numbers pass through no float.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

import msgspec

from barnabas.console import exact, messagepack
from barnabas.protocol.errors import BarnabasError

Kind = Literal["null", "text", "json", "avro", "protobuf", "msgpack", "bytes"]
FORMATS: Final = ("auto", "string", "json", "avro", "protobuf", "msgpack", "int32", "int64", "hex")
"""What may be asked for."""
MOST_VALUES: Final = 250_000
"""Values that are decoded of a part at most: each takes memory and time, whatever its bytes."""
_MAGIC: Final = 0
_HEADER: Final = 5
#: bytes from which on MessagePack is looked through before it is decoded
_LARGE: Final = 256 * 1024
_ARRAYS: Final = (0x5B, 0x7B)
#: what stands before values of JSON
_BEGINNINGS: Final = ",[{"
_SPACE: Final = b" \t\r\n"


class Undecodable(BarnabasError):
    """A schema is not known, or bytes do not follow it; the text says which and why."""


class Schema(Protocol):
    """Decode what was written with one schema."""

    kind: Literal["avro", "protobuf", "json"]
    name: str

    def decode(self, raw: bytes) -> Any:
        """Return what the bytes hold; of JSON, their text. Raises `Undecodable`."""


class Schemas(Protocol):
    """Know schemas by their id and by their subject."""

    has_ids: bool

    def by_id(self, number: int) -> Schema:
        """Return the schema that a Confluent header names. Raises `Undecodable`."""

    def of_subject(self, subject: str) -> Schema | None:
        """Return the schema that the operator gave for `TOPIC-key` or `TOPIC-value`, None where there is none."""


class Part(msgspec.Struct, frozen=True):
    """Show a key, a value or a header. `text` holds hexadecimal digits where `kind` is bytes."""

    kind: Kind
    text: str
    size: int
    cut: bool = False
    error: str | None = None
    schema: str | None = None


class Decoded(msgspec.Struct):
    """Hold a decoded part as a whole. `text` is None where hexadecimal digits are shown."""

    kind: Kind
    raw: bytes
    text: str | None = None
    error: str | None = None
    schema: str | None = None
    value: Any = msgspec.UNSET
    """What a schema's decoder gave; of JSON it is read when it is asked for."""

    def shown(self) -> str:
        """Return all of the text."""
        return self.raw.hex() if self.text is None else self.text

    def data(self) -> Any:
        """Return the value for a filter: objects, lists, exact numbers, texts. Raises `ValueError`."""
        if self.value is msgspec.UNSET:
            if self.kind == "json":
                text = self.text or ""
                if len(text) > MOST_VALUES and sum(map(text.count, _BEGINNINGS)) > MOST_VALUES:
                    raise ValueError(f"more than {MOST_VALUES:,} values are too many to be compared")
                self.value = exact.read(text)
            else:
                self.value = None if self.kind == "null" else self.raw if self.text is None else self.text
        return self.value

    def part(self, most: int) -> Part:
        """Return what is shown of it, `most` bytes at most."""
        size = len(self.raw)
        if self.text is None:
            return Part(self.kind, self.raw[:most].hex(), size, size > most, self.error, self.schema)
        text, cut = cut_text(self.text, most)
        return Part(self.kind, text, size, cut, self.error, self.schema)


def cut_text(text: str, most: int) -> tuple[str, bool]:
    """Return the beginning of a text that takes `most` bytes in UTF-8 at most, and whether that is less than all."""
    if len(text) * 4 <= most:
        return text, False
    begin = text[:most].encode("utf-8", "surrogatepass")
    if len(text) <= most and len(begin) <= most:
        return text, False
    return begin[:most].decode("utf-8", "ignore"), True


def decode(raw: bytes | None, wanted: str, subject: str, schemas: Schemas | None) -> Decoded:
    """Decode a part as one of FORMATS; `subject` is its topic's name with -key or -value. Raises nothing."""
    if raw is None:
        return Decoded("null", b"", "")
    if wanted == "auto":
        return _auto(raw, subject, schemas)
    try:
        return _WANTED[wanted](raw, subject, schemas)
    except Undecodable as e:
        return Decoded("bytes", raw, error=str(e))


def _auto(raw: bytes, subject: str, schemas: Schemas | None) -> Decoded:
    error = None
    if schemas is not None:
        try:
            if _has_header(raw, schemas):
                return _with_id(raw, schemas, None)
            if (schema := schemas.of_subject(subject)) is not None:
                return _with_schema(raw, raw, schema)
        except Undecodable as e:
            error = str(e)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Decoded("bytes", raw, error=error)
    if "\0" in text:
        return Decoded("bytes", raw, error=error)
    begin = raw.lstrip(_SPACE)[:1]
    is_json = bool(begin) and begin[0] in _ARRAYS and exact.is_json(raw)
    return Decoded("json" if is_json else "text", raw, text, error)


def _string(raw: bytes, subject: str, schemas: Schemas | None) -> Decoded:
    try:
        return Decoded("text", raw, raw.decode())
    except UnicodeDecodeError as e:
        raise Undecodable(f"not UTF-8: byte {e.start} is 0x{raw[e.start]:02x}") from None


def _json(raw: bytes, subject: str, schemas: Schemas | None) -> Decoded:
    if schemas is not None and _has_header(raw, schemas):
        return _with_id(raw, schemas, "json")
    found = _string(raw, subject, schemas)
    if not exact.is_json(raw):
        return Decoded("text", raw, found.text, "not JSON")
    return Decoded("json", raw, found.text)


def _schema_of(kind: Literal["avro", "protobuf"]) -> Callable[[bytes, str, Schemas | None], Decoded]:
    def decode_with(raw: bytes, subject: str, schemas: Schemas | None) -> Decoded:
        if schemas is None:
            raise Undecodable(f"no schemas: start the console with --schema-registry or --schemas to read {kind}")
        if _has_header(raw, schemas):
            return _with_id(raw, schemas, kind)
        schema = schemas.of_subject(subject)
        if schema is None:
            raise Undecodable(f"no Confluent header, and no schema file for {subject}")
        _expect(schema, kind)
        return _with_schema(raw, raw, schema)

    return decode_with


def _has_header(raw: bytes, schemas: Schemas) -> bool:
    return len(raw) >= _HEADER and raw[0] == _MAGIC and schemas.has_ids


def _with_id(raw: bytes, schemas: Schemas, kind: str | None) -> Decoded:
    schema = schemas.by_id(int.from_bytes(raw[1:_HEADER], "big", signed=True))
    _expect(schema, kind)
    return _with_schema(raw, raw[_HEADER:], schema)


def _expect(schema: Schema, kind: str | None) -> None:
    if kind is not None and schema.kind != kind:
        raise Undecodable(f"{schema.name} is a schema of {schema.kind}, not of {kind}")


def _with_schema(raw: bytes, body: bytes, schema: Schema) -> Decoded:
    value = schema.decode(body)
    if schema.kind == "json":
        return Decoded("json", raw, value, schema=schema.name)
    try:
        return Decoded(schema.kind, raw, exact.write(value), schema=schema.name, value=value)
    except ValueError as e:
        raise Undecodable(f"{schema.name}: {e}") from None


def _msgpack(raw: bytes, subject: str, schemas: Schemas | None) -> Decoded:
    if len(raw) > _LARGE and not messagepack.is_bounded(raw, MOST_VALUES):
        raise Undecodable(f"MessagePack of more than {MOST_VALUES:,} values is too much to be shown")
    try:
        value = msgspec.msgpack.decode(raw, strict=False)
        return Decoded("msgpack", raw, exact.write(value), value=value)
    except (ValueError, RecursionError, TypeError) as e:  # msgspec's errors are the first; keys that cannot be one
        raise Undecodable(f"not MessagePack: {e}") from None


def _number(size: int) -> Callable[[bytes, str, Schemas | None], Decoded]:
    def decode_number(raw: bytes, subject: str, schemas: Schemas | None) -> Decoded:
        if len(raw) != size:
            raise Undecodable(f"not a number of {size} bytes: it has {len(raw)}")
        value = int.from_bytes(raw, "big", signed=True)
        return Decoded("text", raw, str(value), value=value)

    return decode_number


_WANTED: Final[dict[str, Callable[[bytes, str, Schemas | None], Decoded]]] = {
    "string": _string, "json": _json, "avro": _schema_of("avro"), "protobuf": _schema_of("protobuf"),
    "msgpack": _msgpack, "int32": _number(4), "int64": _number(8), "hex": lambda raw, *_: Decoded("bytes", raw),
}
