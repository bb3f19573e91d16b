"""`barnabas serve --console`: a child that ends with the broker, however that ends; nothing of it where it is off."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.ports import free_ports

from ..test_serve import refused, serve
from .site import until


def status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/api/clusters/local/topics")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_the_console_lives_as_long_as_the_broker(tmp_path: Path, number: signal.Signals) -> None:
    broker, page = free_ports(2)
    with serve("--listen", f"127.0.0.1:{broker}", "--console", f"127.0.0.1:{page}", cwd=tmp_path) as (process, _):
        until(lambda: status(page) == 200)
        (child,) = children(process.pid)
        process.send_signal(number)
        process.wait(20)
        until(lambda: not runs(child))
    assert status(page) == 0


def test_a_broker_outlives_its_console(tmp_path: Path) -> None:
    broker, page = free_ports(2)
    with serve("--listen", f"127.0.0.1:{broker}", "--console", f"127.0.0.1:{page}", cwd=tmp_path) as (process, _):
        until(lambda: status(page) == 200)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        assert process.stdout is not None
        assert any("the console has ended with status -9" in line for line in process.stdout if "console" in line)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_an_address_that_is_none(tmp_path: Path) -> None:
    assert "--console" in refused("--console", "8080", cwd=tmp_path)


def test_a_broker_imports_nothing_of_the_console() -> None:
    program = (
        "import sys, barnabas.cli, barnabas.server.command\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('starlette', 'uvicorn', 'bcrypt')"
        " or name.startswith('barnabas.console')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
