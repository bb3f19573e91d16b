"""`DATA/run`: where the stores of a running platform are, which processes it started, and that it is the only one."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import msgspec

from barnabas_quant.errors import NotWritable, QuantError
from barnabas_quant.processes import end_leftover, started

log = logging.getLogger(__name__)


class Started(msgspec.Struct, frozen=True):
    """Name a process for good: its id and when it started."""

    pid: int
    since: str

    @classmethod
    def of(cls, pid: int) -> Started | None:
        """Name a process of this id; None where there is none."""
        since = started(pid)
        return None if since is None else cls(pid, since)

    @property
    def lives(self) -> bool:
        """Tell whether it still runs."""
        return started(self.pid) == self.since


class Endpoints(msgspec.Struct, frozen=True):
    """Hold where everything of a running platform is: addresses as their clients take them, and processes by name."""

    kafka: str
    redis: str | None = None
    clickhouse: str | None = None
    exchange: str | None = None
    gateway: str | None = None
    metrics: str | None = None
    supervisor: Started | None = None
    processes: dict[str, Started] = {}
    version: int = 2


def run_folder(data: Path) -> Path:
    """Give the folder that describes the running platform."""
    return data / "run"


def read_endpoints(data: Path) -> Endpoints | None:
    """Read what the platform in `data` last wrote; None where there is nothing (readable)."""
    try:
        return msgspec.json.decode((run_folder(data) / "endpoints.json").read_bytes(), type=Endpoints)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def running_platform(data: Path) -> Endpoints | None:
    """Read where everything of the platform that runs in `data` is; None where none does, whatever a killed one left.

    Whoever supervises it must live: a broker that a killed run left may do so for a moment, and ends.
    """
    found = read_endpoints(data)
    return found if found is not None and found.supervisor is not None and found.supervisor.lives else None


def write_endpoints(data: Path, endpoints: Endpoints) -> None:
    """Write where everything is, whole or not at all. Raises OSError."""
    path = run_folder(data) / "endpoints.json"
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(endpoints)))
    fresh.replace(path)


def remove_endpoints(data: Path) -> None:
    """Forget the endpoints: nothing runs any more."""
    (run_folder(data) / "endpoints.json").unlink(missing_ok=True)


class Attempts:
    """Write something again and again, and bear that a full disk does not take it: that is no reason to end.

    The log says so once, and once more when it is taken again.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._refused = False

    def __call__(self, write: Callable[[], None]) -> bool:
        """Write; answer whether it was taken."""
        try:
            write()
        except BrokenPipeError:  # no disk: whoever read it is gone
            raise
        except OSError as error:
            if not self._refused:
                log.warning("%s cannot be written: %s; it is tried again", self._what, error.strerror)
            self._refused = True
            return False
        if self._refused:
            log.warning("%s can be written again", self._what)
        self._refused = False
        return True


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the platform's folder for one run, and end what a killed run left. Raises QuantError where one runs."""
    with _lock(data):
        left = read_endpoints(data)
        if left is not None:
            for process in reversed(left.processes.values()):
                end_leftover(process.pid, process.since)
        yield


def _lock(data: Path) -> FileIO:
    """Open the folder's lock, held and with our id in it. Raises QuantError."""
    folder = run_folder(data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "up.lock").open("ab+", buffering=0)
    except OSError as error:
        raise NotWritable.of(data, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n".encode())
    except BlockingIOError as error:
        with lock:
            lock.seek(0)
            holder = lock.read().decode(errors="replace").strip() or "?"
        raise QuantError(f"{data} is in use by process {holder}; name another --data") from error
    except OSError as error:
        lock.close()
        raise NotWritable.of(data, error) from error
    return lock
