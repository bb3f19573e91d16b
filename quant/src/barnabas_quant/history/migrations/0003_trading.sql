-- What the trading service tells, one row for each record of its topics. `seq` numbers all of them, in the order in which
-- they were decided. Amounts are those of the records, in the currency or the asset that they name.

CREATE TABLE IF NOT EXISTS orders /*on_cluster*/
(
    seq UInt64 CODEC(Delta, ZSTD(3)),
    time Int64 CODEC(Delta, ZSTD(3)),
    `order` String CODEC(ZSTD(3)),
    instrument LowCardinality(String),
    step LowCardinality(String),
    status LowCardinality(String),
    side Enum8('BUY' = 1, 'SELL' = 2),
    type LowCardinality(String),
    quantity Decimal(38, 8) CODEC(GCD, ZSTD(3)),
    filled Decimal(38, 8) CODEC(GCD, ZSTD(3)),
    price Nullable(Decimal(38, 8)) CODEC(GCD, ZSTD(3)),
    trigger Nullable(Decimal(38, 8)) CODEC(GCD, ZSTD(3)),
    time_in_force LowCardinality(String),
    strategy LowCardinality(String),
    reason String CODEC(ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(time, 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (instrument, timestamp, seq, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS fills /*on_cluster*/
(
    seq UInt64 CODEC(Delta, ZSTD(3)),
    time Int64 CODEC(Delta, ZSTD(3)),
    fill String CODEC(ZSTD(3)),
    `order` String CODEC(ZSTD(3)),
    instrument LowCardinality(String),
    side Enum8('BUY' = 1, 'SELL' = 2),
    price Decimal(38, 8) CODEC(GCD, ZSTD(3)),
    quantity Decimal(38, 8) CODEC(GCD, ZSTD(3)),
    fee Decimal(38, 8) CODEC(ZSTD(3)),
    taxes Decimal(38, 8) CODEC(ZSTD(3)),
    currency LowCardinality(String),
    liquidity LowCardinality(String),
    slippage Decimal(38, 8) CODEC(ZSTD(3)),
    strategy LowCardinality(String),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(time, 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (instrument, timestamp, seq, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS positions /*on_cluster*/
(
    seq UInt64 CODEC(Delta, ZSTD(3)),
    time Int64 CODEC(Delta, ZSTD(3)),
    instrument LowCardinality(String),
    quantity Decimal(38, 8) CODEC(GCD, ZSTD(3)),
    available Decimal(38, 8) CODEC(GCD, ZSTD(3)),
    average_price Decimal(38, 8) CODEC(ZSTD(3)),
    realized Decimal(38, 8) CODEC(ZSTD(3)),
    fees Decimal(38, 8) CODEC(ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(time, 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (instrument, timestamp, seq, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS equity /*on_cluster*/
(
    seq UInt64 CODEC(Delta, ZSTD(3)),
    time Int64 CODEC(Delta, ZSTD(3)),
    currency LowCardinality(String),
    cash Decimal(38, 8) CODEC(ZSTD(3)),
    held Decimal(38, 8) CODEC(ZSTD(3)),
    positions Decimal(38, 8) CODEC(ZSTD(3)),
    equity Decimal(38, 8) CODEC(ZSTD(3)),
    peak Decimal(38, 8) CODEC(ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(time, 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (currency, timestamp, seq, topic_id, kafka_partition, kafka_offset);
