"""Consume through a share group (KIP-932): join it, fetch from the leaders of what it assigns, acknowledge.

One thread and blocking connections: heartbeats are sent between fetches, every second until something is assigned. Each
leader holds a share session, whose requests are numbered: the first (0) names the partitions, later ones only what
changes and what is acknowledged; -1 closes the session, which releases what is not acknowledged.

Requests: ShareGroupHeartbeat (also to leave), ShareFetch, ShareAcknowledge, FindCoordinator, Metadata.
"""

from __future__ import annotations

import base64
import contextlib
import os
import time
from typing import Any, Final

from barnabas.protocol.batch import LOG_APPEND_TIME, batches, read_records
from barnabas.protocol.error_texts import is_retriable
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages import share_acknowledge, share_fetch
from barnabas.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import AnswerError, ClientError, check

ACCEPT, RELEASE, REJECT = 1, 2, 3
_GAP: Final = 0
_LOST_SESSION: Final = (ErrorCode.SHARE_SESSION_NOT_FOUND, ErrorCode.INVALID_SHARE_SESSION_EPOCH)
_REJOIN: Final = (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH)
#: topic id and partition
Place = tuple[bytes, int]


class ShareRecord:
    """Be a record, with the methods of confluent-kafka's Message."""

    def __init__(self, topic: str, place: Place, record: Any, kind: int, deliveries: int) -> None:
        self.place = place
        self.deliveries = deliveries
        self._topic, self._record, self._kind = topic, record, kind

    def topic(self) -> str:
        """Return the topic's name."""
        return self._topic

    def partition(self) -> int:
        """Return the partition."""
        return self.place[1]

    def offset(self) -> int:
        """Return the offset."""
        return int(self._record.offset)

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of the time (1: of creation, 2: of the append) and the time in ms."""
        return self._kind, self._record.timestamp

    def key(self) -> bytes | None:
        """Return the key."""
        return self._record.key  # type: ignore[no-any-return]

    def value(self) -> bytes | None:
        """Return the value."""
        return self._record.value  # type: ignore[no-any-return]

    def headers(self) -> Any:
        """Return pairs of name and value."""
        return self._record.headers


class _Session:
    """Remember what one leader knows."""

    def __init__(self) -> None:
        self.epoch = 0
        self.places: set[Place] = set()


class ShareConsumer:
    """Be one member of a share group that reads one topic. Methods raise `ClientError`."""

    def __init__(self, cluster: Cluster, group: str, topic: str, *, max_records: int = 500) -> None:
        self._cluster, self._group, self._topic = cluster, group, topic
        self._max_records = max_records
        self._member = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        self._epoch = 0
        self._next_heartbeat = 0.0
        self._assigned: set[Place] = set()
        self._leaders: dict[Place, int] = {}
        self._sessions: dict[int, _Session] = {}
        self._acknowledged: dict[Place, dict[int, int]] = {}

    def poll(self, seconds: float) -> list[ShareRecord]:
        """Return records that are now acquired, none if there are none within the time (or half a second)."""
        self._heartbeat()
        if not self._assigned:
            time.sleep(min(seconds, 0.1))
            return []
        self._find_leaders()
        by_node: dict[int, list[Place]] = {}
        for place, node in self._leaders.items():
            by_node.setdefault(node, []).append(place)
        found: list[ShareRecord] = []
        for node, places in by_node.items():
            found += self._fetch(node, set(places), min(seconds, 0.5) / len(by_node))
        return found

    def acknowledge(self, record: ShareRecord, kind: int) -> None:
        """Say what became of a record; it is sent with the next fetch, or at the end."""
        self._acknowledged.setdefault(record.place, {})[record.offset()] = kind

    def close(self) -> None:
        """Send what is left to say, close the sessions, leave the group."""
        for node, session in self._sessions.items():
            if session.epoch:
                topics = self._topics(
                    node, {p for p in self._acknowledged if self._leaders.get(p) == node},
                    share_acknowledge.AcknowledgeTopic, share_acknowledge.AcknowledgePartition,
                    share_acknowledge.AcknowledgementBatch,
                )
                request = share_acknowledge.ShareAcknowledgeRequest(self._group, self._member, -1, False, topics)
                with contextlib.suppress(ClientError):
                    self._cluster.ask(request, node=node)
        if self._epoch > 0:
            with contextlib.suppress(ClientError):
                self._cluster.ask(
                    ShareGroupHeartbeatRequest(self._group, self._member, -1),
                    node=self._cluster.coordinator(self._group),
                )

    # --- the group --------------------------------------------------------------------------------------------

    def _heartbeat(self) -> None:
        if time.monotonic() < self._next_heartbeat:
            return
        request = ShareGroupHeartbeatRequest(
            self._group, self._member, self._epoch, None, [self._topic] if self._epoch == 0 else None
        )
        if not self._cluster.supports(ShareGroupHeartbeatRequest.KEY):
            raise AnswerError(ErrorCode.UNSUPPORTED_VERSION, "The cluster does not support the share group protocol.")
        answer = self._cluster.ask_coordinator(self._group, request, lambda a: int(a.error_code))
        if answer.error_code in _REJOIN:
            self._epoch = 0
            self._assigned.clear()
            return
        check(answer.error_code, answer.error_message)
        self._epoch = answer.member_epoch
        if answer.assignment is not None:
            self._assigned = {
                (topic.topic_id, partition) for topic in answer.assignment.topic_partitions
                for partition in topic.partitions
            }
            self._leaders = {place: node for place, node in self._leaders.items() if place in self._assigned}
        interval = answer.heartbeat_interval_ms / 1000
        self._next_heartbeat = time.monotonic() + (interval if self._assigned else min(interval, 1.0))

    def _find_leaders(self) -> None:
        if self._assigned <= self._leaders.keys():
            return
        for topic in self._cluster.metadata([self._topic]).topics:
            for partition in topic.partitions:
                place = (topic.topic_id, partition.partition_index)
                if place in self._assigned and partition.leader_id >= 0:
                    self._leaders[place] = partition.leader_id

    # --- sessions ---------------------------------------------------------------------------------------------

    def _fetch(self, node: int, places: set[Place], seconds: float) -> list[ShareRecord]:
        session = self._sessions.setdefault(node, _Session())
        new = places if session.epoch == 0 else places - session.places
        gone = session.places - places
        if session.epoch == 0:
            for place in places:  # acknowledgements died with the old session
                self._acknowledged.pop(place, None)
        asked = new | {p for p in self._acknowledged if p in places}
        forgotten: dict[bytes, list[int]] = {}
        for topic_id, partition in gone:
            forgotten.setdefault(topic_id, []).append(partition)
        request = share_fetch.ShareFetchRequest(
            self._group, self._member, session.epoch, int(seconds * 1000), 1, 52_428_800, self._max_records,
            self._max_records,
            topics=self._topics(
                node, asked, share_fetch.FetchTopic, share_fetch.FetchPartition, share_fetch.AcknowledgementBatch
            ),
            forgotten_topics_data=[share_fetch.ForgottenTopic(i, numbers) for i, numbers in forgotten.items()],
        )
        answer = self._cluster.ask(request, node=node)
        if answer.error_code in _LOST_SESSION:
            self._sessions[node] = _Session()
            return []
        if is_retriable(answer.error_code):
            self._leaders.clear()
            self._sessions[node] = _Session()
            return []
        check(answer.error_code, answer.error_message)
        session.epoch = 1 if session.epoch == 0x7FFFFFFF else session.epoch + 1
        session.places = places
        found: list[ShareRecord] = []
        for topic in answer.responses:
            for partition in topic.partitions:
                place = (topic.topic_id, partition.partition_index)
                if is_retriable(partition.error_code):
                    self._leaders.pop(place, None)
                    continue
                check(partition.error_code, partition.error_message)
                found += self._records(place, partition)
        return found

    def _topics(self, node: int, places: set[Place], topic: Any, partition: Any, batch: Any) -> list[Any]:
        """Name partitions, with what is to be acknowledged."""
        by_topic: dict[bytes, list[Any]] = {}
        for place in sorted(places):
            ranges = [batch(*r) for r in runs(self._acknowledged.pop(place, {}))]
            by_topic.setdefault(place[0], []).append(partition(place[1], ranges))
        return [topic(topic_id, partitions) for topic_id, partitions in by_topic.items()]

    def _records(self, place: Place, data: Any) -> list[ShareRecord]:
        """Return the acquired records of an answer; acquired offsets without a record are acknowledged as gaps."""
        acquired = {
            offset: run.delivery_count
            for run in data.acquired_records
            for offset in range(run.first_offset, run.last_offset + 1)
        }
        found = []
        bytes_ = bytes(data.records or b"")
        for header, at in batches(bytes_):
            if header.is_control:
                continue
            kind = 2 if header.attributes & LOG_APPEND_TIME else 1
            for record in read_records(header, memoryview(bytes_)[at:]):
                deliveries = acquired.pop(record.offset, None)
                if deliveries is not None:
                    found.append(ShareRecord(self._topic, place, record, kind, deliveries))
        for offset in acquired:
            self._acknowledged.setdefault(place, {})[offset] = _GAP
        return found


def runs(kinds: dict[int, int]) -> list[tuple[int, int, list[int]]]:
    """Join acknowledgements of neighbours: first and last offset, and the kind that holds for all of them."""
    found: list[tuple[int, int, list[int]]] = []
    for offset, kind in sorted(kinds.items()):
        if found and found[-1][1] == offset - 1 and found[-1][2] == [kind]:
            found[-1] = (found[-1][0], offset, [kind])
        else:
            found.append((offset, offset, [kind]))
    return found
