"""Test record batches against kafka-python's and aiokafka's builders and readers, and on damaged bytes."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import pytest
from aiokafka.record.default_records import DefaultRecordBatch as AioBatch
from aiokafka.record.default_records import DefaultRecordBatchBuilder as AioBuilder
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch as KafkaBatch
from kafka.record.default_records import DefaultRecordBatchBuilder as KafkaBuilder

from barnabas.protocol.batch import (
    CONTROL,
    HEADER_SIZE,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    BatchHeader,
    Record,
    assemble,
    batches,
    build_batch,
    crc_matches,
    increment_sequence,
    read_header,
    read_records,
    read_varint,
    write_varint,
)
from barnabas.protocol.compression import CODECS, compress
from barnabas.protocol.errors import ErrorCode, KafkaError

EXAMPLES = settings(max_examples=40, deadline=None, database=None)
NAMES = ["none", "gzip", "snappy", "lz4", "zstd"]

octets = st.none() | st.binary(max_size=300)
headers = st.lists(st.tuples(st.text(max_size=20), octets), max_size=3).map(tuple)
timestamps = st.integers(0, 1 << 60) | st.integers(1_700_000_000_000, 1_700_000_100_000)
entries = st.lists(st.tuples(timestamps, octets, octets, headers), min_size=1, max_size=20)


class Producer(NamedTuple):
    transactional: bool
    id: int
    epoch: int
    sequence: int


producers = st.builds(
    Producer, st.booleans(), st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 15) - 1),
    st.integers(0, (1 << 31) - 1),
) | st.just(Producer(False, -1, -1, -1))


def built(builder: Any, records: list[Any], producer: Producer, codec: int) -> bytes:
    out = builder(2, codec, producer.transactional, producer.id, producer.epoch, producer.sequence, 1 << 20)
    for offset, (timestamp, key, value, pairs) in enumerate(records):
        assert out.append(offset, timestamp, key, value, list(pairs)) is not None
    return bytes(out.build())


def read(data: bytes) -> list[Record]:
    header = read_header(data)
    assert header.size == len(data)
    assert crc_matches(header, data)
    return list(read_records(header, data))


def expected(records: list[Any]) -> list[Record]:
    return [Record(offset, *record) for offset, record in enumerate(records)]


@EXAMPLES
@given(records=entries, producer=producers, codec=st.sampled_from([0, 1]))
def test_batches_of_kafka_python_are_read(records: list[Any], producer: Producer, codec: int) -> None:
    data = built(KafkaBuilder, records, producer, codec)
    header = read_header(data)
    assert read(data) == expected(records)
    assert header.codec in (0, codec)  # it leaves small batches as they are
    assert header.is_transactional is producer.transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == producer[1:]
    assert header.max_timestamp == max(r[0] for r in records)
    assert header.last_offset == len(records) - 1 == header.record_count - 1


@EXAMPLES
@given(records=entries, producer=producers, codec=st.sampled_from(range(5)))
def test_batches_of_aiokafka_are_read(records: list[Any], producer: Producer, codec: int) -> None:
    assert read(built(AioBuilder, records, producer, codec)) == expected(records)


@pytest.mark.parametrize("reader", [KafkaBatch, AioBatch], ids=["kafka-python", "aiokafka"])
@EXAMPLES
@given(
    pairs=st.lists(st.tuples(octets, octets), min_size=1, max_size=20),
    timestamp=st.integers(-(1 << 62), 1 << 62), base=st.integers(0, 1 << 62), producer=producers,
)
def test_our_batches_are_read_by_others(
    reader: Any, pairs: list[Any], timestamp: int, base: int, producer: Producer
) -> None:
    data = bytes(
        build_batch(
            pairs, timestamp, base_offset=base, leader_epoch=7, attributes=TRANSACTIONAL * producer.transactional,
            producer_id=producer.id, producer_epoch=producer.epoch, base_sequence=producer.sequence,
        )
    )
    theirs = reader(data)
    assert theirs.validate_crc()
    assert theirs.base_offset == base
    assert (theirs.producer_id, theirs.producer_epoch, theirs.base_sequence) == producer[1:]
    assert theirs.is_transactional == producer.transactional
    assert [(r.offset, r.timestamp, r.key, r.value) for r in theirs] == [
        (base + i, timestamp, key, value) for i, (key, value) in enumerate(pairs)
    ]
    assert [(r.offset, r.timestamp, r.key, r.value) for r in read_records(read_header(data), data)] == [
        (base + i, timestamp, key, value) for i, (key, value) in enumerate(pairs)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_our_compressed_batches_are_read_by_aiokafka(name: str) -> None:
    pairs = [(b"key %d" % i, b"value " * i) for i in range(300)]
    plain = build_batch(pairs, -5)
    header = read_header(plain)
    section = compress(CODECS[name], bytes(plain[HEADER_SIZE:]))
    data = bytes(assemble(header._replace(attributes=CODECS[name]), section))
    assert [(r.timestamp, r.key, r.value) for r in AioBatch(data)] == [(-5, k, v) for k, v in pairs]
    assert [(r.key, r.value) for r in read(data)] == pairs


def test_negative_timestamps() -> None:
    section = bytearray()
    for offset, delta in enumerate((0, -3, 2)):
        body = bytearray(b"\x00")
        for number in (delta, offset, -1, -1, 0):
            write_varint(body, number)
        write_varint(section, len(body))
        section += body
    data = bytes(assemble(BatchHeader(0, 0, 0, 2, 0, 0, 2, -2, 0, -1, -1, -1, 3), section))
    assert [r.timestamp for r in read(data)] == [-2, -5, 0] == [r.timestamp for r in KafkaBatch(data)]


@pytest.mark.parametrize(
    ("base", "delta", "offset"), [((1 << 63) - 1, 1, 0), (-(1 << 63), -1, 0), (0, 1 << 63, 0), (0, 0, 1), (0, 0, -1)]
)
def test_a_record_whose_time_or_offset_is_out_of_range(base: int, delta: int, offset: int) -> None:
    """Both travel in answers, as 64 bits; Kafka's own would wrap."""
    body = bytearray(b"\x00")
    for number in (delta, offset, -1, -1, 0):
        write_varint(body, number)
    data = bytes(assemble(BatchHeader(0, 0, 0, 2, 0, 0, 0, base, base, -1, -1, -1, 1), bytes([len(body) * 2]) + body))
    with pytest.raises(KafkaError, match="out of range"):
        read(data)


def test_append_time_is_the_time_of_every_record() -> None:
    header = read_header(data := build_batch([(None, b"a"), (None, b"b")], 5))
    data = assemble(header._replace(attributes=LOG_APPEND_TIME, max_timestamp=99), data[HEADER_SIZE:])
    assert [r.timestamp for r in read(bytes(data))] == [99, 99]
    assert not read_header(data).is_control
    assert header._replace(attributes=CONTROL).is_control


def test_sequences_wrap_to_zero() -> None:
    assert increment_sequence((1 << 31) - 1, 1) == 0
    assert increment_sequence((1 << 31) - 2, 3) == 1
    assert increment_sequence(-1, 5) == -1


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_varints_come_back(number: int) -> None:
    out = bytearray()
    write_varint(out, number)
    assert read_varint(bytes(out), 0) == (number, len(out))
    assert len(out) <= 10


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9])
def test_a_cut_varint(data: bytes) -> None:
    with pytest.raises(IndexError):
        read_varint(data, 0)


def test_a_varint_that_never_ends() -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        read_varint(b"\xff" * 11, 0)


def test_batches_stops_in_front_of_a_cut_one() -> None:
    one = bytes(build_batch([(b"k", b"v")], 1))
    for cut in range(len(one)):
        assert [at for _, at in batches(one + one[:cut])] == [0]
    assert [at for _, at in batches(one + one)] == [0, len(one)]
    assert list(batches(bytes(8) + b"\x80\x00\x00\x00" + bytes(60))) == []  # a negative length


@EXAMPLES
@given(seed=st.integers(0, 1 << 32), codec=st.sampled_from(range(5)))
def test_damage_is_an_error_or_records(seed: int, codec: int) -> None:
    """A batch whose CRC was made to match holds any bytes; reading them raises nothing but `KafkaError`."""
    chance = Random(seed)
    plain = build_batch([(chance.randbytes(9), chance.randbytes(20)) for _ in range(5)], 1)
    section = bytearray(plain[HEADER_SIZE:])
    for _ in range(chance.randint(1, 4)):
        section[chance.randrange(len(section))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
    packed = bytearray(compress(codec, bytes(section)))
    if chance.random() < 0.5:
        packed[chance.randrange(len(packed))] ^= 1 << chance.randrange(8)
    if chance.random() < 0.3:
        del packed[chance.randrange(len(packed)) :]
    header = read_header(plain)._replace(
        attributes=codec, record_count=chance.choice((5, 6, 0, -1, (1 << 31) - 1)),
        base_timestamp=chance.choice((0, (1 << 63) - 1, -(1 << 63))),
    )
    data = bytes(assemble(header, packed))
    try:
        for record in read_records(read_header(data), data):
            assert -(1 << 63) <= record.timestamp < 1 << 63
            assert 0 <= record.offset <= 4
    except KafkaError as e:
        assert e.code in (ErrorCode.INVALID_RECORD, ErrorCode.CORRUPT_MESSAGE, ErrorCode.MESSAGE_TOO_LARGE)


def test_every_flipped_bit_behind_the_crc_is_seen() -> None:
    data = bytes(build_batch([(b"k", b"v")], 1))
    header = read_header(data)
    assert crc_matches(header, data)
    for at in range(17, len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        assert not crc_matches(read_header(damaged), damaged)
