"""`play` with a broker of its own: started, shown, ended in order, and gone on with after a kill."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from barnabas_quant.endpoints import read_endpoints
from barnabas_quant.processes import started
from testkit.ports import free_ports

from .conftest import Run, eventually, finish, playing

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("barnabas") is None, reason="no broker to start: the package barnabas is not installed"
)


@pytest.fixture
def listen() -> list[str]:
    """Give the options for two ports that are free on every loopback address."""
    return [part for port in free_ports(2) for part in ("--listen", f"localhost:{port}")]


@pytest.fixture
def broker_of(tmp_path: Path) -> Iterator[list[int]]:
    """Collect the process ids of brokers, and check at the end that none of them is left."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        eventually(lambda pid=pid: started(pid) is None)  # type: ignore[misc]


def broker_pid(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if match := re.match(r"broker (\d+) answers at localhost:", line):
            return int(match[1])
    raise AssertionError(f"no broker: {finish(process)}")


@pytest.mark.long
def test_it_runs_for_its_seconds_and_leaves_nothing(
    quant: Run, listen: list[str], broker_of: list[int], tmp_path: Path, capture_file: Path
) -> None:
    process = quant("play", *listen, "--capture", capture_file, "--seconds", "10")
    broker_of.append(broker_pid(process))
    found = read_endpoints(tmp_path / "data")
    assert found is not None
    assert found.kafka == listen[1]
    playing(process, "records=[1-9]")
    code, output, errors = finish(process)
    assert (code, errors) == (0, ""), output
    assert output.splitlines()[-1].startswith("end: ")
    assert read_endpoints(tmp_path / "data") is None


@pytest.mark.long
def test_killed_it_takes_its_broker_along_and_the_next_run_goes_on(
    quant: Run, listen: list[str], broker_of: list[int], tmp_path: Path, capture_file: Path
) -> None:
    arguments = (*listen, "--capture", capture_file)
    process = quant("play", *arguments, "--speed", "5")
    broker_of.append(broker_pid(process))
    playing(process, "records=[1-9]")
    process.kill()
    finish(process)
    process = quant("play", *arguments, "--speed", "5")
    broker_of.append(broker_pid(process))
    playing(process)
    code, output, errors = finish(quant("verify", "--capture", capture_file))  # finds the running one by itself
    assert (code, errors) == (1, ""), output
    assert listen[1] in output
    process.send_signal(signal.SIGINT)
    code, output, errors = finish(process)
    assert (code, errors) == (0, ""), output
    assert " skipped=0 " not in output.splitlines()[-1]


def test_a_broker_that_dies_is_reported(
    quant: Run, listen: list[str], broker_of: list[int], capture_file: Path
) -> None:
    process = quant("play", *listen, "--capture", capture_file)
    pid = broker_pid(process)
    broker_of.append(pid)
    playing(process)
    os.kill(pid, signal.SIGKILL)
    code, _, errors = finish(process)
    assert code == 1
    assert "the broker was killed by SIGKILL; its output is in" in errors


def test_a_taken_port_stops_it_before_anything_starts(quant: Run, tmp_path: Path, capture_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, output, errors = finish(quant("play", "--capture", capture_file, "--listen", f"127.0.0.1:{port}"))
    assert (code, output) == (1, "")
    assert f"port {port} is taken" in errors
    assert "--listen" in errors
    assert not (tmp_path / "data" / "kafka").exists()
