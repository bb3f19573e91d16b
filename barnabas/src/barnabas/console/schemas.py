"""Find schemas and decode with them: from a Confluent-compatible registry, or from files.

A folder of schemas holds Avro as `NAME.avsc` and Protobuf as `NAME.desc` (a FileDescriptorSet, as `protoc
--include_imports -o NAME.desc` writes it). A NAME of digits is a schema's id in Confluent's header; any other is the
subject, `TOPIC-key` or `TOPIC-value`, whose records have no header. Avro needs fastavro and Protobuf protobuf, which
`barnabas[schemas]` brings. Calls block: a registry that does not answer is given up after three seconds, and what it
said is remembered. Source of the header and the paths: Confluent's Schema Registry, wire format and API reference.
"""

from __future__ import annotations

import base64
import io
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final, Literal

from barnabas.console.parts import Schema, Undecodable
from barnabas.tools.errors import ToolError

_PATIENCE: Final = 3.0
_REMEMBERED: Final = 10.0
_ANSWER: Final = 4 << 20
_KEPT: Final = 1000


class Library:
    """Know the schemas of a registry and of a folder. Safe to be used by several threads."""

    def __init__(self, registry: str | None, folder: Path | None) -> None:
        self._registry = registry.rstrip("/") if registry else None
        self._files: dict[str, Path] = {}
        if folder is not None:
            if not folder.is_dir():
                raise ToolError(f"--schemas {folder}: there is no such folder")
            self._files = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix in (".avsc", ".desc")}
        self.has_ids = self._registry is not None or any(name.isdigit() for name in self._files)
        self._known: dict[str, Schema] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def by_id(self, number: int) -> Schema:
        """Return the schema of a Confluent header. Raises `Undecodable`."""
        return self._remembered(str(number))

    def of_subject(self, subject: str) -> Schema | None:
        """Return the schema of a file that is called as the subject."""
        return self._remembered(subject) if subject in self._files else None

    def _remembered(self, name: str) -> Schema:
        if (known := self._known.get(name)) is not None:
            return known
        with self._lock:
            at, why = self._failed.get(name, (0.0, ""))
            if why and time.monotonic() - at < _REMEMBERED:
                raise Undecodable(why)
            try:
                found = self._known.get(name) or self._find(name)
            except Undecodable as e:
                if len(self._failed) >= _KEPT:
                    self._failed.clear()
                self._failed[name] = (time.monotonic(), str(e))
                raise
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[name] = found
            return found

    def _find(self, name: str) -> Schema:
        path = self._files.get(name)
        if path is not None:
            try:
                raw = path.read_bytes()
            except OSError as e:
                raise Undecodable(f"{path.name}: {e.strerror}") from None
            if path.suffix == ".avsc":
                return avro(path.stem, raw.decode("utf-8", "replace"))
            return protobuf(path.stem, raw, has_indexes=name.isdigit())
        if self._registry is None:
            raise Undecodable(f"schema {name} is not among the files")
        answer = self._ask(f"/schemas/ids/{name}")
        kind = answer.get("schemaType", "AVRO")
        if kind == "AVRO":
            if answer.get("references"):
                raise Undecodable(f"schema {name} refers to other schemas, which the console does not follow")
            return avro(f"schema {name}", str(answer.get("schema")))
        if kind == "PROTOBUF":
            if answer.get("references"):
                raise Undecodable(f"schema {name} imports other files, which the console does not follow")
            serialized = self._ask(f"/schemas/ids/{name}?format=serialized").get("schema")
            try:
                return protobuf_file(f"schema {name}", base64.b64decode(str(serialized), validate=True))
            except ValueError:
                raise Undecodable(f"schema {name}: this registry does not give Protobuf in its binary form") from None
        raise Undecodable(f"schema {name} is of {kind}, which the console does not decode")

    def _ask(self, path: str) -> dict[str, Any]:
        url = urllib.parse.urlsplit(f"{self._registry}{path}")
        headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        host = url.netloc
        if "@" in host:
            user, _, host = host.rpartition("@")
            headers["Authorization"] = f"Basic {base64.b64encode(urllib.parse.unquote(user).encode()).decode()}"
        request = urllib.request.Request(urllib.parse.urlunsplit(url._replace(netloc=host)), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                found = json.loads(answer.read(_ANSWER))
        except urllib.error.HTTPError as e:
            raise Undecodable(f"the registry answered {e.code} for {path}") from None
        except (OSError, ValueError) as e:
            raise Undecodable(f"the registry does not answer: {e}") from None
        if not isinstance(found, dict):
            raise Undecodable(f"the registry's answer for {path} cannot be understood")
        return found


# --- Avro ---------------------------------------------------------------------------------------------------


def avro(name: str, text: str) -> Schema:
    """Make a decoder of an Avro schema. Raises `Undecodable`."""
    try:
        import fastavro
    except ImportError:
        raise Undecodable("Avro needs fastavro, which is not installed: pip install 'barnabas[schemas]'") from None
    try:
        parsed = fastavro.parse_schema(_plain(json.loads(text)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, fastavro.schema.SchemaParseException) as e:
        raise Undecodable(f"{name} is no schema of Avro: {e}") from None
    return _Avro(name, parsed)


def _plain(schema: Any) -> Any:
    """Take off logical types but decimals: times stay the whole numbers that they were stored as."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if isinstance(schema, dict):
        return {
            key: value if key == "default" else _plain(value) for key, value in schema.items()
            if key != "logicalType" or value == "decimal"
        }
    return schema


class _Avro:
    kind: Literal["avro", "protobuf"] = "avro"

    def __init__(self, name: str, parsed: Any) -> None:
        self.name = f"{name} ({parsed['name']})" if isinstance(parsed, dict) and "name" in parsed else name
        self._parsed = parsed

    def decode(self, raw: bytes) -> Any:
        import fastavro

        stream = io.BytesIO(raw)
        try:
            found = fastavro.schemaless_reader(stream, self._parsed, None)
        # what a decoder of foreign bytes meets: ends, indexes, lengths, texts that are none
        except (ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError, RecursionError,
                ArithmeticError, StopIteration) as e:
            raise Undecodable(f"does not follow {self.name}: {str(e) or type(e).__name__}") from None
        if stream.tell() != len(raw):
            raise Undecodable(f"does not follow {self.name}: {len(raw) - stream.tell()} bytes are left over")
        return found


# --- Protobuf -----------------------------------------------------------------------------------------------


def protobuf(name: str, descriptors: bytes, *, has_indexes: bool) -> Schema:
    """Make a decoder of a FileDescriptorSet, whose last file is the one that is meant. Raises `Undecodable`."""
    try:
        from google.protobuf.descriptor_pb2 import FileDescriptorSet
        from google.protobuf.message import DecodeError
    except ImportError:
        raise Undecodable("Protobuf needs protobuf, which is not installed: pip install 'barnabas[schemas]'") from None
    try:
        files = list(FileDescriptorSet.FromString(descriptors).file)
    except DecodeError as e:
        raise Undecodable(f"{name} is no FileDescriptorSet: {e}") from None
    return _Protobuf(name, files, has_indexes=has_indexes)


def protobuf_file(name: str, descriptor: bytes) -> Schema:
    """Make a decoder of one FileDescriptorProto, as a registry gives it. Raises `Undecodable`."""
    try:
        from google.protobuf.descriptor_pb2 import FileDescriptorProto
        from google.protobuf.message import DecodeError
    except ImportError:
        raise Undecodable("Protobuf needs protobuf, which is not installed: pip install 'barnabas[schemas]'") from None
    try:
        return _Protobuf(name, [FileDescriptorProto.FromString(descriptor)], has_indexes=True)
    except DecodeError as e:
        raise Undecodable(f"{name} is no FileDescriptorProto: {e}") from None


class _Protobuf:
    kind: Literal["avro", "protobuf"] = "protobuf"

    def __init__(self, name: str, files: list[Any], *, has_indexes: bool) -> None:
        from google.protobuf import descriptor_pool

        if not files or not files[-1].message_type:
            raise Undecodable(f"{name} declares no message")
        self.name = name
        self._has_indexes = has_indexes
        pool = descriptor_pool.DescriptorPool()
        try:
            for file in files:
                pool.Add(file)
            self._file: Any = pool.FindFileByName(files[-1].name)
        except (TypeError, KeyError, ValueError) as e:
            raise Undecodable(f"{name} is not complete: {e}") from None
        self._order = files[-1]

    def decode(self, raw: bytes) -> Any:
        from google.protobuf import json_format, message_factory
        from google.protobuf.message import DecodeError

        at, indexes = self._indexes(raw) if self._has_indexes else (0, [0])
        try:
            declared = self._order.message_type[indexes[0]]
            descriptor = self._file.message_types_by_name[declared.name]
            for index in indexes[1:]:
                declared = declared.nested_type[index]
                descriptor = descriptor.nested_types_by_name[declared.name]
            message = message_factory.GetMessageClass(descriptor).FromString(raw[at:])
            return json_format.MessageToDict(message, preserving_proto_field_name=True)
        except (DecodeError, IndexError, KeyError, ValueError, RecursionError) as e:
            raise Undecodable(f"does not follow {self.name}: {e}") from None

    def _indexes(self, raw: bytes) -> tuple[int, list[int]]:
        """Read which message of the file it is: zigzag varints, a count and as many indexes; 0 alone is the first."""
        count, at = self._varint(raw, 0)
        if not 0 <= count <= 32:
            raise Undecodable(f"does not follow {self.name}: {count} message indexes")
        found = []
        for _ in range(count):
            index, at = self._varint(raw, at)
            if index < 0:
                raise Undecodable(f"does not follow {self.name}: message index {index}")
            found.append(index)
        return at, found or [0]

    def _varint(self, raw: bytes, at: int) -> tuple[int, int]:
        number = shift = 0
        while at < len(raw) and shift < 35:
            number |= (raw[at] & 0x7F) << shift
            at += 1
            if not raw[at - 1] & 0x80:
                return (number >> 1) ^ -(number & 1), at
            shift += 7
        raise Undecodable(f"does not follow {self.name}: its message indexes have no end")
