"""Behaviours 12 to 18: what a fetch returns, when it answers, and what a session remembers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from barnabas.protocol.batch import batches, read_records
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from barnabas.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)

from .client import UNKNOWN_ID, Client, batch, unique

_LONG_MS = 60_000


@pytest.fixture
def topic(client: Client) -> str:
    """Return a topic of two partitions: offsets 0-2, 3 and 4 in three batches; one batch in the other."""
    name = client.topic(partitions=2)
    for values in ((b"a", b"b", b"c"), (b"d" * 500,), (b"e",)):
        client.produce(name, batch(*values))
    client.produce(name, batch(b"f"), partition=1)
    return name


def offsets(partition: Any) -> list[int]:
    """Return the offsets of all records that were fetched."""
    records = partition.records
    return [r.offset for h, at in batches(records) for r in read_records(h, records[at : at + h.size])]


def parts(answer: Any) -> list[Any]:
    """Return what is answered for each partition."""
    return [p for t in answer.responses for p in t.partitions]


# --- 12, 13: how much -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [4, 7, 12, 18])
@pytest.mark.parametrize(
    ("offset", "found"), [(0, [0, 1, 2, 3, 4]), (1, [0, 1, 2, 3, 4]), (2, [0, 1, 2, 3, 4]), (3, [3, 4]), (4, [4])]
)
def test_12_the_whole_batch_that_holds_the_offset(
    client: Client, topic: str, offset: int, found: list[int], version: int
) -> None:
    """A fetch from the middle of a batch that skips it makes clients hang."""
    answer = client.fetch_one(topic, offset, version=version)
    assert (answer.error_code, offsets(answer), answer.high_watermark) == (0, found, 5)


def test_13_the_first_batch_ignores_the_limits(client: Client, topic: str) -> None:
    for limits in ({"size": 1}, {"most": 1}, {"size": 0, "most": 0}):
        one, two = parts(client.fetch((topic, 0, 3), (topic, 1, 0), **limits))
        assert offsets(one) == [3]
        assert bytes(two.records) == b""


def test_13_an_empty_partition_is_not_the_first(client: Client, topic: str) -> None:
    one, two = parts(client.fetch((topic, 0, 5), (topic, 1, 0), size=1))
    assert (bytes(one.records), offsets(two)) == (b"", [0])


def test_13_the_limits_hold_in_the_order_of_the_request(client: Client, topic: str) -> None:
    first = len(batch(b"f"))
    for asked in (((topic, 1, 0), (topic, 0, 0)), ((topic, 0, 4), (topic, 1, 0))):
        one, two = parts(client.fetch(*asked, most=first + 5))
        assert one.partition_index == asked[0][1]
        assert len(offsets(one)) == 1
        assert bytes(two.records) == b""  # not 5 bytes of a batch: some clients take those for an oversized one


def test_13_after_the_first_batch_the_partition_limit_holds(client: Client, topic: str) -> None:
    size = len(batch(b"a", b"b", b"c"))
    assert offsets(client.fetch_one(topic, 0, size=size)) == [0, 1, 2]


# --- 14, 15: when ---------------------------------------------------------------------------------------------

def test_14_answers_at_once(client: Client, topic: str) -> None:
    begun = time.monotonic()
    client.fetch_one(topic, 5, wait_ms=0)
    client.fetch_one(topic, 5, wait_ms=-5)
    assert client.fetch(wait_ms=_LONG_MS).responses == []
    client.fetch_one(topic, 5, wait_ms=_LONG_MS, least=0)
    assert offsets(client.fetch_one(topic, 4, wait_ms=_LONG_MS)) == [4]
    unknown = parts(client.fetch((topic, 0, 5), (topic, 9, 0), wait_ms=_LONG_MS))
    assert unknown[1].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert client.fetch_one(topic, 9, wait_ms=_LONG_MS).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert time.monotonic() - begun < _LONG_MS / 4000


def test_14_waits_for_enough_bytes(client: Client, other: Client, topic: str) -> None:
    size = len(batch(b"x"))
    asked = other.wire.send(other.fetching((topic, 0, 5), wait_ms=_LONG_MS, least=2 * size), 12)
    client.produce(topic, batch(b"x"))
    other.wire.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        other.wire.receive()
    other.wire.socket.settimeout(10)
    client.produce(topic, batch(b"y"))
    correlation, answer = other.wire.receive()
    assert correlation == asked
    assert offsets(answer.responses[0].partitions[0]) == [5, 6]


def test_14_waits_until_the_deadline(client: Client, topic: str) -> None:
    asked = client.wire.send(client.fetching((topic, 0, 5), wait_ms=_LONG_MS), 12)
    client.broker.advance(_LONG_MS / 1000 + 1)
    correlation, answer = client.wire.receive()
    assert correlation == asked
    part = answer.responses[0].partitions[0]
    assert (part.error_code, part.high_watermark, bytes(part.records)) == (0, 5, b"")


def test_15_out_of_range(client: Client, topic: str) -> None:
    for offset in (-1, 6, 2**62):
        answer = client.fetch_one(topic, offset)
        assert (answer.error_code, answer.high_watermark) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    at_the_end = client.fetch_one(topic, 5)
    assert (at_the_end.error_code, bytes(at_the_end.records), at_the_end.high_watermark) == (0, b"", 5)


@pytest.mark.parametrize("version", [4, 12, 18])
def test_16_without_transactions_both_levels_read_the_same(client: Client, topic: str, version: int) -> None:
    plain, committed = (client.fetch_one(topic, 0, isolation=i, version=version) for i in (0, 1))
    assert offsets(plain) == offsets(committed) == [0, 1, 2, 3, 4]
    assert plain.aborted_transactions is None  # the uncommitted level gets no list
    assert committed.aborted_transactions == []
    assert committed.last_stable_offset == 5


def test_unknown_topics_and_ids(client: Client, topic: str) -> None:
    assert client.fetch_one(unique("unknown"), 0).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    client.ids["x"] = UNKNOWN_ID
    assert client.fetch_one("x", 0, version=13).error_code == ErrorCode.UNKNOWN_TOPIC_ID
    assert offsets(client.fetch_one(topic, 0, partition=1, version=13)) == [0]


# --- 17: sessions ---------------------------------------------------------------------------------------------

class Session:
    """Fetch within a session; each call steps the epoch."""

    def __init__(self, client: Client, *asked: tuple[str, int, int], version: int = 12) -> None:
        self.client, self.version = client, version
        first = client.fetch(*asked, epoch=0, version=version)
        self.id, self.epoch, self.first = first.session_id, 1, first
        assert self.id != 0

    def fetch(self, *asked: tuple[str, int, int], forget: tuple[str, int] | None = None, **more: Any) -> Any:
        request = self.client.fetching(*asked, session=self.id, epoch=self.epoch, **more)
        if forget is not None:
            name, partition = forget
            request.forgotten_topics_data = [ForgottenTopic(name, self.client.ids[name], [partition])]
        answer = self.client.wire.request(request, self.version)
        self.epoch += 1
        assert answer.session_id == self.id
        return {p.partition_index: p for t in answer.responses for p in t.partitions}


@pytest.mark.parametrize("version", [7, 12, 13, 18])
def test_17_a_session_remembers_and_tells_what_changed(client: Client, topic: str, version: int) -> None:
    session = Session(client, (topic, 0, 5), (topic, 1, 1), version=version)
    assert len(session.first.responses) >= 1
    assert session.fetch() == {}
    client.produce(topic, batch(b"g"))
    assert offsets(session.fetch()[0]) == [5]
    assert offsets(session.fetch()[0]) == [5]  # it was not told that the client moved on
    assert session.fetch((topic, 0, 6)) == {}
    client.produce(topic, batch(b"h"), partition=1)
    assert list(session.fetch()) == [1]
    assert session.fetch(forget=(topic, 1)) == {}
    unknown = session.fetch((topic, 9, 0))
    assert unknown[9].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert list(session.fetch()) == [9]  # an error is told each time


@pytest.mark.parametrize("version", [7, 12, 18])
def test_17_the_errors_of_sessions(client: Client, topic: str, version: int) -> None:
    def code(session: int, epoch: int, at: int = version) -> tuple[int, int]:
        answer = client.fetch(session=session, epoch=epoch, version=at)
        return answer.error_code, answer.session_id

    session = Session(client, (topic, 0, 5), version=version)
    assert code(session.id ^ 1, 1) == (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0)
    assert code(session.id, 7) == (ErrorCode.INVALID_FETCH_SESSION_EPOCH, 0)
    other_kind = 13 if version < 13 else 12
    assert code(session.id, 1, other_kind) == (ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR, 0)
    assert session.fetch() == {}  # the errors left it as it was


def test_17_a_full_fetch_closes_the_session_that_it_names(client: Client, topic: str) -> None:
    for epoch, makes_one in ((-1, False), (0, True)):
        session = Session(client, (topic, 0, 5))
        answer = client.fetch((topic, 1, 0), session=session.id, epoch=epoch)
        assert (answer.session_id != 0) == makes_one
        assert answer.session_id != session.id
        gone = client.fetch(session=session.id, epoch=1)
        assert gone.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_17_the_deleted_topic_of_a_session_is_an_error(client: Client, topic: str) -> None:
    session = Session(client, (topic, 0, 5))
    client.broker.delete_topic(topic)
    assert session.fetch()[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


# --- 18: leader epochs ----------------------------------------------------------------------------------------

def test_18_leader_epochs_are_compared(client: Client, topic: str) -> None:
    assert client.fetch_one(topic, 0, leader_epoch=0).error_code == 0
    assert client.fetch_one(topic, 0, leader_epoch=7).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert client.offset(topic, -1, epoch=7).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_18_after_a_crash_the_old_epoch_is_fenced_and_divergence_is_told(client: Client) -> None:
    from barnabas.embedded import Broker

    with Broker() as broker:
        with Client(broker) as before:
            topic = before.topic()
            before.produce(topic, batch(b"a", b"b"))
        broker.kill()
        broker.start()
        with Client(broker) as after:
            assert after.fetch_one(topic, 0, leader_epoch=0).error_code == ErrorCode.FENCED_LEADER_EPOCH
            assert after.fetch_one(topic, 0, leader_epoch=1).error_code == 0
            after.produce(topic, batch(b"c"))
            diverged = after.fetch_one(topic, 3, last_epoch=0)
            assert (diverged.diverging_epoch.epoch, diverged.diverging_epoch.end_offset) == (0, 2)
            assert bytes(diverged.records) == b""
            assert offsets(after.fetch_one(topic, 2, last_epoch=0)) == [2]
            future = after.fetch_one(topic, 3, last_epoch=9)
            assert future.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
            asked = [OffsetForLeaderPartition(0, -1, epoch) for epoch in (0, 1, 9, -1)]
            for part, expected in zip(asked, [(0, 2), (1, 3), (-1, -1), (-1, -1)], strict=True):
                request = OffsetForLeaderEpochRequest(-1, [OffsetForLeaderTopic(topic, [part])])
                found = after.wire.request(request, 4).topics[0].partitions[0]
                assert (found.leader_epoch, found.end_offset) == expected


def test_a_partition_named_twice_is_answered_once(client: Client, topic: str) -> None:
    parts = [FetchPartition(0, -1, offset, -1, -1, 1 << 20) for offset in (0, 3)]
    request = FetchRequest(None, -1, None, 0, 1, 1 << 20, 0, 0, -1, [FetchTopic(topic, client.ids[topic], parts)])
    (found,) = client.wire.request(request, 12).responses[0].partitions
    assert offsets(found) == [3, 4]
