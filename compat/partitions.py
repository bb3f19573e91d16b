"""Compare where producers put keys: ``partitions.py HOST:PORT``.

A thousand keys go through Apache Kafka's console producer (Java), kafka-python, and confluent-kafka with
``partitioner=murmur2_random``, each to a topic of its own with as many partitions. Every key must land on the same
partition: consumers that join topics by partition depend on it. librdkafka's own default, which hashes by CRC32, is
shown beside them and not judged.

Needs kafka-python and confluent-kafka, and Java for the console producer (peers/apache_kafka.py).
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka import KafkaProducer

PARTITIONS = 12
TIMEOUT = 60.0
VENUES = ("binance", "binance_usdm", "sse", "szse", "股票")
KEYS = [f"{VENUES[i % len(VENUES)]}:{i:06d}" for i in range(1000)]
APACHE_KAFKA = Path(__file__).resolve().parent / "peers" / "apache_kafka.py"


def console_producer(bootstrap: str, topic: str) -> None:
    """Send the keys through Java's console producer."""
    tool = [sys.executable, str(APACHE_KAFKA), "tool", "org.apache.kafka.tools.ConsoleProducer"]
    options = ["--bootstrap-server", bootstrap, "--topic", topic]
    reader = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=|"]
    lines = "".join(f"{key}|{i}\n" for i, key in enumerate(KEYS))
    subprocess.run([*tool, *options, *reader], input=lines.encode(), check=True, timeout=TIMEOUT, capture_output=True)


def kafka_python(bootstrap: str, topic: str) -> None:
    """Send the keys through kafka-python and its default partitioner."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
    for key in KEYS:
        producer.send(topic, b"", key=key.encode())
    producer.flush(TIMEOUT)
    producer.close()


def librdkafka(partitioner: str) -> Callable[[str, str], None]:
    """Return a sender that uses confluent-kafka with one of librdkafka's partitioners."""

    def send(bootstrap: str, topic: str) -> None:
        producer = Producer({"bootstrap.servers": bootstrap, "partitioner": partitioner, "linger.ms": 5})
        for key in KEYS:
            producer.produce(topic, b"", key=key.encode())
        if left := producer.flush(TIMEOUT):
            raise TimeoutError(f"{left} records unsent")

    return send


def placement(bootstrap: str, topic: str) -> dict[str, int]:
    """Read the topic and return the partition of each key."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}-unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    places: dict[str, int] = {}
    read = 0
    end = time.monotonic() + TIMEOUT
    while read < len(KEYS):
        if time.monotonic() > end:
            raise TimeoutError(f"{read} of {len(KEYS)} records in {topic}")
        for message in consumer.consume(len(KEYS), timeout=0.5):
            key, partition = message.key(), message.partition()
            if message.error() or key is None or partition is None:
                raise RuntimeError(f"{topic}: {message.error()}")
            places[key.decode() if isinstance(key, bytes) else key] = partition
            read += 1
    consumer.close()
    return places


def main(bootstrap: str) -> int:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    senders = {
        "java console producer": console_producer,
        "kafka-python": kafka_python,
        "confluent-kafka, murmur2_random": librdkafka("murmur2_random"),
        "confluent-kafka, its default": librdkafka("consistent_random"),
    }
    prefix = f"compat-partitions-{uuid.uuid4().hex[:8]}"
    topics = {name: f"{prefix}-{i}" for i, name in enumerate(senders)}
    for created in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics.values()]).values():
        created.result(TIMEOUT)
    try:
        places: dict[str, dict[str, int]] = {}
        for name, send in senders.items():
            send(bootstrap, topics[name])
            places[name] = placement(bootstrap, topics[name])
    finally:
        for deleted in admin.delete_topics(list(topics.values())).values():
            deleted.result(TIMEOUT)

    reference = places["java console producer"]
    judged = ("kafka-python", "confluent-kafka, murmur2_random")
    wrong = 0
    print(f"{len(reference)} keys on {len(set(reference.values()))} of {PARTITIONS} partitions by Java's producer")
    for name, found in places.items():
        elsewhere = sum(found.get(key) != partition for key, partition in reference.items())
        print(f"{name}: {len(found)} keys, {elsewhere} elsewhere than Java")
        if name in judged:
            wrong += elsewhere
    if len(reference) != len(KEYS) or len(set(reference.values())) != PARTITIONS or wrong:
        print("FAIL partitions")
        return 1
    print("ok   partitions: the same for every key")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
