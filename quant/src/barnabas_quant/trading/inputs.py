"""From records of the topics to inputs of the engine and of strategies. A pure function of a record: no clock.

`trade-signal`: `symbol` is the symbol of a share, or of the primary venue unless the record has `exchange`; `time`
(microseconds) is optional: without it a signal is as old as its record; so is `account`. `trade-commands` holds Open,
Place, Cancel, Switch and Transfer as msgspec writes them, with `type` for the kind; their ids are their places.

What a single record could break for all others is refused here, and the engine can rely on it: prices of 0, times of a
future that the engine's time could never come back from, texts and amounts that no record could hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Raw

from barnabas_quant.errors import QuantError, RecordError, SymbolError
from barnabas_quant.model.intervals import HOUR
from barnabas_quant.model.markets import VENUES, listing_of
from barnabas_quant.model.money import LIMIT, total_units, units
from barnabas_quant.model.records import Kline, OrderBook, Tick, Trade
from barnabas_quant.model.stock import Stock, decode_stock
from barnabas_quant.model.trade_signal import TradeSignal
from barnabas_quant.trading.events import (
    MAIN,
    BadSignal,
    Bar,
    Cancel,
    Depth,
    Fill,
    Input,
    Open,
    Place,
    Print,
    Quote,
    Signal,
    Switch,
    Transfer,
    text,
)  # fmt: skip

COMMANDS = "trade-commands"

_AHEAD = HOUR  # clocks differ by seconds at most
_END = 4_102_444_800_000_000  # 2100: whoever says so counts in nanoseconds
_LONGEST = 500  # characters of a text

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

_tick = msgspec.json.Decoder(Tick).decode
_trade = msgspec.json.Decoder(Trade).decode
_kline = msgspec.json.Decoder(Kline).decode
_book = msgspec.json.Decoder(OrderBook).decode
_fill = msgspec.json.Decoder(Fill).decode
_command = msgspec.json.Decoder(Open | Place | Cancel | Switch | Transfer)


class _Signal(msgspec.Struct, kw_only=True):
    """Hold a record of trade-signal as it stands in the JSON: numbers as their digits."""

    signal: Literal["BUY", "SELL"]
    symbol: str
    price: Raw
    volume: Raw
    strategy: str
    exchange: str | None = None
    time: int | None = None
    account: str = MAIN


_signal = msgspec.json.Decoder(_Signal).decode


def inputs_of(topic: str, value: bytes, produced: int, partition: int, offset: int, primary: str) -> list[Input | Fill]:
    """Make the inputs of one record; `produced` is Kafka's timestamp in milliseconds.

    A signal that is none is an input, too (BadSignal). Raises RecordError for other records that cannot be used.
    """
    read = _READERS.get(topic)
    if read is None:
        raise RecordError(f"no input of the engine: {topic}")
    try:
        found = read(value, produced, f"{topic}-{partition}-{offset}", primary)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, QuantError, ValueError) as error:
        if topic == TradeSignal.topic:
            return [BadSignal(f"{topic}-{partition}-{offset}", produced * 1000, str(error)[:500])]
        raise RecordError(f"{topic}: {error}") from error
    return [] if found is None else [found]


def _from_tick(value: bytes, produced: int, id: str, primary: str) -> Quote | None:
    tick = _tick(value)
    if tick.kind != "quote":  # the trade itself, with its size, is in market_data.trades
        return None
    time = tick.event_time if tick.event_time is not None else tick.receive_time
    return Quote(
        f"{tick.exchange}:{tick.symbol}", _dated(time, tick.receive_time),
        units(tick.bid or "0"), total_units(tick.bid_size or "0"),
        units(tick.ask or "0"), total_units(tick.ask_size or "0"),
    )  # fmt: skip


def _from_trade(value: bytes, produced: int, id: str, primary: str) -> Print:
    trade = _trade(value)
    return Print(
        f"{trade.exchange}:{trade.symbol}", _dated(trade.trade_time, trade.receive_time), _price(trade.price),
        total_units(trade.quantity), trade.buyer_is_maker,
    )  # fmt: skip


def _from_stock(value: bytes, produced: int, id: str, primary: str) -> Print:
    stock = decode_stock(value)
    return Print(
        f"{stock.listing.venue}:{stock.symbol}", _dated(stock.event_time(produced), produced * 1000),
        units(stock.price), units(stock.volume or "0"),
    )  # fmt: skip


def _from_kline(value: bytes, produced: int, id: str, primary: str) -> Bar | None:
    kline = _kline(value)
    if not kline.closed or kline.source != "computed":  # one bar, not two, whether a venue tells them or not
        return None
    return Bar(
        f"{kline.exchange}:{kline.symbol}", _dated(kline.close_time + 1000, kline.receive_time), kline.open_time,
        kline.interval, _price(kline.open), _price(kline.high), _price(kline.low), _price(kline.close),
        total_units(kline.volume),
    )  # fmt: skip


def _from_book(value: bytes, produced: int, id: str, primary: str) -> Depth:
    book = _book(value)
    bids, asks = (
        tuple((units(price), total_units(quantity)) for price, quantity in side) for side in (book.bids, book.asks)
    )
    if not all(price for side in (bids, asks) for price, _ in side):
        raise RecordError("price: it is 0")
    time = book.event_time if book.event_time is not None else book.receive_time
    return Depth(
        f"{book.exchange}:{book.symbol}", _dated(time, book.receive_time), book.type == "snapshot", bids, asks
    )


def _from_signal(value: bytes, produced: int, id: str, primary: str) -> Signal:
    found = _bounded(_signal(value))
    time = produced * 1000
    return Signal(
        id=id, time=time if found.time is None else _dated(found.time, time), side=found.signal,
        instrument=key_of(found.symbol, found.exchange, primary), price=_positive("price", found.price),
        quantity=_positive("volume", found.volume), strategy=found.strategy,
        account=found.account,
    )  # fmt: skip


def key_from(text: str, primary: str) -> str:
    """Give the key of what people write, `symbol` or `exchange:symbol`, as records write it. Raises SymbolError."""
    exchange, colon, symbol = text.rpartition(":")
    return key_of(symbol, exchange if colon else None, primary)


def key_of(symbol: str, exchange: str | None, primary: str) -> str:
    """Give the key of a bare symbol: a share's venue by its code, else the primary venue. Raises SymbolError."""
    if exchange is None or exchange in VENUES:
        try:
            listing = listing_of(symbol)
        except SymbolError:
            if exchange is not None:
                raise
        else:
            if exchange not in (None, listing.venue):
                raise SymbolError(f"{symbol} is listed on {listing.venue}, not on {exchange}")
            return f"{listing.venue}:{listing.symbol}"
    if not symbol or len(symbol) > 40 or ":" in symbol:
        raise SymbolError(f"not a symbol: {symbol[:40]!r}")
    return f"{exchange or primary}:{symbol}"


def _positive(name: str, raw: Raw) -> int:
    digits = bytes(raw).decode()
    if not digits[:1].isdigit():
        what = "negative" if digits.startswith("-") else "not a number"
        raise RecordError(f"{name}: {what}: {digits[:40]}")
    if not (amount := units(digits)):
        raise RecordError(f"{name}: it is 0")
    return amount


def _price(text: str) -> int:
    if not (price := units(text)):
        raise RecordError("price: it is 0")
    return price


def _dated(time: int, told: int) -> int:
    """Give a time back that is not after it was told of, but for what clocks differ by. Raises RecordError."""
    if not 0 <= time <= told + _AHEAD or time >= _END:
        raise RecordError(f"time: {str(time)[:40]} are no microseconds since 1970, or in the future")
    return time


def _bounded(found: _Struct) -> _Struct:
    """Give back what can be told of in records. Raises RecordError."""
    for name in found.__struct_fields__:
        value = getattr(found, name)
        if isinstance(value, str) and len(value) > _LONGEST:
            raise RecordError(f"{name}: longer than {_LONGEST} characters")
        if isinstance(value, int) and abs(value) >= LIMIT:
            raise RecordError(f"{name}: too large for 64 bits")
        if isinstance(value, msgspec.Struct):
            _bounded(value)
    return found


def _from_command(value: bytes, produced: int, id: str, primary: str) -> Any:
    return _bounded(msgspec.structs.replace(_command.decode(value), id=id, time=produced * 1000))


def _from_fill(value: bytes, produced: int, id: str, primary: str) -> Fill:
    return _fill(value)


_READERS: dict[str, Callable[[bytes, int, str, str], Any]] = {
    Tick.topic: _from_tick, Trade.topic: _from_trade, Kline.topic: _from_kline, OrderBook.topic: _from_book,
    Stock.topic: _from_stock, TradeSignal.topic: _from_signal, COMMANDS: _from_command, Fill.topic: _from_fill,
}  # fmt: skip


def write_signal(signal: Signal, primary: str) -> bytes:
    """Write a signal as the record of trade-signal: the seed's fields, the time, the venue where it is another."""
    exchange, _, symbol = signal.instrument.partition(":")
    record = {
        "signal": signal.side, "symbol": symbol, "price": Raw(_number(signal.price)),
        "volume": Raw(_number(signal.quantity)), "strategy": signal.strategy, "time": signal.time,
    }  # fmt: skip
    if key_of(symbol, None, primary) != signal.instrument:
        record["exchange"] = exchange
    if signal.account != MAIN:
        record["account"] = signal.account
    return msgspec.json.encode(record)


def _number(amount: int) -> bytes:
    return text(amount).encode()
