"""Children that die, parents that die, ports and folders that are taken."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from barnabas_quant.endpoints import (
    Endpoints,
    Started,
    only_one,
    read_endpoints,
    remove_endpoints,
    running_platform,
    write_endpoints,
)
from barnabas_quant.errors import ChildError, QuantError
from barnabas_quant.processes import Child, check_port, end_leftover, split_address, started

from .conftest import eventually

SLEEPER = [sys.executable, "-c", "print('ready', flush=True); import signal; signal.pause()"]


def test_a_child_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    child = Child("broker", [sys.executable, "-c", "print('no room'); raise SystemExit(7)"], tmp_path / "log" / "b.log")
    eventually(lambda: child.ended)
    with pytest.raises(ChildError, match=r"(?s)the broker ended with code 7; .*b\.log.*no room"):
        child.check()


def test_a_killed_child_is_said_to_be(tmp_path: Path) -> None:
    child = Child("broker", SLEEPER, tmp_path / "b.log")
    child.check()
    os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: child.ended)
    with pytest.raises(ChildError, match="was killed by SIGKILL"):
        child.check()
    assert child.stop() == -signal.SIGKILL


def test_stop_asks_first_and_then_insists(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    log = tmp_path / "b.log"
    child = Child("broker", [sys.executable, "-c", deaf], log)
    eventually(lambda: "ready" in log.read_text())
    assert child.stop(0.2) == -signal.SIGKILL
    polite = Child("broker", SLEEPER, tmp_path / "c.log")
    assert polite.stop() == -signal.SIGTERM


def test_what_is_no_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="cannot start the broker"):
        Child("broker", [str(tmp_path / "missing")], tmp_path / "b.log")


@pytest.mark.parametrize("wrong", ["program", "log", "folder"])
def test_a_start_that_is_refused_is_said_and_leaves_nothing_open(tmp_path: Path, wrong: str) -> None:
    program, log = str(tmp_path / "missing"), tmp_path / "log" / "b.log"
    if wrong == "log":
        log.mkdir(parents=True)
    elif wrong == "folder":
        log.parent.touch()
    said = {"program": "No such file or directory", "log": "Is a directory", "folder": "File exists"}[wrong]
    named = {"program": program, "log": str(log), "folder": str(log.parent)}[wrong]
    # in a process of its own: here, threads of other tests open and close descriptors meanwhile
    command = [program] if wrong == "program" else SLEEPER
    start = (
        "import os, pathlib; from barnabas_quant.errors import ChildError; from barnabas_quant.processes import Child\n"
        "before = os.listdir('/dev/fd')\n"
        "try:\n"
        f"    Child('broker', {command!r}, pathlib.Path({str(log)!r}), reports='R')\n"
        "except ChildError as error:\n"
        "    print(error, os.listdir('/dev/fd') == before)\n"
    )
    told = subprocess.run([sys.executable, "-c", start], check=True, capture_output=True, text=True).stdout
    assert told == f"cannot start the broker ({named}): {said} True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent by itself")
def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import signal, sys, pathlib; from barnabas_quant.processes import Child;"
        f"child = Child('broker', {SLEEPER!r}, pathlib.Path({str(tmp_path / 'b.log')!r}));"
        "print(child.pid, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert started(pid) is not None
        parent.kill()
    eventually(lambda: started(pid) is None)


def test_a_taken_port_is_named_with_its_holder_and_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ChildError) as caught:
            check_port(f"127.0.0.1:{port}", "--listen")
    text = str(caught.value)
    assert f"port {port} is taken" in text
    assert "--listen" in text
    if sys.platform == "linux":
        assert f"process {os.getpid()} " in text
    check_port(f"127.0.0.1:{port}", "--listen")


@pytest.mark.parametrize("text", ["", "9092", "host:", ":9092", "host:x", "host:0", "host:65536", "host:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not HOST:PORT"):
        split_address(text)


def test_addresses() -> None:
    assert split_address("localhost:9092") == ("localhost", 9092)
    assert split_address("[::1]:9092") == ("::1", 9092)


def test_endpoints_are_written_read_and_forgotten(tmp_path: Path) -> None:
    with only_one(tmp_path):
        assert read_endpoints(tmp_path) is None
        written = Endpoints(kafka="localhost:9092", redis="redis://x", supervisor=Started.of(os.getpid()))
        write_endpoints(tmp_path, written)
        assert read_endpoints(tmp_path) == running_platform(tmp_path) == written
        remove_endpoints(tmp_path)
        assert read_endpoints(tmp_path) is None


def test_what_a_killed_run_wrote_is_not_taken_for_a_platform(tmp_path: Path) -> None:
    with only_one(tmp_path):
        for supervisor, broker, runs in (
            (None, None, False),
            (Started(os.getpid(), "another start time"), None, False),
            (Started(2**22 + 1, "1"), Started.of(os.getpid()), False),  # its broker is about to end, too
            (Started.of(os.getpid()), Started(2**22 + 1, "1"), True),  # killed, and soon started again
        ):
            processes = {} if broker is None else {"kafka": broker}
            write_endpoints(tmp_path, Endpoints(kafka="localhost:9092", supervisor=supervisor, processes=processes))
            assert (running_platform(tmp_path) is not None) is runs


def test_a_folder_is_used_by_one_at_a_time(tmp_path: Path) -> None:
    with (
        only_one(tmp_path),
        pytest.raises(QuantError, match=rf"in use by process {os.getpid()}"),
        only_one(tmp_path),
    ):
        raise AssertionError("two at once")
    with only_one(tmp_path):
        pass


def test_what_a_killed_run_left_is_ended_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.readline()
        assert not end_leftover(left.pid, "another start time")
        assert left.poll() is None
        with only_one(tmp_path):
            process = Started.of(left.pid)
            assert process is not None
            write_endpoints(tmp_path, Endpoints(kafka="localhost:9092", processes={"kafka": process}))
        with only_one(tmp_path):
            assert left.wait(0) == -signal.SIGTERM
