"""Read the framed records of the metadata log one by one, each with its version, and name them as Kafka does."""

from __future__ import annotations

import re

from barnabas.metadata.framing import RECORDS, MetadataError
from barnabas.protocol.codec import codec, read_uvarint
from barnabas.protocol.errors import SchemaError
from barnabas.protocol.schema import Message, span

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def type_name(cls: type[Message]) -> str:
    """Return the name that Kafka gives to a kind of record: `REGISTER_BROKER_RECORD`."""
    return _WORD.sub("_", cls.__name__).upper()


def read_metadata(value: bytes) -> tuple[Message, int]:
    """Decode a framed record; return it with its version. Raises `MetadataError` in the words of Kafka's reader."""
    end = len(value)
    frame, p = _uvarint(value, 0, "frame version")
    if frame == 0:
        raise MetadataError(
            "Could not deserialize metadata record with frame version 0. Note that upgrades from the preview release "
            "of KRaft in 2.8 to newer versions are not supported."
        )
    if frame != 1:
        raise MetadataError(
            f"Could not deserialize metadata record due to unknown frame version {frame}(only frame version 1 is "
            "supported)"
        )
    key, p = _uvarint(value, p, "type")
    version, p = _uvarint(value, p, "version")
    cls = RECORDS.get(key)
    if cls is None:
        raise MetadataError(
            f"org.apache.kafka.common.errors.UnsupportedVersionException: Unknown metadata id {key}"
        )
    low, high = span(cls.VERSIONS)
    failed = f"Failed to deserialize record with type {key}"
    if not low <= version <= high:
        raise MetadataError(failed)
    try:
        message, p = codec(cls, version).decode(value, p, end)
    except (SchemaError, IndexError, UnicodeDecodeError, ValueError) as e:
        raise MetadataError(failed) from e
    if p < end:
        raise MetadataError(f"Found {end - p} byte(s) of garbage after {key}")
    return message, version


def _uvarint(value: bytes, p: int, what: str) -> tuple[int, int]:
    try:
        return read_uvarint(value, p, len(value))
    except SchemaError as e:
        raise MetadataError(f"Error while reading {what}") from e
