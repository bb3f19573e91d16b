"""Touch the file system: whole writes, atomic replacement, fsync of files and of the folders that name them.

Every write goes straight to write(2): no user-space buffer and no mmap, so what was acknowledged survives SIGKILL,
and a full disk is an error at the write and not a SIGBUS later.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from barnabas.protocol.errors import BarnabasError
from barnabas.protocol.schema import Buffer

logger = logging.getLogger(__name__)


class StorageError(BarnabasError):
    """The disk refused a write or a read; nothing acknowledged is lost."""


def write_all(fd: int, data: Buffer, size_before: int) -> None:
    """Append to a file or change nothing: what a short or failed write left behind is cut away.

    `size_before` is the file's size in front of the write. Raises `StorageError`.
    """
    try:
        size = len(data)
        written = os.write(fd, data)
        while written < size:
            more = os.write(fd, memoryview(data)[written:])
            if more == 0:
                raise OSError("the disk took no bytes")
            written += more
    except OSError as e:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, size_before)
        raise StorageError(str(e)) from e


def replace_file(path: Path, content: bytes | str, *, sync: bool = True) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half of either.

    Raises `StorageError`; the old file then stands.
    """
    temporary = path.with_name(path.name + ".tmp")
    data = content.encode() if isinstance(content, str) else content
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            write_all(fd, data, 0)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
        if sync:
            sync_folder(path.parent)
    except (OSError, StorageError) as e:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise e if isinstance(e, StorageError) else StorageError(f"{path}: {e}") from e


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable (a folder cannot be opened on Windows, where this is not needed)."""
    with contextlib.suppress(PermissionError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def read_text(path: Path) -> str | None:
    """Return a file's text, or None where there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


class Reserve:
    """Set some room aside on the disk, for what must be written so that a full disk can be emptied.

    That is: the record that a topic is deleted, and what a start and a stop write.
    """

    SIZE = 1024 * 1024

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Set the room aside where there is plenty; nothing happens where there is not."""
        try:
            if self._path.exists() or shutil.disk_usage(self._path.parent).free < 4 * self.SIZE:
                return
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                write_all(fd, bytes(self.SIZE), 0)  # a sparse file would reserve nothing
            finally:
                os.close(fd)
        except (OSError, StorageError):
            with contextlib.suppress(OSError):
                self._path.unlink()

    def release(self) -> bool:
        """Give the room back; False where there was none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        logger.warning("The disk is full: the room set aside in %s is given back", self._path)
        return True

    def release_if_full(self) -> None:
        """Give the room back where there is less than that left."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._path.parent).free < self.SIZE:
                self.release()
