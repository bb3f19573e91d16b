"""The newest record of a key, read from the end of its topic: the last resort, when both stores are down."""

from __future__ import annotations

import threading
from collections.abc import Callable

from barnabas_quant.bus.partitioner import partition_of
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.topics import partition_counts
from barnabas_quant.errors import BusError

_PATIENCE = 2.0  # seconds that Kafka may take to answer
_FIRST_STRIDE = 200
_FURTHEST = 1_000_000
"""Records of a partition that are looked through at most."""


class Newest:
    """Find newest records. One search at a time: it is not the way that prices usually go."""

    def __init__(self, bootstrap: str, stopping: Callable[[], bool]) -> None:
        """Take what tells whether the gateway is to end: then nothing is looked for any more."""
        self._bootstrap = bootstrap
        self._stopping = stopping
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def find(
        self, topic: str, key: bytes, place: Callable[[bytes, int], int] = partition_of
    ) -> tuple[bytes, int, int] | None:
        """Give value, Kafka's timestamp (milliseconds) and offset of the newest record of a key; None: there is none.

        `place` gives the partition of the key among so many. Raises BusError where Kafka does not answer.
        """
        with self._lock:
            if self._stopping():
                raise BusError("the gateway ends")
            if topic not in self._counts:
                self._counts |= partition_counts(self._bootstrap, [topic], _PATIENCE)
            at = (topic, place(key, self._counts[topic]))
            with RangeReader(self._bootstrap) as reader:
                low, end = reader.bounds([at], _PATIENCE)[at]
                stride, looked = _FIRST_STRIDE, 0
                while low < end and looked < _FURTHEST:
                    start = max(low, end - stride)
                    found = None
                    for message in reader.read({at: (start, end)}):
                        if message.key() == key:
                            produced, offset = int(message.timestamp()[1]), int(message.offset() or 0)
                            found = (bytes(message.value() or b""), produced, offset)
                    if found is not None:
                        return found
                    looked += end - start
                    end, stride = start, stride * 8
        return None
