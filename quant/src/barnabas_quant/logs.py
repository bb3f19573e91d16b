"""`barnabas-quant logs`: the last lines of each process's log, and what comes after them.

A log that has grown large is copied to its old one and begins anew (`processes.cut_log`); the old one is another file
each time, and that is how whoever follows the log learns of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from barnabas_quant.errors import QuantError
from barnabas_quant.processes import old_log

_TAIL = 256 * 1024  # bytes of a log's end that are looked at for its last lines
_LOOK_EVERY = 0.2  # seconds


def show_logs(data: Path, names: Sequence[str], lines: int, follow: bool, output: TextIO) -> None:
    """Print the last `lines` lines of each process, its name before each; with `follow` go on until interrupted.

    Raises QuantError where a named process has no log.
    """
    folder = data / "log"
    there = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if missing := [name for name in names if name not in there]:
        raise QuantError(f"no log of {', '.join(missing)} in {folder}; there are: {', '.join(there) or 'none'}")
    shown = [_Shown(name, path, output) for name, path in there.items() if not names or name in names]
    for each in shown:
        each.begin(lines)
    while follow:
        time.sleep(_LOOK_EVERY)
        for each in shown:
            each.go_on()


class _Shown:
    """Print one log, from some place on."""

    def __init__(self, name: str, path: Path, output: TextIO) -> None:
        self._name = name
        self._path = path
        self._output = output
        self._at = 0
        """Up to where the log is printed."""
        self._old: tuple[int, int] | None = None
        """Which file the old log was at the last look."""

    def begin(self, lines: int) -> None:
        """Print the last lines; where the log was cut a moment ago, some of them are in the old one."""
        while True:
            self._old = self._which_old()
            self._at, last = _last(self._path, lines)
            if len(last) < lines and self._old is not None:
                last = _last(old_log(self._path), lines - len(last))[1] + last
            if self._which_old() == self._old:  # not cut meanwhile
                break
        self._print(last)

    def go_on(self) -> None:
        """Print what has come since the last look."""
        old = self._which_old()
        if old != self._old:
            self._old = old
            with suppress(FileNotFoundError), old_log(self._path).open("rb") as log:
                log.seek(self._at)
                self._print(log.read().splitlines())
            self._at = 0
        with self._path.open("rb") as log:
            while True:
                log.seek(self._at)
                text = log.read(_TAIL)
                # Half a line is printed when its end has come; one that is longer than that is cut.
                whole = text[: text.rfind(b"\n") + 1] or (text if len(text) == _TAIL else b"")
                self._print(whole.splitlines())
                self._at += len(whole)
                if len(text) < _TAIL:
                    break

    def _which_old(self) -> tuple[int, int] | None:
        try:
            found = old_log(self._path).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _print(self, lines: list[bytes]) -> None:
        for line in lines:
            print(f"{self._name:<20} {line.decode('utf-8', 'replace')}", file=self._output, flush=True)


def _last(path: Path, lines: int) -> tuple[int, list[bytes]]:
    """Give the last whole lines of a log, and where they end."""
    with path.open("rb") as log:
        begin = max(0, path.stat().st_size - _TAIL)
        log.seek(begin)
        text = log.read()
    whole = text[: text.rfind(b"\n") + 1]
    return begin + len(whole), whole.splitlines()[-lines:] if lines else []
