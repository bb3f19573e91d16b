"""What belongs to a cluster, lies elsewhere or is of a newer Kafka is refused with its reason, and not touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from barnabas.config.server import ServerConfig
from barnabas.log.directory import DirectoryError, uuid_text
from barnabas.metadata.framing import MetadataError
from barnabas.metadata.snapshot import control_pairs
from barnabas.node.node import Node
from barnabas.protocol.batch import CONTROL, build_batch
from barnabas.protocol.errors import BarnabasError
from barnabas.protocol.records import control
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

from .folders import DIRECTORY_ID, NODE, NOW, checksum, features, topic, uuid, write_log

META = f"version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAg\nnode.id=1\ndirectory.id={uuid_text(DIRECTORY_ID)}\n"


def node(data: Path) -> Node:
    return Node(ServerConfig.load({"node.id": "1", "log.dirs": str(data)})[0], data)


def directory(data: Path, *groups: list[Message]) -> Path:
    """Make the directory of a Kafka that stopped cleanly: metadata, and a partition with a torn and a stale file."""
    write_log(data, *groups)
    (data / "meta.properties").write_text(META)
    (data / ".kafka_cleanshutdown").write_text('{"version":0,"brokerEpoch":7}')
    (data / "recovery-point-offset-checkpoint").write_text("malformed")
    folder = data / "plain-0"
    folder.mkdir()
    (folder / "partition.metadata").write_text(f"version: 0\ntopic_id: {uuid_text(uuid(7))}")
    (folder / f"{0:020d}.log").write_bytes(b"torn")
    (folder / f"{0:020d}.log.deleted").write_bytes(b"left over")
    return data


def refuse(data: Path, reason: str, error: type[BarnabasError] = MetadataError) -> None:
    """Start a node; it must refuse, and leave every file as it was, however often it is asked."""
    before = checksum(data)
    for _ in range(2):
        with pytest.raises(error, match=reason):
            node(data).start()
        assert checksum(data) == before


REGISTERED = r.RegisterBrokerRecord(broker_id=NODE, broker_epoch=7, log_dirs=[DIRECTORY_ID])


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ([[features(31)]], "metadata.version has level 31.*newer Kafka"),
        ([[features(), r.FeatureLevelRecord("quantum.version", 1)]], "quantum.version has level 1.*newer"),
        ([[features(), r.FeatureLevelRecord("group.version", 2)]], "group.version has level 2.*newer"),
        ([[features(6)]], "before Kafka 3.3"),
        ([[features(), REGISTERED, r.RegisterBrokerRecord(broker_id=2)]], "broker 2 is registered"),
        ([[features(), r.RegisterBrokerRecord(broker_id=1, log_dirs=[uuid(4), uuid(5)])]], "2 log directories"),
        ([[features()], topic("plain", 7, replicas=[1, 2])], r"plain-0 has the replicas \[1, 2\]"),
        ([[features()], topic("plain", 7, replicas=[2])], r"plain-0 has the replicas \[2\]"),
        ([[features()], topic("plain", 7, adding_replicas=[2])], "plain-0 is being reassigned"),
        ([[features()], topic("plain", 7, removing_replicas=[2])], "plain-0 is being reassigned"),
        ([[features()], topic("plain", 7, directories=[uuid(99)])], "another log directory"),
        ([[features()], [*topic("plain", 7), r.ConfigRecord(2, "plain", "remote.storage.enable", "true")]], "remote"),
        ([[features()], [*topic("plain", 7)[:1], *topic("plain", 7, 2)[2:]]], "plain-0 is missing"),
        ([], "no metadata that names them"),
    ],
)
def test_refused_and_not_touched(tmp_path: Path, groups: list[list[Message]], reason: str) -> None:
    refuse(directory(tmp_path, *groups), reason)


def test_other_voters_are_refused(tmp_path: Path) -> None:
    directory(tmp_path, [features()])
    voters = control.VotersRecord(
        voters=[control.VotersRecordVoter(i, uuid(i), [], control.KRaftVersionFeature(0, 1)) for i in (1, 2, 3)]
    )
    path = tmp_path / "__cluster_metadata-0" / f"{0:020d}.log"
    more = build_batch(control_pairs([(6, voters)]), NOW, base_offset=1, leader_epoch=1, attributes=CONTROL)
    path.write_bytes(path.read_bytes() + more)
    refuse(tmp_path, r"voters \[1, 2, 3\]")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("node.id=1", "node.id=3"), "belongs to node.id 3"),
        (lambda text: text.replace("version=1", "version=0"), "version 0"),
        (lambda text: text.replace("directory.id", "other"), "no valid directory.id"),
        (lambda text: text.replace("node.id=1", ""), "no valid node.id"),
        (None, "no meta.properties"),
    ],
)
def test_another_identity_is_refused(tmp_path: Path, change: Callable[[str], str] | None, reason: str) -> None:
    path = directory(tmp_path, [features()], topic("plain", 7)) / "meta.properties"
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    refuse(tmp_path, reason, DirectoryError)


def test_what_was_refused_can_be_served_once_it_is_mended(tmp_path: Path) -> None:
    """The same directory without the fault starts, and its malformed checkpoint and leftovers are dealt with."""
    directory(tmp_path, [features(), REGISTERED], topic("plain", 7))
    found = node(tmp_path)
    found.start()
    assert list(found.image.topics) == ["plain"]
    assert not (tmp_path / ".kafka_cleanshutdown").exists()
    assert not list(tmp_path.glob("plain-0/*.deleted"))
    found.stop()
    assert (tmp_path / ".kafka_cleanshutdown").read_text() == '{"version":0,"brokerEpoch":7}'


def test_an_unclean_stop_raises_epochs_as_kafka_can_read_them(tmp_path: Path) -> None:
    """Each partition's leader epoch rises by one; with ELR on, the node is in sync and no longer in the ELR."""
    plain = topic("plain", 7, isr=[], eligible_leader_replicas=[NODE], leader_epoch=4)
    directory(tmp_path, [features(), REGISTERED], plain)
    (tmp_path / ".kafka_cleanshutdown").unlink()
    found = node(tmp_path)
    found.start()
    partition = found.image.topics["plain"].partitions[0]
    found.stop()
    assert (partition.leader_epoch, partition.partition_epoch, partition.record.leader) == (5, 1, -1)
    assert partition.record.isr == [NODE] and partition.record.eligible_leader_replicas == []
    assert partition.record.last_known_elr == [NODE]
