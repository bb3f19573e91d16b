"""Ask a broker, from inside an arena, what the tests want to know; answers are lines of JSON.

python questions.py BOOTSTRAP create TOPIC PARTITIONS     make a topic
python questions.py BOOTSTRAP read TOPIC                  every record, partition by partition
python questions.py BOOTSTRAP committed GROUP TOPIC       the group's offset of each partition, null without one
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TIMEOUT = 30.0
SETTLING = {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE}
"""Answers of a broker whose internal topic has just been made; asked again until TIMEOUT (seconds) is over."""


def create(bootstrap: str, topic: str, partitions: str) -> None:
    """Make a topic with one replica; raise KafkaException where the broker refuses."""
    client = AdminClient({"bootstrap.servers": bootstrap})  # Named, as its end would cancel the request.
    client.create_topics([NewTopic(topic, int(partitions), 1)])[topic].result(TIMEOUT)


def partitions_of(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """Return every partition of a topic, in order."""
    numbers = consumer.list_topics(topic, TIMEOUT).topics[topic].partitions
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def read(bootstrap: str, topic: str) -> None:
    """Print every record up to the end of each partition as it is now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": str(uuid4()), "enable.auto.commit": False})
    for partition in partitions_of(consumer, topic):
        offset, end = consumer.get_watermark_offsets(partition, TIMEOUT)
        consumer.assign([TopicPartition(topic, partition.partition, offset)])
        while offset < end:
            message = consumer.poll(TIMEOUT)
            if message is None or message.error():
                raise SystemExit(f"{topic}-{partition.partition} at {offset} of {end}: {message and message.error()}")
            offset = (message.offset() or 0) + 1
            key, value = message.key(), message.value()
            record = {
                "partition": message.partition(),
                "offset": message.offset(),
                "key": key.decode() if key is not None else None,
                "value": value.decode() if value is not None else None,
            }
            print(json.dumps(record))
    consumer.close()


def committed(bootstrap: str, group: str, topic: str) -> None:
    """Print the committed offset of each partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            partitions = consumer.committed(partitions_of(consumer, topic), TIMEOUT)
            break
        except KafkaException as error:
            if error.args[0].code() not in SETTLING or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    for partition in partitions:
        print(json.dumps(partition.offset if partition.offset >= 0 else None))
    consumer.close()


if __name__ == "__main__":
    questions: dict[str, Callable[..., None]] = {"create": create, "read": read, "committed": committed}
    questions[sys.argv[2]](sys.argv[1], *sys.argv[3:])
