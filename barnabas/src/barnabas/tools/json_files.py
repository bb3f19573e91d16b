"""Read the JSON files that some tools take: partitions and what to do with them. Errors are in Kafka's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from barnabas.tools.errors import ToolError


def read_text(path: str) -> str:
    """Return what a file holds. Raises `ToolError`."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as e:
        raise ToolError(f"{path} ({e.strerror})") from None


def parse(text: str) -> Any:
    """Return what a JSON text says. Raises `ValueError`."""
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def version_of(document: dict[str, Any]) -> int:
    """Return the version of a document, 1 where it says none. Raises `ToolError`."""
    if "version" not in document:
        return 1
    version = integer(document, "version")
    if version != 1:
        raise ToolError(f"Not supported version field value {version}")
    return version


def as_object(value: Any) -> dict[str, Any]:
    """Return a JSON object. Raises `ToolError`."""
    if not isinstance(value, dict):
        raise ToolError(f"Expected JSON object, received {compact(value)}")
    return value


def as_array(value: Any) -> list[Any]:
    """Return a JSON array. Raises `ToolError`."""
    if not isinstance(value, list):
        raise ToolError(f"Expected JSON array, received {compact(value)}")
    return value


def integer(fields: dict[str, Any], name: str, bits: int = 32) -> int:
    """Return a whole number of an object. Raises `ToolError`."""
    return as_integer(field(fields, name), bits)


def as_integer(value: Any, bits: int = 32) -> int:
    """Return a whole number. Raises `ToolError`."""
    half = 1 << (bits - 1)
    if not isinstance(value, int) or isinstance(value, bool) or not -half <= value < half:
        raise ToolError(f"Expected `{'Integer' if bits == 32 else 'Long'}` value, received {compact(value)}")
    return value


def string(fields: dict[str, Any], name: str) -> str:
    """Return a text of an object. Raises `ToolError`."""
    return as_string(field(fields, name))


def as_string(value: Any) -> str:
    """Return a text. Raises `ToolError`."""
    if not isinstance(value, str):
        raise ToolError(f"Expected `String` value, received {compact(value)}")
    return value


def field(fields: dict[str, Any], name: str) -> Any:
    """Return a field of an object. Raises `ToolError`."""
    if name not in fields:
        raise ToolError(f"No such field exists: `{name}`")
    return fields[name]


def compact(value: Any) -> str:
    """Write JSON as Kafka's tools do: on one line, no spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
