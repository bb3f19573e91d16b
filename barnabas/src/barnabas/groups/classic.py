"""Run the classic group protocol for one group: join, sync, heartbeat, leave, and the timers between them.

States and what leads from one to the next:

    Empty -> PreparingRebalance                 a member joins
    PreparingRebalance -> CompletingRebalance   everybody joined, or the rebalance timed out
    PreparingRebalance -> Empty                 nobody is left
    CompletingRebalance -> Stable               the leader handed out the assignment
    CompletingRebalance, Stable -> PreparingRebalance   a member joins, leaves, fails or changes its metadata

Answers that must wait (a join until the rebalance completes, a sync until the leader has spoken) are callbacks.
The group holds no clock and does no I/O: timers come from `Timers`, and `persist` writes the group's record
before a state that others may rely on is announced.

Source: KIP-62, KIP-134, KIP-345, KIP-394, KIP-559, KIP-814.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from barnabas.clock import Timer, Timers
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
    JoinGroupResponseMember,
)
from barnabas.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from barnabas.protocol.records.offsets import GroupMetadataValue, MemberMetadata

logger = logging.getLogger(__name__)

EMPTY: Final = "Empty"
PREPARING: Final = "PreparingRebalance"
COMPLETING: Final = "CompletingRebalance"
STABLE: Final = "Stable"
DEAD: Final = "Dead"

_NEXT: Final = {
    EMPTY: {PREPARING, EMPTY, DEAD},
    PREPARING: {COMPLETING, EMPTY, DEAD},
    COMPLETING: {STABLE, PREPARING, DEAD},
    STABLE: {PREPARING, DEAD},
    DEAD: set(),
}

JoinReply = Callable[[JoinGroupResponse], None]
SyncReply = Callable[[SyncGroupResponse], None]


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """Bound classic groups; all times in milliseconds."""

    min_session_timeout_ms: int = 6000
    max_session_timeout_ms: int = 1800000
    initial_rebalance_delay_ms: int = 3000
    max_size: int = 2147483647
    offset_metadata_max_bytes: int = 4096  # in fact UTF-16 units, as Kafka counts them
    offsets_retention_ms: int = 604800000
    offsets_partitions: int = 50


@dataclass(slots=True)
class Member:
    """Hold one member. Timeouts are in milliseconds; `protocols` is in the member's order of preference."""

    id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: list[tuple[str, bytes]]
    assignment: bytes = b""
    session: Timer | None = None
    join_reply: JoinReply | None = None
    sync_reply: SyncReply | None = None

    def metadata(self, protocol: str | None) -> bytes:
        """Return the member's metadata for a protocol, empty where it does not offer it."""
        return next((data for name, data in self.protocols if name == protocol), b"")


@dataclass(slots=True)
class ClassicGroup:
    """Hold one group. `persist` writes the group's record and raises `KafkaError` where that fails."""

    id: str
    timers: Timers
    config: GroupConfig
    persist: Callable[[ClassicGroup, dict[str, bytes]], None]
    now_ms: Callable[[], int]
    state: str = EMPTY
    protocol_type: str = ""
    protocol: str | None = None
    generation: int = 0
    leader: str | None = None
    state_timestamp: int = -1
    members: dict[str, Member] = field(default_factory=dict)
    static: dict[str, str] = field(default_factory=dict)
    pending: dict[str, Timer] = field(default_factory=dict)
    unsynced: set[str] = field(default_factory=set)
    _rebalance: Timer | None = None
    _initial_left_ms: int = 0
    _joined_during_delay: bool = False

    # --- join -----------------------------------------------------------------------------------------------

    def join(
        self, request: JoinGroupRequest, client_id: str, host: str, *, require_known_id: bool, skip_assignment: bool,
        reply: JoinReply,
    ) -> None:
        """Take in a JoinGroup; `reply` is called now or when the rebalance completes.

        `require_known_id`: a dynamic member without an id is first told one (v4 and later). `skip_assignment`: the
        client understands that answer (v9 and later). Raises `KafkaError` for requests that are refused.
        """
        if not request.protocols or not request.protocol_type:
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if self.state != EMPTY and not self._supports(request.protocol_type, request.protocols):
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        protocols = [(p.name, p.metadata) for p in request.protocols]
        if request.member_id:
            self._join_known(request, protocols, client_id, host, reply)
        elif request.group_instance_id is not None and request.group_instance_id in self.static:
            self._replace_static(request, protocols, client_id, host, reply, skip_assignment)
        else:
            self._join_new(request, protocols, client_id, host, reply, require_known_id)

    def _supports(self, protocol_type: str, protocols: list[JoinGroupRequestProtocol]) -> bool:
        if not self.members:
            return True
        common = set.intersection(*({name for name, _ in m.protocols} for m in self.members.values()))
        return protocol_type == self.protocol_type and any(p.name in common for p in protocols)

    def _join_new(
        self, request: JoinGroupRequest, protocols: list[tuple[str, bytes]], client_id: str, host: str,
        reply: JoinReply, require_known_id: bool,
    ) -> None:
        self._check_room()
        instance = request.group_instance_id
        member_id = f"{instance if instance is not None else client_id}-{uuid4()}"
        if require_known_id and instance is None:
            self.pending[member_id] = self.timers.after(
                request.session_timeout_ms / 1000, lambda: self._forget_pending(member_id)
            )
            reply(JoinGroupResponse(error_code=ErrorCode.MEMBER_ID_REQUIRED, member_id=member_id))
            return
        self._add(member_id, request, protocols, client_id, host, reply)

    def _check_room(self) -> None:
        awaited = sum(1 for m in self.members.values() if m.join_reply is not None)
        taken = (awaited if self.state == PREPARING else len(self.members)) + len(self.pending)
        if taken >= self.config.max_size:
            raise KafkaError(ErrorCode.GROUP_MAX_SIZE_REACHED)

    def _join_known(
        self, request: JoinGroupRequest, protocols: list[tuple[str, bytes]], client_id: str, host: str,
        reply: JoinReply,
    ) -> None:
        member_id = request.member_id
        if member_id in self.pending:
            if request.group_instance_id is not None:
                raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "A static member is never pending")
            self.pending.pop(member_id).cancel()
            self._add(member_id, request, protocols, client_id, host, reply)
            return
        member = self.member(member_id, request.group_instance_id)
        changed = member.protocols != protocols
        if self.state == PREPARING:
            self._update(member, request, protocols, reply)
            self._maybe_complete()
        elif self.state == COMPLETING:
            if changed:
                self._update(member, request, protocols, reply)
                self._prepare("a member changed its metadata")
            else:
                reply(self._join_answer(member))
        elif self.state == STABLE:
            if changed or member.id == self.leader:
                self._update(member, request, protocols, reply)
                self._prepare("the leader rejoined" if member.id == self.leader else "a member changed its metadata")
            else:
                reply(self._join_answer(member))
        else:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)

    def _add(
        self, member_id: str, request: JoinGroupRequest, protocols: list[tuple[str, bytes]], client_id: str, host: str,
        reply: JoinReply,
    ) -> None:
        if not self.members:
            self.protocol_type = request.protocol_type
        member = Member(
            member_id, request.group_instance_id, client_id, host,
            request.rebalance_timeout_ms if request.rebalance_timeout_ms >= 0 else request.session_timeout_ms,
            request.session_timeout_ms, protocols, join_reply=reply,
        )
        self.members[member_id] = member
        if member.instance_id is not None:
            self.static[member.instance_id] = member_id
        if self.leader is None:
            self.leader = member_id
        self._joined_during_delay = True
        if self.state == PREPARING:
            self._maybe_complete()
        else:
            self._prepare("a member joined")

    def _update(
        self, member: Member, request: JoinGroupRequest, protocols: list[tuple[str, bytes]], reply: JoinReply
    ) -> None:
        if member.join_reply is not None:  # a retry of the same member: only the newest request is answered
            member.join_reply(JoinGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID, member_id=member.id))
        member.protocols = protocols
        member.session_timeout_ms = request.session_timeout_ms
        member.rebalance_timeout_ms = (
            request.rebalance_timeout_ms if request.rebalance_timeout_ms >= 0 else request.session_timeout_ms
        )
        member.join_reply = reply
        self._stop_session(member)

    def _replace_static(
        self, request: JoinGroupRequest, protocols: list[tuple[str, bytes]], client_id: str, host: str,
        reply: JoinReply, skip_assignment: bool,
    ) -> None:
        """Let a restarted static member take its old place under a new member id."""
        instance = request.group_instance_id
        assert instance is not None
        old = self.members[self.static[instance]]
        new = Member(
            f"{instance}-{uuid4()}", instance, client_id, host,
            request.rebalance_timeout_ms if request.rebalance_timeout_ms >= 0 else request.session_timeout_ms,
            request.session_timeout_ms, protocols, old.assignment,
        )
        was_leader = self.leader == old.id
        self._swap(old, new)
        unchanged = self.state == STABLE and self._select_protocol() == self.protocol
        if unchanged:
            try:
                self.persist(self, {m.id: m.assignment for m in self.members.values()})
            except KafkaError:
                self._swap(new, old)
                raise
        fenced = ErrorCode.FENCED_INSTANCE_ID
        if old.join_reply is not None:
            old.join_reply(JoinGroupResponse(error_code=fenced, member_id=old.id))
        if old.sync_reply is not None:
            old.sync_reply(SyncGroupResponse(error_code=fenced))
        self._stop_session(old)
        if unchanged:
            self._start_session(new)
            answer = self._join_answer(new)
            if was_leader and skip_assignment:
                answer.skip_assignment = True
            elif was_leader:
                answer.leader, answer.members = old.id, []  # so that an older client takes itself for a follower
            reply(answer)
            return
        new.join_reply = reply
        if self.state == PREPARING:
            self._maybe_complete()
        else:
            self._prepare("a static member rejoined")

    def _swap(self, old: Member, new: Member) -> None:
        """Put one static member in the place of another, which keeps its position among the members."""
        assert new.instance_id is not None
        self.members = {new.id if m is old else m.id: new if m is old else m for m in self.members.values()}
        self.static[new.instance_id] = new.id
        if old.id in self.unsynced:
            self.unsynced.discard(old.id)
            self.unsynced.add(new.id)
        if self.leader == old.id:
            self.leader = new.id

    def _join_answer(self, member: Member) -> JoinGroupResponse:
        members = []
        if member.id == self.leader:
            members = [
                JoinGroupResponseMember(m.id, m.instance_id, m.metadata(self.protocol)) for m in self.members.values()
            ]
        return JoinGroupResponse(
            error_code=0, generation_id=self.generation, protocol_type=self.protocol_type,
            protocol_name=self.protocol, leader=self.leader or "", member_id=member.id, members=members,
        )

    # --- rebalance ------------------------------------------------------------------------------------------

    def _go(self, state: str) -> None:
        assert state in _NEXT[self.state], f"{self.state} -> {state}"
        logger.debug("group %s: %s -> %s", self.id, self.state, state)
        self.state = state
        self.state_timestamp = self.now_ms()

    def _prepare(self, reason: str) -> None:
        logger.info("group %s: preparing to rebalance from generation %d: %s", self.id, self.generation, reason)
        if self.state == COMPLETING:
            self._answer_syncs(ErrorCode.REBALANCE_IN_PROGRESS)
        self.unsynced.clear()
        self._cancel_rebalance()
        delay = self.config.initial_rebalance_delay_ms
        if self.state == EMPTY:
            self._go(PREPARING)
            if delay > 0:
                self._initial_left_ms = max(self._rebalance_timeout_ms() - delay, 0)
                self._joined_during_delay = False
                self._rebalance = self.timers.after(delay / 1000, self._initial_delay_over)
            else:
                self._complete()  # an empty group waits for the delay alone, not for pending members
            return
        self._go(PREPARING)
        self._rebalance = self.timers.after(self._rebalance_timeout_ms() / 1000, self._complete)
        self._maybe_complete()

    def _initial_delay_over(self) -> None:
        """Wait again while members keep arriving, no longer than the rebalance timeout in all (KIP-134)."""
        if self._joined_during_delay and self._initial_left_ms > 0:
            delay = min(self.config.initial_rebalance_delay_ms, self._initial_left_ms)
            self._initial_left_ms -= delay
            self._joined_during_delay = False
            self._rebalance = self.timers.after(delay / 1000, self._initial_delay_over)
        else:
            self._rebalance = None
            self._complete()

    def _rebalance_timeout_ms(self) -> int:
        return max((m.rebalance_timeout_ms for m in self.members.values()), default=0)

    def _cancel_rebalance(self) -> None:
        if self._rebalance is not None:
            self._rebalance.cancel()
            self._rebalance = None

    def _maybe_complete(self) -> None:
        in_delay = self._rebalance is not None and self._rebalance.act == self._initial_delay_over
        if self.state != PREPARING or in_delay or self.pending:
            return
        if all(m.join_reply is not None for m in self.members.values()):
            self._complete()

    def _complete(self) -> None:
        """End the join phase: drop who did not rejoin, begin the next generation, answer everybody."""
        self._cancel_rebalance()
        absent = [m for m in self.members.values() if m.join_reply is None]
        for member in absent:
            if member.instance_id is None:
                logger.info("group %s: %s did not rejoin in time", self.id, member.id)
                self._drop(member)
        if self.members and all(m.join_reply is None for m in self.members.values()):
            # only static members are left and none has come back yet: wait on
            self._rebalance = self.timers.after(self._rebalance_timeout_ms() / 1000, self._complete)
            return
        leader = self.members.get(self.leader or "")
        if leader is None or leader.join_reply is None:
            self.leader = next((m.id for m in self.members.values() if m.join_reply is not None), None)
        self.generation += 1
        if not self.members:
            self.protocol, self.leader = None, None
            self._go(EMPTY)
            self._persist_empty()
            return
        self.protocol = self._select_protocol()
        self._go(COMPLETING)
        self.unsynced = set(self.members)
        self._rebalance = self.timers.after(self._rebalance_timeout_ms() / 1000, self._sync_overdue)
        logger.info("group %s: generation %d with %d members", self.id, self.generation, len(self.members))
        for member in list(self.members.values()):
            reply, member.join_reply = member.join_reply, None
            if reply is not None:
                self._start_session(member)
                reply(self._join_answer(member))
            elif member.session is None:
                self._start_session(member)

    def _persist_empty(self) -> None:
        try:
            self.persist(self, {})
        except KafkaError as e:
            logger.warning("group %s: its empty generation was not written: %s", self.id, e)

    def _select_protocol(self) -> str | None:
        """Let each member vote for the first of its protocols that all support."""
        common = set.intersection(*({name for name, _ in m.protocols} for m in self.members.values()))
        votes = Counter(
            next((name for name, _ in m.protocols if name in common), None) for m in self.members.values()
        )
        return votes.most_common(1)[0][0]

    def _sync_overdue(self) -> None:
        self._rebalance = None
        if self.state not in (COMPLETING, STABLE):
            return
        late = [self.members[i] for i in self.unsynced if i in self.members]
        for member in late:
            logger.info("group %s: %s did not sync in time", self.id, member.id)
            self._drop(member)
        if late:
            self._rebalance_after_loss("members did not sync in time")

    # --- sync -----------------------------------------------------------------------------------------------

    def sync(self, request: SyncGroupRequest, reply: SyncReply) -> None:
        """Take in a SyncGroup; `reply` is called now or when the leader's assignment is there. Raises `KafkaError`."""
        member = self.member(request.member_id, request.group_instance_id)
        if request.generation_id != self.generation:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        if (request.protocol_type is not None and request.protocol_type != self.protocol_type) or (
            request.protocol_name is not None and request.protocol_name != self.protocol
        ):
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if self.state == PREPARING:
            raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
        if self.state == STABLE:
            self.unsynced.discard(member.id)
            self._start_session(member)
            reply(self._sync_answer(member))
            return
        if self.state != COMPLETING:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        self.unsynced.discard(member.id)
        if member.sync_reply is not None:
            member.sync_reply(SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID))
        member.sync_reply = reply
        if member.id != self.leader:
            return
        given = {a.member_id: a.assignment for a in request.assignments}
        assignments = {i: given.get(i, b"") for i in self.members}
        try:
            self.persist(self, assignments)
        except KafkaError as e:
            self._answer_syncs(e.code)
            self._prepare("the assignment could not be written")
            return
        for member_id, assignment in assignments.items():
            self.members[member_id].assignment = assignment
        self._go(STABLE)
        for each in list(self.members.values()):
            answer, each.sync_reply = each.sync_reply, None
            if answer is not None:
                self._start_session(each)
                answer(self._sync_answer(each))
        if not self.unsynced:
            self._cancel_rebalance()

    def _sync_answer(self, member: Member) -> SyncGroupResponse:
        return SyncGroupResponse(
            protocol_type=self.protocol_type, protocol_name=self.protocol, assignment=member.assignment
        )

    def _answer_syncs(self, code: ErrorCode) -> None:
        for member in self.members.values():
            member.assignment = b""
            reply, member.sync_reply = member.sync_reply, None
            if reply is not None:
                self._start_session(member)
                reply(SyncGroupResponse(error_code=code))

    # --- heartbeat, leave, time-outs ------------------------------------------------------------------------

    def member(self, member_id: str, instance_id: str | None) -> Member:
        """Find a member; raises `KafkaError` UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID."""
        if instance_id is not None:
            current = self.static.get(instance_id)
            if current is None:
                raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
            if current != member_id:
                raise KafkaError(ErrorCode.FENCED_INSTANCE_ID)
        member = self.members.get(member_id)
        if member is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    def heartbeat(self, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
        """Keep a member alive; returns REBALANCE_IN_PROGRESS while it should rejoin. Raises `KafkaError`."""
        member = self.member(member_id, instance_id)
        if generation != self.generation:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        if self.state in (EMPTY, DEAD):
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        self._start_session(member)
        return ErrorCode.REBALANCE_IN_PROGRESS if self.state == PREPARING else ErrorCode.NONE

    def check_commit(self, member_id: str, instance_id: str | None, generation: int) -> None:
        """Admit an offset commit, which also keeps the member alive; raises `KafkaError`."""
        if generation < 0 and self.state == EMPTY:
            return
        if generation >= 0 or member_id or instance_id is not None:
            member = self.member(member_id, instance_id)
            if generation != self.generation:
                raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
            if self.state == COMPLETING:
                raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
            self._start_session(member)
        elif self.state != EMPTY:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)

    def leave(self, member_id: str, instance_id: str | None) -> str:
        """Remove a member, by its id or, for a static one, by its instance; returns its id. Raises `KafkaError`."""
        if instance_id is not None and not member_id:
            member_id = self.static.get(instance_id, "")
            if not member_id:
                raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        if member_id in self.pending and instance_id is None:
            self._forget_pending(member_id)
            return member_id
        member = self.member(member_id, instance_id)
        logger.info("group %s: %s left", self.id, member.id)
        self._drop(member)
        self._rebalance_after_loss("a member left")
        return member_id

    def _forget_pending(self, member_id: str) -> None:
        timer = self.pending.pop(member_id, None)
        if timer is not None:
            timer.cancel()
            self._maybe_complete()

    def _drop(self, member: Member) -> None:
        self._stop_session(member)
        del self.members[member.id]
        self.unsynced.discard(member.id)
        if member.instance_id is not None and self.static.get(member.instance_id) == member.id:
            del self.static[member.instance_id]
        if member.join_reply is not None:
            member.join_reply(JoinGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID, member_id=member.id))
        if member.sync_reply is not None:
            member.sync_reply(SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID))
        if self.leader == member.id:
            self.leader = next(
                (m.id for m in self.members.values() if m.join_reply is not None), next(iter(self.members), None)
            )

    def _rebalance_after_loss(self, reason: str) -> None:
        if self.state in (STABLE, COMPLETING):
            self._prepare(reason)
        elif self.state == PREPARING:
            self._maybe_complete()

    def _start_session(self, member: Member) -> None:
        self._stop_session(member)
        member.session = self.timers.after(member.session_timeout_ms / 1000, lambda: self._session_over(member))

    def _stop_session(self, member: Member) -> None:
        if member.session is not None:
            member.session.cancel()
            member.session = None

    def _session_over(self, member: Member) -> None:
        member.session = None
        if self.members.get(member.id) is not member:
            return
        if member.join_reply is not None or member.sync_reply is not None:
            self._start_session(member)  # it waits for us: it is alive
            return
        logger.info("group %s: %s failed: no heartbeat for %d ms", self.id, member.id, member.session_timeout_ms)
        self._drop(member)
        self._rebalance_after_loss("a member failed")

    # --- storage --------------------------------------------------------------------------------------------

    def to_record(self, assignments: dict[str, bytes]) -> GroupMetadataValue:
        """Return the group's record with the given assignments."""
        return GroupMetadataValue(
            self.protocol_type, self.generation, self.protocol, self.leader if self.members else None,
            self.state_timestamp,
            [
                MemberMetadata(
                    m.id, m.instance_id, m.client_id, m.client_host, m.rebalance_timeout_ms, m.session_timeout_ms,
                    m.metadata(self.protocol), assignments.get(m.id, b""),
                )
                for m in self.members.values()
            ],
        )

    def load(self, value: GroupMetadataValue) -> None:
        """Take over what a record says; sessions begin with `resume`."""
        self.protocol_type, self.generation = value.protocol_type, value.generation
        self.protocol, self.leader = value.protocol, value.leader
        self.state_timestamp = value.current_state_timestamp
        self.members = {
            m.member_id: Member(
                m.member_id, m.group_instance_id, m.client_id, m.client_host,
                m.rebalance_timeout if m.rebalance_timeout >= 0 else m.session_timeout, m.session_timeout,
                [(value.protocol or "", m.subscription)], m.assignment,
            )
            for m in value.members
        }
        self.static = {m.instance_id: m.id for m in self.members.values() if m.instance_id is not None}
        self.state = STABLE if self.members else EMPTY

    def resume(self) -> None:
        """Start the sessions of members that a restart found."""
        for member in self.members.values():
            self._start_session(member)

    def close(self) -> None:
        """Cancel all timers; nobody is answered any more."""
        self._cancel_rebalance()
        for member in self.members.values():
            self._stop_session(member)
        for timer in self.pending.values():
            timer.cancel()
        self.state = DEAD
