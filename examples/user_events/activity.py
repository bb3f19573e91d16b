"""Print what users did: read `user-events` as one consumer group and keep count of each user's logins.

python activity.py --bootstrap localhost:9092 --once
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections import Counter

from confluent_kafka import Consumer, KafkaError, KafkaException

from barnabas_quant.errors import RecordError
from barnabas_quant.model.user_event import LOGIN, REGISTRATION, UserEvent, decode_user_event


class Activity:
    """Turn events into lines. No I/O."""

    def __init__(self) -> None:
        self._logins: Counter[str] = Counter()

    def line(self, event: UserEvent) -> str:
        """Say what happened."""
        told = "".join(f" {name}={value}" for name, value in event.attributes.items())
        if event.event == REGISTRATION:
            return f"{event.user} registered{told}"
        if event.event == LOGIN:
            self._logins[event.user] += 1
            return f"{event.user} logged in, login {self._logins[event.user]}{told}"
        return f"{event.user}: {event.event}{told}"


def run(options: argparse.Namespace, stopping: threading.Event) -> None:
    """Read until told to stop, or with --once until every partition was at its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    activity = Activity()
    consumer.subscribe([options.topic])
    ended: set[int] = set()
    try:
        while not stopping.is_set():
            messages = consumer.consume(100, timeout=0.2)
            for message in messages:
                if error := message.error():
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(error)
                    ended.add(message.partition() or 0)
                    continue
                try:
                    print(activity.line(decode_user_event(message.value())), flush=True)
                except RecordError as error:
                    print(f"passed over {message.partition()}@{message.offset()}: {error}", flush=True)
            if any(message.error() is None for message in messages):
                consumer.commit(asynchronous=False)  # after printing: a crash prints a line twice, never leaves it out
            mine = {partition.partition for partition in consumer.assignment()}
            if options.once and mine and mine <= ended:
                return
    finally:
        consumer.close()


def main() -> None:
    """Read the events of users and print them."""
    parser = argparse.ArgumentParser(description="Print what users did.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="user-events")
    parser.add_argument("--group", default="user-activity")
    parser.add_argument("--once", action="store_true", help="end at the end of the topic")
    options = parser.parse_args()

    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    run(options, stopping)


if __name__ == "__main__":
    main()
