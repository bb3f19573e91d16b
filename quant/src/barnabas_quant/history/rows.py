"""From records to rows: which table a record belongs to, and its line of JSON with where it came from.

A record's JSON is stored as it stands in its topic; ClickHouse reads it. One that ClickHouse cannot read would hold up
its whole batch, so each is held against the one form in which the platform's own feeds write it: the fields of its
type in order, without blanks, every value such as its column holds it. That is one regular expression a record, and
takes a fifth of the time of decoding and checking. A record of another form (typed by hand, a field more, zeros behind
the eighth decimal place) is decoded and written anew in that form, or is refused with what is wrong with it. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from barnabas_quant.model import Gap, Kline, OrderBook, Record, Tick, Trade
from barnabas_quant.model.money import PLACES


@dataclass(frozen=True, slots=True)
class _Kind:
    """Say what the values of a column look like in JSON, and in words."""

    pattern: str
    words: str

    def or_null(self) -> _Kind:
        return _Kind(f"(?:null|{self.pattern})", self.words)


def _decimal(digits: int) -> str:
    return rf'"[0-9]{{1,{digits}}}+(?:\.[0-9]{{1,{PLACES}}}+)?"'


_PRICE = _Kind(_decimal(10), f"a price below 10^10 with at most {PLACES} decimal places")  # Decimal(18, 8)
_SIZE = _Kind(_decimal(30), f"a quantity below 10^30 with at most {PLACES} decimal places")  # Decimal(38, 8)
_LEVELS = _Kind(
    rf"\[(?:\[{_PRICE.pattern},{_SIZE.pattern}\](?:,\[{_PRICE.pattern},{_SIZE.pattern}\])*+)?\]",
    f"levels of {_PRICE.words} and {_SIZE.words}",
)
_ID = _Kind("(?:0|[1-9][0-9]{0,18}+)", "a number from 0 to 10^19")
_TIME = _Kind("(?:0|[1-3][0-9]{15}|[1-9][0-9]{0,14}+)", "a time of a market, in microseconds since 1970")
_FLAG = _Kind("(?:true|false)", "true or false")
_NAME = _Kind(
    r'"[^"\\\x00-\x1f\x7f]{1,100}"', "1 to 100 bytes of text without quotes, backslashes and control characters"
)
_TEXT = _Kind(r'"(?:[^"\\\x00-\x1f]|\\.){0,1000}+"', "text of up to 1000 bytes")


def _one_of(*words: str) -> _Kind:
    return _Kind(f'"({"|".join(words)})"', " or ".join(words))


class _Form:
    """Hold how the records of one topic are written."""

    def __init__(self, record: type[Record], tables: dict[str, str] | str, **kinds: _Kind) -> None:
        """Take the type, its table (or, by the word of its field `type`, its tables), and its fields in order."""
        self.tables = tables
        self.kinds = {"exchange": _NAME, "symbol": _NAME, **kinds}
        self.decode: Callable[[bytes], Record] = msgspec.json.Decoder(record).decode
        fields = ",".join(f'"{name}":{kind.pattern}' for name, kind in self.kinds.items())
        self.match = re.compile(f"{{{fields}}}".encode()).fullmatch
        self._matches = {name: re.compile(kind.pattern.encode()).fullmatch for name, kind in self.kinds.items()}

    def table(self, found: re.Match[bytes]) -> str:
        """Give the table of a record that matched."""
        return self.tables if isinstance(self.tables, str) else self.tables[found[1].decode()]

    def written_anew(self, value: bytes) -> bytes:
        """Decode a record and write it in the form that matches. Raises ValueError with what is wrong with it."""
        try:
            fields: dict[str, Any] = msgspec.to_builtins(self.decode(value))
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8: {error}") from error
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from error
        for name, kind in self.kinds.items():
            if kind in _DECIMALS and fields[name] is not None:
                fields[name] = _plain(fields[name])
            elif kind is _LEVELS:
                fields[name] = [tuple(map(_plain, level)) for level in fields[name]]
            if not self._matches[name](msgspec.json.encode(fields[name])):
                raise ValueError(f"{name} is to be {kind.words}, not {str(fields[name])[:200]}")
        return msgspec.json.encode(fields)


_DECIMALS = (_PRICE, _SIZE, _PRICE.or_null(), _SIZE.or_null())

_forms = {
    Tick.topic: _Form(
        Tick, "market_ticks", kind=_Kind('"(?:trade|quote)"', "trade or quote"), price=_PRICE.or_null(),
        bid=_PRICE.or_null(), bid_size=_SIZE.or_null(), ask=_PRICE.or_null(), ask_size=_SIZE.or_null(), update_id=_ID,
        event_time=_TIME.or_null(), receive_time=_TIME,
    ),
    Trade.topic: _Form(
        Trade, "market_trades", trade_id=_ID, price=_PRICE, quantity=_SIZE, buyer_is_maker=_FLAG, event_time=_TIME,
        trade_time=_TIME, receive_time=_TIME, first_trade_id=_ID.or_null(), last_trade_id=_ID.or_null(),
    ),
    Kline.topic: _Form(
        Kline, "market_klines", interval=_NAME, open_time=_TIME, close_time=_TIME, open=_PRICE, high=_PRICE, low=_PRICE,
        close=_PRICE, volume=_SIZE, quote_volume=_SIZE, trades=_ID, closed=_FLAG, source=_one_of("venue", "computed"),
        event_time=_TIME, receive_time=_TIME,
    ),
    OrderBook.topic: _Form(
        OrderBook, {"snapshot": "market_orderbooks", "diff": "market_orderbook_diffs"},
        type=_one_of("snapshot", "diff"),
        first_update_id=_ID, last_update_id=_ID, previous_update_id=_ID.or_null(), bids=_LEVELS, asks=_LEVELS,
        event_time=_TIME.or_null(), receive_time=_TIME,
    ),
    Gap.topic: _Form(
        Gap, "market_gaps", stream=_NAME, last_id=_ID.or_null(), next_id=_ID, from_time=_TIME, to_time=_TIME,
        cause=_TEXT, filled=_FLAG,
    ),
}  # fmt: skip

TABLES = {
    topic: (form.tables,) if isinstance(form.tables, str) else tuple(form.tables.values())
    for topic, form in _forms.items()
}
"""The tables that a topic's records go to."""


def table_and_value(topic: str, value: bytes) -> tuple[str, bytes]:
    """Check a record; give its table and its JSON as ClickHouse reads it. Raises ValueError with what is wrong."""
    form = _forms[topic]
    found = form.match(value) if value.isascii() else None
    if found is None:
        value = form.written_anew(value)
        found = form.match(value)
        if found is None:  # each field has matched
            raise ValueError("it cannot be written in the order of its fields")
    return form.table(found), value


def row(value: bytes, topic_id: str, partition: int, offset: int, produced: int) -> bytes:
    """Give a record's line for ClickHouse; `value` is one that `table_and_value` gave."""
    return b'%b,"topic_id":"%b","kafka_partition":%d,"kafka_offset":%d,"produced":%d}' % (
        value[:-1],
        topic_id.encode(),
        partition,
        offset,
        produced,
    )


def _plain(text: str) -> str:
    """Write a decimal without zeros that its column has no room for; one that is finer stays as it is."""
    whole, point, fraction = text.partition(".")
    if fraction[PLACES:].strip("0") == "":
        fraction = fraction[:PLACES]
    return (whole.lstrip("0") or "0") + point + fraction
