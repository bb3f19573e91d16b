"""A consumer service on a real broker: what is committed when, a store that is down, members that come, go and die."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus.dead_letters import MAX_BYTES, DeadLetters
from barnabas_quant.bus.topics import DEAD_LETTERS, TopicSpec, ensure_topics, set_client_settings
from barnabas_quant.errors import StoreUnavailable
from barnabas_quant.service import ConsumerService, Context, Status
from barnabas_quant.settings import Settings

from .conftest import eventually

PARTITIONS = 4


@pytest.fixture
def topic(bootstrap: str, seed: int) -> str:
    """Give a topic of four partitions that nobody else uses; its name is also that of a group."""
    name = f"service-{seed}"
    ensure_topics(bootstrap, [TopicSpec(name, PARTITIONS)])
    return name


def produce(bootstrap: str, topic: str, numbers: Sequence[int]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in numbers:
        producer.produce(topic, str(number).encode(), partition=number % PARTITIONS)
    assert producer.flush(30) == 0


def committed(bootstrap: str, topic: str) -> dict[int, int]:
    """Give the offsets that the group has committed, by partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})  # held: without it nobody answers the future
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)])[topic].result(10).topic_partitions
    return {at.partition: at.offset for at in found if at.offset >= 0}


@contextmanager
def running(bootstrap: str, kind: type[ConsumerService], **client: str) -> Iterator[ConsumerService]:
    """Run a service in a thread, with further settings of Kafka clients; what it raises fails the test."""
    stop, status = threading.Event(), Status()
    set_client_settings(client)
    letters = DeadLetters(bootstrap, kind.name)
    service = kind(Context(Settings(kafka=bootstrap), stop, status, letters))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            service.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield service
    finally:
        stop.set()
        thread.join(30)
        set_client_settings({})
    assert not thread.is_alive()
    assert not failures, failures


def service_of(topic: str, handle: Callable[[ConsumerService, Sequence[Message]], None]) -> type[ConsumerService]:
    class Tested(ConsumerService):
        name = topic
        group = topic
        topics = (topic,)

        def handle(self, messages: Sequence[Message]) -> None:
            handle(self, messages)

    return Tested


def test_offsets_are_committed_after_the_work_and_not_before(bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, range(100))
    seen: list[int] = []
    working, go_on = threading.Event(), threading.Event()

    def handle(service: ConsumerService, messages: Sequence[Message]) -> None:
        working.set()
        assert go_on.wait(30)
        seen.extend(int(message.value() or b"") for message in messages)

    with running(bootstrap, service_of(topic, handle)) as service:
        assert working.wait(20)
        assert committed(bootstrap, topic) == {}
        go_on.set()
        eventually(lambda: len(seen) == 100)
        eventually(lambda: committed(bootstrap, topic) == dict.fromkeys(range(PARTITIONS), 25))
        assert service.status.records == 100
        eventually(lambda: service.status.lag == 0)
    produce(bootstrap, topic, [100])
    with running(bootstrap, service_of(topic, handle)):
        eventually(lambda: len(seen) == 101)
    assert seen[-1] == 100
    assert sorted(seen) == list(range(101))
    assert committed(bootstrap, topic)[0] == 26  # the end of a service commits, too


@pytest.mark.long
def test_a_batch_comes_again_while_a_store_is_down_and_the_member_stays(bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, range(40))
    done: list[int] = []
    tried: list[list[int]] = []
    members: list[int] = []
    down_until = time.monotonic() + 7.5  # longer than the session time-out of six seconds

    def handle(service: ConsumerService, messages: Sequence[Message]) -> None:
        tried.append([int(message.value() or b"") for message in messages])
        if time.monotonic() < down_until:
            raise StoreUnavailable("the store sleeps")
        done.extend(tried[-1])

    revoked: list[object] = []
    kind = service_of(topic, handle)
    kind.revoked = lambda self, partitions: revoked.append(partitions)  # type: ignore[method-assign]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    with running(bootstrap, kind) as service:
        eventually(lambda: service.status.note == "the store sleeps")
        assert not service.status.ready
        while time.monotonic() < down_until:
            members.append(len(admin.describe_consumer_groups([topic])[topic].result(10).members))
            time.sleep(0.5)
        assert committed(bootstrap, topic) == {}
        eventually(lambda: len(done) >= 40)
        eventually(lambda: service.status.ready and service.status.note == "")
        assert not revoked
    assert set(members) == {1}
    assert len(tried) > 3
    assert tried[0] == tried[1] == tried[2]
    assert sorted(done) == list(range(40))  # none lost, none skipped, none twice


@pytest.mark.long
def test_partitions_that_were_taken_away_are_lost_and_not_revoked(bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, range(40))
    told: list[str] = []
    seen: list[int] = []

    def handle(service: ConsumerService, messages: Sequence[Message]) -> None:
        if not seen:
            time.sleep(7)  # longer than a member may go without asking for more
        seen.extend(int(message.value() or b"") for message in messages)

    kind = service_of(topic, handle)
    kind.revoked = lambda self, partitions: told.append("revoked")  # type: ignore[method-assign]
    kind.lost = lambda self, partitions: told.append("lost")  # type: ignore[method-assign]
    with running(bootstrap, kind, **{"max.poll.interval.ms": "6000"}):
        eventually(lambda: "lost" in told)
        eventually(lambda: committed(bootstrap, topic) == dict.fromkeys(range(PARTITIONS), 10))
        assert told == ["lost"]
    assert set(seen) == set(range(40))


@pytest.mark.long
def test_a_batch_held_back_leaves_out_what_was_given_up_and_came_back(
    bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its partitions begin anew at what is committed: handled from the batch as well, a record would come twice."""
    monkeypatch.setattr("barnabas_quant.service._FIRST_PAUSE", 12.0)  # all of it within one pause
    produce(bootstrap, topic, range(40))
    down = threading.Event()
    down.set()
    done: list[int] = []

    def handle(service: ConsumerService, messages: Sequence[Message]) -> None:
        if down.is_set():
            raise StoreUnavailable("the store sleeps")
        done.extend(int(message.value() or b"") for message in messages)

    assigned: list[TopicPartition] = []
    revoked: list[TopicPartition] = []
    kind = service_of(topic, handle)
    kind.assigned = lambda self, partitions: assigned.extend(partitions)  # type: ignore[method-assign]
    kind.revoked = lambda self, partitions: revoked.extend(partitions)  # type: ignore[method-assign]
    other = service_of(topic, lambda service, messages: (_ for _ in ()).throw(StoreUnavailable("never")))
    with running(bootstrap, kind) as service:
        eventually(lambda: service.status.note == "the store sleeps")
        with running(bootstrap, other):  # takes its part, does nothing with it, and gives it back
            eventually(lambda: bool(revoked))
        eventually(lambda: len(assigned) == PARTITIONS + len(revoked))
        down.clear()
        produce(bootstrap, topic, range(40, 40 + PARTITIONS))  # when these have come, nothing is on its way any more
        eventually(lambda: {40, 41, 42, 43} <= set(done))
    assert sorted(done) == list(range(40 + PARTITIONS))


def test_a_complaint_of_idle_goes_when_the_store_is_back(bootstrap: str, topic: str) -> None:
    down = threading.Event()
    down.set()
    kind = service_of(topic, lambda service, messages: None)

    def idle(service: ConsumerService) -> None:
        if down.is_set():
            raise StoreUnavailable("gone")

    kind.idle = idle  # type: ignore[method-assign]
    with running(bootstrap, kind) as service:
        eventually(lambda: service.status.note == "gone")
        down.clear()
        eventually(lambda: service.status.note == "")
        service.status.note = "its own words"
        time.sleep(0.5)
        assert service.status.note == "its own words"


WRITER = """
import os, time
from barnabas_quant.service import ConsumerService

class Writer(ConsumerService):
    name = "writer"
    group = topic = os.environ["TOPIC"]
    topics = (topic,)
    batch = 50

    def handle(self, messages):
        with open(os.environ["OUTPUT"], "a") as output:
            for message in messages:
                output.write(f"{message.partition()} {message.offset()} {message.value().decode()}\\n")
        time.sleep(0.05)
"""


class Members:
    """Members of one group, as processes that write what they are given."""

    def __init__(self, folder: Path, bootstrap: str, topic: str) -> None:
        self.folder, self.bootstrap, self.topic = folder, bootstrap, topic
        self.file = folder / "writer.py"
        self.file.write_text(WRITER)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        number = len(self.processes)
        with (self.folder / f"{number}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "barnabas_quant", "run", str(self.file), "--kafka", self.bootstrap,
                 "--data", str(self.folder)],
                env={**os.environ, "TOPIC": self.topic, "OUTPUT": str(self.folder / f"{number}.out")},
                stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def lines(self, number: int) -> list[tuple[int, int, int]]:
        path = self.folder / f"{number}.out"
        whole = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
        return [(int(a), int(b), int(c)) for a, b, c in map(str.split, whole)]

    def numbers(self) -> Counter[int]:
        return Counter(line[2] for number in range(len(self.processes)) for line in self.lines(number))

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for number, process in enumerate(self.processes):
            code = process.wait(30)
            assert code in (0, -9), (code, (self.folder / f"{number}.log").read_text())


@pytest.fixture
def members(tmp_path: Path, bootstrap: str, topic: str) -> Iterator[Members]:
    group = Members(tmp_path, bootstrap, topic)
    yield group
    group.end()


def test_after_sigkill_the_next_process_goes_on_from_the_commit(members: Members, bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, range(4000))
    first = members.start()
    eventually(lambda: sum(committed(bootstrap, topic).values()) > 0)
    first.kill()
    first.wait()
    at_kill = committed(bootstrap, topic)
    assert len(members.lines(0)) < 4000, "it was done before the kill: nothing was tested"
    members.start()
    eventually(lambda: len(members.numbers()) == 4000)
    for partition, offset, _ in members.lines(1):
        assert offset >= at_kill.get(partition, 0)
    again = [number for number, times in members.numbers().items() if times > 1]
    assert len(again) < 2500  # what was handled in the second before the kill


def test_a_second_member_takes_its_part_and_nothing_is_lost_or_done_again(
    members: Members, bootstrap: str, topic: str
) -> None:
    produce(bootstrap, topic, range(3000))
    members.start()
    eventually(lambda: bool(members.lines(0)))
    second = members.start()
    sent = 3000

    def shared() -> bool:
        nonlocal sent
        produce(bootstrap, topic, range(sent, sent + 40))
        sent += 40
        return len({line[0] for line in members.lines(1)}) >= 2

    eventually(shared)
    second.terminate()
    assert second.wait(30) == 0
    produce(bootstrap, topic, range(sent, sent + 40))
    sent += 40
    eventually(lambda: len(members.numbers()) == sent)
    # Partitions were given up in order, so each was committed first: no record comes twice.
    assert set(members.numbers().values()) == {1}


def letters_of(bootstrap: str, service: str, count: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "letters", "enable.auto.commit": False})
    consumer.assign([TopicPartition(DEAD_LETTERS.name, 0, 0)])
    found: list[Message] = []

    def enough() -> bool:
        message = consumer.poll(0.2)
        if message is not None and dict(message.headers() or ()).get("service") == service.encode():
            found.append(message)
        return len(found) >= count

    try:
        eventually(enough)
    finally:
        consumer.close()
    return found


def test_dead_letters_hold_the_raw_bytes_and_the_reason(bootstrap: str, topic: str) -> None:
    ensure_topics(bootstrap, [DEAD_LETTERS])
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b"\xff\x00 no text", b"key", partition=2)
    producer.flush(10)

    def handle(service: ConsumerService, messages: Sequence[Message]) -> None:
        for message in messages:
            service.context.dead_letters.put_message(message, "no number")
        service.context.dead_letters.put(b"x" * (MAX_BYTES + 5), "too long", "stream", b"k" * (MAX_BYTES + 5))

    with running(bootstrap, service_of(topic, handle)):
        eventually(lambda: committed(bootstrap, topic).get(2) == 1)
        one, two = letters_of(bootstrap, topic, 2)  # acknowledged before the commit
    assert (one.value(), one.key()) == (b"\xff\x00 no text", b"key")
    assert dict(one.headers() or ()) == {
        "reason": b"no number", "service": topic.encode(), "from": f"{topic}-2@0".encode(),
    }  # fmt: skip
    assert len(two.value() or b"") == MAX_BYTES
    assert two.key() is None
    reason = dict(two.headers() or ())["reason"].decode()
    assert (
        reason
        == f"too long (the first {MAX_BYTES} of {MAX_BYTES + 5} bytes) (without its key of {MAX_BYTES + 5} bytes)"
    )
