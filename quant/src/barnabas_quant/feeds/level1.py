"""Level-1 quote strings of Sina and Tencent: one instrument a line, a snapshot of its day.

    var hq_str_sh600000="浦发银行,OPEN,PREVIOUS CLOSE,PRICE,HIGH,LOW,BID,ASK,SHARES,AMOUNT,...,DATE,TIME,STATUS";
    var hq_str_rt_hk00700="TENCENT,腾讯控股,OPEN,PREVIOUS CLOSE,HIGH,LOW,PRICE,...,AMOUNT,SHARES,...,DATE,TIME";
    v_sh600000="1~浦发银行~600000~PRICE~PREVIOUS CLOSE~OPEN~LOTS~...~20250101093000~...";
    v_hk00700="100~腾讯控股~00700~PRICE~PREVIOUS CLOSE~OPEN~SHARES~...~2025/01/01 09:30:00~...";

An instrument that the vendor does not know has an empty string, or `v_pv_none_match`. One that has not traded on its
day (before the auction, or suspended) has a volume of 0, at Sina a price of 0 too, at Tencent its previous close.
Tencent tells volumes in lots of 100, those of the STAR market and of Hong Kong in shares.

The bytes are GBK, whose second bytes may be `~` but never a line's end, a quotation mark or a semicolon: what is
between those is decoded first and split then. Source: the vendors' answers, as client libraries read them; neither
vendor documents its format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from barnabas_quant.errors import RecordError, SymbolError
from barnabas_quant.model.markets import Listing, listing_of
from barnabas_quant.model.money import ONE, units
from barnabas_quant.model.stock import Stock, plain_price

Layout = Literal["sina", "tencent"]

MAX_LINE = 16_384
"""Bytes of the longest line that is parsed."""

_LINE = re.compile(rb'\s*(?:var\s+)?(hq_str_|v_)([0-9A-Za-z_.$]{1,40})\s*=\s*"([^"]*)"\s*(?:;|$)\s*')
_WRITTEN = re.compile(r"(?:rt_|r_)?((?:sh|sz)[0-9]{6}|hk[0-9]{5})", re.ASCII)
_DATE = re.compile(r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})", re.ASCII)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", re.ASCII)
_SINA_HALTED = ("01", "02", "03", "04", "05", "07", "-1", "-2", "-3")  # suspended, not listed yet, delisted


@dataclass(frozen=True, slots=True)
class Quote:
    """Hold what a quote tells of an instrument's day."""

    listing: Listing
    name: str
    price: str
    shares: int
    """Shares traded on the day so far."""
    time: str
    """Date and time, as in the records."""
    halted: bool
    """The vendor says that it does not trade."""

    @property
    def traded(self) -> bool:
        """Tell whether its price is one of this day."""
        return self.shares > 0 and not self.halted

    def stock(self, volume: int | None) -> Stock:
        """Make the record of it; `volume` is what was traded since the record before. Raises RecordError."""
        text = None if volume is None else str(volume)
        return Stock(symbol=self.listing.symbol, name=self.name or None, price=self.price, volume=text, time=self.time)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Name an instrument that the vendor does not know; empty where it does not say which."""

    text: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """Hold bytes that are no quote, and why."""

    raw: bytes
    reason: str


def parse_quotes(body: bytes, encoding: str = "gb18030") -> Iterator[Quote | Unknown | Malformed]:
    """Give what each line of an answer tells, in its order; nothing in the bytes raises."""
    for line in body.split(b"\n"):
        at = 0
        line = line.strip()
        while at < len(line):
            match = _LINE.match(line, at) if len(line) <= MAX_LINE else None
            if match is None:
                reason = "not a quote" if len(line) <= MAX_LINE else f"longer than {MAX_LINE} bytes"
                yield Malformed(line[at : at + MAX_LINE], reason)
                break
            at = match.end()
            yield _parse(match, encoding)


def request_path(layout: Layout, listings: tuple[Listing, ...]) -> str:
    """Give the path that asks for the quotes of instruments."""
    if layout == "sina":
        codes = ",".join(f"rt_{each.prefixed}" if each.venue == "hkex" else each.prefixed for each in listings)
        return f"/list={codes}"
    return f"/q={','.join(each.prefixed for each in listings)}"


def _parse(match: re.Match[bytes], encoding: str) -> Quote | Unknown | Malformed:
    name = match[2].decode("ascii")
    if name == "pv_none_match":
        return Unknown("")
    written = _WRITTEN.fullmatch(name)
    try:
        if written is None:
            raise RecordError(f"not an instrument of Shanghai, Shenzhen or Hong Kong: {name}")
        listing = listing_of(written[1])
        if not match[3]:
            return Unknown(name)
        text = match[3].decode(encoding)
        if match[1] == b"v_":
            return _tencent(listing, text.split("~"))
        return (_sina_hong_kong if listing.venue == "hkex" else _sina)(listing, text.split(","))
    except (RecordError, SymbolError, UnicodeDecodeError) as error:
        return Malformed(match[0].strip(), str(error))


def _sina(listing: Listing, fields: list[str]) -> Quote:
    _require(fields, 32)
    status = fields[32] if len(fields) > 32 else "00"
    time = _moment(fields[30], fields[31])
    return Quote(listing, fields[0], _price(fields[3]), _shares(fields[8]), time, status in _SINA_HALTED)


def _sina_hong_kong(listing: Listing, fields: list[str]) -> Quote:
    _require(fields, 19)
    time = _moment(fields[17], fields[18])
    return Quote(listing, fields[1], _price(fields[6]), _shares(fields[12]), time, False)


def _tencent(listing: Listing, fields: list[str]) -> Quote:
    _require(fields, 31)
    if fields[2] != listing.code:
        raise RecordError(f"a quote of {fields[2][:20]!r} under the name of {listing.code}")
    if listing.venue == "hkex":
        date, _, clock = fields[30].partition(" ")
    else:
        digits = fields[30]
        if not (len(digits) == 14 and digits.isascii() and digits.isdigit()):
            raise RecordError(f"time: not 14 digits: {digits[:40]!r}")
        date = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"
        clock = f"{digits[8:10]}:{digits[10:12]}:{digits[12:]}"
    lot = 1 if listing.lot is None or (listing.venue == "sse" and listing.code.startswith("688")) else listing.lot
    return Quote(listing, fields[1], _price(fields[3]), _shares(fields[6]) * lot, _moment(date, clock), False)


def _require(fields: list[str], count: int) -> None:
    if len(fields) < count:
        raise RecordError(f"{len(fields)} fields instead of {count} at least")


def _price(text: str) -> str:
    try:
        units(text)
    except ValueError as error:
        raise RecordError(f"price: {error}") from error
    return plain_price(text)


def _shares(text: str) -> int:
    try:
        whole, fraction = divmod(units(text), ONE)
    except ValueError as error:
        raise RecordError(f"volume: {error}") from error
    if fraction:
        raise RecordError(f"volume: not a whole number: {text[:40]!r}")
    return whole


def _moment(date: str, clock: str) -> str:
    day = _DATE.fullmatch(date)
    hours = _TIME.fullmatch(clock)
    if day is None or hours is None:
        raise RecordError(f"time: {date[:20]!r} {clock[:20]!r}")
    return f"{day[1]}-{day[2]}-{day[3]} {clock}{'' if hours[1] else ':00'}"
