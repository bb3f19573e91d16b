"""Entries that only ever get newer: one script a kind of record, each touching one key.

A value is the record's JSON as it stands in its topic, with `produced` (Kafka's timestamp, milliseconds) and `offset`
added. What is older than what a key holds is refused inside Redis, so it does not matter in which order writers come,
how often a record is written, or who died in between:

- ticks by their ids, trades and quotes each by their own (a value remembers the newest of both);
- candles by opening time, then a venue's before a computed one, then by event time;
- books by update id.

An entry lives an hour from when its record was new on the stream's own clock: how late it reached the feed, and how
long ago it was produced, are taken off. So a recording of last year is cached while it plays, and a live tick that
waited two hours in its topic is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import redis

from barnabas_quant.cache.keys import TTL
from barnabas_quant.errors import StoreUnavailable

# Whatever else stands under a key (another type, no JSON, a member that is no number) counts as nothing.
_HELD = """
local held = redis.pcall('GET', KEYS[1])
local readable, old = pcall(cjson.decode, type(held) == 'string' and held or '')
if not readable or type(old) ~= 'table' then old = nil end
local function number(name) return tonumber(old[name]) or -1 end
"""

_TICK = (
    _HELD
    + """
local trade, quote = tonumber(ARGV[3]), tonumber(ARGV[4])
if old then
  local held_trade, held_quote = number('trade_id'), number('quote_id')
  if ARGV[2] == 'trade' and trade <= held_trade or ARGV[2] == 'quote' and quote <= held_quote then return 0 end
  trade, quote = math.max(trade, held_trade), math.max(quote, held_quote)
end
local ids = string.format(',"trade_id":%.0f,"quote_id":%.0f}', trade, quote)
redis.call('SET', KEYS[1], string.sub(ARGV[1], 1, -2) .. ids, 'PX', ARGV[5])
return 1
"""
)

_KLINE = (
    _HELD
    + """
if old then
  local from = {number('open_time'), old['source'] == 'venue' and 1 or 0, number('event_time')}
  local to = {tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])}
  for i = 1, 3 do
    if to[i] < from[i] then return 0 end
    if to[i] > from[i] then break end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[5])
return 1
"""
)

_BOOK = (
    _HELD
    + """
if old and tonumber(ARGV[2]) <= number('last_update_id') then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
"""
)

_DOWN = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.BusyLoadingError,
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one write: the script, the key, and its arguments."""

    script: str
    key: str
    arguments: tuple[str | bytes | int, ...]


def stamped(value: bytes, produced: int, offset: int) -> bytes:
    """Add to a record's JSON when and where it stands in its topic. Raises ValueError for what is no JSON object."""
    body = value.strip()
    if not body.startswith(b"{") or not body.endswith(b"}") or len(body) < 3:
        raise ValueError("not a JSON object")
    return b'%s,"produced":%d,"offset":%d}' % (body[:-1], produced, offset)


def lifetime(event_time: int | None, receive_time: int, produced: int, now: int) -> int:
    """Give the milliseconds that an entry has left to live; 0 or less: it is too old to be cached.

    `event_time` and `receive_time` in microseconds, `produced` and `now` in milliseconds, since 1970.
    """
    late = 0 if event_time is None else max(0, receive_time - event_time) // 1000
    return TTL * 1000 - late - max(0, now - produced)


def tick_entry(key: str, value: bytes, kind: str, trade_id: int, quote_id: int, left: int) -> Entry:
    """Make the write of a tick; ids are those of the newest trade and quote known with it, -1 for none."""
    return Entry(_TICK, key, (value, kind, trade_id, quote_id, left))


def kline_entry(key: str, value: bytes, open_time: int, venue: bool, event_time: int, left: int) -> Entry:
    """Make the write of a candle."""
    return Entry(_KLINE, key, (value, open_time, int(venue), event_time, left))


def book_entry(key: str, value: bytes, last_update_id: int, left: int) -> Entry:
    """Make the write of a book."""
    return Entry(_BOOK, key, (value, last_update_id, left))


class Cache:
    """Write and read entries. Every method raises StoreUnavailable while Redis does not answer."""

    def __init__(self, url: str, patience: float = 2.0) -> None:
        """Connect to `redis://HOST:PORT/DATABASE` at first use; `patience` in seconds, of each answer."""
        self._redis: Any = redis.Redis.from_url(url, socket_timeout=patience, socket_connect_timeout=patience)
        self._shown = url.rpartition("@")[2]  # errors are shown to clients: no password

    def write(self, entries: Iterable[Entry]) -> int:
        """Write in one go, in order; answer how many were newer than what was there."""
        pipe = self._redis.pipeline(transaction=False)
        count = 0
        for entry in entries:
            pipe.eval(entry.script, 1, entry.key, *entry.arguments)
            count += 1
        return sum(self._ask(pipe.execute)) if count else 0

    def read(self, key: str) -> bytes | None:
        """Give an entry's JSON; None where there is none (any more)."""
        try:
            value: bytes | None = self._ask(lambda: self._redis.get(key))
        except redis.ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            return None  # a list, a hash, ... of somebody else's: the next write takes its place
        return value

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _ask(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except _DOWN as error:
            raise StoreUnavailable(f"Redis does not answer at {self._shown}: {error}") from error


def now_ms() -> int:
    """Give the wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
