"""Reads what strategies did: trade-signal, fills and strategy-events, from where they begin to whatever comes.

A thread of its own. What retention has taken from the first two is asked of the history once: the fills themselves, and
how many signals were decided about. Until the history answers, fills wait, so that they are counted in their order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus.topic_ids import topic_id
from barnabas_quant.bus.topics import client_settings, partition_counts
from barnabas_quant.errors import BusError, RecordError, StoreUnavailable
from barnabas_quant.history import ClickHouse, ClickHouseError
from barnabas_quant.history.records import stored_records
from barnabas_quant.model.trade_signal import TradeSignal
from barnabas_quant.settings import Settings
from barnabas_quant.strategies.switching import StrategyEvent
from barnabas_quant.trading.events import MAIN, Fill, Signal
from barnabas_quant.trading.inputs import inputs_of

log = logging.getLogger(__name__)

TOPICS = (TradeSignal.topic, Fill.topic, StrategyEvent.topic)

_BATCH = 500  # at most, handed on at once: so long the loop is busy with them
_ASK_AGAIN = 5.0  # seconds
_WAITING = 200_000  # fills that wait for the history at most; beyond that the reading waits

Told = tuple[Signal | Fill | StrategyEvent, int]
"""A record, and Kafka's timestamp in milliseconds."""


class Earlier(msgspec.Struct):
    """Hold what the history has of before the topics begin, beside the fills, which are handed on as any other."""

    signals: dict[str, int]
    complete: bool


class _Count(msgspec.Struct):
    strategy: str
    count: int


_DECIDED = """
SELECT strategy, uniqExact(subject) AS count FROM trade_decisions
WHERE account = {account:String} AND startsWith(subject, {prefix:String})
  AND toUInt64OrZero(substring(subject, length({prefix:String}) + 1)) < {low:UInt64}
GROUP BY strategy
"""


class StrategyFollower:
    """Read until `stop` is set; what is read is handed on in this thread."""

    def __init__(
        self, settings: Settings, stop: threading.Event, deliver: Callable[[list[Told], Earlier | None, bool], None]
    ) -> None:
        """Take who gets what is read: records, what came before all of them (once), whether all that stood is read."""
        self._settings = settings
        self._stop = stop
        self._deliver = deliver
        self._thread = threading.Thread(target=self._read, name="strategies", daemon=True)
        self._failure: BaseException | None = None
        self._ask_at = 0.0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end, once `stop` is set. Raises BusError where the reading itself has failed."""
        self._thread.join(15)
        if self._failure is not None:
            raise BusError(f"the gateway's reader of strategies has failed: {self._failure!r}") from self._failure

    def _read(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._failure = error
            self._stop.set()  # as of the other reader: a new gateway is started

    def _run(self) -> None:
        own = {
            "group.id": "gateway-strategies",  # asked for by the client; it joins nothing and commits nothing
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "fetch.queue.backoff.ms": 10,
        }
        consumer = Consumer(client_settings(self._settings.bootstrap, own))
        try:
            lows = self._begin(consumer)
            if lows is not None:
                self._follow(consumer, lows)
        finally:
            consumer.close()

    def _begin(self, consumer: Consumer) -> dict[str, int] | None:
        """Begin at the first record of each topic; give the offsets. None: told to stop."""
        while not self._stop.is_set():
            try:
                partition_counts(self._settings.bootstrap, TOPICS, 2.0)
                lows = {
                    topic: int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5)[0])
                    for topic in TOPICS
                }
            except (BusError, KafkaException) as error:
                log.debug("the topics of strategies: %s", error)
                self._stop.wait(0.1)
                continue
            consumer.assign([TopicPartition(topic, 0, low) for topic, low in lows.items()])
            return lows
        return None

    def _follow(self, consumer: Consumer, lows: Mapping[str, int]) -> None:
        missing, known, ready = set(TOPICS), False, False
        waiting: list[Told] = []
        while not self._stop.is_set():
            messages = consumer.consume(_BATCH, 0.05) if len(waiting) < _WAITING else []
            told: list[Told] = []
            for message in messages:
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        missing.discard(str(message.topic()))
                    continue
                found = _told(message, self._settings.primary)
                if found is not None:
                    (told if known or not isinstance(found[0], Fill) else waiting).append(found)
            earlier = None
            if not known and (found_earlier := self._earlier(lows)) is not None:
                before, earlier = found_earlier
                known, waiting = True, [*before, *waiting]
                for first in range(0, len(waiting), _BATCH):
                    self._deliver(waiting[first : first + _BATCH], None, ready)
                waiting = []
            if told or earlier is not None or ready != (not missing):
                ready = not missing
                self._deliver(told, earlier, ready)
            if not messages and not known:
                self._stop.wait(0.05)

    def _earlier(self, lows: Mapping[str, int]) -> tuple[list[Told], Earlier] | None:
        """Ask the history for what the topics hold no more, fills and the rest; None: it does not answer now."""
        fills, signals = lows[Fill.topic], lows[TradeSignal.topic]
        if not fills and not signals:
            return [], Earlier({}, True)
        if time.monotonic() < self._ask_at or self._settings.clickhouse is None:
            return None
        self._ask_at = time.monotonic() + _ASK_AGAIN
        client = ClickHouse(self._settings.clickhouse)
        try:
            found = self._stored_fills(client, fills)
            prefix = f"{TradeSignal.topic}-0-"
            counts = client.rows(_DECIDED, _Count, account=MAIN, prefix=prefix, low=signals) if signals else []
        except (StoreUnavailable, ClickHouseError, BusError) as error:
            log.warning("strategies: what fills and signals there were before is not known yet: %s", error)
            return None
        finally:
            client.close()
        return found, Earlier({each.strategy: each.count for each in counts}, len(found) == fills)

    def _stored_fills(self, client: ClickHouse, low: int) -> list[Told]:
        if not low:
            return []
        id = topic_id(AdminClient(client_settings(self._settings.bootstrap)), Fill.topic)
        if id is None:
            raise BusError(f"{Fill.topic}: there is no such topic any more")
        return [
            (msgspec.json.decode(record.value, type=Fill), record.produced)
            for record in stored_records(client, Fill.topic, str(id), {0: (0, low)})
        ]


def _told(message: Message, primary: str) -> Told | None:
    """Read a record; None for what is none, which others count."""
    topic, value, produced = str(message.topic()), bytes(message.value() or b""), int(message.timestamp()[1])
    try:
        if topic == StrategyEvent.topic:
            return msgspec.json.decode(value, type=StrategyEvent), produced
        for found in inputs_of(topic, value, produced, 0, int(message.offset() or 0), primary):
            if isinstance(found, Signal | Fill):
                return found, produced
    except (ValueError, RecursionError, RecordError):
        pass
    return None
