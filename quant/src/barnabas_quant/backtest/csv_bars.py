"""Bars in a CSV file that anybody could have written: `time,open,high,low,close,volume`, perhaps `symbol`.

Columns are found by their names, in any order and case; `date`, `datetime`, `timestamp` and `open_time` mean `time`,
`vol` means volume, and without a volume an order of any size is filled. A time is a bar's beginning: a date, a date and
a time (ISO 8601; without a zone that of the exchange, UTC around the clock), or seconds, milliseconds or microseconds
since 1970. Daily bars of shares end when trading does.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from barnabas_quant.backtest.sources import Remarks, SourceError, Terms, Wanted, described, widen
from barnabas_quant.errors import FrameError, SymbolError
from barnabas_quant.feeds.lines import read_lines
from barnabas_quant.model.intervals import DAY, SECOND, Interval
from barnabas_quant.model.money import total_units, units
from barnabas_quant.model.sessions import SessionCalendar
from barnabas_quant.trading.events import Bar, MarketEvent
from barnabas_quant.trading.inputs import key_from
from barnabas_quant.trading.instruments import Instrument

MAX_LINE = 4096

_TIMES = ("time", "date", "datetime", "timestamp", "open_time")
_PRICES = ("open", "high", "low", "close")
_LOOKED_AT = 200  # lines, to find out how long a bar is
_UNKNOWN = 2**62  # volume that nobody told: as much as is wanted


class CsvBars:
    """Read bars of one or many instruments."""

    def __init__(
        self, path: Path, owner: str | None, symbols: tuple[str, ...], remarks: Remarks, interval: str | None
    ) -> None:
        """Take a file, whose it is where its lines do not say (None: by its name, or the only symbol there is)."""
        self.name = path.name
        self._path = path
        self._remarks = remarks
        self._terms = Terms(remarks)
        header = next(read_lines(path, MAX_LINE), b"").removeprefix(b"\xef\xbb\xbf").decode("latin-1")
        names = [name.strip().strip('"').lower() for name in header.split(",")]
        self._width = len(names)
        self._at = {name: names.index(name) for name in (*_PRICES, "symbol", "volume") if name in names}
        if "vol" in names:
            self._at.setdefault("volume", names.index("vol"))
        time = next((name for name in _TIMES if name in names), None)
        if time is None or not set(_PRICES) <= self._at.keys():
            raise SourceError(f"{path}: not a header of bars: {header[:80]!r} (wanted: time,open,high,low,close)")
        self._at["time"] = names.index(time)
        self._owner = ""
        if "symbol" not in self._at:
            self._owner = owner or next((key for key in symbols if path.stem in (key, key.partition(":")[2])), "")
            if not self._owner and len(symbols) == 1:
                self._owner = symbols[0]
            if not self._owner:
                raise SourceError(f"{path}: it does not say whose bars it holds; write SYMBOL={path}")
            self._owner = _key(self._owner)
        self._interval = self._find_interval(interval)

    def events(self, wanted: Wanted) -> Iterator[MarketEvent]:
        if Bar not in wanted.kinds:
            raise SourceError(f"{self.name}: it holds bars only; this strategy hears none")
        if wanted.interval not in (None, self._interval.name):
            raise SourceError(f"{self.name}: its bars are {self._interval.name}, not {wanted.interval}")
        return self._bars(wanted)

    def before(self, wanted: Wanted, bars: int) -> int:
        return 0  # a file is read from its beginning

    def holds(self) -> list[str]:
        found: dict[str, tuple[int, int, int]] = {}
        for _, key, begin, _ in self._rows(quiet=True):
            widen(found, f"{key} {self._interval.name} bars", begin)
        return described(found)

    def _bars(self, wanted: Wanted) -> Iterator[Bar]:
        last = 0
        for number, key, begin, fields in self._rows():
            if key not in wanted.instruments:
                continue
            label, end = self._period(self._terms.of(key), begin)
            if end < last:
                raise SourceError(f"{self.name}, line {number}: earlier than the line above; sort the file by time")
            last = end
            if not wanted.since <= end < wanted.until:
                continue
            try:
                first, high, low, close = (units(fields[self._at[name]].strip()) for name in _PRICES)
                volume = total_units(fields[self._at["volume"]].strip()) if "volume" in self._at else _UNKNOWN
                if not 0 < low <= min(first, close) <= max(first, close) <= high:
                    raise ValueError("it opens or closes outside low and high, or at 0")
            except ValueError as error:
                self._complain(number, str(error))
                continue
            yield self._terms.bar(Bar(key, end, label, self._interval.name, first, high, low, close, volume))

    def _period(self, instrument: Instrument, begin: int) -> tuple[int, int]:
        calendar = instrument.calendar
        if self._interval.length >= DAY and isinstance(calendar, SessionCalendar):
            midnight = begin - (begin + calendar.offset) % DAY
            days = self._interval.length - DAY
            return midnight + calendar.sessions[0][0], midnight + days + calendar.sessions[-1][1]
        return begin, begin + self._interval.length

    def _rows(self, quiet: bool = False) -> Iterator[tuple[int, str, int, list[str]]]:
        """Give line number, key, beginning and columns of each line."""
        try:
            for number, line in enumerate(read_lines(self._path, MAX_LINE), 1):
                if number == 1 or not line:
                    continue
                fields = line.decode("latin-1").replace('"', "").split(",")
                try:
                    if len(line) > MAX_LINE or len(fields) != self._width:
                        raise ValueError(f"{len(fields)} columns instead of {self._width}")
                    key = self._owner or _key(fields[self._at["symbol"]].strip())
                    begin = _time(fields[self._at["time"]].strip(), self._terms.of(key))
                except (ValueError, SymbolError) as error:
                    if not quiet:
                        self._complain(number, str(error))
                    continue
                yield number, key, begin, fields
        except FrameError as error:
            if not quiet:
                self._complain(0, str(error))

    def _find_interval(self, given: str | None) -> Interval:
        """Find out how long a bar is: as long as the shortest step from one to the next. Raises SourceError."""
        try:
            asked = None if given is None else Interval.parse(given)
        except ValueError as error:
            raise SourceError(str(error)) from error
        last: dict[str, int] = {}
        steps: set[int] = set()
        for count, (_, key, begin, _) in enumerate(self._rows(quiet=True)):
            if begin != last.get(key, begin):
                steps.add(abs(begin - last[key]))
            last[key] = begin
            if count == _LOOKED_AT:
                break
        if asked is not None and (not steps or min(steps) == asked.length):
            return asked
        if not steps:
            raise SourceError(f"{self._path}: two bars at least are needed to see how long one is; give --interval")
        step = min(steps)
        for unit, length in (("w", 7 * DAY), ("d", DAY), ("h", DAY // 24), ("m", DAY // 1440), ("s", SECOND)):
            if step % length == 0 and (unit != "w" or step == length):
                found = Interval.parse(f"{step // length}{unit}")
                if asked is not None:
                    raise SourceError(f"{self.name}: its bars are {found.name}, not {asked.name}")
                return found
        raise SourceError(f"{self._path}: bars of {step} microseconds; give --interval")

    def _complain(self, line: int, reason: str) -> None:
        self._remarks.add(f"unreadable line of {self.name}", f"line {line}: {reason[:120]}")


def _key(symbol: str) -> str:
    return key_from(symbol, "binance")


def _time(text: str, instrument: Instrument) -> int:
    """Read a time of a line, microseconds since 1970 UTC. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) != 8:
        number = int(text)
        for digits, factor in ((11, SECOND), (14, 1000), (17, 1)):
            if len(text) <= digits:
                return number * factor
        raise ValueError(f"time: {text[:40]!r}")
    calendar = instrument.calendar
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"time: neither ISO 8601 nor a number: {text[:40]!r}") from None
    offset = calendar.offset if isinstance(calendar, SessionCalendar) and found.tzinfo is None else 0
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return round(found.timestamp() * SECOND) - offset
