"""Start and end consoles, and write the records that tests look at."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from testkit.ports import free_port

_START_S = 30.0


class Console:
    """Be a console process; `kill` and `start` again on the same port."""

    def __init__(self, clusters: Sequence[str], *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        named = [word for cluster in clusters for word in ("--cluster", cluster)]
        self._words = [*named, "--listen", f"127.0.0.1:{self.port}", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object

    def start(self) -> Self:
        """Start it and return when it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "barnabas", "console", *self._words], stdout=self._log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + _START_S
        waiting = threading.Event()
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                self._log.seek(0)
                raise AssertionError(self._log.read().decode(errors="replace"))
            waiting.wait(0.05)
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/session", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def to(self, *parts: str, query: str = "") -> str:
        """Return the address of a page of the cluster `local`."""
        path = "/".join(quote(part, safe="") for part in ("c", "local", *parts))
        return f"{self.url}/{path}{'?' + query if query else ''}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._log.close()


Produced = Callable[..., None]


def produce(bootstrap: str) -> Produced:
    """Return a function that writes records to a topic and returns when they stand there."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 2})

    def write(topic: str, values: Sequence[Any], *, key: Any = None, partition: int = 0, **more: Any) -> None:
        failures: list[Any] = []
        for value in values:
            producer.produce(
                topic,
                value,
                key=key,
                partition=partition,
                on_delivery=lambda error, _: failures.append(error) if error is not None else None,
                **more,
            )
            producer.poll(0)
        assert producer.flush(30) == 0
        assert failures == []

    return write


def commit(bootstrap: str, group: str, topic: str, offsets: dict[int, int]) -> None:
    """Commit offsets for a group that has no members."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 2})
    try:
        consumer.commit(offsets=[TopicPartition(topic, p, offset) for p, offset in offsets.items()], asynchronous=False)
    finally:
        consumer.close()


def asked(page: Any, waiting: Sequence[Any]) -> None:
    """Wait until a request that a test holds back has come to it."""
    deadline = time.monotonic() + _START_S
    while not waiting:
        assert time.monotonic() < deadline, "the page asks for nothing"
        page.wait_for_timeout(10)
