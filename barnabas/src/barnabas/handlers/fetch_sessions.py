"""Keep fetch sessions: what a consumer asked for last time, so that it sends only changes (KIP-227).

A session belongs to whoever knows its id. Partitions are answered in the order in which they were added; those that
just had data move to the end, so that none starves behind another.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass

#: a topic by its name (Fetch up to 12) or by its id (13 and later), and a partition
PartitionKey = tuple[str | bytes, int]

INITIAL_EPOCH = 0
FINAL_EPOCH = -1


@dataclass(slots=True)
class FetchPartition:
    """Hold what is asked of one partition, and what was last told of it (-1 where nothing was)."""

    topic: str | bytes
    index: int
    fetch_offset: int
    max_bytes: int
    leader_epoch: int
    last_fetched_epoch: int
    told_high_watermark: int = -1
    told_log_start: int = -1


@dataclass(slots=True)
class FetchSession:
    """Hold one session. `epoch` is what the next request must carry; `used` is a monotonic time in seconds."""

    id: int
    by_id: bool
    partitions: OrderedDict[PartitionKey, FetchPartition]
    epoch: int
    used: float


class FetchSessions:
    """Hold the sessions of a node, at most `slots` of them."""

    #: a session that was used within this time is not evicted for another, in seconds
    MIN_IDLE = 120.0

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self.sessions: OrderedDict[int, FetchSession] = OrderedDict()

    def create(self, by_id: bool, partitions: OrderedDict[PartitionKey, FetchPartition], now: float) -> int:
        """Make a session and return its id; 0 where there is no room."""
        if self._slots <= 0:
            return 0
        if len(self.sessions) >= self._slots:
            oldest = next(iter(self.sessions.values()))
            if now - oldest.used < self.MIN_IDLE:
                return 0
            del self.sessions[oldest.id]
        session_id = random.randint(1, 2**31 - 1)
        while session_id in self.sessions:
            session_id = random.randint(1, 2**31 - 1)
        self.sessions[session_id] = FetchSession(session_id, by_id, partitions, 1, now)
        return session_id

    def use(self, session: FetchSession, now: float) -> None:
        """Note that a session was used, and step its epoch, which wraps to 1."""
        session.used = now
        session.epoch = 1 if session.epoch == 2**31 - 1 else session.epoch + 1
        self.sessions.move_to_end(session.id)

    def remove(self, session_id: int) -> None:
        """Drop a session; harmless where there is none."""
        self.sessions.pop(session_id, None)
