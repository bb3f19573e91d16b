"""Measure end-to-end latency at a fixed rate: from when a record was due to be sent until a consumer has it.

The loop is open: record n is due at start + n / rate, whatever became of those before it, and its latency counts from
that moment. A broker that stalls therefore pays for every record that had to wait, not for one ("coordinated
omission"). That is why this is not `rdkafka_performance -l -r RATE`: it sleeps after each send, so that a stall moves
all later records, stamps a record when it is sent, and spins on a core while it waits, of which a small machine has
two. Here producer and consumer are two processes with a librdkafka client each (linger 0, acks 1); both clocks are
CLOCK_MONOTONIC, which the processes of one machine share. The producer says how late it was itself.
"""

import argparse
import ctypes
import gc
import json
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypedDict

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from bench.loads import Load
from bench.peers.folder import PeerError
from bench.systems import REPOSITORY, Running

RECORD_SIZE = 100
STAMP = struct.Struct("<qq")  # due time in monotonic ns, number of the record
PR_SET_TIMERSLACK = 29
PATIENCE = 30.0  # seconds without a record after which the rest counts as lost


class Times(TypedDict):
    """Percentiles and mean of a run, in microseconds."""

    mean: float
    p50: float
    p99: float
    p999: float


@dataclass(frozen=True, slots=True)
class Latency:
    """What a run at one rate showed."""

    end_to_end: Times
    late: Times
    """How late the producer itself handed records to its client; part of `end_to_end`."""
    load: Load


def summarize(nanoseconds: Sequence[int]) -> Times:
    """Return the mean and nearest-rank percentiles of times in ns. Raises ValueError when there are none."""
    if not nanoseconds:
        raise ValueError("no times")
    ordered = sorted(nanoseconds)

    def rank(thousandths: int) -> float:
        return ordered[max(0, -(-len(ordered) * thousandths // 1000) - 1)] / 1000

    return Times(mean=sum(ordered) / len(ordered) / 1000, p50=rank(500), p99=rank(990), p999=rank(999))


def _sharpen() -> None:
    """Keep this process's own pauses out of the figures: no garbage collection, timers without their 50 us slack."""
    gc.disable()
    with suppress(OSError, AttributeError):  # not Linux: sleeps are a little longer
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)


def _send(bootstrap: str, topic: str, rate: int, warm: int, count: int) -> Times:
    """Send `warm` + `count` records at `rate` a second; return how late the counted ones were."""
    failed: list[str] = []

    def delivered(error: object, _message: object) -> None:
        if error is not None:
            failed.append(str(error))

    settings = {"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": 1, "on_delivery": delivered}
    producer = Producer(settings)
    producer.list_topics(topic, timeout=30)  # connect before the first record is due
    late = array("q")
    padding = bytes(RECORD_SIZE - STAMP.size)
    clock = time.monotonic_ns
    interval = 1e9 / rate
    start = clock() + 200_000_000
    for number in range(warm + count):
        due = start + int(number * interval)
        while (wait := due - clock()) > 0:
            time.sleep(wait / 1e9)
        producer.produce(topic, STAMP.pack(due, number) + padding, partition=0)
        if number >= warm:
            late.append(clock() - due)
        producer.poll(0)
    left = producer.flush(PATIENCE)
    if left or failed:
        raise PeerError(f"{left + len(failed)} of {warm + count} records were not delivered {failed[:1]}")
    return summarize(late)


def _receive(bootstrap: str, topic: str, warm: int, count: int) -> Times:
    """Print `ready` once fetching, take all records in order, return the latencies of those after the warm-up."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "bench-latency", "enable.auto.commit": False}
    consumer = Consumer(settings)
    times = array("q")
    clock = time.monotonic_ns
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        consumer.poll(1.0)  # nothing is there yet: time for the connections and the first waiting fetch
        print("ready", flush=True)
        for expected in range(warm + count):
            message = consumer.poll(PATIENCE)
            now = clock()
            if message is None:
                raise PeerError(f"record {expected} of {warm + count} never came")
            value = message.value()
            if message.error() is not None or not isinstance(value, bytes):
                raise PeerError(f"record {expected}: {message.error()}")
            due, number = STAMP.unpack_from(value)
            if number != expected:
                raise PeerError(f"record {number} came where {expected} was expected")
            if number >= warm:
                times.append(now - due)
    finally:
        consumer.close()
    return summarize(times)


def measure(broker: Running, topic: str, rate: int, seconds: float, warm_seconds: float) -> Latency:
    """Run producer and consumer processes on an empty topic with one partition.

    The broker's CPU is that of the whole run, warm-up and ends included, and so are the records it is divided by.
    Raises PeerError when a record is lost, out of order or late beyond patience.
    """
    warm, count = int(rate * warm_seconds), int(rate * seconds)
    common = [broker.bootstrap, topic, "--rate", str(rate), "--warm", str(warm), "--count", str(count)]

    def process(role: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench.latency", role, *common]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    limit = warm_seconds + seconds + 3 * PATIENCE
    before = broker.cpu_seconds()
    running = [consumer := process("receive")]
    try:
        assert consumer.stdout is not None
        if consumer.stdout.readline().strip() != "ready":
            raise PeerError(f"the consumer did not start: {consumer.communicate(timeout=limit)[1][-2000:]}")
        running.append(producer := process("send"))
        results: list[Times] = []
        for started in (producer, consumer):
            output, errors = started.communicate(timeout=limit)
            if started.returncode:
                raise PeerError(f"latency at {rate}/s: {errors.strip()[-2000:]}")
            results.append(json.loads(output))
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"latency at {rate}/s: no end after {limit:.0f} s") from error
    finally:
        for started in running:
            started.kill()
            started.wait()
    cpu = broker.cpu_seconds() - before
    return Latency(results[1], results[0], Load(warm + count, warm_seconds + seconds, cpu, 0.0))


def main() -> None:
    """Be the producer or the consumer of a measurement; print the times as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description="One side of a latency measurement.")
    parser.add_argument("role", choices=["send", "receive"])
    parser.add_argument("bootstrap", metavar="HOST:PORT")
    parser.add_argument("topic", help="an empty topic with one partition")
    parser.add_argument("--rate", type=int, default=1000, help="records a second")
    parser.add_argument("--warm", type=int, default=1000, help="records before the counted ones")
    parser.add_argument("--count", type=int, default=10_000, help="counted records")
    chosen = parser.parse_args()
    _sharpen()
    try:
        if chosen.role == "send":
            times = _send(chosen.bootstrap, chosen.topic, chosen.rate, chosen.warm, chosen.count)
        else:
            times = _receive(chosen.bootstrap, chosen.topic, chosen.warm, chosen.count)
    except (KafkaException, BufferError, PeerError) as error:
        sys.exit(f"bench.latency: {error}")
    print(json.dumps(times))


if __name__ == "__main__":
    main()
