"""OKX as a live venue: spot instruments, such as BTC-USDT.

Two addresses: trades, quotes (bbo-tbt) and books come from the public one, candles from the business one. A book comes
as a snapshot on subscription, then in updates of which each names its predecessor (seqId, prevSeqId); whoever loses the
thread subscribes again. A frame of the channel trades may stand for several matches: its id is the last one's, `count`
says how many. Candles have no time of their own and no number of trades: 0 stands for it.
Source: OKX API documentation v5, "Order Book Trading - Market Data", "WebSocket: Connect, Subscribe".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from barnabas_quant.feeds.binance import Id
from barnabas_quant.feeds.live.rest import Rest, RestError
from barnabas_quant.feeds.live.symbol import SymbolState
from barnabas_quant.feeds.live.venue import Handler, Notice
from barnabas_quant.model import DecimalText, Kline, OrderBook, Trade
from barnabas_quant.model.intervals import Interval

EXCHANGE = "okx"

_PREFIX = b'{"arg":{"channel":"'  # 19 bytes
_BETWEEN = b'","instId":"'
_MOST_TRADES = 100  # of one answer
_MOST_CANDLES = 100
_SHUTDOWN = "64008"

_Number = Annotated[str, Meta(pattern=r"^[0-9]{1,18}\Z")]
_Level = tuple[DecimalText, DecimalText, str, str]
_Candle = tuple[
    _Number, DecimalText, DecimalText, DecimalText, DecimalText, DecimalText, DecimalText, DecimalText,
    Literal["0", "1"],
]  # fmt: skip


class _Argument(Struct):
    channel: str
    name: str = field(name="instId")


class _Trade(Struct):
    name: str = field(name="instId")
    trade_id: _Number = field(name="tradeId")
    price: DecimalText = field(name="px")
    quantity: DecimalText = field(name="sz")
    side: Literal["buy", "sell"]
    """The taker's: where it sells, the buyer is the maker."""
    time: _Number = field(name="ts")
    count: _Number = "1"


class _Book(Struct):
    asks: list[_Level]
    bids: list[_Level]
    time: _Number = field(name="ts")
    sequence: Id = field(name="seqId")
    previous: Annotated[int, Meta(ge=-1, le=2**63 - 1)] | None = field(name="prevSeqId", default=None)


_Data = TypeVar("_Data")


class _Frame(Struct, Generic[_Data]):
    argument: _Argument = field(name="arg")
    data: list[_Data]
    action: Literal["snapshot", "update"] | None = None


class _Answer(Struct, Generic[_Data]):
    code: str
    message: str = field(name="msg", default="")
    data: list[_Data] = field(default_factory=list)


class _Event(Struct):
    event: str | None = None
    code: str | None = None
    argument: _Argument | None = field(name="arg", default=None)


_trades = msgspec.json.Decoder(_Frame[_Trade]).decode
_books = msgspec.json.Decoder(_Frame[_Book]).decode
_candles = msgspec.json.Decoder(_Frame[_Candle]).decode
_event = msgspec.json.Decoder(_Event).decode
_refusal = msgspec.json.Decoder(_Answer[msgspec.Raw]).decode
_old_trades = msgspec.json.Decoder(_Answer[_Trade]).decode
_old_candles = msgspec.json.Decoder(_Answer[_Candle]).decode


class Okx:
    """Speak OKX's language. A stream's name is CHANNEL:INSTRUMENT."""

    exchange = EXCHANGE
    trade_stream = "trade"
    messages_a_second = 2.0  # of three
    streams_a_connection = 200
    most_orders = 50
    idle_ping: bytes | None = b"ping"  # nothing either way for thirty seconds, and the venue hangs up
    rest_weight = 2**31  # it counts requests instead
    rest_pause = 0.11  # seconds: 20 requests in two seconds
    streamed_books = True

    def __init__(self, now: Callable[[], int]) -> None:
        """Take a clock in microseconds since 1970."""
        self._now = now

    def url(self, base: str, stream: str) -> str:
        address = "business" if stream.startswith("candle") else "public"
        return f"{base.rstrip('/')}/ws/v5/{address}"

    def streams(self, symbol: str, kinds: Sequence[str], intervals: Sequence[str]) -> list[str]:
        channels = {"trade": ["trades"], "quote": ["bbo-tbt"], "depth": ["books"]}
        channels["kline"] = [f"candle{bar_of(interval)}" for interval in intervals]
        return [f"{channel}:{symbol}" for kind in kinds for channel in channels[kind]]

    def order(self, subscribe: bool, streams: Sequence[str], number: int) -> tuple[bytes, int]:
        wanted = [dict(zip(("channel", "instId"), stream.split(":"), strict=True)) for stream in streams]
        operation = "subscribe" if subscribe else "unsubscribe"
        return msgspec.json.encode({"id": str(number), "op": operation, "args": wanted}), len(wanted)

    def stream_of(self, payload: bytes) -> bytes:
        if not payload.startswith(_PREFIX):
            return b""
        return payload[19 : payload.find(b'"}', 19, 150)].replace(_BETWEEN, b":", 1)

    def notice(self, payload: bytes) -> Notice:
        if payload == b"pong":
            return "none"
        try:
            told = _event(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "unknown"
        if told.event in ("subscribe", "unsubscribe"):
            return "answer"
        if told.event == "notice" and told.code == _SHUTDOWN:
            return "shutdown"
        if told.event == "error":
            return "refused"
        if told.event is not None:
            return "none"
        return "unknown" if told.argument is None else "stream"

    def handler(self, stream: str, state: SymbolState) -> Handler:
        channel = stream.partition(":")[0]
        if channel == "trades":
            return self._on_trades(state)
        if channel == "bbo-tbt":
            return self._on_quotes(state)
        if channel == "books":
            return self._on_books(state)
        return self._on_candles(state, _interval_of(channel))

    def _on_trades(self, state: SymbolState) -> Handler:
        symbol = state.symbol

        def take(payload: bytes, received: int) -> None:
            for data in _trades(payload).data:
                if data.name != symbol:
                    raise ValueError(f"a trade of {data.name} in the stream of {symbol}")
                trade = self._trade(symbol, data, received)
                state.trade(trade, trade.first_trade_id)

        return take

    def _trade(self, symbol: str, data: _Trade, received: int) -> Trade:
        time, number, count = int(data.time) * 1000, int(data.trade_id), int(data.count)
        first, last = (None, None) if count <= 1 else (number - count + 1, number)
        return Trade(
            exchange=self.exchange, symbol=symbol, trade_id=number, price=data.price, quantity=data.quantity,
            buyer_is_maker=data.side == "sell", event_time=time, trade_time=time, receive_time=received,
            first_trade_id=first, last_trade_id=last,
        )  # fmt: skip

    def _on_quotes(self, state: SymbolState) -> Handler:
        def take(payload: bytes, received: int) -> None:
            for data in _books(payload).data:
                if data.bids and data.asks:  # a side can be empty: there is no quote then
                    (bid, bid_size, _, _), (ask, ask_size, _, _) = data.bids[0], data.asks[0]
                    state.quote(data.sequence, (bid, bid_size, ask, ask_size), int(data.time) * 1000, received)

        return take

    def _on_books(self, state: SymbolState) -> Handler:
        def take(payload: bytes, received: int) -> None:
            frame = _books(payload)
            for data in frame.data:
                previous = data.previous
                if previous is None or frame.action is None:
                    raise ValueError("a book without prevSeqId or action")
                if frame.action == "update" and data.sequence < previous:  # after maintenance, the venue says
                    state.renumbered()
                book = self._book(state.symbol, frame.action, data, received)
                if frame.action == "snapshot":
                    state.streamed_book(book)
                else:
                    state.diff(book)

        return take

    def _book(self, symbol: str, kind: Literal["snapshot", "update"], data: _Book, received: int) -> OrderBook:
        previous = data.previous if kind == "update" else None
        return OrderBook(
            exchange=self.exchange,
            symbol=symbol,
            type="snapshot" if kind == "snapshot" else "diff",
            first_update_id=data.sequence if previous is None else min(previous + 1, data.sequence),
            last_update_id=data.sequence,
            previous_update_id=previous,
            bids=[(price, size) for price, size, _, _ in data.bids],
            asks=[(price, size) for price, size, _, _ in data.asks],
            event_time=int(data.time) * 1000,
            receive_time=received,
        )

    def _on_candles(self, state: SymbolState, interval: Interval) -> Handler:
        last: _Candle | None = None

        def take(payload: bytes, received: int) -> None:
            nonlocal last
            for row in _candles(payload).data:
                if row != last:
                    state.kline(self._kline(state.symbol, interval, row, received))
                last = row

        return take

    def _kline(self, symbol: str, interval: Interval, row: _Candle, received: int) -> Kline:
        begin = int(row[0]) * 1000
        end = begin + interval.length - 1000
        closed = row[8] == "1"
        return Kline(
            exchange=self.exchange, symbol=symbol, interval=interval.name, open_time=begin, close_time=end,
            open=row[1], high=row[2], low=row[3], close=row[4], volume=row[5], quote_volume=row[7], trades=0,
            closed=closed, source="venue", event_time=end if closed else min(received, end), receive_time=received,
        )  # fmt: skip

    async def book(self, rest: Rest, symbol: str) -> OrderBook:
        raise RestError(f"the book of {symbol} comes with its stream")

    async def trades(self, rest: Rest, symbol: str, first: int, last: int) -> list[Trade]:
        # Pages go backwards, from below `after`; so one that holds `first` is asked for.
        page: dict[str, str | int] = {"instId": symbol, "type": 1}
        page |= {"after": min(first + _MOST_TRADES, last + 1), "limit": _MOST_TRADES}
        rows = _read(_old_trades, await rest.get("/api/v5/market/history-trades", page), "trades", symbol)
        found = [self._trade(symbol, row, self._now()) for row in rows]
        kept = sorted((trade for trade in found if first <= trade.trade_id <= last), key=lambda trade: trade.trade_id)
        if not kept and first + _MOST_TRADES <= last:  # it has forgotten these: perhaps not the later ones
            return await self._oldest(rest, symbol, first + _MOST_TRADES, last)
        return kept

    async def _oldest(self, rest: Rest, symbol: str, first: int, last: int) -> list[Trade]:
        """Find the first trades that the venue still has, by halving."""
        while last - first >= 2 * _MOST_TRADES:
            middle = (first + last) // 2
            if await self.trades(rest, symbol, middle, middle + _MOST_TRADES - 1):
                last = middle + _MOST_TRADES - 1
            else:
                first = middle + _MOST_TRADES
        found: list[Trade] = []
        for begin in range(first, last + 1, _MOST_TRADES):
            found += await self.trades(rest, symbol, begin, min(last, begin + _MOST_TRADES - 1))
        return found

    async def klines(self, rest: Rest, symbol: str, interval: str, start: int, end: int) -> list[Kline]:
        length = Interval.parse(interval)
        found: list[Kline] = []
        before, after = start // 1000 - 1, end // 1000
        while before + 1 < after:
            page: dict[str, str | int] = {"instId": symbol, "bar": bar_of(interval), "limit": _MOST_CANDLES}
            page |= {"before": before, "after": after}
            rows = _read(_old_candles, await rest.get("/api/v5/market/history-candles", page), "candles", symbol)
            found += [self._kline(symbol, length, row, self._now()) for row in rows if row[8] == "1"]
            if not rows:
                break
            after = min(after - 1, min(int(row[0]) for row in rows))
        return sorted((bar for bar in found if start <= bar.open_time < end), key=lambda bar: bar.open_time)


def _read(decode: Callable[[bytes], _Answer[_Data]], body: bytes, what: str, symbol: str) -> list[_Data]:
    """Read an answer: a refusal comes with status 200 too. Raises RestError."""
    try:
        refusal = _refusal(body)
        if refusal.code != "0":
            code = int(refusal.code) if refusal.code.isdigit() else 0
            reason = f"{what} of {symbol}: {refusal.code} {refusal.message[:200]}"
            raise RestError(reason, code, final=code // 1000 == 51)  # 51xxx: what was asked for does not exist
        return decode(body).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RestError(f"{what} of {symbol} cannot be read: {error}") from error


def bar_of(interval: str) -> str:
    """Give OKX's name of an interval; those from 6 hours on are counted from midnight UTC. Raises ValueError."""
    unit = interval[-1:]
    number = Interval.parse(interval).name[:-1]
    if unit in "sm":
        return interval
    if unit == "h":
        return f"{number}H" if int(number) < 6 else f"{number}Hutc"
    return f"{number}{unit.upper()}utc"


def _interval_of(channel: str) -> Interval:
    bar = channel.removeprefix("candle").removesuffix("utc")
    return Interval.parse(bar if bar[-1] in "sm" else bar.lower())
