"""Behaviours 21 to 24 of one group: states, timers, static members, failing leaders and disks."""

from __future__ import annotations

from random import Random

import pytest

from barnabas.groups.classic import COMPLETING, EMPTY, PREPARING, STABLE
from barnabas.protocol.errors import ErrorCode

from .bench import Bench, Join, Sync
from .client import subscription

FENCED, UNKNOWN, ILLEGAL = ErrorCode.FENCED_INSTANCE_ID, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION
REBALANCE = ErrorCode.REBALANCE_IN_PROGRESS


# --- joining --------------------------------------------------------------------------------------------------

def test_21_from_version_4_on_a_new_member_is_told_its_id_first() -> None:
    bench = Bench()
    assert bench.join(version=3).code == 0
    told = bench.join(version=4, client_id="me")
    assert told.code == ErrorCode.MEMBER_ID_REQUIRED
    assert told.answer.member_id.startswith("me-")
    assert told.answer.members == []


def test_21_a_pending_member_expires() -> None:
    bench = Bench()
    told = bench.join(session_ms=10_000)
    bench.advance(9)
    assert bench.join(told.answer.member_id).code == 0
    late = bench.join(session_ms=10_000)
    bench.advance(11)
    assert bench.join(late.answer.member_id).code == UNKNOWN


def test_21_static_members_are_not_told_first() -> None:
    assert Bench().join(instance="i").code == 0


def test_21_only_the_leader_gets_the_members() -> None:
    bench = Bench()
    leader, follower = bench.stable(2)
    assert leader.leader == follower.leader == leader.member_id
    assert {m.member_id for m in leader.members} == {leader.member_id, follower.member_id}
    assert follower.members == []


def test_21_a_member_without_an_assignment_gets_an_empty_one() -> None:
    bench = Bench()
    one = bench.member()
    two = bench.member()
    one = bench.join(one.answer.member_id)
    waiting = bench.sync(two.answer)
    assert waiting.waits
    assert bench.sync(one.answer, {one.answer.member_id: b"all", "nobody": b"x"}).answer.assignment == b"all"
    assert (waiting.code, waiting.answer.assignment) == (0, b"")


def test_the_protocol_is_one_that_all_support_and_most_prefer() -> None:
    bench = Bench()
    offers = [{"a": b"", "b": b"1", "c": b""}, {"c": b"", "b": b"2"}, {"b": b"3", "c": b""}]
    joins = [bench.member(protocols=offer) for offer in offers]
    joins[0] = bench.join(joins[0].answer.member_id, protocols=offers[0])
    assert {j.answer.protocol_name for j in joins} == {"b"}
    leader = next(j.answer for j in joins if j.answer.members)
    assert sorted(m.metadata for m in leader.members) == [b"1", b"2", b"3"]


def test_a_member_of_another_kind_is_refused() -> None:
    bench = Bench()
    bench.stable()
    assert bench.join(kind="connect").code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert bench.join(protocols={"other": b""}).code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_the_size_of_a_group_is_limited() -> None:
    bench = Bench(max_size=2)
    bench.stable(2)
    assert bench.join().code == ErrorCode.GROUP_MAX_SIZE_REACHED


@pytest.mark.parametrize("session_ms", [5999, 1_800_001, 0, -1])
def test_a_session_timeout_out_of_bounds_is_refused(session_ms: int) -> None:
    assert Bench().join(session_ms=session_ms).code == ErrorCode.INVALID_SESSION_TIMEOUT


# --- rebalances -----------------------------------------------------------------------------------------------

def test_22_heartbeats_while_a_group_rebalances() -> None:
    bench = Bench()
    (one,) = bench.stable()
    two = bench.member()
    assert (bench.state, two.waits) == (PREPARING, True)
    assert bench.heartbeat(one) == REBALANCE
    again = bench.join(one.member_id).answer
    assert bench.state == COMPLETING
    assert bench.heartbeat(again) == ErrorCode.NONE
    assert bench.heartbeat(one) == ILLEGAL
    bench.sync(again)
    assert bench.heartbeat(again) == ErrorCode.NONE


def test_23_the_first_rebalance_waits_for_others() -> None:
    bench = Bench(initial_rebalance_delay_ms=3000)
    one = bench.member()
    bench.advance(2)
    two = bench.member()
    bench.advance(1.5)
    assert one.waits and two.waits  # somebody came: another delay
    bench.advance(3)
    assert not one.waits and not two.waits
    assert len(one.answer.members) == 2


def test_23_it_waits_no_longer_than_the_rebalance_timeout() -> None:
    bench = Bench(initial_rebalance_delay_ms=3000)
    joins = [bench.member(rebalance_ms=10_000)]
    for _ in range(5):
        bench.advance(2)
        joins.append(bench.member(rebalance_ms=10_000))
    bench.advance(0.5)
    assert not joins[0].waits


def test_23_with_no_delay_an_empty_group_waits_for_nobody() -> None:
    bench = Bench()
    bench.join()  # pending, and never heard of again
    assert bench.member().code == 0


def test_a_rebalance_waits_for_pending_members_until_they_expire() -> None:
    bench = Bench()
    one, two = bench.stable(2)
    told = bench.join(session_ms=6000)
    joins = [bench.join(m.member_id) for m in (one, two)]
    assert all(j.waits for j in joins)
    bench.advance(5)
    assert all(j.waits for j in joins)
    bench.advance(2)
    assert [j.code for j in joins] == [0, 0]
    assert bench.join(told.answer.member_id).code == UNKNOWN


def test_who_does_not_rejoin_in_time_is_out() -> None:
    bench = Bench()
    one, two = bench.stable(2, session_ms=100_000, rebalance_ms=20_000)
    third = bench.member(session_ms=100_000, rebalance_ms=20_000)
    again = bench.join(one.member_id, session_ms=100_000, rebalance_ms=20_000)
    bench.advance(19)
    assert again.waits and third.waits
    bench.advance(2)
    assert {m.member_id for m in again.answer.members} == {one.member_id, third.answer.member_id}
    assert bench.heartbeat(two) == UNKNOWN


def test_a_leader_that_fails_is_replaced() -> None:
    bench = Bench()
    leader, follower = bench.stable(2)
    for _ in range(4):
        bench.advance(4)
        if bench.heartbeat(follower) == REBALANCE:
            break
    again = bench.join(follower.member_id).answer
    assert (again.leader, len(again.members)) == (follower.member_id, 1)
    assert bench.heartbeat(leader) == UNKNOWN


def test_a_leader_that_fails_before_it_hands_out_the_assignment() -> None:
    bench = Bench()
    one = bench.member()
    two = bench.member()
    one = bench.join(one.answer.member_id)
    waiting = bench.sync(two.answer)
    bench.advance(11)
    assert waiting.code == REBALANCE
    again = bench.join(two.answer.member_id)
    assert again.answer.leader == two.answer.member_id
    assert bench.heartbeat(one.answer) == UNKNOWN


def test_who_does_not_sync_in_time_is_out() -> None:
    """It sends heartbeats, and yet never asks for its assignment (KIP-814's pending syncs)."""
    bench = Bench()
    joins = [bench.member(rebalance_ms=20_000)]
    joins.append(bench.member(rebalance_ms=20_000))
    joins[0] = bench.join(joins[0].answer.member_id, rebalance_ms=20_000)
    leader, idle = (j.answer for j in joins)
    bench.sync(leader)
    for _ in range(6):
        bench.advance(4)
        bench.heartbeat(leader)
        bench.heartbeat(idle)
    assert bench.heartbeat(idle) == UNKNOWN
    assert bench.heartbeat(leader) == REBALANCE


def test_a_leave_makes_the_others_rebalance() -> None:
    bench = Bench()
    one, two = bench.stable(2)
    assert bench.leave(two.member_id) == 0
    assert bench.leave(two.member_id) == UNKNOWN
    assert bench.heartbeat(one) == REBALANCE
    assert len(bench.join(one.member_id).answer.members) == 1


def test_when_the_last_member_leaves_the_group_is_empty() -> None:
    bench = Bench()
    (one,) = bench.stable()
    bench.leave(one.member_id)
    assert bench.state == EMPTY
    assert bench.heartbeat(one) == UNKNOWN
    assert bench.join(one.member_id).code == UNKNOWN
    assert bench.member().answer.generation_id == one.generation_id + 2  # the empty generation counts too


def test_a_rejoin_with_nothing_new_changes_nothing_for_a_follower() -> None:
    bench = Bench()
    leader, follower = bench.stable(2)
    again = bench.join(follower.member_id)
    assert (again.code, again.answer.generation_id, bench.state) == (0, follower.generation_id, STABLE)
    assert bench.join(follower.member_id, protocols={"range": b"new"}).waits
    assert bench.heartbeat(leader) == REBALANCE


def test_a_rejoin_of_the_leader_rebalances() -> None:
    bench = Bench()
    leader, follower = bench.stable(2)
    assert bench.join(leader.member_id).waits
    assert bench.heartbeat(follower) == REBALANCE


def test_a_lost_answer_to_a_join_is_given_again() -> None:
    bench = Bench()
    one = bench.member()
    again = bench.join(one.answer.member_id)
    assert (again.code, again.answer.generation_id, bench.state) == (0, one.answer.generation_id, COMPLETING)
    assert again.answer.members


def test_a_repeated_join_replaces_the_first() -> None:
    bench = Bench()
    one, two = bench.stable(2)
    first = bench.join(one.member_id)
    second = bench.join(one.member_id)
    assert first.code == UNKNOWN and second.waits
    bench.join(two.member_id)
    assert second.code == 0


def test_syncs_of_other_generations_are_refused() -> None:
    bench = Bench()
    (one,) = bench.stable()
    old = one.generation_id
    one.generation_id = 7
    assert bench.sync(one).code == ILLEGAL
    one.generation_id = old
    assert bench.sync(one).answer.assignment == f"of {one.member_id}".encode()
    bench.member()
    assert bench.sync(one).code == REBALANCE


def test_waiting_for_a_rebalance_keeps_a_member_alive() -> None:
    bench = Bench()
    one, two = bench.stable(2, session_ms=6000, rebalance_ms=60_000)
    again = bench.join(one.member_id, session_ms=6000)
    for _ in range(5):
        bench.advance(5)
        assert bench.heartbeat(two) == REBALANCE
    assert again.waits
    bench.join(two.member_id, session_ms=6000)
    assert again.code == 0


def test_waiting_for_the_assignment_keeps_a_member_alive() -> None:
    bench = Bench()
    one = bench.member()
    two = bench.member()
    one = bench.join(one.answer.member_id)
    waiting = bench.sync(two.answer)
    for _ in range(6):
        bench.advance(5)
        assert bench.heartbeat(one.answer) == ErrorCode.NONE
    bench.sync(one.answer, {two.answer.member_id: b"mine"})
    assert waiting.answer.assignment == b"mine"


def test_elsewhere_concurrent_rebalances_lose_nobody() -> None:
    """UNKNOWN_MEMBER_ID during concurrent rebalances."""
    bench = Bench()
    members = bench.stable(3)
    for _ in range(5):
        joins = [bench.member(), *(bench.join(m.member_id) for m in members)]
        assert [j.code for j in joins] == [0] * len(joins)
        members = [j.answer for j in joins]
        leader = next(m for m in members if m.members)
        syncs = [bench.sync(m) for m in members if m is not leader]
        bench.sync(leader, {m.member_id: b"x" for m in members})
        assert [s.code for s in syncs] == [0] * len(syncs)
        members = members[-3:] if leader in members[-3:] else [leader, *members[-2:]]
        for m in {m.member_id for m in (j.answer for j in joins)} - {m.member_id for m in members}:
            assert bench.leave(m) == 0


# --- static members -------------------------------------------------------------------------------------------

def test_24_a_static_member_that_comes_back_causes_no_rebalance() -> None:
    bench = Bench()
    leader, _ = bench.stable(2)
    static = bench.join(instance="i")
    joins = [bench.join(m.member_id) for m in (leader, _)]
    answers = [static.answer, *(j.answer for j in joins)]
    head = next(a for a in answers if a.members)
    for a in (head, *answers):
        given = {m.member_id: m.member_id.encode() for m in a.members}
        bench.sync(a, given, instance="i" if a is static.answer else None)
    back = bench.join(instance="i")
    assert (back.code, back.answer.generation_id, bench.state) == (0, static.answer.generation_id, STABLE)
    assert back.answer.member_id != static.answer.member_id
    assert bench.sync(back.answer, instance="i").answer.assignment == static.answer.member_id.encode()
    assert bench.heartbeat(static.answer, "i") == FENCED
    assert bench.heartbeat(static.answer) == UNKNOWN
    assert bench.heartbeat(back.answer, "i") == ErrorCode.NONE


@pytest.mark.parametrize("version", [5, 8, 9])
def test_24_a_static_leader_that_comes_back(version: int) -> None:
    bench = Bench()
    first = bench.join(instance="i").answer
    bench.sync(first, {first.member_id: b"mine"}, instance="i")
    back = bench.join(instance="i", version=version).answer
    if version >= 9:  # it is the leader and need not assign
        assert (back.leader, back.skip_assignment, len(back.members)) == (back.member_id, True, 1)
    else:  # it takes itself for a follower
        assert (back.leader, back.skip_assignment, back.members) == (first.member_id, False, [])
    assert bench.sync(back, instance="i").answer.assignment == b"mine"


def test_24_with_another_protocol_it_rebalances() -> None:
    bench = Bench()
    first = bench.join(instance="i").answer
    bench.sync(first, instance="i")
    back = bench.join(instance="i", protocols={"sticky": b"", "range": b""})
    assert (back.answer.generation_id, back.answer.protocol_name) == (first.generation_id + 1, "sticky")


def test_24_a_waiting_request_of_the_old_one_is_fenced() -> None:
    bench = Bench()
    bench.stable(1)
    waiting = bench.join(instance="i")
    assert waiting.waits
    bench.join(instance="i")
    assert waiting.code == FENCED


def test_24_a_wrong_member_id_of_an_instance_is_fenced() -> None:
    bench = Bench()
    first = bench.join(instance="i").answer
    bench.sync(first, instance="i")
    first.member_id = "x"
    assert bench.heartbeat(first, "i") == FENCED
    assert bench.sync(first, instance="i").code == FENCED
    assert bench.join("x", instance="i").code == FENCED
    assert bench.leave("x", "i") == FENCED
    assert bench.commit(1, member="x", generation=first.generation_id, instance="i") == FENCED
    assert bench.heartbeat(first, "j") == UNKNOWN


def test_24_a_static_member_leaves_by_its_instance_or_expires() -> None:
    bench = Bench()
    bench.join(instance="i")
    assert bench.leave("", "j") == UNKNOWN
    assert bench.leave("", "i") == 0
    assert bench.state == EMPTY
    first = bench.join(instance="i").answer
    bench.sync(first, instance="i")
    bench.advance(11)
    assert bench.state == EMPTY


def test_24_a_rebalance_keeps_the_place_of_an_absent_static_member() -> None:
    bench = Bench()
    static = bench.join(instance="i", session_ms=600_000, rebalance_ms=10_000).answer
    bench.sync(static, instance="i")
    dynamic = bench.member(session_ms=600_000, rebalance_ms=10_000)
    bench.advance(11)
    assert dynamic.code == 0
    assert {m.group_instance_id for m in dynamic.answer.members} == {None, "i"}


# --- disks and restarts ---------------------------------------------------------------------------------------

def test_an_assignment_that_cannot_be_written_is_not_handed_out() -> None:
    bench = Bench()
    one = bench.member()
    two = bench.member()
    one = bench.join(one.answer.member_id)
    waiting = bench.sync(two.answer)
    bench.failing = True
    assert bench.sync(one.answer, {two.answer.member_id: b"x"}).code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert waiting.code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert bench.state == PREPARING
    bench.failing = False
    joins = [bench.join(j.answer.member_id).answer if not j.waits else j for j in (one, two)]
    assert bench.state == COMPLETING and len(joins) == 2


def test_24_a_static_member_whose_return_cannot_be_written_has_not_returned() -> None:
    bench = Bench()
    first = bench.join(instance="i").answer
    bench.sync(first, {first.member_id: b"mine"}, instance="i")
    bench.failing = True
    assert bench.join(instance="i").code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    bench.failing = False
    assert bench.heartbeat(first, "i") == ErrorCode.NONE
    assert bench.sync(first, instance="i").answer.assignment == b"mine"


def test_a_restart_finds_the_generation_as_it_was() -> None:
    bench = Bench()
    leader, follower = bench.stable(2, protocols={"range": subscription("t")})
    before = bench.coordinator.describe("g")
    bench.coordinator.close()
    bench.coordinator = bench.replayed()
    bench.coordinator.resume()
    after = bench.coordinator.describe("g")
    assert after == before
    assert bench.heartbeat(leader) == bench.heartbeat(follower) == ErrorCode.NONE
    assert bench.sync(follower).answer.assignment == f"of {follower.member_id}".encode()
    bench.advance(11)
    assert bench.state == EMPTY  # sessions began with the restart


def test_a_restart_finds_static_members() -> None:
    bench = Bench()
    first = bench.join(instance="i").answer
    bench.sync(first, {first.member_id: b"mine"}, instance="i")
    second = bench.join(instance="i").answer
    bench.coordinator = bench.replayed()
    bench.coordinator.resume()
    assert bench.heartbeat(second, "i") == ErrorCode.NONE
    assert bench.heartbeat(first, "i") == FENCED
    assert bench.join(instance="i").answer.generation_id == first.generation_id


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_every_request_is_answered_once(seed: int) -> None:
    """Do odd things in any order; `Bench` checks each answer. In the end all are answered, and a replay agrees."""
    chance = Random(seed)
    bench = Bench(initial_rebalance_delay_ms=chance.choice((0, 0, 3000)), max_size=chance.choice((3, 100)))
    known: list[tuple[Join, str | None]] = []
    for _ in range(500):
        bench.failing = chance.random() < 0.05
        good = [k for k in known[-6:] if k[0].answer is not None and k[0].code == 0]
        likely = good if good and chance.random() < 0.7 else known[-6:]
        reply, instance = chance.choice(likely) if likely else (None, None)
        me = reply.answer if reply is not None else None
        protocols = {chance.choice(("range", "sticky")): chance.choice((b"1", b"2")), "last": b""}
        move = chance.randrange(10)
        if move == 0 or me is None:
            instance = chance.choice((None, None, "i", "j"))
            joined = bench.join(instance=instance, protocols=protocols, version=chance.choice((2, 5, 9)))
            known.append((joined, instance))
        elif move <= 3:
            known.append((bench.join(me.member_id, instance=instance, protocols=protocols), instance))
        elif move <= 6 and me.error_code == 0:
            given = {m.member_id: chance.randbytes(2) for m in me.members}
            bench.sync(me, given, instance=instance)
        elif move == 7:
            bench.heartbeat(me, instance)
        elif move == 8 and chance.random() < 0.3:
            bench.leave(me.member_id, instance)
        else:
            bench.commit(chance.randrange(100), member=me.member_id, generation=me.generation_id, instance=instance)
            bench.advance(chance.choice((0, 0.1, 3, 12)))
        if bench.state == STABLE and not bench.failing:
            group, again = bench.coordinator.groups["g"], bench.replayed().groups["g"]
            assert (again.generation, again.protocol, set(again.members)) == (
                group.generation, group.protocol, set(group.members)
            )
            assert {m.id: m.assignment for m in again.members.values()} == {
                m.id: m.assignment for m in group.members.values()
            }
    bench.failing = False
    bench.advance(10_000)
    assert [r for r in bench.replies if r.waits] == []
    assert bench.state in (EMPTY, "Dead")
    assert bench.replayed().offsets == bench.coordinator.offsets
    assert bench.timers.next_deadline() is None  # no timer is left behind
    assert any(isinstance(r, Sync) and r.code == 0 for r in bench.replies)
