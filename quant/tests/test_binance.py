"""Frames to records, on frames as Binance's documentation and captures show them."""

import json

import pytest

from barnabas_quant.errors import FrameError
from barnabas_quant.feeds import BinanceDecoder, Frame
from barnabas_quant.model import Kline, OrderBook, Record, Tick, Trade

RECEIVED = 1_723_161_254_087_896_568

TRADE = {
    "e": "trade", "E": 1723161255343, "s": "BTCUSDT", "t": 3735683259, "p": "61837.63000000", "q": "0.02000000",
    "T": 1723161255342, "m": True, "M": True,
}  # fmt: skip
QUOTE = {"u": 50093239212, "s": "BTCUSDT", "b": "61837.63", "B": "3.78826000", "a": "61837.64", "A": "1.54698000"}
DEPTH = {
    "e": "depthUpdate", "E": 1723161255208, "s": "BTCUSDT", "U": 50093239189, "u": 50093239202,
    "b": [["61737.63000000", "0.00000000"]], "a": [["61837.64000000", "1.54698000"]],
}  # fmt: skip
BAR = {
    "t": 1626992700000, "T": 1626992759999, "s": "AKROUSDT", "i": "1m", "f": 27931328, "L": 27931348, "o": "0.01731",
    "c": "0.01732", "h": "0.01733", "l": "0.01730", "v": "156058", "n": 21, "x": False, "q": "2702.20770",
    "V": "68508", "Q": "1186.71720", "B": "0",
}  # fmt: skip
AGGREGATE = {
    "e": "aggTrade", "E": 1626992759715, "a": 87353257, "s": "SUSHIUSDT", "p": "7.6170", "q": "4", "f": 126902986,
    "l": 126902988, "T": 1626992759560, "m": False,
}  # fmt: skip


def frame(stream: str, data: object) -> Frame:
    return Frame((1,), RECEIVED, json.dumps({"stream": stream, "data": data}).encode())


def decode(stream: str, data: object, exchange: str = "binance") -> list[Record]:
    return BinanceDecoder(exchange).records(frame(stream, data))


def test_trade_gives_tick_and_trade() -> None:
    tick, trade = decode("btcusdt@trade", TRADE)
    assert trade == Trade(
        exchange="binance", symbol="BTCUSDT", trade_id=3735683259, price="61837.63000000", quantity="0.02000000",
        buyer_is_maker=True, event_time=1723161255343000, trade_time=1723161255342000,
        receive_time=1723161254087896,
    )  # fmt: skip
    assert tick == Tick(
        exchange="binance", symbol="BTCUSDT", kind="trade", price="61837.63000000", bid=None, bid_size=None, ask=None,
        ask_size=None, update_id=3735683259, event_time=1723161255343000, receive_time=1723161254087896,
    )  # fmt: skip
    assert trade.key == tick.key == b"binance:BTCUSDT"


def test_quote_gives_a_tick_with_the_last_price_and_no_event_time_on_spot() -> None:
    decoder = BinanceDecoder("binance")
    decoder.records(frame("btcusdt@trade", TRADE))
    (tick,) = decoder.records(frame("btcusdt@bookTicker", QUOTE))
    assert isinstance(tick, Tick)
    assert (tick.kind, tick.price, tick.bid, tick.bid_size, tick.ask, tick.ask_size, tick.update_id) == (
        "quote", "61837.63000000", "61837.63", "3.78826000", "61837.64", "1.54698000", 50093239212,
    )  # fmt: skip
    assert tick.event_time is None
    other = decoder.records(frame("ethusdt@bookTicker", QUOTE | {"s": "ETHUSDT"}))
    assert [r.price for r in other if isinstance(r, Tick)] == [None]


def test_a_quote_that_changes_nothing_is_no_tick() -> None:
    decoder = BinanceDecoder("binance")
    assert len(decoder.records(frame("btcusdt@bookTicker", QUOTE))) == 1
    assert decoder.records(frame("btcusdt@bookTicker", QUOTE | {"u": 50093239213})) == []
    assert len(decoder.records(frame("btcusdt@bookTicker", QUOTE | {"u": 50093239214, "A": "1"}))) == 1


def test_futures_quote_keeps_its_event_time() -> None:
    (tick,) = decode("btcusdt@bookTicker", QUOTE | {"e": "bookTicker", "T": 1723161256312, "E": 1723161256313})
    assert isinstance(tick, Tick)
    assert tick.event_time == 1723161256313000


def test_depth_gives_a_diff() -> None:
    (diff,) = decode("btcusdt@depth@100ms", DEPTH)
    assert diff == OrderBook(
        exchange="binance", symbol="BTCUSDT", type="diff", first_update_id=50093239189, last_update_id=50093239202,
        previous_update_id=None, bids=[("61737.63000000", "0.00000000")], asks=[("61837.64000000", "1.54698000")],
        event_time=1723161255208000, receive_time=1723161254087896,
    )  # fmt: skip
    (futures,) = decode("btcusdt@depth@0ms", DEPTH | {"T": 1, "pu": 50093239180}, "binance_usdm")
    assert isinstance(futures, OrderBook)
    assert (futures.exchange, futures.previous_update_id) == ("binance_usdm", 50093239180)


def test_snapshot_belongs_to_the_symbol_asked_for() -> None:
    text = b'{"lastUpdateId":7,"bids":[["2.0","1"]],"asks":[["3.0","0.5"]]}'
    (snapshot,) = BinanceDecoder("binance").records(Frame((1,), RECEIVED, text, "BTCUSDT"))
    assert isinstance(snapshot, OrderBook)
    assert (snapshot.type, snapshot.symbol, snapshot.last_update_id, snapshot.first_update_id) == (
        "snapshot", "BTCUSDT", 7, 7,
    )  # fmt: skip
    assert (snapshot.bids, snapshot.asks, snapshot.event_time) == ([("2.0", "1")], [("3.0", "0.5")], None)
    with pytest.raises(FrameError, match="which symbol"):
        BinanceDecoder("binance").records(Frame((1,), RECEIVED, text))


def test_kline() -> None:
    (kline,) = decode("akrousdt@kline_1m", {"e": "kline", "E": 1626992742139, "s": "AKROUSDT", "k": BAR})
    assert kline == Kline(
        exchange="binance", symbol="AKROUSDT", interval="1m", open_time=1626992700000000, close_time=1626992759999000,
        open="0.01731", high="0.01733", low="0.01730", close="0.01732", volume="156058", quote_volume="2702.20770",
        trades=21, closed=False, source="venue", event_time=1626992742139000, receive_time=1723161254087896,
    )  # fmt: skip


def test_aggregate_names_its_first_and_last_trade() -> None:
    tick, trade = decode("sushiusdt@aggTrade", AGGREGATE)
    assert isinstance(trade, Trade)
    assert (trade.trade_id, trade.first_trade_id, trade.last_trade_id) == (87353257, 126902986, 126902988)
    assert isinstance(tick, Tick)
    assert (tick.update_id, tick.price) == (87353257, "7.6170")


def test_times_in_microseconds_are_taken_as_they_are() -> None:
    _, trade = decode("btcusdt@trade", TRADE | {"E": 1723161255343123, "T": 1723161255342456})
    assert isinstance(trade, Trade)
    assert (trade.event_time, trade.trade_time) == (1723161255343123, 1723161255342456)


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ("btcusdt@depth20", {"lastUpdateId": 1, "bids": [], "asks": []}),
        ("!miniTicker@arr", []),
        ("btcusdt@trade", TRADE | {"X": "NA", "p": "0", "q": "0"}),
    ],
)
def test_other_streams_give_nothing(stream: str, data: object) -> None:
    assert decode(stream, data) == []


def test_answers_to_commands_give_nothing() -> None:
    assert BinanceDecoder("binance").records(Frame((1,), RECEIVED, b'{"result":null,"id":1}')) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        json.dumps({"stream": "btcusdt@trade"}).encode(),
        json.dumps({"stream": 5, "data": TRADE}).encode(),
        json.dumps({"stream": "btcusdt@trade", "data": {k: v for k, v in TRADE.items() if k != "p"}}).encode(),
        json.dumps({"stream": "btcusdt@trade", "data": TRADE | {"p": "12a"}}).encode(),
        json.dumps({"stream": "btcusdt@trade", "data": TRADE | {"p": 61837.63}}).encode(),
        json.dumps({"stream": "btcusdt@trade", "data": TRADE | {"q": "-1"}}).encode(),
        json.dumps({"stream": "btcusdt@trade", "data": TRADE | {"t": -1}}).encode(),
        json.dumps({"stream": "btcusdt@trade", "data": TRADE | {"t": 2**70}}).encode(),
        json.dumps({"stream": "btcusdt@depth", "data": DEPTH | {"b": [["1"]]}}).encode(),
        json.dumps({"stream": "btcusdt@depth", "data": DEPTH | {"b": [["1", "1e5"]]}}).encode(),
    ],
)
def test_broken_frames_are_refused(text: bytes) -> None:
    with pytest.raises(FrameError):
        BinanceDecoder("binance").records(Frame((1,), RECEIVED, text, "BTCUSDT"))
