"""Write records as a JSON array or as CSV (RFC 4180), from the lines of a scan. No I/O.

64-bit numbers are strings in JSON. In CSV a cell that a spreadsheet would run as a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from barnabas.console.parts import Part
from barnabas.console.records import RecordLine

COLUMNS: Final = (
    "partition", "offset", "timestamp", "timestampType", "keyKind", "key", "valueKind", "value", "headers", "cut"
)
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
RECORD: Final = b'{"t":"record"'
"""What the line of a record begins with."""


class Writer(Protocol):
    """Turn lines of records into a file."""

    media_type: str

    def begin(self) -> bytes: ...

    def add(self, lines: list[bytes]) -> bytes: ...

    def end(self) -> bytes: ...


class JsonWriter:
    """Write an array, a record a line."""

    media_type = "application/json"

    def __init__(self) -> None:
        self._is_first = True

    def begin(self) -> bytes:
        """Return what stands before the records."""
        return b"["

    def add(self, lines: list[bytes]) -> bytes:
        """Return some records."""
        out = []
        for line in lines:
            out.append(b"\n" if self._is_first else b",\n")
            out.append(line)
            self._is_first = False
        return b"".join(out)

    def end(self) -> bytes:
        """Return what stands after the records."""
        return b"\n]\n"


class CsvWriter:
    """Write a head, and a line a record; parts that are bytes as hexadecimal digits, headers as JSON."""

    media_type = "text/csv"

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(RecordLine)

    def begin(self) -> bytes:
        """Return the head."""
        return rows([COLUMNS])

    def add(self, lines: list[bytes]) -> bytes:
        """Return some records."""
        return rows([cells(self._decoder.decode(line)) for line in lines])

    def end(self) -> bytes:
        """Return nothing: the last line has its end."""
        return b""


WRITERS: Final[dict[str, Callable[[], Writer]]] = {"json": JsonWriter, "csv": CsvWriter}


def cells(record: RecordLine) -> tuple[str, ...]:
    """Return the cells of a record; a missing key or value is empty, and its kind says null; `cut` names cut parts."""
    headers = [{"name": header.name, "value": _text(header.value)} for header in record.headers]
    return (
        str(record.partition), record.offset, "" if record.timestamp == "-1" else record.timestamp,
        record.timestamp_type, record.key.kind, _text(record.key) or "", record.value.kind, _text(record.value) or "",
        msgspec.json.encode(headers).decode() if headers else "", _cut(record),
    )


def _cut(record: RecordLine) -> str:
    """Name what is not there as a whole."""
    parts = {"key": [record.key], "value": [record.value], "headers": [header.value for header in record.headers]}
    return " ".join(name for name, those in parts.items() if any(part.cut for part in those))


def _text(part: Part) -> str | None:
    return None if part.kind == "null" else part.text


def rows(table: list[tuple[str, ...]]) -> bytes:
    """Write rows: CRLF ends them, cells with quotes, commas or ends of lines are quoted, formulas are disarmed."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([[disarmed(cell) for cell in row] for row in table])
    return out.getvalue().encode("utf-8", "replace")


def disarmed(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell
