"""A data directory: one broker at a time, whose it is, what malformed files lead to, long names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from barnabas.log import checkpoints
from barnabas.log.directory import CLEAN_MARKER, DataDirectory, DirectoryError, random_uuid
from barnabas.log.files import Reserve
from barnabas.log.locking import DirectoryLock

from .making import NOW, append, everything, files, topic_config


def opened(path: Path, node: int = 1) -> DataDirectory:
    directory = DataDirectory(path, node)
    directory.begin()
    return directory


def content(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


# --- one broker at a time ---------------------------------------------------------------------------------------------


def test_a_second_broker_in_the_process_is_refused(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for path in (tmp_path, tmp_path / ".." / tmp_path.name):
        with pytest.raises(DirectoryError, match=rf"another broker in this process \(pid {os.getpid()}\)"):
            DataDirectory(path, 1)
    # the refusal did not drop the first one's lock
    assert subprocess.run([sys.executable, "-c", LOCK, str(tmp_path / ".lock")], check=False).returncode == 9
    first.close(clean=True)
    opened(tmp_path).close(clean=True)


#: take the lock as Kafka does, by the call behind Java's FileChannel.tryLock; 9 where it is taken
LOCK = """
import fcntl, sys
f = open(sys.argv[1], "a+b")
try:
    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(9)
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_is_named(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(tmp_path / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DirectoryError, match=rf"in use by process {other.pid} \(.*import fcntl"):
            DataDirectory(tmp_path, 1)
        assert files(tmp_path) == [".lock"]
    finally:
        other.communicate()
    opened(tmp_path).close(clean=True)


def test_a_lock_is_let_go_where_the_directory_does_not_fit(tmp_path: Path) -> None:
    opened(tmp_path).close(clean=True)
    with pytest.raises(DirectoryError):
        DataDirectory(tmp_path, 2)
    lock = DirectoryLock(tmp_path / ".lock")
    assert lock.acquire() is None
    lock.release()
    lock.release()


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryError, match="cannot be made"):
        DataDirectory(tmp_path / "file" / "data", 1)
    (tmp_path / ".lock").mkdir()
    with pytest.raises(DirectoryError, match="cannot be locked"):
        DataDirectory(tmp_path, 1)


# --- identity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new", "why"), [
    ("node.id=1", "node.id=7", "belongs to node.id 7, this broker is configured with node.id 1"),
    ("node.id=1", "node.id=x", "no valid node.id"),
    ("version=1", "version=0", "version 0"),
    ("directory.id=", "directory=", "no valid directory.id"),
])
def test_an_identity_that_does_not_fit(tmp_path: Path, old: str, new: str, why: str) -> None:
    opened(tmp_path).close(clean=True)
    properties = tmp_path / "meta.properties"
    properties.write_text(properties.read_text().replace(old, new))
    before = content(tmp_path)
    with pytest.raises(DirectoryError, match=why):
        DataDirectory(tmp_path, 1)
    assert content(tmp_path) == before


# --- checkpoints ------------------------------------------------------------------------------------------------------

MALFORMED = [
    b"0\n", b"1\n0\n", b"0\n2\nt 0 5\n", b"0\n1\nt 0\n", b"0\n1\nt x 5\n", b"0\n1\nt 0 -5\n", b"\xff\xfe\n",
    b"0\n1\nt 0 99999999999999999999\n", b"0\n1\nt 0 5",
]


@pytest.mark.parametrize("data", MALFORMED)
def test_a_malformed_checkpoint_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(checkpoints.CheckpointError, match="f"):
        checkpoints.read_offsets(tmp_path / "f")


@pytest.mark.parametrize("data", MALFORMED)
def test_without_the_recovery_points_more_is_read(tmp_path: Path, data: bytes) -> None:
    topic = random_uuid()
    directory = opened(tmp_path)
    append(directory.open_log("t", topic, 0, topic_config(), 0, NOW))
    directory.close(clean=True)
    (tmp_path / checkpoints.RECOVERY_POINT).write_bytes(data)
    directory = opened(tmp_path)
    assert directory.open_log("t", topic, 0, topic_config(), 0, NOW).log_end_offset == 1
    directory.close(clean=True)
    assert checkpoints.read_offsets(tmp_path / checkpoints.RECOVERY_POINT) == {("t", 0): 1}


@pytest.mark.parametrize("data", MALFORMED)
def test_deleted_records_do_not_come_back_by_a_malformed_file(tmp_path: Path, data: bytes) -> None:
    opened(tmp_path).close(clean=True)
    (tmp_path / checkpoints.LOG_START).write_bytes(data)
    before = content(tmp_path)
    with pytest.raises(DirectoryError, match="which records were deleted"):
        directory = DataDirectory(tmp_path, 1)
        try:
            directory.begin()
        finally:
            directory.close(clean=False)
    assert content(tmp_path) == before  # the clean marker too


def test_checkpoints_are_kafka_s(tmp_path: Path) -> None:
    checkpoints.write_offsets(tmp_path / "f", {("a", 0): 5, ("b.c", 12): 1 << 40})
    assert (tmp_path / "f").read_text() == "0\n2\na 0 5\nb.c 12 1099511627776\n"
    assert checkpoints.read_offsets(tmp_path / "f") == {("a", 0): 5, ("b.c", 12): 1 << 40}
    checkpoints.write_epochs(tmp_path / "e", [(3, 0), (4, 17)])
    assert (tmp_path / "e").read_text() == "0\n2\n3 0\n4 17\n"
    assert checkpoints.read_offsets(tmp_path / "missing") == {}


def test_unchanged_checkpoints_are_not_written_again(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    log = directory.open_log("t", random_uuid(), 0, topic_config(), 0, NOW)
    directory.write_checkpoints()
    written = (tmp_path / checkpoints.RECOVERY_POINT).stat().st_ino
    directory.write_checkpoints()
    assert (tmp_path / checkpoints.RECOVERY_POINT).stat().st_ino == written
    append(log)
    log.flush()
    directory.write_checkpoints()
    assert checkpoints.read_offsets(tmp_path / checkpoints.RECOVERY_POINT) == {("t", 0): 1}
    directory.close(clean=False)


# --- stops ------------------------------------------------------------------------------------------------------------


def test_a_log_that_cannot_be_closed_cleanly_leaves_no_marker_and_keeps_the_others(tmp_path: Path) -> None:
    topics = [random_uuid(), random_uuid()]
    directory = opened(tmp_path)
    logs = [directory.open_log("t", topic, i, topic_config(), 0, NOW) for i, topic in enumerate(topics)]
    for log in logs:
        append(log, producer=(1, 0, 0))
    blocked = logs[0].folder / f"{1:020d}.snapshot.tmp"
    blocked.mkdir()
    directory.close(clean=True)
    assert not (tmp_path / CLEAN_MARKER).exists()
    assert (logs[1].folder / f"{1:020d}.snapshot").exists()
    assert len(directory.files) == 0
    blocked.rmdir()
    directory = opened(tmp_path)
    assert not directory.was_clean
    for i, topic in enumerate(topics):
        assert len(everything(directory.open_log("t", topic, i, topic_config(), 1, NOW))) == 1
    directory.close(clean=True)
    assert (tmp_path / CLEAN_MARKER).exists()


def test_names_of_any_length_can_be_deleted_and_set_aside(tmp_path: Path) -> None:
    name = "n" * 249
    directory = opened(tmp_path)
    directory.open_log(name, random_uuid(), 0, topic_config(), 0, NOW)
    directory.delete_log(name, 0)
    assert not directory.partition_folders()
    directory.open_log(name, random_uuid(), 12345, topic_config(), 0, NOW)
    directory.close(clean=True)
    directory.stray(tmp_path / f"{name}-12345")
    (stray,) = [path.name for path in directory.partition_folders()]
    assert (len(stray), stray[-6:], stray.startswith("n" * 200)) == (255, "-stray", True)


def test_a_folder_of_another_topic_is_refused(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    directory.open_log("t", random_uuid(), 0, topic_config(), 0, NOW)
    with pytest.raises(DirectoryError, match="another topic of that name"):
        directory.open_log("t", random_uuid(), 0, topic_config(), 0, NOW)
    directory.close(clean=False)


def test_room_is_set_aside_and_given_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "r")
    assert not reserve.release()
    reserve.make()
    reserve.make()
    assert (tmp_path / "r").stat().st_blocks * 512 >= Reserve.SIZE
    assert reserve.release()
    assert files(tmp_path) == []
