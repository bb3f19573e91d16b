"""Hold the records that Kafka stores: metadata, groups, transactions, share state, markers."""
