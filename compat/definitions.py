#!/usr/bin/env python3
"""Compare every message and record that Barnabas declares with the definitions inside Apache Kafka's own jars.

    compat/definitions.py [FOLDER]    FOLDER holds the jars; default: where peers/apache_kafka.py keeps them

Field by field: name, type, versions, nullable versions, tag, tagged versions, default; for each message its key, its
versions and which of them are flexible; the table of APIs and the error codes, which Kafka's classes are asked for.
Prints one line a difference and exits with 1 if there are any. Needs Java 17, and Maven the first time.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import barnabas.protocol.messages
import barnabas.protocol.records
from barnabas.protocol.api import APIS, Key
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.schema import ZERO_UUID, Field, Message, Struct, fields_of, in_range, span

VERSION = "4.3.0"
JARS = ("clients", "metadata", "group-coordinator", "transaction-coordinator", "share-coordinator")
TYPES = {"bool": "boolean"}
#: JSON definitions that no Python class stands for, and why
ABSENT = {
    "ControlRecordTypeSchema": "keys of control records are two numbers",
    "DefaultPrincipalData": "travels in an envelope between brokers",
}
#: APIs that only nodes of a cluster speak among each other
BETWEEN_NODES = {7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 83, 84, 85, 86, 87}

ASK = """
import org.apache.kafka.common.message.ApiMessageType.ListenerType;
import org.apache.kafka.common.protocol.*;

public class Ask {
    public static void main(String[] arguments) {
        for (Errors e : Errors.values()) System.out.println("error " + e.code() + " " + e.name());
        for (ApiKeys k : ApiKeys.values())
            if (k.hasValidVersion())
                System.out.println("api " + k.id + " " + k.name + " " + k.oldestVersion() + " "
                    + k.latestVersion(false) + " " + k.inScope(ListenerType.BROKER) + " "
                    + k.inScope(ListenerType.CONTROLLER));
    }
}
"""


def without_comments(text: str) -> str:
    """Drop `//` comments outside strings."""
    return re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*', lambda m: m.group(1) or "", text)


def definitions(folder: Path) -> dict[str, dict[str, Any]]:
    """Return every JSON definition of the jars by its name."""
    found = {}
    for jar in JARS:
        with zipfile.ZipFile(folder / f"kafka-{jar}-{VERSION}.jar") as archive:
            for name in archive.namelist():
                if name.endswith(".json") and name.startswith("common/"):
                    definition = json.loads(without_comments(archive.read(name).decode()))
                    found[definition["name"]] = definition
    return found


def declared() -> dict[str, type[Message]]:
    """Return every message class of the package by its name."""
    found: dict[str, type[Message]] = {}
    for package in (barnabas.protocol.messages, barnabas.protocol.records):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            names = vars(importlib.import_module(module.name))
            found |= {
                name: value for name, value in names.items()
                if isinstance(value, type) and issubclass(value, Message) and value is not Message
            }
    return found


def covered(text: str, versions: list[int]) -> list[int]:
    """Return which of `versions` lie in a range."""
    return [v for v in versions if in_range(v, text)]


def exists_in(field: dict[str, Any]) -> str:
    """Return the versions of a field; some definitions leave them out and mean all that hold the structure."""
    return str(field.get("versions") or field.get("taggedVersions") or "0+")


def default_of(field: dict[str, Any]) -> Any:
    """Return a field's default as Python has it; structures are compared elsewhere."""
    kind, text = field["type"], field.get("default")
    if text == "null":
        return None
    if kind.startswith("[]"):
        return []
    if kind == "records":
        return None
    if kind == "string":
        return text or ""
    if kind == "bytes":
        return b""
    if kind == "uuid":
        return ZERO_UUID
    if kind == "bool":
        return str(text).lower() == "true"
    if kind == "float64":
        return float(text or 0)
    return int(str(text), 0) if text is not None else 0


def compare_struct(
    where: str, cls: type[Struct], theirs: list[dict[str, Any]], common: dict[str, list[dict[str, Any]]],
    versions: list[int], flexible: str,
) -> Iterator[str]:
    """Yield the differences of a structure, and of those within it."""
    ours = {f.name.replace("_", ""): f for f in fields_of(cls)}
    live = [f for f in theirs if covered(exists_in(f), versions)]
    names = [f["name"].lower() for f in live]
    for name in ours.keys() - set(names):
        yield f"{where}.{ours[name].name}: Kafka has no such field"
    if [n for n in ours if n in names] != [n for n in names if n in ours]:
        yield f"{where}: the fields are in another order"
    for field in live:
        mine = ours.get(field["name"].lower())
        if mine is None:
            yield f"{where}.{field['name']}: missing"
        else:
            yield from compare_field(f"{where}.{mine.name}", mine, field, common, versions, flexible)


def compare_field(
    where: str, mine: Field, field: dict[str, Any], common: dict[str, list[dict[str, Any]]], versions: list[int],
    flexible: str,
) -> Iterator[str]:
    """Yield the differences of one field."""

    def differs(what: str, ours: Any, theirs: Any) -> Iterator[str]:
        if type(ours) is not type(theirs) or ours != theirs:
            yield f"{where}: {what}: ours {ours!r}, Kafka's {theirs!r}"

    kind = field["type"]
    element = kind.removeprefix("[]")
    is_struct = element[0].isupper()
    exists = covered(exists_in(field), versions)
    yield from differs("array", mine.array, kind.startswith("[]"))
    yield from differs("type", mine.wire, "struct" if is_struct else TYPES.get(element, element))
    yield from differs("versions", covered(mine.versions, versions), exists)
    tagged = covered(field.get("taggedVersions", "none"), exists)
    tag_range = mine.tag.range if mine.tag else "none"
    yield from differs("tagged versions", [v for v in covered(tag_range, exists) if in_range(v, flexible)], tagged)
    yield from differs("tag", mine.tag.number if mine.tag else None, field.get("tag"))
    yield from differs("compact", not mine.rigid, field.get("flexibleVersions") != "none")
    nullable = covered(field.get("nullableVersions", "none"), exists)
    ours = mine.optional and not mine.required
    if mine.wire == "struct" and not mine.array and mine.tag and not mine.nullable:
        ours = False  # None means that the tagged structure is not sent; on the wire it is never null
    yield from differs("nullable versions", covered(mine.nullable or "0+", exists) if ours else [], nullable)
    if not is_struct or mine.array:
        yield from differs("default", mine.default, default_of(field))
    if is_struct:
        inner = field.get("fields") or common.get(element)
        if mine.struct is None or inner is None:
            yield f"{where}: the structure {element} is missing"
        else:
            yield from compare_struct(where, mine.struct, inner, common, exists, flexible)


def compare_message(cls: type[Message], theirs: dict[str, Any]) -> Iterator[str]:
    """Yield the differences of a message."""
    low, high = span(theirs["validVersions"])
    versions = list(range(low, high + 1))
    ours = span(cls.VERSIONS)
    served = APIS[cls.KEY].max_version if theirs["type"] in ("request", "response") and cls.KEY in APIS else high
    if ours[0] != low or ours[1] not in (high, served):
        yield f"{cls.__name__}: versions: ours {cls.VERSIONS}, Kafka's {theirs['validVersions']}"
    versions = [v for v in versions if v <= ours[1]]
    flexible = theirs["flexibleVersions"]
    if covered(cls.FLEXIBLE, versions) != covered(flexible, versions):
        yield f"{cls.__name__}: flexible versions: ours {cls.FLEXIBLE}, Kafka's {flexible}"
    key = theirs.get("apiKey", -1)
    if key != cls.KEY:
        yield f"{cls.__name__}: key: ours {cls.KEY}, Kafka's {key}"
    common = {s["name"]: s["fields"] for s in theirs.get("commonStructs", [])}
    yield from compare_struct(cls.__name__, cls, theirs["fields"], common, versions, flexible)


def ask(folder: Path) -> list[list[str]]:
    """Run a small Java program that prints Kafka's enumerations."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "Ask.java"
        source.write_text(ASK)
        done = subprocess.run(
            ["java", "-cp", f"{folder}/*", str(source)], check=True, capture_output=True, text=True
        )
    return [line.split() for line in done.stdout.splitlines()]


def compare_enumerations(folder: Path, texts: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the differences of the error codes and of the table of APIs."""
    lines = ask(folder)
    theirs = {int(code): name for kind, code, name, *_ in lines if kind == "error"}
    ours = {e.value: e.name for e in ErrorCode}
    for code in sorted(theirs.keys() | ours.keys()):
        if theirs.get(code) != ours.get(code):
            yield f"error {code}: ours {ours.get(code)}, Kafka's {theirs.get(code)}"
    keys = {value for name, value in vars(Key).items() if name.isupper()}
    if keys != APIS.keys():
        yield f"Key and APIS differ: {sorted(keys ^ APIS.keys())}"
    known = {int(key): rest for kind, key, *rest in lines if kind == "api"}
    for key in sorted(known.keys() - BETWEEN_NODES - APIS.keys()):
        yield f"API {key} {known[key][0]}: missing"
    for key, api in APIS.items():
        if key not in known:
            yield f"API {key} {api.name}: Kafka has none"
            continue
        flexible = texts[f"{api.name}Request"]["flexibleVersions"]
        mine: tuple[Any, ...] = (api.name, api.min_version, api.max_version, api.broker, api.controller)
        name, low, high, broker, controller = known[key]
        his = (name, int(low), int(high), broker == "true", controller == "true")
        if mine != his:
            yield f"API {key}: ours {mine}, Kafka's {his}"
        if [api.request_header_version(v) == 2 for v in range(30)] != [in_range(v, flexible) for v in range(30)]:
            yield f"API {key} {api.name}: first flexible version: ours {api.flexible}, Kafka's {flexible}"


def main(arguments: list[str]) -> int:
    """Compare everything; return the exit code."""
    if arguments:
        folder = Path(arguments[0])
    else:
        sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
        apache_kafka: Any = importlib.import_module("apache_kafka")
        folder = Path(apache_kafka.classpath().removesuffix("*"))
    texts = definitions(folder)
    ours = declared()
    differences = [f"{name}: Kafka has no such message" for name in ours.keys() - texts.keys()]
    for name, cls in ours.items():
        if name in texts:
            differences += compare_message(cls, texts[name])
    for name, text in texts.items():
        between = text.get("apiKey", -1) in BETWEEN_NODES and text["type"] in ("request", "response")
        if name not in ours and name not in ABSENT and not between and text["validVersions"] != "none":
            differences.append(f"{name}: not declared")
    differences += compare_enumerations(folder, texts)
    for line in differences:
        print(line)
    print(f"{len(ours)} messages, {len(ErrorCode)} error codes, {len(APIS)} APIs: {len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
