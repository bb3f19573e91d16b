"""What the programs of this folder share: the topic of ticks, and reading it as one consumer group among others.

The topic lies between whoever collects and whoever uses: they know it, and not each other. A batch is committed when
the caller asks for the next one: whoever dies in between gets it once more, never too little.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC = "market_data.ticks"
PARTITIONS = 12
RETENTION = 7 * 24 * 3600 * 1000  # milliseconds
Tick = dict[str, Any]


def make_topic(bootstrap: str) -> None:
    """Make the topic where it is missing, with three replicas or as many as there are brokers."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    cluster = admin.list_topics(timeout=30)
    if TOPIC not in cluster.topics:
        topic = NewTopic(TOPIC, PARTITIONS, min(3, len(cluster.brokers)), config={"retention.ms": str(RETENTION)})
        admin.create_topics([topic])[TOPIC].result(30)


def arguments(description: str) -> argparse.ArgumentParser:
    """Give a parser with what every reader of ticks takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--exchange", default="binance", help="whose ticks: a bare symbol means one venue")
    parser.add_argument("--once", action="store_true", help="end at the end of the topic")
    return parser


def batches(options: argparse.Namespace, group: str, start: str = "earliest") -> Iterator[list[Tick]]:
    """Give ticks, up to 1000 at a time, until Ctrl-C or SIGTERM; with --once until every partition was at its end."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    own = {"enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": start}
    consumer = Consumer({"bootstrap.servers": options.bootstrap, "group.id": group, **own})
    consumer.subscribe([TOPIC])
    return read(consumer, options, stopping)


def read(consumer: Consumer, options: argparse.Namespace, stopping: threading.Event) -> Iterator[list[Tick]]:
    """Yield the batches of a consumer, and commit each when the next one is asked for."""
    ended: set[int] = set()
    try:
        while not stopping.is_set():
            messages = consumer.consume(1000, timeout=0.5)
            ended |= {message.partition() or 0 for message in messages if at_end(message)}
            records = [message for message in messages if not message.error()]
            ticks = [tick for message in records if (tick := tick_of(message))]
            if wanted := [tick for tick in ticks if tick.get("exchange") == options.exchange]:
                yield wanted
            if records:
                consumer.commit(asynchronous=False)
            mine = {partition.partition for partition in consumer.assignment()}
            if options.once and mine and mine <= ended:
                return
    finally:
        consumer.close()


def at_end(message: Message) -> bool:
    """Tell whether it says that a partition is read; raise KafkaException for any other error."""
    error = message.error()
    if error is not None and error.code() not in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
        raise KafkaException(error)
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def tick_of(message: Message) -> Tick | None:
    """Decode a record and add where it stood; what is no tick is said and passed over."""
    place = {"kafka_partition": message.partition(), "kafka_offset": message.offset()}
    try:
        tick = json.loads(message.value() or b"")
    except ValueError:
        tick = None
    if isinstance(tick, dict) and isinstance(tick.get("symbol"), str):
        return tick | place
    print(f"passed over {message.partition()}@{message.offset()}: no tick", flush=True)
    return None
