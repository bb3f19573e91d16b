"""Stage 2, consumer 1: the newest tick of each symbol in Redis, under `latest_tick:SYMBOL`, for an hour.

Each batch is one round trip. After a crash the last batch comes again, so that for a moment an older tick may stand
where a newer one was; the platform's own cache compares ids inside Redis and never goes back.

    python cache.py --redis redis://localhost:6379/1
"""

from __future__ import annotations

import json

import redis
from ticks import arguments, batches

SECONDS = 3600


def main() -> None:
    """Fill the cache."""
    parser = arguments("Keep the newest tick of each symbol in Redis.")
    parser.add_argument("--redis", default="redis://localhost:6379/1", metavar="URL")
    parser.add_argument("--group", default="road-cache")
    options = parser.parse_args()
    cache = redis.Redis.from_url(options.redis)
    for ticks in batches(options, options.group):
        newest = {f"latest_tick:{tick['symbol']}": tick for tick in ticks}
        pipe = cache.pipeline(transaction=False)
        for key, tick in newest.items():
            pipe.set(key, json.dumps(tick), ex=SECONDS)
        pipe.execute()
        print(f"{len(ticks)} ticks, {len(newest)} keys", flush=True)


if __name__ == "__main__":
    main()
