"""Say in one line what the behaviours ask of a broker. Records are batches made by hand, so that they may be wrong."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from barnabas.embedded import Broker
from barnabas.protocol.batch import build_batch, crc32c
from barnabas.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from barnabas.protocol.messages.heartbeat import HeartbeatRequest
from barnabas.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from barnabas.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from barnabas.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from barnabas.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from barnabas.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from barnabas.protocol.schema import ZERO_UUID

from ..wire import Wire

#: the time that records carry, in milliseconds; topics of these tests keep records for ever
THEN = 1_700_000_000_000
UNKNOWN_ID = bytes(range(16))
_numbers = itertools.count()


def unique(short: str) -> str:
    """Return a name that no other test uses."""
    return f"{short}-{os.getpid()}-{next(_numbers)}"


def batch(*values: bytes | None, key: bytes | None = b"k", timestamp: int = THEN, **more: int) -> bytearray:
    """Build a batch of values under one key."""
    return build_batch([(key, value) for value in values], timestamp, **more)


def patched(at: int, form: str, value: int, source: bytearray | None = None) -> bytearray:
    """Return a batch of two records with one field of its header changed and the CRC made right."""
    data = bytearray(source if source is not None else batch(b"a", b"b"))
    struct.pack_into(form, data, at, value)
    struct.pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    return data


def subscription(*topics: str) -> bytes:
    """Return the metadata of a consumer that is subscribed to topics."""
    names = b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


def joining(
    group: str, member: str = "", *, instance: str | None = None, protocols: dict[str, bytes] | None = None,
    kind: str = "consumer", session_ms: int = 10_000, rebalance_ms: int = 60_000,
) -> JoinGroupRequest:
    """Return a JoinGroup."""
    offered = [JoinGroupRequestProtocol(n, m) for n, m in (protocols or {"range": b"m"}).items()]
    return JoinGroupRequest(group, session_ms, rebalance_ms, member, instance, kind, offered)


class Client:
    """Be a client with one connection; versions are the highest unless they are given."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.wire = Wire.to(broker.bootstrap)
        self.ids: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wire.close()

    # --- topics ---------------------------------------------------------------------------------------------

    def topic(self, short: str = "t", partitions: int = 1, **configs: str) -> str:
        """Make a topic of a name of its own; underscores in keys stand for dots."""
        name = unique(short)
        texts = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in configs.items()}
        self.ids[name] = self.create(name, partitions, configs=texts).topic_id
        return name

    def create(
        self, name: str, partitions: int = 1, replicas: int = -1, *, configs: Mapping[str, str | None] | None = None,
        assigned: dict[int, list[int]] | None = None, validate_only: bool = False, version: int = 7,
    ) -> Any:
        """Ask for one topic and return what is answered for it."""
        asked = CreatableTopic(
            name, partitions, replicas, [CreatableReplicaAssignment(*pair) for pair in (assigned or {}).items()],
            [CreatableTopicConfig(*pair) for pair in (configs or {}).items()],
        )
        return self.wire.request(CreateTopicsRequest([asked], 5000, validate_only), version).topics[0]

    def metadata(self, *names: str, create: bool = False, version: int = 12) -> Any:
        """Ask for topics by name."""
        return self.wire.request(MetadataRequest([MetadataRequestTopic(name=n) for n in names], create), version)

    # --- records --------------------------------------------------------------------------------------------

    def producing(
        self, topic: str, records: Any, *, partition: int = 0, acks: int = -1, topic_id: bytes | None = None
    ) -> ProduceRequest:
        """Return a Produce for one partition."""
        wanted = self.ids.get(topic, ZERO_UUID) if topic_id is None else topic_id
        data = [TopicProduceData(topic, wanted, [PartitionProduceData(partition, records)])]
        return ProduceRequest(None, acks, 5000, data)

    def produce(self, topic: str, records: Any, *, version: int = 12, **more: Any) -> Any:
        """Append to one partition and return what is answered for it."""
        answer = self.wire.request(self.producing(topic, records, **more), version)
        return answer.responses[0].partition_responses[0]

    def fetching(
        self, *asked: tuple[str, int, int], wait_ms: int = 0, least: int = 1, most: int = 1 << 24, isolation: int = 0,
        size: int = 1 << 20, session: int = 0, epoch: int = -1, leader_epoch: int = -1, last_epoch: int = -1,
    ) -> FetchRequest:
        """Return a Fetch of (topic, partition, offset)."""
        topics = [
            FetchTopic(n, self.ids.get(n, UNKNOWN_ID), [FetchPartition(p, leader_epoch, o, last_epoch, -1, size)])
            for n, p, o in asked
        ]
        return FetchRequest(None, -1, None, wait_ms, least, most, isolation, session, epoch, topics)

    def fetch(self, *asked: tuple[str, int, int], version: int = 12, **more: Any) -> Any:
        """Fetch and return the whole answer."""
        return self.wire.request(self.fetching(*asked, **more), version)

    def fetch_one(self, topic: str, offset: int, *, partition: int = 0, **more: Any) -> Any:
        """Fetch one partition and return what is answered for it."""
        return self.fetch((topic, partition, offset), **more).responses[0].partitions[0]

    def offset(
        self, topic: str, timestamp: int, *, partition: int = 0, version: int = 11, isolation: int = 0, epoch: int = -1
    ) -> Any:
        """Ask for an offset by time and return what is answered."""
        asked = ListOffsetsTopic(topic, [ListOffsetsPartition(partition, epoch, timestamp)])
        return self.wire.request(ListOffsetsRequest(-1, isolation, [asked], 5000), version).topics[0].partitions[0]

    # --- groups ---------------------------------------------------------------------------------------------

    def join(self, group: str, member: str = "", *, version: int = 9, **more: Any) -> Any:
        """Join; with a version from 4 on a first join is told its id alone."""
        return self.wire.request(joining(group, member, **more), version)

    def member(self, group: str, **more: Any) -> Any:
        """Join as a new member, with the id that is told, and return the answer to that."""
        return self.join(group, self.join(group, **more).member_id, **more)

    def sync(
        self, group: str, me: Any, given: dict[str, bytes] | None = None, *, instance: str | None = None,
        version: int = 5,
    ) -> Any:
        """Sync as the member that got the answer `me` to its join."""
        return self.wire.request(syncing(group, me, given, instance=instance), version)

    def heartbeat(
        self, group: str, member: str, generation: int, instance: str | None = None, *, version: int = 4
    ) -> int:
        """Send a heartbeat and return the error code."""
        code: int = self.wire.request(HeartbeatRequest(group, generation, member, instance), version).error_code
        return code

    def leave(self, group: str, member: str, instance: str | None = None, *, version: int = 5) -> Any:
        """Leave a group."""
        return self.wire.request(LeaveGroupRequest(group, member, [MemberIdentity(member, instance)]), version)

    def commit(
        self, group: str, topic: str, offset: int, *, partition: int = 0, member: str = "", generation: int = -1,
        metadata: str | None = "", instance: str | None = None, version: int = 9,
    ) -> int:
        """Commit one offset and return the error code."""
        part = OffsetCommitRequestPartition(partition, offset, -1, metadata)
        topics = [OffsetCommitRequestTopic(topic, self.ids.get(topic, UNKNOWN_ID), [part])]
        request = OffsetCommitRequest(group, generation, member, instance, -1, topics)
        code: int = self.wire.request(request, version).topics[0].partitions[0].error_code
        return code

    def committed(self, group: str, topic: str, partition: int = 0) -> Any:
        """Return what is committed for one partition."""
        asked = OffsetFetchRequestGroup(group, None, -1, [OffsetFetchRequestTopics(topic, ZERO_UUID, [partition])])
        return self.wire.request(OffsetFetchRequest("", [], [asked]), 9).groups[0].topics[0].partitions[0]


def syncing(
    group: str, me: Any, given: dict[str, bytes] | None = None, *, instance: str | None = None
) -> SyncGroupRequest:
    """Return a SyncGroup of the member that got the answer `me` to its join."""
    assignments = [SyncGroupRequestAssignment(*pair) for pair in (given or {}).items()]
    return SyncGroupRequest(
        group, me.generation_id, me.member_id, instance, me.protocol_type, me.protocol_name, assignments
    )
