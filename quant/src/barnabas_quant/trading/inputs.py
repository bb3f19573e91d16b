"""From records of the topics to inputs of the engine and of strategies. A pure function of a record: no clock.

`trade-signal`: `symbol` is the symbol of a share, or of the primary venue unless the record has `exchange`; `time`
(microseconds) is optional: without it a signal is as old as its record; so is `account`. `trade-commands` holds Open,
Place, Cancel, Switch and Transfer as msgspec writes them, with `type` for the kind; their ids are their places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Raw

from barnabas_quant.errors import QuantError, RecordError, SymbolError
from barnabas_quant.model.markets import VENUES, listing_of
from barnabas_quant.model.money import total_units, units
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
    return Quote(
        f"{tick.exchange}:{tick.symbol}",
        tick.event_time if tick.event_time is not None else tick.receive_time,
        units(tick.bid or "0"), total_units(tick.bid_size or "0"),
        units(tick.ask or "0"), total_units(tick.ask_size or "0"),
    )  # fmt: skip


def _from_trade(value: bytes, produced: int, id: str, primary: str) -> Print:
    trade = _trade(value)
    return Print(
        f"{trade.exchange}:{trade.symbol}", trade.trade_time, units(trade.price), total_units(trade.quantity),
        trade.buyer_is_maker,
    )  # fmt: skip


def _from_stock(value: bytes, produced: int, id: str, primary: str) -> Print:
    stock = decode_stock(value)
    return Print(
        f"{stock.listing.venue}:{stock.symbol}", stock.event_time(produced), units(stock.price),
        units(stock.volume or "0"),
    )  # fmt: skip


def _from_kline(value: bytes, produced: int, id: str, primary: str) -> Bar | None:
    kline = _kline(value)
    if not kline.closed or kline.source != "computed":  # one bar, not two, whether a venue tells them or not
        return None
    return Bar(
        f"{kline.exchange}:{kline.symbol}", kline.close_time + 1000, kline.open_time, kline.interval,
        units(kline.open), units(kline.high), units(kline.low), units(kline.close), total_units(kline.volume),
    )  # fmt: skip


def _from_book(value: bytes, produced: int, id: str, primary: str) -> Depth:
    book = _book(value)
    bids, asks = (
        tuple((units(price), total_units(quantity)) for price, quantity in side) for side in (book.bids, book.asks)
    )
    time = book.event_time if book.event_time is not None else book.receive_time
    return Depth(f"{book.exchange}:{book.symbol}", time, book.type == "snapshot", bids, asks)


def _from_signal(value: bytes, produced: int, id: str, primary: str) -> Signal:
    found = _signal(value)
    return Signal(
        id=id, time=produced * 1000 if found.time is None else found.time, side=found.signal,
        instrument=key_of(found.symbol, found.exchange, primary), price=_positive("price", found.price),
        quantity=_positive("volume", found.volume), strategy=found.strategy,
        account=found.account,
    )  # fmt: skip


def key_of(symbol: str, exchange: str | None, primary: str) -> str:
    """Give the key of a bare symbol: a share's venue by its code, else the primary venue. Raises SymbolError."""
    if exchange is None or exchange in VENUES:
        try:
            listing = listing_of(symbol)
        except SymbolError:
            if exchange is not None:
                raise
        else:
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


def _from_command(value: bytes, produced: int, id: str, primary: str) -> Any:
    return msgspec.structs.replace(_command.decode(value), id=id, time=produced * 1000)


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
