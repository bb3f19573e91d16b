"""Drop what retention no longer keeps, expire idle producers, write checkpoints: the node's regular chores.

Kafka looks every five minutes. Here the next look is also set to when the oldest segment of any log expires, and a
changed configuration is looked at at once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from barnabas.clock import Timer
from barnabas.log.files import StorageError

if TYPE_CHECKING:
    from barnabas.node.node import Node

logger = logging.getLogger(__name__)

_AT_LEAST_S: Final = 0.1


class Retention:
    """Run the chores of a node on its timers."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._timer: Timer | None = None
        self._checkpoint: Timer | None = None
        self._started = False

    def start(self) -> None:
        """Begin; to be called once the logs are open."""
        self._started = True
        self.soon()
        self._later_checkpoint()

    def soon(self) -> None:
        """Look at all logs very soon."""
        if self._started:
            self._schedule(0.0)

    def _schedule(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._node.timers.after(seconds, self.run)

    def run(self) -> None:
        """Look at all logs now, and set the next time."""
        node = self._node
        now = node.clock.now_ms()
        interval = node.config.log_retention_check_interval_ms
        next_look = now + interval
        oldest_producer = now - node.config.producer_id_expiration_ms
        for log in tuple(node.directory.logs.values()):
            if log.producers.producers:
                log.producers.expire(oldest_producer)
            try:
                log.apply_retention(now)
                expiry = log.next_expiry(now)
                if expiry is not None:
                    next_look = min(next_look, expiry)
                if log.config.flush_ms < interval:
                    next_look = min(next_look, now + log.config.flush_ms)
                    if log.recovery_point < log.log_end_offset:
                        node.flusher.flush(log)
            except StorageError as e:
                logger.warning("%s-%d: a chore failed: %s", log.topic, log.partition, e)
        self._schedule(max((next_look - now) / 1000, _AT_LEAST_S))

    def _later_checkpoint(self) -> None:
        def write() -> None:
            self._node.directory.write_checkpoints()
            self._node.directory.reserve.make()
            self._later_checkpoint()

        seconds = self._node.config.log_flush_offset_checkpoint_interval_ms / 1000
        self._checkpoint = self._node.timers.after(seconds, write)
