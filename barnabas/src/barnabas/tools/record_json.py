"""Turn messages and stored records into JSON as Kafka's tools print it, and decode the coordinators' records.

`as_json` follows Kafka's generated JSON converters: names in camelCase, fields in the order of the message definition,
bytes in base64, ids as Kafka writes them, tagged fields only where they differ from their default. `dumps` writes the
text as Jackson does. No requests, no I/O.
"""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from typing import Any, NamedTuple

from barnabas.protocol.codec import decode
from barnabas.protocol.errors import BarnabasError, SchemaError
from barnabas.protocol.schema import Field, Message, Struct, fields_of, in_range, span
from barnabas.tools.texts import uuid_text

# --- JSON ---------------------------------------------------------------------------------------------------


class _Named(NamedTuple):
    key: str
    field: Field


@cache
def _named(cls: type[Struct]) -> list[_Named]:
    return [_Named(camel_case(f.name), f) for f in fields_of(cls)]


def camel_case(name: str) -> str:
    """Write a field's name as Kafka's JSON does: `k_raft_version` is `kRaftVersion`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def as_json(message: Struct, version: int) -> dict[str, Any]:
    """Return a message of a version as what `dumps` takes: dictionaries, lists, numbers and strings."""
    flexible = isinstance(message, Message) and in_range(version, message.FLEXIBLE)
    return _struct(message, version, flexible)


def _struct(message: Struct, version: int, flexible: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, field in _named(type(message)):
        if not in_range(version, field.versions):
            continue
        value = getattr(message, field.name)
        if field.tag is not None and flexible and in_range(version, field.tag.range) and value == field.default:
            continue
        if value is None:
            found[key] = None
        elif field.array:
            found[key] = [_value(item, field, version, flexible) for item in value]
        elif field.wire == "records":
            found[f"{key}SizeInBytes"] = len(value)
        else:
            found[key] = _value(value, field, version, flexible)
    return found


def _value(value: Any, field: Field, version: int, flexible: bool) -> Any:
    if field.wire == "struct":
        return _struct(value, version, flexible)
    if field.wire == "uuid":
        return uuid_text(value)
    if field.wire == "bytes":
        return base64.b64encode(value).decode()
    return value


#: an escape; those of control characters are longer than four characters, and their digits are Java's
_ESCAPE = re.compile(r"\\(u00[01][0-9a-f]|.)")
#: what `_marked` made: a quote that no backslash escapes stands at the beginning of a text
_MARK = re.compile(r'(?<!\\)"\\u0000(?:f([^"]*)"|t)')


def dumps(value: Any) -> str:
    """Write JSON as Jackson does: no spaces, no escapes but the needed ones, Java's form of fractions."""
    text = json.dumps(_marked(value), ensure_ascii=False, separators=(",", ":"))
    text = _MARK.sub(lambda match: match[1] or '"', text)
    return _ESCAPE.sub(lambda match: match[0][:4] + match[0][4:].upper(), text)


def _marked(value: Any) -> Any:
    """Put marked texts in the place of fractions, which Python's json writes in its own way alone.

    A zero byte is the mark; a text that begins with one is marked itself.
    """
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, float):
        return f"\0f{java_double(value)}"
    return f"\0t{value}" if isinstance(value, str) and value.startswith("\0") else value


def java_double(value: float) -> str:
    """Write a double as Java's Double.toString does: `1.0E7` from ten million on, and below a thousandth."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    mantissa, _, exponent = f"{value:e}".partition("e")
    for digits in range(1, 18):  # the fewest digits that stand for it
        mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
        if float(f"{mantissa}e{exponent}") == value:
            break
    return f"{mantissa}E{int(exponent)}"


# --- the coordinators' records ------------------------------------------------------------------------------


class CoordinatorRecord(NamedTuple):
    """Hold a decoded record of `__consumer_offsets`, `__transaction_state` or `__share_group_state`.

    `kind` is the type that the key begins with; `value` is None for a tombstone.
    """

    kind: int
    key: Message
    version: int
    value: Message | None


class UnknownRecord(BarnabasError):
    """A key begins with a type that is not known."""

    def __init__(self, kind: int) -> None:
        super().__init__(f"Found an unknown record type {kind}")
        self.kind = kind


class MalformedRecord(BarnabasError):
    """A record cannot be decoded; the text is that of Java's coordinator."""


Definitions = dict[int, tuple[type[Message], type[Message]]]
"""The classes of key and value by the type that a key begins with."""


@cache
def group_records() -> Definitions:
    """Return the records of `__consumer_offsets`."""
    from barnabas.protocol.records import consumer_groups, offsets, share_groups, streams_groups

    return _paired(consumer_groups, offsets, share_groups, streams_groups)


@cache
def transaction_records() -> Definitions:
    """Return the records of `__transaction_state`."""
    from barnabas.protocol.records import transactions

    return _paired(transactions)


@cache
def share_records() -> Definitions:
    """Return the records of `__share_group_state`."""
    from barnabas.protocol.records import share_state

    return _paired(share_state)


def _paired(*modules: Any) -> Definitions:
    keys: dict[int, type[Message]] = {}
    values: dict[int, type[Message]] = {}
    for module in modules:
        for name, cls in vars(module).items():
            if isinstance(cls, type) and issubclass(cls, Message) and cls is not Message:
                (keys if name.endswith("Key") else values)[cls.KEY] = cls
    return {kind: (key, values[kind]) for kind, key in keys.items()}


def decode_coordinator_record(definitions: Definitions, key: bytes, value: bytes | None) -> CoordinatorRecord:
    """Decode a record. Raises `UnknownRecord`, `MalformedRecord`."""
    kind = _version(key, "key")
    if kind not in definitions:
        raise UnknownRecord(kind)
    key_class, value_class = definitions[kind]
    decoded_key = _decoded(key_class, 0, key[2:], "key", kind)
    if value is None:
        return CoordinatorRecord(kind, decoded_key, 0, None)
    version = _version(value, "value")
    low, high = span(value_class.VERSIONS)
    if not low <= version <= high:
        raise MalformedRecord(f"Found an unknown record version {version} for {kind} type")
    return CoordinatorRecord(kind, decoded_key, version, _decoded(value_class, version, value[2:], "value", version))


def _version(data: bytes, what: str) -> int:
    if len(data) < 2:
        raise MalformedRecord(f"Could not read version from {what}'s buffer.")
    return int.from_bytes(data[:2], "big", signed=True)


def _decoded(cls: type[Message], version: int, data: bytes, what: str, said: int) -> Message:
    try:
        found: Message = decode(cls, version, data)
    except SchemaError as e:
        raise MalformedRecord(f"Could not read record with version {said} from {what}'s buffer due to: {e}.") from e
    return found
