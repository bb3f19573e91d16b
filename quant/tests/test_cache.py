"""The cache against a real Valkey: keys, lifetimes, and that what is older never takes the place of what is newer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.cache import Cache, book_key, kline_key, short_tick_key, tick_key
from barnabas_quant.cache.store import book_entry, kline_entry, lifetime, stamped, tick_entry
from barnabas_quant.errors import StoreUnavailable

from .stores import Valkey

HOUR = 3_600_000


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


def test_keys_are_as_the_documents_write_them() -> None:
    assert tick_key("binance", "BTCUSDT") == "market_data:tick:binance:BTCUSDT"
    assert kline_key("binance", "BTCUSDT", "1m") == "market_data:kline:binance:BTCUSDT:1m"
    assert book_key("binance", "BTCUSDT") == "market_data:orderbook:binance:BTCUSDT"
    assert short_tick_key("BTCUSDT") == "latest_tick:BTCUSDT"


def test_a_lifetime_is_an_hour_on_the_streams_clock() -> None:
    assert lifetime(None, 5, 1_000, 1_000) == HOUR
    assert lifetime(None, 5, 1_000, 61_000) == HOUR - 60_000  # it waited a minute in its topic
    assert lifetime(0, 120_000_000, 1_000, 1_000) == HOUR - 120_000  # it reached the feed two minutes late
    assert lifetime(None, 5, 0, HOUR) <= 0
    assert lifetime(7, 5, 1_000, 900) == HOUR  # clocks that differ a little make nothing younger than new


def test_what_is_stored_says_where_it_stood() -> None:
    assert json.loads(stamped(b'{"a":1}\n', 5, 7)) == {"a": 1, "produced": 5, "offset": 7}
    for bad in (b"", b"{}", b"[1]", b"{"):
        with pytest.raises(ValueError, match="not a JSON object"):
            stamped(bad, 1, 1)


# Each tick is (kind, id). What must stand there in the end: a tick that was newest of its kind when it came, the last
# of those; and both newest ids.
ids_of_ticks = st.integers(0, 2**53 - 1) | st.integers(0, 9)
ticks = st.lists(st.tuples(st.sampled_from(["trade", "quote"]), ids_of_ticks), min_size=1)
number = itertools.count()


@settings(max_examples=150, deadline=None)
@given(ticks)
def test_an_older_tick_never_overwrites_a_newer_one(valkey: Valkey, told: list[tuple[str, int]]) -> None:
    key = f"tick:{next(number)}"
    cache = Cache(valkey.url)
    newest = {"trade": -1, "quote": -1}
    last = None
    for kind, update_id in told:
        ids = (update_id, -1) if kind == "trade" else (-1, update_id)
        value = json.dumps({"kind": kind, "update_id": update_id}).encode()
        written = cache.write([tick_entry(key, value, kind, *ids, HOUR)])
        assert written == (update_id > newest[kind])
        if written:
            newest[kind] = update_id
            last = (kind, update_id)
    found = json.loads(cache.read(key) or b"")
    assert (found["kind"], found["update_id"]) == last
    assert (found["trade_id"], found["quote_id"]) == (newest["trade"], newest["quote"])
    cache.close()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 5)), min_size=1))
def test_of_candles_the_newest_stays_and_the_venues_own(valkey: Valkey, told: list[tuple[int, bool, int]]) -> None:
    key = f"kline:{next(number)}"
    cache = Cache(valkey.url)
    for open_time, venue, event_time in told:
        value = {"open_time": open_time, "source": "venue" if venue else "computed", "event_time": event_time}
        cache.write([kline_entry(key, json.dumps(value).encode(), open_time, venue, event_time, HOUR)])
    found = json.loads(cache.read(key) or b"")
    assert (found["open_time"], found["source"] == "venue", found["event_time"]) == max(told)
    cache.close()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**53 - 1), min_size=1))
def test_of_books_the_newest_stays(valkey: Valkey, told: list[int]) -> None:
    key = f"book:{next(number)}"
    cache = Cache(valkey.url)
    cache.write([book_entry(key, json.dumps({"last_update_id": one}).encode(), one, HOUR) for one in told])
    assert json.loads(cache.read(key) or b"")["last_update_id"] == max(told)
    cache.close()


def test_entries_expire(valkey: Valkey) -> None:
    cache = Cache(valkey.url)
    cache.write([book_entry("book:short", b'{"last_update_id":1}', 1, 123_456)])
    assert 120_000 < redis.Redis.from_url(valkey.url).pttl("book:short") <= 123_456
    cache.close()


def test_a_redis_that_is_gone_is_unavailable_and_one_that_comes_back_is_not(tmp_path: Path) -> None:
    with Valkey(tmp_path) as own:
        cache = Cache(own.url, patience=0.5)
        assert cache.read("x") is None
        own.kill()
        with pytest.raises(StoreUnavailable, match="Redis does not answer"):
            cache.read("x")
        with pytest.raises(StoreUnavailable):
            cache.write([book_entry("book:x", b'{"last_update_id":1}', 1, HOUR)])
        own.start()
        assert cache.write([book_entry("book:x", b'{"last_update_id":1}', 1, HOUR)]) == 1
        cache.close()
