"""Records survive their frame; an image follows from its records, in one go or by way of a snapshot's order."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.metadata.framing import LATEST, METADATA_VERSIONS, RECORDS, MetadataError, frame, record_version, unframe
from barnabas.metadata.image import BROKER, TOPIC, MetadataImage
from barnabas.protocol.codec import write_uvarint
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

from .folders import NODE, features, topic, uuid

EXAMPLES: list[Message] = [
    features(),
    *topic("plain", 7, 2),
    r.ConfigRecord(TOPIC, "plain", "retention.ms", "-1"),
    r.ConfigRecord(BROKER, "", "message.max.bytes", None),
    r.PartitionChangeRecord(partition_id=1, topic_id=uuid(7), leader=-1, isr=[1], last_known_elr=[1]),
    r.RegisterBrokerRecord(
        broker_id=1, incarnation_id=uuid(3), broker_epoch=9, end_points=[r.BrokerEndpoint("PLAINTEXT", "::1", 65535)],
        features=[r.BrokerFeature("metadata.version", 7, 30)], rack=None, log_dirs=[uuid(5)],
    ),
    r.BrokerRegistrationChangeRecord(1, 9, fenced=1, log_dirs=[uuid(5)]),
    r.UserScramCredentialRecord("alice", 1, b"salt", b"stored", b"server", 4096),
    r.ClientQuotaRecord([r.EntityData("user", "alice"), r.EntityData("client-id", None)], "producer_byte_rate", 1.5),
    r.AccessControlEntryRecord(uuid(8), 2, "plain", 3, "User:alice", "*", 3, 3),
    r.DelegationTokenRecord("User:a", "User:a", ["User:b"], 1, 2, 3, "token"),
    r.ProducerIdsRecord(1, 9, 2000),
    r.BeginTransactionRecord("creating"), r.EndTransactionRecord(), r.AbortTransactionRecord(None),
    r.NoOpRecord(), r.ZkMigrationStateRecord(0), r.RegisterControllerRecord(controller_id=1),
    r.UnregisterBrokerRecord(2, 3), r.RemoveTopicRecord(uuid(7)), r.ClearElrRecord("plain"),
]  # fmt: skip


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_frame_round_trip(record: Message) -> None:
    """A record comes back as it went in, whichever Kafka it was written for."""
    for level in METADATA_VERSIONS.values():
        assert unframe(frame(record, level)) == record


def test_frame_is_kafkas() -> None:
    """The bytes are frame version 1, key, version, body: a topic as Kafka writes it."""
    assert frame(r.TopicRecord("ab", uuid(1)), LATEST) == b"\x01\x02\x00" + b"\x03ab" + uuid(1) + b"\x00"
    assert frame(features(25), 25) == b"\x01\x0c\x00" + b"\x11metadata.version" + b"\x00\x19" + b"\x00"


@pytest.mark.parametrize(
    ("level", "versions"),
    [
        (7, (1, 1, 0, 0)), (8, (2, 1, 0, 0)), (17, (3, 2, 1, 1)), (21, (3, 2, 1, 1)), (23, (3, 2, 2, 2)),
        (25, (3, 2, 2, 2)), (27, (3, 2, 2, 2)), (29, (3, 2, 2, 2)), (30, (4, 3, 2, 2)),
    ],
)
def test_versions_that_the_oldest_kafka_knows(level: int, versions: tuple[int, ...]) -> None:
    """The written version of a record follows from metadata.version."""
    records = (
        r.RegisterBrokerRecord(), r.BrokerRegistrationChangeRecord(), r.PartitionRecord(), r.PartitionChangeRecord()
    )
    assert tuple(record_version(record, level) for record in records) == versions
    assert tuple(frame(record, level)[2] for record in records) == versions


def _framed(frame_version: int, key: int, version: int, body: bytes = b"") -> bytes:
    out = bytearray()
    for number in (frame_version, key, version):
        write_uvarint(out, number)
    return bytes(out) + body


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (_framed(1, 99, 0), "unknown kind"),
        (_framed(1, 2, 1), "not known"),
        (_framed(1, 0, 5), "not known"),
        (_framed(2, 2, 0), "frame version 2"),
        (b"", "malformed"),
        (b"\x01\x02", "malformed"),
        (_framed(1, 2, 0, b"\x40name"), "malformed"),
        (_framed(1, 2, 0, b"\x03\xff\xfe" + bytes(17)), "malformed"),
    ],
)
def test_unknown_and_malformed_records_are_refused(value: bytes, reason: str) -> None:
    with pytest.raises(MetadataError, match=reason):
        unframe(value)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_decoder(value: bytes) -> None:
    """Whatever the bytes: a record or a MetadataError."""
    with contextlib.suppress(MetadataError):
        assert type(unframe(value)) in RECORDS.values()


def _image(*records: Message) -> MetadataImage:
    image = MetadataImage()
    for record in records:
        image.replay(record)
    return image


def _state(image: MetadataImage) -> object:
    topics = {t.name: (t.id, [(p.index, p.leader_epoch, p.partition_epoch, p.record) for p in t.partitions])
              for t in image.topics.values()}  # fmt: skip
    return (topics, image.configs, image.features, image.next_producer_id, image.brokers, image.kept)


FULL: list[Message] = [
    features(),
    r.RegisterBrokerRecord(broker_id=NODE, broker_epoch=5, fenced=False, log_dirs=[uuid(5)]),
    *topic("plain", 7, 3), *topic("other", 8),
    r.PartitionChangeRecord(partition_id=1, topic_id=uuid(7), leader=-1, isr=[1]),
    r.ConfigRecord(TOPIC, "plain", "retention.ms", "5"), r.ConfigRecord(TOPIC, "plain", "segment.bytes", "1048576"),
    r.ConfigRecord(BROKER, "", "message.max.bytes", "7"), r.ConfigRecord(32, "g", "consumer.session.timeout.ms", "9"),
    r.ClientQuotaRecord([r.EntityData("user", None)], "consumer_byte_rate", 2.0),
    r.AccessControlEntryRecord(uuid(9), 2, "*", 3, "User:a", "*", 3, 3),
    r.UserScramCredentialRecord("alice", 2, b"s", b"k", b"v", 4096),
    r.DelegationTokenRecord(token_id="t"), r.RegisterControllerRecord(controller_id=1),
    r.ProducerIdsRecord(NODE, 5, 3000), r.BrokerRegistrationChangeRecord(NODE, 5, fenced=1),
]  # fmt: skip


def test_image() -> None:
    """Each kind of record does what it says."""
    image = _image(*FULL)
    partition = image.topics["plain"].partitions[1]
    assert (partition.leader_epoch, partition.partition_epoch) == (1, 1)
    assert image.topics_by_id[uuid(8)].name == "other"
    assert image.config(TOPIC, "plain") == {"retention.ms": "5", "segment.bytes": "1048576"}
    assert image.next_producer_id == 3000 and image.brokers[NODE].fenced and image.metadata_version == LATEST
    assert len(image.kept) == 5
    for record in (
        r.ConfigRecord(TOPIC, "plain", "retention.ms", None), r.RemoveTopicRecord(uuid(8)),
        r.PartitionChangeRecord(partition_id=0, topic_id=uuid(7), isr=[]),
        r.UnfenceBrokerRecord(NODE, 5), r.RemoveAccessControlEntryRecord(uuid(9)),
        r.RemoveUserScramCredentialRecord("alice", 2), r.RemoveDelegationTokenRecord("t"),
        r.ClientQuotaRecord([r.EntityData("user", None)], "consumer_byte_rate", 0.0, remove=True),
        r.FeatureLevelRecord("share.version", 0), r.ClearElrRecord(""),
    ):
        image.replay(record)
    assert image.config(TOPIC, "plain") == {"segment.bytes": "1048576"}
    assert list(image.topics) == ["plain"] and uuid(8) not in image.topics_by_id
    first = image.topics["plain"].partitions[0]
    assert (first.leader_epoch, first.partition_epoch, first.record.isr) == (0, 1, [])
    assert first.record.last_known_elr == [] and not image.brokers[NODE].fenced
    assert list(image.kept) == [("controller", 1)]


def test_a_recreated_topic_has_no_configuration_of_the_old_one() -> None:
    image = _image(*FULL, r.RemoveTopicRecord(uuid(7)), *topic("plain", 77))
    assert image.config(TOPIC, "plain") == {} and len(image.topics["plain"].partitions) == 1


def test_partitions_in_any_order() -> None:
    """Kafka's snapshots do not promise the order of a topic's partitions."""
    named, *partitions = topic("plain", 7, 4)
    image = _image(features(), named, *(partitions[i] for i in (2, 0, 3, 1)))
    assert [p.index for p in image.topics["plain"].partitions] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "record",
    [
        r.RemoveTopicRecord(uuid(1)),
        r.PartitionRecord(partition_id=0, topic_id=uuid(1)),
        r.PartitionChangeRecord(partition_id=0, topic_id=uuid(1)),
        r.PartitionChangeRecord(partition_id=3, topic_id=uuid(7)),
        r.PartitionChangeRecord(partition_id=-1, topic_id=uuid(7)),
        r.TopicRecord("plain", uuid(1)),
        r.BrokerRegistrationChangeRecord(2, 1, fenced=1),
    ],
)
def test_contradictions_are_refused(record: Message) -> None:
    with pytest.raises(MetadataError):
        _image(*FULL, record)


def test_records_of_an_image_make_it_again() -> None:
    """A snapshot's records, framed and read again, give the same image; features come first of all."""
    image = _image(*FULL)
    records = [unframe(frame(record, LATEST)) for record in image.records()]
    assert records[0] == features()
    again = _image(*records)
    assert _state(again) == _state(image)
    assert _state(_image(*again.records())) == _state(image)
