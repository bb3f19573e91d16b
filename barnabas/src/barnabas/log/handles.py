"""Hold the files of the logs: opened when they are needed, closed when too many are open, synced in a thread.

A directory may hold thousands of partitions with several segments and four files each, more than a process may have
open. So a file is opened at its first use, and a `FilePool`, one a data directory, closes those that were not used
lately. Everything here belongs to one thread, the event loop's; only `SyncJob.run` is made for another one. It works on
duplicates of the descriptors, so that files may be closed and deleted while it runs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from barnabas.log.files import StorageError, sync_folder, write_all
from barnabas.protocol.schema import Buffer

_FEWEST: Final = 64
_MOST: Final = 8192


def _half_of_the_limit() -> int:
    """Return how many files the logs of one directory keep open: the other half is for connections."""
    try:
        import resource
    except ImportError:  # Windows
        return _MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft < 0 else max(_FEWEST, min(_MOST, soft // 2))


class FilePool:
    """Bound the number of open files: beyond `capacity` one that was not used since the last look is closed."""

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity if capacity is not None else _half_of_the_limit()
        self._open: dict[AppendFile, None] = {}

    def __len__(self) -> int:
        """Return how many files are open."""
        return len(self._open)

    def __contains__(self, file: object) -> bool:
        """Tell whether a file is open."""
        return file in self._open

    def add(self, file: AppendFile) -> None:
        """Take in a file that was just opened, closing others where there are too many."""
        while len(self._open) >= max(1, self.capacity):
            oldest = next(iter(self._open))
            if oldest.used:  # it gets a second chance, behind all others
                oldest.used = False
                del self._open[oldest]
                self._open[oldest] = None
            else:
                oldest.close()
        self._open[file] = None

    def remove(self, file: AppendFile) -> None:
        """Forget a file that was closed."""
        self._open.pop(file, None)


class AppendFile:
    """Be one file that grows at its end, or changes not at all. `size` is in bytes, as far as writes succeeded."""

    __slots__ = ("_dirty", "_fd", "_pool", "_torn", "path", "size", "used")

    def __init__(self, path: Path, pool: FilePool) -> None:
        self.path = path
        self.used = False
        self._pool = pool
        self._fd = -1
        self._dirty = False
        self._torn = False
        try:
            self.size = os.stat(path).st_size
        except FileNotFoundError:
            self.size = 0

    def _open(self) -> int:
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as e:
            raise StorageError(str(e)) from e
        self.used = False
        self._pool.add(self)
        return self._fd

    def create(self) -> None:
        """Make the file where it is missing; raises `StorageError`."""
        if self._fd < 0:
            self._open()

    def append(self, data: Buffer) -> None:
        """Append all bytes or none; raises `StorageError`."""
        fd = self._fd if self._fd >= 0 else self._open()
        if self._torn:
            self.truncate(self.size)
        self.used = self._dirty = True
        try:
            write_all(fd, data, self.size)
        except StorageError:
            self._torn = True  # what was written may not have been cut away: that must work before the next write
            raise
        self.size += len(data)

    def read(self, position: int, size: int) -> bytes:
        """Read bytes; fewer come back at the end. Raises `StorageError`."""
        fd = self._fd if self._fd >= 0 else self._open()
        self.used = True
        try:
            return os.pread(fd, size, position)
        except OSError as e:
            raise StorageError(str(e)) from e

    def truncate(self, size: int) -> None:
        """Cut the file; raises `StorageError`."""
        fd = self._fd if self._fd >= 0 else self._open()
        try:
            os.ftruncate(fd, size)
        except OSError as e:
            raise StorageError(str(e)) from e
        self._torn = False
        self._dirty = True
        self.size = size

    def settle(self) -> None:
        """Cut away what a failed write left behind, if anything; raises `StorageError`."""
        if self._torn:
            self.truncate(self.size)

    def suspect(self) -> None:
        """Count what the file holds as not synced: another process wrote it."""
        self._dirty = True

    def to_sync(self) -> int | None:
        """Return a duplicate descriptor for a `SyncJob`, None where nothing was written since the last one."""
        if not self._dirty:
            return None
        fd = self._fd if self._fd >= 0 else self._open()
        try:
            duplicate = os.dup(fd)
        except OSError as e:
            raise StorageError(str(e)) from e
        self._dirty = False
        return duplicate

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._pool.remove(self)

    def delete(self) -> None:
        """Close and remove the file."""
        self.close()
        self._dirty = self._torn = False
        self.size = 0
        self.path.unlink(missing_ok=True)


class SyncJob:
    """Sync files, and the folders that name them. To be run once, in any thread, or dropped with `close`."""

    def __init__(self, descriptors: list[int], folders: Iterable[Path] = ()) -> None:
        self._descriptors = descriptors
        self._folders = tuple(folders)

    def run(self) -> None:
        """Sync everything; raises `StorageError`."""
        try:
            for fd in self._descriptors:
                os.fsync(fd)
            for folder in self._folders:
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile: nothing to keep
                    sync_folder(folder)
        except OSError as e:
            raise StorageError(str(e)) from e
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the descriptors."""
        while self._descriptors:
            os.close(self._descriptors.pop())
