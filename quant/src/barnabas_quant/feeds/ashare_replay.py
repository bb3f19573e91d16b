"""Files of shares played into `stock-realtime`, merged by time, going on exactly where the topic stops.

Each file is a source of its own: its records carry its identity and their line as their mark. A partition is written
by one idempotent producer in the order of the merged files, so what it holds of a file is always a beginning of what
belongs there: its last mark says what to pass over, and the file must hold the last record's like at that line.
A mark holds the topic's number of partitions too, since that number decides where records go.

A line that cannot be read is settled (its dead letter acknowledged) before the record after it is sent: lines before
a mark are not reported again after a restart.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from barnabas_quant.bus.marks import Mark, Tail, read_tails_of
from barnabas_quant.bus.producer import RecordProducer
from barnabas_quant.bus.topics import partition_counts
from barnabas_quant.errors import BusError, QuantError, RecordError, ResumeError
from barnabas_quant.feeds.ashare_files import AshareFile, Complain, Row
from barnabas_quant.feeds.pacing import Pacer
from barnabas_quant.feeds.trading_clock import TradingClock
from barnabas_quant.model.stock import Stock, decode_stock, encode_stock

FLUSH_PATIENCE = 30.0
"""Seconds that the replay waits for its last acknowledgements at its end."""


def merged(files: Sequence[AshareFile], complain: Complain) -> Iterator[tuple[AshareFile, Row]]:
    """Give the rows of all files in the order of time, those of one time in the order of the files.

    The order of one file stays as it is: a line earlier than the one before it comes right after that.
    """

    def keyed(number: int, file: AshareFile) -> Iterator[tuple[int, int, int, Row]]:
        latest = 0
        for row in file.rows(complain):
            latest = max(latest, row.time)
            yield latest, number, row.line, row

    for _, number, _, row in heapq.merge(*(keyed(number, file) for number, file in enumerate(files))):
        yield files[number], row


class AshareReplay:
    """Play files until they end or `stop` is set."""

    def __init__(
        self,
        bootstrap: str,
        files: Sequence[AshareFile],
        pacer: Pacer,
        stop: threading.Event,
        complain: Complain,
        settle: Callable[[], None] = lambda: None,
        clock: TradingClock | None = None,
        topic: str = Stock.topic,
    ) -> None:
        """Take where to write, what, how fast.

        `complain` gets each line that cannot be read, `settle` makes that last; `clock` lets closed hours take no time.
        """
        identities = [file.identity for file in files]
        for file in files:
            if identities.count(file.identity) > 1:
                raise QuantError(f"{file.path}: given twice, or another file begins with the same lines")
        self._bootstrap = bootstrap
        self._files = files
        self._pacer = pacer
        self._stop = stop
        self._complain = complain
        self._settle = settle
        self._clock = clock
        self._topic = topic
        self._partitions = 0
        self._tails: dict[tuple[str, int], Tail] = {}  # by source and partition; gone once met
        self._reported: dict[str, int] = {}  # the line up to which a file's bad lines were settled in an earlier run
        self._unsettled = False
        self.sent = 0
        self.skipped = 0
        """Records that stood in the topic already."""
        self.unacknowledged = 0
        """Records that had to be given up at the end; the next run makes them again."""
        self.state = "starting"
        """starting, playing, played (all files have ended, all is acknowledged), stopped."""

    def run(self) -> None:
        """Play. Raises ResumeError, BusError, QuantError for a file that cannot be read."""
        self._find_tails()
        producer = RecordProducer(self._bootstrap, self._stop.is_set)
        ended = "stopped"
        try:
            self.state = "playing"
            for file, row in merged(self._files, self._report):
                if self._stop.is_set() or not self._play(file, row, producer):
                    break
            else:
                self._all_met()
                ended = "played"
        finally:
            self.unacknowledged = producer.flush(FLUSH_PATIENCE)
            if self.unacknowledged:
                producer.abandon()
                ended = "stopped"
            self.state = ended
            self._settle()
        if self.unacknowledged and not self._stop.is_set():
            raise BusError(
                f"{self._topic}: {self.unacknowledged} records are not acknowledged; the next run makes them"
            )

    def _find_tails(self) -> None:
        topic = self._topic
        self._partitions = partition_counts(self._bootstrap, [topic])[topic]
        wanted = {
            (topic, number): [
                file.identity
                for file in self._files
                if file.listing is None or file.listing.partition(self._partitions) == number
            ]
            for number in range(self._partitions)
        }
        for (_, number), tails in read_tails_of(self._bootstrap, wanted).items():
            for source, tail in tails.items():
                if len(tail.sequence) != 2 or tail.sequence[1] != self._partitions:
                    raise ResumeError(
                        f"{topic}: {source} was played when the topic had another number of partitions; "
                        f"delete the topic to play it anew"
                    )
                self._tails[source, number] = tail
                self._reported[source] = max(tail.sequence[0], self._reported.get(source, 0))

    def _report(self, path: Path, number: int, reason: str, line: bytes) -> None:
        source = next(file.identity for file in self._files if file.path == path)
        if number > self._reported.get(source, 0):
            self._complain(path, number, reason, line)
            self._unsettled = True

    def _play(self, file: AshareFile, row: Row, producer: RecordProducer) -> bool:
        """Play one row; answer False when told to stop before it was due."""
        stock = row.stock
        partition = stock.listing.partition(self._partitions)
        if self._tails and self._stands(file.identity, partition, row):
            self.skipped += 1
            return True
        due = row.time if self._clock is None else self._clock.trading_time(row.time)
        if (wait := self._pacer.wait(due * 1000)) and self._stop.wait(wait):
            return False
        if self._unsettled:
            self._settle()
            self._unsettled = False
        mark = Mark(file.identity, (row.line, self._partitions))
        producer.send(stock.key, self._topic, encode_stock(stock), mark, partition)
        self.sent += 1
        return True

    def _stands(self, source: str, partition: int, row: Row) -> bool:
        """Tell whether a row's record is in the topic already."""
        tail = self._tails.get((source, partition))
        if tail is None:
            return False
        if row.line > tail.sequence[0]:
            raise self._changed(source, partition)
        if row.line == tail.sequence[0]:
            if _fingerprint(tail.value) != row.stock.fingerprint():
                raise self._changed(source, partition)
            del self._tails[source, partition]
        return True

    def _all_met(self) -> None:
        for source, partition in self._tails:
            raise self._changed(source, partition)

    def _changed(self, source: str, partition: int) -> ResumeError:
        path = next(file.path for file in self._files if file.identity == source)
        return ResumeError(
            f"{self._topic}-{partition}: its last record of {path} ({source}) is not what the file holds at that line: "
            f"the file has changed since it was played; delete the topic to play it anew"
        )


def _fingerprint(value: bytes) -> int | None:
    try:
        return decode_stock(value).fingerprint()
    except RecordError:
        return None
