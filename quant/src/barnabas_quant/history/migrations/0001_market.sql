-- One row for each record of a topic. Times are whole numbers as in the records: microseconds since 1970, `produced` (Kafka's
-- timestamp) milliseconds. `timestamp` is the time to ask by: the exchange's, or when the feed received what has none.
-- A row ends with where it came from; with the time that makes it one of a kind, so that what a fenced writer wrote once
-- more goes away when parts are merged, or with FINAL.

CREATE TABLE IF NOT EXISTS market_ticks /*on_cluster*/
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    kind Enum8('trade' = 1, 'quote' = 2),
    price Nullable(Decimal(18, 8)) CODEC(ZSTD(3)),
    bid Nullable(Decimal(18, 8)) CODEC(ZSTD(3)),
    bid_size Nullable(Decimal(38, 8)) CODEC(ZSTD(3)),
    ask Nullable(Decimal(18, 8)) CODEC(ZSTD(3)),
    ask_size Nullable(Decimal(38, 8)) CODEC(ZSTD(3)),
    update_id UInt64 CODEC(Delta, ZSTD(3)),
    event_time Nullable(Int64) CODEC(ZSTD(3)),
    receive_time Int64 CODEC(Delta, ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(ifNull(event_time, receive_time), 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX offsets kafka_offset TYPE minmax GRANULARITY 4
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (exchange, symbol, timestamp, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS market_trades /*on_cluster*/
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    trade_id UInt64 CODEC(Delta, ZSTD(3)),
    price Decimal(18, 8) CODEC(ZSTD(3)),
    quantity Decimal(38, 8) CODEC(ZSTD(3)),
    buyer_is_maker Bool CODEC(ZSTD(3)),
    event_time Int64 CODEC(Delta, ZSTD(3)),
    trade_time Int64 CODEC(Delta, ZSTD(3)),
    receive_time Int64 CODEC(Delta, ZSTD(3)),
    first_trade_id Nullable(UInt64) CODEC(ZSTD(3)),
    last_trade_id Nullable(UInt64) CODEC(ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(trade_time, 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX offsets kafka_offset TYPE minmax GRANULARITY 4
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (exchange, symbol, timestamp, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS market_klines /*on_cluster*/
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    interval LowCardinality(String),
    open_time Int64 CODEC(Delta, ZSTD(3)),
    close_time Int64 CODEC(Delta, ZSTD(3)),
    open Decimal(18, 8) CODEC(ZSTD(3)),
    high Decimal(18, 8) CODEC(ZSTD(3)),
    low Decimal(18, 8) CODEC(ZSTD(3)),
    close Decimal(18, 8) CODEC(ZSTD(3)),
    volume Decimal(38, 8) CODEC(ZSTD(3)),
    quote_volume Decimal(38, 8) CODEC(ZSTD(3)),
    trades UInt64 CODEC(ZSTD(3)),
    closed Bool,
    source Enum8('venue' = 1, 'computed' = 2),
    event_time Int64 CODEC(Delta, ZSTD(3)),
    receive_time Int64 CODEC(Delta, ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(open_time, 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX offsets kafka_offset TYPE minmax GRANULARITY 4
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (exchange, symbol, interval, timestamp, source, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS market_orderbooks /*on_cluster*/
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    last_update_id UInt64 CODEC(Delta, ZSTD(3)),
    bids Array(Tuple(price Decimal(18, 8), quantity Decimal(38, 8))) CODEC(ZSTD(3)),
    asks Array(Tuple(price Decimal(18, 8), quantity Decimal(38, 8))) CODEC(ZSTD(3)),
    event_time Nullable(Int64) CODEC(ZSTD(3)),
    receive_time Int64 CODEC(Delta, ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(ifNull(event_time, receive_time), 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX offsets kafka_offset TYPE minmax GRANULARITY 4
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (exchange, symbol, timestamp, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS market_orderbook_diffs /*on_cluster*/
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    first_update_id UInt64 CODEC(Delta, ZSTD(3)),
    last_update_id UInt64 CODEC(Delta, ZSTD(3)),
    previous_update_id Nullable(UInt64) CODEC(ZSTD(3)),
    bids Array(Tuple(price Decimal(18, 8), quantity Decimal(38, 8))) CODEC(ZSTD(3)),
    asks Array(Tuple(price Decimal(18, 8), quantity Decimal(38, 8))) CODEC(ZSTD(3)),
    event_time Nullable(Int64) CODEC(ZSTD(3)),
    receive_time Int64 CODEC(Delta, ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(ifNull(event_time, receive_time), 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX offsets kafka_offset TYPE minmax GRANULARITY 4
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (exchange, symbol, timestamp, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS market_gaps /*on_cluster*/
(
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    stream LowCardinality(String),
    last_id Nullable(UInt64),
    next_id UInt64,
    from_time Int64,
    to_time Int64,
    cause String,
    filled Bool,
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(to_time, 'UTC'),
    topic_id UUID,
    kafka_partition UInt16,
    kafka_offset UInt64,
    produced Int64
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (exchange, symbol, stream, timestamp, topic_id, kafka_partition, kafka_offset);
