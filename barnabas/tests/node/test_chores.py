"""What a node does by itself as time passes: retention, flushes, expiry of producers, checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas.clock import Clock
from barnabas.config.server import ServerConfig
from barnabas.log.checkpoints import RECOVERY_POINT, read_offsets
from barnabas.log.partition import Appended, PartitionLog
from barnabas.node.node import Node
from barnabas.node.topics import NewTopic
from barnabas.protocol.batch import build_batch


def started(path: Path, **properties: str) -> Node:
    keys = {key.replace("_", "."): value for key, value in properties.items()}
    node = Node(ServerConfig.load(keys, host_name="localhost")[0], path, Clock())
    node.start()
    return node


def later(node: Node, seconds: float) -> None:
    node.clock.advance(seconds)
    node.timers.fire()


def topic(node: Node, **configs: str) -> PartitionLog:
    node.topics.create(NewTopic("t", 1, configs={key.replace("_", "."): value for key, value in configs.items()}))
    return node.log("t", 0)


def append(node: Node, log: PartitionLog, producer: int = -1, size: int = 1) -> Appended:
    now = node.clock.now_ms()
    epoch = 0 if producer >= 0 else -1
    data = build_batch([(None, bytes(size))], now, producer_id=producer, producer_epoch=epoch, base_sequence=epoch)
    return log.append(memoryview(data), now)


def test_a_log_is_flushed_at_its_interval_again_and_again(tmp_path: Path) -> None:
    node = started(tmp_path)
    log = topic(node, flush_ms="1000")
    for end in (1, 2, 3):
        later(node, 5)  # nothing to do
        append(node, log)
        assert log.recovery_point == end - 1
        later(node, 1.2)
        assert log.recovery_point == end
    node.stop()


def test_records_go_when_their_time_is_over_not_at_the_next_look(tmp_path: Path) -> None:
    node = started(tmp_path)
    log = topic(node, retention_ms="10000")
    for end in (1, 2):
        append(node, log)
        later(node, 9)
        assert log.log_start_offset == end - 1
        later(node, 1.2)
        assert log.log_start_offset == end
    node.stop()


def test_a_shorter_retention_counts_at_once(tmp_path: Path) -> None:
    node = started(tmp_path)
    log = topic(node)
    append(node, log)
    later(node, 100)
    assert log.log_start_offset == 0
    node.image.configs[2, "t"] = {"retention.ms": "50000"}
    node.apply_topic_config("t")
    later(node, 0)
    assert log.log_start_offset == 1
    node.stop()


def test_one_log_in_trouble_does_not_hold_up_the_others(tmp_path: Path) -> None:
    node = started(tmp_path)
    node.topics.create(NewTopic("t", 3, configs={"retention.ms": "1000"}))
    logs = [node.log("t", i) for i in range(3)]
    for log in logs:
        append(node, log)
    (logs[0].folder / "00000000000000000001.log").mkdir()  # it cannot roll
    later(node, 5)
    assert [log.log_start_offset for log in logs] == [0, 1, 1]
    (logs[0].folder / "00000000000000000001.log").rmdir()
    later(node, 400)
    assert logs[0].log_start_offset == 1
    node.stop()


def test_idle_producers_expire(tmp_path: Path) -> None:
    node = started(tmp_path, producer_id_expiration_ms="60000")
    log = topic(node)
    append(node, log, producer=4)
    later(node, 30)
    assert 4 in log.producers.producers
    later(node, 400)
    assert 4 not in log.producers.producers
    node.stop()


def test_checkpoints_are_written_every_minute(tmp_path: Path) -> None:
    node = started(tmp_path)
    log = topic(node)
    append(node, log)
    log.flush()
    later(node, 61)
    assert read_offsets(tmp_path / RECOVERY_POINT) == {("t", 0): 1}
    node.stop()


@pytest.mark.parametrize("stop", ["clean", "killed"])
def test_a_start_reads_little_of_what_is_safe(tmp_path: Path, stop: str) -> None:
    node = started(tmp_path)
    node.topics.create(NewTopic("t", 10))
    for i in range(10):
        log = node.log("t", i)
        append(node, log, producer=1, size=900_000)
        log.roll(node.clock.now_ms())
    node.directory.write_checkpoints()
    node.stop(clean=stop == "clean")
    before = _bytes_read()
    node = started(tmp_path)
    assert _bytes_read() - before < 400_000
    assert [node.log("t", i).log_end_offset for i in range(10)] == [1] * 10
    node.stop()


def _bytes_read() -> int:
    text = Path("/proc/self/io").read_text()
    return int(text.partition("rchar:")[2].split()[0])
