"""The three layers as they stand: topics of Kafka, keys of Redis, tables of ClickHouse, one line each.

python layers.py                                       # of a platform that `barnabas-quant up` runs
python layers.py --redis redis://localhost:6379/1 --database market_road    # of the programs of this folder
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import clickhouse_connect
import redis
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

TABLES = """
SELECT name, engine, total_rows, formatReadableSize(total_bytes) FROM system.tables
WHERE database = currentDatabase() AND name LIKE 'market%' ORDER BY name
"""


def topics(bootstrap: str) -> Iterator[str]:
    """Tell each topic of market data: partitions, replicas, days that it keeps."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    found = {name: topic for name, topic in admin.list_topics(timeout=30).topics.items() if name[:6] == "market"}
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in sorted(found)])
    for resource, answer in asked.items():
        partitions = found[resource.name].partitions
        days = int(answer.result(30)["retention.ms"].value) / 86_400_000
        yield f"topic {resource.name}: {len(partitions)} partitions of {len(partitions[0].replicas)}, {days:g} days"


def keys(url: str) -> Iterator[str]:
    """Tell each key and how many seconds it still lives."""
    cache = redis.Redis.from_url(url, decode_responses=True)
    for key in sorted([*cache.scan_iter("market_data:*"), *cache.scan_iter("latest_tick:*")]):
        yield f"key {key}: {cache.ttl(key)} s"


def tables(url: str, database: str) -> Iterator[str]:
    """Tell each table, its engine, its rows and its size on disk."""
    history = clickhouse_connect.get_client(dsn=url, database=database)
    for name, engine, rows, size in history.query(TABLES).result_rows:
        yield f"table {name}: {engine}, {rows} rows, {size}"


def main() -> None:
    """Print the layers."""
    parser = argparse.ArgumentParser(description="Show topics, keys and tables.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--redis", default="redis://localhost:6379/0", metavar="URL")
    parser.add_argument("--clickhouse", default="http://localhost:8123", metavar="URL")
    parser.add_argument("--database", default="default")
    options = parser.parse_args()
    for lines in (topics(options.bootstrap), keys(options.redis), tables(options.clickhouse, options.database)):
        for line in lines:
            print(line)


if __name__ == "__main__":
    main()
