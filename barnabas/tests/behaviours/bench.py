"""Drive a group coordinator with a clock that is moved by hand and a list in place of its topic.

Every reply is counted, and each step checks what must always hold: no request is answered twice, nobody is given an
assignment of a generation that is over, a generation has one leader and one protocol, only the leader sees the members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from barnabas.clock import Timers
from barnabas.groups.classic import GroupConfig
from barnabas.groups.coordinator import Commit, GroupCoordinator
from barnabas.groups.records import GroupRecord, decode_record
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.messages.join_group import JoinGroupResponse
from barnabas.protocol.messages.sync_group import SyncGroupResponse

from .client import joining, syncing

START_MS = 1_700_000_000_000


class Reply:
    """Take the answer to one request; a second one is a failure."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.answer: Any = None

    def __call__(self, answer: Any) -> None:
        assert self.answer is None, f"answered twice: {self.answer}, then {answer}"
        self.answer = answer
        self._bench.answered(self)

    @property
    def waits(self) -> bool:
        """Tell whether there is no answer yet."""
        return self.answer is None

    @property
    def code(self) -> ErrorCode:
        """Return the error code of the answer."""
        assert self.answer is not None, "not answered yet"
        return ErrorCode(self.answer.error_code)


class Join(Reply):
    """Take the answer to a JoinGroup."""


class Sync(Reply):
    """Take the answer to a SyncGroup of one generation."""

    def __init__(self, bench: Bench, generation: int) -> None:
        super().__init__(bench)
        self.generation = generation


class Bench:
    """Hold a coordinator and all that is around it. `now` is in seconds."""

    def __init__(self, group: str = "g", **config: int) -> None:
        self.group = group
        self.now = 0.0
        self.timers = Timers(lambda: self.now)
        self.written: list[GroupRecord] = []
        self.failing = False
        self.replies: list[Reply] = []
        self.generations: dict[int, tuple[str, str | None]] = {}
        self.config = GroupConfig(**{"initial_rebalance_delay_ms": 0, **config})
        self.coordinator = self.another()

    def another(self) -> GroupCoordinator:
        """Return a coordinator that knows nothing yet."""
        return GroupCoordinator(self.config, self._write, self.timers, self._now_ms)

    def _now_ms(self) -> int:
        return START_MS + int(self.now * 1000)

    def _write(self, partition: int, records: Sequence[GroupRecord]) -> None:
        if self.failing:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the disk is full")
        assert partition == self.coordinator.partition_of(self.group)
        self.written += [decode_record(*record.encode()) or record for record in records]

    def answered(self, reply: Reply) -> None:
        """Check what must always hold."""
        answer = reply.answer
        if isinstance(answer, JoinGroupResponse) and answer.error_code == 0:
            newest = max(self.generations, default=-1)
            assert answer.generation_id >= newest, "a generation that is over was answered"
            leader, protocol = self.generations.setdefault(
                answer.generation_id, (answer.leader, answer.protocol_name)
            )
            assert protocol == answer.protocol_name
            if answer.members:
                assert answer.member_id == answer.leader
                head = next(m for m in answer.members if m.member_id == answer.leader)
                # a static leader that was restarted has another id
                assert answer.leader == leader or head.group_instance_id is not None
        elif isinstance(answer, SyncGroupResponse) and answer.error_code == 0:
            assert isinstance(reply, Sync)
            assert reply.generation == max(self.generations), "an assignment of a generation that is over"

    # --- time -----------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Move the clock; each timer fires at its own time."""
        end = self.now + seconds
        while (deadline := self.timers.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.timers.fire()
        self.now = end

    # --- requests -------------------------------------------------------------------------------------------

    def join(self, member: str = "", *, version: int = 9, client_id: str = "c", **more: Any) -> Join:
        """Send a JoinGroup."""
        reply = Join(self)
        self.replies.append(reply)
        try:
            self.coordinator.join(joining(self.group, member, **more), client_id, "/127.0.0.1", version, reply)
        except KafkaError as e:
            reply(JoinGroupResponse(error_code=e.code))
        return reply

    def member(self, **more: Any) -> Join:
        """Join as a new member, with the id that is told."""
        told = self.join(**more)
        assert told.code == ErrorCode.MEMBER_ID_REQUIRED
        return self.join(told.answer.member_id, **more)

    def sync(self, me: Any, given: dict[str, bytes] | None = None, *, instance: str | None = None) -> Sync:
        """Send a SyncGroup as the member that got the answer `me`."""
        reply = Sync(self, me.generation_id)
        self.replies.append(reply)
        try:
            self.coordinator.sync(syncing(self.group, me, given, instance=instance), reply)
        except KafkaError as e:
            reply(SyncGroupResponse(error_code=e.code))
        return reply

    def heartbeat(self, me: Any, instance: str | None = None) -> ErrorCode:
        """Send a heartbeat."""
        try:
            return self.coordinator.heartbeat(self.group, me.member_id, instance, me.generation_id)
        except KafkaError as e:
            return e.code

    def leave(self, member: str, instance: str | None = None) -> ErrorCode:
        """Leave the group."""
        try:
            self.coordinator.leave(self.group, member, instance)
        except KafkaError as e:
            return e.code
        return ErrorCode.NONE

    def commit(
        self, offset: int, *, topic: str = "t", partition: int = 0, member: str = "", generation: int = -1,
        metadata: str = "", instance: str | None = None,
    ) -> ErrorCode:
        """Commit one offset."""
        commit = Commit(topic, bytes(16), partition, offset, -1, metadata)
        try:
            return self.coordinator.commit(self.group, member, instance, generation, 9, [commit])[0]
        except KafkaError as e:
            return e.code

    # --- state ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """Return the group's state."""
        return self.coordinator.describe(self.group).group_state

    def offsets(self) -> dict[tuple[str, int], int]:
        """Return the committed offsets."""
        return {key: value.offset for key, value in self.coordinator.fetch(self.group).items()}

    def stable(self, count: int = 1, **more: Any) -> list[Any]:
        """Bring a group of so many members to a stable generation; the first answer is the leader's."""
        joins = [self.member(**more)]
        for _ in range(count - 1):
            joins.append(self.member(**more))
            for i, known in enumerate(joins[:-1]):
                if not known.waits:
                    joins[i] = self.join(known.answer.member_id, **more)
        answers = [j.answer for j in joins]
        leader = next(a for a in answers if a.members)
        self.sync(leader, {a.member_id: f"of {a.member_id}".encode() for a in answers})
        for answer in answers:
            if answer is not leader:
                assert self.sync(answer).code == 0
        assert self.state == "Stable"
        return [leader, *(a for a in answers if a is not leader)]

    def replayed(self) -> GroupCoordinator:
        """Return a new coordinator that read everything that was written."""
        fresh = self.another()
        for record in self.written:
            fresh.replay(record)
        return fresh
