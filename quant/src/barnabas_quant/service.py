"""What a service is: one class that names its topics and its group, run as a process of its own.

A service promises to go on from its group's offsets, or from what it wrote, whenever it was killed. `ConsumerService`
brings the loop for those that read topics: a batch is handed to `handle`, and its offsets are committed when that has
returned, so that a record is handed out at least once; whoever needs exactly once makes its effect recognisable.
A store that is down (`StoreUnavailable`) holds the batch back and nothing else: it is tried again, ever more slowly,
while the member goes on heartbeating.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from prometheus_client import CollectorRegistry, Counter, Gauge

from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.topics import TopicSpec, client_settings, ensure_topics, topic_specs
from barnabas_quant.errors import BusError, StoreUnavailable
from barnabas_quant.settings import Settings

log = logging.getLogger(__name__)

Partition = tuple[str, int]
Settle = Callable[[], None]

_COMMIT_EVERY = 1.0  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries of a batch
_REFUSED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)


class Status:
    """Count what a service does, for the status line and for Prometheus. Any thread may call it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.ready = False
        """True once the service does its work."""
        self.note = ""
        """A few words for the status line: played, resynchronising ETHUSDT, waiting for Redis."""
        self.lag: int | None = None
        """Records that its group has not read; None where it reads no topic or does not know."""
        registry = self.registry
        self._records = Counter("barnabas_quant_records", "Records that the service has worked off", registry=registry)
        self._errors = Counter("barnabas_quant_errors", "What it could not use", ["reason"], registry=registry)
        self._lag = Gauge("barnabas_quant_lag", "Records not read yet", registry=registry)
        self._lag.set_function(lambda: float("nan") if self.lag is None else self.lag)
        self.records = 0
        self.errors = 0

    def count(self, records: int = 1) -> None:
        """Add records worked off."""
        self.records += records
        self._records.inc(records)

    def error(self, reason: str) -> None:
        """Add something that could not be used; `reason` is one of a few words, a label of the metric."""
        self.errors += 1
        self._errors.labels(reason).inc()


@dataclass(frozen=True, slots=True)
class Context:
    """Give a service what it works with."""

    settings: Settings
    stop: threading.Event
    """Set when the service is to end."""
    status: Status
    dead_letters: DeadLetters


class Service:
    """Be the base of all services; `run` works until `context.stop` is set."""

    name: ClassVar[str]
    """Name of the process, its log and its metrics: lower-case words with dashes."""
    summary: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    """Stores and processes that it asks beside Kafka: redis, clickhouse, exchange."""
    creates: ClassVar[tuple[TopicSpec, ...]] = ()
    """Topics of its own that it makes where they are missing."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings
        self.status = context.status

    @classmethod
    def wanted(cls, settings: Settings) -> bool:
        """Tell whether `up` starts it with these settings when no list of services is given."""
        return True

    @classmethod
    def simulated(cls, settings: Settings) -> bool:
        """Tell whether it asks the simulated exchange: where that is so, `up` starts one."""
        return "exchange" in cls.needs

    def run(self) -> None:
        """Work until told to stop."""
        raise NotImplementedError


class ConsumerService(Service):
    """Read topics as a member of a group."""

    group: ClassVar[str]
    topics: ClassVar[tuple[str, ...]]
    batch: int = 5000
    """Records handed out at once, at most."""
    wait: float = 0.1
    """Seconds that a batch may take to come together."""
    start_from: ClassVar[str] = "earliest"
    """Where a group without offsets begins: earliest or latest."""

    def handle(self, messages: Sequence[Message]) -> Settle | None:
        """Work off a batch, in the order of each partition; on return all of it is done.

        Where the rest of the work goes on by itself, answer what waits for it: the next batch is read and handed out
        meanwhile, then it is called, and the batch is done when it returns. Both raise StoreUnavailable where the same
        records are to come again, those of a batch that was handed out behind them with them.
        """
        raise NotImplementedError

    def assigned(self, partitions: list[TopicPartition]) -> None:
        """Take over partitions; the `offset` of each, negative where none is committed, may be changed.

        Raises StoreUnavailable where that cannot be said yet: it is asked again.
        """

    def revoked(self, partitions: list[TopicPartition]) -> None:
        """Give up partitions in order; what `handle` returned from is committed already."""

    def lost(self, partitions: list[TopicPartition]) -> None:
        """Note that partitions were taken away, the group having heard nothing for too long.

        Another member may have them by now, and go on from what was last committed. As `revoked` unless overridden.
        """
        self.revoked(partitions)

    def held(self) -> Mapping[Partition, int]:
        """Give, by partition, from which offset on nothing may be committed though `handle` has returned from it."""
        return {}

    def idle(self) -> None:
        """Be called between batches, some ten times a second. May raise StoreUnavailable."""

    def close(self) -> None:
        """Be called once, at the end; the last offsets are committed after it."""

    def run(self) -> None:
        """Read and handle until told to stop. Raises BusError where Kafka refuses for good."""
        ensure_topics(self.settings.bootstrap, (*self.creates, *topic_specs(self.topics)))
        reader = _Reader(self)
        try:
            reader.run()
        finally:
            reader.close()


class _Reader:
    """Run the loop of one ConsumerService."""

    def __init__(self, service: ConsumerService) -> None:
        self._service = service
        self._status = service.status
        self._stop = service.context.stop
        self._done: dict[Partition, int] = {}  # the offset after the last record that was handled
        self._committed: dict[Partition, int] = {}
        self._gone: set[Partition] = set()  # given up while a batch was held back
        self._unsettled: list[Any] = []  # the batch that is still being worked off, and what waits for it
        self._wait_for: Settle | None = None
        self._commit_at = time.monotonic() + _COMMIT_EVERY
        self._complaint = ""  # what the status line says of a store that is down
        settings = service.settings
        self._consumer = Consumer(
            client_settings(
                settings.bootstrap,
                {
                    "group.id": service.group,
                    "client.id": f"barnabas-quant-{service.name}",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "on_commit": self._answered,
                    "auto.offset.reset": service.start_from,
                    "partition.assignment.strategy": "cooperative-sticky",
                    # The shortest that brokers allow: after a SIGKILL the next member waits this long for the old one.
                    "session.timeout.ms": 6000,
                    "heartbeat.interval.ms": 2000,
                    "fetch.wait.max.ms": 100,
                    "fetch.min.bytes": 1,
                    # By default a full queue is left alone for a whole second, in which it runs dry: 160,000 records/s.
                    "fetch.queue.backoff.ms": 10,
                    "fetch.message.max.bytes": 4 * 2**20,
                    "queued.max.messages.kbytes": 65536,
                },
            )
        )
        self._consumer.subscribe(
            list(service.topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )

    def run(self) -> None:
        service = self._service
        while not self._stop.is_set():
            messages = self._consumer.consume(service.batch, service.wait)
            good = [message for message in messages if message.error() is None or self._is_record(message)]
            if good:
                self._handle(good)
            elif self._wait_for is not None:
                self._finish()
            self._attempt(service.idle)
            if time.monotonic() >= self._commit_at:
                self._commit(wait=False)
                self._measure()

    def close(self) -> None:
        try:
            self._attempt(self._settle)
            self._attempt(self._service.close)
        finally:
            self._commit(wait=True)
            self._consumer.close()

    def _handle(self, messages: list[Any]) -> None:
        """Hand a batch over, then wait for the one before it; again and again while a store is down.

        Partitions given up meanwhile are left out, even where they came back: they begin anew at what is committed.
        """
        pause = _FIRST_PAUSE
        self._gone.clear()
        while messages:
            try:
                settle = self._service.handle(messages)
                self._settle()
                self._unsettled, self._wait_for = messages, settle
                if settle is None or pause > _FIRST_PAUSE:  # after a failure one after the other, until one is done
                    self._settle()
            except StoreUnavailable as error:
                self._status.ready = False
                self._complain(str(error))
                log.warning("%s: %s; the batch is tried again", self._service.name, error)
                if self._unsettled is not messages:
                    messages = [*self._unsettled, *messages]
                self._unsettled, self._wait_for = [], None
                if self._pause(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE)
                messages = [message for message in messages if _at(message) not in self._gone]
                continue
            break
        self._status.ready = True
        self._complain("")

    def _finish(self) -> None:
        """Wait for the batch that is still being worked off; hand it over again where that fails."""
        try:
            self._settle()
        except StoreUnavailable as error:
            log.warning("%s: %s; the batch is tried again", self._service.name, error)
            messages, self._unsettled, self._wait_for = self._unsettled, [], None
            self._handle(messages)

    def _settle(self) -> None:
        """Wait for the batch that is still being worked off. Raises StoreUnavailable: it is kept, to come again."""
        if self._wait_for is not None:
            self._wait_for()
        messages, self._unsettled, self._wait_for = self._unsettled, [], None
        done: dict[Partition, int] = {}
        for message in reversed(messages):  # the last of each partition counts
            if (at := (message.topic(), message.partition())) not in done:
                done[at] = message.offset() + 1
        self._done |= done
        self._status.count(len(messages))

    def _pause(self, seconds: float) -> bool:
        """Wait without reading, but as a live member; answer True when told to stop."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stop.is_set():
            held = self._consumer.assignment()
            self._consumer.pause(held)
            message = self._consumer.poll(min(left, 0.1))
            if message is not None and message.error() is None:  # a partition assigned this very moment
                self._consumer.seek(TopicPartition(*_at(message), int(message.offset() or 0)))
        self._consumer.resume(self._consumer.assignment())
        return self._stop.is_set()

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreUnavailable as error:
            self._complain(str(error))
        else:
            self._complain("")

    def _complain(self, text: str) -> None:
        """Say of a store that it is down, or (empty) no more; a note of the service itself is left alone."""
        if text or self._status.note == self._complaint:
            self._status.note = text
        self._complaint = text

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.fatal() or error.code() in _REFUSED:
            raise BusError(f"the consumer of group {self._service.group} has failed: {error.str()}")
        log.debug("%s: %s", self._service.name, error.str())
        return False

    def _measure(self) -> None:
        lag = 0
        for at in self._consumer.assignment():
            low, high = self._consumer.get_watermark_offsets(at, cached=True)
            unread = low if self._service.start_from == "earliest" else high
            if high >= 0:
                lag += max(0, high - max(low, self._done.get((at.topic, at.partition), unread)))
        self._status.lag = lag

    def _commit(self, wait: bool) -> None:
        self._commit_at = time.monotonic() + _COMMIT_EVERY
        held = self._service.held()
        done = {at: min(offset, held.get(at, offset)) for at, offset in self._done.items()}
        moved = {at: offset for at, offset in done.items() if self._committed.get(at) != offset}
        if not moved:
            return
        if self._service.context.dead_letters.flush(_LONGEST_PAUSE):
            log.warning("%s: dead letters are not acknowledged yet; offsets wait for them", self._service.name)
            return
        offsets = [TopicPartition(*at, offset) for at, offset in moved.items()]
        try:
            if wait:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:  # they are read once more: nothing is lost by it
            log.warning("%s: offsets were not committed: %s", self._service.name, error)
            return
        self._committed.update(moved)

    def _answered(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Take the broker's answer to a commit that nobody waited for: what it refused is committed again."""
        for at in offsets:
            if error is not None or at.error is not None:
                self._committed.pop((at.topic, at.partition), None)

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            committed = consumer.committed([TopicPartition(at.topic, at.partition) for at in partitions], timeout=10)
            places = {(at.topic, at.partition): at.offset for at in committed if at.offset >= 0}
            self._done |= places
            self._committed |= places
            for at in partitions:
                at.offset = places.get((at.topic, at.partition), at.offset)
        except KafkaException as error:
            log.warning("%s: committed offsets are not known: %s", self._service.name, error)
        while not self._stop.is_set():
            try:
                self._service.assigned(partitions)
                break
            except StoreUnavailable as error:  # a service that asks its store where to begin cannot begin without it
                self._complain(str(error))
                self._stop.wait(0.5)
        self._complain("")
        self._status.ready = True
        consumer.incremental_assign(partitions)

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._attempt(self._settle)  # what fails now comes again, without what is given up
        self._commit(wait=True)
        self._service.revoked(partitions)
        self._forget(partitions)

    def _lose(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("%s: partitions were taken away: %s", self._service.name, partitions)
        self._forget(partitions)
        self._service.lost(partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        for at in partitions:
            place = (at.topic, at.partition)
            self._done.pop(place, None)
            self._committed.pop(place, None)
            self._gone.add(place)
        if self._unsettled:
            self._unsettled = [message for message in self._unsettled if _at(message) not in self._gone]


def _at(message: Message) -> Partition:
    return str(message.topic()), int(message.partition() or 0)
