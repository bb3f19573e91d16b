"""Clusters that are away: known at once, told of once."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from testkit.ports import free_ports

from ..test_serve import serve
from .site import Console, until


def state(console: Console) -> dict[str, Any]:
    (found,) = console.get("/clusters").json["clusters"]
    return dict(found)


def test_a_cluster_that_was_down_keeps_nobody_waiting() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,  # takes connections, and says nothing
        Console("--cluster", f"silent=127.0.0.1:{silent.getsockname()[1]}") as console,
    ):
        assert state(console)["state"] == "down"
        took = []
        for _ in range(3):
            begun = time.monotonic()
            assert state(console)["state"] == "down"
            took.append(time.monotonic() - begun)
        assert min(took) < 1.2  # it was 1.5 to 2, each time; a busy machine may hold up one of them


@pytest.mark.long
def test_going_and_coming_are_told_once(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    log = tmp_path / "stderr"
    with log.open("w") as file, Console("--cluster", f"one=127.0.0.1:{port}", stderr=file) as console:
        for _ in range(3):
            assert console.get("/clusters/one/topics").status == 503
            assert state(console)["state"] == "down"
        for run in ("first", "second"):
            (tmp_path / run).mkdir()
            with serve("--listen", f"127.0.0.1:{port}", cwd=tmp_path / run):
                until(lambda: state(console)["state"] == "up")
                assert console.get("/clusters/one/topics").status == 200
            until(lambda: state(console)["state"] == "down")
            assert console.get("/clusters/one/groups").status == 503
    lines = log.read_text().splitlines()
    away = rf"WARNING cluster one is down: Connection to 127\.0\.0\.1:{port} could not be established\. .*"
    again = r"WARNING cluster one answers again, after [0-9]+ s"
    for line, pattern in zip(lines, (away, again) * 2 + (away,), strict=True):
        assert re.fullmatch(rf"\[[0-9-]+ [0-9:,]+\] {pattern}", line), lines
