"""Put load on a broker with librdkafka's rdkafka_performance, and say what it took.

The generator prints one summary line each second and one at its end; the last one counts. Its clock for producing
starts before it connects and stops at the last acknowledgement; its clock for consuming starts at the first record.
It keeps up to a million requests in flight, so "one record a request" measures requests, not round trips.
"""

import re
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.peers import generator
from bench.peers.folder import PeerError
from bench.systems import Running
from bench.wire import ask_api_versions

LOAD_LIMIT = 900.0  # seconds until a load must have ended

BATCHED = ("-X", "linger.ms=5", "-X", "batch.size=1000000", "-X", "batch.num.messages=10000")
SINGLE = ("-X", "linger.ms=0", "-X", "batch.num.messages=1")
IDEMPOTENT = ("-X", "linger.ms=5", "-X", "enable.idempotence=true")

_PRODUCED = re.compile(
    r"^% (\d+) messages produced \(\d+ bytes\), (\d+) delivered \(offset -?\d+, (\d+) failed\) in (\d+)ms"
)
_CONSUMED = re.compile(r"^% (\d+) messages \(\d+ bytes\) consumed in (\d+)ms")


@dataclass(frozen=True, slots=True)
class Load:
    """What one load did, and what it cost."""

    records: int
    seconds: float
    broker_cpu: float
    """User and system seconds of the broker."""
    loader_cpu: float
    """User and system seconds of the load generators."""

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds of the broker for a million records."""
        return self.broker_cpu / self.records * 1e6

    @property
    def loader_cores(self) -> float:
        """How many cores the generators kept busy."""
        return self.loader_cpu / self.seconds


@dataclass(frozen=True, slots=True)
class Summary:
    """The generator's last summary line: records done, milliseconds it took."""

    records: int
    milliseconds: int


def parse_summary(output: str) -> Summary:
    """Read the last summary line of rdkafka_performance. Raises PeerError when there is none or records failed."""
    for line in reversed(output.splitlines()):
        if found := _PRODUCED.match(line):
            produced, delivered, failed, milliseconds = map(int, found.groups())
            if failed or delivered != produced:
                raise PeerError(f"not every record was delivered: {line}")
            return Summary(delivered, milliseconds)
        if found := _CONSUMED.match(line):
            return Summary(int(found[1]), int(found[2]))
    raise PeerError(f"rdkafka_performance printed no summary:\n{output[-2000:]}")


def create_topic(broker: Running, topic: str, partitions: int = 1) -> None:
    """Create a topic with the broker's default settings and wait until every partition answers. Raises PeerError."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 5})
    created = admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])[topic]
    try:
        created.result(30)
    except KafkaException as error:
        raise PeerError(f"{broker.system.title} did not create {topic}: {error}") from error
    # Apache Kafka answers once the controller has the topic; for some milliseconds more its broker half does not.
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "bench", "log_level": 5})
    limit = time.monotonic() + 30
    try:
        for partition in range(partitions):
            while not _serves(consumer, TopicPartition(topic, partition)):
                if time.monotonic() > limit:
                    raise PeerError(f"{broker.system.title} does not serve {topic}-{partition}")
                time.sleep(0.01)
    finally:
        consumer.close()


def _serves(consumer: Consumer, partition: TopicPartition) -> bool:
    try:
        return consumer.get_watermark_offsets(partition, timeout=10) is not None
    except KafkaException:
        return False


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def generate(broker: Running, commands: Sequence[Sequence[str]], records: int) -> Load:
    """Run generators at the same time, each for `records` records; their slowest one gives the time.

    Raises PeerError when one of them fails, loses records or passes the limit.
    """
    program = str(generator.install())
    broker_before, loader_before = broker.cpu_seconds(), _children_cpu()
    processes: list[subprocess.Popen[str]] = []
    summaries: list[Summary] = []
    try:
        for command in commands:
            # Nothing is printed but a line a second, so output waits in the pipe until its process is read.
            processes.append(
                subprocess.Popen(
                    [program, "-b", broker.bootstrap, "-c", str(records), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        for process in processes:
            output, _ = process.communicate(timeout=LOAD_LIMIT)
            if process.returncode:
                raise PeerError(f"rdkafka_performance ended with {process.returncode}:\n{output[-2000:]}")
            summaries.append(parse_summary(output))
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"no end of the load after {LOAD_LIMIT:.0f} s") from error
    finally:
        for process in processes:
            process.kill()
            process.wait()
    broker_cpu, loader_cpu = broker.cpu_seconds() - broker_before, _children_cpu() - loader_before
    done = sum(summary.records for summary in summaries)
    if done < records * len(commands):
        raise PeerError(f"{done:,} of {records * len(commands):,} records")
    return Load(done, max(summary.milliseconds for summary in summaries) / 1000, broker_cpu, loader_cpu)


def produce(
    broker: Running,
    topic: str,
    records: int,
    size: int = 100,
    options: Sequence[str] = BATCHED,
    *,
    acks: str = "1",
    producers: int = 1,
) -> Load:
    """Produce `records` records of `size` bytes from each of `producers` processes to an existing topic."""
    command = ["-P", "-t", topic, "-s", str(size), "-a", acks, *options]
    return generate(broker, [command] * producers, records)


def consume(broker: Running, topic: str, records: int) -> Load:
    """Consume the first `records` records of partition 0, without a group."""
    # Without -p the generator's simple consumer asks for nothing and waits for ever.
    command = ["-C", "-t", topic, "-p", "0", "-o", "beginning", "-X", "fetch.message.max.bytes=1048576"]
    return generate(broker, [command], records)


@contextmanager
def idle_connections(broker: Running, count: int) -> Iterator[None]:
    """Hold connections that have asked for the API versions once; each must still answer at the end.

    Raises WireError or OSError when the broker refused or dropped one.
    """
    connections: list[socket.socket] = []
    try:
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", broker.port), timeout=30)
            connections.append(connection)
            ask_api_versions(connection, number)
        yield
        for number, connection in enumerate(connections):
            ask_api_versions(connection, count + number)
    finally:
        for connection in connections:
            connection.close()
