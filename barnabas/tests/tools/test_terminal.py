"""Run tools at a pseudo-terminal: their tables fit, what is waited for is said and erased, and a pipe gets neither."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from barnabas.embedded import Broker
from barnabas.tools.terminal import Waiting, aligned, table

_PROGRAM = "import sys; from barnabas.tools.main import run_as; sys.exit(run_as(sys.argv[1], sys.argv[2:]))"


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with Broker(process=True) as broker:
        from confluent_kafka import Consumer, TopicPartition

        topics = [sys.executable, "-c", _PROGRAM, "kafka-topics", "--bootstrap-server", broker.bootstrap]
        subprocess.run([*topics, "--create", "--topic", "t"], check=True, capture_output=True)
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g"})
        consumer.commit(offsets=[TopicPartition("t", 0, 0)], asynchronous=False)
        consumer.close()
        yield broker.bootstrap


def _at_a_terminal(*words: str, **environment: str) -> tuple[int, str]:
    """Run a tool with all its streams on a terminal; return its status and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words], stdin=theirs, stdout=theirs, stderr=theirs,
        env={k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"} | environment,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)
    return process.wait(), shown.decode().replace("\r\n", "\n")


def _in_a_pipe(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=False)


def test_a_table_fits_its_content(broker: str) -> None:
    status, shown = _at_a_terminal("kafka-consumer-groups", "--bootstrap-server", broker, "--list", "--state")
    assert (status, shown) == (0, "\x1b[1mGROUP  STATE\x1b[0m\ng      Empty\n")
    assert _at_a_terminal(
        "kafka-consumer-groups", "--bootstrap-server", broker, "--list", "--state", NO_COLOR="1"
    ) == (0, "GROUP  STATE\ng      Empty\n")


def test_a_pipe_gets_what_kafka_prints(broker: str) -> None:
    done = _in_a_pipe("kafka-consumer-groups", "--bootstrap-server", broker, "--list", "--state")
    assert done.stdout == f"{'GROUP':<25} {'STATE':<20}\n{'g':<25} {'Empty':<20}\n"
    assert done.stderr == ""


def test_waiting_is_said_and_erased() -> None:
    words = ("kafka-topics", "--bootstrap-server", "127.0.0.1:2", "--list")
    status, shown = _at_a_terminal(*words)
    assert status == 1
    assert "\r\x1b[KConnecting to 127.0.0.1:2 (1 s)" in shown
    before, _, after = shown.rpartition("\r\x1b[K")
    assert before.endswith("s)")
    assert after.startswith("WARN [AdminClient")
    done = _in_a_pipe(*words)
    assert done.returncode == 1
    assert "Connecting" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_table_is_java_s_where_there_is_no_terminal() -> None:
    assert table("\n{:<5} {}", [("A", "B"), (1, 2)]) == "\nA     B\n1     2"
    assert table("{:<5} {}", [("A", "B"), (1, 2)]) == "A     B\n1     2"
    assert table("{:<5} {}", []) == ""


def test_chinese_characters_are_two_columns_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert aligned([("GROUP", "X"), ("上海", 1)]) == "GROUP  X\n上海   1"


def test_nothing_is_said_of_waiting_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Waiting("for you", clock=lambda: now[0]) as waiting:
        now[0] = 10
        waiting.tick()
    assert capsys.readouterr().err == ""
