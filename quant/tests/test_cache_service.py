"""The cache writer: from real topics into a real Valkey, and in any order to the newest values."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.topics import DEAD_LETTERS, MARKET_TOPICS, ensure_topics
from barnabas_quant.model import Kline, OrderBook, Record, Tick
from barnabas_quant.service import Context, Status
from barnabas_quant.services.cache import CacheWriter
from barnabas_quant.settings import Settings

from .conftest import eventually
from .stores import Valkey

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


def now_us() -> int:
    return time.time_ns() // 1000


def tick(symbol: str, kind: str = "trade", update_id: int = 1, **other: Any) -> Tick:
    fields = {
        "exchange": "binance", "symbol": symbol, "kind": kind, "price": "1.5", "bid": None, "bid_size": None,
        "ask": None, "ask_size": None, "update_id": update_id, "event_time": now_us(), "receive_time": now_us(),
    }  # fmt: skip
    return msgspec.convert({**fields, **other}, Tick)


def kline(symbol: str, open_time: int, source: str, event_time: int) -> Kline:
    text = dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume"), "1")
    fields = {
        "exchange": "binance", "symbol": symbol, "interval": "1m", "open_time": open_time, "close_time": open_time,
        "trades": 1, "closed": False, "source": source, "event_time": event_time, "receive_time": event_time, **text,
    }  # fmt: skip
    return msgspec.convert(fields, Kline)


def book(symbol: str, update_id: int, kind: str = "snapshot") -> OrderBook:
    fields = {
        "exchange": "binance", "symbol": symbol, "type": kind, "first_update_id": update_id,
        "last_update_id": update_id, "previous_update_id": None, "bids": [("1", "2")], "asks": [],
        "event_time": None, "receive_time": now_us(),
    }  # fmt: skip
    return msgspec.convert(fields, OrderBook)


class Handed:
    """A record as the consumer hands it over, without a broker in between; what is asked of it is the same."""

    def __init__(self, topic: str, value: bytes, offset: int = 0, produced: int | None = None) -> None:
        self._said = (topic, value, offset, time.time_ns() // 10**6 if produced is None else produced)

    def topic(self) -> str:
        return self._said[0]

    def value(self) -> bytes:
        return self._said[1]

    def offset(self) -> int:
        return self._said[2]

    def partition(self) -> int:
        return 0

    def key(self) -> bytes | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, self._said[3]


def handed(*records: Record) -> Sequence[Message]:
    return [Handed(one.topic, msgspec.json.encode(one), n) for n, one in enumerate(records)]  # type: ignore[misc]


def writer_of(url: str, bootstrap: str = "127.0.0.1:1", stop: threading.Event | None = None) -> CacheWriter:
    letters = DeadLetters(bootstrap, "cache")
    return CacheWriter(Context(Settings(kafka=bootstrap, redis=url), stop or threading.Event(), Status(), letters))


def read(valkey: Valkey, key: str) -> Any:
    with redis.Redis.from_url(valkey.url) as client:
        value = client.get(key)
    return None if value is None else json.loads(value)


def test_keys_of_the_primary_venue_and_of_another(valkey: Valkey) -> None:
    writer = writer_of(valkey.url)
    one = tick("KEYS", update_id=7)
    writer.handle(handed(one, tick("KEYS", exchange="okx", update_id=9), kline("KEYS", now_us(), "venue", now_us())))
    writer.handle(handed(book("KEYS", 5), book("KEYS", 6, "diff")))
    found = read(valkey, "market_data:tick:binance:KEYS")
    assert found == read(valkey, "latest_tick:KEYS")
    assert {name: found[name] for name in Tick.__struct_fields__} == msgspec.to_builtins(one)
    assert (found["offset"], found["trade_id"], found["quote_id"]) == (0, 7, -1)
    assert read(valkey, "market_data:tick:okx:KEYS")["update_id"] == 9
    assert read(valkey, "market_data:kline:binance:KEYS:1m")["source"] == "venue"
    assert read(valkey, "market_data:orderbook:binance:KEYS")["last_update_id"] == 5
    writer.close()


def test_an_entry_lives_by_the_streams_clock(valkey: Valkey) -> None:
    writer = writer_of(valkey.url)
    now = time.time_ns() // 10**6
    last_year = now_us() - 365 * 86_400 * 10**6
    said = {
        "REPLAYED": (tick("REPLAYED", event_time=last_year, receive_time=last_year), now),
        "LATE": (tick("LATE", event_time=last_year, receive_time=last_year + 60_000_000), now),
        "WAITED": (tick("WAITED"), now - 7200_000),
    }
    writer.handle([Handed(Tick.topic, msgspec.json.encode(one), 0, at) for one, at in said.values()])  # type: ignore[misc]
    with redis.Redis.from_url(valkey.url) as client:
        left = {name: client.pttl(f"latest_tick:{name}") for name in said}
    assert 3_590_000 < left["REPLAYED"] <= 3_600_000
    assert 3_530_000 < left["LATE"] <= 3_540_000
    assert left["WAITED"] == -2  # not there
    writer.close()


told = st.lists(st.tuples(st.sampled_from(["trade", "quote"]), st.integers(0, 12)), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(told, st.data())
def test_batches_and_repeats_end_where_single_records_end(
    valkey: Valkey, told: list[tuple[str, int]], data: st.DataObject
) -> None:
    symbol = f"BATCH{next(numbers)}"
    writer = writer_of(valkey.url)
    at = 0
    while at < len(told):
        size = data.draw(st.integers(1, len(told) - at))
        batch = handed(*(tick(symbol, kind, n) for kind, n in told[at : at + size]))
        for _ in range(data.draw(st.integers(1, 2))):  # handed again, as after a store that was down
            writer.handle(batch)
        at += size
    newest = {"trade": -1, "quote": -1}
    last = None
    for kind, n in told:
        if n > newest[kind]:
            newest[kind], last = n, (kind, n)
    found = read(valkey, f"latest_tick:{symbol}")
    assert (found["trade_id"], found["quote_id"]) == (newest["trade"], newest["quote"])
    # Of the two newest the one that came last; a batch keeps one record of each kind, and those in their order.
    assert (found["kind"], found["update_id"]) == last
    writer.close()


def test_a_foreign_value_under_a_key_is_overwritten_and_stops_nobody(valkey: Valkey) -> None:
    writer = writer_of(valkey.url)
    key = "market_data:tick:binance:FOREIGN"
    with redis.Redis.from_url(valkey.url) as client:
        for spoil in (
            lambda: client.set(key, "no json"),
            lambda: client.set(key, "[1]"),
            lambda: client.set(key, '{"trade_id":"x","quote_id":null}'),
            lambda: client.rpush(key, "a list"),
        ):
            client.delete(key)
            spoil()
            writer.handle(handed(tick("FOREIGN", update_id=3)))
            assert read(valkey, key)["update_id"] == 3
    writer.close()


HOSTILE = (
    b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"exchange":"binance"}',
    msgspec.json.encode(msgspec.to_builtins(tick("HUGE")) | {"update_id": 2**60}),
    msgspec.json.encode(msgspec.to_builtins(tick("MINUS")) | {"update_id": -1}),
    msgspec.json.encode(msgspec.to_builtins(tick("KIND")) | {"kind": "rumour"}),
    b"[" * 100_000,
)  # fmt: skip


def test_from_the_topics_with_hostile_records_and_a_valkey_that_dies(bootstrap: str, tmp_path: Path, seed: int) -> None:
    ensure_topics(bootstrap, (*MARKET_TOPICS, DEAD_LETTERS))
    symbol = f"S{seed}"
    producer = Producer({"bootstrap.servers": bootstrap})

    def send(*values: bytes) -> None:
        for value in values:
            producer.produce(Tick.topic, value, b"cache-test", partition=3)
        assert producer.flush(30) == 0

    stop = threading.Event()
    with Valkey(tmp_path) as own:
        writer = writer_of(own.url, bootstrap, stop)
        writer.group = f"cache-{seed}"  # type: ignore[misc]
        thread = threading.Thread(target=writer.run)
        thread.start()
        try:
            send(*HOSTILE, b" " + msgspec.json.encode(tick(symbol, update_id=1)) + b"\n")
            eventually(lambda: read(own, f"latest_tick:{symbol}") is not None)
            eventually(lambda: writer.status.errors >= len(HOSTILE))  # others may have put more into these topics
            own.kill()
            send(HOSTILE[1], msgspec.json.encode(tick(symbol, update_id=2)))
            eventually(lambda: "Redis does not answer" in writer.status.note)
            assert not writer.status.ready
            own.start()
            eventually(lambda: (read(own, f"latest_tick:{symbol}") or {}).get("update_id") == 2)
            eventually(lambda: writer.status.ready and not writer.status.note)
            eventually(lambda: writer.status.errors >= len(HOSTILE) + 1)
        finally:
            stop.set()
            thread.join(30)
        assert not thread.is_alive()
    writer.context.dead_letters.flush(10)
    assert letters(bootstrap, b"cache-test") == [*HOSTILE, HOSTILE[1]]  # each once, however often its batch came


def letters(bootstrap: str, key: bytes) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "letters", "enable.auto.commit": False})
    _, end = consumer.get_watermark_offsets(TopicPartition(DEAD_LETTERS.name, 0), timeout=10)
    consumer.assign([TopicPartition(DEAD_LETTERS.name, 0, 0)])
    found = []
    while True:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        if message.key() == key:
            found.append(bytes(message.value() or b""))
        if int(message.offset() or 0) + 1 >= end:
            consumer.close()
            return found


def test_of_thousands_of_ticks_the_newest_of_each_symbol_stands(valkey: Valkey) -> None:
    writer = writer_of(valkey.url)
    for at in range(4):
        writer.handle(handed(*(tick(f"FAST{n % 5}", update_id=at * 5000 + n) for n in range(5000))))
    assert [read(valkey, f"latest_tick:FAST{symbol}")["trade_id"] for symbol in range(5)] == list(range(19_995, 20_000))
    writer.close()
