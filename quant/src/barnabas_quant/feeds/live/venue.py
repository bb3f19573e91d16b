"""What a venue has to say for itself: its addresses, its words for subscribing, its frames, its REST interface.

Everything else (connections, order, gaps, books, Kafka) is the same for all venues and stands in the other modules. A
venue does no I/O of its own: REST goes through the `Rest` that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from barnabas_quant.feeds.live.rest import Rest
from barnabas_quant.feeds.live.symbol import SymbolState
from barnabas_quant.model import Kline, OrderBook, Trade

Handler = Callable[[bytes, int], None]
"""Take a frame's payload and when it came (microseconds since 1970). Raises FrameError for one that cannot be read."""

Notice = Literal["none", "stream", "answer", "refused", "shutdown", "unknown"]
"""What such a frame means.

Nothing; a frame of a stream not asked for; an order was carried out, or refused; the server is about to end; who knows.
"""


class Venue(Protocol):
    """Describe a venue."""

    exchange: str
    trade_stream: str
    """Name of the stream of trades in gap records: trade or aggTrade."""
    messages_a_second: float
    """Orders that a connection may send."""
    streams_a_connection: int
    most_orders: int
    """Streams that one order may name."""
    idle_ping: bytes | None
    """Text to send on a connection that is silent; None: pings of the WebSocket protocol do."""
    rest_weight: int
    """Weight of REST requests that a minute allows, where answers tell what is used of it."""
    rest_pause: float
    """Seconds between two REST requests."""
    streamed_books: bool
    """Whether a snapshot comes with each subscription to the depth, and `book` is not asked."""

    def url(self, base: str, stream: str) -> str:
        """Give the address to connect to for a stream."""

    def streams(self, symbol: str, kinds: Sequence[str], intervals: Sequence[str]) -> list[str]:
        """Name the streams of a symbol; kinds are trade, quote, depth, kline."""

    def handler(self, stream: str, state: SymbolState) -> Handler:
        """Give what reads the frames of a stream into the symbol's state."""

    def order(self, subscribe: bool, streams: Sequence[str], number: int) -> tuple[bytes, int]:
        """Write the message that subscribes or unsubscribes; say how many answers it has."""

    def stream_of(self, payload: bytes) -> bytes:
        """Name the stream of a frame, quickly; anything that is no stream's name for a frame of none."""

    def notice(self, payload: bytes) -> Notice:
        """Say what a frame means whose stream nobody knows."""

    async def book(self, rest: Rest, symbol: str) -> OrderBook:
        """Fetch a snapshot. Raises RestError."""

    async def trades(self, rest: Rest, symbol: str, first: int, last: int) -> list[Trade]:
        """Fetch the first of the trades of these ids, both inclusive, that the venue still has. Raises RestError.

        Some at a time; none: it has no more of them.
        """

    async def klines(self, rest: Rest, symbol: str, interval: str, start: int, end: int) -> list[Kline]:
        """Fetch the closed candles opening at start <= time < end, microseconds since 1970. Raises RestError."""
