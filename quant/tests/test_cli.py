"""The command line: commands that are programs of their own, the data folder, logs."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from barnabas_quant import processes
from barnabas_quant.cli import main
from barnabas_quant.errors import QuantError
from barnabas_quant.logs import show_logs

COMMAND = [sys.executable, "-m", "barnabas_quant"]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A shell's background job ignores Ctrl-C, and so would everything that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def test_the_exchange_is_a_command() -> None:
    with started("exchange", "--listen", "127.0.0.1:0", "--symbols", "2", "--venues", "binance") as process:
        assert process.stdout is not None
        match = re.match(r"exchange: (http://127\.0\.0\.1:\d+) plays", process.stdout.readline())
        assert match
        assert httpx.get(f"{match[1]}/api/v3/ping", timeout=10).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.parametrize("command", ["exchange", "clickhouse"])
def test_commands_that_read_their_own_options(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: barnabas-quant {command}" in capfd.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([command, "--nonsense"])
    assert ended.value.code == 2


def test_clickhouse_is_a_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["clickhouse", "--path", str(tmp_path), "--listen", "nowhere"]) == 1
    assert "nowhere" in capfd.readouterr().err


def test_the_data_folder_is_that_of_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("status", "stop", "logs"):
        monkeypatch.setenv("BARNABAS_QUANT_DATA", "of-the-environment")
        assert main([command, "x"] if command == "logs" else [command]) == 1
        assert "of-the-environment" in capsys.readouterr().err
        monkeypatch.delenv("BARNABAS_QUANT_DATA")
    (tmp_path / "barnabas-quant.toml").write_text('data = "of-the-file"\n')
    assert main(["status"]) == 1
    assert "of-the-file" in capsys.readouterr().err
    assert main(["status", "--data", "of-the-line"]) == 1
    assert "of-the-line" in capsys.readouterr().err


def test_logs_begin_with_the_last_whole_lines(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "kafka.log").write_text("one\ntwo\nthree\nhal")
    (folder / "cache.log").write_bytes(b"\xff\n")
    output = io.StringIO()
    show_logs(tmp_path, [], 2, False, output)
    assert [line.split() for line in output.getvalue().splitlines()] == [
        ["cache", "\ufffd"], ["kafka", "two"], ["kafka", "three"],
    ]  # fmt: skip
    with pytest.raises(QuantError, match=r"no log of redis in .*; there are: cache, kafka"):
        show_logs(tmp_path, ["redis"], 2, False, output)


def test_logs_follow_what_comes_lines_of_any_length(tmp_path: Path) -> None:
    log = tmp_path / "log" / "cache.log"
    log.parent.mkdir()
    log.write_text("first\nhal")
    with started("logs", "--data", str(tmp_path), "-f", "cache") as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["cache", "first"]
        with log.open("a") as more:
            more.write("f\n" + "x" * 600_000 + "\nlast\n")
        assert process.stdout.readline().split() == ["cache", "half"]
        length = 0
        while (line := process.stdout.readline().split())[1] != "last":
            length += len(line[1])
        assert length == 600_000
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_logs_follow_a_log_that_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LARGEST_LOG", 5)
    path = tmp_path / "log" / "cache.log"
    path.parent.mkdir()
    with path.open("ab", buffering=0) as log:
        log.write(b"first\n")
        with started("logs", "--data", str(tmp_path), "-f", "cache") as process:
            assert process.stdout is not None

            def shown(count: int) -> list[str]:
                assert process.stdout is not None
                return [process.stdout.readline().split()[1] for _ in range(count)]

            assert shown(1) == ["first"]
            log.write(b"second\nhal")  # whoever writes does so in two halves
            assert processes.cut_log(path)
            log.write(b"f\nthird\n")
            assert shown(4) == ["second", "hal", "f", "third"]
            assert path.read_bytes() == b"f\nthird\n"
            assert processes.cut_log(path)  # nothing new in the old one
            assert not processes.cut_log(path)
            log.write(b"fourth and more\n" * 100)
            assert shown(100) == ["fourth"] * 100
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        output = io.StringIO()
        show_logs(tmp_path, [], 102, False, output)
        assert output.getvalue().split()[1::2][:3] == ["f", "third", "fourth"]


def test_a_log_that_cannot_be_copied_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LARGEST_LOG", 5)
    path = tmp_path / "cache.log"
    assert not processes.cut_log(path)
    path.write_bytes(b"what is there\n")
    (tmp_path / "cache.log.new").mkdir()  # where the copy would be written
    with pytest.raises(IsADirectoryError):
        processes.cut_log(path)
    assert path.read_bytes() == b"what is there\n"
    assert not (tmp_path / "cache.log.1").exists()
