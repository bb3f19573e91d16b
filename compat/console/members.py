"""Write records, and be members of groups of every kind."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Producer, TopicPartition
from streams_app import StreamsApplications
from tests.console.site import SECONDS, Console, until
from three_nodes import ThreeNodes
from topics import make
from transcript import Case

PARTITIONS = 3
BEGIN = 1_700_000_000_000
_SCRIPT = "import sys; from barnabas.tools.main import run_as; sys.exit(run_as(sys.argv[1], sys.argv[2:]))"


def script(*words: str) -> list[str]:
    """Return one of our scripts as a command."""
    return [sys.executable, "-c", _SCRIPT, *words]


def run(command: str) -> None:
    """Run a command that the page shows, with our script in the place of Kafka's."""
    words = shlex.split(command)
    finished = subprocess.run(script(*words), capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished
    assert "Error" not in finished.stdout + finished.stderr, finished


def write(kafka: ThreeNodes, topic: str, count: int) -> None:
    """Write so many records to each partition."""
    producer = Producer(kafka.client)
    for number in range(count):
        for p in range(PARTITIONS):
            producer.produce(topic, f"{number}", partition=p, timestamp=BEGIN + number * 1000)
    assert producer.flush(SECONDS) == 0


@contextmanager
def member(kafka: ThreeNodes, group: str, topic: str, protocol: str) -> Iterator[Consumer]:
    """Be a member of a group that has read seven records of each partition and committed that."""
    consumer = Consumer({
        **kafka.client, "group.id": group, "client.id": "a-reader", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "group.protocol": protocol,
    })
    consumer.subscribe([topic])
    try:
        until(lambda: consumer.poll(0.1) is not None or len(consumer.assignment()) == PARTITIONS)
        consumer.commit(offsets=[TopicPartition(topic, p, 7) for p in range(PARTITIONS)], asynchronous=False)
        yield consumer
    finally:
        consumer.close()


@contextmanager
def share_member(kafka: ThreeNodes, group: str, topic: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """Be a member of a share group that waits for so many records; our script, by the secured listener."""
    process = subprocess.Popen(
        script("kafka-console-share-consumer", "--bootstrap-server", kafka.bootstrap, "--command-config",
               str(kafka.command_config("client")), "--topic", topic, "--group", group, "--max-messages", str(count)),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(SECONDS)
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def streams_members(console: Console, kafka: ThreeNodes, group: str) -> Iterator[None]:
    """Be a streams group that has read five words from each of two partitions of GROUP-in."""
    for topic, count in (("in", 2), ("more", 1), ("out", 1)):
        make(console, f"{group}-{topic}", count, {"retention.ms": "-1"})
    producer = Producer(kafka.client)
    for number in range(5):
        for p in range(2):
            producer.produce(f"{group}-in", "word", partition=p, timestamp=BEGIN + number * 1000)
    assert producer.flush(SECONDS) == 0
    applications = StreamsApplications()
    start = applications.beside(lambda *_: (1, "", ""))
    try:
        # this program cannot sign in: it comes by the brokers' own listener
        assert start(["streams-start", kafka.plain, group], Case("", []))[0] == 0
        yield
    finally:
        applications.close()
