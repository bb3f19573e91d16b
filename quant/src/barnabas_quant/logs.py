"""`barnabas-quant logs`: the last lines of each process's log, and what comes after them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from barnabas_quant.errors import QuantError

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
    chosen = {name: path for name, path in there.items() if not names or name in names}
    read = {name: _last(name, path, lines, output) for name, path in chosen.items()}
    while follow:
        time.sleep(_LOOK_EVERY)
        for name, path in chosen.items():
            read[name] = _since(name, path, read[name], output)


def _last(name: str, path: Path, lines: int, output: TextIO) -> int:
    size = path.stat().st_size
    with path.open("rb") as log:
        log.seek(max(0, size - _TAIL))
        text = log.read()
    whole = text[: text.rfind(b"\n") + 1]  # half a line is printed when its end has come
    for line in whole.splitlines()[-lines:] if lines else ():
        _print(name, line, output)
    return size - len(text) + len(whole)


def _since(name: str, path: Path, at: int, output: TextIO) -> int:
    with path.open("rb") as log:
        log.seek(at)
        text = log.read(_TAIL)
    whole = text[: text.rfind(b"\n") + 1] or (text if len(text) == _TAIL else b"")  # a line longer than that is cut
    for line in whole.splitlines():
        _print(name, line, output)
    return at + len(whole)


def _print(name: str, line: bytes, output: TextIO) -> None:
    print(f"{name:<20} {line.decode('utf-8', 'replace')}", file=output, flush=True)
