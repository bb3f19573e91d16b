"""Run a broker inside a Python program.

    with Broker() as broker:
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap)

Without arguments it listens on a free port of the loopback addresses and keeps its data in a temporary folder that goes
with it. It runs on an event loop of its own in a background thread, or, with `process=True`, in a child process that
ends with its parent. `async with` works as well.

For tests of error handling: `fail`, `delay`, `drop_connections`, `kill`, `restart`; `advance` moves the broker's clock,
so that retention, session time-outs and expiry need no waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from barnabas.protocol.errors import BarnabasError

if TYPE_CHECKING:
    from barnabas.clock import Clock
    from barnabas.server.broker import Broker as Server

__all__ = ["BarnabasError", "Broker"]

T = TypeVar("T")

_START_S = 30.0
_STOP_S = 30.0


class _Runner(Protocol):
    """Be one running broker, in a thread or in a process."""

    port: int
    bootstrap: str

    def command(self, what: str, **arguments: Any) -> Any: ...

    def stop(self, *, clean: bool) -> None: ...


class Broker:
    """Be a broker of this program.

    `data` is the data directory (None: a temporary one, removed at the end). `listen` is HOST:PORT or several of them;
    port 0 asks for a free one. `properties` are keys of server.properties. `process` puts the broker into a child
    process. Members of a group are not waited for: `group.initial.rebalance.delay.ms` is 0 unless it is set.
    """

    def __init__(
        self, data: str | os.PathLike[str] | None = None, listen: str | Sequence[str] | None = None,
        properties: Mapping[str, str] | None = None, *, process: bool = False,
    ) -> None:
        self._listen = [listen] if isinstance(listen, str) else list(listen or ["127.0.0.1:0"])
        self._properties = {"group.initial.rebalance.delay.ms": "0", **(properties or {})}
        self._process = process
        self._given = Path(data) if data is not None else None
        self._folder: Path | None = None
        self._runner: _Runner | None = None

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the broker and return when it answers; raises `BarnabasError` where it cannot start."""
        if self._runner is not None:
            raise BarnabasError("The broker is running already")
        if self._folder is None:
            self._folder = self._given or Path(tempfile.mkdtemp(prefix="barnabas-"))
        kind = _ProcessRunner if self._process else _ThreadRunner
        fresh = not any(self._folder.iterdir()) if self._folder.exists() else True
        try:
            runner = kind(self._folder, self._listen, self._properties)
        except BaseException:
            if self._given is None and fresh:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
            raise
        self._runner = runner
        self._listen = [*_with_port(self._listen[:1], runner.port), *self._listen[1:]]
        return self

    def stop(self) -> None:
        """Stop the broker cleanly and drop a temporary data directory; harmless when it is stopped."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.stop(clean=True)
        if self._given is None and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def kill(self) -> None:
        """End the broker as SIGKILL would: connections break, nothing is flushed, the data stays as it is."""
        self._running().stop(clean=False)
        self._runner = None

    def restart(self) -> None:
        """Start again on the same data and port, after `kill` or after a clean stop of what runs."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            runner.stop(clean=True)
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _running(self) -> _Runner:
        if self._runner is None:
            raise BarnabasError("The broker is not running: call start(), or use it in a with statement")
        return self._runner

    # --- where ----------------------------------------------------------------------------------------------

    @property
    def bootstrap(self) -> str:
        """Return HOST:PORT for clients."""
        return self._running().bootstrap

    @property
    def port(self) -> int:
        """Return the port of the first listener."""
        return self._running().port

    @property
    def data(self) -> Path:
        """Return the data directory."""
        if self._folder is None:
            raise BarnabasError("The broker was not started yet")
        return self._folder

    @property
    def is_running(self) -> bool:
        """Tell whether the broker runs."""
        return self._runner is not None

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Set keys of server.properties; they count from the next start."""
        self._properties.update(properties)

    # --- topics ---------------------------------------------------------------------------------------------

    def topics(self) -> list[str]:
        """Return the names of all topics."""
        names: list[str] = self._running().command("topics")
        return names

    def create_topic(self, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        """Create a topic; raises `BarnabasError` where that is refused."""
        self._running().command("create_topic", name=name, partitions=partitions, configs=dict(configs or {}))

    def delete_topic(self, name: str) -> None:
        """Delete a topic; raises `BarnabasError` where there is none."""
        self._running().command("delete_topic", name=name)

    # --- for tests ------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Move the broker's clock ahead; what falls due meanwhile happens before this returns."""
        self._running().command("advance", seconds=seconds)

    def fail(self, api: str, error: str | int, times: int = 1) -> None:
        """Answer the next `times` requests of an API (`"Produce"`) with an error (`"NOT_LEADER_OR_FOLLOWER"`)."""
        self._running().command("fail", api=api, error=error, times=times)

    def delay(self, api: str, seconds: float, times: int = 1) -> None:
        """Hold back the answers to the next `times` requests of an API."""
        self._running().command("delay", api=api, seconds=seconds, times=times)

    def clear_faults(self) -> None:
        """Drop what `fail` and `delay` asked for."""
        self._running().command("clear_faults")

    def drop_connections(self) -> None:
        """Cut all connections."""
        self._running().command("drop_connections")


def _with_port(listen: list[str], port: int) -> list[str]:
    return [f"{address.rpartition(':')[0]}:{port}" for address in listen]


class _ThreadRunner:
    """Run a broker on an event loop in a thread."""

    def __init__(self, data: Path, listen: Sequence[str], properties: Mapping[str, str]) -> None:
        from barnabas.clock import Clock

        self.port = 0
        self.bootstrap = ""
        self._clock = Clock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._stopping: asyncio.Event | None = None
        self._clean = True
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._main, args=(data, listen, properties, self._clock), name="barnabas", daemon=True
        )
        self._thread.start()
        self._ready.wait(_START_S)
        if self._failure is not None:
            raise self._failure
        if self._server is None:
            raise BarnabasError(f"The broker did not start within {_START_S:.0f} s")

    def _main(self, data: Path, listen: Sequence[str], properties: Mapping[str, str], clock: Clock) -> None:
        from barnabas.server.loops import run

        try:
            run(self._serve(data, listen, properties, clock))
        except BaseException as e:
            self._failure = e if isinstance(e, Exception) else BarnabasError(str(e))
        finally:
            self._ready.set()

    async def _serve(
        self, data: Path, listen: Sequence[str], properties: Mapping[str, str], clock: Clock
    ) -> None:
        from barnabas.config.definitions import ConfigException
        from barnabas.config.server import ServerConfig
        from barnabas.server.broker import Broker as Server
        from barnabas.server.command import listen_properties

        keys = {**properties, "log.dirs": str(data)}
        if "listeners" not in properties:
            keys.update(listen_properties(list(listen), keys))
        try:
            config, _ = ServerConfig.load(keys)
        except ConfigException as e:
            raise BarnabasError(str(e)) from e
        server = Server(config, data, clock=clock)
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        await server.start()
        self._server = server
        self.bootstrap = server.bootstrap
        self.port = next(x.port for x in server.listeners if not x.is_controller)
        self._ready.set()
        await self._stopping.wait()
        await server.stop(clean=self._clean)

    def command(self, what: str, **arguments: Any) -> Any:
        """Run a command of the broker on its loop; return its result."""
        from barnabas.server.control import execute

        async def run() -> Any:
            assert self._server is not None
            return execute(self._server, what, arguments)

        return self._call(run())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_STOP_S)

    def stop(self, *, clean: bool) -> None:
        """End the loop and the thread."""
        self._clean = clean
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_S)
        if self._failure is not None:
            raise self._failure


class _ProcessRunner:
    """Run a broker in a child process, steered by lines on its standard input."""

    def __init__(self, data: Path, listen: Sequence[str], properties: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "barnabas", "serve", "--control", "--data", str(data)]
        for address in listen:
            command += ["--listen", address]
        for key, value in properties.items():
            command += ["--override", f"{key}={value}"]
        self._log: deque[str] = deque(maxlen=20)
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        # Read all the time: a pipe that is full would hold the broker up in the middle of its work.
        self._reader = threading.Thread(target=self._read, name="broker's output", daemon=True)
        self._reader.start()
        try:
            ready = self._answer()
        except BaseException:
            self.stop(clean=False)
            raise
        self.bootstrap: str = ready["bootstrap"]
        self.port: int = ready["port"]

    def _read(self) -> None:
        """Take the child's output until it ends: answers to their queue, of its log the last lines."""
        from barnabas.server.control import PREFIX

        assert self._child.stdout is not None
        with contextlib.suppress(ValueError):  # closed while it was read
            for line in self._child.stdout:
                if line.startswith(PREFIX):
                    self._answers.put(json.loads(line[len(PREFIX) :]))
                else:
                    self._log.append(line)
        self._answers.put(None)

    def _answer(self) -> dict[str, Any]:
        """Wait until the child answers."""
        answer = self._answers.get()
        if answer is None:
            self._answers.put(None)  # for whoever asks next
            raise BarnabasError("The broker's process ended:\n" + "".join(self._log))
        if "error" in answer:
            raise BarnabasError(str(answer["error"]))
        return answer

    def command(self, what: str, **arguments: Any) -> Any:
        """Send a command; wait for its answer and return the result."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"do": what, "with": arguments}) + "\n")
        self._child.stdin.flush()
        return self._answer()["done"]

    def stop(self, *, clean: bool) -> None:
        """End the child, by SIGTERM or by SIGKILL."""
        child = self._child
        if child.poll() is None:
            child.send_signal(signal.SIGTERM) if clean else child.kill()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._reader.join(5)  # what the child started may hold its output open
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()
