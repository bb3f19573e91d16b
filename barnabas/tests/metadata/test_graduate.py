"""`barnabas graduate` lets a sound directory go with the right settings, and names every fault of another."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from barnabas.cli import main
from barnabas.config.properties import load
from barnabas.config.server import ServerConfig
from barnabas.embedded import Broker
from barnabas.node.node import Node
from barnabas.node.static import property_lines
from barnabas.node.topics import NewTopic
from barnabas.protocol.batch import CONTROL, TRANSACTIONAL, build_batch

from .folders import checksum

NOW = 1_900_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """Make a directory: a topic of several segments with producers and an aborted transaction, stopped cleanly."""
    path = tmp_path / "data"
    config = ServerConfig.load({"node.id": "1", "log.dirs": str(path), "listeners": "PLAINTEXT://localhost:19092",
                                "log.retention.ms": "-1", "num.partitions": "3"})[0]  # fmt: skip
    node = Node(config, path)
    node.start()
    node.topics.create(NewTopic("plain", 1, configs={"segment.bytes": "1048576", "index.interval.bytes": "100"}))
    log = node.log("plain", 0)
    for sequence in range(0, 3000, 10):
        pairs: list[tuple[bytes | None, bytes | None]] = [(b"k", b"v" * 1000)] * 10
        batch = build_batch(pairs, NOW + sequence, producer_id=1, producer_epoch=0, base_sequence=sequence)
        log.append(memoryview(batch), NOW)
    opened = build_batch(
        [(b"k", b"v")], NOW + 4000, attributes=TRANSACTIONAL, producer_id=2, producer_epoch=0, base_sequence=0
    )
    log.append(memoryview(opened), NOW)
    abort = build_batch(
        [(struct.pack(">hh", 0, 0), struct.pack(">hi", 0, 0))], NOW + 4000, attributes=TRANSACTIONAL | CONTROL,
        producer_id=2, producer_epoch=0,
    )  # fmt: skip
    log.append(memoryview(abort), NOW, client=False)
    node.topics.create(NewTopic("empty", 2))
    node.stop()
    yield path


def graduate(data: Path, *options: str) -> int:
    return main(["graduate", str(data), *options])


def test_a_sound_directory(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The settings name everything that the metadata does not hold; no other file is made or changed."""
    before = checksum(data)
    output = data.parent / "there.properties"
    assert graduate(data, "--output", str(output), "--deep") == 0
    assert checksum(data) == before
    told = capsys.readouterr().out
    assert "plain: 1 partitions" in told and "Apache Kafka 4.3 or later" in told and str(output) in told
    settings = load(output)
    assert settings["process.roles"] == "broker,controller" and settings["node.id"] == "1"
    assert settings["log.dirs"] == str(data.resolve())
    assert settings["log.retention.ms"] == "-1" and settings["num.partitions"] == "3"
    names = [listener.partition("://")[0] for listener in settings["listeners"].split(",")]
    assert names == ["PLAINTEXT", settings["controller.listener.names"]]
    assert settings["controller.quorum.bootstrap.servers"] in settings["listeners"]
    assert {settings[key] for key in settings if key.endswith(("replication.factor", "min.isr"))} == {"1"}
    assert output.stat().st_mode & 0o077 == 0, "settings may hold passwords"
    # what Kafka is told, this broker understands as well
    again, warnings = ServerConfig.load(settings)
    assert again.log_retention_ms == -1 and warnings == []


def test_the_default_place_is_the_directory(data: Path) -> None:
    assert graduate(data) == 0 and (data / "server.properties").exists()


def test_without_a_clean_stop(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kafka then recovers: missing indexes and a torn tail are no faults."""
    (data / ".kafka_cleanshutdown").unlink()
    for path in [*data.glob("plain-0/*index"), *data.glob("plain-0/*.snapshot")]:
        path.unlink()
    newest = max(data.glob("plain-0/*.log"))
    newest.write_bytes(newest.read_bytes()[:-3])
    assert graduate(data) == 0
    told = capsys.readouterr().out
    assert "last stop was not clean" in told and "cuts a torn tail" in told


def _edit(pattern: str, change: Callable[[bytes], bytes], which: int = -1) -> Callable[[Path], None]:
    def edit(data: Path) -> None:
        path = sorted(data.glob(pattern))[which]
        path.chmod(0o600)
        path.write_bytes(change(path.read_bytes()))

    return edit


def _remove(pattern: str, which: int = -1) -> Callable[[Path], None]:
    return lambda data: sorted(data.glob(pattern))[which].unlink()


def _flip(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a torn tail behind a clean stop": (_edit("plain-0/*.log", lambda b: b[:-3]), "begins no valid batch"),
    "rubbish behind a clean stop": (_edit("plain-0/*.log", lambda b: b + b"rubbish" * 20), "begins no valid batch"),
    "a bad byte in the newest segment": (_edit("plain-0/*.log", _flip(200)), "begins no valid batch"),
    "an older segment that is cut": (_edit("plain-0/*.log", lambda b: b[:-3], 0), "begins no valid batch"),
    "an index of other positions": (_edit("plain-0/*.index", _flip(7), 0), "point at no batch"),
    "an index of other offsets": (_edit("plain-0/*.index", _flip(3), 0), "point at no batch"),
    "no time index": (_remove("plain-0/*.timeindex"), "newest timestamp"),
    "an empty time index": (_edit("plain-0/*.timeindex", lambda _: b""), "newest timestamp"),
    "a time index that falls": (_edit("plain-0/*.timeindex", lambda b: b + b[:12], 0), "do not rise"),
    "no transaction index": (_remove("plain-0/*.txnindex"), "read_committed"),
    "no producer snapshots": (lambda data: [p.unlink() for p in data.glob("plain-0/*.snapshot")] and None, "twice"),
    "a malformed snapshot": (_edit("plain-0/*.snapshot", _flip(20)), "malformed"),
    "no partition.metadata": (_remove("plain-0/partition.metadata"), "does not name the topic's id"),
    "another topic's id": (_edit("plain-0/partition.metadata", _flip(30)), "does not name the topic's id"),
    "a missing folder": (
        lambda data: data.joinpath("empty-1").rename(data.parent / "moved") and None, "empty-1 has no folder"
    ),
    "another folder": (lambda data: data.joinpath("backup").mkdir(), "stops Kafka's start"),
    "a malformed epoch file": (_edit("plain-0/leader-epoch-checkpoint", lambda _: b"x"), "stops Kafka's start"),
    "an epoch of the future": (_edit("plain-0/leader-epoch-checkpoint", lambda _: b"0\n1\n9 0\n"), "names epoch 9"),
    "a malformed checkpoint": (_edit("replication-offset-checkpoint", lambda _: b"0\n5\n"), "stops Kafka's start"),
    "a start beyond the end": (
        _edit("log-start-offset-checkpoint", lambda _: b"0\n1\nplain 0 99999\n"), "beyond its end"
    ),
    "a malformed marker": (_edit(".kafka_cleanshutdown", lambda _: b"{"), "stops Kafka's start"),
    "damaged metadata": (_edit("__cluster_metadata-0/*.log", _flip(80)), "damaged"),
    "no metadata": (_remove("__cluster_metadata-0/*.log"), "no metadata that names them"),
    "no meta.properties": (_remove("meta.properties"), "no meta.properties"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(data: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    """Exit status 1 with the reason, nothing written."""
    spoil, reason = FAULTS[fault]
    spoil(data)
    before = checksum(data)
    assert graduate(data) == 1
    assert reason in capsys.readouterr().err
    assert checksum(data) == before


def test_a_bad_byte_in_an_old_segment_needs_deep(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The quick look compares CRCs of the newest segment only."""
    _edit("plain-0/*.log", _flip(5000), 0)(data)
    assert graduate(data) == 0
    assert graduate(data, "--deep") == 1
    assert "begins no valid batch" in capsys.readouterr().err


def test_a_running_broker_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Broker(tmp_path / "data", process=True):
        assert graduate(tmp_path / "data") == 1
    assert "in use by process" in capsys.readouterr().err
    assert not (tmp_path / "data" / "server.properties").exists()


def test_no_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert graduate(tmp_path / "none") == 1 and graduate(tmp_path) == 1
    told = capsys.readouterr().err
    assert "There is no data directory" in told and "is no data directory" in told
    assert not (tmp_path / "none").exists()


def test_real_ports_are_remembered(tmp_path: Path) -> None:
    """A broker that asked for any port is handed over with the one it had."""
    with Broker(tmp_path / "data", properties={"sasl.jaas.config": "secret"}) as broker:
        port = broker.port
    remembered = tmp_path / "data" / "barnabas.properties"
    assert remembered.stat().st_mode & 0o077 == 0
    assert graduate(tmp_path / "data") == 0
    settings = load(tmp_path / "data" / "server.properties")
    assert settings["advertised.listeners"] == f"PLAINTEXT://127.0.0.1:{port}"
    assert settings["sasl.jaas.config"] == "secret"


def test_property_lines_are_read_back(tmp_path: Path) -> None:
    """Whatever a value holds, both Java and this package read it as it was."""
    settings = {
        "a.key": " leading", "b": "back\\slash", "c": "line\nbreak\ttab", "d e": "=:#!", "卡": "夫卡🏰", "f": "",
    }
    path = tmp_path / "some.properties"
    path.write_text(property_lines(settings), encoding="ascii")
    assert load(path) == settings
