"""A disk that is full: writes are refused, nothing acknowledged is lost, and life goes on once there is room.

The disk is a small tmpfs. To mount one takes root, or a user namespace of one's own (`unshare`, Linux); without either
the tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from barnabas.embedded import Broker
from barnabas.protocol.batch import batches
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from barnabas.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from barnabas.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from testkit.ports import free_port

from ..wire import Wire
from .making import fetch_request, produce

INSIDE = "BARNABAS_OWN_NAMESPACE"
MEGABYTE = 1 << 20


def test_in_a_namespace_of_our_own() -> None:
    """Run this file where mounting is allowed."""
    if os.geteuid() == 0 or INSIDE in os.environ:
        pytest.skip("mounting is allowed already: the other tests of this file run as they are")
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("a small disk takes root or a user namespace, and neither is to be had")
    done = subprocess.run(
        [*unshare, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        check=False, capture_output=True, text=True, env={**os.environ, INSIDE: "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that is a disk of eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk takes root or a user namespace: see test_in_a_namespace_of_our_own")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def broker(disk: Path) -> Iterator[Broker]:
    """Give a broker on the small disk, with topics `keep` and `fill`."""
    listen, properties = f"127.0.0.1:{free_port()}", {"offsets.topic.num.partitions": "1"}
    with Broker(disk / "data", listen, properties, process=True) as broker:
        broker.create_topic("keep")
        broker.create_topic("fill", 1, {"segment.bytes": str(MEGABYTE), "retention.ms": "60000"})
        yield broker


def fill(wire: Wire, sizes: Sequence[int] = (200_000, 20_000, 2_000, 200, 1)) -> int:
    """Produce until the disk takes nothing any more, not even the smallest batch; return how many went in."""
    written = 0
    for size in sizes:
        while True:
            code, offset = produce(wire, "fill", [bytes(size)], timestamp=-1)
            if code:
                assert (code, offset) == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
                break
            assert offset == written
            written += 1
    return written


def commit(wire: Wire, offset: int) -> int:
    partition = OffsetCommitRequestPartition(0, offset)
    request = OffsetCommitRequest("g", topics=[OffsetCommitRequestTopic("keep", partitions=[partition])])
    return int(wire.request(request, 8).topics[0].partitions[0].error_code)


def alter(wire: Wire, topic: str, retention_ms: int) -> int:
    config = AlterableConfig("retention.ms", 0, str(retention_ms))
    resource = AlterConfigsResource(2, topic, [config])
    return int(wire.request(IncrementalAlterConfigsRequest([resource]), 1).responses[0].error_code)


def values_read(wire: Wire, topic: str, count: int) -> int:
    """Read a topic from its start; return how many records came, their CRCs in order."""
    offset = 0
    while offset < count:
        answer = wire.request(fetch_request(topic, offset), 11).responses[0].partitions[0]
        assert answer.error_code == 0
        for header, _ in batches(answer.records):
            assert header.base_offset == offset
            offset = header.last_offset + 1
    return offset


def test_writes_are_refused_and_reads_go_on(broker: Broker) -> None:
    with Wire.to(broker.bootstrap) as wire:
        assert produce(wire, "keep", [b"first"]) == (0, 0)
        assert commit(wire, 1) == 0
        written = fill(wire)
        assert written > 20
        assert values_read(wire, "fill", written) == written
        codes = [commit(wire, n) for n in range(100)]  # some fit into the last page
        assert set(codes) <= {0, ErrorCode.COORDINATOR_NOT_AVAILABLE}
        assert codes[-1] == ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_a_topic_that_cannot_be_stored_is_not_half_there(broker: Broker) -> None:
    with Wire.to(broker.bootstrap) as wire:
        fill(wire, (200_000,))  # room for some partitions, not for all
        answer = wire.request(CreateTopicsRequest([CreatableTopic("large", 200, 1)], 1000), 7)
        assert answer.topics[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert "large" not in broker.topics()
        assert not list((broker.data).glob("large-*"))


def test_retention_makes_room(broker: Broker) -> None:
    with Wire.to(broker.bootstrap) as wire:
        produce(wire, "keep", [b"first"])
        fill(wire)
        broker.advance(61)
        assert produce(wire, "keep", [b"x" * 100_000])[0] == 0
        assert commit(wire, 1) == 0
    broker.restart()
    with Wire.to(broker.bootstrap) as wire:
        assert values_read(wire, "keep", 2) == 2


def test_a_deleted_topic_makes_room(broker: Broker) -> None:
    with Wire.to(broker.bootstrap) as wire:
        produce(wire, "keep", [b"first"])
        fill(wire)
        for n in range(100):  # more than the last page of the metadata log takes: room was set aside for this
            assert alter(wire, "keep", 600_000_000 + n) == 0
        broker.delete_topic("fill")
        assert produce(wire, "keep", [b"x" * 100_000]) == (0, 1)
        assert values_read(wire, "keep", 2) == 2


@pytest.mark.parametrize("clean", [True, False])
def test_nothing_acknowledged_is_lost_by_a_stop_on_a_full_disk(broker: Broker, clean: bool) -> None:
    with Wire.to(broker.bootstrap) as wire:
        produce(wire, "keep", [b"first"])
        written = fill(wire)
    for _ in range(3):
        broker.stop() if clean else broker.kill()
        broker.start()
    with Wire.to(broker.bootstrap) as wire:
        assert values_read(wire, "keep", 1) == 1
        assert values_read(wire, "fill", written) == written
        broker.delete_topic("fill")
        assert produce(wire, "keep", [b"second"]) == (0, 1)
