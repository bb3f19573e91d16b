"""Stage 2, consumer 2: every tick as a row of ClickHouse's table `market_ticks`, in batches of up to 1000.

The records go in as the JSON that they are; ClickHouse reads the prices as decimals. A crash between an insert and the
commit of its offsets repeats rows: they have the same partition and offset, so that ClickHouse drops one of two when it
merges, and a query with FINAL never sees both.

    python history.py --clickhouse http://localhost:8123 --database market_road
"""

from __future__ import annotations

import json

import clickhouse_connect
from ticks import arguments, batches

TABLE = """
CREATE TABLE IF NOT EXISTS market_ticks
(
    exchange LowCardinality(String), symbol LowCardinality(String), kind LowCardinality(String),
    price Nullable(Decimal(18, 8)),
    bid Nullable(Decimal(18, 8)), bid_size Nullable(Decimal(38, 8)),
    ask Nullable(Decimal(18, 8)), ask_size Nullable(Decimal(38, 8)),
    update_id UInt64, event_time Nullable(Int64), receive_time Int64,
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(ifNull(event_time, receive_time), 'UTC'),
    kafka_partition UInt16, kafka_offset UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (exchange, symbol, timestamp, kafka_partition, kafka_offset)
"""
SETTINGS = {"input_format_skip_unknown_fields": 1}


def main() -> None:
    """Store every tick."""
    parser = arguments("Store every tick in ClickHouse.")
    parser.add_argument("--clickhouse", default="http://localhost:8123", metavar="URL")
    parser.add_argument("--database", default="market_road", help="made where it is missing")
    parser.add_argument("--group", default="road-history")
    options = parser.parse_args()
    server = clickhouse_connect.get_client(dsn=options.clickhouse)
    server.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", parameters={"name": options.database})
    history = clickhouse_connect.get_client(dsn=options.clickhouse, database=options.database)
    history.command(TABLE)
    for ticks in batches(options, options.group):
        rows = "\n".join(map(json.dumps, ticks))
        history.raw_insert("market_ticks", insert_block=rows, settings=SETTINGS, fmt="JSONEachRow")
        print(f"{len(ticks)} rows", flush=True)


if __name__ == "__main__":
    main()
