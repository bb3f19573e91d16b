"""The end of a console: status 0, soon, whatever is open."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from barnabas.embedded import Broker

from ..test_serve import serve
from .site import Console

Topic = Callable[..., str]
SECONDS = 15.0  # it takes two at rest; who is held by a view or a thread is so for more than thirty


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_under_a_live_view(broker: Broker, topic: Topic, tmp_path: Path, number: signal.Signals) -> None:
    name = topic()
    said = tmp_path / "stderr"
    with (
        said.open("w") as file, Console("--cluster", f"local={broker.bootstrap}", stderr=file) as console,
        console.open("GET", f"/clusters/local/topics/{name}/messages", from_="live") as live,
    ):
        assert json.loads(live.readline())["t"] == "progress"
        begun = time.monotonic()
        console.process.send_signal(number)
        assert console.process.wait(30) == 0
        assert time.monotonic() - begun < SECONDS
    assert said.read_text() == ""


def test_it_ends_while_a_broker_keeps_it_waiting(tmp_path: Path) -> None:
    config = tmp_path / "client.properties"
    config.write_text("request.timeout.ms=60000\n")
    with serve("--listen", "127.0.0.1:0", cwd=tmp_path) as (process, lines):
        place = re.search(r"listening on PLAINTEXT://([0-9.:]+)", "\n".join(lines))
        assert place is not None
        with Console("--cluster", f"one={place[1]}", "--command-config", f"one={config}") as console:
            assert console.get("/clusters").json["clusters"][0]["state"] == "up"
            process.send_signal(signal.SIGSTOP)
            assert console.get("/clusters").json["clusters"][0]["state"] == "down"  # a thread is still waiting
            begun = time.monotonic()
            console.process.send_signal(signal.SIGTERM)
            assert console.process.wait(30) == 0
            assert time.monotonic() - begun < SECONDS
