"""Test what a shell is offered, and that bash uses it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from barnabas.embedded import Broker
from barnabas.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from barnabas.tools.completion import complete, script

from ..wire import Wire


def test_options_of_a_script_under_each_of_its_names() -> None:
    for name in ("kafka-topics", "kafka-topics.sh", "./bin/kafka-topics.sh", "barnabas topics"):
        assert complete(f"{name} --de") == ["--delete", "--delete-config", "--describe"]
    assert complete("ls --de") == []
    assert complete("") == []


def test_names_of_topics_and_groups_come_from_the_cluster_that_the_line_names() -> None:
    with Broker() as broker:
        for name in ("orders", "orders.dead", "ticks"):
            broker.create_topic(name)
        line = f"kafka-topics --bootstrap-server {broker.bootstrap} --describe --topic "
        assert complete(line) == ["orders", "orders.dead", "ticks"]
        assert complete(f"{line}or") == ["orders", "orders.dead"]
        assert complete(f"{line}ticks,orders.") == ["ticks,orders.dead"]
        assert complete(f"{line}'or") == ["orders", "orders.dead"]


def test_a_cluster_that_does_not_answer_offers_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert complete("kafka-topics --bootstrap-server 127.0.0.1:1 --topic ") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_the_script() -> None:
    program = f"""
        export PATH={Path(sys.executable).parent}:$PATH
        {script('bash')}
        COMP_LINE='kafka-topics --list --excl'; COMP_POINT=${{#COMP_LINE}}
        _barnabas_complete
        echo "${{COMPREPLY[@]}}"
        complete -p kafka-consumer-groups.sh"""
    done = subprocess.run(["bash", "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "--exclude-internal", "complete -o default -F _barnabas_complete kafka-consumer-groups.sh"
    ]


def _commit(broker: Broker, *groups: str) -> None:
    """Make groups: they have an offset committed."""
    broker.create_topic("t")
    place = OffsetCommitRequestTopic("t", partitions=[OffsetCommitRequestPartition(0, 0)])
    with Wire.to(broker.bootstrap) as wire:
        for group in groups:
            assert not wire.request(OffsetCommitRequest(group, topics=[place]), 8).topics[0].partitions[0].error_code


def test_a_name_of_two_lines_is_not_offered() -> None:
    with Broker() as broker:
        _commit(broker, "one\ntwo", "one\x1b[2J", "one more")
        line = f"kafka-consumer-groups --bootstrap-server {broker.bootstrap} --describe --group o"
        assert complete(line) == ["one more"]


_HOSTILE = ("xa$(touch owned) b", "xb it's \"$HOME\" `touch owned` !x")
#: how each shell begins, and the file that it reads first
_SHELLS = {
    "bash": (["--noprofile", "--rcfile", ".bashrc", "-i"], ".bashrc", """
        bind 'set enable-bracketed-paste off'; stty columns 500; PS1='ready> '
        kafka-consumer-groups() { printf '%s\\n' "${@: -1}" >> got; }
    """),
    "zsh": (["-i"], ".zshrc", """
        stty columns 500; PS1='ready> '
        kafka-consumer-groups() { printf '%s\\n' "${@: -1}" >> got; }
    """),
    "fish": (["-i"], ".config/fish/config.fish", """
        function fish_prompt; echo -n 'ready> '; end
        function kafka-consumer-groups; printf '%s\\n' $argv[-1] >> got; end
    """),
}


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo terminals")
@pytest.mark.parametrize("shell", _SHELLS)
def test_a_name_that_a_shell_completes_stays_a_name(shell: str, tmp_path: Path) -> None:
    if (program := shutil.which(shell)) is None:
        pytest.skip(f"there is no {shell}")
    words, file, more = _SHELLS[shell]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    first = "autoload -Uz compinit; compinit -u -D\n" if shell == "zsh" else ""
    (tmp_path / file).write_text(first + script(shell) + more)
    got = tmp_path / "got"
    got.touch()
    with Broker() as broker:
        _commit(broker, *_HOSTILE)
        line = f"kafka-consumer-groups --bootstrap-server {broker.bootstrap} --describe --group "
        with _Terminal([program, *words], tmp_path) as terminal:
            expected = []
            for name in _HOSTILE:
                for quote in ("", "'", '"'):
                    terminal.read_until(lambda seen: "ready> " in seen)
                    terminal.write(f"{line}{quote}{name[:2]}\t")
                    terminal.read_until(lambda seen: "owned" in seen)
                    terminal.write("\n")
                    expected.append(name)
                    terminal.read_until(lambda _: len(got.read_text().splitlines()) >= len(expected))
    assert got.read_text().splitlines() == expected
    assert not (tmp_path / "owned").exists()


class _Terminal:
    """Be a terminal in which a program runs; a context manager."""

    def __init__(self, words: list[str], home: Path) -> None:
        import pty

        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"HOME": str(home), "ZDOTDIR": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "TERM": "xterm"}
        self._pid, self._fd = pty.fork()
        if not self._pid:
            os.chdir(home)
            os.execve(words[0], words, os.environ | own | {"PATH": path})
        self._seen = ""

    def __enter__(self) -> _Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._fd)

    def write(self, text: str) -> None:
        self._seen = ""
        os.write(self._fd, text.encode())

    def read_until(self, enough: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + 20
        while not enough(self._seen):
            assert time.monotonic() < deadline, self._seen
            if select.select([self._fd], [], [], 0.02)[0]:
                self._seen += os.read(self._fd, 65536).decode(errors="replace")
