"""Count views and users of each page in windows of time, from the first click on, and print what changes.

Windows go by the clicks' own time, not by the clock, so that a second run over the same topic gives the same figures.
A late click changes its window, however old: each printed row replaces the earlier one of its window and page. The
topic is the only state; nothing is committed.

    python count_clicks.py --bootstrap localhost:9092 --window 60
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from collections.abc import Iterable
from datetime import UTC, datetime

from kafka import KafkaConsumer, TopicPartition


class Statistics:
    """Views and distinct users of each window and page. No I/O."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._views: dict[tuple[float, str], int] = {}
        self._users: dict[tuple[float, str], set[str]] = {}

    def add(self, clicks: Iterable[tuple[float, str, str]]) -> list[dict[str, str | int]]:
        """Count clicks of (seconds, user, page); return the rows that changed, by window and page."""
        changed = set()
        for seconds, user, page in clicks:
            key = seconds // self._window * self._window, page
            self._views[key] = self._views.get(key, 0) + 1
            self._users.setdefault(key, set()).add(user)
            changed.add(key)
        return [
            {
                "window": datetime.fromtimestamp(start, UTC).isoformat(),
                "page": page,
                "views": self._views[start, page],
                "users": len(self._users[start, page]),
            }
            for start, page in sorted(changed)
        ]


def main() -> None:
    """Count until Ctrl-C or SIGTERM, or with --once up to the ends of the partitions as they are at the start."""
    parser = argparse.ArgumentParser(description="Count clicks in windows of time.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="user_clicks")
    parser.add_argument("--window", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--once", action="store_true", help="end at the end of the topic")
    options = parser.parse_args()

    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    statistics = Statistics(options.window)
    consumer = KafkaConsumer(bootstrap_servers=options.bootstrap, enable_auto_commit=False)
    numbers = consumer.partitions_for_topic(options.topic)
    if not numbers:
        raise SystemExit(f"no topic {options.topic}")
    partitions = [TopicPartition(options.topic, number) for number in sorted(numbers)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    while not stopping.is_set():
        found = [json.loads(record.value) for records in consumer.poll(200).values() for record in records]
        for row in statistics.add((click["timestamp"], click["user_id"], click["page"]) for click in found):
            print(json.dumps(row), flush=True)
        if options.once and all(consumer.position(partition) >= end for partition, end in ends.items()):
            break
    consumer.close()


if __name__ == "__main__":
    main()
