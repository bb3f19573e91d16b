"""The loads of our own do on a real broker what they claim: BENCH_TEST_SYSTEM, by default barnabas."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from bench import frames, loads
from bench.latency import measure
from bench.peers.folder import PeerError
from bench.systems import SYSTEMS, Running, process_tree, started
from bench.wire import WireError, produce_request, record_batch

SYSTEM = os.environ.get("BENCH_TEST_SYSTEM", "barnabas")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    try:
        SYSTEMS[SYSTEM].version()
    except PeerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(SYSTEMS[SYSTEM], parent=tmp_path_factory.mktemp("data")) as running:
        yield running


def _ends(broker: Running, topic: str, partitions: int) -> list[int]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "bench-test"})
    try:
        found = []
        for partition in range(partitions):
            marks = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
            assert marks is not None
            found.append(int(marks[1]))
        return found
    finally:
        consumer.close()


def test_frames_arrive_and_are_readable(broker: Running) -> None:
    loads.create_topic(broker, "frames", 4)
    load = frames.produce_frames(broker, "frames", 4, 7 * frames.RECORDS)
    assert load.records == 7 * frames.RECORDS
    assert sum(_ends(broker, "frames", 4)) == load.records
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "bench-test"})
    try:
        consumer.assign([TopicPartition("frames", 0, frames.RECORDS - 1)])
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        assert message.offset() == frames.RECORDS - 1
        assert len(message.value() or b"") == frames.RECORD_SIZE
    finally:
        consumer.close()


def test_a_refused_frame_is_a_failure(broker: Running) -> None:
    loads.create_topic(broker, "refused", 1)
    spoiled = bytearray(produce_request("refused", 0, record_batch(10, 100, 0), 0))
    spoiled[-1] ^= 1  # the checksum no longer holds
    sender = frames.Connection(("127.0.0.1", broker.port), [bytes(spoiled)], 1, 1)
    sender.start()
    sender.join(60)
    assert isinstance(sender.failure, WireError)
    assert _ends(broker, "refused", 1) == [0]


def test_latency_counts_each_record(broker: Running) -> None:
    loads.create_topic(broker, "latency")
    found = measure(broker, "latency", rate=200, seconds=1.0, warm_seconds=0.5)
    assert _ends(broker, "latency", 1) == [300]
    assert 0 < found.end_to_end["p50"] <= found.end_to_end["p99"] <= found.end_to_end["p999"]
    assert found.late["mean"] < found.end_to_end["mean"]


def test_idle_connections_must_stay(broker: Running) -> None:
    with loads.idle_connections(broker, 20):
        pass  # each of them answers again at the end
    lost = pytest.raises((OSError, WireError))
    with lost, started(SYSTEMS[SYSTEM]) as short, loads.idle_connections(short, 2):
        short.process.terminate()
        short.process.wait(60)


def test_measures_of_the_process(broker: Running) -> None:
    assert 0 < broker.start_seconds < 90
    assert broker.resident_bytes() > 1 << 20
    assert broker.process.pid in process_tree(broker.process.pid)
    before = broker.cpu_seconds()
    with loads.idle_connections(broker, 300):
        pass
    assert broker.cpu_seconds() >= before


def test_nothing_is_left(tmp_path: Path) -> None:
    with started(SYSTEMS[SYSTEM], parent=tmp_path) as running:
        process, port = running.process, running.port
        assert list(tmp_path.iterdir())
    assert process.returncode is not None
    assert not list(tmp_path.iterdir())
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
