"""Run many of our commands quickly: one process imports the tools, and forks for each command.

A command still has a process of its own, with its own standard streams and exit status; what it is spared is importing
everything anew. Where there is no fork (Windows), `Forked.run` starts a new interpreter each time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import TracebackType
from typing import Self

from .transcript import Case, ours

_PROGRAM = """
import importlib, json, os, signal, sys, tempfile, time
from barnabas.tools.catalog import SCRIPTS
from barnabas.tools.main import run_as
for script in SCRIPTS.values():
    if script.module:
        importlib.import_module("barnabas.tools.scripts." + script.module)
import confluent_kafka

def child(words, stdin, out, err):
    for target, file in ((0, stdin), (1, out), (2, err)):
        os.dup2(file.fileno(), target)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)
    try:
        code = run_as(words[0], words[1:])
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 1
    except BaseException:
        import traceback
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)

for line in sys.stdin:
    words, text, seconds = json.loads(line)
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write(text.encode())
        stdin.seek(0)
        pid = os.fork()
        if pid == 0:
            child(words, stdin, out, err)
        deadline = time.monotonic() + seconds
        done = 0
        while not done:
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    break
                time.sleep(0.002)
        code = os.waitstatus_to_exitcode(status) if done else 124
        found = []
        for file in (out, err):
            file.seek(0)
            found.append(file.read().decode(errors="replace"))
    print(json.dumps([code, *found]), flush=True)
"""


class Forked:
    """Be the process that forks; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if hasattr(os, "fork"):
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.communicate()

    def run(self, words: list[str], case: Case) -> tuple[int, str, str]:
        """Run a command line; return status, standard output and error; status 124 where it takes too long."""
        if self._process is None:
            return ours(words, case)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([words, case.input, case.seconds]) + "\n")
        self._process.stdin.flush()
        code, out, err = json.loads(self._process.stdout.readline())
        return code, out, err
