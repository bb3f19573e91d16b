"""Acknowledged means kept: brokers are killed at random moments under load, and everything is counted afterwards.

BARNABAS_KILLS says how many times (the soak run takes 50), BARNABAS_SEED repeats the moments of an earlier run.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from barnabas.embedded import Broker
from testkit.ports import free_port

from .making import leader_epoch

KILLS = int(os.environ.get("BARNABAS_KILLS", "4"))
SEED = int(os.environ.get("BARNABAS_SEED", str(random.SystemRandom().randrange(1 << 32))))
PARTITIONS = 3
COMMON = {
    "linger.ms": 2, "batch.size": 8192, "batch.num.messages": 20, "max.in.flight.requests.per.connection": 5,
    "acks": "all", "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 10,
    "message.timeout.ms": 120_000, "queue.buffering.max.messages": 2000, "log_level": 0,
}


class Writer(threading.Thread):
    """Produce numbered records to all partitions of a topic until told to stop; note every acknowledgement."""

    def __init__(self, bootstrap: str, topic: str, *, idempotent: bool) -> None:
        super().__init__(name=topic)
        self.topic = topic
        self.acknowledged: dict[tuple[int, int], bytes] = {}
        self.sent = [0] * PARTITIONS
        self.errors: list[str] = []
        self.stopping = threading.Event()
        self._producer = Producer({**COMMON, "bootstrap.servers": bootstrap, "enable.idempotence": idempotent})

    def run(self) -> None:
        while not self.stopping.is_set():
            for partition in range(PARTITIONS):
                value = b"%08d" % self.sent[partition] + os.urandom(120)
                try:
                    self._producer.produce(self.topic, value, partition=partition, on_delivery=self._delivered)
                    self.sent[partition] += 1
                except BufferError:
                    self._producer.poll(0.01)
            self._producer.poll(0)
            time.sleep(0.0003)  # a steady rate
        if self._producer.flush(90):
            self.errors.append("records are still waiting")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.errors.append(str(error))
            return
        place = (message.partition(), message.offset())
        value = message.value()
        if self.acknowledged.setdefault(place, value) != value:
            self.errors.append(f"{place} was given out twice")


def stored(bootstrap: str, topic: str) -> Iterator[tuple[int, int, bytes]]:
    """Read a topic whole: partition, offset, value."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "count", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    left = PARTITIONS
    deadline = time.monotonic() + 60
    while left:
        assert time.monotonic() < deadline
        for message in consumer.consume(1000, 0.1):
            if message.error() is None:
                yield message.partition(), message.offset(), message.value()
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                left -= 1
    consumer.close()


def digest(records: dict[tuple[int, int], bytes]) -> str:
    total = hashlib.sha256()
    for (partition, offset), value in sorted(records.items()):
        total.update(b"%d %d " % (partition, offset) + value)
    return total.hexdigest()


def test_acknowledged_records_outlive_sigkill(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    listen, properties = f"127.0.0.1:{free_port()}", {"offsets.topic.num.partitions": "1"}
    with Broker(tmp_path / "data", listen, properties, process=True) as broker:
        for topic in ("exact", "plain"):
            broker.create_topic(topic, PARTITIONS, {"segment.bytes": str(1 << 20)})
        writers = [Writer(broker.bootstrap, topic, idempotent=topic == "exact") for topic in ("exact", "plain")]
        for writer in writers:
            writer.start()
        try:
            for _ in range(KILLS):
                seen = [len(w.acknowledged) for w in writers]
                deadline = time.monotonic() + 30
                while any(len(w.acknowledged) < n + 50 for w, n in zip(writers, seen, strict=True)):
                    assert time.monotonic() < deadline, f"nothing is acknowledged any more, seed {SEED}"
                    time.sleep(0.005)
                time.sleep(chance.random() * 0.3)
                broker.kill()
                broker.start()
        finally:
            for writer in writers:
                writer.stopping.set()
            for writer in writers:
                writer.join()
        for writer in writers:
            assert writer.errors == [], f"seed {SEED}"
            found = {(p, offset): value for p, offset, value in stored(broker.bootstrap, writer.topic)}
            kept = {place: value for place, value in found.items() if place in writer.acknowledged}
            assert digest(kept) == digest(writer.acknowledged), f"{writer.topic}, seed {SEED}"
            for partition in range(PARTITIONS):
                offsets = sorted(offset for p, offset in found if p == partition)
                assert offsets == list(range(len(offsets))), "a hole"
            if writer.topic == "exact":
                assert len(writer.acknowledged) == sum(writer.sent)
                for partition in range(PARTITIONS):
                    numbers = [int(value[:8]) for (p, _), value in sorted(found.items()) if p == partition]
                    assert numbers == list(range(writer.sent[partition])), f"not once each, in order; seed {SEED}"
            else:
                times = Counter(found.values())
                assert all(times[value] >= 1 for value in writer.acknowledged.values())


def test_a_killed_broker_raises_the_epoch_of_its_partitions(tmp_path: Path) -> None:
    with Broker(tmp_path / "data", listen=f"127.0.0.1:{free_port()}", process=True) as broker:
        broker.create_topic("t")
        consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap, "group.id": "g", "auto.offset.reset": "error", "log_level": 0,
             "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100}
        )
        consumer.assign([TopicPartition("t", 0, 0)])
        epochs = []
        for _ in range(3):
            producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
            producer.produce("t", b"x")
            assert producer.flush(30) == 0
            message = None
            deadline = time.monotonic() + 30
            while (message is None or message.error()) and time.monotonic() < deadline:
                message = consumer.poll(0.5)
            assert message is not None
            epochs.append((message.offset(), message.leader_epoch()))
            broker.kill()
            broker.start()
        # librdkafka was fenced each time, asked where its epoch ended, and went on there
        assert epochs == [(0, 0), (1, 1), (2, 2)]
        broker.restart()
        assert not (tmp_path / "data" / ".kafka_cleanshutdown").exists()
        consumer.close()


@pytest.mark.parametrize("clean", [True, False])
def test_epochs_rise_only_after_an_unclean_stop(tmp_path: Path, clean: bool) -> None:
    with Broker(tmp_path / "data", listen=f"127.0.0.1:{free_port()}", process=True) as broker:
        broker.create_topic("t")
        for _ in range(2):
            broker.stop() if clean else broker.kill()
            broker.start()
        assert leader_epoch(broker.bootstrap, "t") == (0 if clean else 2)
