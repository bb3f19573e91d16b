"""Keep the durable state of the node: topics, configurations, features, producer ids, in KRaft's own log."""
