"""The metadata log: what is committed is there after any end, and what cannot be understood is not touched."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from barnabas.metadata import reading
from barnabas.metadata.framing import MetadataError
from barnabas.metadata.snapshot import write_snapshot
from barnabas.metadata.store import MetadataStore
from barnabas.protocol.batch import build_batch, read_header
from barnabas.protocol.records import metadata as r

from .folders import NODE, NOW, batch, checksum, features, opened, store, topic, uuid, write_log


def reopened(data: Path) -> MetadataStore:
    found = opened(data)
    found.close(clean=False)
    return found


def names(found: MetadataStore) -> set[str]:
    return set(found.image.topics)


def test_committed_records_are_there_again(tmp_path: Path) -> None:
    """What `commit` returned for survives without a close, and each start begins a new epoch."""
    first = opened(tmp_path, features())
    first.commit(topic("plain", 7, 2), NOW)
    first.commit([r.ConfigRecord(2, "plain", "retention.ms", "5")], NOW)
    for epoch in (2, 3):
        again = reopened(tmp_path)
        assert names(again) == {"plain"} and again.image.config(2, "plain") == {"retention.ms": "5"}
        assert (again.epoch, again.kraft_version, again.voters) == (epoch, 1, [NODE])
        state = json.loads((tmp_path / "__cluster_metadata-0" / "quorum-state").read_text())
        assert state["leaderEpoch"] == epoch
    first.close(clean=False)


def test_the_bootstrap_is_written_once(tmp_path: Path) -> None:
    opened(tmp_path, features(25)).close(clean=True)
    assert reopened(tmp_path).image.metadata_version == 25
    second = opened(tmp_path, features(30))
    assert second.image.metadata_version == 25
    second.close(clean=True)


@pytest.mark.parametrize("torn", [1, 12, 60, 61, 80, -1])
def test_a_torn_tail_is_cut_and_nothing_else(tmp_path: Path, torn: int) -> None:
    """A batch that was not written whole was not acknowledged: it goes, what stands in front of it stays."""
    path = write_log(tmp_path, [features()], topic("plain", 7))
    whole = path.read_bytes()
    path.write_bytes(whole + batch(topic("lost", 8), 3)[:torn])
    before = checksum(tmp_path)
    found = store(tmp_path)
    found.load()
    assert found.torn > 0 and names(found) == {"plain"}
    assert checksum(tmp_path) == before, "loading changed a file"
    found.open(NOW)
    found.lead(NOW)
    found.commit(topic("next", 9), NOW)
    found.close(clean=False)
    assert path.read_bytes().startswith(whole)
    assert names(reopened(tmp_path)) == {"plain", "next"}


@pytest.mark.parametrize("at", [0, 20, 40, 70])
def test_damage_in_the_middle_is_refused(tmp_path: Path, at: int) -> None:
    """A bad byte in front of good batches is no torn tail: cutting there would lose acknowledged topics."""
    path = write_log(tmp_path, [features()], topic("plain", 7), topic("other", 8), topic("third", 9))
    data = bytearray(path.read_bytes())
    second = read_header(bytes(data)).size
    data[second + at] ^= 1
    path.write_bytes(data)
    before = checksum(tmp_path)
    with pytest.raises(MetadataError, match="damaged"):
        store(tmp_path).load()
    assert checksum(tmp_path) == before


def test_damage_in_an_older_segment_is_refused(tmp_path: Path) -> None:
    path = write_log(tmp_path, [features()])
    write_log(tmp_path, topic("plain", 7), base=1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MetadataError, match="damaged"):
        store(tmp_path).load()


def test_gaps_are_refused(tmp_path: Path) -> None:
    write_log(tmp_path, [features()])
    write_log(tmp_path, topic("plain", 7), base=5)
    with pytest.raises(MetadataError, match="gap"):
        store(tmp_path).load()
    (tmp_path / "__cluster_metadata-0" / f"{0:020d}.log").unlink()
    with pytest.raises(MetadataError, match="no complete snapshot"):
        store(tmp_path).load()


def test_a_record_of_a_newer_kafka_is_refused(tmp_path: Path) -> None:
    path = write_log(tmp_path, [features()])
    path.write_bytes(path.read_bytes() + build_batch([(None, b"\x01\x63\x00")], NOW, base_offset=1, leader_epoch=1))
    before = checksum(tmp_path)
    with pytest.raises(MetadataError, match=r"unknown kind \(99\)"):
        store(tmp_path).load()
    assert checksum(tmp_path) == before


# --- metadata transactions ----------------------------------------------------------------------------------


def test_a_transaction_over_several_batches(tmp_path: Path) -> None:
    """Its records count once it ends; those of an aborted one never do."""
    named, *partitions = topic("big", 7, 3)
    write_log(
        tmp_path, [features()], [r.BeginTransactionRecord("create"), named], partitions[:2], partitions[2:],
        [r.EndTransactionRecord()], [r.BeginTransactionRecord("create")], topic("dropped", 8),
        [r.AbortTransactionRecord("no")], topic("after", 9),
    )  # fmt: skip
    found = reopened(tmp_path)
    assert names(found) == {"big", "after"} and len(found.image.topics["big"].partitions) == 3


def test_an_unfinished_transaction_is_aborted_in_the_log(tmp_path: Path) -> None:
    """Without the abort every later record would belong to it, and be dropped by the next reader."""
    write_log(tmp_path, [features()], [r.BeginTransactionRecord("create")], topic("half", 7))
    found = opened(tmp_path)
    assert names(found) == set()
    found.commit(topic("next", 8), NOW)
    found.close(clean=False)
    assert names(reopened(tmp_path)) == {"next"}


# --- snapshots ----------------------------------------------------------------------------------------------


def test_the_log_is_shortened(tmp_path: Path) -> None:
    """Once enough was written one snapshot stands for the log in front of it; nothing is lost."""
    found = opened(tmp_path, features(), snapshot_bytes=2000)
    for i in range(40):
        found.commit([*topic(f"t{i}", 100 + i), r.ConfigRecord(2, f"t{i}", "retention.ms", str(i))], NOW)
        if i % 3 == 0:
            found.commit([r.RemoveTopicRecord(uuid(100 + i))], NOW)
    found.close(clean=False)
    folder = tmp_path / "__cluster_metadata-0"
    (snapshot,) = folder.glob("*.checkpoint")
    (log,) = folder.glob("*.log")
    end, epoch = snapshot.stem.split("-")
    assert log.stem == end and int(end) > 100 and int(epoch) == 1
    assert snapshot.stat().st_mode & 0o777 == 0o400
    assert log.stat().st_size < 2500
    again = reopened(tmp_path)
    assert names(again) == {f"t{i}" for i in range(40) if i % 3}
    assert again.image.config(2, "t8") == {"retention.ms": "8"} and again.voters == [NODE]
    assert again.epoch == 2


def test_a_log_that_is_empty_behind_its_snapshot(tmp_path: Path) -> None:
    """The epoch goes on where the snapshot says it was."""
    found = opened(tmp_path, features())
    found.commit(topic("plain", 7), NOW)
    end = found.log.log_end_offset
    found.close(clean=False)
    folder = tmp_path / "__cluster_metadata-0"
    state = reading.read(folder)
    write_snapshot(folder, end, 9, state.image, state.voters, NOW)
    for path in (*folder.glob("*.log"), folder / "leader-epoch-checkpoint", folder / "quorum-state"):
        path.unlink()
    again = opened(tmp_path)
    again.commit(topic("next", 8), NOW)
    again.close(clean=False)
    assert again.epoch == 10
    assert names(reopened(tmp_path)) == {"plain", "next"}


def test_an_incomplete_snapshot_is_ignored(tmp_path: Path) -> None:
    """One that a crash cut off, or that is still being written, does not count; the log does."""
    write_log(tmp_path, [features()], topic("plain", 7))
    folder = tmp_path / "__cluster_metadata-0"
    state = reading.read(folder)
    path = write_snapshot(folder, 2, 1, state.image, state.voters, NOW)
    data = path.read_bytes()
    path.unlink()
    (folder / f"{3:020d}-{1:010d}.checkpoint").write_bytes(data[:-1])
    (folder / f"{3:020d}-{1:010d}.checkpoint.part").write_bytes(data)
    (folder / f"{3:020d}-{1:010d}.checkpoint.deleted").write_bytes(data)
    assert names(reopened(tmp_path)) == {"plain"}


def test_a_corrupt_snapshot_is_refused(tmp_path: Path) -> None:
    """A snapshot with its footer but a wrong byte inside is damage, not something to skip."""
    write_log(tmp_path, [features()], topic("plain", 7))
    folder = tmp_path / "__cluster_metadata-0"
    state = reading.read(folder)
    path = write_snapshot(folder, 3, 1, state.image, state.voters, NOW)
    data = bytearray(path.read_bytes())
    data[data.index(b"plain")] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(MetadataError, match="corrupt"):
        store(tmp_path).load()


def test_a_log_behind_its_snapshot_starts_anew(tmp_path: Path) -> None:
    """The disk kept the snapshot and lost the end of the log: the snapshot says all of it."""
    write_log(tmp_path, [features()], topic("plain", 7), topic("more", 8))
    folder = tmp_path / "__cluster_metadata-0"
    state = reading.read(folder)
    write_snapshot(folder, 5, 1, state.image, None, NOW)
    write_log(tmp_path, [features()])
    found = opened(tmp_path)
    assert names(found) == {"plain", "more"} and found.log.segments[0].base_offset == 5
    found.commit(topic("next", 9), NOW)
    found.close(clean=False)
    assert names(reopened(tmp_path)) == {"plain", "more", "next"}


def test_a_disk_that_refuses_the_snapshot_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a snapshot the log only stays long."""
    found = opened(tmp_path, features(), snapshot_bytes=500)
    folder = tmp_path / "__cluster_metadata-0"
    for offset in range(200):  # a folder in the place of every snapshot that may come
        (folder / f"{offset:020d}-{1:010d}.checkpoint.tmp").mkdir()
    with caplog.at_level(logging.WARNING):
        for i in range(20):
            found.commit(topic(f"t{i}", 100 + i), NOW)
    found.close(clean=False)
    assert "was not shortened" in caplog.text
    for path in folder.glob("*.tmp"):
        path.rmdir()
    assert len(names(reopened(tmp_path))) == 20
