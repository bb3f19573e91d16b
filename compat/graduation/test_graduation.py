"""A real Apache Kafka takes a directory of Barnabas over: nothing is lost, doubled or complained about."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peer
import pytest
import scenario
from peer import Kafka
from scenario import RawProducer, Wire, observe

from barnabas.embedded import Broker
from testkit.ports import free_port

PROPERTIES = {"offsets.topic.num.partitions": "4", "log.retention.hours": "200"}


def graduate(data: Path, output: Path, *options: str) -> str:
    """Run `barnabas graduate`; return what it printed. Fails where it refuses."""
    done = subprocess.run(
        [sys.executable, "-m", "barnabas", "graduate", str(data), "--output", str(output), *options],
        check=False, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"kafka-server-start.sh {output}" in done.stdout
    return done.stdout


def check_files(data: Path) -> None:
    """Let Kafka's dump tool read every file, indexes of both kinds included."""
    outputs = peer.dump_everything(data)
    assert {"logs", "offsets", "metadata", "index sanity", "index entries"} <= set(outputs)
    assert peer.wrong_lines(outputs) == []
    assert "isvalid: true" in outputs["logs"] and "CreateTime" in outputs["logs"]
    assert "TOPIC_RECORD" in outputs["metadata"] and '"group":"classic-group"' in outputs["offsets"]


def check_retry(bootstrap: str, raw: RawProducer) -> None:
    """Send a batch again that was stored before: it gets its first offset, and is not stored twice."""
    before = scenario.read_all(bootstrap, [("retried", 0)], "read_uncommitted")[0]
    with Wire.to(bootstrap) as wire:
        assert scenario.send(wire, "retried", raw.batch) == raw.offset
    assert scenario.read_all(bootstrap, [("retried", 0)], "read_uncommitted")[0] == before


def use(bootstrap: str, name: str) -> None:
    """Make a topic, write to it, and to an older one."""
    scenario.create(bootstrap, name, 2)
    scenario.produce(bootstrap, name, 100, partition=1)
    scenario.produce(bootstrap, "plain", 30)
    scenario.commit_simple(bootstrap, "simple-group", "plain", 2, 150)


def test_clean_stop_and_back(tmp_path: Path) -> None:
    """Barnabas, Kafka, Kafka again, Barnabas, Kafka: each finds all that the one before held."""
    data, properties = tmp_path / "data", tmp_path / "server.properties"
    with Broker(data, properties=PROPERTIES, process=True) as broker:
        raw = scenario.fill(broker.bootstrap)
        held = observe(broker.bootstrap)
    check_files(data)
    told = graduate(data, properties, "--deep")
    assert "plain: 3 partitions" in told and "2 groups" in told
    assert "log.retention.hours=200" in properties.read_text()

    with Kafka(properties, tmp_path) as kafka:
        assert observe(kafka.bootstrap) == held
        check_retry(kafka.bootstrap, raw)
        use(kafka.bootstrap, "by-kafka")
        held = observe(kafka.bootstrap)
        kafka.stop()
        assert kafka.complaints == []
    with Kafka(properties, tmp_path) as kafka:
        assert observe(kafka.bootstrap) == held
        kafka.stop()
        assert kafka.complaints == []

    with Broker(data, properties=PROPERTIES, process=True) as broker:
        assert observe(broker.bootstrap) == held
        check_retry(broker.bootstrap, raw)
        use(broker.bootstrap, "by-barnabas")
        held = observe(broker.bootstrap)
    check_files(data)
    graduate(data, properties, "--deep")
    with Kafka(properties, tmp_path) as kafka:
        assert observe(kafka.bootstrap) == held
        kafka.stop()
        assert kafka.complaints == []


def test_sigkill_under_load(tmp_path: Path) -> None:
    """After SIGKILL everything acknowledged is there once, and Kafka recovers the files without a complaint."""
    data, properties = tmp_path / "data", tmp_path / "server.properties"
    broker = Broker(data, properties=PROPERTIES, process=True).start()
    try:
        raw = scenario.fill(broker.bootstrap)
        held = observe(broker.bootstrap)
        scenario.create(broker.bootstrap, "loaded", 3)
        with scenario.load(broker.bootstrap, "loaded") as acknowledged:
            broker.kill()
    finally:
        broker.stop()
    assert "not clean" in graduate(data, properties, "--deep")

    with Kafka(properties, tmp_path) as kafka:
        found = observe(kafka.bootstrap)
        loaded = {at: found.records.pop(at) for at in [("loaded", p) for p in range(3)]}
        for part in (found.records, found.committed_records, found.ranges, found.producers):
            for at in loaded:
                part.pop(at, None)  # type: ignore[attr-defined]
        del found.topics["loaded"]
        assert found == held
        stored = [(p, record[0], record[3]) for (_, p), records in loaded.items() for record in records]
        values = [value for _, _, value in stored]
        assert len(set(values)) == len(values), "a record was stored twice"
        assert set(acknowledged) <= set(stored)
        check_retry(kafka.bootstrap, raw)
        kafka.stop()
        assert kafka.complaints == []


def test_snapshot_of_our_own(tmp_path: Path) -> None:
    """Kafka starts from a metadata snapshot of ours, behind which no older log is left."""
    data, properties = tmp_path / "data", tmp_path / "server.properties"
    small = {**PROPERTIES, "metadata.log.max.record.bytes.between.snapshots": "3000"}
    with Broker(data, properties=small, process=True) as broker:
        raw = scenario.fill(broker.bootstrap)
        held = observe(broker.bootstrap)
    folder = data / "__cluster_metadata-0"
    snapshots = sorted(folder.glob("*.checkpoint"))
    assert len(snapshots) == 1 and not (folder / f"{0:020d}.log").exists()
    decoded = peer.dump(snapshots, "--cluster-metadata-decoder")
    assert "SnapshotFooter" in decoded and "KRaftVoters" in decoded and '"name":"plain"' in decoded
    check_files(data)
    graduate(data, properties)
    with Kafka(properties, tmp_path) as kafka:
        assert observe(kafka.bootstrap) == held
        check_retry(kafka.bootstrap, raw)
        use(kafka.bootstrap, "by-kafka")
        kafka.stop()
        assert kafka.complaints == []


@pytest.mark.parametrize("release", [*(pytest.param(f"4.{n}", marks=pytest.mark.slow) for n in range(3)), "4.3"])
def test_metadata_version(tmp_path: Path, release: str) -> None:
    """A directory made for an older Kafka keeps that level, and the newer one can raise it."""
    data, properties = tmp_path / "data", tmp_path / "server.properties"
    port = free_port()
    with serving(data, port, "--metadata-version", release):
        scenario.create(f"127.0.0.1:{port}", "plain", 2, {"retention.ms": "-1"})
        scenario.produce(f"127.0.0.1:{port}", "plain", 10)
    assert f"Apache Kafka {release} or later" in graduate(data, properties)
    with Kafka(properties, tmp_path) as kafka:
        described = feature_level(kafka.bootstrap)
        assert described.startswith(release)
        scenario.produce(kafka.bootstrap, "plain", 10)
        if release != "4.3":
            command = "org.apache.kafka.tools.FeatureCommand"
            peer.tool(command, "--bootstrap-server", kafka.bootstrap, "upgrade", "--release-version", "4.3-IV0")
            assert feature_level(kafka.bootstrap).startswith("4.3")
        kafka.stop()
        assert kafka.complaints == []


@contextmanager
def serving(data: Path, port: int, *options: str) -> Iterator[None]:
    """Run `barnabas serve` until leaving."""
    command = [sys.executable, "-m", "barnabas", "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"]
    child = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + scenario.TIMEOUT_S
        while not peer.apache_kafka.brokers_known(port):
            assert child.poll() is None and time.monotonic() < end, "the broker did not start"
            time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait(scenario.TIMEOUT_S)


def feature_level(bootstrap: str) -> str:
    """Return the finalized metadata.version, as Kafka's tool names it."""
    told = peer.tool("org.apache.kafka.tools.FeatureCommand", "--bootstrap-server", bootstrap, "describe")
    found = re.search(r"metadata\.version.*FinalizedVersionLevel: (\S+)", told)
    assert found is not None, told
    return found[1]


_VERSIONS = """
import org.apache.kafka.server.common.MetadataVersion;
public class Versions {
    public static void main(String[] arguments) {
        for (MetadataVersion v : MetadataVersion.VERSIONS)
            System.out.println(v.featureLevel() + " " + v.registerBrokerRecordVersion() + " "
                + v.partitionRecordVersion() + " " + v.partitionChangeRecordVersion());
    }
}
"""


def test_record_versions_are_those_of_kafka(tmp_path: Path) -> None:
    """Every level of metadata.version writes the versions of records that Kafka itself writes."""
    if shutil.which("javac") is None:
        pytest.skip("needs javac on the path: the versions are asked of Kafka's classes")
    from barnabas.metadata.framing import record_version
    from barnabas.protocol.records import metadata as r

    source = tmp_path / "Versions.java"
    source.write_text(_VERSIONS)
    told = subprocess.run(
        ["java", "--class-path", peer.apache_kafka.classpath(), str(source)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    levels = [tuple(map(int, line.split())) for line in told.splitlines() if line[:1].isdigit()]
    assert len(levels) > 20
    records = (r.RegisterBrokerRecord(), r.PartitionRecord(), r.PartitionChangeRecord())
    for level, *versions in levels:
        assert [record_version(record, level) for record in records] == versions, f"metadata.version {level}"
