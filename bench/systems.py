"""Start, measure and stop the compared brokers, each a process of our own with a folder and free ports for each run."""

import importlib.metadata
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers import kafka, tansu
from bench.peers.folder import PeerError
from bench.wire import WireError, ask_api_versions
from testkit.ports import free_ports

START_LIMIT = 90.0  # seconds until a started broker must have answered
STOP_LIMIT = 60.0  # seconds until a broker must have ended after SIGTERM
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
REPOSITORY = Path(__file__).resolve().parent.parent  # where `python -m bench.NAME` finds this package


@dataclass(frozen=True, slots=True)
class System:
    """A broker that can be compared: its name on the command line, its title in tables, and how it is run."""

    name: str
    title: str
    version: Callable[[], str]
    prepare: Callable[[Path, Sequence[int]], list[str]]
    """Write what the node needs into a folder and return the command that serves on the first of two ports."""


def _barnabas_version() -> str:
    try:
        found = importlib.metadata.version("barnabas")
    except importlib.metadata.PackageNotFoundError as error:
        message = f"{sys.executable} has no package barnabas: install it first, or leave it out with --systems"
        raise PeerError(message) from error
    return f"{found} (Python {platform.python_version()})"


def _barnabas(folder: Path, ports: Sequence[int]) -> list[str]:
    address = ["--listen", f"127.0.0.1:{ports[0]}"]
    return [sys.executable, "-m", "barnabas", "serve", "--data", str(folder / "data"), *address]


SYSTEMS = {
    system.name: system
    for system in (
        System("barnabas", "Barnabas", _barnabas_version, _barnabas),
        System("kafka", "Apache Kafka", kafka.version, kafka.prepare),
        System("tansu", "Tansu", tansu.version, tansu.prepare),
    )
}


def _ports(count: int, among: range | None) -> list[int]:
    """Give free ports. Raises PeerError where a range has not as many."""
    try:
        return free_ports(count, among)
    except OSError as error:
        raise PeerError(str(error)) from error


def process_tree(root: int) -> list[int]:
    """Return a process and its living descendants, from /proc."""
    tree = [root]
    for pid in tree:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                tree.extend(int(child) for child in children.read_text().split())
            except OSError:  # that thread has just ended
                continue
    return tree


@dataclass(slots=True)
class Running:
    """A broker that answers, from `started` until the end of its block."""

    system: System
    process: subprocess.Popen[bytes]
    port: int
    start_seconds: float
    """From starting the process to the first answer to an ApiVersions request."""

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Return user and system time of the broker so far, its child processes included (/proc/PID/stat)."""
        total = 0
        for pid in process_tree(self.process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def resident_bytes(self) -> int:
        """Return the resident memory of the broker, its child processes included (/proc/PID/statm)."""
        pids = process_tree(self.process.pid)
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * PAGE


def _first_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until an ApiVersions request is answered. Raises PeerError if the broker ends or the limit passes."""
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit:
        if process.poll() is not None:
            break
        try:
            # A broker may accept long before it answers: wait on the connection that it took.
            with socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT) as connection:
                ask_api_versions(connection, 1)
            return
        except (OSError, WireError):
            time.sleep(0.002)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise PeerError(f"no answer on port {port} (exit code {process.poll()}); the end of its output:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def started(system: System, ports: range | None = None, parent: Path | None = None) -> Iterator[Running]:
    """Start a broker on an empty folder, hand it over once it answers, then stop it and drop the folder.

    `ports` limits the choice of ports, `parent` is where the folder goes (default: the temporary folder).
    Raises PeerError when it does not answer.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{system.name}-", dir=parent))
    try:
        chosen = _ports(2, ports)
        command = system.prepare(folder, chosen)
        log = folder / "log"
        with log.open("wb") as output:
            begin = time.perf_counter()
            # A session of its own keeps a Ctrl-C for the benchmark from ending the broker before its measurement.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, start_new_session=True
            )
        try:
            _first_answer(process, chosen[0], log)
            yield Running(system, process, chosen[0], time.perf_counter() - begin)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
