"""The hub: who gets what, what a slow client keeps, and that no client costs more than its bound."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas_quant.gateway.hub import Client, Hub, StreamError, check_stream, wildcard

BTC, ETH = "tick:binance:BTCUSDT", "tick:binance:ETHUSDT"


def event(stream: str, n: int) -> bytes:
    return json.dumps({"stream": stream, "data": {"n": n}}).encode()


def taken(client: Client) -> list[Any]:
    found: list[Any] = []
    while (message := client.take(1000)) is not None:
        found += json.loads(message)
    return found


def client_of(hub: Hub, *streams: str, limit: int = 100_000) -> Client:
    client = Client(lambda: None, limit)
    hub.add(client)
    hub.subscribe(client, streams, 1000)
    return client


def test_only_those_who_asked_get_it() -> None:
    hub = Hub()
    one, two, all_of_them = client_of(hub, BTC), client_of(hub, ETH), client_of(hub, "tick:binance:*")
    hub.publish(BTC, BTC, event(BTC, 1))
    assert [e["stream"] for e in taken(one)] == [BTC]
    assert taken(two) == []
    assert [e["stream"] for e in taken(all_of_them)] == [BTC]
    hub.unsubscribe(one, [BTC])
    hub.remove(all_of_them)
    hub.publish(BTC, BTC, event(BTC, 2))
    assert taken(one) == taken(all_of_them) == []


def test_who_asks_for_one_and_for_all_of_them_is_told_once() -> None:
    hub = Hub()
    one, trade = client_of(hub, "trade:binance:*", "trade:binance:BTCUSDT"), "trade:binance:BTCUSDT"
    hub.publish(trade, None, event(trade, 1))
    assert [e["data"]["n"] for e in taken(one)] == [1]
    hub.unsubscribe(one, [trade])
    hub.publish(trade, None, event(trade, 2))
    assert [e["data"]["n"] for e in taken(one)] == [2]


def test_whoever_comes_late_is_told_the_last_value() -> None:
    hub = Hub()
    hub.publish(BTC, BTC, event(BTC, 1))
    hub.publish(BTC, BTC, event(BTC, 2))
    hub.publish("trade:binance:BTCUSDT", None, event("trade:binance:BTCUSDT", 1))
    assert [e["data"]["n"] for e in taken(client_of(hub, BTC, "trade:binance:BTCUSDT"))] == [2]
    assert [e["data"]["n"] for e in taken(client_of(hub, "tick:binance:*"))] == [2]
    assert taken(client_of(hub, ETH)) == []


def test_a_closed_candle_is_not_lost_to_the_one_that_forms_after_it() -> None:
    hub = Hub()
    stream = "kline:binance:BTCUSDT:1m"
    client = client_of(hub, stream)
    for place, n in (("@1", 1), ("@1", 2), ("@2", 3)):
        hub.publish(stream, stream + place, event(stream, n), stream)
    assert [e["data"]["n"] for e in taken(client)] == [2, 3]
    assert [e["data"]["n"] for e in taken(client_of(hub, stream))] == [3]


@given(
    st.lists(st.tuples(st.sampled_from([BTC, ETH, "trade:binance:BTCUSDT"]), st.booleans()), max_size=60),
    st.integers(300, 2000),
)
def test_a_slow_client_ends_with_the_newest_values_and_knows_what_it_missed(
    told: list[tuple[str, bool]], limit: int
) -> None:
    hub = Hub()
    client = client_of(hub, BTC, ETH, "trade:binance:BTCUSDT", limit=limit)
    seen: list[Any] = []
    last: dict[str, int] = {}
    trades = 0
    for n, (stream, reads) in enumerate(told):
        queued = stream.startswith("trade")
        hub.publish(stream, None if queued else stream, event(stream, n))
        trades += queued
        last[stream] = n
        assert client.waiting <= limit
        if reads:
            seen += taken(client)
    seen += taken(client)
    assert client.waiting == 0
    shown = [e for e in seen if "data" in e]
    for stream in (BTC, ETH):
        numbers = [e["data"]["n"] for e in shown if e["stream"] == stream]
        assert numbers == sorted(numbers)
        assert (numbers[-1:] or [None])[-1] == last.get(stream)
    missed = sum(e["count"] for e in seen if e.get("op") == "dropped")
    got = [e["data"]["n"] for e in shown if e["stream"].startswith("trade")]
    assert len(got) + missed == trades
    assert got == sorted(got)
    assert client.dropped == missed


def test_a_client_whose_newest_values_alone_are_too_much_has_to_go() -> None:
    hub = Hub()
    client = client_of(hub, "tick:binance:*", limit=500)
    for n in range(40):
        hub.publish(f"tick:binance:S{n}", f"tick:binance:S{n}", event(f"tick:binance:S{n}", n))
    assert client.overflowed


def test_too_many_streams_change_nothing() -> None:
    hub = Hub()
    client = Client(lambda: None, 1000)
    hub.add(client)
    with pytest.raises(StreamError, match="more than 2 streams"):
        hub.subscribe(client, [BTC, ETH, "signal"], 2)
    with pytest.raises(StreamError, match="no stream"):
        hub.subscribe(client, [BTC, "nonsense:x"], 10)
    assert client.streams == set()


@pytest.mark.parametrize(
    "name", ["", "tick", "tick:binance", "tick:binance:", "x:y:z", "kline:binance:BTC", "tick::BTC", "a" * 200]
)
def test_what_is_no_stream(name: str) -> None:
    with pytest.raises(StreamError):
        check_stream(name)


def test_wildcards() -> None:
    assert wildcard("kline:binance:BTCUSDT:1m") == "kline:binance:*:1m"
    assert wildcard("stock:600519") == "stock:*"
    assert wildcard("signal") == "signal"
