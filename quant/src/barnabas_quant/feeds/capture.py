"""Captures: recorded frames in a text file, gzipped or plain, one frame a line.

Three line formats are read, told apart line by line:

- `<nanoseconds> <JSON>` (hftbacktest);
- `<seconds, with a fraction>: <JSON>` (cryptofeed), with its `<address> <-> <seconds>` line for each connection;
- `<address with symbol=...> -> <seconds>: <JSON>` (cryptofeed): an answer of the REST interface.

A line that is none of these is reported with its number and reason, and reading goes on. A capture is known by the
digest of its first line: gzipped or plain, moved or still growing, it stays the same capture, and a line number is a
place in it. Whoever resumes compares the record that stands in the topic with the one made from that line, so another
file that begins alike is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from barnabas_quant.errors import FrameError
from barnabas_quant.feeds.binance import SPOT, USD_M
from barnabas_quant.feeds.lines import read_lines
from barnabas_quant.model import Frame

MAX_LINE = 16 * 1024 * 1024
"""Bytes of the longest line read; a longer one is malformed."""

Report = Callable[[int, str], None]
"""Take a line number, counted from 1, and why that line could not be read."""

_NANOSECONDS = re.compile(rb"(\d{10,19}) (?=[{\[])")
_SECONDS = re.compile(rb"(\d{1,10})(?:\.(\d{1,9})\d*)?: (?=[{\[])")
_ANSWER = re.compile(rb"\S+[?&]symbol=(\w+)\S* -> (\d{1,10})(?:\.(\d{1,9})\d*)?: (?=[{\[])")
_CONNECTION = re.compile(rb"wss?://\S+ <-> [\d.]+$")


class _Named(msgspec.Struct):
    """Find the symbol that a depth frame names."""

    symbol: str | None = msgspec.field(name="s", default=None)
    previous: int | None = msgspec.field(name="pu", default=None)


class _Depth(msgspec.Struct):
    stream: str | None = None
    data: _Named | None = None


_depth = msgspec.json.Decoder(_Depth)


class Capture:
    """Read the frames of one capture file, as often as asked. `exchange` None: found out from the frames."""

    def __init__(self, path: Path, exchange: str | None = None) -> None:
        self.path = path
        first = next(read_lines(path, MAX_LINE), b"")
        self.exchange = exchange or self._recognise()
        self.identity = f"capture-{blake2b(first, digest_size=8).hexdigest()}@{self.exchange}"

    def frames(self, report: Report) -> Iterator[Frame]:
        """Give every frame in order, its line number as sequence; hand each line that is none to `report`."""
        symbol: str | None = None  # a depth snapshot without a name belongs to the symbol whose depth came last
        number = 0
        lines = read_lines(self.path, MAX_LINE)
        while True:
            try:
                line = next(lines, None)
            except FrameError as error:
                report(number + 1, str(error))
                return
            if line is None:
                return
            number += 1
            try:
                frame = _parse(number, line, symbol)
            except FrameError as error:
                report(number, str(error))
                continue
            if frame is None:
                continue
            if b"@depth" in frame.text[:80]:
                symbol = _named(frame.text).symbol or symbol
            yield frame

    def _recognise(self) -> str:
        """Tell USD-M futures from spot by the first depth event: only futures' carry `pu`."""
        for frame in self.frames(lambda number, reason: None):
            if b"@depth" in frame.text[:80]:
                named = _named(frame.text)
                if named.symbol is not None:
                    return SPOT if named.previous is None else USD_M
        return SPOT


def _named(text: bytes) -> _Named:
    try:
        return _depth.decode(text).data or _Named()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Named()  # the decoder of records will say what is wrong with it


def _parse(number: int, line: bytes, symbol: str | None) -> Frame | None:
    """Parse a line; answer None for one that holds no frame. Raises FrameError."""
    if match := _NANOSECONDS.match(line):
        return Frame((number,), int(match[1]), line[match.end() :], symbol)
    if match := _SECONDS.match(line):
        return Frame((number,), _to_nanoseconds(match[1], match[2]), line[match.end() :], symbol)
    if match := _ANSWER.match(line):
        return Frame((number,), _to_nanoseconds(match[2], match[3]), line[match.end() :], match[1].decode("ascii"))
    if not line or _CONNECTION.match(line):
        return None
    if len(line) > MAX_LINE:
        raise FrameError(f"longer than {MAX_LINE} bytes")
    raise FrameError(f"neither of the line formats: {line[:40]!r}")


def _to_nanoseconds(seconds: bytes, fraction: bytes | None) -> int:
    return int(seconds) * 10**9 + int((fraction or b"").ljust(9, b"0"))
