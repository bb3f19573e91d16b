"""Behaviours 19, 20 and 34: ListOffsets and DeleteRecords."""

from __future__ import annotations

import pytest

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from barnabas.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic

from .client import THEN, Client, batch, unique

LATEST, EARLIEST, LARGEST, LOCAL, TIERED, PENDING = -1, -2, -3, -4, -5, -6


@pytest.fixture
def topic(client: Client) -> str:
    """Return a topic of two partitions: offsets 0-1, 2, 3-5, a second apart, then 6 from long before."""
    name = client.topic(partitions=2)
    for i, values in enumerate(((b"a", b"b"), (b"c",), (b"d", b"e", b"f"))):
        client.produce(name, batch(*values, timestamp=THEN + 1000 * i))
    client.produce(name, batch(b"old", timestamp=THEN - 50_000))
    return name


def cut(client: Client, topic: str, offset: int, partition: int = 0) -> tuple[int, int]:
    """Delete records before an offset; return the low watermark and the error code."""
    asked = DeleteRecordsTopic(topic, [DeleteRecordsPartition(partition, offset)])
    found = client.wire.request(DeleteRecordsRequest([asked], 5000), 2).topics[0].partitions[0]
    return found.low_watermark, found.error_code


@pytest.mark.parametrize(
    ("special", "offset", "timestamp"),
    [
        (LATEST, 7, -1), (EARLIEST, 0, -1), (LARGEST, 3, THEN + 2000), (LOCAL, 0, -1), (TIERED, -1, -1),
        (PENDING, -1, -1),
    ],
)
@pytest.mark.parametrize("isolation", [0, 1])
def test_19_special_timestamps(
    client: Client, topic: str, special: int, offset: int, timestamp: int, isolation: int
) -> None:
    answer = client.offset(topic, special, isolation=isolation)
    assert (answer.error_code, answer.offset, answer.timestamp) == (0, offset, timestamp)
    empty = client.offset(topic, special, partition=1)
    expected = 0 if special in (LATEST, EARLIEST, LOCAL) else -1
    assert (empty.error_code, empty.offset, empty.timestamp) == (0, expected, -1)


@pytest.mark.parametrize(("special", "since"), [(LARGEST, 7), (LOCAL, 8), (TIERED, 9), (PENDING, 11), (-7, 99)])
def test_asked_of_kafka_unknown_special_timestamps(client: Client, topic: str, special: int, since: int) -> None:
    for version in range(1, 12):
        code = client.offset(topic, special, version=version).error_code
        assert code == (0 if version >= since else ErrorCode.UNSUPPORTED_VERSION), version


@pytest.mark.parametrize(
    ("delta", "offset", "found"),
    [(-60_000, 0, 0), (-1, 0, 0), (0, 0, 0), (1, 2, 1000), (1000, 2, 1000), (1001, 3, 2000), (2000, 3, 2000)],
)
def test_20_the_first_record_at_or_after_a_time(
    client: Client, topic: str, delta: int, offset: int, found: int
) -> None:
    answer = client.offset(topic, THEN + delta)
    assert (answer.error_code, answer.offset, answer.timestamp) == (0, offset, THEN + found)


def test_20_beyond_the_last_time_there_is_none(client: Client, topic: str) -> None:
    for timestamp in (THEN + 2001, 2**63 - 1):
        answer = client.offset(topic, timestamp)
        assert (answer.error_code, answer.offset, answer.timestamp) == (0, -1, -1)


def test_20_the_record_and_not_its_batch_is_found(client: Client) -> None:
    """Records of one batch with times of their own: built by kafka's rules, a delta a record."""
    from barnabas.protocol.batch import BatchHeader, assemble, write_varint

    body = bytearray()
    for i in range(3):
        record = bytearray(b"\x00")
        write_varint(record, 10 * i)
        write_varint(record, i)
        record += b"\x01\x01\x00"  # no key, no value, no headers
        write_varint(body, len(record))
        body += record
    topic = client.topic()
    header = BatchHeader(0, 0, 0, 2, 0, 0, 2, THEN, THEN + 20, -1, -1, -1, 3)
    assert client.produce(topic, assemble(header, body)).error_code == 0
    assert [client.offset(topic, THEN + d).offset for d in (0, 1, 10, 11, 20, 21)] == [0, 1, 1, 2, 2, -1]


def test_asked_of_kafka_a_partition_twice(client: Client, topic: str) -> None:
    asked = [ListOffsetsPartition(p, -1, t) for p, t in ((0, LATEST), (1, LATEST), (0, EARLIEST))]
    answer = client.wire.request(ListOffsetsRequest(-1, 0, [ListOffsetsTopic(topic, asked)], 5000), 11)
    codes = {p.partition_index: p.error_code for p in answer.topics[0].partitions}
    assert codes == {0: ErrorCode.INVALID_REQUEST, 1: 0}
    assert len(answer.topics[0].partitions) == 2


def test_unknown_partitions(client: Client, topic: str) -> None:
    for name, partition in ((topic, 9), (topic, -1), (unique("unknown"), 0), ("", 0)):
        answer = client.offset(name, LATEST, partition=partition)
        assert (answer.error_code, answer.offset) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)


def test_34_records_are_deleted_up_to_an_offset(client: Client, topic: str) -> None:
    assert cut(client, topic, 4) == (4, 0)  # in the middle of a batch
    assert client.offset(topic, EARLIEST).offset == 4
    assert client.fetch_one(topic, 3).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert client.fetch_one(topic, 4).log_start_offset == 4
    assert client.offset(topic, THEN).offset == 4  # what is gone is not found by time
    assert cut(client, topic, 1) == (4, 0)
    assert cut(client, topic, 8) == cut(client, topic, -2) == (-1, ErrorCode.OFFSET_OUT_OF_RANGE)


def test_34_minus_1_is_the_high_watermark(client: Client, topic: str) -> None:
    assert cut(client, topic, -1) == (7, 0)
    assert client.offset(topic, EARLIEST).offset == client.offset(topic, LATEST).offset == 7
    assert client.offset(topic, LARGEST).offset == -1
    assert client.produce(topic, batch(b"next")).base_offset == 7
    assert cut(client, topic, -1, partition=1) == (0, 0)


def test_34_of_a_compacted_topic_nothing_is_deleted(client: Client) -> None:
    topic = client.topic(cleanup_policy="compact")
    client.produce(topic, batch(b"a"))
    assert cut(client, topic, -1) == (-1, ErrorCode.POLICY_VIOLATION)
    both = client.topic(cleanup_policy="compact,delete")
    client.produce(both, batch(b"a"))
    assert cut(client, both, -1) == (1, 0)


def test_34_unknown_and_internal_topics(client: Client, topic: str) -> None:
    assert cut(client, topic, 0, partition=9) == (-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert cut(client, unique("unknown"), 0) == (-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    client.commit(unique("group"), topic, 1)  # makes the topic of offsets
    assert cut(client, "__consumer_offsets", -1) == (-1, ErrorCode.INVALID_TOPIC_EXCEPTION)
