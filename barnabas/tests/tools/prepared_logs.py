"""Make a folder of log files, good and damaged ones, for the tools that read files: the same bytes each time."""

from __future__ import annotations

import struct
from pathlib import Path

from barnabas.log.producers import AbortedTransaction, ProducerStates
from barnabas.metadata.framing import frame
from barnabas.protocol import compression
from barnabas.protocol.batch import (
    CONTROL,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    assemble,
    build_batch,
    read_header,
    record_section,
)
from barnabas.protocol.codec import encode
from barnabas.protocol.messages.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
)
from barnabas.protocol.records import consumer_groups, control, metadata, offsets, share_state, transactions
from barnabas.protocol.schema import Message

FIRST = "00000000000000000000"
TIME = 1_600_000_000_000
UUID = bytes(range(16))
Pairs = list[tuple[bytes | None, bytes | None]]


def prepare(folder: Path) -> None:
    """Fill a folder."""
    _plain(folder / "plain-0")
    _stored(folder)
    _metadata(folder / "__cluster_metadata-0")
    _damaged(folder)


def _write(folder: Path, *batches: bytes | bytearray, name: str = f"{FIRST}.log") -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    data = b"".join(bytes(batch) for batch in batches)
    (folder / name).write_bytes(data)
    return data


def _compressed(batch: bytearray, codec: int) -> bytearray:
    header = read_header(batch)
    section = compression.compress(codec, record_section(header, batch))
    return assemble(header._replace(attributes=header.attributes | codec), section)


def _marker(offset: int, producer: int, *, commit: bool) -> bytearray:
    pairs: Pairs = [(struct.pack(">hh", 0, commit), struct.pack(">hi", 0, 7))]
    return build_batch(
        pairs, TIME + offset, base_offset=offset, attributes=CONTROL | TRANSACTIONAL, producer_id=producer,
        producer_epoch=1,
    )


def _plain(folder: Path) -> None:
    """Write plain, compressed and transactional batches, with all the files beside them."""
    pairs: Pairs = [(b"key", b"v\xc3\xa4lue"), (None, b"no key"), (b"tombstone", None), (b"", b"")]
    batches = [
        build_batch(pairs, TIME),
        _compressed(build_batch(pairs, TIME + 4, base_offset=4), compression.GZIP),
        _compressed(build_batch(pairs, TIME + 8, base_offset=8), compression.SNAPPY),
        _compressed(build_batch(pairs, TIME + 12, base_offset=12), compression.LZ4),
        _compressed(build_batch(pairs, TIME + 16, base_offset=16, attributes=LOG_APPEND_TIME), compression.ZSTD),
        build_batch(
            pairs, TIME + 20, base_offset=20, leader_epoch=3, attributes=TRANSACTIONAL, producer_id=1000,
            producer_epoch=1, base_sequence=(1 << 31) - 2,
        ),
        _marker(24, 1000, commit=True),
        build_batch(
            pairs[:1], TIME + 25, base_offset=25, attributes=TRANSACTIONAL, producer_id=1001, producer_epoch=1,
            base_sequence=0,
        ),
        _marker(26, 1001, commit=False),
        build_batch([(struct.pack(">q", 5), struct.pack(">i", -6))], TIME + 27, base_offset=27),
    ]
    data = _write(folder, *batches)
    states = ProducerStates()
    index, times = bytearray(), bytearray()
    position = 0
    for batch in batches:
        header = read_header(batch)
        index += struct.pack(">ii", header.last_offset, position)
        times += struct.pack(">qi", header.max_timestamp, header.last_offset)
        position += header.size
        if header.producer_id >= 0 and not header.is_control:
            states.update(header, header.max_timestamp)
    states.producers[1001].transaction_start = 25
    (folder / f"{FIRST}.index").write_bytes(index)
    (folder / f"{FIRST}.timeindex").write_bytes(times)
    aborted = AbortedTransaction(1001, 25, 26, 27)
    (folder / f"{FIRST}.txnindex").write_bytes(struct.pack(">hqqqq", 0, *aborted))
    states.save(folder / "00000000000000000028.snapshot", sync=False)
    beside = folder.with_name("wrong-0")
    _write(beside, data)
    (beside / f"{FIRST}.index").write_bytes(struct.pack(">iiii", 3, 0, 5, 0) + bytes(16))
    (beside / f"{FIRST}.timeindex").write_bytes(
        struct.pack(">qiqiqi", TIME + 1, 3, TIME - 1, 7, TIME + 9, 9) + bytes(24)
    )
    part = folder.with_name("part-0")
    _write(part, data)
    (part / f"{FIRST}.index").write_bytes(bytes(index[:11]))
    (part / f"{FIRST}.timeindex").write_bytes(bytes(times[:17]))
    empty = folder.with_name("empty-0")
    _write(empty)
    for suffix in ("index", "timeindex", "txnindex"):
        (empty / f"{FIRST}.{suffix}").write_bytes(b"")


def _record(key: Message, value: Message | None, version: int = 0) -> tuple[bytes, bytes | None]:
    kind = struct.pack(">h", key.KEY)
    return kind + encode(key, 0), None if value is None else struct.pack(">h", version) + encode(value, version)


def _stored(folder: Path) -> None:
    """Write what coordinators store."""
    subscription = struct.pack(">h", 1) + encode(ConsumerProtocolSubscription(topics=["a", "b"]), 1)
    assignment = struct.pack(">h", 0) + encode(
        ConsumerProtocolAssignment([ConsumerProtocolAssignmentTopicPartition("a", [0, 1])]), 0
    )
    member = offsets.MemberMetadata("m-1", None, "client", "host", 60000, 45000, subscription, assignment)
    classic = offsets.GroupMetadataValue("consumer", 3, "range", "m-1", TIME, [member])
    other = offsets.GroupMetadataValue("connect", 1, None, None, TIME, [offsets.MemberMetadata(subscription=b"\0\1x")])
    groups: Pairs = [
        _record(offsets.OffsetCommitKey("g", "t", 0), offsets.OffsetCommitValue(42, 5, 'me"ta\n\x01ä', TIME), 3),
        _record(offsets.OffsetCommitKey("g", "t", 1), offsets.OffsetCommitValue(42, -1, "", TIME, topic_id=UUID), 4),
        _record(offsets.OffsetCommitKey("g", "t", 2), offsets.OffsetCommitValue(1, 5, "", TIME, TIME + 1), 1),
        _record(offsets.OffsetCommitKey("g", "t", 0), None),
        _record(offsets.GroupMetadataKey("g"), classic, 3),
        _record(offsets.GroupMetadataKey("c"), other, 3),
        _record(
            consumer_groups.ConsumerGroupMemberMetadataKey("g", "m"),
            consumer_groups.ConsumerGroupMemberMetadataValue(
                client_id="c", client_host="h", subscribed_topic_names=["t"], classic_member_metadata=None
            ),
        ),
        _record(
            consumer_groups.ConsumerGroupMetadataKey("g"), consumer_groups.ConsumerGroupMetadataValue(4, 123456789)
        ),
        _record(
            consumer_groups.ConsumerGroupCurrentMemberAssignmentKey("g", "m"),
            consumer_groups.ConsumerGroupCurrentMemberAssignmentValue(
                4, 3, 0, [consumer_groups.TopicPartitions(UUID, [0, 1])]
            ),
        ),
        (b"\x00\x63\x00", b"\x00\x00"),
        (b"\x00", b"\x00\x00"),
        (_record(offsets.GroupMetadataKey("g"), None)[0], b"\x00"),
    ]
    _write(folder / "__consumer_offsets-0", build_batch(groups, TIME))
    key = transactions.TransactionLogKey("tx")
    partitions = [transactions.PartitionsSchema("t", [0, 1])]
    value = transactions.TransactionLogValue(
        1000, transaction_timeout_ms=60000, transaction_status=1, transaction_partitions=partitions,
        transaction_last_update_timestamp_ms=TIME, transaction_start_timestamp_ms=TIME,
    )
    done = transactions.TransactionLogValue(1000, 999, 1001, 2, 3, transaction_partitions=None,
                                            client_transaction_version=2)
    _write(folder / "__transaction_state-0", build_batch(
        [_record(key, value), _record(key, done, 1), _record(key, None), (b"\x00\x01\x00", None)], TIME
    ))
    share: Pairs = [
        _record(
            share_state.ShareSnapshotKey("s", UUID, 0),
            share_state.ShareSnapshotValue(1, 2, 3, 4, state_batches=[share_state.StateBatch(4, 9, 2, 1)]),
        ),
        _record(share_state.ShareUpdateKey("s", UUID, 0), share_state.ShareUpdateValue(1, 3, 5, 6)),
    ]
    _write(folder / "__share_group_state-0", build_batch(share, TIME))


def _control(records: list[tuple[int, Message]], offset: int) -> bytearray:
    pairs: Pairs = [(struct.pack(">hh", 0, kind), bytes(encode(message, 0))) for kind, message in records]
    return build_batch(pairs, TIME, base_offset=offset, leader_epoch=1, attributes=CONTROL)


def metadata_records() -> list[Message]:
    """Return metadata of a cluster with one node: a record of most kinds."""
    r = metadata
    feature = r.FeatureLevelRecord
    return [
        feature("metadata.version", 30), feature("group.version", 1), feature("transaction.version", 2),
        r.RegisterBrokerRecord(
            1, incarnation_id=UUID, broker_epoch=9, end_points=[r.BrokerEndpoint("PLAINTEXT", "localhost", 9092, 0)],
            features=[r.BrokerFeature("metadata.version", 7, 30)], rack=None, fenced=False, log_dirs=[UUID],
        ),
        r.RegisterControllerRecord(
            1, UUID, end_points=[r.ControllerEndpoint("CONTROLLER", "localhost", 9093, 0)],
            features=[r.ControllerFeature("metadata.version", 7, 30)],
        ),
        r.TopicRecord("orders", UUID),
        r.PartitionRecord(0, UUID, [1], [1], [], [], 1, 0, 0, 0, [UUID]),
        r.PartitionRecord(1, UUID, [1], [1], [], [], 1, 0, 0, 0, [UUID]),
        r.PartitionChangeRecord(1, UUID, isr=[1], leader=1),
        r.ConfigRecord(2, "orders", "retention.ms", "1000"),
        r.ConfigRecord(4, "", "log.cleaner.threads", "2"),
        r.ClientQuotaRecord([r.EntityData("user", "bob")], "producer_byte_rate", 1e7),
        r.ClientQuotaRecord([r.EntityData("client-id", None)], "request_percentage", 12.5),
        r.ProducerIdsRecord(1, 9, 2000),
        r.AccessControlEntryRecord(UUID, 2, "orders", 3, "User:bob", "*", 3, 3),
        r.UserScramCredentialRecord("alice", 1, b"salt", b"stored", b"server", 4096),
        r.NoOpRecord(),
    ]


def _metadata(folder: Path) -> None:
    """Write a metadata log and a snapshot of it."""
    voters = control.VotersRecord(voters=[
        control.VotersRecordVoter(
            1, UUID, [control.Endpoint("CONTROLLER", "localhost", 9093)], control.KRaftVersionFeature(0, 1)
        )
    ])
    opening: list[tuple[int, Message]] = [(5, control.KRaftVersionRecord(k_raft_version=1)), (6, voters)]
    leader = control.LeaderChangeMessage(0, 1, [control.Voter(1)], [control.Voter(1)])
    records = metadata_records()
    pairs: Pairs = [(None, frame(record, 30)) for record in records]
    wrong: Pairs = [
        (None, b"\x00"), (None, b"\x02\x00\x00"), (None, b"\x01\x63\x00"), (None, b"\x01\x02\x00\x05"), (None, b""),
        (None, b"\x01\x14\x00\x00\x07"),
    ]
    _write(
        folder, _control([(2, leader), *opening], 0), build_batch(pairs, TIME, base_offset=3, leader_epoch=1),
    )
    _write(folder.with_name("bad-0"), build_batch(wrong, TIME))
    header = control.SnapshotHeaderRecord(last_contained_log_timestamp=TIME)
    end = 4 + len(pairs)
    snapshot = (
        _control([(3, header), *opening], 0), build_batch(pairs, TIME, base_offset=3, leader_epoch=1),
        _control([(4, control.SnapshotFooterRecord())], 3 + len(pairs)),
    )
    _write(folder, *snapshot, name=f"{end:020d}-0000000001.checkpoint")
    first: Pairs = [(None, frame(record, 30)) for record in records[:3]]
    _write(folder.parent, _control([(3, header)], 0), build_batch(first, TIME, base_offset=1),
           _control([(4, control.SnapshotFooterRecord())], 4), name="bootstrap.checkpoint")


def _damaged(folder: Path) -> None:
    """Write files that are damaged, each in one way."""
    good = build_batch([(b"a", b"b"), (b"c", b"d")], TIME)
    crc = bytearray(good)
    crc[20] ^= 1
    _write(folder / "crc-0", crc)
    _write(folder / "cut-0", good, good[:40])
    _write(folder / "zeros-0", good, bytes(100))
    size = bytearray(good)
    size[61] += 20
    _write(folder / "size-0", size)
    few = bytearray(good)
    struct.pack_into(">i", few, 57, 1)
    _write(folder / "few-0", few)
    many = bytearray(good)
    struct.pack_into(">i", many, 57, 3)
    _write(folder / "many-0", many)
    negative = bytearray(good)
    struct.pack_into(">i", negative, 57, -3)
    _write(folder / "negative-0", negative)
    codec = bytearray(good)
    codec[22] |= 6
    _write(folder / "codec-0", codec)
    _write(folder / "gap-0", good, build_batch([(b"x", b"y")], TIME, base_offset=9))
    _write(folder / "name-0", good, name="some.log")
    _write(folder / "name-0", good, name="short.checkpoint")
    _write(folder / "name-0", good, name="nodot")
    _write(folder / "name-0", good, name="other.txt")
    states = ProducerStates()
    states.save(folder / "name-0" / "00000000000000000001.snapshot", sync=False)
    data = bytearray((folder / "plain-0" / "00000000000000000028.snapshot").read_bytes())
    for number, change in ((2, 1), (3, 5)):
        wrong = bytearray(data)
        wrong[change] ^= 2
        (folder / "name-0" / f"{number:020d}.snapshot").write_bytes(wrong)
    (folder / "name-0" / f"{FIRST}.txnindex").write_bytes(struct.pack(">hqqqq", 3, 1, 2, 3, 4))
