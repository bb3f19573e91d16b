"""Starting and stopping a broker under Kafka's names, and the folder shaped like Kafka's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from barnabas.cli import main
from barnabas.tools.main import run
from barnabas.tools.scripts.server_stop import _is_broker
from testkit.ports import free_port

NODE = 1 << 30  # an id that no other broker of this machine has


def test_what_is_missing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-server-start", []) == 1
    assert capfd.readouterr().out.startswith("USAGE: kafka-server-start [-daemon] server.properties")
    assert run("kafka-server-start", [str(tmp_path / "none")]) == 1
    assert "No such file or directory" in capfd.readouterr().err
    assert run("kafka-server-stop", ["--node-id", str(NODE + 1)]) == 1
    assert capfd.readouterr().out == "No kafka server to stop\n"
    assert run("kafka-server-stop", ["--process-role", "cook"]) == 1


def test_a_wrong_configuration_is_refused_before_the_background(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s").write_text("node.id=abc\n")
    assert run("kafka-server-start", ["-daemon", str(tmp_path / "s")]) == 1
    assert "Invalid value abc for configuration node.id" in capfd.readouterr().err


@pytest.mark.parametrize(("words", "expected"), [
    (["python3", "-m", "barnabas", "serve", "x"], True),
    (["/usr/bin/python3", "/opt/bin/barnabas", "serve"], True),
    (["python3", "/opt/bin/kafka-server-start.sh", "x"], True),
    (["python3", "-m", "barnabas", "serve", "--control"], False),
    (["java", "-cp", "x", "kafka.Kafka"], False),
    (["vim", "/opt/kafka/kafka-server-start"], True),  # a name alone is not enough: the lock decides
    (["python3", "-m", "pytest"], False),
])
def test_command_lines(words: list[str], expected: bool) -> None:
    assert _is_broker(b"".join(word.encode() + b"\0" for word in words)) is expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="brokers are found on Linux alone")
def test_a_home_starts_and_stops_a_broker(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "a home"
    assert main(["home", str(home)]) == 0
    config = home / "config" / "server.properties"
    port = free_port()
    text = config.read_text()
    for old, new in (
        (":9092", f":{port}"), (":9093", f":{free_port()}"), ("node.id=1", f"node.id={NODE}"),
        ("/tmp/kraft-combined-logs", str(tmp_path / "data")),
    ):
        text = text.replace(old, new)
    config.write_text(text)
    assert main(["home", str(home)]) == 0  # what is there stays
    assert config.read_text() == text
    environment = {**os.environ, "LOG_DIR": str(tmp_path / "logs")}
    start = [str(home / "bin" / "kafka-server-start.sh"), "-daemon", str(config)]
    subprocess.run(start, check=True, env=environment, cwd=home)
    output = tmp_path / "logs" / "kafkaServer.out"
    _until(output, "Kafka Server started")
    topics = [str(home / "bin" / "kafka-topics.sh"), "--bootstrap-server", f"localhost:{port}", "--list"]
    assert subprocess.run(topics, check=True, capture_output=True, text=True).stdout.strip() == ""
    stop = [str(home / "bin" / "kafka-server-stop.sh"), "--node-id", str(NODE)]
    assert subprocess.run(stop, check=False).returncode == 0
    _until(output, "shut down completed")
    assert re.search(r"^exec .* kafka-topics \"\$@\"$", (home / "bin" / "kafka-topics.sh").read_text(), re.MULTILINE)
    assert b"\r\n" in (home / "bin" / "windows" / "kafka-topics.bat").read_bytes()


def _until(path: Path, text: str) -> None:
    end = time.monotonic() + 20
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < end, path.read_text() if path.exists() else "nothing was written"
        time.sleep(0.05)
