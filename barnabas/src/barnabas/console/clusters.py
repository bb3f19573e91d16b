"""Ask clusters from the event loop: blocking clients in threads, a few connections for each cluster, made anew.

A client is lent to one thread at a time. One whose cluster could not be reached is closed, so that the next question
opens another: a broker that comes back is found again. Whether a cluster is up is asked once at a time, however many
pages want to know; of one that was down the last known state is told while it is asked. The log has a line when a
cluster goes down, and one when it answers again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec

from barnabas.console.errors import NotFound
from barnabas.console.settings import ClusterSettings, ConsoleSettings
from barnabas.protocol.api import Key
from barnabas.protocol.errors import BarnabasError
from barnabas.protocol.messages.metadata import MetadataRequest
from barnabas.tools.cluster import Cluster, Unreachable
from barnabas.tools.errors import AnswerError

_THREADS: Final = 6
_IDLE: Final = 3
_PATIENCE: Final = 1.5
STATE_SECONDS: Final = 2.0
"""Seconds that a cluster has to say that it is up."""
KNOWN_SECONDS: Final = 0.3
"""The same for one that was down when it was asked last."""
_LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


class Supports(msgspec.Struct, frozen=True, rename="camel"):
    """Say which of Kafka's features a cluster has: the pages of others are not offered."""

    share_groups: bool
    consumer_groups848: bool
    streams_groups: bool
    acls: bool
    quotas: bool
    users: bool
    quorum: bool
    delete_records: bool
    elr: bool


class ClusterState(msgspec.Struct, frozen=True, rename="camel"):
    """Say how a cluster is."""

    name: str
    bootstrap: str
    state: str
    message: str
    read_only: bool
    command_config: str | None
    """The property file it is reached with: the page's command lines name it."""
    brokers: int = 0
    cluster_id: str | None = None
    supports: Supports | None = None


class KafkaCluster:
    """Be one cluster: lend clients to threads."""

    def __init__(self, settings: ClusterSettings, *, read_only: bool) -> None:
        self.settings = settings
        self.name = settings.name
        self._read_only = read_only
        self._threads = ThreadPoolExecutor(_THREADS, f"kafka-{settings.name}")
        self._idle: list[Cluster] = []
        self._lock = threading.Lock()
        self._troubles = 0
        self._down_since: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._known: ClusterState | None = None
        self._closed = False

    def close(self) -> None:
        """Close all connections that are not lent."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    async def ask(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call a function with a client, and what else it wants, in a thread. Raises what the function raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: self.call(work, *arguments, **named))

    def call(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Do the same in this thread."""
        with self._lock:
            client = self._idle.pop() if self._idle else None
        if client is None:
            client = Cluster(self.settings.client(), patience=_PATIENCE, told=self._is_down)
        keeps = False
        troubles = self._troubles
        try:
            found = work(client, *arguments, **named)
            keeps = True
            return found
        except AnswerError:
            keeps = True
            raise
        finally:
            if keeps and self._troubles == troubles:  # work may have made the best of a cluster that is down
                self._is_up()
            self._return(client if keeps else None, client)

    def _return(self, kept: Cluster | None, client: Cluster) -> None:
        if kept is not None:
            with self._lock:
                if len(self._idle) < _IDLE and not self._closed:
                    self._idle.append(kept)
                    return
        client.close()

    def _is_down(self, why: str) -> None:
        with self._lock:
            self._troubles += 1
            if self._down_since is not None:
                return
            self._down_since = time.monotonic()
        _LOG.warning("cluster %s is down: %s", self.name, why)

    def _is_up(self) -> None:
        with self._lock:
            since, self._down_since = self._down_since, None
        if since is not None:
            _LOG.warning("cluster %s answers again, after %.0f s", self.name, time.monotonic() - since)

    async def state(self) -> ClusterState:
        """Say how the cluster is, within `STATE_SECONDS`; if it was down, within `KNOWN_SECONDS`. Raises nothing."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._learn())
        was_down = self._known is not None and self._known.state == "down"
        done, _ = await asyncio.wait({self._asking}, timeout=KNOWN_SECONDS if was_down else STATE_SECONDS)
        if self._known is None or not (done or was_down):
            self._known = self._down(f"no answer within {STATE_SECONDS:.0f} s")
        return self._known

    async def _learn(self) -> None:
        try:
            self._known = await self.ask(self._up)
        except Unreachable:
            self._known = self._down(f"no broker can be reached at {self.settings.bootstrap}")
        except BarnabasError as e:
            self._known = self._down(str(e))

    def _down(self, message: str) -> ClusterState:
        return ClusterState(
            self.name, self.settings.bootstrap, "down", message, self._read_only, self.settings.config_file
        )

    def _up(self, client: Cluster) -> ClusterState:
        answer = client.ask(MetadataRequest([], False))
        return ClusterState(
            self.name, self.settings.bootstrap, "up", "", self._read_only, self.settings.config_file,
            len(answer.brokers), answer.cluster_id,
            Supports(
                share_groups=client.supports(Key.SHARE_GROUP_DESCRIBE),
                consumer_groups848=client.supports(Key.CONSUMER_GROUP_DESCRIBE),
                streams_groups=client.supports(Key.STREAMS_GROUP_DESCRIBE), acls=client.supports(Key.DESCRIBE_ACLS),
                quotas=client.supports(Key.DESCRIBE_CLIENT_QUOTAS),
                users=client.supports(Key.DESCRIBE_USER_SCRAM_CREDENTIALS),
                quorum=client.supports(Key.DESCRIBE_QUORUM), delete_records=client.supports(Key.DELETE_RECORDS),
                elr=client.supports(Key.DESCRIBE_TOPIC_PARTITIONS),
            ),
        )


class Clusters:
    """Know the clusters by name."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._all = {c.name: KafkaCluster(c, read_only=settings.read_only) for c in settings.clusters}

    def __getitem__(self, name: str) -> KafkaCluster:
        found = self._all.get(name)
        if found is None:
            raise NotFound(f"there is no cluster {name}; there are {', '.join(self._all)}")
        return found

    async def states(self) -> list[ClusterState]:
        """Say how all of them are, in order."""
        return list(await asyncio.gather(*(one.state() for one in self._all.values())))

    def close(self) -> None:
        """Close all connections."""
        for one in self._all.values():
            one.close()
