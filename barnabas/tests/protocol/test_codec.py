"""Test the compiled codecs: against kafka-python's own classes and bytes of Apache Kafka's, and on bad input."""

from __future__ import annotations

import uuid
from random import Random
from typing import Any

import kafka.protocol.admin
import kafka.protocol.consumer
import kafka.protocol.metadata
import kafka.protocol.producer
import kafka.protocol.sasl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barnabas.protocol.api import APIS
from barnabas.protocol.codec import decode, encode
from barnabas.protocol.errors import SchemaError
from barnabas.protocol.messages.consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
    Member,
    TopicPartitions,
)
from barnabas.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsResponse
from barnabas.protocol.messages.describe_topic_partitions import Cursor, DescribeTopicPartitionsRequest, TopicRequest
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ReplicaState
from barnabas.protocol.messages.headers import RequestHeader
from barnabas.protocol.messages.metadata import MetadataRequest
from barnabas.protocol.records.consumer_groups import ClassicMemberMetadata, ConsumerGroupMemberMetadataValue
from barnabas.protocol.records.control import Endpoint, KRaftVersionFeature, VotersRecord, VotersRecordVoter
from barnabas.protocol.schema import Field, Message, Nullable, Struct, V, Wire, fields_of, in_range, span

from ..values import make

THEIRS = (
    kafka.protocol.admin, kafka.protocol.consumer, kafka.protocol.metadata, kafka.protocol.producer,
    kafka.protocol.sasl,
)
EXAMPLES = settings(max_examples=8, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
UUID = bytes(7) + b"\x01" + bytes(7) + b"\x02"


def peer(cls: type[Message]) -> Any:
    """Return kafka-python's class for a message, None where it has none."""
    return next((getattr(m, cls.__name__) for m in THEIRS if hasattr(m, cls.__name__)), None)


MESSAGES = [cls for api in APIS.values() for cls in (api.request_class(), api.response_class())]
SHARED = [cls for cls in MESSAGES if peer(cls) is not None]


def names(classes: list[type[Message]]) -> list[str]:
    return [cls.__name__ for cls in classes]


def versions(cls: type[Message]) -> range:
    low, high = span(cls.VERSIONS)
    return range(low, high + 1)


def translate(value: Struct, other: Any, version: int) -> Any:
    """Turn a structure of ours into one of kafka-python's class `other`."""
    theirs = {name.replace("_", ""): name for name in other._struct.fields}
    values: dict[str, Any] = {}
    for field in fields_of(type(value)):
        mine = getattr(value, field.name)
        name = theirs.get(field.name.replace("_", ""))
        if field.wire == "int32" and field.name.endswith("operations") and "authorizedoperations" in theirs:
            # kafka-python has a set of bits here, under one name in all messages but one
            name, mine = "authorized_operations", {bit for bit in range(32) if mine >> bit & 1}
        if not in_range(version, field.versions):
            continue
        assert name is not None, field
        if field.tag is None or mine != field.default:
            values[name] = convert(field, mine, other._struct.fields[name], version)
    return other(version=version, **values)


def convert(field: Field, value: Any, theirs: Any, version: int) -> Any:
    """Turn one value into what kafka-python has for it."""
    if value is None:
        return None
    if field.wire == "struct":
        if field.array:
            return [translate(item, theirs.data_class, version) for item in value]
        return translate(value, theirs.data_class, version)
    if field.wire == "uuid":
        return [uuid.UUID(bytes=x) for x in value] if field.array else uuid.UUID(bytes=value)
    return value


def test_marks_of_different_kinds_are_never_equal() -> None:
    """Equal ones share an entry in the cache of `typing`, and a field takes the versions of another."""
    assert V("7+") != Nullable("7+")
    assert V("int8") != Wire("int8")



def without_error(field: Field, chance: Random) -> Any:
    """Choose error 0: kafka-python reads an ApiVersions answer with an error as version 0, rightly."""
    return 0 if field.name == "error_code" else None


def test_kafka_python_knows_most_messages() -> None:
    assert len(SHARED) >= 100


@pytest.mark.parametrize("cls", SHARED, ids=names(SHARED))
@EXAMPLES
@given(seed=st.integers(0, 1 << 32))
def test_bytes_are_those_of_kafka_python(cls: type[Message], seed: int) -> None:
    other, chance = peer(cls), Random(seed)
    for version in versions(cls):
        if version > other.max_version:
            continue
        message = make(cls, version, chance, without_error)
        ours = bytes(encode(message, version))
        translated = translate(message, other, version)
        if cls.__name__ == "DeleteTopicsRequest":  # its encoder asks for the fields of all versions
            translated.topics = getattr(translated, "topics", None) if version >= 6 else []
            translated.topic_names = translated.topic_names if version < 6 else []
        assert bytes(translated.encode()) == ours
        read = other.decode(ours, version=version)
        read._header = None  # it is asked for, and not always there
        assert bytes(read.encode()) == ours
        assert decode(cls, version, ours) == message


@pytest.mark.parametrize("cls", MESSAGES, ids=names(MESSAGES))
@EXAMPLES
@given(seed=st.integers(0, 1 << 32))
def test_what_is_encoded_is_decoded(cls: type[Message], seed: int) -> None:
    chance = Random(seed)
    for version in versions(cls):
        message = make(cls, version, chance)
        assert decode(cls, version, encode(message, version)) == message


@pytest.mark.parametrize("cls", MESSAGES, ids=names(MESSAGES))
@EXAMPLES
@given(seed=st.integers(0, 1 << 32))
def test_damage_is_a_schema_error_or_a_message(cls: type[Message], seed: int) -> None:
    chance = Random(seed)
    for version in versions(cls):
        data = bytearray(encode(make(cls, version, chance), version))
        for _ in range(3):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 3)):
                if damaged:
                    damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            if chance.random() < 0.3:
                del damaged[chance.randint(0, len(damaged)) :]
            try:
                decode(cls, version, damaged)
            except SchemaError:
                continue


VECTORS = [
    (
        ConsumerGroupMemberMetadataValue(
            instance_id=None, rack_id=None, client_id="c", client_host="h", subscribed_topic_regex=None,
            server_assignor=None, classic_member_metadata=ClassicMemberMetadata(5),
        ),
        0, "0000026302680100ffffffff0001000701000000050100",
    ),
    (  # as Apache Kafka 4.3 stored it
        ConsumerGroupMemberMetadataValue(
            instance_id=None, rack_id=None, client_id="rdkafka", client_host="/127.0.0.1",
            subscribed_topic_names=["plain", "txn"], rebalance_timeout_ms=300000, server_assignor=None,
            classic_member_metadata=None,
        ),
        0, "00000872646b61666b610b2f3132372e302e302e310306706c61696e0474786e01000493e00001000100",
    ),
    (
        ConsumerGroupDescribeResponse(
            groups=[
                DescribedGroup(
                    group_id="g", group_state="Stable",
                    members=[
                        Member(
                            member_id="m", client_id="c", client_host="h", target_assignment=Assignment(),
                            assignment=Assignment([TopicPartitions(UUID, "t", [0, 2])]),
                        )
                    ],
                )
            ]
        ),
        1, "0000000002000000026707537461626c6500000000000000000102026d0000000000000263026801000200000000000000010000000"
        "000000002027403000000000000000200000100ff00800000000000",
    ),
    (
        VotersRecord(voters=[VotersRecordVoter(3, UUID, [Endpoint("C", "h", 65535)], KRaftVersionFeature(0, 1))]),
        0, "00000200000003000000000000000100000000000000020202430268ffff0000000001000000",
    ),
    (RequestHeader(3, 12, 7, "ab"), 2, "0003000c000000070002616200"),
    (RequestHeader(3, 12, 7, None), 2, "0003000c00000007ffff00"),
    (RequestHeader(3, 1, 7, "ab"), 1, "000300010000000700026162"),
    (DescribeTopicPartitionsRequest([TopicRequest("t")], 5, None), 0, "0202740000000005ff00"),
    (DescribeTopicPartitionsRequest([TopicRequest("t")], 5, Cursor("u", 9)), 0, "0202740000000005010275000000090000"),
    (
        FetchRequest(cluster_id="x", replica_state=ReplicaState(2, 4), max_wait_ms=1), 15,
        "00000001000000007fffffff0000000000ffffffff0101010200020278010d00000002000000000000000400",
    ),
]


@pytest.mark.parametrize(("message", "version", "expected"), VECTORS, ids=[type(v[0]).__name__ for v in VECTORS])
def test_bytes_are_those_of_apache_kafka(message: Message, version: int, expected: str) -> None:
    """The bytes were written by the generated classes of Apache Kafka 4.3.0."""
    assert encode(message, version).hex() == expected
    assert decode(type(message), version, bytes.fromhex(expected)) == message


@pytest.mark.parametrize(
    "data",
    [
        b"\x7f\xff\xff\xff",  # two thousand million topics
        b"\x00\x00\x00\x01\x7f\xff",  # a name of 32767 bytes
        b"\x00\x00\x00\x01\xff\xff",  # a null name
        b"\x00\x00\x00\x01\x00\x02\xff\xfe\x01",  # not UTF-8
        b"\x00",
        b"",
    ],
    ids=["count", "length", "null", "utf-8", "cut", "empty"],
)
def test_lengths_are_not_trusted(data: bytes) -> None:
    with pytest.raises(SchemaError):
        decode(MetadataRequest, 1, data)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff\x7f", b"\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80", b"\x00\x01\x01\x01\x01\x00\xff"],
    ids=["33 bits", "9 bytes", "cut", "tag"],
)
def test_varints_are_not_trusted(data: bytes) -> None:
    with pytest.raises(SchemaError):
        decode(MetadataRequest, 9, data)


def test_elements_of_all_arrays_count_together() -> None:
    topics = [FetchTopic("t", partitions=[FetchPartition()] * 1000)] * 999
    assert len(decode(FetchRequest, 4, encode(FetchRequest(topics=topics), 4)).topics) == 999
    with pytest.raises(SchemaError, match="too many elements"):
        decode(FetchRequest, 4, encode(FetchRequest(topics=[*topics, topics[0]]), 4))


def test_unknown_tags_are_skipped() -> None:
    plain = encode(MetadataRequest(topics=[]), 12)
    assert decode(MetadataRequest, 12, bytes(plain[:-1]) + b"\x02\x05\x02hi\x63\x00") == MetadataRequest(topics=[])


def test_an_error_message_is_cut_to_what_clients_read() -> None:
    for version in (4, 7):
        long = CreateTopicsResponse(topics=[CreatableTopicResult("t", error_message="\U0001f40e" * 10000)])
        read = decode(CreateTopicsResponse, version, encode(long, version)).topics[0].error_message
        assert read == "\U0001f40e" * (32767 // 4)
