"""The accounts: every gateway follows their topic, one of them writes it.

The writer is who holds the topic's partition in the group `gateway-accounts`, and has since read up to where the topic
ended when it got it: what the writer before had acknowledged is known. A write is acknowledged by Kafka and applied by
our own reader before it is answered. Writes go one after the other, each decided on the account as it then is: of two
registrations of one name the second finds it taken. A gateway that was held up (a suspended machine) takes itself for
the writer again only after heartbeats of the group; what it had handed to its client before may still be written.

The book belongs to the loop; the reader's thread hands it batches, and waits until each is applied.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable

import msgspec
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as Place

from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError, RecordError, StoreUnavailable
from barnabas_quant.gateway.account_book import AccountBook
from barnabas_quant.gateway.tenure import Tenure
from barnabas_quant.gateway.web import Busy
from barnabas_quant.model.account import Account, encode_account
from barnabas_quant.service import Status

log = logging.getLogger(__name__)

GROUP = "gateway-accounts"

_PATIENCE = 5.0  # seconds that Kafka may take to acknowledge a record, and our reader to come to it
_ACCOUNTS = Account.topic

Decide = Callable[[Account | None], Account | None]
"""Say what an account is to become, None: it is removed. Raises a refusal to leave it as it is."""


class Accounts:
    """Follow the topic, and write it where this gateway is the one that does."""

    def __init__(self, bootstrap: str, status: Status, stop: threading.Event) -> None:
        """Take the bootstrap servers, what counts unusable records, and the event that ends the threads.

        A thread that fails sets it: a gateway that knows no users is of no use, and a new one is started.
        """
        self.book = AccountBook()
        self._bootstrap = bootstrap
        self._status = status
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name=name, daemon=True)
            for name, work in (("accounts", self._follow), ("accounts-writer", self._hold))
        ]
        self._failure: BaseException | None = None
        self._complaint = ""
        self._known_to = 0  # every record before this offset is applied
        self._end_at_start: int | None = None
        self._tenure = Tenure()
        self._moved = asyncio.Event()
        self._writing = asyncio.Lock()
        self._producer = Producer(
            client_settings(
                bootstrap,
                {
                    "enable.idempotence": True,
                    "acks": "all",
                    "linger.ms": 0,
                    "message.timeout.ms": round(_PATIENCE * 1000),
                },
            )
        )

    @property
    def ready(self) -> bool:
        """Tell whether everything is known that stood in the topic at the start."""
        return self._end_at_start is not None and self._known_to >= self._end_at_start

    @property
    def writer(self) -> bool:
        """Tell whether this gateway writes accounts."""
        return self._tenure.holds(time.monotonic(), self._known_to)

    def start(self) -> None:
        """Begin to follow, and to try to become the writer."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the end, once `stop` is set. Raises BusError where a thread has failed."""
        for thread in self._threads:
            thread.join(10)
        if self._failure is not None:
            raise BusError(f"the gateway's reader of accounts has failed: {self._failure!r}") from self._failure

    def known(self) -> AccountBook:
        """Give the accounts. Raises Busy while they are still being read."""
        if not self.ready:
            raise Busy("the gateway is still reading its accounts; try again in a moment")
        return self.book

    def must_write(self) -> None:
        """Raise Busy unless this gateway writes accounts."""
        if not self.writer:
            raise Busy("another gateway writes accounts: ask that one, or try again in a moment")

    async def change(self, user: str, decide: Decide) -> Account | None:
        """Change an account as `decide` says of it; give what it has become, None: it is removed.

        Raises Busy unless this gateway writes accounts, StoreUnavailable where Kafka does not acknowledge it (whether
        it is kept is then not known), and what `decide` raises.
        """
        # A client that goes does not end it half-way: the next one must find what it has written.
        return await asyncio.shield(asyncio.ensure_future(self._change(user, decide)))

    async def _change(self, user: str, decide: Decide) -> Account | None:
        async with self._writing:
            self.must_write()
            held = self.book.get(user)
            wanted = decide(held)
            if wanted != held:
                left = wanted if wanted is not None or held is None else _removed(held)
                await self._applied(await self._write(user.encode(), None if left is None else encode_account(left)))
            return wanted

    async def _write(self, key: bytes, value: bytes | None) -> int:
        answers: list[tuple[KafkaError | None, Message]] = []
        try:
            self._producer.produce(
                _ACCOUNTS, value, key, 0, on_delivery=lambda error, message: answers.append((error, message))
            )
        except (BufferError, KafkaException) as error:
            raise StoreUnavailable(f"{_ACCOUNTS}: Kafka takes no record: {error}") from error
        await asyncio.to_thread(self._producer.flush, _PATIENCE + 1)
        if not answers:
            raise StoreUnavailable(f"{_ACCOUNTS}: not acknowledged by Kafka; perhaps it is kept")
        refused, message = answers[0]
        if refused is not None:
            raise StoreUnavailable(f"{_ACCOUNTS}: not acknowledged by Kafka, perhaps it is kept: {refused.str()}")
        return int(message.offset() or 0)

    async def _applied(self, offset: int) -> None:
        """Wait until our reader has applied a record."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while self._known_to <= offset:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError as error:
            raise StoreUnavailable(f"{_ACCOUNTS}: written, but not read again within {_PATIENCE:g} s") from error

    # The threads

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failure = error
            self._stop.set()

    def _follow(self) -> None:
        """Read the topic from its beginning, for ever."""
        consumer = Consumer(
            client_settings(
                self._bootstrap,
                {
                    "group.id": f"{GROUP}-reader",  # asked for by the client; it joins nothing and commits nothing
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 50,
                    "fetch.queue.backoff.ms": 10,
                },
            )
        )
        try:
            while self._end_at_start is None and not self._stop.is_set():
                self._end_at_start = self._end(consumer)
            consumer.assign([Place(_ACCOUNTS, 0, OFFSET_BEGINNING)])
            while not self._stop.is_set():
                messages = consumer.consume(1000, 0.05)
                if messages:
                    self._hand_over(messages)
        finally:
            consumer.close()

    def _end(self, consumer: Consumer) -> int | None:
        """Give the topic's end; None where Kafka does not say it now."""
        try:
            return int(consumer.get_watermark_offsets(Place(_ACCOUNTS, 0), timeout=1.0)[1])
        except KafkaException as error:  # it has no leader yet, or Kafka is away
            log.debug("%s: %s", _ACCOUNTS, error)
            self._stop.wait(0.05)
            return None

    def _hand_over(self, messages: list[Message]) -> None:
        done = threading.Event()

        def apply() -> None:
            for message in messages:
                self._apply(message)
            done.set()
            self._moved.set()

        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(apply)
            while not done.wait(0.1) and not self._stop.is_set():
                pass

    def _apply(self, message: Message) -> None:
        error, offset = message.error(), int(message.offset() or 0)
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # the end may lie behind what compaction took away
                self._known_to = max(self._known_to, offset)
            else:
                self._complain(error)
            return
        key, value = message.key(), message.value()
        try:
            self.book.apply(None if key is None else bytes(key), None if value is None else bytes(value))
        except RecordError as wrong:
            self._status.error("malformed")
            log.warning("%s: record %d: %s", _ACCOUNTS, offset, wrong)
        self._known_to = max(self._known_to, offset + 1)

    def _complain(self, error: KafkaError) -> None:
        """Log what Kafka refuses, once as long as it is the same."""
        if (text := str(error.str())) != self._complaint:
            self._complaint = text
            log.warning("%s: %s", _ACCOUNTS, text)

    def _hold(self) -> None:
        """Be a member of the group; whoever has the partition is the writer."""
        mine = False

        def assigned(consumer: Consumer, places: list[Place]) -> None:
            nonlocal mine
            mine = mine or bool(places)
            consumer.incremental_assign([Place(place.topic, place.partition, OFFSET_END) for place in places])
            consumer.pause(places)  # what stands there is read by the other thread

        def gone(consumer: Consumer, places: list[Place]) -> None:
            nonlocal mine
            if places:
                mine = False
            consumer.incremental_unassign(places)

        consumer = Consumer(
            client_settings(
                self._bootstrap,
                {
                    "group.id": GROUP,
                    "client.id": "barnabas-quant-gateway",
                    "enable.auto.commit": False,
                    "partition.assignment.strategy": "cooperative-sticky",
                    "session.timeout.ms": 6000,  # the shortest that brokers allow: so long nobody writes after a kill
                    "heartbeat.interval.ms": 2000,
                },
            )
        )
        try:
            consumer.subscribe([_ACCOUNTS], on_assign=assigned, on_revoke=gone, on_lost=gone)
            while not self._stop.is_set():
                message = consumer.poll(0.1)
                if message is not None and (error := message.error()) is not None:
                    self._complain(error)
                if self._tenure.look(time.monotonic(), mine):
                    self._tenure.begin(self._end(consumer))
        finally:
            self._tenure.end()
            consumer.close()


def _removed(account: Account) -> Account:
    return msgspec.structs.replace(account, password="", keys=(), removed=time.time_ns() // 1000)
