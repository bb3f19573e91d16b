"""What the analysis services share: candles of a stream in, closed and forming bars and their indicators out.

State is kept for each partition that is read. Every few seconds, and whenever a partition is given up, what was sent
is flushed and a snapshot of the state goes to `analysis-state`. Whoever takes a partition over loads the last snapshot,
reads on from its offset, whatever the group has committed, and finds in the topics themselves what has been written
since: a closed bar and a reading are not written twice, a forming bar is not written until that place is passed. The
same records give the same bars, so a SIGKILL leaves no trace. Without a snapshot all that the topic holds is read
again.

What this does not cover: a member that is stopped for longer than its session, loses its partitions, and then goes on
sending what it had in its queue.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from barnabas_quant.analysis.candles import Candles, TradeFields
from barnabas_quant.analysis.studies import Studies
from barnabas_quant.bus.marks import Mark
from barnabas_quant.bus.producer import PATIENCE, RecordProducer, encode
from barnabas_quant.bus.ranges import Partition, RangeReader
from barnabas_quant.bus.snapshots import VERSION, Snapshot, SnapshotStore
from barnabas_quant.bus.topics import ANALYSIS_STATE, DEAD_LETTERS, INDICATORS, partition_counts, topic_specs
from barnabas_quant.errors import BusError, QuantError, SettingsError, StateError
from barnabas_quant.model.intervals import SECOND, Interval, parse_intervals
from barnabas_quant.model.records import Kline, Reading, Record
from barnabas_quant.service import ConsumerService, Context

log = logging.getLogger(__name__)

UNREADABLE = (ValueError, msgspec.DecodeError, QuantError, RecursionError)
"""What a record that is none raises."""

_PATIENCE = 30.0  # seconds that Kafka may take to acknowledge before a snapshot
_ANSWER, _LAST = 10.0, 3.0  # seconds that it may take to say where a partition ends, the latter at our own end
_QUIET = 1.0  # seconds without a record after which a live stream's clock is the wall's
_LIVE = 60.0  # seconds between a trade and its record, at most, in a live stream


class _Written(msgspec.Struct):
    exchange: str
    symbol: str
    interval: str
    open_time: int
    closed: bool = True
    """A reading has no such field and is of a closed bar."""


_written = msgspec.json.Decoder(_Written)
_Key = tuple[str, str, str, str]  # topic, exchange, symbol, interval


class _Part:
    """Hold what belongs to one partition."""

    def __init__(self, candles: Candles, studies: Studies, next_offset: int) -> None:
        self.candles = candles
        self.studies = studies
        self.next_offset = next_offset
        self.saved_offset = next_offset
        self.advanced = False
        self.heard = self.moved = time.monotonic()
        self.live: set[str] = set()
        """Exchanges whose trades come as they happen."""
        self.written: dict[_Key, int] = {}
        """Open time of the last closed bar that stands in a topic already."""
        self.passed = -1
        """Offset up to which forming bars were told before."""


class CandleService(ConsumerService):
    """Turn records of trades, or of prices, into bars; what a record says is up to `read_all`."""

    creates = (*topic_specs([Kline.topic]), INDICATORS, ANALYSIS_STATE, DEAD_LETTERS)
    snapshot_every: ClassVar[float] = 5.0
    """Seconds between two snapshots."""
    behind: ClassVar[float] = 5.0
    """Seconds that the clock of a silent live stream is behind the wall's, for trades that are still under way."""
    silence: ClassVar[float] = 5.0
    """Seconds without a record after which trading that is over by the stream's clock is over."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        try:
            self.intervals = self.wanted_intervals()
            self.make_candles()
        except ValueError as error:
            raise SettingsError(f"computed: {error}") from error
        self._parts: dict[Partition, _Part] = {}
        self._producer = RecordProducer(self.settings.bootstrap, context.stop.is_set)
        self._store: SnapshotStore | None = None
        self._silent = False
        """Whether Kafka did not answer when a snapshot was made: then the end does not wait for it once more."""
        self._bounds: RangeReader | None = None
        self._counts: dict[str, int] = {}
        self._snapshot_at = time.monotonic() + self.snapshot_every

    def wanted_intervals(self) -> tuple[Interval, ...]:
        """Give the intervals of the bars. Raises ValueError."""
        return parse_intervals(",".join(self.settings.computed))

    def make_candles(self) -> Candles:
        """Make candles without any history."""
        return Candles(self.intervals)

    def read_all(self, batch: Sequence[Message]) -> list[TradeFields]:
        """Read records. Raises one of UNREADABLE where one of them cannot be used."""
        raise NotImplementedError

    def over(self, exchange: str, clock: int) -> int | None:
        """Give a time that trading is over at, for a venue whose stream has fallen silent at `clock`; None: not yet."""
        return None

    def handle(self, messages: Sequence[Message]) -> None:
        batches: dict[Partition, list[Message]] = {}
        for message in messages:
            batches.setdefault((message.topic(), message.partition()), []).append(message)  # type: ignore[arg-type]
        for at, batch in batches.items():
            part = self._parts.get(at)
            if part is None:
                continue  # given up while the batch came together: its next owner reads it
            if int(batch[0].offset() or 0) < part.next_offset:  # and got back at once
                batch = [message for message in batch if int(message.offset() or 0) >= part.next_offset]
            if batch:
                self._work(at, part, batch)
        self._snapshot_if_due()

    def _work(self, at: Partition, part: _Part, batch: list[Message]) -> None:
        try:
            trades, origins = self.read_all(batch), batch
        except UNREADABLE:
            trades, origins = [], []
            for message in batch:
                try:
                    trades += self.read_all([message])
                    origins.append(message)
                except UNREADABLE as error:
                    self._bury(message, "malformed", str(error))
        produced = max(int(batch[0].timestamp()[1]), int(batch[-1].timestamp()[1]))
        closed, remarks = part.candles.add(trades, produced * 1000)
        for index, text in remarks:
            self._bury(origins[index], text.partition(":")[0], text)
        last = int(batch[-1].offset() or 0)
        self._tell(at, part, closed, last)
        if last > part.passed:
            self._send(at, part.candles.forming(), last)
        part.next_offset = last + 1
        part.heard = time.monotonic()
        if trades:
            lag = int(origins[-1].timestamp()[1]) * 1000 - trades[-1].trade_time
            (part.live.add if abs(lag) < _LIVE * SECOND else part.live.discard)(trades[-1].exchange)

    def _bury(self, message: Message, kind: str, reason: str) -> None:
        self.status.error(kind)
        self.context.dead_letters.put_message(message, reason)

    def _tell(self, at: Partition, part: _Part, closed: list[Kline], offset: int) -> None:
        """Write closed bars and what indicators say about them, without those that stand there already."""
        records: list[Kline | Reading] = [*closed, *part.studies.readings(closed)]
        if part.written:
            records = [each for each in records if each.open_time > part.written.get(_key(each.topic, each), -1)]
        self._send(at, records, offset)

    def _send(self, at: Partition, records: Iterable[Record], offset: int) -> None:
        mark = Mark(self._source(at), (offset,))
        for record in records:
            self._producer.send(record.key, record.topic, encode(record), mark)

    def _source(self, at: Partition) -> str:
        return f"{self.name} {at[0]}-{at[1]}"

    def idle(self) -> None:
        now = time.monotonic()
        for at, part in self._parts.items():
            if now - part.heard < _QUIET or now - part.moved < _QUIET:
                continue
            part.moved = now
            for exchange, clock in part.candles.clocks().items():
                if exchange in part.live:
                    reached: int | None = round((time.time() - self.behind) * SECOND)
                else:
                    reached = self.over(exchange, clock) if now - part.heard >= self.silence else None
                closed = part.candles.advance(exchange, reached) if reached is not None else []
                if closed:
                    self._tell(at, part, closed, part.next_offset - 1)
                    part.advanced = True
        self._snapshot_if_due()

    def close(self) -> None:
        self._snapshot([at for at, part in self._parts.items() if _changed(part)])

    def revoked(self, partitions: list[TopicPartition]) -> None:
        given_up = [(at.topic, at.partition) for at in partitions if (at.topic, at.partition) in self._parts]
        self._snapshot([at for at in given_up if _changed(self._parts[at])])
        for at in given_up:
            del self._parts[at]

    def lost(self, partitions: list[TopicPartition]) -> None:
        for at in partitions:  # without a snapshot: it could take the place of one that the next member has made
            self._parts.pop((at.topic, at.partition), None)

    def assigned(self, partitions: list[TopicPartition]) -> None:
        snapshots = self._open_store().read((each.topic, each.partition) for each in partitions)
        for each in partitions:
            at = (each.topic, each.partition)
            part = self._resume(at, snapshots[at])
            if part is None:
                snapshots[at] = None
                part = _Part(self.make_candles(), Studies(), 0)
                each.offset = OFFSET_BEGINNING
            else:
                each.offset = part.next_offset
            self._parts[at] = part
        self._find_written(snapshots)

    def _open_store(self) -> SnapshotStore:
        if self._store is None:
            settings = self.settings
            state = ANALYSIS_STATE.name
            self._counts = partition_counts(settings.bootstrap, [Kline.topic, Reading.topic, state], _PATIENCE)
            partitions = self._counts.pop(state)
            self._store = SnapshotStore(settings.bootstrap, self.name, partitions)
        return self._store

    def _resume(self, at: Partition, snapshot: Snapshot | None) -> _Part | None:
        if snapshot is None:
            return None
        candles, studies = self.make_candles(), Studies()
        try:
            candles.load(snapshot.state["candles"])
            studies.load(snapshot.state["studies"])
        except (StateError, KeyError) as error:
            log.warning("%s: its snapshot cannot be used, all is read again: %s", self._source(at), error)
            return None
        return _Part(candles, studies, snapshot.next_offset)

    def _find_written(self, snapshots: dict[Partition, Snapshot | None]) -> None:
        """Find what was written after each snapshot: one walk over the topics for all partitions."""
        sources = {self._source(at): self._parts[at] for at in snapshots}
        with RangeReader(self.settings.bootstrap) as reader:
            outputs = [(topic, number) for topic, count in self._counts.items() for number in range(count)]
            ranges = {}
            for (topic, number), (low, end) in reader.bounds(outputs).items():
                starts = [_end_of(snapshot, topic, number) for snapshot in snapshots.values()]
                ranges[topic, number] = (max(low, min(starts, default=low)), end)
            for message in reader.read(ranges):
                mark = Mark.of(message)
                part = sources.get(mark.source) if mark is not None else None
                if mark is None or part is None:
                    continue
                try:
                    record = _written.decode(bytes(message.value() or b""))
                except msgspec.DecodeError:
                    continue  # written by somebody else under our mark
                if record.closed:
                    key = _key(str(message.topic()), record)
                    part.written[key] = max(part.written.get(key, -1), record.open_time)
                else:
                    part.passed = max(part.passed, mark.sequence[0])

    def _snapshot_if_due(self) -> None:
        if time.monotonic() >= self._snapshot_at:
            self._snapshot([at for at, part in self._parts.items() if _changed(part)])

    def _snapshot(self, partitions: list[Partition]) -> None:
        """Write snapshots of partitions, after all that was sent is acknowledged. Raises BusError."""
        self._snapshot_at = time.monotonic() + self.snapshot_every
        store = self._store
        if not partitions or store is None or self._silent:
            return
        self._silent = True  # until it has answered to all of it
        if self._producer.flush(_PATIENCE):
            raise BusError(f"{self.name}: Kafka acknowledges nothing")
        stopping = self.context.stop.is_set()
        written = self._ends(_LAST if stopping else _ANSWER)
        for at in partitions:
            part = self._parts[at]
            state = {"candles": part.candles.save(), "studies": part.studies.save()}
            store.put(at, Snapshot(VERSION, part.next_offset, written, state))
            part.saved_offset, part.advanced = part.next_offset, False
        if not store.flush(PATIENCE if stopping else _PATIENCE):
            raise BusError(f"{self.name}: a snapshot is not acknowledged")
        self._silent = False

    def _ends(self, seconds: float) -> dict[str, list[int]]:
        if self._bounds is None:
            self._bounds = RangeReader(self.settings.bootstrap)
        ends: dict[str, list[int]] = {}
        for topic, count in self._counts.items():
            bounds = self._bounds.bounds(((topic, number) for number in range(count)), seconds)
            ends[topic] = [bounds[topic, number][1] for number in range(count)]
        return ends


def _changed(part: _Part) -> bool:
    return part.next_offset != part.saved_offset or part.advanced


def _key(topic: str, record: Any) -> _Key:
    return (topic, record.exchange, record.symbol, record.interval)


def _end_of(snapshot: Snapshot | None, topic: str, number: int) -> int:
    ends = [] if snapshot is None else snapshot.written.get(topic, [])
    return ends[number] if number < len(ends) else 0
