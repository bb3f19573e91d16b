"""Frame metadata records as KRaft stores them: frame version, key, version, body.

Which version of a record is written follows from `metadata.version`, so that the oldest Kafka which may take the
directory over can read it. Source: KIP-631; the record definitions of Apache Kafka 4.3.
"""

from __future__ import annotations

from typing import Final

from barnabas.protocol.codec import codec, read_uvarint, write_uvarint
from barnabas.protocol.errors import BarnabasError, SchemaError
from barnabas.protocol.records import metadata as definitions
from barnabas.protocol.schema import Message, span

#: the levels of the feature metadata.version, by the Kafka release that brought them
METADATA_VERSIONS: Final = {"4.0-IV3": 25, "4.1-IV1": 27, "4.2-IV1": 29, "4.3-IV0": 30}
LATEST: Final = 30

RECORDS: Final[dict[int, type[Message]]] = {
    value.KEY: value
    for value in vars(definitions).values()
    if isinstance(value, type) and issubclass(value, Message) and value is not Message
}


#: records with several versions: from which level on which version is written, as Apache Kafka's MetadataVersion says
_VERSION_SINCE: Final[dict[type[Message], tuple[tuple[int, int], ...]]] = {
    definitions.RegisterBrokerRecord: ((30, 4), (17, 3), (8, 2), (0, 1)),
    definitions.BrokerRegistrationChangeRecord: ((30, 3), (17, 2), (0, 1)),
    definitions.PartitionRecord: ((23, 2), (17, 1), (0, 0)),
    definitions.PartitionChangeRecord: ((23, 2), (17, 1), (0, 0)),
}


class MetadataError(BarnabasError):
    """The metadata log holds something that this version cannot take in; nothing was changed."""


def record_version(record: Message, metadata_version: int) -> int:
    """Return the version in which a record is written under a level of metadata.version."""
    for since, version in _VERSION_SINCE.get(type(record), ()):
        if metadata_version >= since:
            return version
    return span(record.VERSIONS)[1]


def frame(record: Message, metadata_version: int) -> bytes:
    """Encode a record with its frame; the result is the value of a log record without a key."""
    version = record_version(record, metadata_version)
    out = bytearray(b"\x01")
    write_uvarint(out, record.KEY)
    write_uvarint(out, version)
    codec(type(record), version).encode(out, record)
    return bytes(out)


def unframe(value: bytes) -> Message:
    """Decode a framed record; raises `MetadataError` for keys and versions that are not known."""
    try:
        frame_version, p = read_uvarint(value, 0, len(value))
        key, p = read_uvarint(value, p, len(value))
        version, p = read_uvarint(value, p, len(value))
        if frame_version != 1:
            raise MetadataError(f"a metadata record has frame version {frame_version}; 1 is supported")
        definition = RECORDS.get(key)
        if definition is None:
            raise MetadataError(f"the metadata log holds records of an unknown kind ({key}): it is of a newer Kafka")
        low, high = span(definition.VERSIONS)
        if not low <= version <= high:
            raise MetadataError(
                f"{definition.__name__} of version {version} is not known (up to {high}): it is of a newer Kafka"
            )
        record: Message = codec(definition, version).decode(value, p, len(value))[0]
    except (SchemaError, IndexError, UnicodeDecodeError) as e:
        raise MetadataError(f"a metadata record is malformed: {e}") from e
    return record
