"""A service whose outputs follow from its inputs and their order alone: killed anywhere, it goes on without a trace.

How it works
- It reads partitions by itself, not as a member that shares them: one process takes them all, in the order in which
  they come. That order is written to the journal first, and acknowledged; then the inputs are worked off, and what
  follows from them is told. Every output carries its number in its mark.
- A snapshot of all that it remembers is kept every few seconds, together with its place in the journal. After a crash
  the last snapshot is loaded, the journal's entries since are read and worked off once more, and of the outputs that
  are made so, those that stand in their topics already (the number of the last one there says so) are not told again.
- Where nothing comes, time may matter: a reading of the clock, once a second where it could change anything, is an
  input as well, and stands in the journal.
- What depends on the machine and not on the inputs (a strategy that took too long) is an entry of its own, behind the
  one that was being worked off; so whoever replays looks ahead, and stops it at the same place. While recovering,
  nothing new is decided so before the last entry, nor before the last output that stands in the topics.
- So recovery takes as long as the inputs since the last snapshot, whatever came before. Each output topic has one
  partition and one writer, in whose order numbers rise; records of others between them do no harm.
- Offsets are committed to the group's name so that anybody can see the lag; nothing is ever resumed from them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from barnabas_quant.bus.journal import AT, Entry, Journal, Stop, records_of, runs_of, stops_of
from barnabas_quant.bus.marks import Mark, read_tails_of
from barnabas_quant.bus.producer import PATIENCE, RecordProducer
from barnabas_quant.bus.ranges import Partition, RangeReader, Records
from barnabas_quant.bus.snapshots import VERSION, Snapshot, SnapshotStore
from barnabas_quant.bus.topics import (
    ANALYSIS_STATE,
    DEAD_LETTERS,
    JOURNAL,
    client_settings,
    ensure_topics,
    partition_counts,
    topic_specs,
)  # fmt: skip
from barnabas_quant.errors import BusError, RecordError, StateError
from barnabas_quant.service import Context, Service

log = logging.getLogger(__name__)

Said = tuple[str, bytes, bytes]
"""An output: topic, key, value."""

_ENTRIES = 500  # of the journal, worked off at a time
_BATCH = 2000  # records, at most
_SLICE = 0.005  # seconds after which a signal among what is gathered is seen


class JournaledService(Service):
    """Be the base: what is read, what is told, and an object that makes the one of the other."""

    group: ClassVar[str]
    tells: ClassVar[tuple[str, ...]]
    """Topics that it writes to, of one partition each."""
    from_the_beginning: ClassVar[frozenset[str]] = frozenset()
    """Topics that it reads from their first record when it has never run; of the others it reads what comes."""
    snapshot_every: ClassVar[float] = 10.0
    """Seconds between two snapshots."""
    gathers: ClassVar[float] = 0.05
    """Seconds for which records are gathered before they are worked off."""
    state_form: ClassVar[str] = "service"
    """Names the form of what `save` gives: a snapshot of another one is not read, the whole journal is."""
    clock_every: ClassVar[float] = 1.0
    """Seconds between two readings of the clock, where they are wanted."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._journal = Journal(self.settings.bootstrap, self.name)
        self._producer = RecordProducer(self.settings.bootstrap, context.stop.is_set, linger_ms=1)
        self._places: dict[Partition, int] = {}  # the next offset of each partition
        self._said = 0  # number of the next output
        self._stand: dict[str, int] = {}  # of each topic told, the number of its last output; while recovering
        self._settings = b""
        self._at: Partition | None = None  # what is being taken: topic and partition; None: a beginning
        self._stops: list[Stop] = []  # what the journal says was stopped within the entry that is worked off
        self._newest = True  # whether the journal holds no later entry
        self._committed: dict[Partition, int] = {}
        self._hears: Callable[[Said], None] | None = None
        """Who is told instead of the topics: in a replay."""

    # What a service brings

    def reads(self) -> tuple[str, ...]:
        """Give the topics that it reads."""
        raise NotImplementedError

    def decides_by(self) -> bytes:
        """Give the settings that its decisions follow, as JSON: they are inputs as well."""
        raise NotImplementedError

    def begin(self, settings: bytes, state: bytes | None) -> list[Said]:
        """Make what decides, by these settings, from what `save` gave or anew; give what it says at once."""
        raise NotImplementedError

    def take(self, message: Message) -> list[Said]:
        """Take one record. Raises RecordError where it cannot be used."""
        raise NotImplementedError

    def wants_clock(self) -> bool:
        """Tell whether a reading of the clock could change anything now: each is an entry of the journal."""
        return False

    def clock(self, time: int) -> list[Said]:
        """Take a reading of the clock, microseconds since 1970 UTC."""
        return []

    def save(self) -> bytes:
        """Give all that it remembers."""
        raise NotImplementedError

    def stop(self, stop: Stop) -> list[Said]:
        """Stop what was stopped between two inputs."""
        return []

    def watched(self) -> AbstractContextManager[None]:
        """Watch over what is done meanwhile: inputs are worked off."""
        return nullcontext()

    # What a service asks

    def known_stops(self) -> Iterable[Stop]:
        """Give what the journal says was stopped over the input, or the beginning, that is being worked off."""
        place = self._place()
        return [stop for stop in self._stops if stop.over == place]

    @property
    def may_stop(self) -> bool:
        """Tell whether something may be stopped now that the journal does not know: nothing was told beyond this."""
        return self._newest and self._said > max(self._stand.values(), default=-1)

    def note_stop(self, stop: Stop) -> None:
        """Write down what is being stopped, before anything follows from it. Raises BusError, StateError."""
        if not self._newest:
            raise StateError(f"{self.name}: {stop.who}, {stop.doing}: {stop.reason}; it had not failed there before")
        if stop.within:
            stop = msgspec.structs.replace(stop, over=self._place())
        self._journal.append(stop=stop)

    def _place(self) -> tuple[str, int, int] | None:
        return None if self._at is None else (*self._at, self._places[self._at])

    # The loop

    def run(self) -> None:
        """Recover, then read and tell until told to stop. Raises BusError where Kafka refuses for good."""
        topics = self.reads()
        specs = topic_specs((*topics, *self.tells, JOURNAL.name, ANALYSIS_STATE.name, DEAD_LETTERS.name))
        ensure_topics(self.settings.bootstrap, specs)
        store = SnapshotStore(
            self.settings.bootstrap, self.name, partition_counts(self.settings.bootstrap, [ANALYSIS_STATE.name])
            [ANALYSIS_STATE.name],
        )  # fmt: skip
        self._recover(store, topics)
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(*at, offset) for at, offset in self._places.items()])
            self._work(consumer, store)
        finally:
            if left := self._producer.flush(PATIENCE):
                log.warning("%s: %d outputs are not acknowledged; the next run tells them", self.name, left)
                self._producer.abandon()
            consumer.close()

    def _work(self, consumer: Consumer, store: SnapshotStore) -> None:
        self.status.ready = True
        snapshot_at = commit_at = clock_at = time.monotonic()
        moved = False
        while not self.context.stop.is_set():
            messages = self._good(self._next(consumer))
            if messages:
                self._journal.append(runs=runs_of(messages))
                self._take_all(messages)
                self.status.count(len(messages))
                moved = True
            now = time.monotonic()
            # Whoever is behind has not been told nothing: it has not listened. Full batches are a sign of that.
            if now >= clock_at and len(messages) < _BATCH:
                clock_at = now + self.clock_every
                if self.wants_clock():
                    reading = time.time_ns() // 1000
                    self._journal.append(clock=reading)
                    self.tell(self.clock(reading))
                    moved = True
            if now >= commit_at:
                commit_at = now + 1.0
                self._measure(consumer)
            if moved and now >= snapshot_at:
                snapshot_at, moved = now + self.snapshot_every, False
                self._snapshot(store)

    def _next(self, consumer: Consumer) -> list[Message]:
        """Give what is there; each batch is an entry of the journal, so what nobody waits for is gathered for a while.

        What somebody waits for (a signal, a command) goes at once, with what has come before it.
        """
        messages: list[Message] = consumer.consume(1, 0.05)
        until = time.monotonic() + self.gathers
        while messages and len(messages) < _BATCH and not any(m.topic() in self.from_the_beginning for m in messages):
            if (left := until - time.monotonic()) <= 0:
                break
            messages += consumer.consume(_BATCH - len(messages), min(left, _SLICE))
        return messages

    def _take_all(self, messages: Iterable[Message]) -> None:
        with self.watched():
            self._take_each(messages)

    def _take_each(self, messages: Iterable[Message]) -> None:
        for message in messages:
            at = (str(message.topic()), int(message.partition() or 0))
            offset = int(message.offset() or 0)
            self._at, self._places[at] = at, offset
            try:
                said = self.take(message)
            except RecordError as error:
                if self._hears is None:
                    self.context.dead_letters.put_message(message, str(error))  # after a crash perhaps once more
                    self.status.error("malformed")
                continue
            finally:
                self._at, self._places[at] = None, offset + 1
            self.tell(said)

    def tell(self, said: Iterable[Said]) -> None:
        """Tell outputs, each with its number; those that stand there already are only counted."""
        if self._hears is not None:
            for each in said:
                self._hears(each)
            return
        for topic, key, value in said:
            number = self._said
            self._said += 1
            if number > self._stand.get(topic, -1):
                self._producer.send(key, topic, value, Mark(self.name, (number,)), 0)

    # Going on

    def _recover(self, store: SnapshotStore, topics: tuple[str, ...]) -> None:
        """Come to where the journal ends."""
        self.status.note = "recovering"
        snapshot = store.read([AT])[AT]
        counts = partition_counts(self.settings.bootstrap, topics)
        tails = read_tails_of(self.settings.bootstrap, {(topic, 0): [self.name] for topic in self.tells})
        self._stand = {topic: tail[self.name].sequence[0] for (topic, _), tail in tails.items() if tail}
        if snapshot is not None and self.state_form not in snapshot.state:
            log.warning("%s: the snapshot has another form; the journal is worked off from its beginning", self.name)
            snapshot = None
        if snapshot is not None:
            held = msgspec.msgpack.decode(snapshot.state[self.state_form], type=_Held)
            self._journal.next, self._said = held.entry, held.said
            self._places = {(topic, partition): offset for topic, partition, offset in held.places}
            self._settings = held.settings
            self.begin(held.settings, held.state)  # what it says at once has been told
        begun, worked = snapshot is not None, 0
        with RangeReader(self.settings.bootstrap) as reader:
            entries = list(self._journal.read(reader, 0 if snapshot is None else snapshot.next_offset))
            stops = stops_of(entries)
            last = max((entry.n for entry in entries if entry.stop is None or not entry.stop.within), default=-1)
            for first in range(0, len(entries), _ENTRIES):
                for entry, messages in records_of(reader, entries[first : first + _ENTRIES]):
                    begun = True
                    worked += len(messages)
                    self._stops, self._newest = stops.get(entry.n, []), entry.n == last
                    self._follow(entry, messages)
        self._stops, self._newest = [], True
        with RangeReader(self.settings.bootstrap) as reader:
            bounds = reader.bounds((topic, number) for topic, count in counts.items() for number in range(count))
        new = {
            at: low if at[0] in self.from_the_beginning else end
            for at, (low, end) in bounds.items()
            if at not in self._places
        }
        places: dict[str, dict[int, int]] = {}
        for (topic, partition), offset in new.items():
            places.setdefault(topic, {})[partition] = offset
        settings = self.decides_by()
        self._stand = {}
        if not begun or new or settings != self._settings:
            state = self.save() if begun else None
            self._journal.append(start=places, settings=msgspec.Raw(settings))
            self._begin(settings, state, places)
        self.status.note = ""
        log.info("%s: went on after %d inputs of its journal", self.name, worked)

    def replay(self, records: Records | None = None) -> Iterator[Said]:
        """Give what it says on its journal from the first entry on, telling nobody.

        The records that the journal names are read from their topics, or from `records`. Raises BusError, StateError.
        """
        said: list[Said] = []
        self._hears = said.append
        with RangeReader(self.settings.bootstrap) as reader:
            entries = list(self._journal.read(reader, 0))
            stops = stops_of(entries)
            for first in range(0, len(entries), _ENTRIES):
                for entry, messages in records_of(records or reader, entries[first : first + _ENTRIES]):
                    self._stops, self._newest = stops.get(entry.n, []), False
                    self._follow(entry, messages)
                    yield from said
                    said.clear()

    def _follow(self, entry: Entry, messages: Sequence[Message]) -> None:
        if entry.stop is not None and not entry.stop.within:
            self.tell(self.stop(entry.stop))
        if entry.start or bytes(entry.settings) != b"{}":
            self._begin(bytes(entry.settings), self.save() if entry.n else None, entry.start)
        self._take_all(messages)
        if entry.clock:
            self.tell(self.clock(entry.clock))

    def _begin(self, settings: bytes, state: bytes | None, places: dict[str, dict[int, int]]) -> None:
        self._settings = settings
        for topic, partitions in places.items():
            for partition, offset in partitions.items():
                self._places[topic, partition] = offset
        with self.watched():
            said = self.begin(settings, state)
        self.tell(said)

    def _snapshot(self, store: SnapshotStore) -> None:
        """Keep all that is remembered, once what was told is acknowledged: it need not be told again."""
        state = self.save()
        if self._producer.flush(PATIENCE) or self.context.dead_letters.flush(PATIENCE):
            return
        places = [(*at, offset) for at, offset in self._places.items()]
        held = _Held(self._journal.next, self._said, self._settings, places, state)
        store.put(AT, Snapshot(VERSION, self._journal.end(), {}, {self.state_form: msgspec.msgpack.encode(held)}))
        store.flush(PATIENCE)

    # Kafka

    def _consumer(self) -> Consumer:
        own = {
            "group.id": self.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 50,
            "fetch.min.bytes": 1,
            "fetch.queue.backoff.ms": 10,
        }
        return Consumer(client_settings(self.settings.bootstrap, own))

    def _good(self, messages: Iterable[Message]) -> list[Message]:
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET or error.fatal():
                raise BusError(f"{self.name}: {message.topic()}-{message.partition()}: {error.str()}")
        return good

    def _measure(self, consumer: Consumer) -> None:
        lag = 0
        for at, offset in self._places.items():
            _, high = consumer.get_watermark_offsets(TopicPartition(*at), cached=True)
            lag += max(0, high - offset) if high >= 0 else 0
        self.status.lag = lag
        moved = {at: offset for at, offset in self._places.items() if self._committed.get(at) != offset}
        if moved:
            self._committed |= moved
            try:
                consumer.commit(offsets=[TopicPartition(*at, offset) for at, offset in moved.items()])
            except KafkaException as error:
                log.debug("%s: %s", self.name, error)


class _Held(msgspec.Struct, array_like=True):
    """Hold what a snapshot keeps beside the service's own state."""

    entry: int
    said: int
    settings: bytes
    places: list[tuple[str, int, int]]
    state: bytes
