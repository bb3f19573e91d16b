"""What the simulated exchange is told, and the limits of the venues that it keeps; every limit can be set for tests."""

from __future__ import annotations

from dataclasses import dataclass

BINANCE = "binance"
"""Binance spot."""

BINANCE_USDM = "binance_usdm"
"""Binance USD-M futures."""

OKX = "okx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hold the venues' limits, in seconds and counts, as their documentation has them (market.md)."""

    ping_seconds: float = 20.0
    """Between two pings of Binance's server."""
    pong_seconds: float = 60.0
    """That a ping of Binance may stay unanswered."""
    life_seconds: float = 24 * 3600.0
    """That a WebSocket connection lives."""
    notice_seconds: float = 60.0
    """Between the `serverShutdown` event and the end that it announces."""
    messages_a_second: int = 5
    """From a client of Binance spot: pings, pongs and commands together."""
    futures_messages_a_second: int = 10
    """The same for USD-M futures."""
    streams: int = 1024
    """Streams of one connection."""
    connections: int = 300
    """WebSocket handshakes from one address within `connections_seconds`."""
    connections_seconds: float = 300.0
    weight: int = 6000
    """REST weight of a minute, Binance spot."""
    futures_weight: int = 2400
    """REST weight of a minute, USD-M futures."""
    requests_until_ban: int = 10
    """Requests after a 429 that turn it into a 418."""
    ban_seconds: float = 120.0
    """Length of a ban."""
    okx_idle_seconds: float = 30.0
    """Without a message in either direction, after which OKX closes a connection."""
    okx_requests: int = 20
    """REST requests of OKX to one path within two seconds (candles and books: 40, history-trades: 20)."""
    waiting_bytes: int = 64 * 2**20
    """That may wait for a client that does not keep up; beyond it is dropped. Not where the play waits for clients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Bound what the exchange remembers of each symbol of each venue for its REST interface."""

    trades: int = 50_000
    minutes: int = 2_000
    """Bars of a minute."""
    seconds: int = 3_600
    """Bars of a second."""
    ids: int = 200_000
    """Ids a stream that the ledger keeps one by one; beyond that it keeps counts and sums."""
