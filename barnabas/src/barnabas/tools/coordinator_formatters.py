"""Write the records of Kafka's internal topics as JSON, as the formatters of its coordinators do.

A record's key begins with its type, its value with a version; our own declarations (`barnabas.protocol.records`) say
what follows. The names of fields are theirs in camel case; bytes are base64, UUIDs as Kafka writes them; a tagged
field that has its default is left out. Other types than the formatter's, and records without a key, print nothing.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from barnabas.protocol.codec import decode
from barnabas.protocol.errors import SchemaError
from barnabas.protocol.records import offsets, share_groups, share_state, transactions
from barnabas.protocol.schema import Message, Struct, fields_of, in_range, span
from barnabas.tools.record_formatters import FormatError, Formatter, Record
from barnabas.tools.texts import uuid_text

Kinds = Mapping[int, tuple[type[Message], type[Message]]]


def _kinds(module: Any, *names: str) -> Kinds:
    pairs = ((getattr(module, f"{name}Key"), getattr(module, f"{name}Value")) for name in names)
    return {key.KEY: (key, value) for key, value in pairs}


#: formatter: classes of key and value by type
_KINDS: Final[dict[str, Kinds]] = {
    "offsets": _kinds(offsets, "LegacyOffsetCommit", "OffsetCommit"),
    "groups": _kinds(offsets, "GroupMetadata"),
    "transactions": _kinds(transactions, "TransactionLog"),
    "share groups": _kinds(
        share_groups, "ShareGroupMemberMetadata", "ShareGroupMetadata", "ShareGroupTargetAssignmentMetadata",
        "ShareGroupTargetAssignmentMember", "ShareGroupCurrentMemberAssignment", "ShareGroupStatePartitionMetadata",
    ),
    "share state": _kinds(share_state, "ShareSnapshot", "ShareUpdate"),
}


class CoordinatorFormatter(Formatter):
    """Write keys and values of one coordinator."""

    def __init__(self, kind: str) -> None:
        self._kinds = _KINDS[kind]

    @property
    def plain(self) -> bool:
        """Tell that every record is looked at."""
        return False

    def write(self, record: Record, out: list[bytes]) -> None:
        """Append a record as JSON, without a line's end, as Java does."""
        key, value = record.key(), record.value()
        if key is None:
            return
        try:
            (kind,) = struct.unpack_from(">h", key)
        except struct.error:
            raise FormatError("java.nio.BufferUnderflowException") from None
        known = self._kinds.get(kind)
        if known is None:
            return
        try:
            shown = {"key": {"type": kind, "data": as_json(decode(known[0], 0, key[2:]), 0)}, "value": None}
            if value is not None:
                (version,) = struct.unpack_from(">h", value)
                low, high = span(known[1].VERSIONS)
                data: Any = "unknown"
                if low <= version <= high:
                    data = as_json(decode(known[1], version, value[2:]), version)
                shown["value"] = {"version": version, "data": data}
        except (SchemaError, struct.error) as e:
            raise FormatError(f"java.lang.RuntimeException: {e}") from None
        out.append(json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode())


def as_json(message: Struct, version: int) -> dict[str, Any]:
    """Return the JSON of a structure, as Kafka's generated converters write it."""
    found = {}
    for field, name in _fields(type(message)):
        if not in_range(version, field.versions):
            continue
        value = getattr(message, field.name)
        if field.tag is not None and value == field.default:
            continue
        if field.array:
            found[name] = None if value is None else [_value(item, field.wire, version) for item in value]
        else:
            found[name] = _value(value, field.wire, version)
    return found


@cache
def _fields(cls: type[Struct]) -> list[tuple[Any, str]]:
    return [(field, camel_case(field.name)) for field in fields_of(cls)]


def camel_case(name: str) -> str:
    """Write a field's name as Kafka does: `commit_timestamp` is `commitTimestamp`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _value(value: Any, wire: str, version: int) -> Any:
    if value is None:
        return None
    if wire == "struct":
        return as_json(value, version)
    if wire == "uuid":
        return uuid_text(value)
    if wire in ("bytes", "records"):
        return base64.b64encode(bytes(value)).decode()
    return value
