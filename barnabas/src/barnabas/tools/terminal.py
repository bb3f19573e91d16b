"""Give a terminal what a pipe does not get: columns as wide as their content, and a line that says what is waited for.

Where standard output is no terminal, a table is exactly Kafka's (`table` fills the pattern that Java's tool fills), and
where standard error is none, nothing is said of waiting. The head of a table is bold unless NO_COLOR is set or the
terminal is a dumb one; the line about waiting comes after a second, and is erased before anything else is printed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

_ERASE: Final = "\r\x1b[K"
_BOLD: Final = "\x1b[1m{}\x1b[0m"
_PATIENCE: Final = 1.0
_EVERY: Final = 0.2


def table(pattern: str, rows: Sequence[Sequence[object]]) -> str:
    """Write a table whose first row is its head.

    `pattern` is the format of a row in Java's tool; one that begins with a line's end has it before every row.
    """
    own_ends = pattern.startswith("\n")
    if not rows or not sys.stdout.isatty():
        return ("" if own_ends else "\n").join(pattern.format(*row) for row in rows)
    return ("\n" if own_ends else "") + aligned(rows)


def aligned(rows: Sequence[Sequence[object]]) -> str:
    """Write a table with columns as wide as their content, two spaces apart."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    if _is_coloured():
        lines[0] = _BOLD.format(lines[0])
    return "\n".join(lines)


def _is_coloured() -> bool:
    return not os.environ.get("NO_COLOR") and not _is_dumb()


def _is_dumb() -> bool:
    return os.environ.get("TERM", "dumb") == "dumb"


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a Chinese character."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


class Waiting:
    """Say on a terminal what is waited for. Whoever waits calls `tick` now and then, and `over` at the end."""

    def __init__(self, text: str, *, clock: Callable[[], float] = time.monotonic, quiet: bool = False) -> None:
        self._text, self._clock = text, clock
        self._begun = clock()
        self._next = self._begun + _PATIENCE
        self._shown = False
        self._wanted = not quiet and sys.stderr.isatty() and not _is_dumb()

    def tick(self, more: str = "") -> None:
        """Show the line, if it is time: the text, `more` and the seconds that have passed."""
        if not self._wanted or (now := self._clock()) < self._next:
            return
        self._next = now + _EVERY
        columns = _columns()
        line = f"{self._text}{more and f': {more}'} ({int(now - self._begun)} s)"
        sys.stdout.flush()
        sys.stderr.write(_ERASE + line[: columns - 1])
        sys.stderr.flush()
        self._shown = True
        _there.append(self)

    def over(self) -> None:
        """Erase the line."""
        if self._shown:
            self._shown = False
            clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over()


_there: Final[list[Waiting]] = []
"""Whose line is on the terminal."""


def clear() -> None:
    """Erase the line about waiting, whoever wrote it: something else is about to be printed."""
    if _there:
        _there.clear()
        sys.stderr.write(_ERASE)
        sys.stderr.flush()


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
