"""Keep partitions on disk in Kafka's own files."""
