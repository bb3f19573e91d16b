"""Ask a registry that is compatible with Confluent's for schemas, and for those that they refer to.

Source: Confluent's Schema Registry, API reference: `/schemas/ids/N` and `/subjects/NAME/versions/N` answer with
`schema`, `schemaType` (AVRO unless it is there) and `references`, each with `name`, `subject` and `version`; the second
with `id` too, and with `?deleted=true` for what was deleted since. Protobuf is asked for by ids as
`?format=serialized`, a FileDescriptorProto in base64. What is referred to is bounded in number and in depth; a registry
that does not answer is given up after three seconds.
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final, Literal

from barnabas.console import exact, protobuf
from barnabas.console.avro import avro
from barnabas.console.parts import Schema, Undecodable

_PATIENCE: Final = 3.0
_ANSWER: Final = 4 << 20
_REFERRED: Final = 64
_LEVELS: Final = 16


class NoAnswer(Undecodable):
    """The registry does not answer, whatever it is asked for."""


class Registry:
    """Find the schemas of a registry, each time anew."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    def find(self, number: str) -> Schema:
        """Return the schema with an id. Raises `Undecodable`, `NoAnswer`."""
        name = f"schema {number}"
        answer = self._ask(f"/schemas/ids/{number}")
        kind = answer.get("schemaType", "AVRO")
        if kind == "AVRO":
            referred = self._referred(name, answer)
            return avro(name, [*(_schema(*one) for one in referred.items()), _schema(name, answer)])
        if kind == "PROTOBUF":
            imports = self._referred(name, answer)
            return protobuf.files(name, [
                *((imported, self._binary(imported, one.get("id"))) for imported, one in imports.items()),
                (None, self._binary(name, number)),
            ])
        if kind == "JSON":
            return _Json(name)
        raise Undecodable(f"{name} is of {kind}, which the console does not decode")

    def _binary(self, name: str, number: object) -> bytes:
        text = _schema(name, self._ask(f"/schemas/ids/{number}?format=serialized"))
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            raise Undecodable(f"{name}: this registry does not give Protobuf in its binary form") from None

    def _referred(self, name: str, answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return what a schema refers to by the names that it has there, each after what it refers to itself."""
        found: dict[str, dict[str, Any]] = {}

        def follow(document: dict[str, Any], way: tuple[tuple[str, int], ...]) -> None:
            for reference in document.get("references") or []:
                try:
                    called, subject, version = reference["name"], reference["subject"], reference["version"]
                except (TypeError, KeyError):
                    raise Undecodable(f"{name} refers to something that has no name, subject or version") from None
                place = (str(subject), int(version))
                if place in way:
                    raise Undecodable(f"{name} cannot be read: {subject} refers to itself")
                if called in found:
                    continue
                if len(way) >= _LEVELS or len(found) + len(way) >= _REFERRED:
                    raise Undecodable(
                        f"{name} refers to too many others: at most {_REFERRED}, {_LEVELS} levels deep, are followed"
                    )
                asked = self._ask(f"/subjects/{urllib.parse.quote(place[0], safe='')}/versions/{place[1]}?deleted=true")
                follow(asked, (*way, place))
                found[str(called)] = asked

        try:
            follow(answer, ())
        except (TypeError, ValueError):
            raise Undecodable(f"the registry's references of {name} cannot be understood") from None
        return found

    def _ask(self, path: str) -> dict[str, Any]:
        url = urllib.parse.urlsplit(f"{self._address}{path}")
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
        except (OSError, http.client.HTTPException) as e:
            raise NoAnswer(f"the registry does not answer: {e}") from None
        except (ValueError, RecursionError) as e:
            raise Undecodable(f"the registry does not answer with JSON: {e}") from None
        if not isinstance(found, dict):
            raise Undecodable(f"the registry's answer for {path} cannot be understood")
        return found


def _schema(name: str, answer: dict[str, Any]) -> str:
    found = answer.get("schema")
    if not isinstance(found, str):
        raise Undecodable(f"{name}: the registry's answer has no schema")
    return found


class _Json:
    """Show JSON as it was stored: whether it follows its schema is for whoever wrote it."""

    kind: Literal["avro", "protobuf", "json"] = "json"

    def __init__(self, name: str) -> None:
        self.name = name

    def decode(self, raw: bytes) -> str:
        if not exact.is_json(raw):
            raise Undecodable(f"{self.name} is of JSON, and this is not JSON")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Undecodable(f"{self.name} is of JSON, and this is not UTF-8") from None
