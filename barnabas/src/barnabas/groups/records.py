"""Encode and decode the records of `__consumer_offsets`, in Kafka's schemas.

A key begins with its type, a value with its version, both int16. Types that are not known here (consumer, share and
streams groups) decode to None and are left as they are in the log.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, TypeVar

from barnabas.protocol.codec import codec
from barnabas.protocol.errors import SchemaError
from barnabas.protocol.records.offsets import (
    GroupMetadataKey,
    GroupMetadataValue,
    LegacyOffsetCommitKey,
    LegacyOffsetCommitValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from barnabas.protocol.schema import Message, in_range

T = TypeVar("T", bound=Message)

Key = OffsetCommitKey | GroupMetadataKey
Value = OffsetCommitValue | GroupMetadataValue

#: the versions written: those of Apache Kafka 4.3
OFFSET_VALUE_VERSION: Final = 4
GROUP_VALUE_VERSION: Final = 3


class GroupRecord(NamedTuple):
    """Pair a key with its value; a value of None is a tombstone."""

    key: Key
    value: Value | None

    def encode(self) -> tuple[bytes, bytes | None]:
        """Return key and value as the log holds them."""
        key = _encode(self.key, self.key.KEY, 0)
        if self.value is None:
            return key, None
        version = OFFSET_VALUE_VERSION if isinstance(self.value, OffsetCommitValue) else GROUP_VALUE_VERSION
        return key, _encode(self.value, version, version)


def _encode(message: Message, prefix: int, version: int) -> bytes:
    out = bytearray(struct.pack(">h", prefix))
    codec(type(message), version).encode(out, message)
    return bytes(out)


def decode_record(key: bytes, value: bytes | None) -> GroupRecord | None:
    """Decode a record of the log; None for types that are not handled here. Raises `SchemaError`."""
    try:
        (kind,) = struct.unpack_from(">h", key)
        if kind in (0, 1):
            decoded = codec(OffsetCommitKey if kind else LegacyOffsetCommitKey, 0).decode(key, 2, len(key))[0]
            offset_key = OffsetCommitKey(decoded.group, decoded.topic, decoded.partition)
            return GroupRecord(offset_key, None if value is None else _offset_value(value, legacy=kind == 0))
        if kind == 2:
            group_key: GroupMetadataKey = codec(GroupMetadataKey, 2).decode(key, 2, len(key))[0]
            return GroupRecord(group_key, None if value is None else _value(GroupMetadataValue, value))
    except (struct.error, IndexError, UnicodeDecodeError) as e:
        raise SchemaError(f"malformed record of __consumer_offsets: {e}") from e
    return None


def _offset_value(value: bytes, *, legacy: bool) -> OffsetCommitValue:
    if legacy:
        old = _value(LegacyOffsetCommitValue, value)
        return OffsetCommitValue(old.offset, -1, old.metadata, old.commit_timestamp)
    return _value(OffsetCommitValue, value)


def _value(cls: type[T], value: bytes) -> T:
    (version,) = struct.unpack_from(">h", value)
    if not in_range(version, cls.VERSIONS):
        raise SchemaError(f"{cls.__name__} of version {version} is not known")
    decoded: T = codec(cls, version).decode(value, 2, len(value))[0]
    return decoded


def partition_of(name: str, partitions: int) -> int:
    """Return the partition that holds a group or transactional id: Java's String.hashCode, made positive."""
    h = 0
    data = name.encode("utf-16-be", "surrogatepass")
    for i in range(0, len(data), 2):
        h = (31 * h + (data[i] << 8 | data[i + 1])) & 0xFFFFFFFF
    return (h & 0x7FFFFFFF) % partitions
