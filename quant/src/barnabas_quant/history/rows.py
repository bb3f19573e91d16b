"""From records to rows: which table a record belongs to, and its line for ClickHouse, with where it came from.

A record that ClickHouse cannot read would hold up its whole batch, so each is held against the one form in which the
platform's own feeds write it: the fields of its type in order, without blanks, every value such as its column holds it.
That is one regular expression a record, a fifth of the time of decoding and checking, and its groups are the columns:
amounts pass as the text that they are. A record of another form (typed by hand, a field more, zeros behind the eighth
decimal place) is decoded and written anew in that form, or is refused with what is wrong with it. The line is
TabSeparated, which ClickHouse reads in two thirds of the time of JSON. No I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from barnabas_quant.model import Gap, Kline, OrderBook, Tick, Trade
from barnabas_quant.model.money import PLACES


@dataclass(frozen=True, slots=True)
class _Kind:
    """Say what the values of a column look like in JSON, with what the column takes as a group, and in words."""

    pattern: str
    words: str

    def or_null(self) -> _Kind:
        return _Kind(f"(?:{self.pattern}|null)", self.words)


def _decimal(digits: int) -> str:
    return rf"[0-9]{{1,{digits}}}+(?:\.[0-9]{{1,{PLACES}}}+)?"


_P, _Q = _decimal(10), _decimal(30)
_PRICE = _Kind(f'"({_P})"', f"a price below 10^10 with at most {PLACES} decimal places")  # Decimal(18, 8)
_SIZE = _Kind(f'"({_Q})"', f"a quantity below 10^30 with at most {PLACES} decimal places")  # Decimal(38, 8)
_LEVELS = _Kind(rf'(\[(?:\["{_P}","{_Q}"\](?:,\["{_P}","{_Q}"\])*+)?\])', f"levels of {_PRICE.words} and {_SIZE.words}")
_ID = _Kind("(0|[1-9][0-9]{0,18}+)", "a number from 0 to 10^19")
_TIME = _Kind("(0|[1-3][0-9]{15}|[1-9][0-9]{0,14}+)", "a time of a market, in microseconds since 1970")
_FLAG = _Kind("(true|false)", "true or false")
_NAME = _Kind(
    r'"([^"\\\x00-\x1f\x7f]{1,100}+)"', "1 to 100 bytes of text without quotes, backslashes and control characters"
)
_SIGNED = _Kind('"(-?[0-9]{1,30}+(?:[.][0-9]{1,8}+)?)"', f"an amount below 10^30 with at most {PLACES} decimal places")
_REASON = _Kind(
    r'"((?:[^"\\\x00-\x1f]|\\.){0,1000}+)"', "text of up to 1000 bytes"
)  # its escapes are ClickHouse's, too
_NUMBERS = _Kind(
    r'(\{(?:"[a-zA-Z0-9_.:-]{1,60}":"[^"\\\x00-\x1f]{0,100}"(?:,(?="))?){0,40}\})',
    "an object of text, without backslashes",
)
_TEXT = _Kind(r'"([^"\\\x00-\x1f\x7f]{0,1000})"', "up to 1000 bytes of text without quotes and backslashes")


def _word(*words: str) -> _Kind:
    return _Kind(f'"({"|".join(words)})"', " or ".join(words))


def _without_column(kind: _Kind) -> _Kind:
    """Make of a kind one whose value the table does not keep."""
    return _Kind(re.sub(r"\((?!\?)", "(?:", kind.pattern), kind.words)


class Table:
    """Hold how the records of one table are written."""

    def __init__(self, name: str, record: type[Any], left_out: tuple[str, ...] = (), /, **kinds: _Kind) -> None:
        """Take its name, the type of its records, the fields that it does not keep, and all fields in their order."""
        self.name = name
        self.kinds = kinds if "seq" in kinds else {"exchange": _NAME, "symbol": _NAME, **kinds}
        self.columns = (*(field for field in self.kinds if field not in left_out),
                        "topic_id", "kafka_partition", "kafka_offset", "produced")  # fmt: skip
        self.levels = [number for number, field in enumerate(self.columns) if self.kinds.get(field) is _LEVELS]
        self._decode = msgspec.json.Decoder(record).decode
        patterns = {
            field: (_without_column(kind) if field in left_out else kind).pattern for field, kind in self.kinds.items()
        }
        fields = ",".join(f'"{field}":{pattern}' for field, pattern in patterns.items())
        self.match = re.compile(f"{{{fields}}}".encode()).fullmatch
        self._matches = {field: re.compile(kind.pattern.encode()).fullmatch for field, kind in self.kinds.items()}

    def as_text(self, cells: tuple[bytes, ...]) -> list[bytes]:
        """Write levels among the columns as ClickHouse's text has them: [(1,2)] instead of [["1","2"]]."""
        return [_tuples(cell) if number in self.levels else cell for number, cell in enumerate(cells)]

    def written_anew(self, value: bytes) -> bytes:
        """Decode a record and write it in the form that matches. Raises ValueError with what is wrong with it."""
        try:
            decoded = msgspec.to_builtins(self._decode(value))
            fields: dict[str, Any] = {name: {**_DEFAULTS, **decoded}[name] for name in self.kinds}
        except KeyError as error:
            raise ValueError(f"it lacks {error}") from error
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


_DEFAULTS = {"account": "main"}  # what records from before there were accounts do not say

_DECIMALS = (_PRICE, _SIZE, _PRICE.or_null(), _SIZE.or_null())

_BOOK = {
    "first_update_id": _ID, "last_update_id": _ID, "previous_update_id": _ID.or_null(), "bids": _LEVELS,
    "asks": _LEVELS, "event_time": _TIME.or_null(), "receive_time": _TIME,
}  # fmt: skip

_tables = {
    Tick.topic: (
        Table(
            "market_ticks", Tick, kind=_word("trade", "quote"), price=_PRICE.or_null(), bid=_PRICE.or_null(),
            bid_size=_SIZE.or_null(), ask=_PRICE.or_null(), ask_size=_SIZE.or_null(), update_id=_ID,
            event_time=_TIME.or_null(), receive_time=_TIME,
        ),
    ),
    Trade.topic: (
        Table(
            "market_trades", Trade, trade_id=_ID, price=_PRICE, quantity=_SIZE, buyer_is_maker=_FLAG, event_time=_TIME,
            trade_time=_TIME, receive_time=_TIME, first_trade_id=_ID.or_null(), last_trade_id=_ID.or_null(),
        ),
    ),
    Kline.topic: (
        Table(
            "market_klines", Kline, interval=_NAME, open_time=_TIME, close_time=_TIME, open=_PRICE, high=_PRICE,
            low=_PRICE, close=_PRICE, volume=_SIZE, quote_volume=_SIZE, trades=_ID, closed=_FLAG,
            source=_word("venue", "computed"), event_time=_TIME, receive_time=_TIME,
        ),
    ),
    OrderBook.topic: (
        Table("market_orderbook_diffs", OrderBook, ("type",), type=_word("diff"), **_BOOK),
        Table(
            "market_orderbooks", OrderBook, ("type", "first_update_id", "previous_update_id"), type=_word("snapshot"),
            **_BOOK,
        ),
    ),
    Gap.topic: (
        Table(
            "market_gaps", Gap, stream=_NAME, last_id=_ID.or_null(), next_id=_ID, from_time=_TIME, to_time=_TIME,
            cause=_TEXT, filled=_FLAG,
        ),
    ),
    # What the trading service tells; its types (trading/events.py) lie above the history, so fields say what they are.
    "orders": (
        Table(
            "orders", dict[str, Any], seq=_ID, time=_TIME, account=_NAME, order=_NAME, instrument=_NAME, step=_NAME,
            status=_NAME, side=_word("BUY", "SELL"), type=_NAME, quantity=_SIZE, filled=_SIZE, price=_SIZE.or_null(),
            trigger=_SIZE.or_null(), time_in_force=_NAME, strategy=_REASON, reason=_REASON,
        ),
    ),
    "fills": (
        Table(
            "fills", dict[str, Any], seq=_ID, time=_TIME, account=_NAME, fill=_NAME, order=_NAME, instrument=_NAME,
            side=_word("BUY", "SELL"), price=_SIZE, quantity=_SIZE, fee=_SIGNED, taxes=_SIGNED, currency=_NAME,
            liquidity=_NAME, slippage=_SIGNED, strategy=_REASON,
        ),
    ),
    "positions": (
        Table(
            "positions", dict[str, Any], seq=_ID, time=_TIME, account=_NAME, instrument=_NAME, quantity=_SIGNED,
            available=_SIGNED, average_price=_SIZE, realized=_SIGNED, fees=_SIGNED,
        ),
    ),
    "equity": (
        Table(
            "equity", dict[str, Any], seq=_ID, time=_TIME, account=_NAME, currency=_NAME, cash=_SIGNED, held=_SIGNED,
            positions=_SIGNED, equity=_SIGNED, peak=_SIGNED,
        ),
    ),
    "trade-decisions": (
        Table(
            "trade_decisions", dict[str, Any], seq=_ID, time=_TIME, account=_NAME, subject=_NAME, verdict=_NAME,
            rule=_REASON, reason=_REASON, numbers=_NUMBERS, order=_REASON, strategy=_REASON,
        ),
    ),
    "risk-alerts": (
        Table(
            "risk_alerts", dict[str, Any], seq=_ID, time=_TIME, account=_NAME, rule=_NAME, subject=_NAME, state=_NAME,
            level=_NAME, action=_NAME, reason=_REASON, numbers=_NUMBERS,
        ),
    ),
    "cash-flows": (
        Table(
            "cash_flows", dict[str, Any], seq=_ID, time=_TIME, account=_NAME, kind=_NAME, currency=_NAME,
            amount=_SIGNED, instrument=_REASON, numbers=_NUMBERS,
        ),
    ),
}  # fmt: skip

TABLES = {topic: tuple(table.name for table in tables) for topic, tables in _tables.items()}
"""The tables that a topic's records go to."""

COLUMNS = {table.name: table.columns for tables in _tables.values() for table in tables}
"""The columns of a table in the order of its lines; the last four say where a row came from."""

INTO = {name: f"{name} (`{'`, `'.join(columns)}`)" for name, columns in COLUMNS.items()}
"""A table with its columns in the order of its lines, as an INSERT names them."""


def table_and_cells(topic: str, value: bytes) -> tuple[str, bytes]:
    """Check a record; give its table and its columns as they stand in a line. Raises ValueError with what is wrong."""
    tables = _tables[topic]
    if value.isascii():
        for table in tables:
            if (found := table.match(value)) is not None:
                cells = found.groups(rb"\N")
                return table.name, b"\t".join(table.as_text(cells) if table.levels else cells)
    reason: ValueError | None = None
    for table in tables:
        try:
            if found := table.match(table.written_anew(value)):
                return table.name, b"\t".join(table.as_text(found.groups(rb"\N")))
        except ValueError as error:
            reason = reason if reason and not str(reason).startswith("type ") else error
    raise reason or ValueError("it cannot be written in the order of its fields")


def line(cells: bytes, topic_id: bytes, partition: int, offset: int, produced: int) -> bytes:
    """Give a whole line: a record's columns, and where it came from."""
    return b"%b\t%b\t%d\t%d\t%d\n" % (cells, topic_id, partition, offset, produced)


def _tuples(levels: bytes) -> bytes:
    """Write levels of JSON, [["1","2"]], as ClickHouse's text has them, [(1,2)]."""
    return levels.replace(b'["', b"(").replace(b'"]', b")").replace(b'","', b",")


def _plain(text: str) -> str:
    """Write a decimal without zeros that its column has no room for; one that is finer stays as it is."""
    whole, point, fraction = text.partition(".")
    if fraction[PLACES:].strip("0") == "":
        fraction = fraction[:PLACES]
    return (whole.lstrip("0") or "0") + point + fraction
