"""Backtests that the gateway runs: one child process at a time, the others wait; what is known of each is its folder.

`DATA/backtests/ACCOUNT/ID` holds `job.json` (what was asked for, how it stands), `progress.json`, the child's log and
the report. So a gateway that comes back knows them all: what waited waits again, what ran has failed. The child is
`barnabas-quant backtest`, nice to the others and of bounded memory, and ends with the gateway, also where that is
killed. One gateway has the folder (a lock on it); another one of the same folder says that it has not.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from barnabas_quant.backtest.progress import Progress, read_progress
from barnabas_quant.errors import ChildError
from barnabas_quant.gateway.backtests import Backtest, NewBacktest, State
from barnabas_quant.gateway.web import Busy, Conflict, NotFound
from barnabas_quant.processes import Child, end_leftover, started
from barnabas_quant.settings import ENVIRONMENT, Settings

log = logging.getLogger(__name__)

WAITING, WAITING_OF_ONE, KEPT_OF_ONE = 50, 5, 100
"""Backtests that wait, those of one account, and those of one account that are kept, at most."""

LONGEST = 3600.0
"""Seconds that one may take."""

_LOOK_EVERY = 0.1  # seconds between two looks at a child
_NICE = "10"


class Job(msgspec.Struct, kw_only=True):
    """Hold what is kept of a backtest."""

    version: int = 1
    id: str
    account: str
    asked: NewBacktest
    strategy: str
    symbols: tuple[str, ...]
    parameters: dict[str, Any]
    arguments: list[str]
    """Of the command, but for where its report goes."""
    created_ms: int
    state: State = "queued"
    started_ms: int | None = None
    ended_ms: int | None = None
    error: str = ""
    metrics: dict[str, dict[str, Any]] | None = None
    failures: list[str] = []
    progress: Progress | None = None
    """How far it was at its end."""
    pid: int = 0
    born: str = ""
    """When the child was started, in the system's own words."""


class _Report(msgspec.Struct):
    metrics: dict[str, dict[str, Any]]
    failures: list[dict[str, Any]]


class BacktestRuns:
    """Run backtests. All of it on one loop, in the main thread: Linux ends children with the thread that made them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.data / "backtests"
        self._lock: int | None = None
        self._jobs: dict[str, Job] = {}
        self._wake = asyncio.Event()
        self._canceled: set[str] = set()

    # What is asked for

    def add(self, account: str, asked: NewBacktest, arguments: list[str], **more: Any) -> Backtest:
        """Let a backtest wait for its turn. Raises Conflict where too many wait or are kept, Busy."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Busy(f"{self._folder}: {error.strerror}") from error
        self._own()
        own = [job for job in self._jobs.values() if job.account == account]
        waiting = [job for job in self._jobs.values() if job.state == "queued"]
        if len(waiting) >= WAITING or sum(job.account == account for job in waiting) >= WAITING_OF_ONE:
            raise Conflict(f"too many backtests wait: at most {WAITING_OF_ONE} of an account, {WAITING} in all")
        if len(own) >= KEPT_OF_ONE:
            raise Conflict(f"{KEPT_OF_ONE} backtests are kept: remove some first")
        now = time.time()
        id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(4)}"
        job = Job(id=id, account=account, asked=asked, arguments=arguments, created_ms=round(now * 1000), **more)
        try:
            self._place(job).mkdir(parents=True)
            self._save(job)
        except OSError as error:
            raise Busy(f"{self._place(job)}: {error.strerror}") from error
        self._jobs[id] = job
        self._wake.set()
        return self.shown(job)

    def of(self, account: str) -> list[Backtest]:
        """Give the backtests of an account, the newest first. Raises Busy."""
        if not self._folder.exists():
            return []
        self._own()
        found = [job for job in self._jobs.values() if job.account == account]
        return [self.shown(job) for job in sorted(found, key=lambda job: (job.created_ms, job.id), reverse=True)]

    def get(self, account: str, id: str) -> Job:
        """Give a backtest of an account. Raises NotFound, Busy."""
        if self._folder.exists():
            self._own()
        job = self._jobs.get(id)
        if job is None or job.account != account:
            raise NotFound("there is no such backtest")
        return job

    async def remove(self, account: str, id: str) -> Backtest:
        """Cancel a backtest that waits or runs; remove one that is over. Raises NotFound, Busy."""
        job = self.get(account, id)
        if job.state == "queued":
            self._end(job, "canceled")
        elif job.state == "running":
            self._canceled.add(id)
            self._wake.set()
            while job.state == "running":
                await asyncio.sleep(_LOOK_EVERY)
        else:
            del self._jobs[id]
            await asyncio.to_thread(shutil.rmtree, self._place(job), ignore_errors=True)
        return self.shown(job)

    def shown(self, job: Job) -> Backtest:
        """Give what is answered of a backtest."""
        asked = job.asked
        place = None
        if job.state == "queued":
            place = sum(
                other.state == "running" or (other.state == "queued" and _turn(other) < _turn(job))
                for other in self._jobs.values()
                if other is not job
            )
        progress = read_progress(self._place(job) / "progress.json") if job.state == "running" else job.progress
        return Backtest(
            id=job.id, title=asked.title, strategy=job.strategy, symbols=job.symbols, since=asked.since,
            until=asked.until, interval=asked.interval, parameters=job.parameters, cash=asked.cash,
            order_type=asked.order_type, delay_ms=asked.delay_ms, state=job.state, place=place,
            created_ms=job.created_ms, started_ms=job.started_ms, ended_ms=job.ended_ms, error=job.error,
            progress=progress, metrics=job.metrics, failures=job.failures,
        )  # fmt: skip

    def file(self, job: Job, name: str) -> Path:
        """Give a file of a report. Raises NotFound where it is not done."""
        path = self._place(job) / name
        if job.state != "done" or not path.is_file():
            raise NotFound(f"the backtest is {job.state}: it has no {name}")
        return path

    # Running

    async def serve(self) -> None:
        """Run what waits, one after the other, until canceled; then what runs is ended."""
        while True:
            if (job := self._next()) is not None:
                try:
                    await self._run(job)
                except OSError as error:  # a full disk
                    self._end(job, "failed", f"its folder: {error.strerror}")
                continue
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), 1.0)
            except TimeoutError:
                continue

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _next(self) -> Job | None:
        if self._lock is None:
            if not self._folder.exists():
                return None
            try:
                self._own()
            except Busy:
                return None
        return min((job for job in self._jobs.values() if job.state == "queued"), key=_turn, default=None)

    async def _run(self, job: Job) -> None:
        folder = self._place(job)
        command = [
            sys.executable, "-m", "barnabas_quant", "backtest", *job.arguments, f"--config={self._child_settings()}",
            f"--out={folder}", f"--progress={folder / 'progress.json'}", f"--nice={_NICE}",
            f"--memory={self._settings.gateway.backtest_mib or _half_of_the_memory()}",
        ]  # fmt: skip
        plain = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT)}
        try:
            child = Child("backtest", command, folder / "log.txt", {**plain, "PYTHONUNBUFFERED": "1"})
        except ChildError as error:
            self._end(job, "failed", str(error))
            return
        job.state, job.started_ms = "running", _now_ms()
        job.pid, job.born = child.pid, started(child.pid) or ""
        deadline = time.monotonic() + LONGEST
        try:
            self._save(job)
            while not child.ended and job.id not in self._canceled and time.monotonic() < deadline:
                await asyncio.sleep(_LOOK_EVERY)
        except asyncio.CancelledError:
            child.stop(5)
            self._end(job, "failed", "the gateway ended while it ran")
            raise
        except OSError:  # it is not on record that it runs: the next one must not run beside it
            await asyncio.to_thread(child.stop, 5)
            raise
        if child.ended:
            child.forget()
            self._over(job, child)
            return
        await asyncio.to_thread(child.stop, 5)
        if job.id in self._canceled:
            self._canceled.discard(job.id)
            self._end(job, "canceled")
        else:
            self._end(job, "failed", f"it took longer than {LONGEST:g} s")

    def _over(self, job: Job, child: Child) -> None:
        """Take what came of a child that has ended by itself."""
        self._canceled.discard(job.id)
        try:
            report = msgspec.json.decode((self._place(job) / "report.json").read_bytes(), type=_Report)
        except (OSError, ValueError):
            self._end(job, "failed", _said(child))
            return
        job.metrics = report.metrics
        job.failures = [str(each.get("reason", "")) for each in report.failures]
        self._end(job, "done")

    def _end(self, job: Job, state: State, error: str = "") -> None:
        job.state, job.error, job.ended_ms, job.pid, job.born = state, error, _now_ms(), 0, ""
        job.progress = read_progress(self._place(job) / "progress.json")
        try:
            self._save(job)
        except OSError as error:  # a full disk: only this gateway knows how it ended
            log.error("backtest %s: %s", job.id, error)

    # The folder

    def _own(self) -> None:
        """Make sure that the folder is this gateway's, and known. Raises Busy."""
        if self._lock is not None:
            return
        try:
            lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Busy(f"{self._folder}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise Busy("another gateway runs the backtests of this data folder") from error
        self._lock = lock
        for job in self._found():
            self._jobs[job.id] = job
            if job.state == "running":
                try:
                    end_leftover(job.pid, job.born, 5)  # it was told to end when its gateway was killed
                except ChildError as error:
                    log.warning("backtest %s: %s", job.id, error)
                self._end(job, "failed", "the gateway ended while it ran")

    def _found(self) -> Iterator[Job]:
        for path in sorted(self._folder.glob("*/*/job.json")):
            try:
                job = msgspec.json.decode(path.read_bytes(), type=Job)
            except (OSError, ValueError) as error:
                log.warning("%s: %s", path, error)
                continue
            if (job.account, job.id) == (path.parent.parent.name, path.parent.name):
                yield job

    def _place(self, job: Job) -> Path:
        return self._folder / job.account / job.id

    def _save(self, job: Job) -> None:
        path = self._place(job) / "job.json"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(job))
        fresh.replace(path)

    def _child_settings(self) -> Path:
        """Write the settings that a backtest needs, for nobody else to read: the address may hold a password."""
        given = self._settings
        own = Settings(data=given.data, clickhouse=given.clickhouse, primary=given.primary, trading=given.trading)
        path = self._folder / "settings.json"
        fresh = path.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(own, enc_hook=str))
        fresh.replace(path)
        return path


def _turn(job: Job) -> tuple[int, str]:
    return job.created_ms, job.id


def _half_of_the_memory() -> int:
    """Give half of what the machine has, MiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**21


def _now_ms() -> int:
    return round(time.time() * 1000)


def _said(child: Child) -> str:
    """Give what a child that has failed says of itself; of what nobody expected only how it ended."""
    text = child.last_words(60)
    lines = [line.removeprefix("    ") for line in text.splitlines()]
    first = next((n for n, line in enumerate(lines) if line.startswith("barnabas-quant: ")), None)
    if first is None:
        log.warning("a backtest %s: %s", child.how_it_ended(), text)
        return f"it {child.how_it_ended()}"
    return "\n".join(lines[first:]).removeprefix("barnabas-quant: ")[:4000]
