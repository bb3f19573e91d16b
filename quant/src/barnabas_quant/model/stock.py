"""The record of `stock-realtime`: one JSON object a record, key symbol, partition by market.

    {"symbol":"000001","name":"平安银行","price":10.52,"volume":15000,"time":"2025-10-08 14:30:00"}

Price and volume are JSON numbers whose digits are kept as they are written (1680.00 stays 1680.00): they are read and
written as decimal text and never pass through a float. `volume` is what was traded since the instrument's record before
this one, on the same day, in shares: volumes of a day add up to the day's. It is missing where nobody knows: in records
typed by hand, which have symbol, price and time at least, and in the first one of a poller that began in the middle of
a day. Members that are not known are passed over.

`decode_stock` is the one way in, for every consumer, and `encode_stock` the one way out: msgspec's own codecs would
make strings of the numbers.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from barnabas_quant.errors import RecordError, SymbolError
from barnabas_quant.model.markets import Listing, listing_of
from barnabas_quant.model.money import DecimalText, units
from barnabas_quant.model.records import Tick

MAX_BYTES = 65_536
"""Bytes of the longest record that is decoded."""

MAX_NAME = 100
"""Characters of the longest name."""

_DAY = 86_400  # seconds
_OFFSET = 8 * 3600  # seconds that Shanghai is before UTC, without summer time since 1991
_AHEAD = 300  # seconds that a time of day may be before the clock of whoever produced the record

_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile("([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])", re.ASCII)
_EPOCH = date(1970, 1, 1).toordinal()
_NOTHING = Raw(b"")
_UNREADABLE = re.compile("[\x00-\x1f\x7f]")


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the price of an instrument at a time; whatever exists is valid.

    Raises RecordError for a price of 0 or with more than eight decimal places, a symbol of no market, an unreadable
    time, a name with control characters.
    """

    topic: ClassVar[str] = "stock-realtime"

    symbol: str
    name: str | None = None
    price: DecimalText
    volume: DecimalText | None = None
    time: str
    """Date and time, or the time alone, of Asia/Shanghai: `2025-10-08 14:30:00` or `14:30:00`."""

    def __post_init__(self) -> None:
        try:
            listing_of(self.symbol)
        except SymbolError as error:
            raise RecordError(f"symbol: {error}") from error
        if not _amount("price", self.price):
            raise RecordError("price: it is 0")
        if self.volume is not None:
            _amount("volume", self.volume)
        if self.name is not None and (len(self.name) > MAX_NAME or _UNREADABLE.search(self.name)):
            raise RecordError(f"name: longer than {MAX_NAME} characters or with control characters in it")
        _clock(self.time)

    @property
    def listing(self) -> Listing:
        """Give venue and code."""
        return listing_of(self.symbol)

    @property
    def key(self) -> bytes:
        """Give the record's Kafka key."""
        return self.symbol.encode()

    def event_time(self, produced: int) -> int:
        """Give the time in microseconds since 1970 UTC; `produced` is Kafka's timestamp, in milliseconds.

        A time without a date is the last such time of day before the record was produced.
        """
        day, second = _clock(self.time)
        if day is None:
            now = produced // 1000 + _OFFSET + _AHEAD
            day = (now - second) // _DAY
        return (day * _DAY + second - _OFFSET) * 1_000_000

    def tick(self, produced: int, offset: int) -> Tick:
        """Make a tick of it, as the cache and the gateway have it; `produced` and `offset` are those of its record.

        Its id is the offset: a symbol keeps to one partition. It counts as received when it happened: a record does not
        say more, and a session of years ago that is played now is as fresh as its records are.
        """
        listing, time = self.listing, self.event_time(produced)
        return Tick(
            exchange=listing.venue, symbol=listing.symbol, kind="trade", price=self.price, bid=None, bid_size=None,
            ask=None, ask_size=None, update_id=offset, event_time=time, receive_time=time,
        )  # fmt: skip

    def fingerprint(self) -> int:
        """Fold symbol, time, price and volume into an unsigned 64-bit number; 10.5 and 10.50 are the same."""
        amounts = (_amount("price", self.price), None if self.volume is None else _amount("volume", self.volume))
        text = msgspec.json.encode((self.symbol, self.time, amounts))
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


class _Wire(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Hold the members as they stand in the JSON: numbers as their digits."""

    symbol: str
    name: str | None = None
    price: Raw
    volume: Raw = _NOTHING
    time: str


_decoder = msgspec.json.Decoder(_Wire)
_encoder = msgspec.json.Encoder()


def encode_stock(stock: Stock) -> bytes:
    """Write a record as the JSON that goes into its topic, as UTF-8, without members that are not known."""
    volume = _NOTHING if stock.volume is None else Raw(stock.volume.encode())
    wire = _Wire(symbol=stock.symbol, name=stock.name, price=Raw(stock.price.encode()), volume=volume, time=stock.time)
    return _encoder.encode(wire)


def decode_stock(value: bytes | None) -> Stock:
    """Read a record of the topic; its symbol comes out in the platform's spelling (SH600000 as 600000).

    Raises RecordError, whose text says what is wrong, for anything else than a record.
    """
    if not value:
        raise RecordError("an empty record")
    if len(value) > MAX_BYTES:
        raise RecordError(f"longer than {MAX_BYTES} bytes")
    try:
        wire = _decoder.decode(value)
        return Stock(
            symbol=listing_of(wire.symbol).symbol,
            name=wire.name,
            price=_digits("price", wire.price),
            volume=_digits("volume", wire.volume) if bytes(wire.volume) not in (b"", b"null") else None,
            time=wire.time,
        )
    except SymbolError as error:
        raise RecordError(f"symbol: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(str(error)) from error
    except RecursionError as error:
        raise RecordError("nested too deeply") from error


def stock_schema() -> dict[str, Any]:
    """Give the record's JSON Schema: that of the type, its amounts as the numbers that they are on the wire."""
    schema = msgspec.json.schema(Stock)
    properties = schema["$defs"]["Stock"]["properties"]
    properties["price"] = {"type": "number", "exclusiveMinimum": 0}
    properties["volume"] = {"type": ["number", "null"], "minimum": 0, "default": None}
    return schema


def plain_price(text: str) -> str:
    """Write a price as exchanges do, the same amount: two decimal places at least, no zeros after those."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _digits(name: str, raw: Raw) -> str:
    text = bytes(raw).decode()
    if not text[:1].isdigit():
        what = "negative" if text.startswith("-") else "not a number"
        raise RecordError(f"{name}: {what}: {text[:40]}")
    return text


@lru_cache(maxsize=65_536)
def _amount(name: str, text: str) -> int:
    if len(text) > 64:
        raise RecordError(f"{name}: longer than 64 digits")
    try:
        return units(text)
    except ValueError as error:
        raise RecordError(f"{name}: {error}") from error


def _clock(text: str) -> tuple[int | None, int]:
    """Read a time: the day since 1970 in Shanghai, or None, and the second of the day."""
    if len(text) == 19 and text[10] == " ":
        return _day(text[:10]), _second(text[11:])
    return None, _second(text)


@lru_cache(maxsize=32_768)
def _second(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise RecordError(f"time: neither 2025-10-08 14:30:00 nor 14:30:00: {text[:40]!r}")
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])


@lru_cache(maxsize=4096)
def _day(text: str) -> int:
    if not _DATE.fullmatch(text):
        raise RecordError(f"time: neither 2025-10-08 14:30:00 nor 14:30:00: {text!r} is no date")
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError as error:
        raise RecordError(f"time: no such day: {text}") from error
