"""Records that would break the engine for all others: refused with the reason, and the engine goes on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from barnabas_quant.errors import RecordError, SymbolError
from barnabas_quant.model.intervals import HOUR, SECOND
from barnabas_quant.model.money import LIMIT, ONE
from barnabas_quant.model.records import Kline, OrderBook, Tick, Trade
from barnabas_quant.trading import Engine, EngineSettings
from barnabas_quant.trading.events import BadSignal, Decision, EquityEvent, Input, Output
from barnabas_quant.trading.inputs import inputs_of, key_from, key_of

NOW = 1_700_000_000 * SECOND
SIGNAL: dict[str, Any] = {"signal": "BUY", "symbol": "BTCUSDT", "price": 100, "volume": 1, "strategy": "X"}
REQUEST: dict[str, Any] = {
    "instrument": "binance:BTCUSDT", "side": "BUY", "quantity": ONE, "type": "limit", "price": ONE
}  # fmt: skip
PLACED: dict[str, Any] = {"exchange": "binance", "symbol": "BTCUSDT"}
TRADE: dict[str, Any] = PLACED | {
    "trade_id": 1, "price": "100", "quantity": "1", "buyer_is_maker": True, "event_time": NOW, "trade_time": NOW,
    "receive_time": NOW,
}  # fmt: skip
TICK: dict[str, Any] = PLACED | {
    "kind": "quote", "price": None, "bid": "99", "bid_size": "1", "ask": "100", "ask_size": "1", "update_id": 1,
    "event_time": NOW, "receive_time": NOW,
}  # fmt: skip
KLINE: dict[str, Any] = PLACED | {
    "interval": "1m", "open_time": NOW - 60 * SECOND, "close_time": NOW - 1000, "open": "100", "high": "101",
    "low": "99", "close": "100", "volume": "5", "quote_volume": "500", "trades": 3, "closed": True,
    "source": "computed", "event_time": NOW, "receive_time": NOW,
}  # fmt: skip
BOOK: dict[str, Any] = PLACED | {
    "type": "snapshot", "first_update_id": 1, "last_update_id": 1, "previous_update_id": None,
    "bids": [["99", "1"]], "asks": [["100", "1"]], "event_time": NOW, "receive_time": NOW,
}  # fmt: skip
STOCK: dict[str, Any] = {"symbol": "600000", "price": 10.0, "time": "2023-11-14 10:00:00"}


def read(topic: str, record: Any, produced: int = NOW // 1000) -> list[Any]:
    value = record if isinstance(record, bytes) else msgspec.json.encode(record)
    return list(inputs_of(topic, value, produced, 0, 7, "binance"))


def said(engine: Engine, inputs: list[Input]) -> list[Output]:
    return [output for event in inputs for output in engine.process(event)]


def reason(record: dict[str, Any]) -> str:
    (bad,) = read("trade-signal", record)
    assert isinstance(bad, BadSignal) and bad.time == NOW
    return bad.reason


def place(**more: Any) -> list[Any]:
    return read("trade-commands", {"type": "Place", "id": "", "time": 0, "request": REQUEST | more})


def test_a_key_in_another_spelling_is_no_instrument() -> None:
    engine = Engine(EngineSettings(cash={"CNY": 10**6 * ONE}))
    for key in ("sse:000001", "sse:600000.SH", "szse:sz000001", "hkex:700"):
        before = msgspec.to_builtins(engine.save())
        for test in (False, True):
            command = {"type": "Place", "id": "", "time": 0, "test": test, "request": REQUEST | {"instrument": key}}
            (told,) = [o for o in said(engine, read("trade-commands", command)) if isinstance(o, Decision)]
            assert (told.verdict, told.rule) == ("rejected", "symbol")
        after = msgspec.to_builtins(engine.save())
        assert (before["markets"], before["accounts"]["main"]["positions"]) == (
            after["markets"], after["accounts"]["main"]["positions"],
        )  # fmt: skip
    assert "records call it szse:000001" in "".join(o.reason for o in said(engine, place(instrument="sse:000001")))  # type: ignore[attr-defined]


def test_what_people_write_is_read_as_records_have_it() -> None:
    written = {
        "sse:600000.SH": "sse:600000", "600000": "sse:600000", "szse:sz000001": "szse:000001", "hkex:hk700":
        "hkex:00700", "sse:sh000001": "sse:sh000001", "binance_usdm:BTCUSDT": "binance_usdm:BTCUSDT",
        "BTCUSDT": "binance:BTCUSDT",
    }  # fmt: skip
    assert {text: key_from(text, "binance") for text in written} == written
    with pytest.raises(SymbolError, match="600000 is listed on sse, not on szse"):
        key_from("szse:600000", "binance")
    with pytest.raises(SymbolError):
        key_of("000001", "sse", "binance")


@pytest.mark.parametrize("name", ["exchange", "strategy", "account"])
def test_a_signal_with_an_endless_text(name: str) -> None:
    assert reason(SIGNAL | {name: "e" * 600_000}) == f"{name}: longer than 500 characters"
    assert not isinstance(read("trade-signal", SIGNAL | {name: "e" * 500})[0], BadSignal)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ({"type": "Place", "request": REQUEST | {"strategy": "s" * 501}}, "strategy: longer"),
        ({"type": "Place", "request": REQUEST | {"instrument": "b" * 501}}, "instrument: longer"),
        ({"type": "Place", "request": REQUEST | {"quantity": LIMIT}}, "quantity: too large"),
        ({"type": "Place", "request": REQUEST | {"price": -LIMIT}}, "price: too large"),
        ({"type": "Transfer", "currency": "USDT", "amount": LIMIT}, "amount: too large"),
        ({"type": "Transfer", "currency": "U" * 501, "amount": 1}, "currency: longer"),
        ({"type": "Switch", "on": False, "who": "anna", "reason": "r" * 501}, "reason: longer"),
        ({"type": "Cancel", "order": "o" * 501}, "order: longer"),
        ({"type": "Open", "account": "a" * 501}, "account: longer"),
    ],
)
def test_a_command_that_no_record_could_tell_of(command: dict[str, Any], text: str) -> None:
    with pytest.raises(RecordError, match=text):
        read("trade-commands", {"id": "", "time": 0} | command)


def test_amounts_of_thousands_of_digits() -> None:
    digits = b"9" * 3980 + b"0" * 20
    value = msgspec.json.encode({"type": "Place", "id": "", "time": 0, "request": REQUEST})
    with pytest.raises(RecordError, match="too large"):
        read("trade-commands", value.replace(b"100000000", digits))
    most = place(quantity=(LIMIT - 1) // 1000 * 1000, price=(LIMIT - 1) // ONE * ONE)
    assert said(Engine(EngineSettings()), most)  # the largest that there are do no harm


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        (Trade, TRADE | {"price": "0"}), (Trade, TRADE | {"price": "0.000"}), (Kline, KLINE | {"low": "0"}),
        (Kline, KLINE | {"open": "0"}), (OrderBook, BOOK | {"asks": [["0", "1"]]}),
    ],
)  # fmt: skip
def test_a_price_of_0(kind: Any, record: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="price: it is 0"):
        read(kind.topic, record)


@pytest.mark.parametrize("time", [NOW + HOUR + 1, NOW * 1000, 17 * 10**34, -1])
def test_a_signal_of_a_time_that_cannot_be(time: int) -> None:
    assert reason(SIGNAL | {"time": time}).startswith("time: ")
    assert read("trade-signal", SIGNAL | {"time": NOW + HOUR})[0].time == NOW + HOUR
    assert read("trade-signal", SIGNAL | {"time": 1})[0].time == 1  # a session of years ago


def test_a_signal_of_the_future_does_not_stop_the_clock() -> None:
    engine = Engine(EngineSettings(cash={"USDT": ONE}))
    said(engine, read("trade-signal", SIGNAL | {"time": NOW * 1000}))
    later = NOW + 600 * SECOND
    told = said(engine, read(Trade.topic, TRADE | {"trade_time": later, "receive_time": later}))
    assert engine.time == later and any(isinstance(one, EquityEvent) for one in told)


def test_a_share_of_the_future() -> None:
    assert read("stock-realtime", STOCK)
    with pytest.raises(RecordError, match="in the future"):
        read("stock-realtime", STOCK | {"time": "2032-11-14 10:00:00"})
    assert read("stock-realtime", STOCK | {"time": "2020-01-02 10:00:00"})


@pytest.mark.parametrize(
    ("kind", "record", "name"),
    [
        (Trade, TRADE, "trade_time"), (Tick, TICK, "event_time"), (Kline, KLINE, "close_time"),
        (OrderBook, BOOK, "event_time"),
    ],
)  # fmt: skip
def test_a_venue_that_is_ahead_of_its_feed(kind: Any, record: dict[str, Any], name: str) -> None:
    """By the feed's own clock: a simulated market that is played faster than life is ahead of ours."""
    assert read(kind.topic, record | {name: NOW + HOUR - 1000}, 5) and read(kind.topic, record, 5)
    for time in (NOW + HOUR + 1, -HOUR):
        with pytest.raises(RecordError, match="time: "):
            read(kind.topic, record | {name: time})
    with pytest.raises(RecordError, match="time: "):  # in nanoseconds, both
        read(kind.topic, record | {name: NOW * 1000, "receive_time": NOW * 1000})
