"""Talk to a cluster: find a broker that answers, the leaders of partitions, the coordinators of groups.

One blocking connection for each node, opened when first asked. What Kafka's clients try again (no leader yet, a
coordinator that moves or loads) is tried again until `default.api.timeout.ms` has passed. A cluster none of whose
addresses can be reached is given up after a few seconds: a tool's user sits in front of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from barnabas.protocol.error_texts import is_retriable, text_of
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.describe_cluster import DescribeClusterRequest
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
)
from barnabas.protocol.schema import Message
from barnabas.tools.connection import Connection, ConnectionFailed, UnknownHost
from barnabas.tools.errors import AnswerError, AuthenticationFailed, ClientError, ConfigError, check
from barnabas.tools.settings import Settings
from barnabas.tools.terminal import Waiting

#: seconds for which a cluster that does not answer is tried again
PATIENCE: Final = 4.0
_CONNECT: Final = 3.0
_BACKOFF: Final = 0.1
GROUP, TRANSACTION = 0, 1
#: endpoint type of controllers in DescribeCluster
CONTROLLERS: Final = 2

K = TypeVar("K")


class Unreachable(ClientError):
    """No broker of the cluster can be reached; the text is that of Java's admin client."""


class Cluster:
    """Hold the connections to one cluster. `call` names what is being done, in errors, as Java's admin client does.

    `told` is called with what keeps a cluster from being reached; without it, standard error has that as Java's client
    logs it, and a terminal what is waited for.
    """

    def __init__(
        self, settings: Settings, *, patience: float = PATIENCE, told: Callable[[str], None] | None = None
    ) -> None:
        self.settings = settings
        self._patience = patience
        self.quiet = told is not None
        """Whether a terminal sees nothing of what is waited for."""
        self._tell = told or self._warn
        self._first: Connection | None = None
        self._nodes: dict[int, Connection] = {}
        self._addresses: dict[int, tuple[str, int]] = {}

    def close(self) -> None:
        """Close all connections."""
        for connection in (self._first, *self._nodes.values()):
            if connection is not None:
                connection.close()
        self._first = None
        self._nodes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _warn(self, text: str) -> None:
        print(f"WARN [AdminClient clientId={self.settings.client_id}] {text}", file=sys.stderr)

    # --- nodes ----------------------------------------------------------------------------------------------

    def any(self, call: str = "fetchMetadata") -> Connection:
        """Return a connection to any broker. Raises `Unreachable`, `ConfigError`, and what TLS and SASL raise."""
        if self._first is not None:
            return self._first
        addresses = self.settings.bootstrap
        text = f"Connecting to {', '.join(f'{host}:{port}' for host, port in addresses)}"
        waiting = Waiting(text, quiet=self.quiet)
        with waiting:
            return self._first_of(addresses, waiting, call)

    def _first_of(self, addresses: list[tuple[str, int]], waiting: Waiting, call: str) -> Connection:
        deadline = time.monotonic() + self._patience
        while True:
            problems: list[ConnectionFailed] = []
            for host, port in addresses:
                try:
                    self._first = self._connect(host, port)
                    return self._first
                except ConnectionFailed as e:
                    problems.append(e)
                except AuthenticationFailed as e:
                    waiting.over()
                    self._tell(f"{host}:{port}: {e} {e.detail}".rstrip())
                    raise
            gives_up = time.monotonic() + _BACKOFF > deadline
            nowhere = all(isinstance(problem, UnknownHost) for problem in problems)
            if gives_up or nowhere:
                waiting.over()
                for problem in problems:
                    self._tell(str(problem))
            if nowhere:
                raise ConfigError("No resolvable bootstrap urls given in bootstrap.servers")
            if gives_up:
                raise Unreachable(f"Timed out waiting for a node assignment. Call: {call}")
            waiting.tick()
            time.sleep(_BACKOFF)

    def _connect(self, host: str, port: int) -> Connection:
        """Connect to a broker; or, from the address of a controller, to the active one."""
        timeout = min(_CONNECT, self._patience)
        connection = Connection(host, port, self.settings, timeout=timeout)
        if not self.settings.to_controllers:
            try:
                connection.version_of(MetadataRequest.KEY)  # a controller serves none: what Java's client asks first
            except BaseException:
                connection.close()
                raise
            return connection
        try:
            answer = connection.request(DescribeClusterRequest(endpoint_type=CONTROLLERS))
            check(answer.error_code, answer.error_message)
        except BaseException:
            connection.close()
            raise
        self._addresses = {b.broker_id: (b.host, b.port) for b in answer.brokers}
        at = next((b for b in answer.brokers if b.broker_id == answer.controller_id), None)
        if at is None or (at.host, at.port) == (host, port):
            return connection
        connection.close()
        return Connection(at.host, at.port, self.settings, timeout=timeout)

    def node(self, node_id: int) -> Connection:
        """Return a connection to one broker. Raises `ClientError` where it is unknown or cannot be reached."""
        if self.settings.to_controllers:
            return self.any()
        found = self._nodes.get(node_id)
        if found is not None:
            return found
        if node_id not in self._addresses:
            self.metadata([])
        if node_id not in self._addresses:
            raise ClientError(f"Node {node_id} is not a broker of this cluster")
        host, port = self._addresses[node_id]
        deadline = time.monotonic() + self._patience
        while True:
            try:
                made = Connection(host, port, self.settings, timeout=min(_CONNECT, self._patience))
                self._nodes[node_id] = made
                return made
            except ConnectionFailed:
                if time.monotonic() + _BACKOFF > deadline:
                    raise
                time.sleep(_BACKOFF)

    @property
    def brokers(self) -> dict[int, tuple[str, int]]:
        """Return the address of each broker, by its id; of each controller, where they are asked."""
        if self.settings.to_controllers:
            self.any("listNodes")
        if not self._addresses:
            self.metadata([])
        return dict(self._addresses)

    # --- asking ---------------------------------------------------------------------------------------------

    def ask(
        self, message: Message, *, node: int | None = None, call: str = "fetchMetadata", highest: int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Ask a broker, any one unless told which; a request for the controller is forwarded by any broker.

        A connection that broke is made again once. Raises `ClientError`.
        """
        for attempt in (1, 2):
            connection = self.any(call) if node is None else self.node(node)
            try:
                return connection.request(message, highest=highest, timeout=timeout)
            except ConnectionFailed as e:
                self._forget(connection)
                if attempt == 2 and node is None:  # a broker that wants SASL hangs up on whoever does not speak it
                    self._tell(str(e))
                    raise Unreachable(f"Timed out waiting for a node assignment. Call: {call}") from e
                if attempt == 2:
                    raise
        raise AssertionError

    def supports(self, key: int, version: int = 0, call: str = "fetchMetadata") -> bool:
        """Tell whether the brokers serve an API, in a version or a higher one."""
        return self.any(call).supports(key, version)

    def _forget(self, connection: Connection) -> None:
        connection.close()
        if connection is self._first:
            self._first = None
        self._nodes = {n: c for n, c in self._nodes.items() if c is not connection}

    def persist(self, attempt: Callable[[], tuple[int, str | None]], *, seconds: float | None = None) -> None:
        """Repeat an attempt while it returns a retriable error code; raise `AnswerError` for what is left."""
        deadline = time.monotonic() + (self.settings.api_timeout if seconds is None else seconds)
        with Waiting("Trying again", quiet=self.quiet) as waiting:
            while True:
                code, message = attempt()
                if not code:
                    return
                if not is_retriable(code) or time.monotonic() + _BACKOFF > deadline:
                    raise AnswerError(code, message)
                waiting.tick(text_of(code))
                time.sleep(_BACKOFF)

    # --- topics ---------------------------------------------------------------------------------------------

    def metadata(self, topics: Iterable[str] | None, call: str = "fetchMetadata") -> MetadataResponse:
        """Ask for topics (None: all; none: the brokers alone). Nothing is created. Errors stand in the answer."""
        asked = None if topics is None else [MetadataRequestTopic(name=name) for name in topics]
        answer: MetadataResponse = self.ask(MetadataRequest(asked, False), call=call)
        self._addresses = {b.node_id: (b.host, b.port) for b in answer.brokers}
        return answer

    def topics(self, call: str = "listTopics") -> list[MetadataResponseTopic]:
        """Return all topics that can be described, by name."""
        found = [t for t in self.metadata(None, call).topics if not t.error_code]
        return sorted(found, key=lambda t: t.name or "")

    def leaders(self, partitions: Iterable[tuple[str, int]], *, seconds: float | None = None) -> dict[
        tuple[str, int], int | AnswerError
    ]:
        """Return the leader of each partition, or the error that stands in its way."""
        wanted = list(partitions)
        deadline = time.monotonic() + (self.settings.api_timeout if seconds is None else seconds)
        while True:
            answer = self.metadata(dict.fromkeys(topic for topic, _ in wanted))
            found: dict[tuple[str, int], int | AnswerError] = {}
            for topic in answer.topics:
                known = {p.partition_index: p for p in topic.partitions}
                for name, index in wanted:
                    if name != topic.name:
                        continue
                    at = known.get(index)
                    if topic.error_code:
                        found[name, index] = AnswerError(topic.error_code)
                    elif at is None:
                        found[name, index] = AnswerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                    elif at.leader_id < 0:
                        found[name, index] = AnswerError(at.error_code or ErrorCode.LEADER_NOT_AVAILABLE)
                    else:
                        found[name, index] = at.leader_id
            waiting = any(
                isinstance(v, AnswerError) and v.code == ErrorCode.LEADER_NOT_AVAILABLE for v in found.values()
            )
            if not waiting or time.monotonic() + _BACKOFF > deadline:
                return found
            time.sleep(_BACKOFF)

    # --- coordinators ---------------------------------------------------------------------------------------

    def coordinator(self, key: str, kind: int = GROUP) -> int:
        """Return the node that coordinates a group or a transactional id. Raises `AnswerError`."""
        node = -1

        def attempt() -> tuple[int, str | None]:
            nonlocal node
            version = self.any().version_of(FindCoordinatorRequest.KEY)
            if version >= 4:
                answer = self.ask(FindCoordinatorRequest(key_type=kind, coordinator_keys=[key])).coordinators[0]
            else:
                answer = self.ask(FindCoordinatorRequest(key=key, key_type=kind))
            node = answer.node_id
            if not answer.error_code:
                self._addresses.setdefault(node, (answer.host, answer.port))
            return answer.error_code, answer.error_message

        self.persist(attempt)
        return node

    def ask_coordinator(
        self, key: str, message: Message, code_of: Callable[[Any], int], *, kind: int = GROUP,
        highest: int | None = None,
    ) -> Any:
        """Ask a coordinator; `code_of` picks the error that says whether it must be looked for, or asked, again."""
        answer: Any = None

        def attempt() -> tuple[int, str | None]:
            nonlocal answer
            answer = self.ask(message, node=self.coordinator(key, kind), highest=highest)
            code = code_of(answer)
            moves = (
                ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            )
            return (code, text_of(code)) if code in moves else (0, None)

        self.persist(attempt)
        return answer

    def each_broker(self, message: Message, **how: Any) -> dict[int, Any]:
        """Ask every broker the same; return the answers by node id."""
        return {node: self.ask(message, node=node, **how) for node in sorted(self.brokers)}


def group_by(items: Iterable[K], key: Callable[[K], Any]) -> dict[Any, list[K]]:
    """Collect items under their keys, in order of appearance."""
    found: dict[Any, list[K]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
