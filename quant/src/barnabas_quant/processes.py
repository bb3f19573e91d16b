"""Child processes that end with their parent, their logs, ports that are taken, and what a killed run left behind."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from barnabas_quant.errors import ChildError

LARGEST_LOG = 16 * 2**20
"""Bytes of a log beyond which it is cut; the old one takes as many once more."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Child:
    """Run a command in a session of its own, its output in a file.

    A session of its own, so that Ctrl-C in the terminal reaches the parent alone, which ends things in order. Where the
    parent dies without doing so, Linux sends the child SIGTERM; elsewhere the next run ends it (see `end_leftover`).
    Start it from the main thread: Linux takes the end of the starting thread for the parent's.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        reports: str | None = None,
    ) -> None:
        """Start it. With `reports`, the name of an environment variable, it finds there a descriptor to write to.

        What it writes comes out of `reports`; its standard input then stays open as long as this object keeps it.
        Raises ChildError where the system refuses, its log or the process.
        """
        self.name = name
        self.log = log
        self.reports: int | None = None
        environment = dict(os.environ if environment is None else environment)
        inherited = -1
        try:
            if reports is not None:
                self.reports, inherited = os.pipe()
                environment[reports] = str(inherited)
            log.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # what it has to say goes before
                cut_log(log)
            self._start_of_log = log.stat().st_size if log.exists() else 0
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL if reports is None else subprocess.PIPE,
                    pass_fds=() if reports is None else (inherited,),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_tie_to_parent(os.getpid()),
                )
        except OSError as error:
            if self.reports is not None:
                os.close(self.reports)
            raise ChildError(f"cannot start the {name} ({error.filename or command[0]}): {error.strerror}") from error
        finally:
            if inherited >= 0:
                os.close(inherited)
        self.pid = self._process.pid

    @property
    def ended(self) -> bool:
        """Tell whether it has ended."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise ChildError, with the last lines of its output, if it has ended."""
        if self.ended:
            raise ChildError(f"the {self.name} {self.how_it_ended()}; its output is in {self.log}{self.last_words()}")

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and do not wait."""
        if not self.ended:
            self._process.terminate()

    def stop(self, seconds: float = 30.0) -> int:
        """Send SIGTERM and wait, then SIGKILL after `seconds`; answer the exit code."""
        self.ask_to_stop()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self.forget()

    def forget(self) -> None:
        """Close what connects us with it, once it has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self.reports is not None:
            os.close(self.reports)
            self.reports = None

    def how_it_ended(self) -> str:
        """Say how it ended: killed by SIGKILL, ended with code 1."""
        code = self._process.poll()
        if code is None:
            return "runs"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def cut_log(self) -> None:
        """Cut its log where that has grown too large. Raises OSError."""
        if cut_log(self.log):
            self._start_of_log = 0

    def last_words(self, lines: int = 8) -> str:
        """Give the last lines of its output, each indented on a line of its own."""
        try:
            with self.log.open("rb") as output:
                output.seek(max(self._start_of_log, self.log.stat().st_size - 4096))
                text = output.read().decode("utf-8", "replace").splitlines()[-lines:]
        except OSError:  # somebody has cleared up, or put something else in its place
            return ""
        return "".join(f"\n    {line}" for line in text)


def cut_log(log: Path) -> bool:
    """Copy a log that has grown too large to its old one, in the place of what is there, and cut it to nothing.

    Answer whether it was. A process writes through a descriptor that it was given: its log can be neither closed nor
    renamed under it. But it is open for appending, so that the next line stands at the beginning of what was cut. Lines
    that are written between the last look for what to copy and the cut, some microseconds, are lost. Raises OSError
    where it cannot be copied; it is left as it is then.
    """
    if not log.exists() or log.stat().st_size <= LARGEST_LOG:
        return False
    copy = log.with_name(f"{log.name}.new")
    try:
        with log.open("r+b", buffering=0) as source, copy.open("wb") as target:
            while chunk := source.read(2**20):
                target.write(chunk)
                target.flush()
            source.truncate(0)
    except OSError:
        with suppress(OSError):
            copy.unlink()
        raise
    copy.replace(old_log(log))  # after the cut: where the old one is another, the log has begun anew
    return True


def old_log(log: Path) -> Path:
    """Give where a log's lines are until it is cut once more: PROCESS.log.1."""
    return log.with_name(f"{log.name}.1")


def _tie_to_parent(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked to be told
            os.kill(os.getpid(), signal.SIGTERM)

    return tie


def started(pid: int) -> str | None:
    """Say when a process started, in whatever form the system has; None where there is none of that id.

    With the id it names one process for good: ids are used again, start times are not.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def end_leftover(pid: int, since: str, seconds: float = 30.0) -> bool:
    """End a process that an earlier run started and could not end; answer whether there was one.

    `since` is what `started` said then. Raises ChildError where it does not go.
    """
    if started(pid) != since:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while started(pid) == since:
        if time.monotonic() > deadline:
            raise ChildError(f"process {pid}, left by an earlier run, does not end")
        time.sleep(0.05)
    return True


def check_port(address: str, setting: str, instead: str = "") -> None:
    """Raise ChildError, naming address, holder and setting, if something listens at HOST:PORT already.

    `instead`: what else the user can do, `use the Kafka that is there with --kafka HOST:PORT`.
    """
    host, port = split_address(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ChildError(f"{setting} {address}: {error.strerror}") from error
    for family, kind, protocol, _, where in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(where)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    holder = _holder(port)
                    raise ChildError(
                        f"port {port} is taken{f' by {holder}' if holder else ''}: end that, or name another with "
                        f"{setting}{f', or {instead}' if instead else ''}"
                    ) from error
                if error.errno != errno.EADDRNOTAVAIL:  # a machine without ::1
                    raise ChildError(f"{setting} {address}: {error.strerror}") from error


def split_address(address: str) -> tuple[str, int]:
    """Split HOST:PORT or [HOST]:PORT. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"not HOST:PORT: {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _holder(port: int) -> str | None:
    """Name the process that listens on a port, where Linux lets us see it."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        with suppress(OSError):
            if os.readlink(link) in sockets:
                pid = link.parts[2]
                command = Path(f"/proc/{pid}/comm").read_text().strip()
                return f"process {pid} ({command})"
    return None


def _listening(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
