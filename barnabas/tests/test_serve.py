"""The command `barnabas serve`: options, properties files, environment, log lines, metrics, the way down."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.describe_cluster import DescribeClusterRequest
from barnabas.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from barnabas.protocol.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from barnabas.protocol.messages.metadata import MetadataRequest
from testkit.ports import free_ports

from .wire import Wire


@contextmanager
def serve(
    *arguments: str, cwd: Path, environment: dict[str, str] | None = None, until: str = "Kafka Server started"
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command until a line is seen; give the process and the lines up to it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "barnabas", "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, cwd=cwd, env={**os.environ, **(environment or {})},
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if until in line:
                break
        else:
            raise AssertionError("\n".join(lines))
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def refused(*arguments: str, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command that must fail; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "barnabas", "serve", *arguments], capture_output=True, text=True, cwd=cwd, timeout=30,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr


def test_lines_that_scripts_wait_for_come_when_requests_are_answered(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with serve("--listen", f"localhost:{port}", cwd=tmp_path) as (process, lines):
        with Wire("localhost", port) as wire:
            assert wire.request(ApiVersionsRequest("test", "1"), 3).error_code == 0
        text = "\n".join(lines)
        assert re.search(r"^\[.*\] INFO \[KafkaServer id=1\] started \(kafka\.server\.KafkaServer\)$", text, re.M)
        assert "INFO Kafka Server started (kafka.server.KafkaRaftServer)" in text
        assert (tmp_path / "data" / "meta.properties").exists()  # no argument: data in ./data
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()


def test_json_lines(tmp_path: Path) -> None:
    with serve("--listen", "127.0.0.1:0", "--log-format", "json", cwd=tmp_path) as (_, lines):
        entries = [json.loads(line) for line in lines]
    assert entries[-1]["message"] == "Kafka Server started"
    assert {"time", "level", "logger", "message"} <= set(entries[-1])


def test_two_listeners_with_advertised_addresses_of_their_own(tmp_path: Path) -> None:
    first, second = free_ports(2)
    keys = [
        f"listeners=PLAINTEXT://127.0.0.1:{first},PLAINTEXT_HOST://127.0.0.1:{second}",
        f"advertised.listeners=PLAINTEXT://kafka:9092,PLAINTEXT_HOST://localhost:{second}",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
    ]
    overrides = [x for key in keys for x in ("--override", key)]
    with serve(*overrides, cwd=tmp_path):
        for port, expected in ((first, ("kafka", 9092)), (second, ("localhost", second))):
            with Wire("127.0.0.1", port) as wire:
                node = wire.request(MetadataRequest(None), 12).brokers[0]
                assert (node.host, node.port) == expected


def stock_properties(broker: int, controller: int, data: Path) -> str:
    """Return the keys of the server.properties that Kafka 4 ships, on free ports and a folder of the test."""
    return f"""
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:{controller}
listeners=PLAINTEXT://:{broker},CONTROLLER://:{controller}
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:{broker},CONTROLLER://localhost:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs={data}
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def test_the_stock_file_starts_and_its_controller_answers(tmp_path: Path) -> None:
    broker, controller = free_ports(2)
    path = tmp_path / "server.properties"
    path.write_text(stock_properties(broker, controller, tmp_path / "logs"))
    with serve(str(path), cwd=tmp_path) as (_, lines):
        assert not [line for line in lines if " WARN " in line]
        with Wire("localhost", broker) as wire:
            assert [b.port for b in wire.request(MetadataRequest(None), 12).brokers] == [broker]
            keys = {k.api_key for k in wire.request(ApiVersionsRequest("test", "1"), 3).api_keys}
            assert {0, 1, 3, 19} <= keys
        with Wire("localhost", controller) as wire:
            keys = {k.api_key for k in wire.request(ApiVersionsRequest("test", "1"), 3).api_keys}
            assert {19, 55, 60} <= keys
            assert not {0, 3, 11} & keys  # what a controller does not serve: Produce, Metadata, JoinGroup
            cluster = wire.request(DescribeClusterRequest(endpoint_type=2), 1)
            assert [b.port for b in cluster.brokers] == [controller]
            asked = DescribeQuorumRequest([TopicData("__cluster_metadata", [PartitionData(0)])])
            answer = wire.request(asked, 2)
            assert answer.topics[0].partitions[0].leader_id == 1
            assert [x.port for x in answer.nodes[0].listeners] == [controller]


def test_the_environment_of_the_compose_file(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environment = {
        "KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port}",
        "KAFKA_NUM_PARTITIONS": "7",
    }
    with serve(cwd=tmp_path, environment=environment) as (_, lines):
        assert any("zookeeper.connect" in line and " WARN " in line for line in lines)
        with Wire("localhost", port) as wire:
            asked = DescribeConfigsRequest([DescribeConfigsResource(4, "1", ["num.partitions"])])
            entry = wire.request(asked, 4).results[0].configs[0]
            assert (entry.value, entry.config_source) == ("7", 4)


def test_what_has_no_effect_is_named(tmp_path: Path) -> None:
    arguments = ["--listen", "127.0.0.1:0", "--override", "no.such.key=1", "--override", "quota.window.num=3"]
    with serve(*arguments, cwd=tmp_path) as (_, lines):
        warnings = [line for line in lines if " WARN " in line]
        assert any("no.such.key" in line for line in warnings)
        assert any("quota.window.num" in line for line in warnings)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--override", "num.partitions=0"], ["num.partitions", "0", "at least 1"]),
        (["--override", "log.cleanup.policy=shred"], ["log.cleanup.policy", "shred"]),
        (["--override", "nonsense"], ["nonsense", "KEY=VALUE"]),
        (["--listen", "localhost"], ["localhost", "HOST:PORT"]),
        (["missing.properties"], ["missing.properties"]),
        (["--metadata-version", "3.9"], ["3.9", "4.0"]),
    ],
)
def test_what_is_wrong_is_an_error_that_says_so(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    said = refused(*arguments, cwd=tmp_path)
    for word in words:
        assert word in said
    assert not (tmp_path / "data").exists()


def test_a_taken_port_names_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--listen", f"127.0.0.1:{port}", cwd=tmp_path)
    assert str(port) in said
    assert f"process {os.getpid()}" in said
    assert "--listen" in said


def test_a_second_broker_on_a_directory_is_told_who_holds_it(tmp_path: Path) -> None:
    with serve("--listen", "127.0.0.1:0", cwd=tmp_path) as (process, _):
        said = refused("--listen", "127.0.0.1:0", cwd=tmp_path)
        assert f"process {process.pid}" in said


def test_metrics(tmp_path: Path) -> None:
    port, page = free_ports(2)
    with serve("--listen", f"127.0.0.1:{port}", "--metrics", str(page), cwd=tmp_path):
        with Wire("127.0.0.1", port) as wire:
            for _ in range(3):
                wire.request(MetadataRequest(None), 12)
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    assert 'kafka_network_requestmetrics_requests_total{request="Metadata"} 3' in text
    assert "# TYPE kafka_server_replicamanager_partitioncount gauge" in text


def test_a_signal_while_clients_wait_is_obeyed(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with serve("--listen", f"127.0.0.1:{port}", cwd=tmp_path) as (process, _), Wire("127.0.0.1", port) as wire:
        wire.request(MetadataRequest(None), 12)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert time.monotonic() - started < 10
        assert wire.is_closed()
