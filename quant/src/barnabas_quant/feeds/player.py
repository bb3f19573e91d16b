"""The feed: frames in, records out to Kafka, going on exactly where the topics stop.

Before it plays, it reads the last record of its source from every partition. Frames up to there are decoded but not
written, partition by partition; the record at that very place must be, byte for byte, the one that stands there, or
the source is not the one that was played before and the feed refuses to go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from barnabas_quant.bus.marks import Mark, Tail, read_tails
from barnabas_quant.bus.partitioner import partition_of
from barnabas_quant.bus.producer import RecordProducer, encode
from barnabas_quant.bus.topics import MARKET_TOPICS, partition_counts
from barnabas_quant.errors import FrameError, ResumeError
from barnabas_quant.feeds.binance import BinanceDecoder
from barnabas_quant.feeds.pacing import Pacer
from barnabas_quant.feeds.sources import Source
from barnabas_quant.model import Frame, Record

FLUSH_PATIENCE = 30.0
"""Seconds that a feed waits for its last acknowledgements at its end."""


@dataclass(slots=True)
class Progress:
    """Count what a feed has done; written by the feed, read by whoever shows it."""

    frames: int = 0
    sent: int = 0
    skipped: int = 0
    """Records that stood in their topic already."""
    malformed: int = 0
    unacknowledged: int = 0
    """Records that the feed had to give up at its end; the next run makes them again."""
    state: str = "starting"
    """starting, playing, played (the source has ended, all is acknowledged), stopped."""


class Player:
    """Play a source into the market_data topics until it ends or `stop` is set."""

    def __init__(
        self,
        bootstrap: str,
        source: Source,
        pacer: Pacer,
        stop: threading.Event,
        complain: Callable[[int, str], None],
        give_up: Callable[[], bool] = lambda: False,
        letter: Callable[[bytes, str, str], None] = lambda text, reason, origin: None,
    ) -> None:
        """Take where to write, what, how fast.

        `complain` gets each malformed line, `letter` the bytes of a frame that is no record, with reason and origin;
        `give_up` says that Kafka is gone.
        """
        self._bootstrap = bootstrap
        self._source = source
        self._pacer = pacer
        self._stop = stop
        self._complain = complain
        self._letter = letter
        self._give_up = give_up
        self._decoder = BinanceDecoder(source.exchange)
        self._partitions: dict[str, int] = {}
        self._tails: Mapping[tuple[str, int], Tail] = {}
        self._last: tuple[int, ...] | None = None
        self._unconfirmed: list[tuple[tuple[int, ...], tuple[str, int]]] = []  # tails yet to be met, latest first
        self.progress = Progress()

    def run(self) -> None:
        """Play; on return everything written is acknowledged, unless `progress` says otherwise.

        Raises ResumeError, BusError, QuantError for an unreadable file.
        """
        self._partitions = partition_counts(self._bootstrap, [spec.name for spec in MARKET_TOPICS])
        self._tails = read_tails(self._bootstrap, self._partitions, self._source.identity)
        self._last = max((tail.sequence for tail in self._tails.values()), default=None)
        producer = RecordProducer(self._bootstrap, self._stop.is_set)
        ended = "stopped"
        try:
            self.progress.state = "playing"
            for frame in self._source.frames(self._last, self._report):
                if self._stop.is_set() or not self._play(frame, producer):
                    break
            else:
                ended = "played"
        finally:
            self.progress.sent = producer.sent
            self.progress.unacknowledged = producer.flush(FLUSH_PATIENCE, self._give_up)
            if self.progress.unacknowledged:
                producer.abandon()
            self.progress.state = ended

    def _report(self, number: int, reason: str) -> None:
        self.progress.malformed += 1
        self._complain(number, reason)

    def _play(self, frame: Frame, producer: RecordProducer) -> bool:
        """Play one frame; answer False when told to stop before it was due."""
        try:
            records = self._decoder.records(frame)
        except FrameError as error:
            self._report(frame.sequence[-1], str(error))
            self._letter(frame.text, str(error), f"{self._source.identity}#{frame.sequence[-1]}")
            return True
        self.progress.frames += 1
        due = [(record, encode(record)) for record in records]
        if self._last is not None:
            if self.progress.frames == 1:  # tails before its first frame are of what the source plays no more
                places = ((tail.sequence, at) for at, tail in self._tails.items() if tail.sequence >= frame.sequence)
                self._unconfirmed = sorted(places, reverse=True)
            due = [(record, value) for record, value in due if not self._stands(record, value, frame.sequence)]
            self.progress.skipped += len(records) - len(due)
            self._confirm(frame.sequence)
        if not due:
            return True
        if self._stop.wait(wait) if (wait := self._pacer.wait(frame.received)) else self._stop.is_set():
            return False
        mark = Mark(self._source.identity, frame.sequence)
        for record, value in due:
            producer.send(record.key, record.topic, value, mark)
        self.progress.sent = producer.sent
        return True

    def _stands(self, record: Record, value: bytes, sequence: tuple[int, ...]) -> bool:
        """Tell whether a record is in its topic already."""
        at = (record.topic, partition_of(record.key, self._partitions[record.topic]))
        tail = self._tails.get(at)
        if tail is None or sequence > tail.sequence:
            return False
        if sequence == tail.sequence:
            if value != tail.value:
                raise self._changed(at)
            self._unconfirmed.remove((sequence, at))
        return True

    def _confirm(self, sequence: tuple[int, ...]) -> None:
        """Check that the source has made every tail up to a place; once all are met, nothing stands any more."""
        if not self._unconfirmed:
            self._last = None
        elif self._unconfirmed[-1][0] <= sequence:
            raise self._changed(self._unconfirmed[-1][1])

    def _changed(self, at: tuple[str, int]) -> ResumeError:
        return ResumeError(
            f"{at[0]}-{at[1]}: its last record of {self._source.identity} is not what this source holds at that "
            f"place: the file has changed since it was played; delete the topic to play it anew"
        )
