"""Many partitions, and partitions that come and go while somebody reads them."""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from barnabas.clock import Clock
from barnabas.config.server import ServerConfig
from barnabas.embedded import Broker
from barnabas.node.node import Node
from barnabas.node.topics import NewTopic
from barnabas.protocol.batch import build_batch
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from testkit.ports import free_port

from ..wire import Wire
from .making import fetch_request, leader_epoch, produce


def node(path: Path, **properties: str) -> Node:
    keys = {key.replace("_", "."): value for key, value in properties.items()}
    return Node(ServerConfig.load(keys, host_name="localhost")[0], path, Clock())


def in_background(wire: Wire, *request: Any) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(wire.request(*request)))
    thread.start()
    return thread, answers


def waiters(broker: Broker, topic: str) -> int:
    server = broker._running()._server  # type: ignore[attr-defined]
    return len(server.node.log(topic, 0)._waiters)


# --- come and go ------------------------------------------------------------------------------------------------------


def test_a_waiting_reader_is_told_that_its_topic_is_gone() -> None:
    with Broker() as broker, Wire.to(broker.bootstrap) as wire:
        broker.create_topic("t")
        produce(wire, "t", [b"x"])
        thread, answers = in_background(wire, fetch_request("t", 1, max_wait_ms=60_000), 11)
        while not waiters(broker, "t"):
            time.sleep(0.001)
        began = time.monotonic()
        broker.delete_topic("t")
        thread.join(10)
        assert time.monotonic() - began < 5
        assert answers[0].responses[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_topic_of_the_same_name_knows_nothing_of_the_old_one() -> None:
    with Broker() as broker, Wire.to(broker.bootstrap) as wire:
        for _ in range(3):
            broker.create_topic("t", 2)
            assert produce(wire, "t", [b"x" * 10, b"y"]) == (0, 0)
            read = wire.request(fetch_request("t", 0), 11).responses[0].partitions[0]
            assert (read.high_watermark, read.log_start_offset) == (2, 0)
            wire.request(
                DeleteRecordsRequest([DeleteRecordsTopic("t", [DeleteRecordsPartition(0, 1)])], 1000), 2
            )
            broker.delete_topic("t")
        broker.create_topic("t")
        broker.restart()
    assert not broker.is_running


@pytest.mark.parametrize("clean", [True, False])
def test_deleted_records_stay_deleted(tmp_path: Path, clean: bool) -> None:
    with Broker(tmp_path / "data", listen=f"127.0.0.1:{free_port()}", process=True) as broker:
        broker.create_topic("t")
        with Wire.to(broker.bootstrap) as wire:
            produce(wire, "t", [b"x"] * 5)
            wire.request(DeleteRecordsRequest([DeleteRecordsTopic("t", [DeleteRecordsPartition(0, 3)])], 1000), 2)
        broker.stop() if clean else broker.kill()
        broker.start()
        with Wire.to(broker.bootstrap) as wire:
            read = wire.request(fetch_request("t", 5), 11).responses[0].partitions[0]
            assert (read.log_start_offset, read.high_watermark) == (3, 5)
            early = wire.request(fetch_request("t", 2), 11).responses[0].partitions[0]
            assert early.error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_reader_with_an_old_epoch_is_fenced(tmp_path: Path) -> None:
    with Broker(tmp_path / "data", listen=f"127.0.0.1:{free_port()}", process=True) as broker:
        broker.create_topic("t")
        with Wire.to(broker.bootstrap) as wire:
            produce(wire, "t", [b"x"])
        broker.kill()
        broker.start()
        assert leader_epoch(broker.bootstrap, "t") == 1
        with Wire.to(broker.bootstrap) as wire:
            codes = [
                wire.request(fetch_request("t", 0, epoch=epoch), 11).responses[0].partitions[0].error_code
                for epoch in (0, 1, 2, -1)
            ]
        assert codes == [ErrorCode.FENCED_LEADER_EPOCH, 0, ErrorCode.UNKNOWN_LEADER_EPOCH, 0]


def test_an_interrupted_deletion_is_finished(tmp_path: Path) -> None:
    first = node(tmp_path)
    first.start()
    first.topics.create(NewTopic("t", 1))
    first.stop()
    leftover = tmp_path / ("gone-0." + "a" * 32 + "-delete")
    leftover.mkdir()
    unknown = tmp_path / "unknown-0"
    unknown.mkdir()
    (unknown / "precious").write_text("x")
    second = node(tmp_path)
    second.start()
    second.stop()
    assert not leftover.exists()
    assert not unknown.exists()
    assert [p.read_text() for p in tmp_path.glob("unknown-0.*-stray/precious")] == ["x"]


# --- many -------------------------------------------------------------------------------------------------------------


def test_more_partitions_than_files_may_be_open(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # the pool takes half of what is allowed; other tests of this process hold files open as well
    limit = 2 * len(os.listdir("/proc/self/fd")) + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        for clean in (True, False, True):
            many = node(tmp_path)
            many.start()
            if "many" not in many.image.topics:
                many.topics.create(NewTopic("many", 500))
            for log in list(many.directory.logs.values()):
                now = many.clock.now_ms()
                end = log.append(memoryview(build_batch([(None, b"x" * 50)], now)), now).base_offset
                assert len(log.read(end, 1000, limit=end + 1, at_least_one=True)) > 50
            assert len(many.directory.files) <= limit // 2
            many.stop(clean=clean)
            assert len(many.directory.files) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_empty_partitions_hold_no_file_open(tmp_path: Path) -> None:
    many = node(tmp_path)
    many.start()
    many.topics.create(NewTopic("many", 300))
    assert len(many.directory.files) < 10
    many.stop()
    again = node(tmp_path)
    again.start()
    assert len(again.directory.files) < 10
    again.stop()
