"""Send invented clicks of users on pages: JSON with user_id, timestamp (seconds since 1970), action and page.

The key is the user, so that one user's clicks stay in order. The same --seed gives the same clicks.

    python clicks.py --bootstrap localhost:9092 --count 1000
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator

from kafka import KafkaProducer


def clicks(count: int, start: float, seed: int) -> Iterator[dict[str, str | float]]:
    """Yield clicks of 20 users on 5 pages, on average one every 0.5 s of their own time from `start` on."""
    chance = random.Random(seed)
    for _ in range(count):
        start += chance.expovariate(2)
        user, page = chance.randrange(20), chance.randrange(5)
        yield {"user_id": f"user_{user}", "timestamp": start, "action": "page_view", "page": f"/product/{page}"}


def main() -> None:
    """Send the clicks and wait until all are acknowledged."""
    parser = argparse.ArgumentParser(description="Send invented clicks.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="user_clicks")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--start", type=float, default=time.time(), help="time of the first click, seconds since 1970")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    producer = KafkaProducer(bootstrap_servers=options.bootstrap, acks="all", linger_ms=5)
    pending = [
        producer.send(options.topic, key=str(click["user_id"]).encode(), value=json.dumps(click).encode())
        for click in clicks(options.count, options.start, options.seed)
    ]
    for future in pending:
        future.get(timeout=60)
    producer.close()
    print(f"sent {len(pending)} clicks")


if __name__ == "__main__":
    main()
