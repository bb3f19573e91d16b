"""Run a node behind its listeners.

The way up: bind every listener (a taken port is found before any data is touched), start the node, then listen. The way
down: stop listening, answer nothing more, close the connections, close the node cleanly.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from barnabas.clock import Clock
from barnabas.config.checks import connection_overrides
from barnabas.config.server import Listener, ServerConfig
from barnabas.handlers.context import Client
from barnabas.handlers.faults import Faults
from barnabas.metadata.framing import LATEST
from barnabas.node.node import Node
from barnabas.protocol.errors import BarnabasError
from barnabas.server import metrics
from barnabas.server.connection import ARRIVALS, Connection
from barnabas.server.flusher import ThreadFlusher

logger = logging.getLogger(__name__)

_IDLE_SWEEP_S: Final = 5.0
#: how long a connection that was closed may take to write what is left
_LINGER_S: Final = 5.0


class ListenError(BarnabasError):
    """A listener's address cannot be had; the message names the setting."""


class Broker:
    """Hold one broker on one event loop, from `start` to `stop`."""

    def __init__(
        self, config: ServerConfig, data: Path, *, clock: Clock | None = None, metadata_version: int = LATEST,
        metrics_port: int | None = None, cluster_id: str | None = None,
    ) -> None:
        self.config = config
        self.data = data
        self.clock = clock or Clock()
        self.metrics = metrics.Metrics()
        self.faults = Faults()
        self.connections: set[Connection] = set()
        #: where bytes arrive, whichever connection they come from: each serves or copies them before the loop goes on
        self.arrivals = memoryview(bytearray(ARRIVALS))
        self._metadata_version = metadata_version
        self._metrics_port = metrics_port
        self._cluster_id = cluster_id
        self._per_host: Counter[str] = Counter()
        self._next_client = 0
        self._sockets: list[tuple[Listener, socket.socket]] = []
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._flusher: ThreadFlusher | None = None
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """Return the node, there from `start` on."""
        assert self._node is not None
        return self._node

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Return the listeners with the ports that they really have."""
        return self.config.listeners

    @property
    def bootstrap(self) -> str:
        """Return the advertised address of the first listener of the broker."""
        first = next(x for x in self.listeners if not x.is_controller)
        return f"{first.advertised_host}:{first.advertised_port}"

    # --- up and down ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind, open the data, listen. Raises `BarnabasError`, with nothing left behind."""
        loop = asyncio.get_running_loop()
        try:
            self._bind()
            self._node = Node(
                self.config, self.data, self.clock, metadata_version=self._metadata_version,
                cluster_id=self._cluster_id,
            )
            self._flusher = ThreadFlusher(loop)
            self.node.flusher = self._flusher
            self.node.start()
            self.node.timers.on_earlier = self._arm
            for listener, sock in self._sockets:
                server = await loop.create_server(
                    self._factory(listener), sock=sock, backlog=self.config.socket_listen_backlog_size
                )
                self._servers.append(server)
            if self._metrics_port is not None:
                await self._serve_metrics()
        except BaseException:
            await self.stop(clean=False)
            raise
        self._arm()
        self._sweep_idle()

    def _bind(self) -> None:
        listeners = []
        for listener in self.config.listeners:
            bound: list[socket.socket] = []
            port = listener.port
            for host in _hosts(listener.host):
                try:
                    sock = _bind(host, port)
                except OSError as e:
                    if bound and (host == "::1" or e.errno == errno.EADDRNOTAVAIL):
                        continue  # a machine without IPv6
                    for _, other in self._sockets:
                        other.close()
                    raise ListenError(
                        f"The listener {listener.name}://{listener.host}:{port} cannot be bound: {e.strerror}. "
                        f"{_holder(port)}Choose another port with --listen or the key `listeners`."
                    ) from e
                bound.append(sock)
                port = sock.getsockname()[1]
            real = replace(
                listener, port=port, advertised_port=listener.advertised_port or port,
                advertised_host=listener.advertised_host or "localhost",
            )
            listeners.append(real)
            self._sockets += [(real, sock) for sock in bound]
        self.config = self.config.with_listeners(tuple(listeners))

    def _factory(self, listener: Listener) -> Callable[[], Connection]:
        def make() -> Connection:
            self._next_client += 1
            return Connection(self, Client(self._next_client, "", listener))

        return make

    async def _serve_metrics(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await metrics.serve_http(self, reader, writer)

        try:
            self._servers.append(await asyncio.start_server(answer, "127.0.0.1", self._metrics_port))
        except OSError as e:
            raise ListenError(
                f"The metrics page cannot be bound to port {self._metrics_port}: {e.strerror}. "
                "Choose another port with --metrics."
            ) from e

    async def stop(self, *, clean: bool = True) -> None:
        """Stop everything; `clean` False leaves the data as a crash would."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for _, sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.close()
        self._sockets.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self.connections):
            connection.close() if clean else connection.abort()
        await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.abort()
        if self._flusher is not None:
            self._flusher.close()
            self._flusher = None
        if self._node is not None:
            self._node.timers.on_earlier = None
            node, self._node = self._node, None
            node.stop(clean=clean)
            # connections that are still being torn down refer to the node: it stays readable for them
            self._node = node

    # --- timers ---------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Set the loop's timer to the node's earliest deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.node.timers.next_deadline()
        if deadline is not None:
            wait = max(0.0, deadline - self.clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._fire)

    def _fire(self) -> None:
        self._timer = None
        try:
            self.node.timers.fire()
        except Exception:
            logger.exception("A timer failed")
        self._arm()

    def advance(self, seconds: float) -> None:
        """Move the broker's clock ahead, and do at once what falls due."""
        self.clock.advance(seconds)
        self._fire()

    # --- connections ----------------------------------------------------------------------------------------

    def admit(self, connection: Connection, client: Client) -> bool:
        """Count a new connection in, or refuse it because of `max.connections` and its relatives."""
        config = self.node.config
        overrides = connection_overrides(config.max_connections_per_ip_overrides)
        limit = overrides.get(client.host, config.max_connections_per_ip)
        self.connections.add(connection)
        self._per_host[client.host] += 1
        if len(self.connections) > config.max_connections or self._per_host[client.host] > limit:
            logger.warning("connection %d from %s: refused, there are too many", client.id, client.host)
            return False
        return True

    def forget(self, connection: Connection, client: Client) -> None:
        """Count a connection out."""
        if connection in self.connections:
            self.connections.discard(connection)
            self._per_host[client.host] -= 1
            if self._per_host[client.host] <= 0:
                del self._per_host[client.host]

    def drop_connections(self) -> None:
        """Cut all connections, as a failing network does."""
        for connection in list(self.connections):
            connection.abort()

    def _sweep_idle(self) -> None:
        """Close idle connections, drop those whose client does not take its last bytes, give back large buffers."""
        idle_s = self.node.config.connections_max_idle_ms / 1000
        now = time.monotonic()
        for connection in list(self.connections):
            unused_s = now - connection.last_used
            if connection.is_closing:
                if unused_s > _LINGER_S:
                    connection.abort()
            elif 0 <= idle_s < unused_s and not connection.is_waiting:
                connection.close()
            elif unused_s > _IDLE_SWEEP_S:
                connection.shrink()
        self.node.timers.after(min(_IDLE_SWEEP_S, max(0.1, idle_s / 2) if idle_s >= 0 else _IDLE_SWEEP_S),
                               self._sweep_idle)


def _hosts(host: str) -> list[str]:
    if host == "localhost":
        return ["127.0.0.1", "::1"]
    return [host]


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if family == socket.AF_INET and host and not host.replace(".", "").isdigit():
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        host = str(address[0])
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _holder(port: int) -> str:
    """Name the process that listens on a port, where the system tells (Linux)."""
    from barnabas.server.ports import listening_process

    found = listening_process(port)
    return f"The port is held by {found}. " if found else ""
