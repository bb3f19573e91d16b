"""Show keys and values of records: as text, or decoded as what Kafka stores in its own topics.

A parser is given a record and returns what to show for its key and its value. What cannot be decoded is said in the
place of the record, and the next one follows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from barnabas.protocol.codec import decode
from barnabas.protocol.errors import SchemaError
from barnabas.protocol.records import control
from barnabas.protocol.schema import Message
from barnabas.tools.dump_log_files import DumpError, Record
from barnabas.tools.errors import ToolError
from barnabas.tools.record_json import (
    Definitions,
    MalformedRecord,
    UnknownRecord,
    as_json,
    decode_coordinator_record,
    dumps,
)

Parser = Callable[[Record], tuple[str | None, str | None]]

_API = "org.apache.kafka.tools.api."


def _number(size: int) -> Callable[[bytes], str]:
    def show(data: bytes) -> str:
        if len(data) < size:
            raise DumpError(f"The value has {len(data)} bytes, and the decoder needs {size}")
        return str(int.from_bytes(data[:size], "big", signed=True))

    return show


#: Kafka's own decoder classes
DECODERS: dict[str, Callable[[bytes], str]] = {
    f"{_API}StringDecoder": lambda data: data.decode(errors="replace"),
    f"{_API}DefaultDecoder": bytes.hex,
    f"{_API}IntegerDecoder": _number(4),
    f"{_API}LongDecoder": _number(8),
}


def parser_of(decoder: str, keys: str = "") -> Parser:
    """Return the parser of one of Kafka's topics, or of two decoder classes. Raises `DumpError`, `ToolError`."""
    if decoder == "offsets":
        from barnabas.tools.record_json import group_records

        return _coordinator(group_records(), _offsets_value)
    if decoder == "transaction-log":
        from barnabas.tools.record_json import transaction_records

        return _coordinator(transaction_records(), as_json)
    if decoder == "share-group-state":
        from barnabas.tools.record_json import share_records

        return _coordinator(share_records(), as_json)
    if decoder == "cluster-metadata":
        return _metadata
    if decoder == "remote-log-metadata":
        raise ToolError("--remote-log-metadata-decoder is not there: Barnabas has no remote storage.")
    if decoder not in DECODERS or keys not in DECODERS:
        raise DumpError("Failed to load decoder class")

    def parse(record: Record) -> tuple[str | None, str | None]:
        return (
            None if record.key is None else DECODERS[keys](record.key),
            None if record.value is None else DECODERS[decoder](record.value),
        )

    return parse


def _coordinator(definitions: Definitions, value_json: Callable[[Message, int], dict[str, Any]]) -> Parser:
    def parse(record: Record) -> tuple[str | None, str | None]:
        if record.key is None:
            raise DumpError(
                f"Failed to decode message at offset {record.offset} using the specified decoder (message had a "
                "missing key)"
            )
        try:
            found = decode_coordinator_record(definitions, record.key, record.value)
        except UnknownRecord as e:
            return f"Unknown record type {e.kind} at offset {record.offset}, skipping.", None
        except MalformedRecord as e:
            return f"Error at offset {record.offset}, skipping. {e}", None
        key = dumps({"type": str(found.kind), "data": as_json(found.key, 0)})
        if found.value is None:
            return key, "<DELETE>"
        return key, dumps({"version": str(found.version), "data": value_json(found.value, found.version)})

    return parse


def _offsets_value(value: Message, version: int) -> dict[str, Any]:
    """Show what classic consumers subscribed to and were given, which their group's record holds as bytes."""
    from barnabas.protocol.messages import consumer_protocol
    from barnabas.protocol.records.offsets import GroupMetadataValue

    shown = as_json(value, version)
    if isinstance(value, GroupMetadataValue) and value.protocol_type == "consumer":
        for member, json in zip(value.members, shown["members"], strict=True):
            json["subscription"] = _embedded(
                consumer_protocol.ConsumerProtocolSubscription, member.subscription, json["subscription"]
            )
            json["assignment"] = _embedded(
                consumer_protocol.ConsumerProtocolAssignment, member.assignment, json["assignment"]
            )
    return shown


def _embedded(cls: type[Message], data: bytes, otherwise: Any) -> Any:
    try:
        version = struct.unpack_from(">h", data)[0]
        return as_json(decode(cls, version, data[2:]), version)
    except (struct.error, SchemaError, ValueError):
        return otherwise


# --- the metadata log ---------------------------------------------------------------------------------------


def _metadata(record: Record) -> tuple[str | None, str | None]:
    from barnabas.metadata.framing import MetadataError
    from barnabas.tools.metadata_records import read_metadata, type_name

    try:
        message, version = read_metadata(record.value or b"")
    except MetadataError as e:
        return None, f"Error at {record.offset}, skipping. {e}"
    return None, dumps({"type": type_name(type(message)), "version": version, "data": as_json(message, version)})


# --- control records ----------------------------------------------------------------------------------------

_CONTROL: dict[int, tuple[str, type[Message]]] = {
    2: ("LeaderChange:", control.LeaderChangeMessage),
    3: ("SnapshotHeader", control.SnapshotHeaderRecord),
    4: ("SnapshotFooter", control.SnapshotFooterRecord),
    5: ("KRaftVersion", control.KRaftVersionRecord),
    6: ("KRaftVoters", control.VotersRecord),
}


def control_text(key: bytes | None, value: bytes | None) -> str:
    """Return what is shown of a control record. Raises `DumpError`."""
    key, value = key or b"", value or b""
    if len(key) < 4:
        raise DumpError(
            "Invalid value size found for end control record key. Must have at least 4 bytes, but found only "
            f"{len(key)}"
        )
    version, kind = struct.unpack_from(">hh", key)
    if version < 0:
        raise DumpError(f"Invalid version found for control record: {version}. May indicate data corruption")
    if kind in (0, 1):
        if len(value) < 6:
            raise DumpError(
                f"Invalid value size found for end transaction marker. Must have at least 6 bytes, but found only "
                f"{len(value)}"
            )
        epoch = struct.unpack_from(">i", value, 2)[0]
        return f" endTxnMarker: {'COMMIT' if kind else 'ABORT'} coordinatorEpoch: {epoch}"
    if kind not in _CONTROL:
        return f" controlType: UNKNOWN({kind})"
    name, cls = _CONTROL[kind]
    try:
        at = struct.unpack_from(">h", value)[0]
        return f" {name} {dumps(as_json(decode(cls, min(at, 1), value), min(at, 1)))}"
    except (SchemaError, struct.error) as e:
        raise DumpError(str(e)) from e
