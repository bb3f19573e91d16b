"""Place orders: one record each on the topic `orders`, with the order's id as key.

The producer is idempotent and waits for acks=all: within one run no order is lost, doubled or reordered by retries.

    python place.py --bootstrap localhost:9092 --product tea --quantity 2 --count 3
"""

from __future__ import annotations

import argparse
import json
import uuid

from confluent_kafka import KafkaError, Message, Producer


def main() -> None:
    """Place the orders and print the id of each one that the broker acknowledged; exit code 1 where one failed."""
    parser = argparse.ArgumentParser(description="Place orders.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="orders")
    parser.add_argument("--product", default="tea")
    parser.add_argument("--quantity", type=int, default=1, help="pieces in each order")
    parser.add_argument("--count", type=int, default=1, help="number of orders")
    options = parser.parse_args()

    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error)
        else:
            print((message.key() or b"").decode(), flush=True)

    producer = Producer(
        {"bootstrap.servers": options.bootstrap, "enable.idempotence": True, "partitioner": "murmur2_random"}
    )
    for _ in range(options.count):
        order = {"order": str(uuid.uuid4()), "product": options.product, "quantity": options.quantity}
        producer.produce(options.topic, json.dumps(order), order["order"], on_delivery=delivered)
        producer.poll(0)
    waiting = producer.flush(60)
    if waiting or failures:
        raise SystemExit(f"{waiting + len(failures)} orders failed: {failures[0] if failures else 'no answer'}")


if __name__ == "__main__":
    main()
