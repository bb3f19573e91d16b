"""Send prepared Produce frames from plain sockets: what a broker takes when the client costs next to nothing.

A client library spends more CPU on a record than a broker does, so on a small machine it is the limit that one
measures. Here each frame is built before the clock runs: one record batch of 100 B records, the same bytes for every
partition. Each connection has its own partitions and keeps a few requests in flight, as clients do (Java's default
is 5). The broker's work is the ordinary one: it checks, appends and acknowledges every batch (acks=1).

`python -m bench.frames --help` runs it by itself, against any broker and an existing topic.
"""

import argparse
import json
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from itertools import cycle

from bench.loads import LOAD_LIMIT, Load
from bench.peers.folder import PeerError
from bench.systems import REPOSITORY, Running
from bench.wire import WireError, parse_produce_response, produce_request, read_frame, record_batch

RECORDS = 9_000  # of 100 B: 0.96 MB, below the 1 MiB that a broker takes by default
RECORD_SIZE = 100
CORRELATION = struct.Struct(">i")
CORRELATION_AT = 8  # after length, API and version


@dataclass(frozen=True, slots=True)
class Sent:
    """What a run of the frame loader did."""

    records: int
    seconds: float
    loader_cpu: float


class Connection(threading.Thread):
    """Send frames in turn over one connection, `window` of them unanswered at most, until `count` are answered."""

    def __init__(self, address: tuple[str, int], frames: list[bytes], count: int, window: int) -> None:
        """Connect to a broker; nothing is sent before `start`. Raises OSError."""
        super().__init__(daemon=True)
        self.failure: Exception | None = None
        self._socket = socket.create_connection(address, timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._frames = [bytearray(frame) for frame in frames]
        self._count = count
        self._window = window

    def run(self) -> None:
        """Send and check; a failure is kept for the thread that waits."""
        try:
            with self._socket:
                self._exchange()
        except (OSError, WireError) as error:
            self.failure = error

    def _exchange(self) -> None:
        unanswered: deque[int] = deque()
        for number, frame in zip(range(self._count), cycle(self._frames), strict=False):
            if len(unanswered) == self._window:
                self._answer(unanswered.popleft())
            CORRELATION.pack_into(frame, CORRELATION_AT, number)
            self._socket.sendall(frame)
            unanswered.append(number)
        while unanswered:
            self._answer(unanswered.popleft())

    def _answer(self, number: int) -> None:
        answer = parse_produce_response(read_frame(self._socket))
        if answer.correlation != number or answer.error:
            raise WireError(f"request {number} was answered as {answer}")


def send_frames(
    address: tuple[str, int], topic: str, partitions: int, batches: int, connections: int = 2, window: int = 5
) -> Sent:
    """Send `batches` prepared batches, spread evenly over partitions and connections.

    Raises WireError or OSError when a batch is refused or a connection breaks.
    """
    batch = record_batch(RECORDS, RECORD_SIZE, time.time_ns() // 1_000_000)
    frames = [produce_request(topic, partition, batch, 0) for partition in range(partitions)]
    share, rest = divmod(batches, connections)
    senders = [
        Connection(address, frames[number::connections], share + (number < rest), window)
        for number in range(connections)
    ]
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    for sender in senders:
        if sender.failure is not None:
            raise sender.failure
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sent(batches * RECORDS, seconds, cpu)


def produce_frames(broker: Running, topic: str, partitions: int, records: int) -> Load:
    """Run the frame loader as a process of its own, for at least `records` records; see `send_frames`.

    Raises PeerError when a batch was refused or the loader failed.
    """
    batches = -(-records // RECORDS)
    arguments = [broker.bootstrap, topic, "--partitions", str(partitions), "--batches", str(batches)]
    before = broker.cpu_seconds()
    command = [sys.executable, "-m", "bench.frames", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_LIMIT, cwd=REPOSITORY)
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"no end of the frames after {LOAD_LIMIT:.0f} s") from error
    broker_cpu = broker.cpu_seconds() - before
    if done.returncode:
        raise PeerError(f"the frame loader failed: {done.stderr.strip()[-2000:]}")
    sent = Sent(**json.loads(done.stdout))
    return Load(sent.records, sent.seconds, broker_cpu, sent.loader_cpu)


def main() -> None:
    """Send frames to a broker and print what they took, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.frames", description="Send prepared Produce frames.")
    parser.add_argument("bootstrap", metavar="HOST:PORT")
    parser.add_argument("topic", help="a topic that exists")
    parser.add_argument("--partitions", type=int, default=10)
    parser.add_argument("--batches", type=int, default=1000, help=f"of {RECORDS} records of {RECORD_SIZE} B")
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--window", type=int, default=5, help="unanswered requests of a connection")
    chosen = parser.parse_args()
    host, _, port = chosen.bootstrap.rpartition(":")
    if not 1 <= chosen.connections <= chosen.partitions:
        parser.error("each connection needs a partition")
    try:
        sent = send_frames(
            (host, int(port)), chosen.topic, chosen.partitions, chosen.batches, chosen.connections, chosen.window
        )
    except (OSError, WireError) as error:
        sys.exit(f"bench.frames: {error}")
    print(json.dumps(asdict(sent)))


if __name__ == "__main__":
    main()
