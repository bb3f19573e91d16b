"""Show what ``acks`` promises when a broker is killed: ``acks.py --broker-cmd 'COMMAND'``.

The command starts a broker in the foreground; ``{data}`` and ``{port}`` in it stand for a folder and a port, as in
``barnabas serve --data {data} --listen 127.0.0.1:{port}``. For each of acks 0, 1 and all, and all with idempotence, a
producer sends numbered records at a steady rate while the broker is killed (SIGKILL) and started again on the same
folder. Then the topic is read. A table tells, for each setting:

    sent          records given to the producer
    acknowledged  reported as delivered (with acks=0: as written to the socket)
    kept          different ones found in the topic
    lost          acknowledged but not found
    doubled       found more than once
    median ms     from the producer's call to the report, of the records sent before the first kill

Nothing is judged: the table is the answer. Exit code 1 only where the broker does not start. Needs confluent-kafka.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

sys.path.append(str(Path(__file__).parents[1]))

from testkit.ports import free_port

TOPIC = "acks"
# librdkafka reports every connection refused while the broker is away; that is the experiment, not news.
QUIET = logging.getLogger("librdkafka")
QUIET.disabled = True
TIMEOUT = 60.0
SETTINGS: dict[str, dict[str, str | int | float | bool]] = {
    "0": {"acks": 0},
    "1": {"acks": 1},
    "all": {"acks": "all"},
    "all, idempotent": {"acks": "all", "enable.idempotence": True},
}


class Broker:
    """A broker as a child process with one folder and port, killed and started as often as wanted."""

    def __init__(self, command: str, folder: Path, port: int) -> None:
        self.bootstrap = f"127.0.0.1:{port}"
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap}, logger=QUIET)
        self._command = [part.format(data=folder / "data", port=port) for part in shlex.split(command)]
        self._log = folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it need not answer yet."""
        with self._log.open("ab") as log:
            # A group of its own, so that a wrapper script does not survive its broker.
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def wait_ready(self) -> None:
        """Wait until metadata is answered; exit with the end of its log where it died or stays silent."""
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                if self.admin.list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                pass  # not yet
            dead = self._process is None or self._process.poll() is not None
            if dead or time.monotonic() > end:
                self.end(signal.SIGKILL)
                sys.exit(f"the broker does not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def end(self, how: signal.Signals) -> None:
        """Send ``how`` to the process group and wait for the process."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, how)
            self._process.wait(TIMEOUT)


@dataclass
class Outcome:
    """What happened to the records of one setting."""

    sent: int = 0
    acknowledged: set[int] = field(default_factory=set)
    undisturbed: int | None = None
    """How many records were sent before the first kill; None until then."""
    latencies: list[float] = field(default_factory=list)
    found: Counter[int] = field(default_factory=Counter)

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Take a delivery report."""
        value = message.value()
        if error is None and value is not None:
            self.acknowledged.add(int(value))
            latency = message.latency()
            if latency is not None and (self.undisturbed is None or int(value) < self.undisturbed):
                self.latencies.append(latency * 1000)

    def row(self) -> list[str]:
        """Return the cells after the setting's name."""
        lost = len(self.acknowledged - self.found.keys())
        doubled = sum(count > 1 for count in self.found.values())
        median = f"{statistics.median(self.latencies):.2f}" if self.latencies else "-"
        return [str(n) for n in (self.sent, len(self.acknowledged), len(self.found), lost, doubled)] + [median]


def produce(broker: Broker, outcome: Outcome, settings: dict[str, str | int | float | bool], plan: Plan) -> None:
    """Send records at a steady rate, killing and restarting the broker at even distances."""
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "linger.ms": 1, "reconnect.backoff.max.ms": 500} | settings,
        logger=QUIET,
    )
    begun = time.monotonic()
    kills = [plan.seconds * (i + 1) / (plan.kills + 1) for i in range(plan.kills)]
    while (elapsed := time.monotonic() - begun) < plan.seconds:
        if kills and elapsed >= kills[0]:
            kills.pop(0)
            if outcome.undisturbed is None:
                outcome.undisturbed = outcome.sent
            broker.end(signal.SIGKILL)
            broker.start()
        while outcome.sent < elapsed * plan.rate:
            try:
                producer.produce(TOPIC, str(outcome.sent).encode(), partition=0, on_delivery=outcome.delivered)
            except BufferError:
                break  # the queue is full while the broker is away
            outcome.sent += 1
        producer.poll(0.001)
    producer.flush(TIMEOUT)


def read_back(broker: Broker, outcome: Outcome) -> None:
    """Count every record that the topic holds."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "unused", "enable.auto.commit": False})
    place = TopicPartition(TOPIC, 0, 0)
    watermarks = consumer.get_watermark_offsets(place, timeout=TIMEOUT)
    end = watermarks[1] if watermarks else 0
    consumer.assign([place])
    next_offset = 0
    deadline = time.monotonic() + TIMEOUT
    while next_offset < end:
        if time.monotonic() > deadline:
            sys.exit(f"the topic cannot be read beyond {next_offset} of {end}")
        for message in consumer.consume(10_000, timeout=0.5):
            value, offset = message.value(), message.offset()
            if message.error() is None and value is not None and offset is not None:
                outcome.found[int(value)] += 1
                next_offset = offset + 1
    consumer.close()


@dataclass(frozen=True)
class Plan:
    """How long and how fast to send, and how often to kill."""

    seconds: float
    rate: int
    kills: int


def trial(command: str, settings: dict[str, str | int | float | bool], plan: Plan) -> Outcome:
    """Run one setting on a new folder."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="barnabas-acks-") as folder:
        broker = Broker(command, Path(folder), free_port())
        try:
            broker.start()
            broker.wait_ready()
            broker.admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(TIMEOUT)
            produce(broker, outcome, settings, plan)
            broker.wait_ready()
            read_back(broker, outcome)
        finally:
            broker.end(signal.SIGTERM)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker-cmd", required=True, help="starts a broker; with {data} and {port}")
    parser.add_argument("--seconds", type=float, default=6.0, help="sending time a setting (default 6)")
    parser.add_argument("--rate", type=int, default=20_000, help="records a second (default 20000)")
    parser.add_argument("--kills", type=int, default=2, help="kills a setting (default 2)")
    chosen = parser.parse_args()
    plan = Plan(chosen.seconds, chosen.rate, chosen.kills)
    columns = ["acks", "sent", "acknowledged", "kept", "lost", "doubled", "median ms"]
    widths = [16, 10, 13, 10, 8, 8, 10]
    print("".join(f"{name:>{width}}" for name, width in zip(columns, widths, strict=True)))
    for name, settings in SETTINGS.items():
        cells = [name, *trial(chosen.broker_cmd, settings, plan).row()]
        print("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)), flush=True)


if __name__ == "__main__":
    main()
