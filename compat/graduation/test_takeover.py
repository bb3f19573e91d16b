"""Barnabas takes a directory of Apache Kafka over, and Kafka takes it back: both find what the other left."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import peer
import pytest
import scenario
from confluent_kafka import Producer
from peer import Kafka
from scenario import Observed, RawProducer, Wire, observe

from barnabas.embedded import Broker
from testkit.ports import free_port

GROUPS = ("simple-group", "classic-group", "modern-group")
SETTINGS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "metadata.log.max.record.bytes.between.snapshots": "4000",
}


@dataclass
class Written:
    """Hold what a Kafka held when it stopped. `told`: what its tools say of users, ACLs, groups and so on."""

    data: Path
    properties: Path
    held: Observed
    told: dict[str, str]
    raw: RawProducer


def transactions(bootstrap: str) -> Producer:
    """Commit, abort, and leave one open with records behind it; returns its producer, to be kept alive."""
    scenario.create(bootstrap, "transactional", 2)
    settings = {"bootstrap.servers": bootstrap, "transaction.timeout.ms": 900_000, "log_level": 0}
    ended = Producer({**settings, "transactional.id": "ended"})
    ended.init_transactions(scenario.TIMEOUT_S)
    for turn in range(4):
        ended.begin_transaction()
        for i in range(10):
            ended.produce("transactional", b"%d of %d" % (i, turn), partition=i % 2)
        ended.flush(scenario.TIMEOUT_S)
        (ended.abort_transaction if turn % 2 else ended.commit_transaction)(scenario.TIMEOUT_S)
    still_open = Producer({**settings, "transactional.id": "open"})
    still_open.init_transactions(scenario.TIMEOUT_S)
    still_open.begin_transaction()
    still_open.produce("transactional", b"undecided", partition=0)
    still_open.flush(scenario.TIMEOUT_S)
    scenario.produce(bootstrap, "transactional", 10, partition=0)
    return still_open


def tell(bootstrap: str) -> dict[str, str]:
    """Ask Kafka's tools for what no client library shows."""
    configs, server = "kafka.admin.ConfigCommand", ["--bootstrap-server", bootstrap]
    asked = {
        "users": [configs, *server, "--describe", "--entity-type", "users"],
        "metrics": [configs, *server, "--describe", "--entity-type", "client-metrics"],
        "acls": ["org.apache.kafka.tools.AclCommand", *server, "--list"],
        "groups": ["org.apache.kafka.tools.GroupsCommand", *server, "--list"],
        "transactions": ["org.apache.kafka.tools.TransactionsCommand", *server, "list"],
        "features": ["org.apache.kafka.tools.FeatureCommand", *server, "describe"],
    }
    told = {name: "\n".join(sorted(peer.tool(*command).splitlines())) for name, command in asked.items()}
    told["features"] = re.sub(r"Epoch: \d+", "", told["features"])
    return told


def written_by_kafka(tmp_path: Path, *, kill: bool, options: tuple[str, ...] = ()) -> Written:
    """Let a Kafka with its default features write a directory, and end it."""
    data = tmp_path / "data"
    settings = peer.server_properties(data, free_port(), free_port(), SETTINGS)
    properties = peer.write_properties(tmp_path / "server.properties", settings)
    scram = ("--add-scram", "SCRAM-SHA-256=[name=alice,password=secret]")
    peer.format_directory(properties, "--standalone", *scram, *options)
    with Kafka(properties, tmp_path) as kafka:
        server = ["--bootstrap-server", kafka.bootstrap]
        raw = scenario.fill(kafka.bootstrap)
        still_open = transactions(kafka.bootstrap)
        scenario.consume_as_group(kafka.bootstrap, "modern-group", "plain", **{"group.protocol": "consumer"})
        acl = ["--add", "--allow-principal", "User:alice", "--operation", "Read", "--topic", "plain"]
        peer.tool("org.apache.kafka.tools.AclCommand", *server, *acl)
        for kind, name, config in (
            ("users", "alice", "producer_byte_rate=123456"), ("client-metrics", "subscription", "interval.ms=1000"),
        ):
            change = ["--alter", "--add-config", config, "--entity-type", kind, "--entity-name", name]
            peer.tool("kafka.admin.ConfigCommand", *server, *change)
        held, told = observe(kafka.bootstrap, GROUPS), tell(kafka.bootstrap)
        kafka.kill() if kill else kafka.stop()
    del still_open
    assert held.records["transactional", 0][-1] != held.committed_records["transactional", 0][-1]
    assert list((data / "__cluster_metadata-0").glob("*[1-9]-*.checkpoint")), "Kafka wrote no snapshot of its metadata"
    return Written(data, properties, held, told, raw)


def retry(bootstrap: str, raw: RawProducer) -> None:
    with Wire.to(bootstrap) as wire:
        assert scenario.send(wire, "retried", raw.batch) == raw.offset


@pytest.mark.parametrize(
    "kill", [pytest.param(False, id="clean", marks=pytest.mark.slow), pytest.param(True, id="killed")]
)
def test_there_and_back(tmp_path: Path, kill: bool) -> None:
    """Kafka, Barnabas twice, Kafka: with transactions, users, quotas, ACLs and groups that Barnabas only keeps."""
    written = written_by_kafka(tmp_path, kill=kill)
    if kill:
        reserved = [p for p in written.data.glob("*/*.index") if p.stat().st_size == 10 * 1024 * 1024]
        assert reserved, "a killed Kafka leaves the room that it reserved for its indexes"
    with Broker(written.data, properties={"node.id": "1"}, process=True) as broker:
        assert observe(broker.bootstrap, GROUPS) == written.held
        retry(broker.bootstrap, written.raw)
        scenario.create(broker.bootstrap, "by-barnabas", 2, {"retention.ms": "-1"})
        scenario.produce(broker.bootstrap, "by-barnabas", 100)
        scenario.produce(broker.bootstrap, "plain", 50)
        scenario.commit_simple(broker.bootstrap, "simple-group", "plain", 2, 150)
        held = observe(broker.bootstrap, GROUPS)
    again = Broker(written.data, properties={"node.id": "1"}, process=True).start()
    try:
        assert observe(again.bootstrap, GROUPS) == held
        if kill:
            again.kill()
    finally:
        again.stop()
    assert peer.wrong_lines(peer.dump_everything(written.data)) == []
    with Kafka(written.properties, tmp_path) as kafka:
        assert observe(kafka.bootstrap, GROUPS) == held
        assert tell(kafka.bootstrap) == written.told
        retry(kafka.bootstrap, written.raw)
        kafka.stop()
        assert kafka.complaints == []


def test_only_formatted(tmp_path: Path) -> None:
    """A directory that Kafka's tool formatted and nobody served keeps the features and users that were chosen."""
    data = tmp_path / "data"
    settings = peer.server_properties(data, free_port(), free_port())
    properties = peer.write_properties(tmp_path / "server.properties", settings)
    scram = ("--add-scram", "SCRAM-SHA-512=[name=bob,password=secret]")
    peer.format_directory(properties, "--standalone", "--release-version", "4.1", *scram)
    with Broker(data, properties={"node.id": "1"}, process=True) as broker:
        scenario.create(broker.bootstrap, "plain", 2)
        scenario.produce(broker.bootstrap, "plain", 20)
        scenario.commit_simple(broker.bootstrap, "simple-group", "plain", 2, 5)
        held = observe(broker.bootstrap, ())
    with Kafka(properties, tmp_path) as kafka:
        assert observe(kafka.bootstrap, ()) == held
        users = peer.tool(
            "kafka.admin.ConfigCommand", "--bootstrap-server", kafka.bootstrap, "--describe", "--entity-type", "users"
        )
        assert "bob" in users
        features = peer.tool(
            "org.apache.kafka.tools.FeatureCommand", "--bootstrap-server", kafka.bootstrap, "describe"
        )
        assert re.search(r"metadata\.version.*FinalizedVersionLevel: 4\.1", features)
        kafka.stop()
        assert kafka.complaints == []


def test_a_running_kafka_is_left_alone(tmp_path: Path) -> None:
    """The lock of a Kafka that runs keeps Barnabas out, and the other way round."""
    data = tmp_path / "data"
    settings = peer.server_properties(data, free_port(), free_port())
    properties = peer.write_properties(tmp_path / "server.properties", settings)
    peer.format_directory(properties, "--standalone")
    with Kafka(properties, tmp_path):
        for command in (["serve", "--data", str(data), "--listen", "127.0.0.1:0"], ["graduate", str(data)]):
            refused = subprocess.run(
                [sys.executable, "-m", "barnabas", *command], check=False, capture_output=True, text=True, timeout=30
            )
            assert refused.returncode == 1 and "in use by process" in refused.stderr
    with Broker(data, properties={"node.id": "1"}, process=True):
        kafka = Kafka(properties, tmp_path)
        with pytest.raises(RuntimeError, match="did not start"):
            kafka.__enter__()
        assert "Failed to acquire lock" in kafka.log


def test_a_static_quorum_stays_one(tmp_path: Path) -> None:
    """A directory of kraft.version 0, whose voters stand in the settings alone, is handed back with them."""
    data, ours = tmp_path / "data", tmp_path / "ours.properties"
    port, controller = free_port(), free_port()
    settings = peer.server_properties(data, port, controller)
    del settings["controller.quorum.bootstrap.servers"]
    settings["controller.quorum.voters"] = f"1@127.0.0.1:{controller}"
    properties = peer.write_properties(tmp_path / "server.properties", settings)
    peer.format_directory(properties)
    with Kafka(properties, tmp_path) as kafka:
        raw = scenario.raw_producer(kafka.bootstrap)
        held = observe(kafka.bootstrap, ())
    with Broker(data, properties={"node.id": "1"}, process=True) as broker:
        assert observe(broker.bootstrap, ()).records == held.records
        retry(broker.bootstrap, raw)
        scenario.produce(broker.bootstrap, "retried", 10)
        scenario.commit_simple(broker.bootstrap, "simple-group", "retried", 1, 5)
        held = observe(broker.bootstrap, ("simple-group",))
    command = [sys.executable, "-m", "barnabas", "graduate", str(data), "--output", str(ours)]
    assert subprocess.run(command, check=False).returncode == 0
    assert "controller.quorum.voters=1@127.0.0.1:" in ours.read_text()
    with Kafka(ours, tmp_path) as kafka:
        assert observe(kafka.bootstrap, ("simple-group",)) == held
        retry(kafka.bootstrap, raw)
        kafka.stop()
        assert kafka.complaints == []
