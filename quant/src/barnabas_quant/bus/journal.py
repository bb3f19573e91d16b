"""The journal: in which order a deterministic service took its inputs, so that it can take them so again.

One topic of one partition, `engine-journal`, for all services; each reads its own entries. An entry is JSON and holds
places, not records: those stay in their topics. It is written, and acknowledged, before anything that follows from its
inputs is told. An entry says what number it has among its service's; one whose number was there already is passed over
(a process that was taken for dead wrote it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from confluent_kafka import Message

from barnabas_quant.bus.producer import RecordProducer
from barnabas_quant.bus.ranges import Partition, RangeReader, Records
from barnabas_quant.bus.topics import JOURNAL
from barnabas_quant.errors import BusError

AT: Partition = (JOURNAL.name, 0)

Run = tuple[str, int, int, int]
"""Topic, partition, first offset, how many."""


class Stop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hold that something was stopped, for a reason that lies in no record: it took too long over one, on that machine.

    A replay stops it at the same place, instead of asking it once more.
    """

    who: str
    """A strategy."""
    doing: str
    """Which of its methods was called."""
    reason: str
    trace: str = ""
    within: bool = True
    """Whether it was stopped within the entry before, which was being worked off; else after that."""
    over: tuple[str, int, int] | None = None
    """Within it, over which record: topic, partition, offset; None: over the beginning that the entry tells."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hold one step of a service: it began (`start`), or took these inputs in this order."""

    service: str
    n: int
    start: dict[str, dict[int, int]] = {}
    """With the first entry: where reading begins, by topic and partition."""
    settings: msgspec.Raw = msgspec.Raw(b"{}")
    """With every beginning: the settings that its decisions follow."""
    runs: list[Run] = []
    clock: int = 0
    """A reading of the clock after these inputs, microseconds since 1970 UTC; 0: none."""
    stop: Stop | None = None
    """An entry of its own: what was stopped."""


_decoder = msgspec.json.Decoder(Entry)


def runs_of(messages: Iterable[Any]) -> list[Run]:
    """Fold the places of records, in their order, into runs."""
    runs: list[list[Any]] = []
    for message in messages:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if runs and runs[-1][0] == topic and runs[-1][1] == partition and runs[-1][2] + runs[-1][3] == offset:
            runs[-1][3] += 1
        else:
            runs.append([topic, partition, offset, 1])
    return [(topic, partition, offset, count) for topic, partition, offset, count in runs]


def stops_of(entries: Iterable[Entry]) -> dict[int, list[Stop]]:
    """Give what was stopped within each entry, by the entry's number: it is told behind it."""
    found: dict[int, list[Stop]] = {}
    number = -1
    for entry in entries:
        if entry.stop is None:
            number = entry.n
        elif entry.stop.within:
            found.setdefault(number, []).append(entry.stop)
    return found


class Journal:
    """Write and read the entries of one service."""

    def __init__(self, bootstrap: str, service: str) -> None:
        self._bootstrap = bootstrap
        self._service = service
        self._producer = RecordProducer(bootstrap)
        self.next = 0
        """Number of the next entry."""

    def append(self, **fields: Any) -> None:
        """Write an entry and wait until it is acknowledged. Raises BusError."""
        entry = Entry(service=self._service, n=self.next, **fields)
        self._producer.send(self._service.encode(), JOURNAL.name, msgspec.json.encode(entry), None, 0)
        if self._producer.flush(30):
            raise BusError(f"{JOURNAL.name}: an entry is not acknowledged")
        self.next += 1

    def read(self, reader: RangeReader, begin: int) -> Iterator[Entry]:
        """Give the entries of this service from an offset on, to the end that the journal has now. Raises BusError."""
        low, end = reader.bounds([AT])[AT]
        for message in reader.read({AT: (max(low, begin), end)}):
            if message.key() != self._service.encode():
                continue
            entry = _decoder.decode(bytes(message.value() or b""))
            if entry.n == self.next:
                self.next += 1
                yield entry
            elif entry.n > self.next:
                raise BusError(f"{JOURNAL.name}: entry {self.next} of {self._service} is gone; retention took it?")

    def end(self) -> int:
        """Give the offset after the last entry of anybody. Raises BusError."""
        with RangeReader(self._bootstrap) as reader:
            return reader.bounds([AT])[AT][1]


def records_of(reader: Records, entries: list[Entry]) -> Iterator[tuple[Entry, list[Message]]]:
    """Give each entry with its records in their order. Raises BusError where some are gone."""
    ranges: dict[Partition, tuple[int, int]] = {}
    for entry in entries:
        for topic, partition, offset, count in entry.runs:
            begin, end = ranges.get((topic, partition), (offset, offset))
            ranges[topic, partition] = (min(begin, offset), max(end, offset + count))
    held: dict[tuple[str, int, int], Message] = {}
    if ranges:
        for message in reader.read(ranges):
            held[str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)] = message
    for entry in entries:
        try:
            yield (
                entry,
                [
                    held[topic, partition, offset + number]
                    for topic, partition, offset, count in entry.runs
                    for number in range(count)
                ],
            )
        except KeyError as error:
            topic, partition, offset = error.args[0]
            raise BusError(
                f"{entry.service}: a record that its journal names is gone: {topic}-{partition}, offset {offset}"
            ) from error
