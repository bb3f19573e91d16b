"""Marks: the header that says which place of which source a record came from, and where to resume by it.

A partition is written by one idempotent producer in the order of the source, so what stands in it is always a
beginning of what belongs there, whenever the writer was killed: the mark of its last record says all. Records of other
sources, or typed by hand, may stand behind it: they are looked through, backwards, in growing strides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from barnabas_quant.bus.ranges import Partition, RangeReader

HEADER = "source"

_LONGEST_STRIDE = 200_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Name a place in a source; places of one source compare by their sequence. Text: `identity#1.2.3`."""

    source: str
    sequence: tuple[int, ...]

    def encode(self) -> bytes:
        """Write the mark as the value of the header."""
        return f"{self.source}#{'.'.join(map(str, self.sequence))}".encode()

    @classmethod
    def decode(cls, value: bytes) -> Mark | None:
        """Read a header's value; None for one that is no mark."""
        source, found, places = value.decode("utf-8", "replace").rpartition("#")
        parts = places.split(".")
        if not found or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
            return None
        return cls(source, tuple(map(int, parts)))

    @classmethod
    def of(cls, message: Message) -> Mark | None:
        """Read the mark of a record; None where it has none."""
        headers = message.headers() or []
        for name, value in headers.items() if isinstance(headers, dict) else headers:
            if name == HEADER and isinstance(value, bytes):
                return cls.decode(value)
        return None


@dataclass(frozen=True, slots=True)
class Tail:
    """Hold the last record of a source in one partition: its place, and its bytes to recognise it by."""

    sequence: tuple[int, ...]
    value: bytes


def read_tails(bootstrap: str, topics: Mapping[str, int], source: str) -> dict[Partition, Tail]:
    """Find the last record of `source` in each partition of the topics (name to number of partitions).

    Partitions without one are left out. Raises BusError.
    """
    wanted = {(topic, number): (source,) for topic, count in topics.items() for number in range(count)}
    return {at: tails[source] for at, tails in read_tails_of(bootstrap, wanted).items() if tails}


def read_tails_of(bootstrap: str, wanted: Mapping[Partition, Collection[str]]) -> dict[Partition, dict[str, Tail]]:
    """Find the last record of each source that is wanted in a partition; those without one are left out.

    One walk serves all sources; it ends where all are found, or at the partition's beginning. Raises BusError.
    """
    tails: dict[Partition, dict[str, Tail]] = {at: {} for at in wanted}
    missing = {at: set(sources) for at, sources in wanted.items()}
    with RangeReader(bootstrap) as reader:
        unknown = reader.bounds(at for at, sources in missing.items() if sources)
        stride = 1
        while unknown:
            ranges = {at: (max(low, end - stride), end) for at, (low, end) in unknown.items() if low < end}
            for message in reader.read(ranges):
                mark = Mark.of(message)
                at = (str(message.topic()), int(message.partition() or 0))
                if mark is not None and mark.source in missing[at]:
                    tails[at][mark.source] = Tail(mark.sequence, bytes(message.value() or b""))
            for at in ranges:
                missing[at] -= tails[at].keys()  # what an earlier stride holds of these is older
            unknown = {at: (unknown[at][0], start) for at, (start, _) in ranges.items() if missing[at]}
            stride = min(stride * 64, _LONGEST_STRIDE)
    return tails
