"""A web console for any Kafka: topics, records, groups, brokers, access; `barnabas console` starts it."""
