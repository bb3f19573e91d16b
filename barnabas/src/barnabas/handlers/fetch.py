"""Answer Fetch (4-18): read record batches, at once or when enough has come.

The answer goes out as pieces: headers made here, and the bytes of the log as they were read. Its encoding is written
by hand, because it is made for every poll of every consumer; a test compares it with the compiled codec.

It is complete at once when nothing may be waited for: max wait 0, no partitions, an error, a diverging epoch, or
min_bytes reached. Otherwise it waits for an append or for the deadline.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import NamedTuple

from barnabas.handlers.context import Answer, Buffers, Deferred, Request
from barnabas.handlers.fetch_sessions import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    FetchPartition,
    FetchSession,
    FetchSessions,
    PartitionKey,
)
from barnabas.log.files import StorageError
from barnabas.log.partition import PartitionLog
from barnabas.log.producers import AbortedTransaction
from barnabas.node.node import Node
from barnabas.protocol.codec import write_uvarint
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.messages.fetch import FetchRequest, FetchResponse

#: records of at least this many bytes are a piece of their own; smaller ones are copied behind their header
_OWN_PIECE = 2048



class Result(NamedTuple):
    """Hold the answer for one partition."""

    asked: FetchPartition
    error: int
    high_watermark: int
    last_stable: int
    log_start: int
    records: bytes
    aborted: list[AbortedTransaction] | None
    diverging: tuple[int, int] | None = None


def sessions_of(node: Node) -> FetchSessions:
    """Return the fetch sessions of a node."""
    found = node.extensions.get("fetch_sessions")
    if not isinstance(found, FetchSessions):
        found = FetchSessions(node.config.max_incremental_fetch_session_cache_slots)
        node.extensions["fetch_sessions"] = found
    return found


def fetch(node: Node, request: Request) -> Answer:
    """Answer Fetch."""
    message: FetchRequest = request.message
    version = request.version
    session: FetchSession | None = None
    session_id = 0
    partitions = _partitions(message, version)
    if version >= 7:
        sessions = sessions_of(node)
        now = node.clock.monotonic()
        epoch = message.session_epoch
        if epoch in (INITIAL_EPOCH, FINAL_EPOCH):
            if message.session_id:
                sessions.remove(message.session_id)
            if epoch == INITIAL_EPOCH:
                session_id = sessions.create(version >= 13, partitions, now)
        else:
            session = sessions.sessions.get(message.session_id)
            if session is None:
                return FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
            if session.epoch != epoch:
                return FetchResponse(error_code=ErrorCode.INVALID_FETCH_SESSION_EPOCH)
            if session.by_id != (version >= 13):
                return FetchResponse(error_code=ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
            _change(session, partitions, message)
            sessions.use(session, now)
            partitions, session_id = session.partitions, session.id
    work = _Fetch(node, message, version, partitions, session, session_id)
    if work.collect() or message.max_wait_ms <= 0 or not partitions:
        return work.answer()
    return work.wait()


def _partitions(message: FetchRequest, version: int) -> OrderedDict[PartitionKey, FetchPartition]:
    found: OrderedDict[PartitionKey, FetchPartition] = OrderedDict()
    for topic in message.topics:
        key = topic.topic_id if version >= 13 else topic.topic
        for p in topic.partitions:
            found[key, p.partition] = FetchPartition(
                key, p.partition, p.fetch_offset, p.partition_max_bytes, p.current_leader_epoch, p.last_fetched_epoch
            )
    return found


def _change(session: FetchSession, changes: OrderedDict[PartitionKey, FetchPartition], message: FetchRequest) -> None:
    partitions = session.partitions
    for key, asked in changes.items():
        known = partitions.get(key)
        if known is None:
            partitions[key] = asked
        else:
            known.fetch_offset, known.max_bytes = asked.fetch_offset, asked.max_bytes
            known.leader_epoch, known.last_fetched_epoch = asked.leader_epoch, asked.last_fetched_epoch
    for topic in message.forgotten_topics_data:
        name = topic.topic_id if session.by_id else topic.topic
        for index in topic.partitions:
            partitions.pop((name, index), None)


class _Fetch:
    """Hold one fetch while it is worked on."""

    def __init__(
        self, node: Node, message: FetchRequest, version: int,
        partitions: OrderedDict[PartitionKey, FetchPartition], session: FetchSession | None, session_id: int,
    ) -> None:
        self._node = node
        self._version = version
        self._partitions = partitions
        self._session = session
        self._session_id = session_id
        self._min_bytes = message.min_bytes
        self._max_bytes = min(message.max_bytes, node.config.fetch_max_bytes)
        self._max_wait_s = message.max_wait_ms / 1000
        self._committed = message.isolation_level == 1
        self._results: list[Result] = []

    # --- read -----------------------------------------------------------------------------------------------

    def collect(self) -> bool:
        """Read all partitions; return whether the answer is complete as it is."""
        left = self._max_bytes
        total = 0
        ready = False
        results = self._results = []
        for asked in self._partitions.values():
            result = self._read(asked, left, first=total == 0)
            size = len(result.records)
            left -= size
            total += size
            ready = ready or result.error != 0 or result.diverging is not None
            results.append(result)
        return ready or total >= self._min_bytes

    def _log(self, asked: FetchPartition) -> PartitionLog:
        topic = asked.topic
        if isinstance(topic, bytes):
            known = self._node.image.topics_by_id.get(topic)
            if known is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
            topic = known.name
        return self._node.log(topic, asked.index)

    def _read(self, asked: FetchPartition, left: int, *, first: bool) -> Result:
        try:
            log = self._log(asked)
            check_leader_epoch(log, asked.leader_epoch)
            high, stable = log.high_watermark, log.last_stable_offset
            if asked.last_fetched_epoch >= 0:
                epoch, end = log.end_of_epoch(asked.last_fetched_epoch)
                if epoch == end == -1:  # no batch was ever written in that epoch or later
                    raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
                if epoch < asked.last_fetched_epoch or end < asked.fetch_offset:
                    return Result(asked, 0, high, stable, log.log_start_offset, b"", None, (epoch, end))
            limit = stable if self._committed else high
            room = min(left, asked.max_bytes)
            records = b""
            if asked.fetch_offset != limit or room < 0:
                records = log.read(asked.fetch_offset, max(room, 0), limit=limit, at_least_one=first)
            aborted = log.aborted_transactions(asked.fetch_offset, limit) if self._committed and records else None
            if self._committed and aborted is None:
                aborted = []
            return Result(asked, 0, high, stable, log.log_start_offset, records, aborted)
        except KafkaError as e:
            unknown = e.code in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID)
            return Result(asked, e.code, -1, -1, -1, b"", [] if unknown else None)
        except StorageError:
            return Result(asked, ErrorCode.KAFKA_STORAGE_ERROR, -1, -1, -1, b"", None)

    # --- wait -----------------------------------------------------------------------------------------------

    def wait(self) -> Deferred:
        """Wait for an append that completes the answer, or for the deadline."""
        deferred = Deferred()
        logs = []
        for asked in self._partitions.values():
            try:
                logs.append(self._log(asked))
            except KafkaError:
                continue

        def finish() -> None:
            timer.cancel()
            for log in logs:
                log.unsubscribe(deferred)

        def wake() -> None:
            if self.collect():
                finish()
                deferred.resolve(self.answer())

        def expire() -> None:
            finish()
            self.collect()
            deferred.resolve(self.answer())

        timer = self._node.timers.after(self._max_wait_s, expire)
        for log in logs:
            log.subscribe(deferred, wake)
        deferred.on_cancel = finish
        return deferred

    # --- encode ---------------------------------------------------------------------------------------------

    def answer(self) -> Buffers:
        """Encode the answer; an incremental one leaves out partitions that have nothing new."""
        results = self._results
        if self._session is not None:
            results = [r for r in results if _has_news(r)]
        for r in results:
            r.asked.told_high_watermark, r.asked.told_log_start = r.high_watermark, r.log_start
        if self._session is not None:
            for r in results:
                if r.records:
                    self._partitions.move_to_end((r.asked.topic, r.asked.index))
        return encode_fetch(results, self._session_id, self._version)


def _has_news(r: Result) -> bool:
    return bool(
        r.records or r.error or r.diverging is not None
        or r.high_watermark != r.asked.told_high_watermark or r.log_start != r.asked.told_log_start
    )


def check_leader_epoch(log: PartitionLog, epoch: int) -> None:
    """Compare the leader epoch that a client knows; raises FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH."""
    if epoch >= 0 and epoch != log.leader_epoch:
        raise KafkaError(
            ErrorCode.FENCED_LEADER_EPOCH if epoch < log.leader_epoch else ErrorCode.UNKNOWN_LEADER_EPOCH
        )


_PARTITION = {
    4: struct.Struct(">ihqq"),
    5: struct.Struct(">ihqqq"),
}
_INT = struct.Struct(">i")
_HEAD = struct.Struct(">ihi")
_ABORTED = struct.Struct(">qq")


def encode_fetch(results: list[Result], session_id: int, version: int) -> Buffers:
    """Encode a FetchResponse without a top-level error."""
    flexible = version >= 12
    pieces: Buffers = []
    out = bytearray()
    out += _HEAD.pack(0, 0, session_id) if version >= 7 else _INT.pack(0)
    topics: list[tuple[str | bytes, list[Result]]] = []
    for r in results:
        if topics and topics[-1][0] == r.asked.topic:
            topics[-1][1].append(r)
        else:
            topics.append((r.asked.topic, [r]))
    _put_count(out, len(topics), flexible)
    for topic, members in topics:
        if isinstance(topic, bytes):
            out += topic
        else:
            name = topic.encode()
            if flexible:
                write_uvarint(out, len(name) + 1)
            else:
                out += len(name).to_bytes(2, "big")
            out += name
        _put_count(out, len(members), flexible)
        for r in members:
            out = _put_partition(out, pieces, r, version, flexible)
        if flexible:
            out.append(0)
    if flexible:
        out.append(0)
    pieces.append(out)
    return pieces


def _put_partition(out: bytearray, pieces: Buffers, r: Result, version: int, flexible: bool) -> bytearray:
    if version >= 5:
        out += _PARTITION[5].pack(r.asked.index, r.error, r.high_watermark, r.last_stable, r.log_start)
    else:
        out += _PARTITION[4].pack(r.asked.index, r.error, r.high_watermark, r.last_stable)
    if r.aborted is None:
        out += b"\x00" if flexible else b"\xff\xff\xff\xff"
    else:
        _put_count(out, len(r.aborted), flexible)
        for aborted in r.aborted:
            out += _ABORTED.pack(aborted.producer_id, aborted.first_offset)
            if flexible:
                out.append(0)
    if version >= 11:
        out += b"\xff\xff\xff\xff"  # no preferred read replica: there is one node
    _put_count(out, len(r.records), flexible)
    if len(r.records) >= _OWN_PIECE:
        pieces.append(out)
        pieces.append(r.records)
        out = bytearray()
    else:
        out += r.records
    if flexible:
        if r.diverging is None:
            out.append(0)
        else:
            out += b"\x01\x00\x0d" + struct.pack(">iq", *r.diverging) + b"\x00"
    return out


def _put_count(out: bytearray, count: int, flexible: bool) -> None:
    if flexible:
        write_uvarint(out, count + 1)
    else:
        out += _INT.pack(count)
