"""Stage 3: the latest price of a symbol, from Redis, else from ClickHouse, and then Redis is filled again for an hour.

It prints where the price came from. The query goes by time alone: of several ticks in the last millisecond it finds any
one. `--database default` asks the table that the platform itself writes; that holds several venues, so that a bare
symbol may find another venue's tick there.

    python latest_price.py BTCUSDT
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import clickhouse_connect
import redis
from clickhouse_connect.driver.client import Client

QUERY = "SELECT * FROM market_ticks WHERE symbol = {symbol:String} ORDER BY timestamp DESC LIMIT 1"
SECONDS = 3600


def latest_tick(cache: redis.Redis, history: Client, symbol: str) -> tuple[dict[str, Any], str] | None:
    """Find the newest tick and the store that had it; None where neither knows the symbol."""
    key = f"latest_tick:{symbol}"
    held = cache.get(key)
    if held is not None:
        return json.loads(held), "Redis"
    rows = list(history.query(QUERY, parameters={"symbol": symbol}).named_results())
    if not rows:
        return None
    tick = json.dumps(rows[0], default=str)
    cache.set(key, tick, ex=SECONDS)
    return json.loads(tick), "ClickHouse"


def main() -> None:
    """Print price and origin; exit code 1 for a symbol that nobody knows."""
    parser = argparse.ArgumentParser(description="Find the latest price of a symbol.")
    parser.add_argument("--redis", default="redis://localhost:6379/1", metavar="URL")
    parser.add_argument("--clickhouse", default="http://localhost:8123", metavar="URL")
    parser.add_argument("--database", default="market_road")
    parser.add_argument("symbol")
    options = parser.parse_args()
    history = clickhouse_connect.get_client(dsn=options.clickhouse, database=options.database)
    found = latest_tick(redis.Redis.from_url(options.redis), history, options.symbol)
    if found is None:
        raise SystemExit(f"no tick of {options.symbol}")
    tick, store = found
    print(f"{options.symbol} {tick['price']} from {store}")


if __name__ == "__main__":
    main()
