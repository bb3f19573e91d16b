"""Read records from lines, as Kafka's LineMessageReader does: `headers<TAB>key<TAB>value`, the first two if asked for.

Lines end in LF, CR or CRLF. Everything is done on bytes: separators are found as they are written in UTF-8. What is no
UTF-8 becomes U+FFFD, as in Java. A line that does not hold what it should ends the reading with Java's words, after the
lines before it; with `ignore.error` it is taken for a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from barnabas.tools.console import KAFKA_EXCEPTION, is_true
from barnabas.tools.errors import ToolError

Headers = list[tuple[str, str | bytes | None]]
#: key, value, headers
Line = tuple[bytes | None, bytes | None, Headers]

_DEFAULTS: Final = {
    "key.separator": "\t", "headers.delimiter": "\t", "headers.separator": ",", "headers.key.separator": ":",
}
_APART: Final = (
    ("headers.delimiter", "headers.separator"),
    ("headers.delimiter", "headers.key.separator"),
    ("headers.separator", "headers.key.separator"),
)


class LineSplitter:
    """Cut a stream of bytes into lines."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in; return the lines that are complete."""
        after_cr = bool(self._pieces) and self._pieces[-1].endswith(b"\r")
        # a CR at the very end may be half a CRLF
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, max(len(data) - 1, 0))) + 1
        if not end and not after_cr:
            if data:
                self._pieces.append(data)
            return []
        block = b"".join(self._pieces) + data[:end]
        self._pieces = [data[end:]] if end < len(data) else []
        return utf8(block).splitlines()

    def rest(self) -> list[bytes]:
        """Return the last line, where no end of line follows it."""
        block = b"".join(self._pieces)
        self._pieces = []
        return utf8(block).splitlines()


def utf8(block: bytes) -> bytes:
    """Replace what is no UTF-8."""
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode("utf-8", "replace").encode()
    return block


class LineReader:
    """Make records of lines, as the properties say. Raises `ToolError` where they do not fit together."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        self.parse_key = is_true(properties.get("parse.key"))
        self.parse_headers = is_true(properties.get("parse.headers"))
        self.ignore_error = is_true(properties.get("ignore.error"))
        marker = properties.get("null.marker")
        self.null_marker = None if marker is None else marker.encode()
        texts = {key: properties.get(key, default) for key, default in _DEFAULTS.items()}
        for a, b in _APART:
            if texts[a] == texts[b]:
                raise ToolError(f"{KAFKA_EXCEPTION}: {a} and {b} may not be equal")
        if marker is not None:
            for key in ("key.separator", "headers.separator", "headers.delimiter", "headers.key.separator"):
                if texts[key] == marker:
                    raise ToolError(f"{KAFKA_EXCEPTION}: null.marker and {key} may not be equal")
        self._key, self._delimiter, self._separator, self._colon = (text.encode() for text in texts.values())
        self._number = 0

    @property
    def plain(self) -> bool:
        """Tell whether each line is a value and nothing else."""
        return not (self.parse_key or self.parse_headers or self.null_marker is not None)

    def parse(self, line: bytes) -> Line:
        """Make a record of a line. Raises `ToolError` in Java's words."""
        self._number += 1
        marker = self.null_marker
        headers: Headers = []
        key: bytes | None = None
        start = 0
        if self.parse_headers:
            end = self._find(line, 0, self._delimiter, "headers delimiter")
            if end >= 0:
                if line[:end] != marker:
                    headers = self._headers(line[:end])
                start = end + len(self._delimiter)
        if self.parse_key:
            end = self._find(line, start, self._key, "key separator")
            if end >= 0:
                key = line[start:end]
                start = end + len(self._key)
                if key == marker:
                    key = None
        value: bytes | None = line[start:] if start else line
        if marker is not None and value == marker:
            value = None
        return key, value, headers

    def _find(self, line: bytes, start: int, separator: bytes, what: str) -> int:
        at = line.find(separator, start)
        if at < 0 and not self.ignore_error:
            raise ToolError(f"{KAFKA_EXCEPTION}: No {what} found on line number {self._number}: '{line.decode()}'")
        return at

    def _headers(self, text: bytes) -> Headers:
        parts = text.split(self._separator) if self._separator else [text[i : i + 1] for i in range(len(text))]
        while len(parts) > 1 and not parts[-1]:  # as Java's String.split
            parts.pop()
        found: Headers = []
        for part in parts:
            at = part.find(self._colon)
            if at < 0:
                if not self.ignore_error:
                    raise ToolError(
                        f"{KAFKA_EXCEPTION}: No header key separator found in pair '{part.decode()}' on line number "
                        f"{self._number}"
                    )
                found.append((part.decode(), None))
                continue
            if self.null_marker is not None and part[:at] == self.null_marker:
                raise ToolError(
                    f"{KAFKA_EXCEPTION}: Header keys should not be equal to the null marker "
                    f"'{self.null_marker.decode()}' as they can't be null"
                )
            value = part[at + len(self._colon) :]
            found.append((part[:at].decode(), None if value == self.null_marker else value))
        return found
