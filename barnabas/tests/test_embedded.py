"""The broker inside a program: in a thread and in a process, sync and async, killed, restarted, with faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from barnabas.embedded import BarnabasError, Broker
from barnabas.protocol.messages.heartbeat import HeartbeatRequest
from barnabas.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

from .wire import Closed, Wire


@pytest.fixture(params=[False, True], ids=["thread", "process"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(process=request.param) as broker:
        yield broker


def produce(bootstrap: str, topic: str, values: list[str]) -> list[int]:
    offsets: list[int] = []
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda e, m: offsets.append(-1 if e else m.offset()))
    assert producer.flush(20) == 0
    return offsets


def consume(bootstrap: str, topic: str, count: int) -> list[str]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[str] = []
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += [m.value().decode() for m in consumer.consume(count, 0.2) if not m.error()]
    consumer.close()
    return found


def end_offset(wire: Wire, topic: str) -> int:
    asked = ListOffsetsTopic(topic, [ListOffsetsPartition(0, -1, -1)])
    partition = wire.request(ListOffsetsRequest(-1, 0, [asked]), 5).topics[0].partitions[0]
    assert partition.error_code == 0
    return int(partition.offset)


def test_it_serves_and_forgets(broker: Broker) -> None:
    broker.create_topic("greetings")
    assert produce(broker.bootstrap, "greetings", ["one", "two"]) == [0, 1]
    assert consume(broker.bootstrap, "greetings", 2) == ["one", "two"]
    data = broker.data
    broker.stop()
    assert not data.exists()
    with pytest.raises(BarnabasError, match="not running"):
        _ = broker.bootstrap


def test_killed_and_restarted_it_has_what_it_acknowledged(broker: Broker) -> None:
    broker.create_topic("kept")
    produce(broker.bootstrap, "kept", ["a", "b", "c"])
    address = broker.bootstrap
    broker.kill()
    with pytest.raises(OSError):
        Wire.to(address)
    broker.restart()
    assert broker.bootstrap == address
    assert consume(address, "kept", 3) == ["a", "b", "c"]
    assert produce(address, "kept", ["d"]) == [3]


def test_a_given_directory_stays(tmp_path: Path) -> None:
    with Broker(tmp_path / "data") as broker:
        broker.create_topic("kept", 3, {"retention.ms": "1000000"})
        produce(broker.bootstrap, "kept", ["a"])
    with Broker(tmp_path / "data") as broker:
        assert broker.topics() == ["kept"]
        assert consume(broker.bootstrap, "kept", 1) == ["a"]


def test_async_with() -> None:
    async def main() -> list[str]:
        async with Broker() as broker:
            broker.create_topic("t")
            return broker.topics()

    assert asyncio.run(main()) == ["t"]


def test_a_failure_is_answered_in_the_place_of_the_api(broker: Broker) -> None:
    broker.create_topic("t")
    with Wire.to(broker.bootstrap) as wire:
        broker.fail("Metadata", "LEADER_NOT_AVAILABLE")
        topic = wire.request(MetadataRequest([MetadataRequestTopic(name="t")]), 12).topics[0]
        assert (topic.name, topic.error_code) == ("t", 5)
        assert wire.request(MetadataRequest([MetadataRequestTopic(name="t")]), 12).topics[0].error_code == 0
        broker.fail("Heartbeat", "REBALANCE_IN_PROGRESS", times=2)
        codes = [wire.request(HeartbeatRequest("g", 1, "m"), 4).error_code for _ in range(3)]
        assert codes == [27, 27, 25]
        broker.fail("Produce", "NOT_LEADER_OR_FOLLOWER")
        request = ProduceRequest(None, 1, 1000, [TopicProduceData("t", partition_data=[PartitionProduceData(0, b"")])])
        answer = wire.request(request, 9).responses[0].partition_responses[0]
        assert (answer.index, answer.error_code) == (0, 6)
        assert end_offset(wire, "t") == 0


def test_clients_take_injected_errors_as_real_ones(broker: Broker) -> None:
    broker.create_topic("t")
    broker.fail("Produce", "NOT_LEADER_OR_FOLLOWER", times=2)
    assert produce(broker.bootstrap, "t", ["x"]) == [0]  # retried until it went through, stored once
    with Wire.to(broker.bootstrap) as wire:
        assert end_offset(wire, "t") == 1
    broker.fail("Produce", "MESSAGE_TOO_LARGE")
    errors: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce("t", "y", on_delivery=lambda e, m: errors.append(e))
    producer.flush(20)
    assert [e.code() for e in errors] == [KafkaError.MSG_SIZE_TOO_LARGE]


def test_faults_have_known_names(broker: Broker) -> None:
    with pytest.raises(BarnabasError, match="no API 'Prodcue'"):
        broker.fail("Prodcue", "UNKNOWN_SERVER_ERROR")
    with pytest.raises((BarnabasError, KeyError)):
        broker.fail("Produce", "NO_SUCH_ERROR")


def test_a_delay_holds_back_the_answer_and_the_clock_moves_it(broker: Broker) -> None:
    with Wire.to(broker.bootstrap) as wire:
        broker.delay("Metadata", 3600)
        asked = wire.send(MetadataRequest(None), 12)
        wire.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            wire.receive()
        wire.socket.settimeout(10)
        broker.advance(3601)
        assert wire.receive()[0] == asked


def test_dropped_connections(broker: Broker) -> None:
    with Wire.to(broker.bootstrap) as wire:
        wire.request(MetadataRequest(None), 12)
        broker.drop_connections()
        assert wire.is_closed()
    with Wire.to(broker.bootstrap) as wire:
        assert wire.request(MetadataRequest(None), 12).topics == []


def test_time_is_moved_for_retention(broker: Broker) -> None:
    broker.create_topic("short", 1, {"retention.ms": "60000"})
    produce(broker.bootstrap, "short", ["old"])
    broker.advance(61)
    asked = ListOffsetsTopic("short", [ListOffsetsPartition(0, -1, -2)])
    with Wire.to(broker.bootstrap) as wire:
        assert wire.request(ListOffsetsRequest(-1, 0, [asked]), 5).topics[0].partitions[0].offset == 1


def test_a_topic_is_emptied_by_a_second_of_retention(broker: Broker) -> None:
    """Change retention.ms to 1000, wait, change it back: Kafka would look after five minutes."""
    broker.create_topic("full")
    produce(broker.bootstrap, "full", ["a", "b"])
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def change(value: str | None) -> None:
        kind = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
        entry = ConfigEntry("retention.ms", value or "", incremental_operation=kind)
        resource = ConfigResource(ConfigResource.Type.TOPIC, "full", incremental_configs=[entry])
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(10)

    change("1000")
    earliest = ListOffsetsTopic("full", [ListOffsetsPartition(0, -1, -2)])
    deadline = time.monotonic() + 10
    with Wire.to(broker.bootstrap) as wire:
        while wire.request(ListOffsetsRequest(-1, 0, [earliest]), 5).topics[0].partitions[0].offset != 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    change(None)
    assert produce(broker.bootstrap, "full", ["c"]) == [2]


def test_a_failed_start_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(BarnabasError):
        Broker(properties={"num.partitions": "x"}).start()
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_key_is_named() -> None:
    with pytest.raises(BarnabasError, match=r"Invalid value x for configuration num\.partitions"):
        Broker(properties={"num.partitions": "x"}).start()


def test_a_taken_port_is_named(broker: Broker) -> None:
    with pytest.raises(BarnabasError, match=rf"{broker.port} cannot be bound"):
        Broker(listen=f"127.0.0.1:{broker.port}").start()


def test_several_listeners_advertise_their_own_address() -> None:
    with Broker(listen=["127.0.0.1:0", "localhost:0"]) as broker, Wire.to(broker.bootstrap) as wire:
        node = wire.request(MetadataRequest(None), 12).brokers[0]
        assert (node.host, node.port) == ("127.0.0.1", broker.port)


def test_unknown_bytes_close_the_connection_alone(broker: Broker) -> None:
    with Wire.to(broker.bootstrap) as wire, Wire.to(broker.bootstrap) as other:
        wire.raw(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(Closed):
            wire.read(1)
        assert other.request(MetadataRequest(None), 12).cluster_id


def test_a_process_may_say_more_than_a_pipe_holds() -> None:
    """A line for each topic: nobody asks it anything meanwhile, so nobody would read them."""
    with Broker(process=True) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        for first in range(0, 1500, 500):
            wanted = [NewTopic(f"a-topic-with-a-rather-long-name-{number}", 1) for number in range(first, first + 500)]
            for made in admin.create_topics(wanted, request_timeout=60).values():
                made.result(60)
        assert len(admin.list_topics(timeout=60).topics) == 1500
