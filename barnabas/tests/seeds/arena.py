"""Run programs, and the broker they talk to, on the two addresses that the seed documents use.

Guarantees: an `Arena` that could make a network namespace of its own (`namespace.py`) has localhost:9092 and
localhost:9093 to itself, whatever else runs on the machine, and its programs run unchanged. Elsewhere the arena is the
machine's loopback with two free ports, and `Arena.prepare` replaces the addresses in a program's text and nothing else.
Every program that was started is ended when the arena closes.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from testkit.ports import free_ports

from . import namespace

HERE = Path(__file__).parent
BROKER = "barnabas serve --data {data} --listen {first} --listen {second}"
"""The broker's command; BARNABAS_SEEDS_BROKER replaces it. Fields: data, first, second (addresses), python."""
STARTED = "Kafka Server started"
PATIENCE = 60.0
"""Seconds after which a condition that did not come true fails the test."""


def _heed_interrupts() -> None:
    """Let Ctrl-C end a child even where the suite is a shell's background job, whose children would ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Program:
    """A child process whose output is read as it comes, standard error included."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONFAULTHANDLER": "1",
        }
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            preexec_fn=_heed_interrupts,
        )
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        """Return what was printed so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_until(self, condition: Callable[[str], bool], what: str) -> str:
        """Wait until the text so far fulfils a condition. Raise AssertionError, with the text, where it never does."""
        with self._changed:
            self._changed.wait_for(lambda: condition("".join(self._lines)) or self._ended, PATIENCE)
            text = "".join(self._lines)
        assert condition(text), f"{what} was not seen in:\n{text}"
        return text

    def wait_for(self, expected: str, times: int = 1) -> str:
        """Wait until `expected` was printed that many times; return the text so far."""
        return self.wait_until(lambda text: text.count(expected) >= times, f"{expected!r} ({times} times)")

    def wait(self) -> int:
        """Wait for the end; return the exit code, negative for a signal. One that hangs shows where, and fails."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # Python's faulthandler prints what each thread is doing
            self._process.wait(PATIENCE)
            self._reader.join(PATIENCE)
            raise AssertionError(f"not done within {PATIENCE:.0f} s:\n{self.text}") from None
        self._reader.join(PATIENCE)
        return code

    def interrupt(self) -> int:
        """Press Ctrl-C and wait for the end; return the exit code, negative for a signal."""
        self._process.send_signal(signal.SIGINT)
        return self.wait()

    def end(self) -> None:
        """End the process if it still runs: politely, then for good."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE / 4)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(PATIENCE)


class Arena:
    """The addresses of the seeds, with programs around them; a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._programs: list[Program] = []
        self._holder: subprocess.Popen[str] | None = None
        self.obstacle = ""
        """Why there is no namespace; empty where there is one."""
        self.first, self.second = "localhost:9092", "localhost:9093"

    def __enter__(self) -> Arena:
        if os.environ.get("BARNABAS_SEEDS_NAMESPACE") == "0":
            self.obstacle = "BARNABAS_SEEDS_NAMESPACE=0"
        elif sys.platform != "linux":
            self.obstacle = f"no network namespaces on {sys.platform}"
        else:
            self._hold()
        if self.obstacle:
            self.first, self.second = (f"127.0.0.1:{port}" for port in free_ports(2))
        return self

    def _hold(self) -> None:
        self._holder = subprocess.Popen(
            [sys.executable, namespace.__file__, "hold"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline().strip() != namespace.READY:
            self.obstacle = self._holder.stderr.read().strip().rpartition("\n")[2] or "the namespace's holder ended"
            self._release()

    def _release(self) -> None:
        if self._holder is not None:
            self._holder.communicate()  # Closes its standard input, which is the sign to end.
            self._holder = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in reversed(self._programs):
            program.end()
        self._release()

    def prepare(self, program: Path) -> Path:
        """Return the program to run: itself, or without a namespace a copy with this arena's addresses."""
        if not self.obstacle:
            return program
        copy = self._directory / f"{program.parent.name}_{program.name}"
        copy.write_text(self.localized(program.read_text(encoding="utf-8")), encoding="utf-8")
        return copy

    def localized(self, text: str) -> str:
        """Return a text with this arena's addresses in the place of the documents' ones."""
        for host in ("localhost", "127.0.0.1"):
            text = text.replace(f"{host}:9092", self.first).replace(f"{host}:9093", self.second)
        return text

    def type(self, line: str, *typed: str, directory: Path | None = None) -> Program:
        """Start a line as a shell does, the environment's commands first on its path; `typed` is what it reads."""
        heredoc = "".join(f"{text}\n" for text in typed)
        script = f"{f'cd {shlex.quote(str(directory))}; ' if directory else ''}exec {self.localized(line)}"
        return self.start("bash", "-c", f"{script} <<'TYPED'\n{heredoc}TYPED\n" if typed else script)

    def start(self, *command: str) -> Program:
        """Start a command inside the arena."""
        if self._holder is not None:
            command = (sys.executable, namespace.__file__, "enter", str(self._holder.pid), *command)
        program = Program(command, self._directory)
        self._programs.append(program)
        return program

    def start_broker(self) -> Program:
        """Start a broker on both addresses with an empty data directory; return once it says that it has started."""
        template = os.environ.get("BARNABAS_SEEDS_BROKER") or BROKER
        fields = {"first": self.first, "second": self.second, "python": sys.executable}
        data = str(self._directory / "data")
        broker = self.start(*(part.format(data=data, **fields) for part in shlex.split(template)))
        broker.wait_for(STARTED)
        return broker

    def start_python(self, program: Path) -> Program:
        """Start a snippet with this interpreter."""
        return self.start(sys.executable, str(self.prepare(program)))

    def ask(self, *question: str) -> str:
        """Run `questions.py` against the first address; return its output. Raise AssertionError where it fails."""
        program = self.start(sys.executable, str(HERE / "questions.py"), self.first, *question)
        code = program.wait()
        assert code == 0, f"{question}: exit code {code}\n{program.text}"
        return program.text
