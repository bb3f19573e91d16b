"""Full speed for benches: frames prepared in blocks, sent at a stated rate while a core stays mostly free.

A block holds a few hundred frames of the streams that one connection has subscribed to, in turn, with gaps for ids and
time; filling it is one formatting of bytes. Streams are `SYMBOL@bookTicker` and `SYMBOL@trade`; every stream gets
equally many frames, ids rise by one from frame to frame in all of them alike, and prices go round within a block. The
rate is that of all connections together; a connection that does not keep up gets no frames meanwhile, and what it did
not get was not made. Faults and the combined property are not looked at; one shape a connection, that it began with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import chain, repeat

from barnabas_quant.exchange.binance_session import BinanceSession
from barnabas_quant.exchange.control import Controlled
from barnabas_quant.exchange.futures import futures_message
from barnabas_quant.exchange.ledger import Ledger
from barnabas_quant.exchange.market import Market
from barnabas_quant.exchange.messages import FuturesQuote, Message, Places, Quote, Trade, encode
from barnabas_quant.exchange.play import places_of
from barnabas_quant.exchange.wire import text_frame
from barnabas_quant.feeds import Instrument
from barnabas_quant.model import decimal_text

_TICK = 0.005  # seconds between two rounds
_BLOCK = 250  # frames of a block, at least one of each stream
_FIRST_ID = 10**15  # as many digits as all ids have that a run can reach
_ID = b"1000000000000000"
_TIME = b"1000000000000"
_WAITING = 4 * 2**20  # bytes that may wait for a connection before it is passed over


class _Block:
    """The frames of one connection, with gaps."""

    def __init__(self, streams: list[str], frames: list[list[bytes]]) -> None:
        self.streams = streams
        self.rounds = len(frames)
        self.frames = self.rounds * len(streams)
        whole = b"".join(chain.from_iterable(frames)).replace(b"%", b"%%")
        self._template = whole.replace(_ID, b"%d")
        self._ids = [whole_round.count(_ID) for whole_round in (b"".join(one) for one in frames)]

    def fill(self, first: int, now: bytes) -> bytes:
        """Write ids from `first` on, one a round, and the time."""
        ids = chain.from_iterable(repeat(first + n, count) for n, count in enumerate(self._ids))
        return self._template.replace(_TIME, now) % tuple(ids)


class RatePlay:
    """Send prepared frames to whoever subscribed."""

    def __init__(
        self,
        rate: int,
        traded: Iterable[Instrument],
        market: Market,
        ledger: Ledger,
        sessions: Callable[[], list[Controlled]],
    ) -> None:
        self.state = "playing"
        self.frames = 0
        self.behind = 0
        """Frames that the rate asked for and no connection had room for."""
        self._rate = rate
        self._market = market
        self._ledger = ledger
        self._sessions = sessions
        self._next_id = _FIRST_ID
        self._blocks: dict[int, _Block | None] = {}
        self._instruments = {instrument.symbol: instrument for instrument in traded}
        for symbol, instrument in self._instruments.items():
            places = places_of(instrument)
            names = [f"{symbol.lower()}@{kind}" for kind in ("bookTicker", "trade")]
            market.list_symbol(symbol, places if market.futures else Places(), places, names)

    def now(self) -> int:
        return time.time_ns() // 10**6

    def describe(self) -> dict[str, object]:
        return {"what": "prepared frames", "rate": self._rate, "behind": self.behind}

    def prepare(self) -> None:
        """Blocks are prepared for each connection when it comes."""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        owed, last = 0.0, loop.time()
        while True:
            await asyncio.sleep(_TICK)
            now = loop.time()
            mine = [session for session in self._sessions() if isinstance(session, BinanceSession)]
            blocks = [(session, block) for session in mine if (block := self._block(session)) is not None]
            whole = sum(block.frames for _, block in blocks)
            owed = min(owed + (now - last) * self._rate, self._rate * 1.0) if whole else 0.0
            last = now
            while whole and owed >= whole:
                owed -= whole
                self._send(blocks)

    def _send(self, blocks: list[tuple[BinanceSession, _Block]]) -> None:
        """Send every connection one block, all with the same ids."""
        now = b"%d" % self.now()
        sent: dict[str, None] = {}
        rounds = max(block.rounds for _, block in blocks)
        for session, block in blocks:
            socket = session.socket
            if socket is None or socket.ended:
                continue
            if socket.waiting > _WAITING:
                self.behind += block.frames
                continue
            socket.send(block.fill(self._next_id, now))
            session.delivered += block.frames
            self.frames += block.frames
            for stream in block.streams:
                if stream not in sent:
                    sent[stream] = None
                    self._ledger.made_block(stream, self._next_id, block.rounds)
        if sent:
            self._next_id += rounds

    def _block(self, session: BinanceSession) -> _Block | None:
        if session.venue != self._market.venue:
            return None
        known = self._blocks.get(session.number)
        streams = session.streams
        if known is None or known.streams != streams:
            known = self._blocks[session.number] = self._make(streams, session.combined)
        return known

    def _make(self, streams: list[str], combined: bool) -> _Block | None:
        mine = [stream for stream in streams if stream.partition(":")[2] in self._market.sources]
        if len(mine) != len(streams) or not streams:
            return None
        rounds = max(1, _BLOCK // len(streams))
        return _Block(streams, [[self._frame(stream, n, combined) for stream in streams] for n in range(rounds)])

    def _frame(self, stream: str, number: int, combined: bool) -> bytes:
        name = stream.partition(":")[2]
        payload = encode(self._message(name, number))
        return text_frame(b'{"stream":"%s","data":%s}' % (name.encode(), payload) if combined else payload)

    def _message(self, name: str, number: int) -> Message:
        symbol, _, kind = name.partition("@")
        instrument = self._instruments[symbol.upper()]
        price = instrument.price + number % 50

        def text(ticks: int) -> str:
            return decimal_text(ticks * instrument.tick)

        size = decimal_text((1 + number % 90) * instrument.lot)
        message: Message
        if kind == "trade":
            message = Trade(
                "trade", int(_TIME), instrument.symbol, int(_ID), text(price), size, int(_TIME), number % 2 == 0
            )
        else:
            message = Quote(int(_ID), instrument.symbol, text(price), size, text(price + 1), size)
        if self._market.futures:
            told = futures_message(message, places_of(instrument), int(_TIME))
            if isinstance(told, FuturesQuote):
                told.update_id = int(_ID)
            return told
        return message
