"""Processes with a time limit, a cache folder, builds that happen once: what every suite stands on.

Each test of a suite is one process in a session of its own: a hanging test is ended with all its children and harms
no other. Output goes to one log file a test.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from results import Outcome, Result, SuiteRun

GRACE_SECONDS = 5.0
_running: set[subprocess.Popen[bytes]] = set()


class SuiteError(Exception):
    """Say that a suite cannot be fetched, built or listed."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Hold how a process ended: its exit code (None: ended at the time limit), seconds, and the log it wrote."""

    code: int | None
    seconds: float
    log: Path

    def text(self) -> str:
        """Read the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ending(self) -> str:
        """Say in a few words how the process ended."""
        if self.code is None:
            return f"time limit of {self.seconds:.0f} s"
        return f"signal {-self.code}" if self.code < 0 else f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class Options:
    """Say how to run suites.

    `jobs`: tests at a time, for suites that allow it. `records`: how many records kgo's longest tests send.
    `patience`: factor on every time limit. `only`: a regular expression of test names. `split`: run the parts of a
    failed librdkafka test one by one. `retries`: how often a failed test runs again.
    """

    jobs: int = 1
    records: int = 50_000
    patience: float = 1.0
    only: str = ""
    split: bool = False
    retries: int = 1


class Suite(Protocol):
    """Describe a third-party suite: fetched and built once, then run test by test against any broker."""

    name: str
    version: str
    parallel: bool

    def prepare(self, cache: Path) -> None:
        """Fetch and build below `cache`; raises SuiteError."""

    def tests(self, options: Options) -> list[str]:
        """Name the tests, each of which is one process."""

    def left_out(self) -> list[Result]:
        """List the tests that cannot run against a given broker, as skipped ones, each with its reason."""

    def run(self, test: str, address: str, log: Path, options: Options) -> list[Result]:
        """Run one test against the broker at HOST:PORT; more than one result where the test has parts."""


def cache_folder() -> Path:
    """Name the folder for what is fetched and built: BARNABAS_PEERS, by default ~/.cache/barnabas-peers."""
    return Path(os.environ.get("BARNABAS_PEERS", Path.home() / ".cache" / "barnabas-peers")).expanduser()


def run_limited(
    command: Sequence[str | Path], *, log: Path, limit: float, cwd: Path, env: Mapping[str, str] | None = None
) -> Finished:
    """Run a command with its output in `log`; after `limit` seconds end it and its children."""
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _running.add(process)
        code: int | None = None
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end(process)
            _running.discard(process)
    return Finished(code, time.monotonic() - start, log)


def end_all() -> None:
    """End every process that `run_limited` started and still waits for."""
    for process in list(_running):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    # The group, not the process: a test may have children, and a leader that has ended leaves them behind.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)


def need(*programs: str) -> None:
    """Raise SuiteError unless every program is on the path."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise SuiteError(f"needs {', '.join(missing)} on the path")


@contextlib.contextmanager
def built_once(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; yield True where it must still be built, and mark it built when the body ends well."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".built"
        yield not done.exists()
        done.touch()


def step(
    command: Sequence[str | Path], *, cwd: Path, log: Path, env: Mapping[str, str] | None = None, limit: float = 1200
) -> str:
    """Run one step of a build and return its output; raises SuiteError with the last lines."""
    finished = run_limited(command, cwd=cwd, log=log, env=env, limit=limit)
    text = finished.text()
    if finished.code != 0:
        last = "\n".join(text.splitlines()[-8:])
        raise SuiteError(f"{' '.join(str(part) for part in command)}: {finished.ending()}, see {log}\n{last}")
    return text


def run_suite(suite: Suite, address: str, logs: Path, options: Options, tests: Sequence[str], run: SuiteRun) -> None:
    """Run the named tests against a broker, failed ones again; fill `run` in the suite's order, as far as it gets."""

    def one(test: str) -> list[Result]:
        for attempt in range(1, options.retries + 2):
            log = logs / suite.name / f"{test.replace('/', '.')}.{attempt}.log"
            results = [replace(result, attempts=attempt) for result in suite.run(test, address, log, options)]
            if not any(result.outcome is Outcome.FAILED for result in results):
                break
        said = ", ".join(f"{result.name} {result.outcome.value}" for result in results)
        print(f"  {suite.name}: {said} ({sum(result.seconds for result in results):.1f} s)", flush=True)
        return results

    start = time.monotonic()
    with ThreadPoolExecutor(options.jobs if suite.parallel else 1) as pool:
        try:
            for results in pool.map(one, tests):
                run.results += results
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise
        finally:
            run.seconds = time.monotonic() - start
