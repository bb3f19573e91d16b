"""What the exchange's tests share: the exchange as a process on a free port, and clients that are not our own feed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from barnabas_quant.feeds import BITCOIN_AND_OTHERS, Simulator
from barnabas_quant.feeds.recording import write_capture

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
START = 1_700_000_040_000
PATIENCE = 20.0
HTTP = httpx.Client(timeout=PATIENCE, limits=httpx.Limits(max_keepalive_connections=0))
"""One client for all requests, a connection for each: making a client takes longer than what it is made for."""

SECONDS = 10
"""Of the simulated minute, that the small capture holds."""


@dataclass
class Running:
    """An exchange that runs."""

    process: subprocess.Popen[str]
    rest: str
    errors: IO[str]

    @property
    def stream(self) -> str:
        return self.rest.replace("http", "ws", 1)

    @property
    def port(self) -> int:
        return int(self.rest.rpartition(":")[2])

    def get(self, path: str, **query: Any) -> httpx.Response:
        return HTTP.get(self.rest + path, params=query or None)

    def order(self, name: str, **order: Any) -> dict[str, Any]:
        answer = HTTP.post(f"{self.rest}/control/{name}", json=order)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def control(self, page: str = "", **query: Any) -> Any:
        return self.get(f"/control/{page}", **query).json()

    def entry(self, order: dict[str, Any]) -> dict[str, Any]:
        """Read an entry of the log again."""
        return next(entry for entry in self.control("log") if entry["id"] == order["id"])

    def connect(self, path: str, **options: Any) -> ClientConnection:
        # A client whose queue is full waits for the close frame in vain: it is not in a hurry otherwise.
        return connect(self.stream + path, max_size=None, close_timeout=0.1, **options)


Start = Callable[..., Running]


def launch(*arguments: str | Path) -> Running:
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, "-m", "barnabas_quant.exchange", "--listen", "127.0.0.1:0", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("exchange: http://"), line
    return Running(process, line.split()[1], errors)


def end(running: Running) -> None:
    killed = running.process.poll() == -signal.SIGKILL
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(PATIENCE) == 0 or killed
    assert running.process.stdout is not None
    running.process.stdout.close()
    running.errors.seek(0)
    written = running.errors.read()
    running.errors.close()
    assert "Traceback" not in written, written


@pytest.fixture
def start() -> Iterator[Start]:
    """Start exchanges; they end with the test, and in order."""
    started: list[Running] = []

    def one(*arguments: str | Path) -> Running:
        started.append(launch(*arguments))
        return started[-1]

    yield one
    for running in started:
        end(running)


@pytest.fixture(scope="session")
def simulated() -> Iterator[Running]:
    """Give an exchange that plays the simulated market, for tests that break nothing."""
    running = launch("--symbols", "2", "--seed", "7", "--limit-weight", "1000000", "--limit-futures-weight", "1000000")
    yield running
    end(running)


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a capture of the first seconds of a simulated minute, one symbol."""
    path = tmp_path_factory.mktemp("capture") / "spot.gz"
    frames = [
        frame
        for frame in Simulator(3, BITCOIN_AND_OTHERS[:1]).minute(0, START)
        if frame.received < (START + SECONDS * 1000) * 10**6
    ]
    write_capture(path, frames)
    return path


def message(client: ClientConnection) -> Any:
    """Read a message as JSON."""
    return json.loads(client.recv(timeout=PATIENCE))


def until(client: ClientConnection, wanted: Callable[[Any], bool]) -> list[Any]:
    """Read messages up to one that is wanted."""
    read = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        read.append(message(client))
        if wanted(read[-1]):
            return read
    raise AssertionError("it did not come")


def command(client: ClientConnection, **request: Any) -> Any:
    """Send a command and give its answer; other messages are passed over."""
    client.send(json.dumps(request))
    return until(client, lambda m: "result" in m or "code" in m)[-1]
