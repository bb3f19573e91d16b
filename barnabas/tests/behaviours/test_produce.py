"""Behaviours 4 to 11: what is appended, what is refused, and what is remembered of producers."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from barnabas.embedded import Broker
from barnabas.protocol.batch import batches, build_batch, crc_matches
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.init_producer_id import InitProducerIdRequest
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

from .client import THEN, UNKNOWN_ID, Client, batch, patched, unique

_DAY = 86_400.0


# --- 4 to 8: one batch ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("acks", [2, -2, 5, 32767])
def test_04_other_acks_are_refused(client: Client, acks: int) -> None:
    topic = client.topic()
    assert client.produce(topic, batch(b"a"), acks=acks).error_code == ErrorCode.INVALID_REQUIRED_ACKS
    assert client.offset(topic, -1).offset == 0


@pytest.mark.parametrize("version", [3, 8, 13])
def test_04_acks_0_gets_no_answer(client: Client, version: int) -> None:
    topic = client.topic()
    client.wire.send(client.producing(topic, batch(b"a"), acks=0), version)
    asked = client.wire.send(client.producing(topic, batch(b"b"), acks=1), version)
    correlation, answer = client.wire.receive()
    assert correlation == asked
    assert answer.responses[0].partition_responses[0].base_offset == 1


@pytest.mark.parametrize("bad", ["partition", "records"])
def test_04_an_error_with_acks_0_closes(client: Client, bad: str) -> None:
    topic = client.topic()
    partition, records = (9, batch(b"a")) if bad == "partition" else (0, b"xyz")
    client.wire.send(client.producing(topic, records, partition=partition, acks=0), 9)
    assert client.wire.is_closed()


MALFORMED = {
    "empty": (b"", ErrorCode.INVALID_RECORD),
    "two batches": (batch(b"a") + batch(b"b"), ErrorCode.INVALID_RECORD),
    "truncated": (batch(b"a")[:-1], ErrorCode.INVALID_RECORD),
    "half a header": (batch(b"a")[:30], ErrorCode.INVALID_RECORD),
    "magic 1": (patched(16, ">b", 1), ErrorCode.INVALID_RECORD),
    "magic 3": (patched(16, ">b", 3), ErrorCode.CORRUPT_MESSAGE),
    "bad crc": (batch(b"a")[:-1] + b"\x01", ErrorCode.CORRUPT_MESSAGE),
    "control": (patched(21, ">h", 0x20), ErrorCode.INVALID_RECORD),
    "codec 7": (patched(21, ">h", 7), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    "count 3 of 2": (patched(57, ">i", 3), ErrorCode.INVALID_RECORD),
    "count 0": (patched(57, ">i", 0), ErrorCode.INVALID_RECORD),
    "count -1": (patched(57, ">i", -1), ErrorCode.INVALID_RECORD),
    "last delta 5": (patched(23, ">i", 5), ErrorCode.INVALID_RECORD),
    "base offset 77": (patched(0, ">q", 77), ErrorCode.INVALID_RECORD),
    "no epoch": (patched(43, ">q", 5), ErrorCode.INVALID_RECORD),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_05_what_is_no_single_good_batch_is_refused(client: Client, what: str) -> None:
    topic = client.topic()
    records, code = MALFORMED[what]
    answer = client.produce(topic, records)
    assert (answer.error_code, answer.base_offset) == (code, -1)
    assert answer.error_message
    assert client.produce(topic, batch(b"a")).base_offset == 0


def test_05_zstd_needs_version_7(client: Client) -> None:
    topic = client.topic()
    squeezed = patched(21, ">h", 4)
    assert client.produce(topic, squeezed, version=6).error_code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert client.produce(topic, squeezed, version=7).error_code == 0


def test_06_records_without_key_on_a_compacted_topic_are_named(client: Client) -> None:
    topic = client.topic(cleanup_policy="compact")
    mixed = build_batch([(b"k", b"a"), (None, b"b"), (b"", b"c"), (None, b"d")], THEN)
    answer = client.produce(topic, mixed)
    assert answer.error_code == ErrorCode.INVALID_RECORD
    assert [e.batch_index for e in answer.record_errors] == [1, 3]
    assert "without key" in answer.record_errors[0].batch_index_error_message
    assert client.produce(topic, batch(b"a")).error_code == 0


@pytest.mark.parametrize(
    ("limit", "timestamp"),
    [("message.timestamp.before.max.ms", THEN), ("message.timestamp.after.max.ms", 9_000_000_000_000)],
)
def test_06_a_timestamp_outside_the_limits_is_refused(client: Client, limit: str, timestamp: int) -> None:
    topic = unique("t")
    client.create(topic, configs={limit: "1000", "retention.ms": "-1"})
    answer = client.produce(topic, batch(b"a", b"b", timestamp=timestamp))
    assert answer.error_code == ErrorCode.INVALID_TIMESTAMP
    assert [e.batch_index for e in answer.record_errors] == [0, 1]
    assert answer.error_message == "One or more records have been rejected due to invalid timestamp"
    assert client.produce(topic, batch(b"a", timestamp=-1)).error_code == 0  # it has no time


def test_07_max_message_bytes_is_a_limit(client: Client) -> None:
    topic = client.topic(max_message_bytes="200")
    assert client.produce(topic, batch(b"x" * 200)).error_code == ErrorCode.MESSAGE_TOO_LARGE
    assert client.produce(topic, batch(b"x" * 100)).error_code == 0
    exactly = batch(b"x" * (200 - len(batch(b"")) - 2))  # two lengths of 2 bytes each
    assert len(exactly) == 200
    assert client.produce(topic, exactly).error_code == 0


def test_07_segment_bytes_is_a_limit(client: Client) -> None:
    topic = client.topic(max_message_bytes="3000000", segment_bytes="1048576")
    large = batch(*[b"x" * 1000] * 1100)
    assert client.produce(topic, large).error_code == ErrorCode.RECORD_LIST_TOO_LARGE


def test_08_leader_epoch_and_base_offset_are_overwritten(client: Client) -> None:
    topic = client.topic()
    client.produce(topic, batch(b"a", b"b"))
    client.produce(topic, patched(12, ">i", 77, batch(b"c")))
    records = client.fetch_one(topic, 0).records
    found = list(batches(records))
    assert [(h.base_offset, h.leader_epoch) for h, _ in found] == [(0, 0), (2, 0)]
    assert all(crc_matches(h, records, at) for h, at in found)


# --- 9, 10: producers -----------------------------------------------------------------------------------------

_ids = itertools.count(5000)


class Producer:
    """Append batches with sequences."""

    def __init__(self, client: Client, topic: str) -> None:
        self.client, self.topic, self.id = client, topic, next(_ids)

    def send(self, sequence: int, *, epoch: int = 0, count: int = 1) -> Any:
        records = batch(*[b"v"] * count, producer_id=self.id, producer_epoch=epoch, base_sequence=sequence)
        return self.client.produce(self.topic, records)

    def code(self, sequence: int, *, epoch: int = 0, count: int = 1) -> int:
        code: int = self.send(sequence, epoch=epoch, count=count).error_code
        return code


@pytest.fixture
def producer(client: Client) -> Producer:
    return Producer(client, client.topic())


def test_09_a_repeat_of_the_last_five_gets_the_first_answer(producer: Producer) -> None:
    offsets = [producer.send(i * 2, count=2).base_offset for i in range(7)]
    assert offsets == [0, 2, 4, 6, 8, 10, 12]
    for i in (6, 4, 2, 5, 3):
        again = producer.send(i * 2, count=2)
        assert (again.error_code, again.base_offset) == (0, offsets[i])
    assert producer.code(2, count=2) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER  # the sixth last is forgotten
    assert producer.code(5) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER  # a part of a batch is no repeat
    assert producer.code(16) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER  # a hole
    assert producer.send(14).base_offset == 14


def test_09_sequences_wrap_to_0(producer: Producer) -> None:
    assert producer.code(2**31 - 2, count=3) == 0  # 2^31-2, 2^31-1, 0
    assert producer.code(1) == 0
    assert producer.code(3) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producer.send(2**31 - 2, count=3).base_offset == 0


def test_09_a_new_epoch_starts_at_0(producer: Producer) -> None:
    assert producer.code(0) == 0
    assert producer.code(1, epoch=1) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producer.code(0, epoch=1) == 0
    assert producer.code(1, epoch=1) == 0


def test_10_an_unknown_producer_may_start_anywhere(producer: Producer) -> None:
    assert producer.code(9) == 0
    assert producer.code(11) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producer.code(10) == 0


def test_10_a_stale_epoch_is_an_invalid_one(producer: Producer) -> None:
    assert producer.code(0, epoch=5) == 0
    assert producer.code(1, epoch=4) == ErrorCode.INVALID_PRODUCER_EPOCH


def test_10_producers_expire_after_a_day(broker: Broker, client: Client) -> None:
    """The time of a producer is that of its last batch: the topic stamps them."""
    producer = Producer(client, client.topic(message_timestamp_type="LogAppendTime"))
    assert producer.code(0) == 0
    broker.advance(_DAY / 2)
    assert producer.code(7) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producer.code(1) == 0
    broker.advance(_DAY * 0.75)
    assert producer.code(7) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER  # it was used half a day before
    broker.advance(_DAY)
    assert producer.code(7) == 0


def test_09_producers_and_partitions_do_not_disturb_each_other(client: Client) -> None:
    topic = client.topic(partitions=2)
    one, two = Producer(client, topic), Producer(client, topic)
    assert [one.code(0), two.code(0), one.code(1), two.code(1)] == [0, 0, 0, 0]
    records = batch(b"v", producer_id=one.id, producer_epoch=0, base_sequence=0)
    assert client.produce(topic, records, partition=1).base_offset == 0


def test_09_a_recreated_topic_does_not_remember_producers(client: Client) -> None:
    """Of behaviour 32: a new id, and no memory of the old one's producers."""
    topic = client.topic()
    producer = Producer(client, topic)
    producer.send(0)
    old = client.ids[topic]
    client.broker.delete_topic(topic)
    client.broker.create_topic(topic)
    assert client.metadata(topic).topics[0].topic_id != old
    assert producer.send(7).base_offset == 0


def test_asked_of_kafka_init_producer_id(client: Client) -> None:
    def ask(producer: int, epoch: int, version: int = 5) -> Any:
        return client.wire.request(InitProducerIdRequest(None, 60_000, producer, epoch), version)

    first, second = ask(-1, -1), ask(-1, -1, 0)
    assert (first.error_code, first.producer_epoch, second.error_code) == (0, 0, 0)
    assert second.producer_id > first.producer_id >= 0
    assert ask(5, -1).error_code == ask(-1, 5).error_code == ErrorCode.INVALID_REQUEST
    assert client.wire.request(InitProducerIdRequest("", 60_000), 5).error_code == ErrorCode.INVALID_REQUEST


# --- 11 and others --------------------------------------------------------------------------------------------

def test_11_from_version_13_on_topics_are_named_by_id(client: Client) -> None:
    topic = client.topic()
    assert client.produce(topic, batch(b"a"), version=13).base_offset == 0
    for unknown in (UNKNOWN_ID, bytes(16)):
        answer = client.produce(topic, batch(b"a"), version=13, topic_id=unknown)
        assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_ID
    answer = client.produce(unique("unknown"), batch(b"a"), version=12)
    assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("version", [3, 8, 13])
def test_one_bad_partition_does_not_hold_up_the_others(client: Client, version: int) -> None:
    topic = client.topic(partitions=2)
    parts = [PartitionProduceData(i, batch(b"a")) for i in (0, 9, -1, 1)]
    request = ProduceRequest(None, -1, 5000, [TopicProduceData(topic, client.ids[topic], parts)])
    found = client.wire.request(request, version).responses[0].partition_responses
    assert [(p.index, p.error_code) for p in found] == [(0, 0), (9, 3), (-1, 3), (1, 0)]


@pytest.mark.parametrize("timestamp", [-1, 0, 1, THEN, 2**40])
def test_elsewhere_odd_timestamps_are_kept(client: Client, timestamp: int) -> None:
    topic = client.topic(message_timestamp_after_max_ms=str(2**62))
    assert client.produce(topic, batch(b"a", timestamp=timestamp)).error_code == 0
    (header, _), = batches(client.fetch_one(topic, 0).records)
    assert (header.base_timestamp, header.max_timestamp) == (timestamp, timestamp)


def test_elsewhere_negative_timestamps_are_kept(client: Client) -> None:
    topic = client.topic()
    client.produce(topic, batch(b"a", timestamp=-5000))
    (header, _), = batches(client.fetch_one(topic, 0).records)
    assert header.base_timestamp == -5000


def test_log_append_time_is_told_and_stored(client: Client) -> None:
    topic = client.topic(message_timestamp_type="LogAppendTime")
    answer = client.produce(topic, batch(b"a"))
    (header, at), = batches(client.fetch_one(topic, 0).records)
    assert answer.log_append_time_ms == header.max_timestamp > THEN
    assert crc_matches(header, client.fetch_one(topic, 0).records, at)
