"""Decide on orders: read `orders`, reserve stock, write `accepted` or `rejected` to `order-events`.

The events are the only state. On start the program reads them all: what they accepted is gone from the stock, and an
order that has its event is never decided again. So it may crash between writing an event and committing its offset: the
order comes once more, and is passed over. One instance runs at a time, as the stock is one.

    python fulfil.py --bootstrap localhost:9092 --stock tea=4 --stock coffee=10
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Order:
    """An order: its id, a product, and the number of pieces."""

    id: str
    product: str
    quantity: int


class Warehouse:
    """Decide on each order once. No I/O: orders in, events out; replaying events restores the state."""

    def __init__(self, stock: dict[str, int]) -> None:
        self._left = Counter(stock)
        self._decided: set[str] = set()

    def replay(self, event: dict[str, Any]) -> None:
        """Take over what an event decided."""
        if event["order"] not in self._decided:
            self._decided.add(event["order"])
            if event["event"] == "accepted":
                self._left[event["product"]] -= event["quantity"]

    def decide(self, order: Order) -> dict[str, Any] | None:
        """Return the event of an order, or None where it has one already."""
        if order.id in self._decided:
            return None
        enough = 0 < order.quantity <= self._left[order.product]
        event = {
            "order": order.id,
            "event": "accepted" if enough else "rejected",
            "product": order.product,
            "quantity": order.quantity,
            "reason": "in stock" if enough else f"{max(self._left[order.product], 0)} left",
        }
        self.replay(event)
        return event


def value_of(message: Message) -> dict[str, Any]:
    """Decode a record's JSON; raise KafkaException where the consumer reports an error in its place."""
    if error := message.error():
        raise KafkaException(error)
    value: dict[str, Any] = json.loads(message.value() or b"null")
    return value


def stored_events(bootstrap: str, topic: str) -> Iterator[dict[str, Any]]:
    """Yield every event that the topic holds now; none where there is no such topic yet."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    try:
        found = consumer.list_topics(topic, TIMEOUT).topics[topic]
        if found.error is not None and found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return
        for number in found.partitions:
            position, end = consumer.get_watermark_offsets(TopicPartition(topic, number), TIMEOUT)
            consumer.assign([TopicPartition(topic, number, position)])
            while position < end:
                message = consumer.poll(TIMEOUT)
                if message is None:
                    raise TimeoutError(f"{topic}-{number} at {position} of {end}: nothing for {TIMEOUT} s")
                yield value_of(message)
                position = (message.offset() or 0) + 1
    finally:
        consumer.close()


def run(options: argparse.Namespace, warehouse: Warehouse, stopping: threading.Event) -> None:
    """Decide until told to stop, or with --once until every partition was at its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    producer = Producer(
        {"bootstrap.servers": options.bootstrap, "enable.idempotence": True, "partitioner": "murmur2_random"}
    )
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    consumer.subscribe([options.orders])
    ended: set[int] = set()
    try:
        while not stopping.is_set():
            messages = consumer.consume(100, timeout=0.2)
            for message in messages:
                if (error := message.error()) and error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition() or 0)
                    continue
                order = value_of(message)
                event = warehouse.decide(Order(order["order"], order["product"], order["quantity"]))
                if event is None:
                    print(f"known {order['order']}", flush=True)
                    continue
                producer.produce(options.events, json.dumps(event), event["order"], on_delivery=delivered)
                print(f"{event['event']} {event['order']}: {event['reason']}", flush=True)
            # The events are safe before the orders count as read: a crash in between repeats, never loses.
            if producer.flush(TIMEOUT) or failures:
                raise SystemExit(f"events not written: {failures[0] if failures else 'no answer'}")
            if any(message.error() is None for message in messages):
                consumer.commit(asynchronous=False)
            mine = {partition.partition for partition in consumer.assignment()}
            if options.once and mine and mine <= ended:
                return
    finally:
        consumer.close()


def main() -> None:
    """Restore the state from the events, then decide on orders."""
    parser = argparse.ArgumentParser(description="Decide on orders.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--orders", default="orders", help="topic to read")
    parser.add_argument("--events", default="order-events", help="topic to write")
    parser.add_argument("--group", default="fulfilment")
    parser.add_argument("--stock", action="append", default=[], metavar="PRODUCT=PIECES", help="stock at the beginning")
    parser.add_argument("--once", action="store_true", help="end at the end of the topic")
    options = parser.parse_args()

    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    warehouse = Warehouse({product: int(pieces) for product, _, pieces in (s.partition("=") for s in options.stock)})
    for event in stored_events(options.bootstrap, options.events):
        warehouse.replay(event)
    run(options, warehouse, stopping)


if __name__ == "__main__":
    main()
