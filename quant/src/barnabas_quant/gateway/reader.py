"""What the gateway reads: every partition of its topics from now on, in a thread, a batch at a time to the loop.

It is no member of a group: each gateway shows everything, however many there are, and one that comes back has no use
for what it missed of the market. What the trading service tells is read from a little earlier: its newest records may
not be in the history yet, where the gateway reads those before them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from barnabas_quant.bus.topics import client_settings, partition_counts
from barnabas_quant.errors import BusError
from barnabas_quant.model import Kline, OrderBook, Tick, Trade
from barnabas_quant.model.stock import Stock, decode_stock, encode_stock
from barnabas_quant.model.trade_signal import TradeSignal
from barnabas_quant.service import Status
from barnabas_quant.settings import Settings
from barnabas_quant.trading.events import MAIN, OUTPUTS

log = logging.getLogger(__name__)

_TRADING = tuple(dict.fromkeys(output.topic for output in OUTPUTS))
TOPICS = (Tick.topic, Trade.topic, Kline.topic, OrderBook.topic, Stock.topic, TradeSignal.topic, *_TRADING)

BEFORE = 2000
"""Records of each topic of the trading service that are read from before the start."""

_BATCH = 5000
_WAIT = 0.005  # seconds that a batch may take to come together: this is what a tick waits at most


class Event(msgspec.Struct, frozen=True):
    """Hold one event for the hub; `record` is the topic's JSON, `produced` Kafka's timestamp in milliseconds."""

    stream: str
    place: str | None
    record: bytes
    produced: int
    series: str | None = None
    topic: str = ""
    """Of an account's event, which says what the record is."""
    before: bool = False
    """Whether it was told before the gateway began: no news for its clients."""

    def text(self) -> bytes:
        """Write the event as clients get it."""
        if self.topic:  # whose it is, its clients know
            return b'{"stream":"account","topic":"%s","data":%s}' % (self.topic.encode(), self.record)
        return b'{"stream":"%s","data":%s}' % (self.stream.encode(), self.record)


# Names become parts of a stream's name, which is written into JSON as it is.
_Name = Annotated[str, msgspec.Meta(pattern=r'^[^\x00-\x20"\\:*]{1,60}\Z')]


class _Named(msgspec.Struct):
    exchange: _Name
    symbol: _Name


class _Bar(msgspec.Struct):
    exchange: _Name
    symbol: _Name
    interval: _Name
    open_time: int
    source: Literal["venue", "computed"]


class _Book(msgspec.Struct):
    exchange: _Name
    symbol: _Name
    type: Literal["snapshot", "diff"]


class _Owned(msgspec.Struct):
    account: _Name = MAIN


_named = msgspec.json.Decoder(_Named).decode
_bar = msgspec.json.Decoder(_Bar).decode
_book = msgspec.json.Decoder(_Book).decode
_owned = msgspec.json.Decoder(_Owned).decode


def event_of(topic: str, value: bytes, produced: int) -> Event:
    """Make a record an event. Raises ValueError for what is no record of its topic."""
    value.decode()  # not all of it is checked below, and what is no UTF-8 would end the connections of its clients
    if topic == Tick.topic:
        tick = _named(value)
        stream = f"tick:{tick.exchange}:{tick.symbol}"
        return Event(stream, stream, value, produced)
    if topic == Trade.topic:
        trade = _named(value)
        return Event(f"trade:{trade.exchange}:{trade.symbol}", None, value, produced)
    if topic == Kline.topic:
        bar = _bar(value)
        stream = f"kline:{bar.exchange}:{bar.symbol}:{bar.interval}"
        series = f"{stream}@{bar.source}"  # a slow client loses no closed bar to the forming one after it
        return Event(stream, f"{series}@{bar.open_time}", value, produced, series)
    if topic == OrderBook.topic:
        book = _book(value)
        if book.type == "diff":
            return Event(f"depth:{book.exchange}:{book.symbol}", None, value, produced)
        stream = f"book:{book.exchange}:{book.symbol}"
        return Event(stream, stream, value, produced)
    if topic == Stock.topic:
        stock = decode_stock(value)
        stream = f"stock:{stock.symbol}"
        return Event(stream, stream, encode_stock(stock), produced)
    account = _owned(value).account
    if topic in _TRADING or account != MAIN:  # what the house's strategies want is for everybody to see
        return Event(f"account:{account}", None, value, produced, topic=topic)
    return Event("signal", None, value, produced)


class Reader:
    """Read in a thread of its own until `stop` is set; `deliver` gets each batch of events, in that thread."""

    def __init__(
        self, settings: Settings, status: Status, stop: threading.Event, deliver: Callable[[list[Event]], None]
    ) -> None:
        self._settings = settings
        self._status = status
        self._stop = stop
        self._deliver = deliver
        self._until: dict[tuple[str, int], int] = {}  # where those that were told before end
        self._since: dict[str, bool] = {}
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def whole(self, topic: str) -> bool | None:
        """Tell whether a topic of the trading service was read from its very beginning; None: it is not read yet."""
        return None if self._until else self._since.get(topic)

    def join(self) -> None:
        """Wait for the end, once `stop` is set. Raises BusError where the reading itself has failed."""
        self._thread.join(10)
        if self._failure is not None:
            raise BusError(f"the gateway's reader has failed: {self._failure!r}") from self._failure

    def _read(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._failure = error
            self._stop.set()  # a gateway that hears nothing any more is of no use: a new one is started

    def _run(self) -> None:
        consumer = Consumer(
            client_settings(
                self._settings.bootstrap,
                {
                    "group.id": "gateway",  # asked for by the client; it joins nothing and commits nothing
                    "enable.auto.commit": False,
                    "auto.offset.reset": "latest",
                    "fetch.wait.max.ms": 10,
                    "fetch.queue.backoff.ms": 5,
                    "queued.max.messages.kbytes": 65536,
                },
            )
        )
        try:
            self._assign(consumer)
            while not self._stop.is_set():
                messages = consumer.consume(_BATCH, _WAIT)
                if messages:
                    self._take(messages)
                    self._measure(consumer, messages)
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> None:
        while not self._stop.is_set():
            try:
                counts = partition_counts(self._settings.bootstrap, TOPICS, 2.0)
                every = [(topic, number) for topic, count in counts.items() for number in range(count)]
                places = [
                    TopicPartition(*at, self._early(consumer, *at) if at[0] in _TRADING else OFFSET_END) for at in every
                ]
            except (BusError, KafkaException) as error:
                self._status.note = str(error)
                continue
            consumer.assign(places)
            self._status.note = ""
            return

    def _early(self, consumer: Consumer, topic: str, number: int) -> int:
        """Give where to begin with what the trading service tells. Raises KafkaException."""
        low, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=2.0)
        begin = max(low, end - BEFORE)
        if begin < end:
            self._until[topic, number] = end
        self._since[topic] = self._since.get(topic, True) and begin == low
        return int(begin)

    def _take(self, messages: list[Message]) -> None:
        events = []
        for message in messages:
            if message.error() is not None:
                log.debug("reader: %s", message.error())
                continue
            topic, before = str(message.topic()), bool(self._until) and self._is_before(message)
            try:
                event = event_of(topic, bytes(message.value() or b""), int(message.timestamp()[1]))
            except (ValueError, RecursionError):
                self._status.error("malformed")
                continue
            events.append(msgspec.structs.replace(event, before=True) if before else event)
        self._status.count(len(events))
        self._deliver(events)

    def _is_before(self, message: Message) -> bool:
        at, offset = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
        end = self._until.get(at)
        if end is not None and offset + 1 >= end:
            del self._until[at]
        return end is not None and offset < end

    def _measure(self, consumer: Consumer, messages: list[Message]) -> None:
        last = messages[-1]
        if last.error() is not None:
            return
        at = TopicPartition(str(last.topic()), int(last.partition() or 0))
        try:
            _, high = consumer.get_watermark_offsets(at, cached=True)
        except KafkaException:
            return
        if high >= 0:
            self._status.lag = max(0, high - int(last.offset() or 0) - 1)
