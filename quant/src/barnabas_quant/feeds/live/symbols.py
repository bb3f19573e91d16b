"""Which symbols a live feed takes, changed while it runs: DATA/feeds/EXCHANGE.symbols, one symbol a line.

Where the file is there, it counts instead of the settings; an empty one means no symbol at all. A feed looks at it
every second. What follows a `#` is a remark.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from barnabas_quant.errors import SettingsError
from barnabas_quant.settings import Settings

log = logging.getLogger(__name__)

_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")
_MOST_BYTES = 2**20


def symbols_path(data: Path, exchange: str) -> Path:
    """Name the file of a venue."""
    return data / "feeds" / f"{exchange}.symbols"


class SymbolsFile:
    """Read the file whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._symbols: tuple[str, ...] | None = None

    def read(self) -> tuple[str, ...] | None:
        """Give its symbols, each once and in order; None where there is no file. Lines that are none are left out."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                with self._path.open("rb") as file:
                    text = file.read(_MOST_BYTES)
                self._symbols = _parse(text.decode("utf-8", "replace"), self._path)
                self._seen = seen
        except FileNotFoundError:
            self._seen = self._symbols = None
        except OSError as error:  # what it said before holds
            log.warning("%s: %s", self._path, error.strerror)
        return self._symbols


def change_symbols(settings: Settings, exchange: str, changes: Sequence[str]) -> tuple[str, ...]:
    """Add (+SYMBOL) and take away (-SYMBOL) symbols, write the file, and give what holds now; no change: only tell.

    Raises SettingsError for a venue that is not in the settings, and for what is no symbol.
    """
    if exchange not in settings.venues:
        raise SettingsError(f"no venue {exchange}: there are {', '.join(sorted(settings.venues))}")
    path = symbols_path(settings.data, exchange)
    held = SymbolsFile(path).read()
    symbols = dict.fromkeys(settings.venues[exchange].symbols if held is None else held)
    for change in changes:
        if change[:1] not in ("+", "-") or not _SYMBOL.match(change[1:]):
            raise SettingsError(f"{change}: +SYMBOL adds one, -SYMBOL takes one away")
        if change.startswith("+"):
            symbols[change[1:]] = None
        elif change[1:] in symbols:
            del symbols[change[1:]]
        else:
            raise SettingsError(f"{change[1:]} is not among the symbols of {exchange}")
    if changes:
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text("".join(f"{symbol}\n" for symbol in symbols))
            fresh.replace(path)
        except OSError as error:
            raise SettingsError(f"cannot write {path}: {error.strerror}") from error
    return tuple(symbols)


def _parse(text: str, path: Path) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for line in text.splitlines():
        word = line.partition("#")[0].strip()
        if not word:
            continue
        if _SYMBOL.match(word):
            found[word] = None
        else:
            log.warning("%s: no symbol: %s", path, line[:80])
    return tuple(found)
