"""Test a running broker against hostile clients: after each of them it serves a normal one at once.

The log is looked into as well: a traceback or "an internal error" is a defect, whatever the client saw.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barnabas.handlers.registry import ROUTES
from barnabas.protocol.batch import build_batch
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from barnabas.protocol.messages.metadata import MetadataRequest
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

from ..values import make
from ..wire import Closed, Wire, frame
from .hostile import TOPIC, Arsenal, choose, fire
from .process import BrokerProcess

MEGABYTE = 1 << 20
VERSIONS = frame(ApiVersionsRequest("test", "1"), 3)
#: frames for each seed of the long test, and how many share a connection
FRAMES, TOGETHER = 50_000, 12


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("hostile")) as running:
        running.create(TOPIC, 2)
        yield running
        assert running.stop() == 0


@pytest.fixture(autouse=True)
def _serves_afterwards(broker: BrokerProcess) -> Iterator[None]:
    yield
    broker.check()


def address(broker: BrokerProcess) -> tuple[str, int]:
    host, _, port = broker.bootstrap.rpartition(":")
    return host, int(port)


def produce(broker: BrokerProcess, topic: str, size: int) -> int:
    """Write one batch of about `size` bytes; return the error code."""
    batch = bytes(build_batch([(None, bytes(size))], time.time_ns() // 1_000_000))  # retention goes by it
    with broker.wire(30) as wire:
        data = [TopicProduceData(topic, partition_data=[PartitionProduceData(0, batch)])]
        code: int = wire.request(ProduceRequest(None, 1, 1000, data), 9).responses[0].partition_responses[0].error_code
    return code


# --- frames -------------------------------------------------------------------------------------------------

@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_many_thousand_frames(tmp_path: Path, seed: int) -> None:
    with BrokerProcess(tmp_path) as broker:
        arsenal = Arsenal(seed, 30, broker.create(TOPIC, 2))
        before = broker.memory()
        sent = answered = 0
        for number in range(FRAMES // TOGETHER + 1):
            data, count = arsenal.volley(TOGETHER - 1)
            answered += fire(address(broker), data, 10)
            sent += count
            if number % 1000 == 0:
                broker.check()
        broker.check()
        assert sent >= FRAMES
        assert answered > sent * 0.9  # nearly all that were well-formed
        assert broker.memory() - before < 60 * MEGABYTE
        assert broker.stop() == 0


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from(sorted(ROUTES)), chance=st.randoms(use_true_random=False), data=st.data())
def test_any_well_formed_request_is_answered(
    broker: BrokerProcess, key: int, chance: Random, data: st.DataObject
) -> None:
    api = ROUTES[key].api
    version = data.draw(st.integers(api.min_version, api.max_version))
    message = make(api.request_class(), version, chance, choose)
    fire(address(broker), frame(message, version), 10)
    assert not broker.defects(), message


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: struct.pack(">i", len(b)) + b)))
def test_any_bytes_are_answered_or_refused(broker: BrokerProcess, data: bytes) -> None:
    fire(address(broker), data, 10)
    assert not broker.defects()


@pytest.mark.parametrize(("key", "version"), [(999, 0), (-1, 0), (3, 99), (3, -1), (0, 2), (4, 0), (1, 3)])
def test_what_is_not_served_closes_the_connection(broker: BrokerProcess, key: int, version: int) -> None:
    with broker.wire() as wire:
        wire.raw(struct.pack(">ihhih", 10, key, version, 1, -1))
        assert wire.is_closed()


def test_an_unknown_version_of_api_versions_is_answered_in_version_0(broker: BrokerProcess) -> None:
    with broker.wire() as wire:
        wire.raw(struct.pack(">ihhih", 10, 18, 99, 7, -1))
        assert wire.read_frame() == struct.pack(">ihihhh", 7, 35, 1, 18, 0, 4)
        assert wire.request(ApiVersionsRequest("test", "1"), 4).error_code == 0


@pytest.mark.parametrize("size", [-1, -(1 << 31), 0, 7, 100 * MEGABYTE + 1, (1 << 31) - 1])
def test_a_length_that_cannot_be_closes_the_connection(broker: BrokerProcess, size: int) -> None:
    with broker.wire() as wire:
        wire.raw(struct.pack(">i", size))
        assert wire.is_closed()


# --- memory -------------------------------------------------------------------------------------------------

def test_a_length_takes_no_memory(broker: BrokerProcess) -> None:
    """Frames that say they will be large, up to socket.request.max.bytes, cost what has come of them."""
    before = broker.memory()
    wires = []
    for _ in range(100):
        wires.append(broker.wire())
        wires[-1].raw(struct.pack(">i", 100 * MEGABYTE) + bytes(1000))
    broker.check()
    assert broker.memory() - before < 20 * MEGABYTE
    for wire in wires:
        wire.close()


def test_a_large_frame_of_tiny_elements(broker: BrokerProcess) -> None:
    """Forty million topics without a name, two bytes each, would be objects of several gigabytes."""
    count = 40 * MEGABYTE
    before = broker.memory()
    with broker.wire(30) as wire:
        header = struct.pack(">hhihi", 3, 1, 1, -1, count)
        wire.raw(struct.pack(">i", len(header) + 2 * count) + header + bytes(2 * count))
        assert wire.is_closed()
    broker.check()
    assert broker.memory() - before < 300 * MEGABYTE  # the frame itself, in a buffer that doubles


def test_clients_that_never_read_take_bounded_memory(broker: BrokerProcess) -> None:
    broker.create("large")
    assert produce(broker, "large", 900_000) == 0
    asked = [FetchTopic("large", partitions=[FetchPartition(0, partition_max_bytes=MEGABYTE)])]
    fetch = frame(FetchRequest(max_wait_ms=0, topics=asked), 12)
    before = broker.memory()
    wires = []
    for _ in range(8):
        wire = broker.wire(1)
        wires.append(wire)
        wire.raw(fetch * 150)  # answers of 135 MB each
    broker.check()
    assert broker.memory() - before < 8 * 8 * MEGABYTE
    wires[0].socket.settimeout(30)
    for _ in range(150):  # who reads after all gets everything
        assert len(wires[0].read_frame()) > 900_000
    for wire in wires:
        wire.close()


def test_a_client_that_sends_and_never_reads_is_not_read_from(broker: BrokerProcess) -> None:
    before = broker.memory()
    with broker.wire(0.5) as wire:
        piece = frame(MetadataRequest(topics=None), 12) * 1000
        with pytest.raises(TimeoutError):
            for _ in range(10_000):
                wire.raw(piece)
        broker.check()
        assert broker.memory() - before < 20 * MEGABYTE


def test_a_large_frame_in_small_pieces(broker: BrokerProcess) -> None:
    broker.create("in-pieces")  # the arsenal's requests may have deleted the common one
    assert produce(broker, "in-pieces", 60 * MEGABYTE) == 10  # MESSAGE_TOO_LARGE


def test_half_a_frame_and_no_more(broker: BrokerProcess) -> None:
    for cut in (1, 3, 4, 5, 12, len(VERSIONS) - 1):
        assert fire(address(broker), VERSIONS[:cut], 10) == 0
        assert fire(address(broker), VERSIONS + VERSIONS[:cut], 10) == 1


def test_connections_that_break(broker: BrokerProcess) -> None:
    """A reset in the middle of a frame, of an answer, of a fetch that waits."""
    asked = [FetchTopic(TOPIC, partitions=[FetchPartition(0, fetch_offset=1 << 40)])]
    waiting = frame(FetchRequest(max_wait_ms=60_000, min_bytes=1, topics=asked), 12)
    everything = frame(MetadataRequest(topics=None), 12) * 500
    for data in (VERSIONS[:9], waiting, waiting + VERSIONS, everything, b""):
        for _ in range(20):
            wire = broker.wire()
            wire.raw(data)
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.close()


def test_thousands_of_connections(broker: BrokerProcess) -> None:
    """Their memory is used again: the later rounds take none that the first did not."""
    after: list[int] = []
    for _ in range(7):
        wires = [broker.wire() for _ in range(400)]
        for wire in wires[::2]:
            wire.raw(VERSIONS)
        for wire in wires:
            wire.close()
        broker.check()
        after.append(broker.memory())
    assert after[-1] - after[1] < 10 * MEGABYTE, after


def test_answers_that_set_each_other_off(broker: BrokerProcess) -> None:
    """Each client waits for a partition and then writes to the next: one write sets off all, one behind the other."""
    links = 300
    broker.create("chain", links + 1)
    batch = bytes(build_batch([(None, b"link")], time.time_ns() // 1_000_000))

    def write(partition: int) -> bytes:
        data = [TopicProduceData("chain", partition_data=[PartitionProduceData(partition, batch)])]
        return frame(ProduceRequest(None, 1, 1000, data), 9)

    wires = []
    for link in range(links):
        asked = [FetchTopic("chain", partitions=[FetchPartition(link, partition_max_bytes=1000)])]
        wires.append(broker.wire())
        wires[-1].raw(frame(FetchRequest(max_wait_ms=30_000, min_bytes=1, topics=asked), 12) + write(link + 1))
    broker.check()
    with broker.wire() as first:
        first.raw(write(0))
        first.read_frame()
    for wire in wires:
        wire.read_frame()
        wire.read_frame()
        wire.close()


# --- limits -------------------------------------------------------------------------------------------------

def accepted(broker: BrokerProcess, most: int) -> list[Wire]:
    """Open connections until one is refused or there are `most`; return those that are served."""
    found: list[Wire] = []
    for _ in range(most):
        wire = broker.wire()
        try:
            wire.request(ApiVersionsRequest("test", "1"), 3)
        except (Closed, ConnectionError):
            wire.close()
            break
        found.append(wire)
    return found


def all_accepted(broker: BrokerProcess, limit: int) -> list[Wire]:
    """Open connections until there are more than `limit`, or that many: fewer, while closed ones are not yet known."""
    deadline = time.monotonic() + 20
    while len(wires := accepted(broker, limit + 2)) < limit and time.monotonic() < deadline:
        for wire in wires:
            wire.close()
        time.sleep(0.05)
    return wires


@pytest.mark.parametrize(
    ("keys", "limit"),
    [
        ({"max_connections": "3"}, 3),
        ({"max_connections_per_ip": "4"}, 4),
        ({"max_connections_per_ip": "1", "max_connections_per_ip_overrides": "127.0.0.1:5"}, 5),
    ],
    ids=["max.connections", "max.connections.per.ip", "overrides"],
)
def test_limits_of_connections(tmp_path: Path, keys: dict[str, str], limit: int) -> None:
    with BrokerProcess(tmp_path, **keys) as broker:
        for _ in range(3):  # a place comes back when a connection closes
            wires = all_accepted(broker, limit)
            assert len(wires) == limit
            for wire in wires:
                wire.close()
        assert not broker.defects()


def test_idle_connections_are_closed(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, connections_max_idle_ms="1000") as broker:
        topic = [FetchTopic("idle", partitions=[FetchPartition(0, partition_max_bytes=100)])]
        broker.create("idle")
        with broker.wire() as silent, broker.wire() as half, broker.wire() as busy, broker.wire() as waiting:
            half.raw(VERSIONS[:10])
            waiting.send(FetchRequest(max_wait_ms=3000, min_bytes=1, topics=topic), 12)
            began = time.monotonic()
            while time.monotonic() - began < 2:
                assert busy.request(ApiVersionsRequest("test", "1"), 3).error_code == 0
            assert silent.is_closed()
            assert half.is_closed()
            assert waiting.receive()[1].error_code == 0  # whoever waits for an answer is not idle
        broker.check()


def test_a_closed_connection_whose_client_does_not_read_goes_away(tmp_path: Path) -> None:
    """Its last answers cannot be written: it is dropped after a while, and its place comes back."""
    with BrokerProcess(tmp_path, max_connections="2", connections_max_idle_ms="500") as broker:
        broker.create("large")
        assert produce(broker, "large", 900_000) == 0
        asked = [FetchTopic("large", partitions=[FetchPartition(0, partition_max_bytes=MEGABYTE)])]
        with broker.wire() as stuck, broker.wire() as other:
            for wire in (stuck, other):
                wire.raw(frame(FetchRequest(max_wait_ms=0, topics=asked), 12) * 20)
            deadline = time.monotonic() + 20
            while not (found := accepted(broker, 1)) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert found
            found[0].close()
