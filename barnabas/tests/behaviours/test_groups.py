"""Behaviours 21 to 27 over the wire: what clients of each version see of a group."""

from __future__ import annotations

from typing import Any

import pytest

from barnabas.embedded import Broker
from barnabas.handlers.registry import ROUTES
from barnabas.protocol.api import Key
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.delete_groups import DeleteGroupsRequest
from barnabas.protocol.messages.describe_groups import DescribeGroupsRequest
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from barnabas.protocol.messages.list_groups import ListGroupsRequest
from barnabas.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from barnabas.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from barnabas.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)

from .client import UNKNOWN_ID, Client, joining, subscription, syncing, unique

UNKNOWN = ErrorCode.UNKNOWN_MEMBER_ID


@pytest.fixture
def group() -> str:
    """Return the name of a group of its own."""
    return unique("group")


def described(client: Client, group: str, version: int = 6) -> Any:
    return client.wire.request(DescribeGroupsRequest([group], True), version).groups[0]


# --- 21 to 24 -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", range(10))
def test_21_each_version_of_join_and_sync(client: Client, group: str, version: int) -> None:
    answer = client.join(group, version=version)
    if version >= 4:
        assert answer.error_code == ErrorCode.MEMBER_ID_REQUIRED
        assert answer.protocol_name is None if version >= 7 else answer.protocol_name == ""
        answer = client.join(group, answer.member_id, version=version)
    assert (answer.error_code, answer.generation_id, answer.leader) == (0, 1, answer.member_id)
    assert answer.protocol_name == "range"
    assert [(m.member_id, m.metadata) for m in answer.members] == [(answer.member_id, b"m")]
    assert answer.skip_assignment is False
    synced = client.sync(group, answer, {answer.member_id: b"mine"}, version=5 if version >= 7 else min(version, 4))
    assert (synced.error_code, synced.assignment) == (0, b"mine")
    assert client.heartbeat(group, answer.member_id, 1, version=min(version, 4)) == 0


def test_21_a_pending_member_expires(broker: Broker, client: Client, group: str) -> None:
    told = client.join(group, session_ms=10_000)
    broker.advance(11)
    assert client.join(group, told.member_id).error_code == UNKNOWN


def test_22_two_members_rebalance(client: Client, other: Client, group: str) -> None:
    one = client.member(group)
    assert client.sync(group, one, {one.member_id: b"all"}).error_code == 0
    told = other.join(group)
    asked = other.wire.send(joining(group, told.member_id), 9)
    while client.heartbeat(group, one.member_id, 1) == 0:
        pass  # the join is on its way
    assert client.heartbeat(group, one.member_id, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    assert described(client, group).group_state == "PreparingRebalance"
    again = client.join(group, one.member_id)
    correlation, two = other.wire.receive()
    assert (correlation, two.members, two.leader) == (asked, [], again.leader)
    assert (again.generation_id, two.generation_id, len(again.members)) == (2, 2, 2)
    assert client.heartbeat(group, one.member_id, 2) == 0
    other.wire.send(syncing(group, two), 5)
    mine = client.sync(group, again, {one.member_id: b"1", two.member_id: b"2"})
    assert (mine.assignment, other.wire.receive()[1].assignment) == (b"1", b"2")
    assert client.leave(group, two.member_id).members[0].error_code == 0
    assert client.heartbeat(group, one.member_id, 2) == ErrorCode.REBALANCE_IN_PROGRESS


def test_22_a_member_without_heartbeats_is_out(broker: Broker, client: Client, group: str) -> None:
    one = client.member(group)
    client.sync(group, one)
    broker.advance(9)
    assert client.heartbeat(group, one.member_id, 1) == 0
    broker.advance(9)
    assert client.heartbeat(group, one.member_id, 1) == 0
    broker.advance(11)
    assert client.heartbeat(group, one.member_id, 1) == UNKNOWN
    assert described(client, group).group_state == "Empty"


def test_22_a_connection_that_goes_while_it_joins_holds_nobody_up(
    broker: Broker, client: Client, other: Client, group: str
) -> None:
    one = client.member(group, rebalance_ms=20_000)
    client.sync(group, one)
    told = other.join(group, rebalance_ms=20_000)
    other.wire.send(joining(group, told.member_id, rebalance_ms=20_000), 9)
    other.wire.close()
    while client.heartbeat(group, one.member_id, 1) == 0:
        pass
    again = client.join(group, one.member_id, rebalance_ms=20_000)
    assert len(again.members) == 2  # nobody knows yet that it is gone
    waiting = syncing(group, again, {one.member_id: b"x"})
    assert client.wire.request(waiting, 5).error_code == 0
    for _ in range(3):
        broker.advance(4)
        client.heartbeat(group, one.member_id, 2)
    assert client.heartbeat(group, one.member_id, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    assert len(client.join(group, one.member_id).members) == 1


def test_23_the_first_rebalance_waits_for_the_configured_time(group: str) -> None:
    with Broker(properties={"group.initial.rebalance.delay.ms": "3000"}) as broker, Client(broker) as client:
        told = client.join(group)
        asked = client.wire.send(joining(group, told.member_id), 9)
        with Client(broker) as other:
            while not described(other, group).members:
                pass
            assert described(other, group).group_state == "PreparingRebalance"
        broker.advance(3.1)
        broker.advance(3.1)
        correlation, answer = client.wire.receive()
        assert (correlation, answer.error_code) == (asked, 0)


def test_24_a_static_member_comes_back(client: Client, group: str) -> None:
    one = client.join(group, instance="i")
    client.sync(group, one, {one.member_id: b"mine"}, instance="i")
    back = client.join(group, instance="i")
    assert (back.error_code, back.generation_id, back.skip_assignment) == (0, 1, True)
    assert client.heartbeat(group, one.member_id, 1, "i") == ErrorCode.FENCED_INSTANCE_ID
    assert client.commit(group, client.topic(), 1, member=one.member_id, generation=1, instance="i") == 82
    assert client.sync(group, back, instance="i").assignment == b"mine"
    left = client.leave(group, "", "i").members
    assert [(m.member_id, m.group_instance_id, m.error_code) for m in left] == [("", "i", 0)]


@pytest.mark.parametrize("version", range(6))
def test_asked_of_kafka_the_leave_of_an_unknown_member(client: Client, group: str, version: int) -> None:
    for name in (group, unique("other")):
        client.commit(group, client.topic(), 1)
        answer = client.leave(name, "x", version=version)
        if version <= 2:
            assert answer.error_code == UNKNOWN
        else:
            assert (answer.error_code, [m.error_code for m in answer.members]) == (0, [UNKNOWN])


def test_several_members_leave_at_once(client: Client, group: str) -> None:
    one = client.member(group)
    members = [MemberIdentity(one.member_id), MemberIdentity("x"), MemberIdentity(one.member_id)]
    answer = client.wire.request(LeaveGroupRequest(group, "", members), 5)
    assert [m.error_code for m in answer.members] == [0, UNKNOWN, UNKNOWN]
    assert client.wire.request(LeaveGroupRequest(group, "", []), 5).members == []
    assert client.wire.request(LeaveGroupRequest("", "", members), 5).error_code == ErrorCode.INVALID_GROUP_ID


# --- 25, 26: offsets ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", range(2, 11))
def test_25_a_simple_commit_makes_a_group(client: Client, group: str, version: int) -> None:
    topic = client.topic()
    assert client.commit(group, topic, 5, metadata="why ä", version=version) == 0
    found = client.committed(group, topic)
    assert (found.committed_offset, found.metadata, found.error_code) == (5, "why ä", 0)
    state = described(client, group)
    assert (state.group_state, state.protocol_type) == ("Empty", "")


@pytest.mark.parametrize(
    ("version", "code"),
    [(2, ErrorCode.ILLEGAL_GENERATION), (8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND),
     (10, ErrorCode.GROUP_ID_NOT_FOUND)],
)
def test_25_a_generation_of_no_group(client: Client, group: str, version: int, code: ErrorCode) -> None:
    assert client.commit(group, client.topic(), 5, member="m", generation=3, version=version) == code


def test_25_null_metadata_comes_back_empty(client: Client, group: str) -> None:
    topic = client.topic()
    client.commit(group, topic, 5, metadata=None)
    assert client.committed(group, topic).metadata == ""
    assert client.commit(group, topic, 6, metadata="x" * 4097) == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert client.committed(group, topic).committed_offset == 5


def test_25_unknown_topics_do_not_hold_up_the_others(client: Client, group: str) -> None:
    topic = client.topic()
    unknown = unique("unknown")
    topics = [
        OffsetCommitRequestTopic(topic, partitions=[OffsetCommitRequestPartition(i, 4) for i in (0, 9, -1)]),
        OffsetCommitRequestTopic(unknown, partitions=[OffsetCommitRequestPartition(0, 4)]),
        OffsetCommitRequestTopic(topic, partitions=[]),
    ]
    answer = client.wire.request(OffsetCommitRequest(group, -1, "", None, -1, topics), 9)
    assert [[p.error_code for p in t.partitions] for t in answer.topics] == [[0, 3, 3], [3]]
    # an unknown topic is told even where the group is refused as well
    answer = client.wire.request(OffsetCommitRequest(unique("no"), 3, "m", None, -1, topics), 9)
    assert [[p.error_code for p in t.partitions] for t in answer.topics] == [[69, 3, 3], [3]]
    assert client.commit(group, unknown, 1, version=10) == ErrorCode.UNKNOWN_TOPIC_ID


def test_25_commits_survive_a_restart() -> None:
    group = unique("group")
    with Broker() as broker:
        with Client(broker) as client:
            topic = client.topic()
            one = client.member(group)
            client.sync(group, one, {one.member_id: b"mine"})
            client.commit(group, topic, 7, member=one.member_id, generation=1, metadata="m")
        for stop in (broker.kill, broker.stop):
            if stop == broker.kill:
                broker.kill()
                broker.start()
            else:
                broker.restart()
            with Client(broker) as client:
                found = client.committed(group, topic)
                assert (found.committed_offset, found.metadata) == (7, "m")
                assert client.heartbeat(group, one.member_id, 1) == 0
                assert client.sync(group, one).assignment == b"mine"


@pytest.mark.parametrize("version", range(1, 11))
def test_26_offsets_are_fetched(client: Client, group: str, version: int) -> None:
    topic = client.topic(partitions=3)
    client.commit(group, topic, 5)
    client.commit(group, topic, 6, partition=2)
    old = [OffsetFetchRequestTopic(topic, [0, 1])]
    new = [OffsetFetchRequestTopics(topic, client.ids[topic], [0, 1])]

    def ask(topics: bool) -> Any:
        request = OffsetFetchRequest(
            group, old if topics else None, [OffsetFetchRequestGroup(group, None, -1, new if topics else None)]
        )
        answer = client.wire.request(request, version)
        found = answer if version < 8 else answer.groups[0]
        assert found.error_code == 0
        return found.topics

    found = ask(True)[0].partitions
    assert [(p.partition_index, p.committed_offset, p.error_code) for p in found] == [(0, 5, 0), (1, -1, 0)]
    if version >= 2:
        (every,) = ask(False)
        assert sorted((p.partition_index, p.committed_offset) for p in every.partitions) == [(0, 5), (2, 6)]


def test_26_several_groups_at_once(client: Client, group: str) -> None:
    topic = client.topic()
    client.commit(group, topic, 5)
    asked = [OffsetFetchRequestGroup(name, None, -1, None) for name in (group, unique("no"))]
    one, two = client.wire.request(OffsetFetchRequest("", None, asked), 9).groups
    assert (one.group_id, one.topics[0].partitions[0].committed_offset, two.topics) == (group, 5, [])
    by_id = [OffsetFetchRequestGroup(group, None, -1, [OffsetFetchRequestTopics("", UNKNOWN_ID, [0])])]
    (found,) = client.wire.request(OffsetFetchRequest("", None, by_id), 10).groups[0].topics
    assert found.partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_26_the_offsets_of_a_deleted_topic_are_gone(client: Client, group: str) -> None:
    topic = client.topic()
    client.commit(group, topic, 5)
    client.broker.delete_topic(topic)
    client.broker.create_topic(topic)
    assert client.committed(group, topic).committed_offset == -1


def test_offsets_are_deleted(client: Client, group: str) -> None:
    topic = client.topic(partitions=2)
    one = client.member(group, protocols={"range": subscription(topic)})
    client.sync(group, one)
    client.commit(group, topic, 1, member=one.member_id, generation=1)

    def drop(*partitions: int) -> Any:
        asked = [OffsetDeleteRequestTopic(topic, [OffsetDeleteRequestPartition(i) for i in partitions])]
        answer = client.wire.request(OffsetDeleteRequest(group, asked), 0)
        return answer.error_code, [p.error_code for t in answer.topics for p in t.partitions]

    assert drop(0, 9) == (0, [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
    client.leave(group, one.member_id)
    assert drop(0, 1) == (0, [0, 0])
    assert client.committed(group, topic).committed_offset == -1


# --- 27 and administration ------------------------------------------------------------------------------------

def test_27_the_new_protocol_is_only_advertised_once_it_is_served() -> None:
    assert (Key.CONSUMER_GROUP_HEARTBEAT in ROUTES) == (Key.CONSUMER_GROUP_DESCRIBE in ROUTES)
    assert Key.DESCRIBE_GROUPS in ROUTES  # the fall-back of ConsumerGroupDescribe


@pytest.mark.parametrize("version", range(7))
def test_asked_of_kafka_an_unknown_group_is_dead(client: Client, group: str, version: int) -> None:
    found = described(client, group, version)
    assert (found.group_state, found.members) == ("Dead", [])
    if version < 6:
        assert found.error_code == 0
    else:
        assert (found.error_code, found.error_message) == (69, f"Group {group} not found.")


def test_asked_of_kafka_session_timeouts_out_of_bounds(client: Client, group: str) -> None:
    for session_ms in (5999, 1_800_001, -1):
        assert client.join(group, session_ms=session_ms).error_code == ErrorCode.INVALID_SESSION_TIMEOUT


@pytest.mark.parametrize("version", range(7))
def test_the_coordinator_is_this_node(client: Client, group: str, version: int) -> None:
    answer = client.wire.request(FindCoordinatorRequest(group, 0, [group]), version)
    found = answer if version < 4 else answer.coordinators[0]
    assert (found.error_code, f"{found.host}:{found.port}") == (0, client.broker.bootstrap)
    assert found.node_id == client.metadata().brokers[0].node_id


def test_groups_are_listed_and_deleted(client: Client, group: str) -> None:
    def states(*wanted: str) -> dict[str, tuple[str, str]]:
        answer = client.wire.request(ListGroupsRequest(list(wanted)), 5)
        return {g.group_id: (g.group_state, g.group_type) for g in answer.groups}

    def delete(*names: str) -> dict[str, int]:
        return {r.group_id: r.error_code for r in client.wire.request(DeleteGroupsRequest(list(names)), 2).results}

    one = client.member(group)
    client.sync(group, one)
    assert states()[group] == states("stable")[group] == ("Stable", "classic")
    assert group not in states("Empty")
    missing = unique("no")
    assert delete(group, missing, group) == {
        group: ErrorCode.NON_EMPTY_GROUP, missing: ErrorCode.GROUP_ID_NOT_FOUND
    }
    client.leave(group, one.member_id)
    assert delete(group) == {group: 0}
    assert group not in states()
