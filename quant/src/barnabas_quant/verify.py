"""Compare what stands in the topics with what a capture holds: nothing lost, nothing twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from confluent_kafka import Message

from barnabas_quant.bus import MARKET_TOPICS, Mark, partition_counts, read_records
from barnabas_quant.errors import FrameError
from barnabas_quant.feeds import BinanceDecoder, Capture
from barnabas_quant.model import MARKET_RECORDS, Record

_WRAP = 2**64


@dataclass(slots=True)
class Sum:
    """Count records and add up their fingerprints, modulo 2^64: the same in whatever order they come."""

    count: int = 0
    checksum: int = 0

    def add(self, record: Record) -> None:
        """Count a record in."""
        self.count += 1
        self.checksum = (self.checksum + record.fingerprint()) % _WRAP


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold both sums of a topic, and how many of its records stand behind a later one of the same source."""

    topic: str
    capture: Sum
    kafka: Sum
    misplaced: int

    @property
    def same(self) -> bool:
        """Tell whether the topic holds exactly the capture's records, in the capture's order in each partition."""
        return self.capture == self.kafka and not self.misplaced


def verify(bootstrap: str, capture: Capture, complain: Callable[[int, str], None]) -> list[Verdict]:
    """Compare each market_data topic's records of a capture with the capture itself.

    Records of other sources are left out. Raises BusError, QuantError.
    """
    expected = sums_of_capture(capture, complain)
    found: dict[str, Sum] = defaultdict(Sum)
    misplaced: dict[str, int] = defaultdict(int)
    last: dict[tuple[str, int], tuple[int, ...]] = {}
    for message in read_records(bootstrap, partition_counts(bootstrap, [spec.name for spec in MARKET_TOPICS])):
        mark = Mark.of(message)
        if mark is None or mark.source != capture.identity:
            continue
        topic = str(message.topic())
        at = (topic, int(message.partition() or 0))
        # A frame gives a topic one record at most, so places rise strictly; a second copy of one shows here too.
        misplaced[topic] += mark.sequence <= last.get(at, ())
        last[at] = mark.sequence
        record = _decode(message)
        if record is None:
            found[topic].count += 1  # without its fingerprint the sums differ, as they should
        else:
            found[topic].add(record)
    return [Verdict(spec.name, expected[spec.name], found[spec.name], misplaced[spec.name]) for spec in MARKET_TOPICS]


def sums_of_capture(capture: Capture, complain: Callable[[int, str], None]) -> dict[str, Sum]:
    """Add up the records that a capture's frames give, by topic."""
    sums: dict[str, Sum] = defaultdict(Sum)
    decoder = BinanceDecoder(capture.exchange)
    for frame in capture.frames(complain):
        try:
            records = decoder.records(frame)
        except FrameError as error:
            complain(frame.sequence[-1], str(error))
            continue
        for record in records:
            sums[record.topic].add(record)
    return sums


_decoders = {record.topic: msgspec.json.Decoder(record) for record in MARKET_RECORDS}


def _decode(message: Message) -> Record | None:
    try:
        return _decoders[str(message.topic())].decode(bytes(message.value() or b""))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
