"""flush.messages: the answer waits for the disk, and those who wait share a sync."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from barnabas.config.server import ServerConfig
from barnabas.config.topic import TopicConfig
from barnabas.embedded import Broker
from barnabas.log.files import StorageError
from barnabas.log.partition import PartitionLog
from barnabas.log.recovery import open_partition
from barnabas.protocol.batch import build_batch
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.server.flusher import ThreadFlusher
from testkit.descriptors import held_open

from ..wire import Wire
from .making import produce

SERVER = ServerConfig.load({}, host_name="localhost")[0]


class Syncs:
    """Count what is synced, and hold it up or fail it on demand; the real thing is called behind it."""

    def __init__(self) -> None:
        self.count = 0
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.fails = False
        self._fsync = os.fsync

    def __call__(self, fd: int) -> None:
        self.count += 1
        self.entered.set()
        assert self.open.wait(10)
        if self.fails:
            raise OSError(5, "Input/output error")
        self._fsync(fd)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Syncs]:
    """Count the syncs of this process. The disk cannot be asked to fail, so the call is wrapped."""
    syncs = Syncs()
    monkeypatch.setattr("os.fsync", syncs)
    yield syncs
    syncs.fails = False
    syncs.open.set()


@pytest.fixture
def log(tmp_path: Path) -> PartitionLog:
    """Give an open log."""
    return open_partition("t", 0, tmp_path, TopicConfig.of({}, SERVER), leader_epoch=0, now=0)


def append(log: PartitionLog) -> int:
    return log.append(memoryview(build_batch([(None, b"x")], 0)), 0).base_offset


def test_an_answer_waits_for_the_disk(syncs: Syncs) -> None:
    with Broker() as broker, Wire.to(broker.bootstrap) as wire:
        broker.create_topic("slow", 1, {"flush.messages": "1"})
        broker.create_topic("fast")
        syncs.open.clear()
        answers: list[tuple[int, int]] = []
        with Wire.to(broker.bootstrap) as other:
            waiting = threading.Thread(target=lambda: answers.append(produce(other, "slow", [b"x"])))
            syncs.entered.clear()
            waiting.start()
            assert syncs.entered.wait(10)
            assert produce(wire, "fast", [b"y"]) == (0, 0)  # nobody else is held up
            assert answers == []
            syncs.open.set()
            waiting.join(10)
        assert answers == [(0, 0)]


def test_every_so_many_messages(syncs: Syncs) -> None:
    with Broker() as broker, Wire.to(broker.bootstrap) as wire:
        broker.create_topic("t", 1, {"flush.messages": "3"})
        produce(wire, "t", [b"x"])
        counts = []
        for _ in range(6):
            before = syncs.count
            produce(wire, "t", [b"x"])
            counts.append(syncs.count - before > 0)
        assert counts == [False, True, False, False, True, False]


def test_those_who_wait_share_a_sync(log: PartitionLog, syncs: Syncs) -> None:
    async def run() -> None:
        flusher = ThreadFlusher(asyncio.get_running_loop())
        log.on_roll = flusher.flush
        append(log)
        syncs.open.clear()
        done: list[bool] = []
        flusher.flush(log, done.append)
        await asyncio.to_thread(syncs.entered.wait, 10)
        first = syncs.count
        for _ in range(20):
            append(log)
            flusher.flush(log, done.append)
        syncs.open.set()
        while len(done) < 21:
            await asyncio.sleep(0.001)
        assert all(done)
        assert syncs.count - first <= 2  # the log file once more, and its folder's first sync
        assert log.recovery_point == 21
        flusher.close()

    asyncio.run(run())


def test_a_sync_beside_a_roll_and_a_deletion(tmp_path: Path, log: PartitionLog, syncs: Syncs) -> None:
    async def run() -> None:
        flusher = ThreadFlusher(asyncio.get_running_loop())
        log.on_roll = flusher.flush
        before = held_open(tmp_path)
        done: list[bool] = []
        for round_ in range(50):
            append(log)
            syncs.entered.clear()
            syncs.open.clear()
            flusher.flush(log, done.append)
            log.roll(0)
            append(log)
            flusher.flush(log, done.append)
            await asyncio.to_thread(syncs.entered.wait, 10)
            log.delete_records_before(log.log_end_offset - 1)  # the segment that is being synced goes
            syncs.open.set()
            while len(done) < 2 * (round_ + 1):
                await asyncio.sleep(0)
        assert done == [True] * 100
        assert held_open(tmp_path) <= before + 4
        flusher.close()

    asyncio.run(run())


def test_after_a_failed_sync_nothing_is_taken_any_more(log: PartitionLog, syncs: Syncs) -> None:
    append(log)
    syncs.fails = True
    with pytest.raises(StorageError):
        log.flush()
    syncs.fails = False
    with pytest.raises(KafkaError) as refused:
        append(log)
    assert refused.value.code == ErrorCode.KAFKA_STORAGE_ERROR
    with pytest.raises(StorageError):  # a sync that works now says nothing about what the first one lost
        log.flush()
    with pytest.raises(StorageError):
        log.close(clean=True)
    assert log.recovery_point == 0
    assert len(log.read(0, 1000, limit=1, at_least_one=True)) > 0


def test_a_failed_sync_is_the_producer_s_answer(syncs: Syncs) -> None:
    with Broker() as broker, Wire.to(broker.bootstrap) as wire:
        broker.create_topic("t", 1, {"flush.messages": "1"})
        broker.create_topic("other", 1)
        assert produce(wire, "t", [b"x"]) == (0, 0)
        syncs.fails = True
        assert produce(wire, "t", [b"x"])[0] == ErrorCode.KAFKA_STORAGE_ERROR
        syncs.fails = False
        assert produce(wire, "t", [b"x"])[0] == ErrorCode.KAFKA_STORAGE_ERROR
        assert produce(wire, "other", [b"x"]) == (0, 0)
        broker.stop()
    # the next start recovers
