"""Ship the lines of log files to a topic, each line at least once.

One record a line: the key is `host:file`, so that a file's lines stay in order in one partition; the value is JSON with
host, file, position (bytes before the line) and text. How far each file is shipped stands in a registry file, which is
replaced only after the broker has acknowledged every line before that point. A crash in between ships lines again; the
index recognises them by host, file and position.

    python ship.py --bootstrap localhost:9092 --registry shipped.json app.log
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer


def complete_lines(file: Path, position: int) -> Iterator[tuple[int, int, str]]:
    """Yield (position, position after it, text) of each finished line from a byte position on.

    A last line without its end waits for the rest. A file shorter than the position was truncated or replaced: it is
    read from its beginning. Raise OSError where the file cannot be read.
    """
    with file.open("rb") as source:
        if position > os.fstat(source.fileno()).st_size:
            position = 0
        source.seek(position)
        for line in source:
            if not line.endswith(b"\n"):
                return
            yield position, position + len(line), line.rstrip(b"\r\n").decode("utf-8", errors="replace")
            position += len(line)


class Shipper:
    """Send what is new in the files and remember it once it is acknowledged."""

    def __init__(self, bootstrap: str, topic: str, registry: Path, host: str) -> None:
        # murmur2_random is the partitioner of the Java client: keys land where other clients put them.
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "partitioner": "murmur2_random"}
        )
        self._topic = topic
        self._registry = registry
        self._host = host
        self._shipped: dict[str, int] = json.loads(registry.read_text()) if registry.exists() else {}
        self._failed: KafkaError | None = None

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._failed = self._failed or error

    def _send(self, key: str, value: str) -> None:
        while True:
            try:
                return self._producer.produce(self._topic, value, key, on_delivery=self._delivered)
            except BufferError:  # The local queue is full: wait until some lines are acknowledged.
                self._producer.poll(0.1)

    def ship(self, files: list[Path]) -> int:
        """Ship every new finished line; return their number. Raise OSError where the broker did not take them all."""
        reached = dict(self._shipped)
        count = 0
        for file in files:
            name = str(file.resolve())
            for position, after, text in complete_lines(file, reached.get(name, 0)):
                record = {"host": self._host, "file": name, "position": position, "text": text}
                self._send(f"{self._host}:{name}", json.dumps(record))
                reached[name] = after
                count += 1
        if self._producer.flush(60) or self._failed:
            raise OSError(f"not shipped: {self._failed or 'no answer within 60 s'}")
        if reached != self._shipped:
            self._shipped = reached
            draft = self._registry.with_name(self._registry.name + ".draft")
            draft.write_text(json.dumps(reached))
            draft.replace(self._registry)
        return count


def main() -> None:
    """Ship once, or with --follow until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Ship the lines of log files to a topic.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="logs")
    parser.add_argument("--registry", type=Path, default=Path("shipped.json"), help="how far each file is shipped")
    parser.add_argument("--host", default=socket.gethostname(), help="name of this machine in the records")
    parser.add_argument("--follow", action="store_true", help="look for new lines every half second")
    options = parser.parse_args()

    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    shipper = Shipper(options.bootstrap, options.topic, options.registry, options.host)
    while True:
        if count := shipper.ship(options.files):
            print(f"shipped {count} lines", flush=True)
        if not options.follow or stopping.wait(0.5):
            return


if __name__ == "__main__":
    main()
