"""Decode Protobuf with the descriptors of a schema, within bounds: the values of a large record are counted first.

The decoder is in C and takes for an empty message of two bytes as much memory as the message has fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from barnabas.console.parts import MOST_VALUES, Schema, Undecodable

#: bytes from which on a record is looked through before it is decoded
_LARGE: Final = 4096
_INDEXES: Final = 32
_MISSING: Final = "Protobuf needs protobuf, which is not installed: pip install 'barnabas[schemas]'"
_TEXTS: Final = (9, 12)
#: bytes of what has a fixed size: doubles, fixed64, floats, fixed32
_FIXED: Final = {1: 8, 6: 8, 16: 8, 2: 4, 7: 4, 15: 4}
#: bytes that a number goes on after
_GOES_ON: Final = bytes(range(0x80, 0x100))
_ANY: Final = "google.protobuf.Any"


def file_set(name: str, descriptors: bytes, *, has_indexes: bool) -> Schema:
    """Make a decoder of a FileDescriptorSet, whose last file is the one that is meant. Raises `Undecodable`."""
    try:
        from google.protobuf.descriptor_pb2 import FileDescriptorSet
        from google.protobuf.message import DecodeError
    except ImportError:
        raise Undecodable(_MISSING) from None
    try:
        files = list(FileDescriptorSet.FromString(descriptors).file)
    except DecodeError as e:
        raise Undecodable(f"{name} is no FileDescriptorSet: {e}") from None
    return _Protobuf(name, files, has_indexes=has_indexes)


def files(name: str, descriptors: Sequence[tuple[str | None, bytes]]) -> Schema:
    """Make a decoder of FileDescriptorProtos, as a registry gives them, each with the name by which it is imported.

    The last is the one that is meant; the others are what it imports, in order. Raises `Undecodable`.
    """
    try:
        from google.protobuf.descriptor_pb2 import FileDescriptorProto
        from google.protobuf.message import DecodeError
    except ImportError:
        raise Undecodable(_MISSING) from None
    found = []
    for imported, raw in descriptors:
        try:
            found.append(FileDescriptorProto.FromString(raw))
        except DecodeError as e:
            raise Undecodable(f"{imported or name} is no FileDescriptorProto: {e}") from None
        found[-1].name = imported or f"{name}.proto"  # the schema's own name is empty, or any
    return _Protobuf(name, found, has_indexes=True)


class _Protobuf:
    kind: Literal["avro", "protobuf", "json"] = "protobuf"

    def __init__(self, name: str, files: list[Any], *, has_indexes: bool) -> None:
        if not files or not files[-1].message_type:
            raise Undecodable(f"{name} declares no message")
        self.name = name
        self._has_indexes = has_indexes
        try:
            self._pool = _pool(files)
            self._file: Any = self._pool.FindFileByName(files[-1].name)
        except (TypeError, KeyError, ValueError) as e:
            raise Undecodable(f"{name} is not complete: {e}") from None
        self._order = files[-1]

    def decode(self, raw: bytes) -> Any:
        from google.protobuf import json_format, message_factory
        from google.protobuf.message import DecodeError

        at, indexes = self._indexes(raw) if self._has_indexes else (0, [0])
        try:
            descriptor = self._message(indexes)
            body = raw[at:]
            if len(body) > _LARGE and not _is_bounded(descriptor, body):
                raise Undecodable(f"{self.name}: more than {MOST_VALUES:,} values are too many to be shown")
            message = message_factory.GetMessageClass(descriptor).FromString(body)
            return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=self._pool)
        # what stands in an Any may be of no type that is known, or be no such message
        except (DecodeError, IndexError, KeyError, ValueError, TypeError, RecursionError, json_format.Error) as e:
            raise Undecodable(f"does not follow {self.name}: {e}") from None

    def _message(self, indexes: list[int]) -> Any:
        """Return the message that indexes name: of the file, then of the message before. Raises `IndexError`."""
        declared = self._order.message_type[indexes[0]]
        descriptor = self._file.message_types_by_name[declared.name]
        for index in indexes[1:]:
            declared = declared.nested_type[index]
            descriptor = descriptor.nested_types_by_name[declared.name]
        return descriptor

    def _indexes(self, raw: bytes) -> tuple[int, list[int]]:
        """Read which message of the file it is: zigzag varints, a count and as many indexes; 0 alone is the first."""
        count, at = self._index(raw, 0)
        if not 0 <= count <= _INDEXES:
            raise Undecodable(f"does not follow {self.name}: {count} message indexes")
        found = []
        for _ in range(count):
            index, at = self._index(raw, at)
            if index < 0:
                raise Undecodable(f"does not follow {self.name}: message index {index}")
            found.append(index)
        return at, found or [0]

    def _index(self, raw: bytes, at: int) -> tuple[int, int]:
        try:
            number, at = _varint(raw, at)
        except IndexError:
            raise Undecodable(f"does not follow {self.name}: its message indexes have no end") from None
        return (number >> 1) ^ -(number & 1), at


def _pool(files: list[Any]) -> Any:
    """Return a pool with files, and with what they import and nobody gave: Google's types, and files taken for empty.

    A registry knows some files by itself; those of Confluent's have options of fields, which no record needs. Raises
    `TypeError` where an import is missed.
    """
    from google.protobuf import descriptor_pool
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    pool = descriptor_pool.DescriptorPool()
    known = {file.name for file in files}

    def add(name: str) -> None:
        if name in known:
            return
        known.add(name)
        file = _google(name) or FileDescriptorProto(name=name)
        for imported in file.dependency:
            add(imported)
        pool.Add(file)

    for file in files:
        for imported in file.dependency:
            add(imported)
    for file in files:
        pool.Add(file)
    return pool


def _google(name: str) -> Any:
    """Return the file of one of Google's well-known types, None for any other."""
    from google.protobuf import (
        any_pb2,
        api_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        type_pb2,
        wrappers_pb2,
    )

    for module in (
        any_pb2, api_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, source_context_pb2, struct_pb2,
        timestamp_pb2, type_pb2, wrappers_pb2,
    ):
        if module.DESCRIPTOR.name == name:
            return descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    return None


# --- bounds -------------------------------------------------------------------------------------------------


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Read a number without sign. Raises `IndexError` where it has no end."""
    number = shift = 0
    while shift < 70:
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise IndexError


def _packed(kind: int, raw: bytes) -> int:
    """Return how many values a packed field has."""
    return len(raw) // _FIXED[kind] if kind in _FIXED else len(raw.translate(None, _GOES_ON))


def _is_bounded(descriptor: Any, raw: bytes) -> bool:
    """Tell whether a message has no more than `MOST_VALUES` values; what is broken is left to the decoder.

    A message counts as one and an eighth of its fields, an Any, in which others may hide, as its bytes.
    """
    left = MOST_VALUES
    at, end = 0, len(raw)
    above: list[tuple[Any, int]] = []
    try:
        while left >= 0:
            if at >= end:
                if not above:
                    return True
                descriptor, end = above.pop()
                continue
            tag, at = _varint(raw, at)
            field = descriptor.fields_by_number.get(tag >> 3) if descriptor is not None else None
            left -= 1
            wire = tag & 7
            if wire == 0:
                _, at = _varint(raw, at)
            elif wire == 1:
                at += 8
            elif wire == 5:
                at += 4
            elif wire == 2:
                size, at = _varint(raw, at)
                inner = field.message_type if field is not None else None
                if inner is not None:
                    left -= size if inner.full_name == _ANY else len(inner.fields) >> 3
                    above.append((descriptor, end))
                    descriptor, end = inner, min(at + size, end)
                    continue
                if field is not None and field.type not in _TEXTS:
                    left -= _packed(field.type, raw[at : at + size])
                at += size
            elif wire == 3:  # a group, up to its end's tag
                above.append((descriptor, end))
                descriptor = field.message_type if field is not None else None
            elif wire == 4 and above:
                descriptor, end = above.pop()
            else:
                return True
    except IndexError:
        return True
    return False
