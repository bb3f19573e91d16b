-- Codecs and index as bench/tables.py measured them (docs/performance.md, "The history's tables"). A venue's prices and quantities
-- are multiples of its steps, and times that it tells in milliseconds multiples of 1000: GCD takes the step out of each
-- block before ZSTD. ZSTD(6) only where it gains: snapshots of a book, each like the one before, and few.
-- Parts that are there keep the old codecs until they are merged. Nothing of them is rewritten here.

ALTER TABLE market_ticks /*on_cluster*/
    MODIFY COLUMN price CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN bid CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN bid_size CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN ask CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN ask_size CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN event_time CODEC(GCD, ZSTD(3));

ALTER TABLE market_trades /*on_cluster*/
    MODIFY COLUMN price CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN quantity CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN event_time CODEC(GCD, Delta, ZSTD(3)),
    MODIFY COLUMN trade_time CODEC(GCD, Delta, ZSTD(3)),
    MODIFY COLUMN timestamp CODEC(GCD, Delta, ZSTD(3));

ALTER TABLE market_klines /*on_cluster*/
    MODIFY COLUMN open CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN high CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN low CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN close CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN volume CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN quote_volume CODEC(GCD, ZSTD(3));

ALTER TABLE market_orderbooks /*on_cluster*/
    MODIFY COLUMN bids CODEC(GCD, ZSTD(6)),
    MODIFY COLUMN asks CODEC(GCD, ZSTD(6));

ALTER TABLE market_orderbook_diffs /*on_cluster*/
    MODIFY COLUMN bids CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN asks CODEC(GCD, ZSTD(3)),
    MODIFY COLUMN event_time CODEC(GCD, Delta, ZSTD(3));

-- A writer that is given partitions asks what is there of each from its own place on. The old index knew of offsets alone,
-- four granules at a time: where one partition is short, it kept nothing of the long ones out.

ALTER TABLE market_ticks /*on_cluster*/
    DROP INDEX IF EXISTS offsets,
    ADD INDEX IF NOT EXISTS places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1;
ALTER TABLE market_ticks /*on_cluster*/
    MATERIALIZE INDEX places;

ALTER TABLE market_trades /*on_cluster*/
    DROP INDEX IF EXISTS offsets,
    ADD INDEX IF NOT EXISTS places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1;
ALTER TABLE market_trades /*on_cluster*/
    MATERIALIZE INDEX places;

ALTER TABLE market_klines /*on_cluster*/
    DROP INDEX IF EXISTS offsets,
    ADD INDEX IF NOT EXISTS places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1;
ALTER TABLE market_klines /*on_cluster*/
    MATERIALIZE INDEX places;

ALTER TABLE market_orderbooks /*on_cluster*/
    DROP INDEX IF EXISTS offsets,
    ADD INDEX IF NOT EXISTS places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1;
ALTER TABLE market_orderbooks /*on_cluster*/
    MATERIALIZE INDEX places;

ALTER TABLE market_orderbook_diffs /*on_cluster*/
    DROP INDEX IF EXISTS offsets,
    ADD INDEX IF NOT EXISTS places (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1;
ALTER TABLE market_orderbook_diffs /*on_cluster*/
    MATERIALIZE INDEX places;
