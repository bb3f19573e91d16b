"""Ask about groups: the classic protocol in each state, committed offsets, administration."""

from __future__ import annotations

import struct
import time
from typing import Any

from barnabas.protocol.messages.delete_groups import DeleteGroupsRequest
from barnabas.protocol.messages.describe_groups import DescribeGroupsRequest
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.heartbeat import HeartbeatRequest
from barnabas.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
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
from barnabas.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

from .session import PATIENCE, Link, Session

UNKNOWN_ID = bytes(range(16))


def subscription(*topics: str) -> bytes:
    """Return the metadata of a consumer that is subscribed to topics."""
    names = b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


class Talk:
    """Speak of one group."""

    def __init__(self, session: Session, group: str) -> None:
        self.s = session
        self.group = group

    def joining(
        self, member: str = "", *, instance: str | None = None,
        protocols: tuple[tuple[str, bytes], ...] = (("range", b"m"),),
        kind: str = "consumer", session: int = 10_000, rebalance: int = 5000,
    ) -> JoinGroupRequest:
        offered = [JoinGroupRequestProtocol(n, m) for n, m in protocols]
        return JoinGroupRequest(self.group, session, rebalance, member, instance, kind, offered)

    def join(self, label: str, member: str = "", *, link: Link | None = None, **more: Any) -> Any:
        return self.s.ask(f"join, {label}", self.joining(member, **more), link=link)

    def member(self, label: str, **more: Any) -> Any:
        """Join as a new member, twice where the version wants that, and return the answer."""
        answer = self.join(label, **more)
        if answer.error_code == 79:
            answer = self.join(f"{label}, with the id", answer.member_id, **more)
        return answer

    def sync(
        self, label: str, member: str, generation: int, *, instance: str | None = None, kind: str | None = "consumer",
        protocol: str | None = "range", given: tuple[tuple[str, bytes], ...] = (), link: Link | None = None,
    ) -> Any:
        assignments = [SyncGroupRequestAssignment(m, a) for m, a in given]
        request = SyncGroupRequest(self.group, generation, member, instance, kind, protocol, assignments)
        return self.s.ask(f"sync, {label}", request, link=link)

    def beat(self, label: str, member: str, generation: int, instance: str | None = None) -> Any:
        return self.s.ask(f"heartbeat, {label}", HeartbeatRequest(self.group, generation, member, instance))

    def leave(self, label: str, *members: tuple[str, str | None]) -> Any:
        first = members[0][0] if members else ""
        return self.s.ask(
            f"leave, {label}", LeaveGroupRequest(self.group, first, [MemberIdentity(m, i, "why") for m, i in members])
        )

    def describe(self, label: str, operations: bool = False) -> Any:
        return self.s.ask(f"describe, {label}", DescribeGroupsRequest([self.group], operations))

    def listed(self, label: str, states: tuple[str, ...] = (), kinds: tuple[str, ...] = ()) -> Any:
        return self.s.ask(
            f"list, {label}", ListGroupsRequest(list(states), list(kinds)),
            only=lambda r: [r.error_code, [g for g in r.groups if g.group_id == self.group]],
        )

    def commit(
        self, label: str, topic: str, offset: int = 5, *, partition: int = 0, member: str = "", generation: int = -1,
        metadata: str | None = "", instance: str | None = None, epoch: int = -1, topic_id: bytes | None = None,
    ) -> Any:
        part = OffsetCommitRequestPartition(partition, offset, epoch, metadata)
        wanted = self.s.ids.get(topic, UNKNOWN_ID) if topic_id is None else topic_id
        topics = [OffsetCommitRequestTopic(topic, wanted, [part])]
        return self.s.ask(
            f"commit, {label}", OffsetCommitRequest(self.group, generation, member, instance, -1, topics)
        )

    def fetched(
        self, label: str, *topics: tuple[str, list[int]], everything: bool = False, stable: bool = False,
        member: str | None = None, epoch: int = -1,
    ) -> Any:
        old = None if everything else [OffsetFetchRequestTopic(n, p) for n, p in topics]
        new = None if everything else [
            OffsetFetchRequestTopics(n, self.s.ids.get(n, UNKNOWN_ID), p) for n, p in topics
        ]
        groups = [OffsetFetchRequestGroup(self.group, member, epoch, new)]
        return self.s.ask(f"offsets, {label}", OffsetFetchRequest(self.group, old, groups, stable))

    def drop(self, label: str, *topics: tuple[str, list[int]]) -> Any:
        asked = [OffsetDeleteRequestTopic(n, [OffsetDeleteRequestPartition(i) for i in p]) for n, p in topics]
        return self.s.ask(f"drop, {label}", OffsetDeleteRequest(self.group, asked))

    def delete(self, label: str) -> Any:
        return self.s.ask(f"delete, {label}", DeleteGroupsRequest([self.group]))


def warm(s: Session) -> None:
    """Make `__consumer_offsets` and wait until it is there: a first coordinator needs a moment."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        s.quiet(FindCoordinatorRequest(s.name("warm"), 0, [s.name("warm")]), version=4)
        if s.quiet(HeartbeatRequest(s.name("warm"), 0, "x"), version=4).error_code not in (14, 15, 16):
            return
    raise TimeoutError("no group coordinator")


def coordinator(s: Session) -> None:
    """FindCoordinator."""
    warm(s)
    for kind in (0, 3, -1, 7):
        s.ask(f"coordinator, kind {kind}", FindCoordinatorRequest("g", kind, ["g"]))
    s.ask("coordinator, empty key", FindCoordinatorRequest("", 0, [""]))
    s.ask("coordinator, several", FindCoordinatorRequest("g", 0, ["g", "h"]))
    s.ask("coordinator, one twice", FindCoordinatorRequest("g", 0, ["g", "g"]))
    s.ask("coordinator, none", FindCoordinatorRequest("g", 0, []))
    for key in ("", "x", "a:b:0", "g:AAAAAAAAAAAAAAAAAAAAAQ:0"):
        s.ask(f"coordinator, share key {key!r}", FindCoordinatorRequest(key, 2, [key]),
              only=lambda r: [r.error_code, [[c.key, c.error_code] for c in r.coordinators]])


def refusals(s: Session) -> None:
    """What is refused before a group exists, and by what a group is made."""
    warm(s)
    name = s.topic("t", 2)
    unknown = Talk(s, s.name("unknown"))
    nameless = Talk(s, "")
    for talk, what in ((unknown, "unknown group"), (nameless, "no group")):
        talk.beat(what, "m", 1)
        talk.beat(f"{what}, static", "m", 1, "i")
        talk.sync(what, "m", 1)
        talk.sync(f"{what}, without a protocol", "m", 1, kind=None, protocol=None)
        talk.leave(what, ("m", None))
        talk.leave(f"{what}, two", ("m", None), ("n", "i"))
        talk.leave(f"{what}, nobody")
        talk.describe(what)
        talk.describe(f"{what}, with operations", True)
        talk.join(f"{what}, with an id", "m")
        talk.commit(f"{what}, generation 3", name, member="m", generation=3)
        talk.commit(f"{what}, unknown topic, generation 3", s.name("nowhere"), member="m", generation=3)
        talk.commit(f"{what}, member without generation", name, member="m")
        talk.fetched(what, (name, [0, 1]))
        talk.fetched(f"{what}, everything", everything=True)
        talk.fetched(f"{what}, unknown topic", (s.name("nowhere"), [0]))
        talk.fetched(f"{what}, nothing")
        talk.fetched(f"{what}, as a member", (name, [0]), member="m", epoch=1)
        talk.drop(what, (name, [0]))
        talk.delete(what)
    for session in (0, -1, 5999, 6000, 1_800_000, 1_800_001):
        Talk(s, s.name(f"session{session}")).join(f"session {session}", session=session)
    for label, protocols, kind in (
        ("no protocols", (), "consumer"), ("no type", (("range", b""),), ""),
        ("an empty protocol", (("", b""),), "consumer"), ("neither", (), ""),
    ):
        Talk(s, s.name(label.replace(" ", ""))).join(label, protocols=protocols, kind=kind)
    for rebalance in (0, -1, 2**31 - 1):
        Talk(s, s.name(f"rebalance{rebalance}")).join(f"rebalance timeout {rebalance}", rebalance=rebalance)
    for instance in ("", "i" * 250, "a b", ".", "ok"):
        Talk(s, s.name(f"inst{len(instance)}{instance[:1] == 'a'}{instance[:1]=='.'}")).join(
            f"instance {instance[:3]!r} of {len(instance)}", instance=instance)


def simple(s: Session) -> None:
    """Offsets without members: commit, fetch, delete."""
    warm(s)
    name = s.topic("t", 2)
    g = Talk(s, s.name("simple"))
    g.commit("new", name, metadata="why")
    g.describe("simple group")
    g.listed("simple group")
    g.listed("empty ones", ("Empty",))
    g.listed("empty ones, lower case", ("empty",))
    g.listed("stable ones", ("Stable",))
    g.listed("unknown state", ("Nonsense",))
    g.listed("classic", (), ("classic",))
    g.listed("Classic", (), ("Classic",))
    g.listed("consumer", (), ("consumer",))
    g.listed("unknown type", (), ("nonsense",))
    g.fetched("both", (name, [0, 1]))
    g.fetched("stable", (name, [0]), stable=True)
    g.fetched("everything", everything=True)
    g.fetched("nothing")
    g.fetched("twice", (name, [0, 0]), (name, [0]))
    g.fetched("unknown partition", (name, [9, -1]))
    g.fetched("unknown topic", (s.name("nowhere"), [0]))
    g.fetched("as a member", (name, [0]), member="m", epoch=1)
    g.fetched("epoch without member", (name, [0]), epoch=1)
    g.commit("second", name, 7, partition=1, epoch=3)
    g.commit("offset -1", name, -1)
    g.commit("offset -7", name, -7)
    g.commit("offset 2**62", name, 2**62)
    g.commit("null metadata", name, metadata=None)
    g.fetched("after null", (name, [0, 1]))
    g.commit("long metadata", name, metadata="x" * 4096)
    g.commit("too long metadata", name, metadata="x" * 4097)
    g.commit("too long in bytes", name, metadata="ä" * 2049)
    g.commit("too many bytes", name, metadata="ä" * 4097)
    g.commit("unknown partition", name, partition=9)
    g.commit("negative partition", name, partition=-1)
    g.commit("unknown topic", s.name("nowhere"))
    g.commit("zero id", name, topic_id=bytes(16))
    g.commit("generation 0", name, generation=0)
    g.commit("with a member", name, member="m")
    g.commit("with a member and generation", name, member="m", generation=0)
    g.commit("with an instance", name, instance="i")
    g.commit("generation -2", name, generation=-2)
    s.ask("commit, nothing", OffsetCommitRequest(g.group, -1, "", None, -1, []))
    s.ask("commit, a topic of no partition",
          OffsetCommitRequest(g.group, -1, "", None, -1, [OffsetCommitRequestTopic(name, s.ids[name], [])]))
    mixed = [
        OffsetCommitRequestTopic(name, s.ids[name], [OffsetCommitRequestPartition(i, 4) for i in (0, 9)]),
        OffsetCommitRequestTopic(s.name("nowhere"), UNKNOWN_ID, [OffsetCommitRequestPartition(0, 4)]),
    ]
    s.ask("commit, good and bad", OffsetCommitRequest(g.group, -1, "", None, -1, mixed))
    doubled = [OffsetCommitRequestTopic(name, s.ids[name], [OffsetCommitRequestPartition(0, 4)] * 2)]
    s.ask("commit, a partition twice", OffsetCommitRequest(g.group, -1, "", None, -1, doubled))
    g.fetched("now", everything=True)
    g.beat("simple group", "m", 0)
    g.sync("simple group", "m", 0)
    g.leave("simple group", ("m", None))
    g.drop("nothing")
    g.drop("unknown topic", (s.name("nowhere"), [0]))
    g.drop("unknown partition", (name, [9]))
    g.drop("one and not", (name, [1, 9]))
    g.drop("again", (name, [1]))
    g.fetched("after that", everything=True)
    two = [OffsetFetchRequestGroup(g.group, None, -1, None), OffsetFetchRequestGroup("", None, -1, None),
           OffsetFetchRequestGroup(s.name("other"), None, -1, None), OffsetFetchRequestGroup(g.group, None, -1, [])]
    s.ask("offsets, several groups", OffsetFetchRequest("", None, two))
    s.ask("offsets, no group", OffsetFetchRequest("", None, []))
    g.drop("the last", (name, [0]))
    g.describe("without offsets")
    g.commit("once more", name)
    s.ask("describe, twice", DescribeGroupsRequest([g.group, g.group]))
    s.ask("describe, nobody", DescribeGroupsRequest([]))
    s.ask("delete, nobody", DeleteGroupsRequest([]))
    s.ask("delete, good and bad and twice", DeleteGroupsRequest([g.group, "", s.name("other"), g.group]))
    g.describe("deleted")
    g.fetched("deleted", everything=True)


def life(s: Session) -> None:
    """One member, from its join to its leave."""
    warm(s)
    name = s.topic("t", 2)
    other = s.topic("u", 1)
    g = Talk(s, s.name("life"))
    wanted = (("range", subscription(name)), ("sticky", b"2"))
    me = g.join("first", protocols=wanted)
    if me.error_code == 79:
        g.describe("pending")
        g.listed("pending")
        g.beat("pending", me.member_id, 0)
        g.sync("pending", me.member_id, 0)
        g.commit("pending", name, member=me.member_id, generation=0)
        g.commit("while one is pending", name)
        g.join("another, pending", protocols=wanted, kind="connect")
        g.delete("pending")
        me = g.join("with the id", me.member_id, protocols=wanted)
    g.describe("joined, not synced")
    g.listed("joined")
    g.beat("joined", me.member_id, me.generation_id)
    g.commit("not synced", name, member=me.member_id, generation=me.generation_id)
    g.commit("simple while not synced", name)
    g.join("joined, again the same", me.member_id, protocols=wanted)
    g.sync("wrong generation", me.member_id, 9)
    g.sync("unknown member", "x", me.generation_id)
    g.sync("other type", me.member_id, me.generation_id, kind="connect")
    g.sync("other protocol", me.member_id, me.generation_id, protocol="sticky")
    g.sync("null protocol", me.member_id, me.generation_id, kind=None, protocol=None)
    g.sync("good", me.member_id, me.generation_id, given=((me.member_id, b"mine"), ("nobody", b"x")))
    g.sync("again", me.member_id, me.generation_id)
    g.describe("stable", True)
    g.listed("stable")
    g.listed("only stable", ("Stable",))
    g.beat("stable", me.member_id, me.generation_id)
    g.beat("wrong generation", me.member_id, me.generation_id + 1)
    g.beat("generation -1", me.member_id, -1)
    g.beat("unknown member", "x", me.generation_id)
    g.beat("empty member", "", me.generation_id)
    g.beat("unknown instance", me.member_id, me.generation_id, "i")
    g.commit("member", name, member=me.member_id, generation=me.generation_id, metadata="m")
    g.commit("member, wrong generation", name, member=me.member_id, generation=9)
    g.commit("member, no generation", name, member=me.member_id)
    g.commit("unknown member", name, member="x", generation=me.generation_id)
    g.commit("empty member", name, generation=me.generation_id)
    g.commit("simple into an active group", name)
    g.commit("unknown instance", name, member=me.member_id, generation=me.generation_id, instance="i")
    g.fetched("as the member", (name, [0]), member=me.member_id, epoch=me.generation_id)
    g.drop("subscribed", (name, [0]))
    g.drop("not subscribed", (other, [0]))
    g.drop("both", (name, [0]), (other, [0]))
    g.delete("active")
    g.join("other type", kind="connect")
    g.join("other protocol", protocols=(("roundrobin", b""),))
    g.join("unknown id", "x", protocols=wanted)
    g.join("leader, the same", me.member_id, protocols=wanted)
    g.beat("after the leader rejoined", me.member_id, me.generation_id)
    me = g.join("leader, other metadata", me.member_id, protocols=(("range", subscription(name, other)),))
    g.beat("next generation", me.member_id, me.generation_id)
    g.sync("without assignments", me.member_id, me.generation_id)
    g.describe("no assignment")
    g.leave("unknown member", ("x", None))
    g.leave("empty member", ("", None))
    g.leave("unknown instance", ("", "i"))
    g.leave("wrong instance", (me.member_id, "i"))
    g.leave("nobody")
    g.leave("it", (me.member_id, None))
    g.leave("again", (me.member_id, None))
    g.describe("empty")
    g.listed("empty")
    g.beat("empty", me.member_id, me.generation_id)
    g.sync("empty", me.member_id, me.generation_id)
    g.join("empty, with its old id", me.member_id, protocols=wanted)
    g.commit("empty, member", name, member=me.member_id, generation=me.generation_id)
    g.commit("empty, generation alone", name, generation=me.generation_id)
    g.commit("empty, simple", name)
    g.member("another type after that", kind="connect", protocols=(("c", b""),))
    g.describe("another type after that")
    g.drop("no consumers", (name, [0]))


def static(s: Session) -> None:
    """Static members: rejoin, replace, fence, leave."""
    if s.level == "low":
        return
    warm(s)
    name = s.topic("t", 2)
    g = Talk(s, s.name("static"))
    one = g.join("first", instance="one")
    g.sync("first", one.member_id, one.generation_id, instance="one", given=((one.member_id, b"a"),))
    g.describe("stable")
    g.beat("instance", one.member_id, one.generation_id, "one")
    g.beat("without the instance", one.member_id, one.generation_id)
    g.beat("wrong member", "x", one.generation_id, "one")
    g.commit("wrong member", name, member="x", generation=one.generation_id, instance="one")
    g.commit("instance", name, member=one.member_id, generation=one.generation_id, instance="one")
    g.sync("wrong member", "x", one.generation_id, instance="one")
    g.join("wrong member", "x", instance="one")
    g.join("unknown instance with an id", "x", instance="two")
    again = g.join("back", instance="one")
    g.beat("the old id", one.member_id, one.generation_id, "one")
    g.beat("the new id", again.member_id, again.generation_id, "one")
    g.describe("back")
    g.sync("back", again.member_id, again.generation_id, instance="one")
    back = g.join("back, other metadata", instance="one", protocols=(("range", b"n"),))
    g.describe("other metadata")
    g.sync("other metadata", back.member_id, back.generation_id, instance="one", given=((back.member_id, b"b"),))
    back = g.join("back, other protocol", instance="one", protocols=(("sticky", b"n"),))
    g.describe("other protocol")
    g.sync("other protocol", back.member_id, back.generation_id, instance="one", protocol="sticky",
           given=((back.member_id, b"c"),))
    g.leave("wrong member", ("x", "one"))
    g.leave("unknown instance", ("", "two"))
    g.leave("by instance", ("", "one"))
    g.describe("after it left")
    g.join("it comes back with its old id", back.member_id, instance="one")


def rebalance(s: Session) -> None:
    """Two members: what each sees while the group rebalances."""
    warm(s)
    name = s.topic("t", 2)
    g = Talk(s, s.name("pair"))
    both = (("range", subscription(name)), ("sticky", b"s"))
    one = g.member("one", protocols=both)
    g.sync("one", one.member_id, one.generation_id, given=((one.member_id, b"all"),))
    link = s.link()
    request = g.joining(protocols=(("range", subscription(name)), ("sticky", b"t")))  # a tie would be decided by a hash
    version = s.version(request)
    number = link.begin(request, version)
    if version >= 4:
        answer = link.finish(request, version, number)
        s.note("join, two", answer)
        request.member_id = answer.member_id
        number = link.begin(request, version)
    while g.s.quiet(HeartbeatRequest(g.group, one.generation_id, one.member_id), version=4).error_code != 27:
        pass
    g.beat("one, while two joins", one.member_id, one.generation_id)
    g.describe("preparing")
    g.listed("preparing")
    g.sync("one, while two joins", one.member_id, one.generation_id)
    g.commit("one, while two joins", name, member=one.member_id, generation=one.generation_id)
    g.commit("one, wrong generation while two joins", name, member=one.member_id, generation=9)
    one = g.join("one, again", one.member_id, protocols=both)
    two = link.finish(request, version, number)
    s.note("join, two with the id", two)
    g.describe("completing")
    g.beat("one, completing", one.member_id, one.generation_id)
    sync = SyncGroupRequest(g.group, two.generation_id, two.member_id, None, "consumer", two.protocol_name or "range")
    version = s.version(sync)
    number = link.begin(sync, version)
    g.sync("one", one.member_id, one.generation_id, protocol=one.protocol_name,
           given=((one.member_id, b"1"), (two.member_id, b"2")))
    s.note("sync, two", link.finish(sync, version, number))
    g.describe("both")
    g.join("two, the same", two.member_id, protocols=(("range", subscription(name)), ("sticky", b"t")))
    g.leave("two and somebody", (two.member_id, None), ("x", None))
    g.beat("one, after two left", one.member_id, one.generation_id)
    one = g.join("one, once more", one.member_id, protocols=both)
    g.leave("one", (one.member_id, None))
    g.describe("nobody left")
    g.delete("nobody left")


PROBES = (coordinator, refusals, simple, life, static, rebalance)
