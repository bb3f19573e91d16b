"""Sync logs in a thread, so that no fsync holds up the event loop; waiters of one log share a sync."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from barnabas.log.files import StorageError
from barnabas.log.handles import SyncJob
from barnabas.log.partition import PartitionLog

logger = logging.getLogger(__name__)

Then = Callable[[bool], None]


class ThreadFlusher:
    """Run one sync a log at a time; who asks meanwhile is served by the next."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool = ThreadPoolExecutor(2, "barnabas-flush")
        self._closed = False
        self._running: set[PartitionLog] = set()
        self._asked: dict[PartitionLog, list[Then]] = {}

    def flush(self, log: PartitionLog, then: Then | None = None) -> None:
        """Sync a log to its present end, then call `then` with whether that worked."""
        waiting = self._asked.setdefault(log, [])
        if then is not None:
            waiting.append(then)
        if log not in self._running:
            self._run(log)

    def _run(self, log: PartitionLog) -> None:
        waiting = self._asked.pop(log)
        try:
            if self._closed:
                raise StorageError("the broker stops")
            job, end = log.begin_sync()
        except StorageError as e:
            logger.error("%s-%d: no flush: %s", log.topic, log.partition, e)
            self._loop.call_soon(_tell, waiting, False)
            return
        self._running.add(log)
        future = self._loop.run_in_executor(self._pool, _sync, job)

        def done(result: asyncio.Future[bool]) -> None:
            self._running.discard(log)
            worked = not result.cancelled() and result.result()
            log.synced(end, worked=worked)
            _tell(waiting, worked)
            if log in self._asked:
                self._run(log)

        future.add_done_callback(done)

    def close(self) -> None:
        """Wait for what is running; what is asked for afterwards fails."""
        self._closed = True
        self._pool.shutdown(wait=True)


def _tell(waiting: list[Then], worked: bool) -> None:
    for then in waiting:
        then(worked)


def _sync(job: SyncJob) -> bool:
    try:
        job.run()
    except (StorageError, OSError) as e:
        logger.error("A flush failed: %s", e)
        return False
    return True
