"""Lock a data directory against a second broker, Kafka's included.

Kafka takes a POSIX record lock on `.lock`; `lockf` takes the same kind, so each keeps the other out. Such locks
belong to a process: within one process a set of paths does the same. On Windows the byte is locked with msvcrt.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from pathlib import Path

_held: set[Path] = set()
_guard = threading.Lock()


class DirectoryLock:
    """Hold the lock file of one data directory."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._fd = -1

    def acquire(self) -> str | None:
        """Take the lock; return None, or a description of who holds it. Raises `OSError`."""
        with _guard:
            if self._path in _held:
                # not even opened: closing any descriptor of the file would drop the lock of the whole process
                return f"another broker in this process (pid {os.getpid()})"
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _lock(fd)
            except OSError:
                holder = _holder(fd)
                os.close(fd)
                return holder
            self._fd = fd
            _held.add(self._path)
            return None

    def release(self) -> None:
        """Let go; harmless where it is not held."""
        with _guard:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                _held.discard(self._path)


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

    def _holder(fd: int) -> str:
        return "another process"

else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _holder(fd: int) -> str:
        """Ask the kernel who holds the lock (struct flock as Linux lays it out); elsewhere nobody can be named."""
        if not sys.platform.startswith("linux"):
            return "another process"
        query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        try:
            pid = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, query))[4]
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                command = " ".join(f.read().replace(b"\0", b" ").decode(errors="replace").split())
        except OSError:
            return "another process"
        return f"process {pid} ({command[:160]})" if command else f"process {pid}"
