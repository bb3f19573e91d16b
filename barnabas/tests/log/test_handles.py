"""Files of the log: whole writes, bounded numbers, syncs beside deletions."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from barnabas.log.files import StorageError, replace_file
from barnabas.log.handles import AppendFile, FilePool, SyncJob
from testkit.descriptors import held_open


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: the system then takes a part of a write, and refuses the next."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "f", FilePool())
    file.append(b"abc")
    with largest_file(10), pytest.raises(StorageError):
        file.append(b"0123456789")
    assert (tmp_path / "f").read_bytes() == b"abc"
    assert file.size == 3
    file.append(b"def")
    assert (tmp_path / "f").read_bytes() == b"abcdef"


def test_a_tail_that_could_not_be_cut_is_cut_before_the_next_write() -> None:
    file = AppendFile(Path("/dev/full"), FilePool())  # neither written nor cut
    for _ in range(2):
        with pytest.raises(StorageError):
            file.append(b"abc")
    with pytest.raises(StorageError, match="Invalid argument"):
        file.settle()
    assert file.size == 0


def test_files_beyond_the_bound_are_closed_and_come_back(tmp_path: Path) -> None:
    pool = FilePool(8)
    files = [AppendFile(tmp_path / str(i), pool) for i in range(50)]
    for text in (b"one", b"two"):
        for file in files:
            file.append(text)
            assert len(pool) <= 8
    assert held_open(tmp_path) == 8
    assert [file.read(0, 10) for file in files] == [b"onetwo"] * 50
    for file in files:
        file.close()
    assert len(pool) == 0
    assert held_open(tmp_path) == 0


def test_a_busy_file_is_seldom_closed(tmp_path: Path) -> None:
    pool = FilePool(8)
    busy = AppendFile(tmp_path / "busy", pool)
    busy.append(b"x")
    closed = 0
    for i in range(80):
        AppendFile(tmp_path / str(i), pool).append(b"y")
        closed += busy not in pool
        assert busy.read(0, 1) == b"x"
    assert closed <= 80 / 8


def test_a_sync_outlives_the_file(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "f", FilePool())
    file.append(b"abc")
    descriptor = file.to_sync()
    assert descriptor is not None
    job = SyncJob([descriptor], [tmp_path / "gone"])
    file.delete()
    (tmp_path / "another").write_bytes(b"takes the number of the closed descriptor")
    assert held_open(tmp_path) == 1
    job.run()
    assert held_open(tmp_path) == 0


def test_only_what_was_written_is_synced(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "f", FilePool(1))
    assert file.to_sync() is None
    file.append(b"abc")
    AppendFile(tmp_path / "g", file._pool).append(b"closes f")
    first = file.to_sync()
    assert first is not None
    SyncJob([first]).run()
    assert file.to_sync() is None
    file.truncate(1)
    second = file.to_sync()
    assert second is not None
    SyncJob([second]).close()


def test_a_failed_sync_is_told() -> None:
    read_end, write_end = os.pipe()  # a pipe cannot be synced
    os.close(write_end)
    with pytest.raises(StorageError):
        SyncJob([read_end]).run()


def test_a_replaced_file_is_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "f"
    replace_file(path, "old")
    with largest_file(2), pytest.raises(StorageError):
        replace_file(path, "too long")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]
    replace_file(path, "new")
    assert path.read_text() == "new"
