"""Files of A-shares and Hong Kong shares as records of `stock-realtime`, a line a record.

A file is recognised by its header, columns are found by their names, further ones are passed over:

- tick by tick: `buyorsell,datetime,price,vol`, and minutes: `datetime,price,vol` (hikyuu): time as YYYYMMDDhhmmss or
  YYYYMMDDhhmm, price x 1000, volume in lots of 100 shares; the file's name says which instrument (SZ000001_trans.csv);
- daily: `ts_code,trade_date,open,high,low,close,vol` (tushare), volume in lots; gives the close, at 15:00;
- records: `symbol,name,price,volume,time` as in the topic, `name` and `volume` may be missing.

In Hong Kong, where lots differ, volumes are taken as shares. A minute is told by its beginning and known at its end:
its record's time is its last second. Prices are never rounded: adjusted ones keep the places that the file gives them,
all others get the two of the exchange. A line that cannot be read is reported with its number and reason, and reading
goes on. A file is known by the digest of its instrument, header and first line; a line number is a place in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from barnabas_quant.errors import FrameError, QuantError, RecordError, SymbolError
from barnabas_quant.feeds.lines import read_lines
from barnabas_quant.model.markets import Listing, listing_of
from barnabas_quant.model.money import ONE, PLACES, units
from barnabas_quant.model.stock import Stock, plain_price

MAX_LINE = 4096
"""Bytes of the longest line read; a longer one is malformed."""

Complain = Callable[[Path, int, str, bytes], None]
"""Take a file, a line number counted from 1, why that line could not be read, and its bytes."""

_HEADERS = {
    "trades": ("buyorsell", "datetime", "price", "vol"),
    "minutes": ("datetime", "price", "vol"),
    "daily": ("ts_code", "trade_date", "open", "high", "low", "close", "vol"),
    "records": ("symbol", "price", "time"),
}
"""Kinds of files, each with the columns that it is recognised by; the first that has all of its own is it."""

_OPTIONAL = {"records": ("name", "volume")}
_CLOSE = "15:00:00"


@dataclass(frozen=True, slots=True)
class Row:
    """Hold a record, the line that it came from, and its time in microseconds since 1970."""

    line: int
    time: int
    stock: Stock


@dataclass(frozen=True, slots=True)
class DayBar:
    """Hold a line of a daily file: prices in units as the file has them, volume in shares."""

    listing: Listing
    date: str
    """Of the exchange, YYYY-MM-DD."""
    open: int
    high: int
    low: int
    close: int
    volume: str


_Made = TypeVar("_Made")


class AshareFile:
    """Read one file, as often as asked. Raises QuantError for a file that is none of the kinds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            lines = read_lines(path, MAX_LINE)
            header, first = next(lines, b""), next(lines, b"")
        except FrameError as error:
            raise QuantError(f"{path}: {error}") from error
        names = [
            name.strip().lower() for name in header.removeprefix(b"\xef\xbb\xbf").decode("ascii", "replace").split(",")
        ]
        self.kind = next((kind for kind, wanted in _HEADERS.items() if set(wanted) <= set(names)), "")
        """trades, minutes, daily or records."""
        if not self.kind:
            known = "; ".join(",".join(wanted) for wanted in _HEADERS.values())
            raise QuantError(f"{path}: not a header of a file of shares: {header[:80]!r} (known: {known})")
        self._width = len(names)
        self._columns = {name: names.index(name) for name in _HEADERS[self.kind]}
        self._columns |= {name: names.index(name) for name in _OPTIONAL.get(self.kind, ()) if name in names}
        self.listing: Listing | None = None
        """The one instrument of a file whose lines name none."""
        if self.kind in ("trades", "minutes"):
            self.listing = _listing_of_name(path)
        whose = self.listing.prefixed if self.listing else ""
        digest = blake2b(b"\n".join((whose.encode(), header, first)), digest_size=8).hexdigest()
        self.identity = f"ashare-{digest}"

    def rows(self, complain: Complain) -> Iterator[Row]:
        """Give every record in the order of the file; hand each line that is none to `complain`."""
        parse = {"trades": self._trade, "minutes": self._minute, "daily": self._day, "records": self._record}[self.kind]

        def made(fields: list[str]) -> tuple[int, Stock]:
            stock = parse(fields)
            return stock.event_time(0), stock

        for line, (time, stock) in self._lines(made, complain):
            yield Row(line, time, stock)

    def days(self, complain: Complain) -> Iterator[DayBar]:
        """Give the whole bars of a daily file, as `rows` gives their closes."""
        for _, bar in self._lines(self._bar, complain):
            yield bar

    def _lines(self, parse: Callable[[list[str]], _Made], complain: Complain) -> Iterator[tuple[int, _Made]]:
        lines = read_lines(self.path, MAX_LINE)
        number = 0
        while True:
            try:
                line = next(lines, None)
            except FrameError as error:
                complain(self.path, number + 1, str(error), b"")
                return
            if line is None:
                return
            number += 1
            if number == 1 or not line:
                continue
            try:
                made = parse(self._fields(line))
            except (RecordError, SymbolError, UnicodeDecodeError) as error:
                complain(self.path, number, str(error), line)
                continue
            yield number, made

    def _fields(self, line: bytes) -> list[str]:
        if len(line) > MAX_LINE:
            raise RecordError(f"longer than {MAX_LINE} bytes")
        fields = line.decode().split(",")
        if len(fields) != self._width:
            raise RecordError(f"{len(fields)} columns instead of {self._width}")
        return fields

    def _trade(self, fields: list[str]) -> Stock:
        if fields[self._columns["buyorsell"]] not in ("0", "1", "2"):
            raise RecordError(f"buyorsell: neither 0, 1 nor 2: {fields[self._columns['buyorsell']][:40]!r}")
        return self._thousandths(fields, _date_and_time(fields[self._columns["datetime"]], 14))

    def _minute(self, fields: list[str]) -> Stock:
        text = fields[self._columns["datetime"]]
        return self._thousandths(fields, _date_and_time(text, 12) + ":59")

    def _thousandths(self, fields: list[str], time: str) -> Stock:
        assert self.listing is not None
        return Stock(
            symbol=self.listing.symbol,
            name=self.listing.name,
            price=_thousandths_as_price(fields[self._columns["price"]]),
            volume=_shares(fields[self._columns["vol"]], self.listing),
            time=time,
        )

    def _day(self, fields: list[str]) -> Stock:
        bar = self._bar(fields)
        return Stock(
            symbol=bar.listing.symbol,
            name=bar.listing.name,
            price=plain_price(fields[self._columns["close"]]),
            volume=bar.volume,
            time=f"{bar.date} {_CLOSE}",
        )

    def _bar(self, fields: list[str]) -> DayBar:
        listing = listing_of(fields[self._columns["ts_code"]])
        bar = {name: fields[self._columns[name]] for name in ("open", "high", "low", "close")}
        amounts = {name: _units(name, text) for name, text in bar.items()}
        if not all(amounts["low"] <= amounts[name] <= amounts["high"] for name in ("open", "close")):
            raise RecordError(f"a bar that opens or closes outside low and high: {','.join(bar.values())[:80]}")
        volume = _shares(fields[self._columns["vol"]], listing)
        return DayBar(listing, _date(fields[self._columns["trade_date"]]), volume=volume, **amounts)

    def _record(self, fields: list[str]) -> Stock:
        listing = listing_of(fields[self._columns["symbol"]])
        time = fields[self._columns["time"]]
        if len(time) != 19:
            raise RecordError(f"time: not date and time: {time[:40]!r}")
        return Stock(
            symbol=listing.symbol,
            name=self._optional(fields, "name") or listing.name,
            price=fields[self._columns["price"]],
            volume=self._optional(fields, "volume"),
            time=time,
        )

    def _optional(self, fields: list[str], name: str) -> str | None:
        return fields[self._columns[name]] or None if name in self._columns else None


def _listing_of_name(path: Path) -> Listing:
    name = path.name.removesuffix(".gz").removesuffix(".csv").partition("_")[0]
    try:
        return listing_of(name)
    except SymbolError as error:
        raise QuantError(
            f"{path}: its lines name no instrument, its name should: SH600000_....csv ({error})"
        ) from error


@lru_cache(maxsize=4096)
def _date(text: str) -> str:
    if not (len(text) == 8 and text.isascii() and text.isdigit()):
        raise RecordError(f"time: not a date YYYYMMDD: {text[:40]!r}")
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def _date_and_time(text: str, size: int) -> str:
    """Read YYYYMMDDhhmm(ss); whether there are such a day and hour is the record's business."""
    if not (len(text) == size and text.isascii() and text.isdigit()):
        raise RecordError(f"time: not {size} digits: {text[:40]!r}")
    return f"{_date(text[:8])} {text[8:10]}:{text[10:12]}{':' if size > 12 else ''}{text[12:]}"


@lru_cache(maxsize=65_536)
def _thousandths_as_price(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise RecordError(f"price: not a whole number of thousandths: {text[:40]!r}")
    whole = int(text)
    return plain_price(f"{whole // 1000}.{whole % 1000:03d}")


def _units(name: str, text: str) -> int:
    try:
        return units(text)
    except ValueError as error:
        raise RecordError(f"{name}: {error}") from error


def _shares(text: str, listing: Listing) -> str:
    """Turn lots into shares, exactly."""
    if listing.lot is None:
        return text
    whole, fraction = divmod(_units("vol", text) * listing.lot, ONE)
    return f"{whole}.{fraction:0{PLACES}d}".rstrip("0") if fraction else str(whole)
