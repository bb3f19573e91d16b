"""Test that connections share the buffer in which bytes arrive without seeing each other's bytes."""

from __future__ import annotations

import random
import struct
import time

from barnabas.embedded import Broker
from barnabas.protocol.batch import build_batch
from barnabas.protocol.codec import decode
from barnabas.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

from ..wire import Wire, frame


def ask(name: str, correlation: int) -> bytes:
    return frame(MetadataRequest([MetadataRequestTopic(name=name)], False), 8, correlation=correlation)


def answered(wire: Wire) -> tuple[int, str]:
    body = wire.read_frame()
    topic = decode(MetadataResponse, 8, body[4:]).topics[0]
    return struct.unpack_from(">i", body)[0], topic.name


def test_frames_that_arrive_in_pieces_beside_each_other() -> None:
    """Twenty connections send fifty requests each, cut anywhere, in turns; each gets its own answers in order."""
    rng = random.Random(7)
    with Broker() as broker:
        wires = [Wire.to(broker.bootstrap) for _ in range(20)]
        streams = [
            b"".join(ask(f"c{c}-{'x' * rng.randrange(200)}-{n}", n) for n in range(50)) for c in range(len(wires))
        ]
        sent = [0] * len(wires)
        while pending := [i for i, stream in enumerate(streams) if sent[i] < len(stream)]:
            i = rng.choice(pending)
            size = rng.choice((1, 3, 17, 400, 3000))
            wires[i].raw(streams[i][sent[i] : sent[i] + size])
            sent[i] += size
        for c, wire in enumerate(wires):
            for n in range(50):
                correlation, name = answered(wire)
                assert correlation == n
                assert name.startswith(f"c{c}-")
                assert name.endswith(f"-{n}")
            wire.close()


def test_requests_behind_a_waiting_fetch_keep_their_bytes() -> None:
    """What stands behind a fetch that waits is served after it, whatever others sent in the meantime."""
    with Broker() as broker, Wire.to(broker.bootstrap) as waiting, Wire.to(broker.bootstrap) as busy:
        busy.request(CreateTopicsRequest([CreatableTopic("t", 1, 1)], 1000), 7)
        fetch = FetchRequest(max_wait_ms=30_000, min_bytes=1, topics=[FetchTopic("t", partitions=[FetchPartition(0)])])
        waiting.raw(frame(fetch, 11, correlation=1) + ask("behind-it", 2) + ask("and-half", 3)[:20])
        for _ in range(200):
            busy.request(MetadataRequest([MetadataRequestTopic(name="y" * 200)], False), 8)
        batch = bytes(build_batch([(b"k", b"v" * 100)], time.time_ns() // 1_000_000))
        data = [TopicProduceData("t", partition_data=[PartitionProduceData(0, batch)])]
        busy.request(ProduceRequest(None, 1, 1000, data), 8)
        assert struct.unpack_from(">i", waiting.read_frame())[0] == 1
        assert answered(waiting) == (2, "behind-it")
        waiting.raw(ask("and-half", 3)[20:])
        assert answered(waiting) == (3, "and-half")
