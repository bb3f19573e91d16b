-- Whose: the paper venue trades several accounts. Rows from before that are those of the account main.

ALTER TABLE orders /*on_cluster*/ ADD COLUMN IF NOT EXISTS account LowCardinality(String) DEFAULT 'main' AFTER time;

ALTER TABLE fills /*on_cluster*/ ADD COLUMN IF NOT EXISTS account LowCardinality(String) DEFAULT 'main' AFTER time;

ALTER TABLE positions /*on_cluster*/ ADD COLUMN IF NOT EXISTS account LowCardinality(String) DEFAULT 'main' AFTER time;

ALTER TABLE equity /*on_cluster*/ ADD COLUMN IF NOT EXISTS account LowCardinality(String) DEFAULT 'main' AFTER time;

-- What else the trading service tells: why, and by which numbers (a JSON object of text).

CREATE TABLE IF NOT EXISTS trade_decisions /*on_cluster*/
(
    seq UInt64 CODEC(Delta, ZSTD(3)),
    time Int64 CODEC(Delta, ZSTD(3)),
    account LowCardinality(String),
    subject String CODEC(ZSTD(3)),
    verdict LowCardinality(String),
    rule LowCardinality(String),
    reason String CODEC(ZSTD(3)),
    numbers String CODEC(ZSTD(3)),
    `order` String CODEC(ZSTD(3)),
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
ORDER BY (account, timestamp, seq, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS risk_alerts /*on_cluster*/
(
    seq UInt64 CODEC(Delta, ZSTD(3)),
    time Int64 CODEC(Delta, ZSTD(3)),
    account LowCardinality(String),
    rule LowCardinality(String),
    subject LowCardinality(String),
    state LowCardinality(String),
    level LowCardinality(String),
    action LowCardinality(String),
    reason String CODEC(ZSTD(3)),
    numbers String CODEC(ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(time, 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (account, timestamp, seq, topic_id, kafka_partition, kafka_offset);

CREATE TABLE IF NOT EXISTS cash_flows /*on_cluster*/
(
    seq UInt64 CODEC(Delta, ZSTD(3)),
    time Int64 CODEC(Delta, ZSTD(3)),
    account LowCardinality(String),
    kind LowCardinality(String),
    currency LowCardinality(String),
    amount Decimal(38, 8) CODEC(ZSTD(3)),
    instrument LowCardinality(String),
    numbers String CODEC(ZSTD(3)),
    timestamp DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(time, 'UTC') CODEC(Delta, ZSTD(3)),
    topic_id UUID CODEC(ZSTD(3)),
    kafka_partition UInt16 CODEC(ZSTD(3)),
    kafka_offset UInt64 CODEC(Delta, ZSTD(3)),
    produced Int64 CODEC(Delta, ZSTD(3)),
    INDEX places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1
)
ENGINE = /*replicated*/ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (account, timestamp, seq, topic_id, kafka_partition, kafka_offset);
