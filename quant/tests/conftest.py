"""What the tests share: a Kafka to talk to, the command as a process, captures nobody else has."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

from barnabas_quant.exchange.simulator import MINUTE
from barnabas_quant.feeds import Simulator
from barnabas_quant.feeds.recording import write_capture
from testkit.ports import free_port

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "binance"
START = 1_700_000_040_000
FRAMES = 3000  # some twenty seconds of the market: the feed's tests each read again what those before have written
PATIENCE = 60.0  # seconds for what takes no time on a machine that has nothing else to do

# All HTTP here stays on this machine. By itself httpx reads the web's authorities for each client and each `httpx.get`,
# 25 ms of a processor every time: a folder without any is read at once, by the services that tests start as well.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """Give the address of a Kafka: the one named by BARNABAS_TEST_BOOTSTRAP, or a broker of our own."""
    given = os.environ.get("BARNABAS_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    embedded = pytest.importorskip(
        "barnabas.embedded",
        reason="no Kafka: BARNABAS_TEST_BOOTSTRAP is not set and the package barnabas not installed",
    )
    with embedded.Broker() as broker:
        yield broker.bootstrap


@pytest.fixture
def seed() -> int:
    """Give a seed that no other test and no earlier run has used: topics outlive a test."""
    return uuid.uuid4().int % 2**60


@pytest.fixture
def capture_file(tmp_path: Path, seed: int) -> Path:
    """Give a capture of FRAMES, its own source in the topics."""
    path = tmp_path / "capture.gz"
    write_capture(path, islice(Simulator(seed).minute(0, START), FRAMES))
    return path


@pytest.fixture
def long_capture_file(tmp_path: Path, seed: int) -> Path:
    """Give a capture of four simulated minutes."""
    path = tmp_path / "long.gz"
    simulator = Simulator(seed)
    write_capture(path, chain.from_iterable(simulator.minute(n, START + n * MINUTE) for n in range(4)))
    return path


Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def quant(tmp_path: Path) -> Iterator[Run]:
    """Start `barnabas-quant` as a process, in a data folder and with a consumer group of its own."""
    processes: list[subprocess.Popen[str]] = []
    group = f"table-{uuid.uuid4().hex}"

    def start(command: str, *arguments: str | Path) -> subprocess.Popen[str]:
        own = ("--data", str(tmp_path / "data"), *(("--group", group) if command == "play" else ()))
        process = subprocess.Popen(
            [sys.executable, "-m", "barnabas_quant.cli", command, *own, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def finish(process: subprocess.Popen[str], seconds: float = 90) -> tuple[int, str, str]:
    """Wait for a process; give its exit code, standard output and standard error."""
    output, errors = process.communicate(timeout=seconds)
    return process.returncode, output, errors


def playing(process: subprocess.Popen[str], pattern: str = "sent=[1-9]") -> None:
    """Read a process's lines until one says that it plays and matches."""
    assert process.stdout is not None
    for line in process.stdout:
        if "feed=playing" in line and re.search(pattern, line):
            return
    raise AssertionError(f"it ended before: {finish(process)}")


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until something is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@pytest.fixture
def unused_port() -> int:
    """Give a port that nothing listens on."""
    return free_port()
