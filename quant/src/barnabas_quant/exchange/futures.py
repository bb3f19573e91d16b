"""The simulated spot market told as a USD-M futures market: the same prices, the futures' fields and ids.

Ids of the futures' book are not contiguous for one symbol, as the venue numbers all its books together: each id of the
spot market has its own place among `SPREAD` numbers, the same each time. Prices and quantities have as many decimal
places as the instrument needs.
"""

from __future__ import annotations

from barnabas_quant.exchange.messages import (
    Aggregate,
    Candle,
    Depth,
    FuturesAggregate,
    FuturesDepth,
    FuturesQuote,
    FuturesTrade,
    Kline,
    Message,
    Places,
    Quote,
    Snapshot,
    Trade,
)

SPREAD = 7


def futures_id(spot_id: int) -> int:
    """Give the update id of the futures' book for one of the spot market: rising with it, never contiguous."""
    return spot_id * SPREAD + spot_id * 2654435761 % 2**32 % (SPREAD - 1)


def futures_message(message: Message, places: Places, time: int) -> Message:
    """Tell a message of the spot market as one of the futures market; `time` in milliseconds where it has none."""
    cut = places.cut
    if isinstance(message, Trade):
        return FuturesTrade(
            "trade", message.event_time, message.trade_time, message.symbol, message.trade_id,
            cut(message.price, places.price), cut(message.quantity, places.quantity), "MARKET", message.buyer_is_maker,
        )  # fmt: skip
    if isinstance(message, Aggregate):
        return FuturesAggregate(
            "aggTrade", message.event_time, message.aggregate_id, message.symbol,
            cut(message.price, places.price), cut(message.quantity, places.quantity),
            message.first, message.last, message.trade_time, message.buyer_is_maker,
        )  # fmt: skip
    if isinstance(message, Quote):
        return FuturesQuote(
            "bookTicker", futures_id(message.update_id), message.symbol,
            cut(message.bid, places.price), cut(message.bid_size, places.quantity),
            cut(message.ask, places.price), cut(message.ask_size, places.quantity), time, time,
        )  # fmt: skip
    if isinstance(message, Depth):
        return FuturesDepth(
            "depthUpdate", message.event_time, message.event_time, message.symbol,
            futures_id(message.first), futures_id(message.last), futures_id(message.first - 1),
            places.levels(message.bids), places.levels(message.asks),
        )  # fmt: skip
    if isinstance(message, Kline):
        return Kline("kline", message.event_time, message.symbol, futures_candle(message.candle, places))
    return message


def futures_candle(candle: Candle, places: Places) -> Candle:
    """Tell a bar with the futures' decimal places."""
    price, quantity = places.price, places.quantity
    cut = places.cut
    return Candle(
        candle.open_time, candle.close_time, candle.symbol, candle.interval, candle.first, candle.last,
        cut(candle.open, price), cut(candle.close, price), cut(candle.high, price), cut(candle.low, price),
        cut(candle.volume, quantity), candle.trades, candle.closed, candle.quote_volume,
        cut(candle.taker_volume, quantity), candle.taker_quote_volume, candle.ignored,
    )  # fmt: skip


def futures_snapshot(snapshot: Snapshot, places: Places, time: int) -> Snapshot:
    """Tell a depth snapshot of the spot market as one of the futures market."""
    return Snapshot(futures_id(snapshot.last), places.levels(snapshot.bids), places.levels(snapshot.asks), time)
