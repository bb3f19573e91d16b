"""Run a console as a process, and ask it as a page does."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self

from confluent_kafka import Producer

SECONDS = 30.0


class Answer:
    """Hold an answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        """Return the body's document; numbers with digits beyond a double's fail, since they should be texts."""
        return json.loads(self.body)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return the documents of a body of lines."""
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def records(self) -> list[dict[str, Any]]:
        """Return the records among them."""
        return [line for line in self.lines if line["t"] == "record"]


class Console:
    """Be a running console; a context manager."""

    def __init__(self, *options: str, stderr: IO[str] | None = None) -> None:
        self._options, self._stderr = options, stderr
        self.port = 0
        self.cookie: str | None = None
        self.headers: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "barnabas", "console", "--listen", "127.0.0.1:0", *self._options],
            stdout=subprocess.PIPE, stderr=self._stderr, text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the console did not start"
        self.port = int(line.rpartition(":")[2])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: object
    ) -> Answer:
        """Ask for a path below /api."""
        with self.open(method, path, body, headers=headers, **query) as response:
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    @contextmanager
    def open(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: object
    ) -> Iterator[http.client.HTTPResponse]:
        """Ask for a path below /api, and read the answer while it comes; the connection ends with the context."""
        address = f"/api{path}"
        if query:
            address += "?" + urllib.parse.urlencode({name.rstrip("_"): value for name, value in query.items()})
        more = {**self.headers, **(headers or {})}
        if self.cookie:
            more.setdefault("Cookie", f"barnabas_console={self.cookie}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, address, None if body is None else json.dumps(body), more)
            yield connection.getresponse()
        finally:
            connection.close()

    def get(self, path: str, **query: object) -> Answer:
        """Ask."""
        return self.ask("GET", path, **query)

    def csrf(self) -> str:
        """Return the token that a write needs."""
        token: str = self.get("/session").json["csrf"]
        return token

    def change(self, method: str, path: str, body: Any = None) -> Answer:
        """Write, with all that a write needs."""
        return self.ask(method, path, body, headers={
            "Content-Type": "application/json", "X-CSRF-Token": self.csrf(),
            "Origin": f"http://127.0.0.1:{self.port}",
        })

    def post(self, path: str, body: Any) -> Answer:
        """Post, with all that a write needs."""
        return self.change("POST", path, body)


def until(true: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def produce(
    bootstrap: str, topic: str, records: list[dict[str, Any]],
) -> None:
    """Write records: value, key, partition, timestamp, headers."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "message.max.bytes": 20_000_000})
    failed: list[object] = []
    for record in records:
        producer.produce(topic, on_delivery=lambda error, _: failed.append(error) if error else None, **record)
        producer.poll(0)
    assert producer.flush(SECONDS) == 0
    assert not failed
