"""Ask brokers, message by message, what the tests of the node want to know."""

from __future__ import annotations

import time
from collections.abc import Sequence

from barnabas.protocol.batch import build_batch
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

from ..wire import Wire


def leader_epoch(bootstrap: str, topic: str) -> int:
    """Return the leader epoch of a topic's first partition."""
    with Wire.to(bootstrap) as wire:
        answer = wire.request(MetadataRequest([MetadataRequestTopic(name=topic)]), 12)
        return int(answer.topics[0].partitions[0].leader_epoch)


def produce(
    wire: Wire, topic: str, values: Sequence[bytes], partition: int = 0, timestamp: int | None = None
) -> tuple[int, int]:
    """Produce one batch, of now if no timestamp is given; return the error code and the base offset."""
    when = int(time.time() * 1000) if timestamp is None else timestamp
    data = bytes(build_batch([(None, value) for value in values], when))
    topics = [TopicProduceData(topic, partition_data=[PartitionProduceData(partition, data)])]
    request = ProduceRequest(None, -1, 10_000, topics)
    answer = wire.request(request, 9).responses[0].partition_responses[0]
    return answer.error_code, answer.base_offset


def fetch_request(topic: str, offset: int, partition: int = 0, max_wait_ms: int = 0, epoch: int = -1) -> FetchRequest:
    """Ask for records of one partition."""
    asked = FetchPartition(partition, epoch, offset, -1, -1, 1 << 20)
    topics = [FetchTopic(topic, partitions=[asked])]
    return FetchRequest(max_wait_ms=max_wait_ms, min_bytes=1, max_bytes=1 << 20, topics=topics)
