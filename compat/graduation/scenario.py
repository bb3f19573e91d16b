"""Fill a broker through public clients, and observe everything in it that a hand-over must keep.

The same two functions serve both ways: what Barnabas held before and Apache Kafka serves after, and the reverse.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "barnabas" / "tests"))

from wire import Wire

from barnabas.protocol.batch import build_batch
from barnabas.protocol.messages import describe_producers as dp
from barnabas.protocol.messages import incremental_alter_configs as ic
from barnabas.protocol.messages import init_producer_id as ip
from barnabas.protocol.messages import produce as pr

CODECS = ("gzip", "snappy", "lz4", "zstd")
TIMEOUT_S = 30.0

Partition = tuple[str, int]


@dataclass
class Observed:
    """Hold what a broker shows. Records of internal topics are left out: coordinators write as they like."""

    topics: dict[str, tuple[str, int, dict[str, str]]] = field(default_factory=dict)
    ranges: dict[Partition, tuple[int, int]] = field(default_factory=dict)
    records: dict[Partition, list[tuple[Any, ...]]] = field(default_factory=dict)
    committed_records: dict[Partition, list[tuple[Any, ...]]] = field(default_factory=dict)
    offsets: dict[str, dict[Partition, tuple[int, str | None]]] = field(default_factory=dict)
    producers: dict[Partition, dict[int, tuple[int, int]]] = field(default_factory=dict)
    broker_configs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RawProducer:
    """Hold what a producer that has no answer yet sends again: its id, epoch, and the batch with its first offset."""

    producer_id: int
    epoch: int
    batch: bytes
    offset: int


def admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})


def administer(bootstrap: str, call: Callable[[AdminClient], Mapping[Any, Any]]) -> None:
    """Make an admin call and wait for all that it began; raises its errors."""
    client = admin(bootstrap)  # one that nobody holds on to ends its calls
    for future in call(client).values():
        future.result(TIMEOUT_S)


def create(bootstrap: str, name: str, partitions: int = 1, configs: dict[str, str] | None = None) -> None:
    new = NewTopic(name, partitions, 1, config=configs or {})
    administer(bootstrap, lambda client: client.create_topics([new]))


def set_config(bootstrap: str, kind: ResourceType, name: str, key: str, value: str | None) -> None:
    """Set a configuration, or delete it where the value is None. librdkafka knows no defaults of all brokers."""
    config = ic.AlterableConfig(key, 0 if value is not None else 1, value)
    request = ic.IncrementalAlterConfigsRequest([ic.AlterConfigsResource(int(kind.value), name, [config])])
    with Wire.to(bootstrap) as wire:
        answer = wire.request(request, 1).responses[0]
    assert answer.error_code == 0, answer


def produce(
    bootstrap: str, topic: str, count: int, *, partition: int = 0, size: int = 20, **settings: Any
) -> None:
    """Produce keyed records, every fourth with a header, every tenth without a value; each is acknowledged."""
    failures: list[KafkaError] = []
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5, "log_level": 3, **settings}
    )
    for i in range(count):
        while True:
            try:
                producer.produce(
                    topic, None if i % 10 == 9 else (b"%06d" % i).ljust(size, b"."), b"key-%d" % (i % 17),
                    partition, headers=[("n", b"%d" % i)] if i % 4 == 0 else None,
                    on_delivery=lambda error, _: failures.append(error) if error else None,
                )  # fmt: skip
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(TIMEOUT_S) == 0
    assert not failures, failures


# --- filling ------------------------------------------------------------------------------------------------


def fill(bootstrap: str) -> RawProducer:
    """Make topics of all sorts with records, offsets and changed configurations."""
    create(bootstrap, "plain", 3)
    for partition in range(3):
        produce(bootstrap, "plain", 200, partition=partition)
    for codec in CODECS:
        create(bootstrap, f"in-{codec}", 1, {"cleanup.policy": "compact,delete"})
        produce(bootstrap, f"in-{codec}", 300, **{"compression.type": codec})
    create(bootstrap, "segments", 1, {"segment.bytes": "1048576", "index.interval.bytes": "1024"})
    produce(bootstrap, "segments", 3500, size=1000, **{"batch.size": 8192})  # many entries in its indexes
    create(bootstrap, "grown")
    produce(bootstrap, "grown", 50)
    administer(bootstrap, lambda client: client.create_partitions([NewPartitions("grown", 4)]))
    _produce_when_known(bootstrap, "grown", 3)
    create(bootstrap, "trimmed", 1, {"segment.bytes": "1048576"})
    produce(bootstrap, "trimmed", 2000, size=1000)
    for first in (30, 1700):
        administer(
            bootstrap, lambda client, first=first: client.delete_records([TopicPartition("trimmed", 0, first)])
        )
    for name in ("gone", "again"):
        create(bootstrap, name, 2)
        produce(bootstrap, name, 20)
    administer(bootstrap, lambda client: client.delete_topics(["gone", "again"]))
    _until(lambda: "again" not in admin(bootstrap).list_topics(timeout=TIMEOUT_S).topics)
    create(bootstrap, "again")
    produce(bootstrap, "again", 7)
    create(bootstrap, "stamped", 1, {"message.timestamp.type": "LogAppendTime", "compression.type": "zstd"})
    produce(bootstrap, "stamped", 25)
    set_config(bootstrap, ResourceType.TOPIC, "plain", "retention.ms", "86400000123")
    set_config(bootstrap, ResourceType.TOPIC, "plain", "flush.messages", "1000")
    set_config(bootstrap, ResourceType.TOPIC, "plain", "flush.messages", None)
    set_config(bootstrap, ResourceType.BROKER, "", "message.max.bytes", "1500000")
    set_config(bootstrap, ResourceType.BROKER, "1", "background.threads", "11")
    commit_simple(bootstrap, "simple-group", "plain", 3, 123)
    consume_as_group(bootstrap, "classic-group", "plain")
    return raw_producer(bootstrap)


def _produce_when_known(bootstrap: str, topic: str, partition: int) -> None:
    def known() -> bool:
        return partition in admin(bootstrap).list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions

    _until(known)
    produce(bootstrap, topic, 40, partition=partition)


def _until(condition: Any) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def commit_simple(bootstrap: str, group: str, topic: str, partitions: int, offset: int) -> None:
    """Commit offsets without being a member."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 3})
    at = [TopicPartition(topic, p, offset + p, metadata=f"note {p}") for p in range(partitions)]
    consumer.assign([TopicPartition(topic, p, offset) for p in range(partitions)])
    for committed in consumer.commit(offsets=at, asynchronous=False):
        assert committed.error is None, committed.error
    consumer.close()


def consume_as_group(bootstrap: str, group: str, topic: str, **settings: Any) -> None:
    """Read some records as a member and commit their offsets."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "log_level": 3,
         "enable.auto.commit": False, **settings}
    )  # fmt: skip
    consumer.subscribe([topic])
    end = time.monotonic() + TIMEOUT_S
    while len(consumer.consume(100, 0.5)) < 10:
        assert time.monotonic() < end, "the group got no records"
    consumer.commit(asynchronous=False)
    consumer.close()


def raw_producer(bootstrap: str) -> RawProducer:
    """Write three batches with an idempotent producer made by hand; return what its retry of the last one sends."""
    create(bootstrap, "retried")
    with Wire.to(bootstrap) as wire:
        request = ip.InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60000)
        end = time.monotonic() + TIMEOUT_S
        while (answer := wire.request(request, 4)).error_code == 14:  # a fresh Kafka has no block of ids yet
            assert time.monotonic() < end, "no producer id"
            time.sleep(0.05)
        assert answer.error_code == 0, answer
        now = int(time.time() * 1000)
        for first in (0, 4, 8):
            batch = build_batch(
                [(b"k", b"%d" % i) for i in range(first, first + 4)], now,
                producer_id=answer.producer_id, producer_epoch=answer.producer_epoch, base_sequence=first,
            )  # fmt: skip
            offset = send(wire, "retried", bytes(batch))
    return RawProducer(answer.producer_id, answer.producer_epoch, bytes(batch), offset)


def send(wire: Wire, topic: str, batch: bytes) -> int:
    """Produce one batch to partition 0; return its base offset."""
    data = pr.TopicProduceData(name=topic, partition_data=[pr.PartitionProduceData(0, bytearray(batch))])
    request = pr.ProduceRequest(acks=-1, timeout_ms=30000, topic_data=[data])
    end = time.monotonic() + TIMEOUT_S
    while True:
        part = wire.request(request, 9).responses[0].partition_responses[0]
        if part.error_code == 0:
            return int(part.base_offset)
        # a Kafka that has just started or just made the topic does not lead it yet
        assert part.error_code in (3, 6) and time.monotonic() < end, f"Produce was answered with {part.error_code}"
        time.sleep(0.05)


@contextmanager
def load(bootstrap: str, topic: str) -> Iterator[list[tuple[int, int, bytes]]]:
    """Produce without a pause until leaving; yields what was acknowledged, as (partition, offset, value)."""
    acknowledged: list[tuple[int, int, bytes]] = []
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 1, "log_level": 0,
         "message.timeout.ms": 2000, "compression.type": "lz4"}
    )  # fmt: skip
    stop = threading.Event()

    def run() -> None:
        number = 0
        while not stop.is_set():
            value = b"%d" % number

            def delivered(error: KafkaError | None, message: Any) -> None:
                if error is None:
                    acknowledged.append((message.partition(), message.offset(), message.value()))

            with suppress(BufferError):
                producer.produce(topic, value, on_delivery=delivered)
                number += 1
            producer.poll(0 if number % 50 else 0.002)
        producer.flush(0.5)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        _until(lambda: len(acknowledged) > 2000)
        yield acknowledged
    finally:
        stop.set()
        thread.join()


# --- observing ----------------------------------------------------------------------------------------------


def observe(bootstrap: str, groups: Sequence[str] = ("simple-group", "classic-group")) -> Observed:
    """Read everything that a hand-over must keep."""
    seen = Observed()
    client = admin(bootstrap)
    names = sorted(client.list_topics(timeout=TIMEOUT_S).topics)
    for name, future in client.describe_topics(TopicCollection(names)).items():
        described = future.result(TIMEOUT_S)
        seen.topics[name] = (str(described.topic_id), len(described.partitions), {})
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    for resource, future in client.describe_configs(resources).items():
        own = {k: e.value for k, e in future.result(TIMEOUT_S).items() if e.source == _source("DYNAMIC_TOPIC_CONFIG")}
        seen.topics[resource.name][2].update(own)
    broker = ConfigResource(ResourceType.BROKER, "1")
    for future in client.describe_configs([broker]).values():
        wanted = (_source("DYNAMIC_BROKER_CONFIG"), _source("DYNAMIC_DEFAULT_BROKER_CONFIG"))
        seen.broker_configs = {k: e.value for k, e in future.result(TIMEOUT_S).items() if e.source in wanted}
    public = [(n, p) for n in names if not n.startswith("__") for p in range(seen.topics[n][1])]
    seen.ranges, seen.records = read_all(bootstrap, public, "read_uncommitted")
    seen.committed_records = read_all(bootstrap, public, "read_committed")[1]
    for group in groups:
        seen.offsets[group] = committed(bootstrap, group, public)
    seen.producers = producers(bootstrap, public)
    return seen


def _source(name: str) -> int:
    return int(ConfigSource[name].value)


def read_all(
    bootstrap: str, partitions: Sequence[Partition], isolation: str
) -> tuple[dict[Partition, tuple[int, int]], dict[Partition, list[tuple[Any, ...]]]]:
    """Read partitions from start to end; return their ranges of offsets, and their records."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False, "log_level": 3,
         "isolation.level": isolation, "enable.partition.eof": True, "check.crcs": True}
    )  # fmt: skip
    records: dict[Partition, list[tuple[Any, ...]]] = {at: [] for at in partitions}
    ranges = {at: _watermarks(consumer, at) for at in partitions}
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for topic, p in partitions])
    waiting = set(partitions)
    end = time.monotonic() + TIMEOUT_S
    while waiting:
        assert time.monotonic() < end, f"no end of {sorted(waiting)}"
        for message in consumer.consume(1000, 0.5):
            at = (message.topic(), message.partition())
            if message.error() is None:
                records[at].append(
                    (message.offset(), message.timestamp(), message.key(), message.value(), message.headers())
                )
            elif message.error().code() == KafkaError._PARTITION_EOF:
                waiting.discard(at)
            else:
                raise AssertionError(f"{at}: {message.error()}")
    consumer.close()
    return ranges, records


def _watermarks(consumer: Consumer, at: Partition) -> tuple[int, int]:
    """Return the range of offsets of a partition; a Kafka that just started may not lead it yet."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(*at), timeout=TIMEOUT_S)
            return low, high
        except KafkaException as e:
            if not e.args[0].retriable() and e.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise
            assert time.monotonic() < end, e
            time.sleep(0.05)


def committed(
    bootstrap: str, group: str, partitions: Sequence[Partition]
) -> dict[Partition, tuple[int, str | None]]:
    """Return the committed offsets of a group with their metadata."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 3})
    answer = consumer.committed([TopicPartition(*at) for at in partitions], timeout=TIMEOUT_S)
    consumer.close()
    return {(x.topic, x.partition): (x.offset, x.metadata) for x in answer if x.offset >= 0}


def producers(bootstrap: str, partitions: Sequence[Partition]) -> dict[Partition, dict[int, tuple[int, int]]]:
    """Return epoch and last sequence by producer id, for each partition that knows any."""
    topics: dict[str, list[int]] = {}
    for topic, partition in partitions:
        topics.setdefault(topic, []).append(partition)
    request = dp.DescribeProducersRequest([dp.TopicRequest(name, indexes) for name, indexes in topics.items()])
    with Wire.to(bootstrap) as wire:
        answer = wire.request(request, 0)
    found = {}
    for topic in answer.topics:
        for part in topic.partitions:
            assert part.error_code == 0, (topic.name, part)
            if part.active_producers:
                found[topic.name, part.partition_index] = {
                    p.producer_id: (p.producer_epoch, p.last_sequence) for p in part.active_producers
                }
    return found
