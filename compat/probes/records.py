"""Ask about records: Produce, Fetch, ListOffsets, DeleteRecords, leader epochs, producers."""

from __future__ import annotations

import struct
from typing import Any

from barnabas.protocol.batch import HEADER, build_batch, crc32c
from barnabas.protocol.messages.delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from barnabas.protocol.messages.describe_producers import DescribeProducersRequest, TopicRequest
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from barnabas.protocol.messages.init_producer_id import InitProducerIdRequest
from barnabas.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from barnabas.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData

from .groups import warm
from .session import Session

UNKNOWN_ID = bytes(range(16))
THEN = 1_700_000_000_000


def batch(*values: bytes | None, key: bytes | None = b"k", timestamp: int = THEN, **more: int) -> bytearray:
    """Build a batch of values under one key."""
    return build_batch([(key, value) for value in values], timestamp, **more)


def mended(data: bytearray) -> bytearray:
    """Put the right CRC on a batch whose header was changed."""
    struct.pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    return data


def patched(at: int, form: str, value: int, source: bytearray | None = None) -> bytearray:
    """Return a batch with one field of its header changed, CRC made right."""
    data = bytearray(source or batch(b"a", b"b"))
    struct.pack_into(form, data, at, value)
    return mended(data)


def accepted(r: ProduceResponse) -> ProduceResponse:
    """Leave out which offset a batch got: one that only one broker took moves those of all later ones."""
    for topic in r.responses:
        for partition in topic.partition_responses:
            partition.base_offset = min(partition.base_offset, 0)
    return r


def produce(s: Session) -> None:
    """Produce: what is refused, and how."""
    name = s.topic("in", 2)

    def ask(
        label: str, records: Any, *, topic: str = name, partition: int = 0, acks: int = -1,
        version: int | None = None, topic_id: bytes | None = None,
    ) -> None:
        wanted = s.ids.get(topic, UNKNOWN_ID) if topic_id is None else topic_id
        data = [TopicProduceData(topic, wanted, [PartitionProduceData(partition, records)])]
        s.ask(f"produce, {label}", ProduceRequest(None, acks, 5000, data), version=version, only=accepted)

    ask("one", batch(b"a"))
    ask("three", batch(b"a", b"b", b"c"))
    ask("acks 1", batch(b"a"), acks=1)
    for acks in (2, -2, 5, 32767):
        ask(f"acks {acks}", batch(b"a"), acks=acks)
    ask("unknown topic", batch(b"a"), topic=s.name("unknown"))
    ask("empty topic", batch(b"a"), topic="")
    ask("zero id", batch(b"a"), topic_id=bytes(16))
    ask("unknown partition", batch(b"a"), partition=9)
    ask("negative partition", batch(b"a"), partition=-1)
    ask("empty", b"")
    ask("two batches", batch(b"a") + batch(b"b"))
    ask("truncated", batch(b"a")[:-1])
    ask("a header alone", batch(b"a")[:61])
    ask("half a header", batch(b"a")[:30])
    ask("trailing bytes", batch(b"a") + b"\x00" * 5)
    wrong = batch(b"a")
    wrong[-1] ^= 1
    ask("bad CRC", wrong)
    ask("magic 1", patched(16, ">b", 1))
    ask("magic 0", patched(16, ">b", 0))
    ask("magic 3", patched(16, ">b", 3))
    ask("magic -1", patched(16, ">b", -1))
    ask("control batch", patched(21, ">h", 0x20))
    ask("transactional batch", patched(21, ">h", 0x10))
    ask("unknown compression", patched(21, ">h", 7))
    ask("unknown attributes", patched(21, ">h", 0x200))
    ask("a delete horizon", patched(21, ">h", 0x40))
    ask("log append time", patched(21, ">h", 0x08))
    ask("count 3 of 2", patched(57, ">i", 3))
    ask("count 1 of 2", patched(57, ">i", 1))
    ask("count 0", patched(57, ">i", 0))
    ask("count -1", patched(57, ">i", -1))
    ask("last offset delta 5", patched(23, ">i", 5))
    ask("last offset delta -1", patched(23, ">i", -1))
    ask("both larger", patched(57, ">i", 5, patched(23, ">i", 4)))
    ask("base offset 77", patched(0, ">q", 77))
    ask("base offset -1", patched(0, ">q", -1))
    ask("leader epoch 77", patched(12, ">i", 77))
    ask("max timestamp below base", patched(35, ">q", THEN - 5))
    ask("timestamp -1", batch(b"a", timestamp=-1))
    ask("timestamp -5", batch(b"a", timestamp=-5))
    ask("timestamp 0", batch(b"a", timestamp=0))
    ask("timestamp 2**62", batch(b"a", timestamp=2**62))
    ask("null value", batch(None))
    ask("null key", batch(b"a", key=None))
    ask("length one less", patched(8, ">i", len(batch(b"a", b"b")) - 13))
    ask("length negative", patched(8, ">i", -1))
    ask("length 13", patched(8, ">i", 13))
    ask("producer id without epoch", patched(43, ">q", 5))
    ask("sequence without producer", patched(53, ">i", 5))
    ask("zstd that is none", patched(21, ">h", 4))
    ask("gzip that is none", patched(21, ">h", 1))
    ask("zstd in v6", patched(21, ">h", 4), version=6)
    body = bytearray(batch(b"a"))
    body[HEADER.size] = 0x7E
    ask("a record longer than the batch", mended(body))
    small = s.topic("small", 1, max_message_bytes="200")
    ask("above max.message.bytes", batch(b"x" * 200), topic=small)
    keyed = s.topic("keyed", 1, cleanup_policy="compact")
    ask("no key on a compacted topic", batch(b"a", key=None), topic=keyed)
    two = build_batch([(b"k", b"a"), (None, b"b"), (None, b"c")], THEN)
    ask("some keys on a compacted topic", two, topic=keyed)
    early = s.topic("early", 1, message_timestamp_before_max_ms="1000")
    ask("too early", batch(b"a", b"b"), topic=early)
    late = s.topic("late", 1, message_timestamp_after_max_ms="1000")
    ask("too late", batch(b"a", timestamp=9_000_000_000_000), topic=late)
    stamped = s.topic("stamped", 1, message_timestamp_type="LogAppendTime")
    data = [TopicProduceData(stamped, s.ids[stamped], [PartitionProduceData(0, batch(b"a"))])]
    answer = s.quiet(ProduceRequest(None, -1, 5000, data))
    partition = answer.responses[0].partition_responses[0]
    s.note("produce, stamped", [partition.error_code, partition.base_offset, partition.log_append_time_ms > THEN])
    zipped = s.topic("zipped", 1, compression_type="gzip")
    ask("recompressed", batch(b"a", b"b"), topic=zipped)
    doubled = [PartitionProduceData(0, batch(b"a")), PartitionProduceData(0, batch(b"b"))]
    s.ask("produce, a partition twice",
          ProduceRequest(None, -1, 5000, [TopicProduceData(name, s.ids[name], doubled)]), only=accepted)
    s.ask("produce, nothing", ProduceRequest(None, -1, 5000, []))
    s.ask("produce, a topic of no partition", ProduceRequest(None, -1, 5000, [TopicProduceData(name, s.ids[name], [])]))
    mixed = [PartitionProduceData(0, batch(b"a")), PartitionProduceData(9, batch(b"b")), PartitionProduceData(1, b"")]
    s.ask("produce, good and bad", ProduceRequest(None, -1, 5000, [TopicProduceData(name, s.ids[name], mixed)]),
          only=accepted)
    quiet = ProduceRequest(None, 0, 5000, [TopicProduceData(name, s.ids[name], [PartitionProduceData(9, batch(b"a"))])])
    s.ask("produce, acks 0 to an unknown partition", quiet, link=s.link())
    quiet = ProduceRequest(None, 0, 5000, [TopicProduceData(name, s.ids[name], [PartitionProduceData(0, b"x")])])
    s.ask("produce, acks 0, garbage", quiet, link=s.link())


def idempotent(s: Session) -> None:
    """Produce with producer ids: repeats, holes, epochs; InitProducerId; DescribeProducers."""
    name = s.topic("once", 1)

    def ask(label: str, sequence: int, *, epoch: int = 0, count: int = 1, producer: int = 4000) -> None:
        records = batch(*[b"v"] * count, producer_id=producer, producer_epoch=epoch, base_sequence=sequence)
        s.note(f"sequence, {label}", s.produce(name, records, version=max(s.version(ProduceRequest), 3)))

    ask("first", 0)
    ask("second", 1)
    ask("second again", 1)
    ask("first again", 0)
    ask("hole", 5)
    ask("three", 2, count=3)
    ask("part of three again", 3)
    ask("three again", 2, count=3)
    for i in range(5, 10):
        ask(f"number {i}", i)
    ask("one long ago", 0)
    ask("one of the last five", 6)
    ask("next epoch not from 0", 4, epoch=1)
    ask("next epoch", 0, epoch=1)
    ask("old epoch", 10)
    ask("negative epoch", 0, epoch=-1)
    ask("epoch far ahead", 0, epoch=7)
    ask("unknown producer from 9", 9, producer=4001)
    ask("and then 10", 10, producer=4001)
    ask("and then 9", 9, producer=4001)
    ask("negative producer", 0, producer=-5)
    ask("negative sequence", -5, producer=4002)
    ask("to the largest sequence", 2**31 - 2, producer=4003, count=2)
    ask("wrapped", 0, producer=4003)
    ask("across the wrap", 2**31 - 1, producer=4004, count=2)
    ask("behind the wrap", 1, producer=4004)

    def shown(r: Any) -> Any:
        return r

    s.ask("producers", DescribeProducersRequest([TopicRequest(name, [0])]), only=shown)
    s.ask("producers, unknown partition", DescribeProducersRequest([TopicRequest(name, [9, -1])]))
    s.ask("producers, unknown topic", DescribeProducersRequest([TopicRequest(s.name("unknown"), [0])]))
    s.ask("producers, bad topic", DescribeProducersRequest([TopicRequest("a b", [0])]))
    s.ask("producers, nothing", DescribeProducersRequest([]))

    while s.quiet(InitProducerIdRequest(None, 60_000), version=4).error_code == 14:  # the first block of ids
        pass

    def init(label: str, transactional: str | None, producer: int = -1, epoch: int = -1, timeout: int = 60_000) -> None:
        def only(r: Any) -> Any:
            return [r.error_code, r.producer_id >= 0, r.producer_epoch]
        s.ask(f"init, {label}", InitProducerIdRequest(transactional, timeout, producer, epoch), only=only)

    init("fresh", None)
    init("again", None, 5, 3)
    init("id without epoch", None, 5, -1)
    init("epoch without id", None, -1, 3)
    init("last epoch", None, 5, 32767)
    init("negative", None, -5, -5)
    init("timeout -1", None, timeout=-1)
    init("timeout 0", None, timeout=0)
    init("empty transactional id", "")


def fetch(s: Session) -> None:
    """Fetch: offsets, limits, epochs, sessions."""
    name = s.topic("out", 2)
    s.fill(name, b"a", b"b", b"c")
    s.fill(name, b"d" * 500)
    s.fill(name, b"e")
    s.fill(name, b"f", partition=1)

    def part(offset: int, partition: int = 0, size: int = 1 << 20, epoch: int = -1, last: int = -1) -> FetchPartition:
        return FetchPartition(partition, epoch, offset, last, -1, size)

    def topic(*parts: FetchPartition, name: str = name, topic_id: bytes | None = None) -> FetchTopic:
        return FetchTopic(name, s.ids.get(name, UNKNOWN_ID) if topic_id is None else topic_id, list(parts))

    def ask(label: str, *topics: FetchTopic, wait: int = 0, least: int = 1, most: int = 1 << 24, isolation: int = 0,
            session: int = 0, epoch: int = -1, forget: list[ForgottenTopic] | None = None, replica: int = -1) -> Any:
        request = FetchRequest(None, replica, None, wait, least, most, isolation, session, epoch, list(topics),
                               forget or [])
        return s.ask(f"fetch, {label}", request)

    ask("all", topic(part(0)))
    ask("the middle of a batch", topic(part(1)))
    ask("the second batch", topic(part(3)))
    ask("the end", topic(part(5)))
    ask("beyond the end", topic(part(6)))
    ask("far beyond", topic(part(2**62)))
    ask("offset -1", topic(part(-1)))
    ask("committed", topic(part(0)), isolation=1)
    ask("committed at the end", topic(part(5)), isolation=1)
    ask("isolation 7", topic(part(0)), isolation=7)
    ask("nothing")
    ask("a topic of no partition", topic())
    ask("both", topic(part(0), part(0, 1)))
    ask("both, small", topic(part(0, 0, 10), part(0, 1, 10)))
    ask("both, small in all", topic(part(0), part(0, 1)), most=10)
    ask("both, in all 100", topic(part(0), part(0, 1)), most=100)
    ask("size 0", topic(part(0, 0, 0)), most=0)
    ask("partition size 0", topic(part(0, 0, 0)))
    ask("negative sizes", topic(part(0, 0, -5)), most=-5)
    ask("size of a batch", topic(part(0, 0, 80)))
    ask("least 0", topic(part(5)), wait=100_000, least=0)
    ask("least negative", topic(part(5)), wait=100_000, least=-1)
    ask("waits", topic(part(5)), wait=50)
    ask("negative wait", topic(part(5)), wait=-5)
    ask("a partition twice", topic(part(0), part(3)))
    ask("a topic twice", topic(part(3)), topic(part(0, 1)))
    ask("unknown topic", topic(part(0), name=s.name("unknown")), wait=100_000)
    ask("empty topic", topic(part(0), name=""), wait=100_000)
    ask("zero id", topic(part(0), topic_id=bytes(16)), wait=100_000)
    ask("unknown partition", topic(part(0, 9)), wait=100_000)
    ask("negative partition", topic(part(0, -1)), wait=100_000)
    ask("good and bad", topic(part(4), part(0, 9)))
    ask("epoch 0", topic(part(0, epoch=0)))
    ask("epoch from the future", topic(part(0, epoch=7)))
    ask("epoch -5", topic(part(4, epoch=-5)))
    ask("last epoch 0", topic(part(4, last=0)))
    ask("last epoch from the future", topic(part(4, last=7)))
    ask("last epoch -5", topic(part(4, last=-5)))
    ask("as a replica", topic(part(4)), replica=1)
    ask("as an unknown replica", topic(part(4)), replica=9)
    ask("as a debugger", topic(part(4)), replica=-2)

    ask("unknown session", topic(part(0)), session=123, epoch=5)
    ask("epoch without session", topic(part(0)), session=0, epoch=5)
    ask("final epoch of an unknown session", topic(part(4)), session=123, epoch=-1)
    ask("epoch -7", topic(part(4)), session=0, epoch=-7)
    made = ask("new session", topic(part(0), part(0, 1)), epoch=0)
    number = getattr(made, "session_id", 0)
    if number:
        ask("session, nothing new", session=number, epoch=1)
        ask("session, moved", topic(part(5), part(1, 1)), session=number, epoch=2)
        ask("session, still", session=number, epoch=3)
        s.fill(name, b"g")
        ask("session, one is new", session=number, epoch=4)
        ask("session, old epoch", session=number, epoch=4)
        ask("session, epoch from the future", session=number, epoch=9)
        forgotten = [ForgottenTopic(name, s.ids[name], [0])]
        ask("session, forgotten", session=number, epoch=5, forget=forgotten)
        ask("session, an unknown partition", topic(part(0, 9)), session=number, epoch=6)
        ask("session, it stays unknown", session=number, epoch=7)
        forgotten = [ForgottenTopic(name, s.ids[name], [5])]
        ask("session, forgets what it had not", session=number, epoch=8, forget=forgotten)
        ask("session, closed", topic(part(4)), session=number, epoch=-1)
        ask("session, after that", session=number, epoch=9)
        made = ask("session again", topic(part(0, 1)), epoch=0)
        ask("session, by another version", session=made.session_id, epoch=1)
        request = FetchRequest(None, -1, None, 0, 1, 1 << 20, 0, made.session_id, 2, [])
        s.ask("fetch, session of another kind", request, version=12 if s.version(FetchRequest) >= 13 else 13)
    ask("new session of nothing", epoch=0)


def offsets(s: Session) -> None:
    """ListOffsets, OffsetForLeaderEpoch, DeleteRecords."""
    name = s.topic("found", 2)
    for i, values in enumerate(((b"a", b"b"), (b"c",), (b"d", b"e", b"f"))):
        s.fill(name, *values, timestamp=THEN + 1000 * i)
    s.fill(name, b"old", timestamp=THEN - 50_000)

    def ask(label: str, *parts: tuple[int, int], topic: str = name, epoch: int = -1, isolation: int = 0,
            version: int | None = None) -> None:
        asked = [ListOffsetsPartition(p, epoch, t) for p, t in parts]
        request = ListOffsetsRequest(-1, isolation, [ListOffsetsTopic(topic, asked)], 5000)
        s.ask(f"list, {label}", request, version=version)

    for special in (-1, -2, -3, -4, -5, -6, -7, -2**63):
        ask(f"special {special}", (0, special))
        ask(f"special {special}, empty partition", (1, special))
        ask(f"special {special}, committed", (0, special), isolation=1)
    for delta in (-60_000, -50_000, -1, 0, 1, 1000, 1001, 2000, 2001):
        ask(f"time {delta}", (0, THEN + delta))
    ask("time 0", (0, 0))
    ask("time max", (0, 2**63 - 1))
    ask("two", (0, -1), (1, -1))
    ask("a partition twice", (0, -1), (0, -2))
    ask("a partition twice and another", (0, -1), (0, -2), (1, -1))
    ask("unknown partition", (9, -1))
    ask("negative partition", (-1, -1))
    ask("unknown topic", (0, -1), topic=s.name("unknown"))
    ask("empty topic", (0, -1), topic="")
    ask("bad topic", (0, -1), topic="a b")
    ask("nothing")
    ask("epoch 0", (0, -1), epoch=0)
    ask("epoch from the future", (0, -1), epoch=7)
    ask("isolation 7", (0, -1), isolation=7)
    s.ask("list, no topic", ListOffsetsRequest(-1, 0, [], 5000))
    for replica in (-2, 1, 9):
        request = ListOffsetsRequest(replica, 0, [ListOffsetsTopic(name, [ListOffsetsPartition(0, -1, -1)])], 5000)
        s.ask(f"list, replica {replica}", request)

    def epoch(label: str, *parts: tuple[int, int, int], topic: str = name) -> None:
        asked = [OffsetForLeaderPartition(p, current, wanted) for p, current, wanted in parts]
        s.ask(f"epoch, {label}", OffsetForLeaderEpochRequest(-1, [OffsetForLeaderTopic(topic, asked)]))

    epoch("0", (0, -1, 0))
    epoch("current 0", (0, 0, 0))
    epoch("5", (0, -1, 5))
    epoch("-1", (0, -1, -1))
    epoch("-5", (0, -1, -5))
    epoch("current from the future", (0, 7, 0))
    epoch("of an empty partition", (1, -1, 0))
    epoch("unknown partition", (9, -1, 0))
    epoch("unknown topic", (0, -1, 0), topic=s.name("unknown"))
    epoch("a partition twice", (0, -1, 0), (0, -1, 0))
    s.ask("epoch, nothing", OffsetForLeaderEpochRequest(-1, []))

    def cut(label: str, *parts: tuple[int, int], topic: str = name) -> None:
        asked = [DeleteRecordsPartition(p, o) for p, o in parts]
        s.ask(f"cut, {label}", DeleteRecordsRequest([DeleteRecordsTopic(topic, asked)], 5000))

    cut("nothing")
    cut("at 0", (0, 0))
    cut("at 3", (0, 3))
    cut("at 1, again", (0, 1))
    ask("after the cut, start", (0, -2))
    ask("after the cut, time", (0, THEN))
    ask("after the cut, largest", (0, -3))
    cut("beyond the end", (0, 99))
    cut("at -2", (0, -2))
    cut("unknown partition", (9, 0))
    cut("negative partition", (-1, 0))
    cut("unknown topic", (0, 0), topic=s.name("unknown"))
    cut("empty topic", (0, 0), topic="")
    cut("a partition twice", (0, 4), (0, 4))
    cut("everything", (0, -1))
    cut("everything again", (0, -1))
    cut("an empty partition", (1, -1))
    ask("when all is cut", (0, -2), (1, -2))
    ask("when all is cut, largest", (0, -3))
    ask("when all is cut, time", (0, 0))
    compacted = s.topic("kept", 1, cleanup_policy="compact")
    s.fill(compacted, b"x")
    cut("compacted", (0, -1), topic=compacted)
    both = s.topic("keptalso", 1, cleanup_policy="compact,delete")
    s.fill(both, b"x")
    cut("compacted and deleted", (0, -1), topic=both)
    warm(s)
    cut("internal", (0, -1), topic="__consumer_offsets")


PROBES = (produce, idempotent, fetch, offsets)
