"""`DATA/run/endpoints.json`: where the stores of a running platform are, and which processes it started."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from barnabas_quant.errors import QuantError
from barnabas_quant.processes import end_leftover, started


class Started(msgspec.Struct, frozen=True):
    """Name a process for good: its id and when it started."""

    pid: int
    since: str


class Endpoints(msgspec.Struct, frozen=True):
    """Hold the bootstrap address of Kafka, and the broker's process where this platform started it."""

    kafka: str
    broker: Started | None = None
    version: int = 1


def _path(data: Path) -> Path:
    return data / "run" / "endpoints.json"


def read_endpoints(data: Path) -> Endpoints | None:
    """Read what the platform in `data` last wrote; None where there is nothing (readable)."""
    try:
        return msgspec.json.decode(_path(data).read_bytes(), type=Endpoints)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_endpoints(data: Path, kafka: str, broker: int | None) -> None:
    """Write where Kafka is and which process is the broker, whole or not at all."""
    since = None if broker is None else started(broker)
    process = None if broker is None or since is None else Started(broker, since)
    path = _path(data)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(Endpoints(kafka, process)))
    fresh.replace(path)


def remove_endpoints(data: Path) -> None:
    """Forget the endpoints: nothing runs any more."""
    _path(data).unlink(missing_ok=True)


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the platform's folder for one run, and end what a killed run left. Raises QuantError where one runs."""
    folder = _path(data).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "up.lock").open("a+")
    except OSError as error:
        raise QuantError(f"cannot write to {data}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise QuantError(
                f"{data} is in use by process {lock.read().strip() or '?'}; name another --data"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        left = read_endpoints(data)
        if left is not None and left.broker is not None:
            end_leftover(left.broker.pid, left.broker.since)
        yield
