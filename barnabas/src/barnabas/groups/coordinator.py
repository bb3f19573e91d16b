"""Coordinate all groups of the node: route requests to their group, keep committed offsets, expire both.

What must outlive the process goes to `__consumer_offsets` through `write`, and comes back through `replay`; committed
offsets change in no other way. Which partition holds a group follows from the group's name.

Source: KIP-211 for the expiry of offsets; Kafka's OffsetCommitValue and GroupMetadataValue for what is stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from barnabas.clock import Timers
from barnabas.groups.classic import DEAD, EMPTY, STABLE, ClassicGroup, GroupConfig, JoinReply, SyncReply
from barnabas.groups.records import GroupRecord, partition_of
from barnabas.groups.subscription import subscribed_topics
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.messages.describe_groups import DescribedGroup, DescribedGroupMember
from barnabas.protocol.messages.join_group import JoinGroupRequest
from barnabas.protocol.messages.list_groups import ListedGroup
from barnabas.protocol.messages.sync_group import SyncGroupRequest
from barnabas.protocol.records.offsets import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)

logger = logging.getLogger(__name__)

#: append records to a partition of `__consumer_offsets`, whole or not at all; raises `KafkaError`
Writer = Callable[[int, Sequence[GroupRecord]], None]


class Commit(NamedTuple):
    """Hold one offset to commit."""

    topic: str
    topic_id: bytes
    partition: int
    offset: int
    leader_epoch: int
    metadata: str


class GroupCoordinator:
    """Hold the groups of the node and their offsets."""

    def __init__(self, config: GroupConfig, write: Writer, timers: Timers, now_ms: Callable[[], int]) -> None:
        self.config = config
        self.groups: dict[str, ClassicGroup] = {}
        self.offsets: dict[str, dict[tuple[str, int], OffsetCommitValue]] = {}
        self._write = write
        self._timers = timers
        self._now_ms = now_ms

    # --- membership -----------------------------------------------------------------------------------------

    def join(
        self, request: JoinGroupRequest, client_id: str, host: str, version: int, reply: JoinReply
    ) -> None:
        """Take in a JoinGroup of some version; raises `KafkaError` for what is refused."""
        _check_id(request.group_id)
        if not self.config.min_session_timeout_ms <= request.session_timeout_ms <= self.config.max_session_timeout_ms:
            raise KafkaError(ErrorCode.INVALID_SESSION_TIMEOUT)
        group = self.groups.get(request.group_id)
        if group is None:
            if request.member_id:
                raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
            group = self._new_group(request.group_id)
        group.join(
            request, client_id, host, require_known_id=version >= 4, skip_assignment=version >= 9, reply=reply
        )

    def sync(self, request: SyncGroupRequest, reply: SyncReply) -> None:
        """Take in a SyncGroup; raises `KafkaError`."""
        _check_id(request.group_id)
        self._group(request.group_id).sync(request, reply)

    def heartbeat(self, group_id: str, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
        """Keep a member alive; raises `KafkaError`."""
        _check_id(group_id)
        return self._group(group_id).heartbeat(member_id, instance_id, generation)

    def leave(self, group_id: str, member_id: str, instance_id: str | None) -> str:
        """Remove a member and return its id; raises `KafkaError`."""
        _check_id(group_id)
        return self._group(group_id).leave(member_id, instance_id)

    def _group(self, group_id: str) -> ClassicGroup:
        group = self.groups.get(group_id)
        if group is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        return group

    def _new_group(self, group_id: str) -> ClassicGroup:
        group = ClassicGroup(group_id, self._timers, self.config, self._persist, self._now_ms)
        group.state_timestamp = self._now_ms()
        self.groups[group_id] = group
        return group

    def _persist(self, group: ClassicGroup, assignments: dict[str, bytes]) -> None:
        self._write(
            self.partition_of(group.id), [GroupRecord(GroupMetadataKey(group.id), group.to_record(assignments))]
        )

    def partition_of(self, group_id: str) -> int:
        """Return the partition of `__consumer_offsets` that holds a group."""
        return partition_of(group_id, self.config.offsets_partitions)

    # --- offsets --------------------------------------------------------------------------------------------

    def commit(
        self, group_id: str, member_id: str, instance_id: str | None, generation: int, version: int,
        commits: Sequence[Commit],
    ) -> list[ErrorCode]:
        """Store offsets, all of them in one write; returns an error code for each. Raises `KafkaError` for all.

        The empty group id, which cannot have members, may keep offsets.
        """
        group = self.groups.get(group_id)
        if group is None:
            if generation >= 0:
                raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION)
            group = self._new_group(group_id)
        group.check_commit(member_id, instance_id, generation)
        now = self._now_ms()
        records, results = [], []
        for c in commits:
            if len(c.metadata.encode("utf-16-le", "surrogatepass")) // 2 > self.config.offset_metadata_max_bytes:
                results.append(ErrorCode.OFFSET_METADATA_TOO_LARGE)
                continue
            results.append(ErrorCode.NONE)
            records.append(
                GroupRecord(
                    OffsetCommitKey(group_id, c.topic, c.partition),
                    OffsetCommitValue(c.offset, c.leader_epoch, c.metadata, now, topic_id=c.topic_id),
                )
            )
        if records:
            self._store(group_id, records)
        return results

    def _store(self, group_id: str, records: Sequence[GroupRecord]) -> None:
        self._write(self.partition_of(group_id), records)
        for record in records:
            self.replay(record)

    def fetch(self, group_id: str) -> dict[tuple[str, int], OffsetCommitValue]:
        """Return the committed offsets of a group by (topic, partition); empty for an unknown group."""
        return self.offsets.get(group_id, {})

    def delete_offsets(self, group_id: str, partitions: Iterable[tuple[str, int]]) -> list[ErrorCode]:
        """Delete committed offsets; those of topics that the group is subscribed to stay. Raises `KafkaError`."""
        _check_id(group_id)
        group = self.groups.get(group_id)
        if group is None:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)
        subscribed: set[str] = set()
        if group.state != EMPTY:
            if group.protocol_type != "consumer":
                raise KafkaError(ErrorCode.NON_EMPTY_GROUP)
            subscribed = subscribed_topics(group)
        committed = self.offsets.get(group_id, {})
        results, records = [], []
        for topic, partition in partitions:
            if topic in subscribed:
                results.append(ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC)
                continue
            results.append(ErrorCode.NONE)
            if (topic, partition) in committed:
                records.append(GroupRecord(OffsetCommitKey(group_id, topic, partition), None))
        if records:
            self._store(group_id, records)
        return results

    def forget_topic(self, topic: str) -> None:
        """Drop the offsets of a topic that was deleted."""
        for group_id in list(self.offsets):
            gone = [
                GroupRecord(OffsetCommitKey(group_id, *key), None)
                for key in self.offsets[group_id] if key[0] == topic
            ]
            if gone:
                try:
                    self._store(group_id, gone)
                except KafkaError as e:
                    logger.warning("group %s: the offsets of %s were not deleted: %s", group_id, topic, e)

    def expire(self) -> None:
        """Drop offsets, and then groups, that nobody used for the retention time (KIP-211)."""
        now = self._now_ms()
        for group in list(self.groups.values()):
            committed = self.offsets.get(group.id, {})
            keep = set(subscribed_topics(group)) if group.state != EMPTY else set()
            if group.state != EMPTY and group.protocol_type != "consumer":
                continue
            gone = [
                GroupRecord(OffsetCommitKey(group.id, *key), None)
                for key, value in committed.items()
                if key[0] not in keep and self._is_expired(group, value, now)
            ]
            try:
                if gone:
                    self._store(group.id, gone)
                if group.state == EMPTY and not group.pending and not self.offsets.get(group.id) and (
                    gone or now - group.state_timestamp > self.config.offsets_retention_ms
                ):
                    self._remove(group)
            except KafkaError as e:
                logger.warning("group %s: it was not expired: %s", group.id, e)

    def _is_expired(self, group: ClassicGroup, value: OffsetCommitValue, now: int) -> bool:
        if value.expire_timestamp >= 0:
            return now >= value.expire_timestamp
        base = value.commit_timestamp
        if group.protocol_type and group.state == EMPTY:
            base = max(base, group.state_timestamp)
        return now - base >= self.config.offsets_retention_ms

    def _remove(self, group: ClassicGroup) -> None:
        self._write(self.partition_of(group.id), [GroupRecord(GroupMetadataKey(group.id), None)])
        self.groups.pop(group.id, None)
        group.close()
        logger.info("group %s: removed", group.id)

    # --- administration -------------------------------------------------------------------------------------

    def delete(self, group_id: str) -> None:
        """Delete an empty group with its offsets; raises `KafkaError`."""
        group = self.groups.get(group_id)
        if group is None:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)
        if group.state != EMPTY:
            raise KafkaError(ErrorCode.NON_EMPTY_GROUP)
        gone = [GroupRecord(OffsetCommitKey(group_id, *key), None) for key in self.offsets.get(group_id, {})]
        self._store(group_id, [*gone, GroupRecord(GroupMetadataKey(group_id), None)])

    def list(self, states: Sequence[str], types: Sequence[str]) -> list[ListedGroup]:
        """List groups, of the given states and types only where any are given (upper or lower case)."""
        wanted = {s.lower() for s in states}
        if types and "classic" not in {t.lower() for t in types}:
            return []
        return [
            ListedGroup(g.id, g.protocol_type, g.state, "classic")
            for g in self.groups.values()
            if not wanted or g.state.lower() in wanted
        ]

    def describe(self, group_id: str) -> DescribedGroup:
        """Describe one group; an unknown one is Dead."""
        group = self.groups.get(group_id)
        if group is None:
            return DescribedGroup(group_id=group_id, group_state=DEAD)
        settled = group.state == STABLE
        return DescribedGroup(
            group_id=group_id, group_state=group.state, protocol_type=group.protocol_type,
            protocol_data=(group.protocol or "") if settled else "",
            members=[
                DescribedGroupMember(
                    m.id, m.instance_id, m.client_id, m.client_host,
                    m.metadata(group.protocol) if settled else b"", m.assignment,
                )
                for m in group.members.values()
            ],
        )

    # --- storage --------------------------------------------------------------------------------------------

    def replay(self, record: GroupRecord) -> None:
        """Take in one stored record."""
        key, value = record
        if isinstance(key, OffsetCommitKey):
            at = (key.topic, key.partition)
            if isinstance(value, OffsetCommitValue):
                if key.group not in self.groups:
                    self._new_group(key.group)
                self.offsets.setdefault(key.group, {})[at] = value
            else:
                committed = self.offsets.get(key.group, {})
                committed.pop(at, None)
                if not committed:
                    self.offsets.pop(key.group, None)
        elif isinstance(value, GroupMetadataValue):
            group = self.groups.get(key.group) or self._new_group(key.group)
            group.load(value)
        else:
            gone = self.groups.pop(key.group, None)
            if gone is not None:
                gone.close()

    def resume(self) -> None:
        """Start the sessions of all members, once everything stored was replayed."""
        for group in self.groups.values():
            group.resume()

    def close(self) -> None:
        """Cancel all timers."""
        for group in self.groups.values():
            group.close()


def _check_id(group_id: str) -> None:
    if not group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID)
