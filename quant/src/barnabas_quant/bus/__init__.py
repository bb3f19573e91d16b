"""Kafka as the platform uses it: topics, a producer that loses nothing, marks to resume at, readers."""

from barnabas_quant.bus.consumer import Watcher
from barnabas_quant.bus.marks import Mark, Tail, read_tails
from barnabas_quant.bus.partitioner import partition_of
from barnabas_quant.bus.producer import RecordProducer
from barnabas_quant.bus.ranges import read_records
from barnabas_quant.bus.topics import MARKET_TOPICS, TOPICS, TopicSpec, ensure_topics, partition_counts, wait_for_kafka

__all__ = [
    "MARKET_TOPICS",
    "TOPICS",
    "Mark",
    "RecordProducer",
    "Tail",
    "TopicSpec",
    "Watcher",
    "ensure_topics",
    "partition_counts",
    "partition_of",
    "read_records",
    "read_tails",
    "wait_for_kafka",
]
