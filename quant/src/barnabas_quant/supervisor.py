"""`barnabas-quant up`: start the stores and the services, start again what dies, say how all of them are, end in order.

One process a store, one a service; the supervisor is one loop over their deaths, their reports and the folder of the
user's services. It holds no data: whatever is killed goes on from what stands in Kafka, ClickHouse and its offsets.
"""

from __future__ import annotations

import logging
import math
import os
import selectors
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from barnabas_quant.endpoints import Attempts, Endpoints, Started, remove_endpoints, run_folder, write_endpoints
from barnabas_quant.errors import ChildError, NotWritable, QuantError
from barnabas_quant.processes import Child, check_port
from barnabas_quant.runner import REPORT, Report, find_service, service_files, service_names
from barnabas_quant.service import Service
from barnabas_quant.settings import Settings, write_settings
from barnabas_quant.stores import Store, embedded_stores, log_of

log = logging.getLogger(__name__)

START_PATIENCE = 60.0
"""Seconds that a store may take to its first answer."""

STOP_PATIENCE = 30.0
"""Seconds that a process may take to end before it is killed."""

_LOOK_EVERY = 0.5  # seconds between two looks into the folder of services, and at the size of the logs
_CUT_AGAIN = 60.0  # seconds after which a log that could not be cut is tried again
_NOTE_AGAIN = 1.0  # seconds after which endpoints that could not be written are tried again


class Restarts:
    """Decide when what died is started again: after 0.2 s, doubled up to 10 s, and after ten short lives not any more.

    A life is short below ten seconds. A longer one begins the count anew: who is killed now and then goes on for ever.
    """

    FIRST, LONGEST, LIMIT, SHORT = 0.2, 10.0, 10, 10.0

    def __init__(self) -> None:
        self.count = 0
        self._short_lives = 0

    def died(self, lived: float) -> float | None:
        """Take a death after so many seconds; give the pause before a start, None: no more."""
        self._short_lives = self._short_lives + 1 if lived < self.SHORT else 0
        if self._short_lives >= self.LIMIT:
            return None
        self.count += 1
        pause: float = self.FIRST * 2 ** max(0, self._short_lives - 1)
        return min(self.LONGEST, pause)


class Managed:
    """Keep one process running, and the last of what it reported."""

    def __init__(self, name: str, command: tuple[str, ...], data: Path, reports: bool) -> None:
        self.name = name
        self.reports = reports
        self.restarts = Restarts()
        self.report = Report(not reports, 0, 0, None, "")
        self.rate = 0.0
        self.carried = 0
        """Records that earlier processes of this name reported."""
        self.child: Child | None = None
        self.left_off = ""
        """Why it is not started any more."""
        self._command = command
        self._log = log_of(data, name)
        self._started_at = 0.0
        self._start_at: float | None = None
        self._rest = b""
        self._counted: tuple[float, int] | None = None

    @property
    def records(self) -> int:
        """Give what it has worked off in this run of the platform."""
        return self.carried + self.report.records

    @property
    def state(self) -> str:
        """Say starting, running, waiting (to be started again), ended or left off."""
        if self.left_off:
            return "left off"
        if self.child is None:
            return "waiting" if self._start_at is not None else "ended"
        return "running" if self.report.ready else "starting"

    def start(self, now: float) -> None:
        """Start it, whatever happened before. Raises ChildError where the system refuses."""
        self._started_at, self._start_at = now, None
        self._rest = b""
        if self.left_off:
            self.left_off, self.restarts = "", Restarts()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.child = Child(self.name, self._command, self._log, environment, REPORT if self.reports else None)

    def start_when_due(self, now: float) -> None:
        """Start it again if it has died and its pause is over."""
        if self._start_at is not None and now >= self._start_at:
            self.start_or_wait(now)

    def start_or_wait(self, now: float) -> None:
        """Start it, whatever happened before; a system that refuses now is asked again."""
        try:
            self.start(now)
        except ChildError as error:
            log.warning("%s: %s", self.name, error)
            self._start_at = now + Restarts.LONGEST

    def bury(self, now: float) -> str:
        """Take note that its process has ended, and decide when the next one starts; answer what there is to say."""
        assert self.child is not None
        how, words = self.child.how_it_ended(), self.child.last_words(1)
        self.carried += self.report.records
        self.child.forget()
        self.child = None
        self.report = msgspec.structs.replace(self.report, ready=not self.reports, records=0, lag=None)
        self._counted, self.rate = None, 0.0
        if self.reports and how == "ended with code 0":  # a service says itself that it is done; a store never is
            return f"{self.name} has ended"
        if self.reports and how == "ended with code 2":  # wrong settings, or no service: it would only end again
            self.left_off = words.strip().removeprefix("barnabas-quant: ")
            return f"{self.name} is left off: {self.left_off}"
        pause = self.restarts.died(now - self._started_at)
        if pause is None:
            self.left_off = f"{how}, {Restarts.LIMIT} times in a row; see {self._log}"
            return f"{self.name} {how} once more and is left off; its output is in {self._log}"
        self._start_at = now + pause
        return f"{self.name} {how}; started again in {pause:g} s"

    def take(self, data: bytes, now: float) -> None:
        """Take what came through the descriptor of its reports."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self.report = msgspec.json.decode(line, type=Report)
            except msgspec.DecodeError:
                log.warning("%s: a report that is none: %r", self.name, line[:200])
        if self._counted is None:
            self._counted = (now, self.report.records)
        elif now - self._counted[0] >= 1.0:
            self.rate = (self.report.records - self._counted[1]) / (now - self._counted[0])
            self._counted = (now, self.report.records)


class Supervisor:
    """Run the platform until `stop` is set."""

    def __init__(self, settings: Settings, stop: threading.Event, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._stop = stop
        self._say = say
        self._data = settings.data
        self._selector = selectors.DefaultSelector()
        self._seen: dict[Path, int] = {}  # files of the user's services, and when each was last written
        self._looked = self._cut_at = 0.0
        self._note_at = math.inf
        self._write_note = Attempts(str(run_folder(self._data) / "endpoints.json"))
        self._addresses: dict[str, str] = {}
        self.stores: dict[str, Managed] = {}
        self.services: dict[str, Managed] = {}
        self.settings = settings
        """The settings that the services run with: every store has its address there."""

    def run(self, each: Callable[[Supervisor], None]) -> None:
        """Start everything, call `each` some ten times a second, and end everything. Raises QuantError.

        The caller holds the data folder (`only_one`).
        """
        try:
            self._start()
            while not self._stop.is_set():
                self._turn()
                each(self)
        finally:
            self._end()

    def all(self) -> list[Managed]:
        """Give every process, stores first."""
        return [*self.stores.values(), *self.services.values()]

    def _start(self) -> None:
        wanted = self._wanted()
        if "gateway" in wanted:  # said now, and not by a process that dies of it ten times
            check_port(self._settings.gateway_listen, "the setting gateway_listen")
        exchange = any(kind.simulated(self._settings) for kind in wanted.values())
        for store in embedded_stores(self._settings, exchange):
            self._start_store(store)
        given = {name: at for name, at in self._addresses.items() if name in ("kafka", "redis", "clickhouse")}
        self.settings = msgspec.structs.replace(self._settings, **given)
        try:
            write_settings(self.settings, self._settings_file)
            (self._data / "services").mkdir(exist_ok=True)
        except OSError as error:
            raise NotWritable.of(self._data, error) from error
        for name in wanted:
            managed = self._add_service(name, name)
            managed.start(time.monotonic())
            self._listen(managed)
        self._note()

    @property
    def _settings_file(self) -> Path:
        return run_folder(self._data) / "settings.json"

    def _start_store(self, store: Store) -> None:
        managed = self.stores[store.name] = Managed(store.name, store.command, self._data, reports=False)
        self._addresses[store.name] = store.address
        managed.start(time.monotonic())
        self._note()
        deadline = time.monotonic() + START_PATIENCE
        while not store.answers():
            assert managed.child is not None
            managed.child.check()
            if self._stop.is_set():
                raise QuantError("told to stop while starting")
            if time.monotonic() > deadline:
                where = log_of(self._data, store.name)
                raise ChildError(f"{store.name} does not answer at {store.address}; its output is in {where}")
            time.sleep(0.05)
        self._say(f"{store.name} answers at {store.address}")

    def _wanted(self) -> dict[str, type[Service]]:
        names = self._settings.services
        every = service_names() if names is None else [name.replace("_", "-") for name in names]
        kinds = {name: find_service(name, self._data / "services") for name in every}
        if names is None:
            kinds = {name: kind for name, kind in kinds.items() if kind.wanted(self._settings)}
        return kinds

    def _add_service(self, name: str, what: str) -> Managed:
        command = (
            sys.executable, "-m", "barnabas_quant", "run", what, "--config", str(self._settings_file),
        )  # fmt: skip
        managed = self.services[name] = Managed(name, command, self._data, reports=True)
        return managed

    def _listen(self, managed: Managed) -> None:
        if managed.child is not None and managed.child.reports is not None:
            os.set_blocking(managed.child.reports, False)
            self._selector.register(managed.child.reports, selectors.EVENT_READ, managed)

    def _turn(self) -> None:
        now = time.monotonic()
        for key, _ in self._selector.select(0.1):
            self._hear(key.data, key.fd)
        changed = False
        for managed in self.all():
            child = managed.child
            if child is None:
                managed.start_when_due(now)
                self._listen(managed)
            elif child.ended:
                if child.reports is not None:
                    self._hear(managed, child.reports)  # its last words
                    self._forget(child.reports)
                self._say(managed.bury(now))
            changed |= managed.child is not child
        self._cut_logs(now)
        for name in self._new_services(now):
            changed = True
            self._say(f"{name}: found in {self._data / 'services'}")
        if changed or now >= self._note_at:
            self._note()

    def _hear(self, managed: Managed, descriptor: int) -> None:
        try:
            data = os.read(descriptor, 2**20)
        except BlockingIOError:
            return
        if data:
            managed.take(data, time.monotonic())
        else:
            self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def _cut_logs(self, now: float) -> None:
        if now < self._cut_at:
            return
        self._cut_at = now + _LOOK_EVERY
        for managed in self.all():
            if managed.child is not None:
                try:
                    managed.child.cut_log()
                except OSError as error:  # a full disk: what is there is kept, and looked at again later
                    log.warning("%s: its log cannot be cut: %s", managed.name, error)
                    self._cut_at = now + _CUT_AGAIN

    def _new_services(self, now: float) -> list[str]:
        """Start what has come into the folder of the user's services since the last look.

        A process has the name of its file, which is read nowhere but in it: whatever it does, it does to itself. One
        that was left off, as a file half written is, starts anew when its file has been written again. One that runs is
        left alone whatever happens to its file.
        """
        if now - self._looked < _LOOK_EVERY:
            return []
        self._looked = now
        found = []
        for path in service_files(self._data / "services"):
            try:
                written = path.stat().st_mtime_ns
            except OSError:  # gone again
                continue
            if self._seen.get(path) == written:
                continue
            self._seen[path] = written
            name = path.stem.replace("_", "-")
            managed = self.services.get(name)
            if name in self.stores:
                self._say(f"{path}: {name} is the name of a store; give it another one")
            elif managed is None or managed.left_off:
                managed = managed or self._add_service(name, str(path))
                managed.start_or_wait(now)
                self._listen(managed)
                found.append(name)
        return found

    def _note(self) -> None:
        """Write down where everything is; what a full disk does not take now is written later."""
        processes = {}
        for managed in self.all():
            if managed.child is not None and (process := Started.of(managed.child.pid)):
                processes[managed.name] = process
        settings, address = self._settings, self._addresses
        endpoints = Endpoints(
            kafka=settings.kafka or address.get("kafka", settings.listen[0]),
            redis=settings.redis or address.get("redis"),
            clickhouse=settings.clickhouse or address.get("clickhouse"),
            exchange=address.get("exchange"),
            gateway=f"http://{settings.gateway_listen}" if "gateway" in self.services else None,
            metrics=None if settings.metrics_listen is None else f"http://{settings.metrics_listen}/metrics",
            supervisor=Started.of(os.getpid()),
            processes=processes,
        )
        written = self._write_note(lambda: write_endpoints(self._data, endpoints))
        self._note_at = math.inf if written else time.monotonic() + _NOTE_AGAIN

    def _end(self) -> None:
        """End feeds first, then what reads, then the stores, each given its time."""
        feeds = [managed for managed in self.services.values() if managed.name.startswith("feed")]
        others = [managed for managed in self.services.values() if managed not in feeds]
        for group in (feeds, others):
            for managed in group:
                if managed.child is not None:
                    managed.child.ask_to_stop()
            for managed in group:
                self._end_one(managed)
        for managed in reversed(self.stores.values()):
            if managed.child is not None:
                managed.child.ask_to_stop()
            self._end_one(managed)
        self._selector.close()
        remove_endpoints(self._data)

    def _end_one(self, managed: Managed) -> None:
        if managed.child is None:
            return
        descriptor = managed.child.reports
        deadline = time.monotonic() + STOP_PATIENCE
        while not managed.child.ended and time.monotonic() < deadline:
            if descriptor is not None:  # a full pipe would hold it up
                self._hear(managed, descriptor)
            time.sleep(0.02)
        if descriptor is not None:
            self._hear(managed, descriptor)
            self._forget(descriptor)
        killed = not managed.child.ended
        code = managed.child.stop(0 if killed else STOP_PATIENCE)
        if killed:
            self._say(f"{managed.name} did not end within {STOP_PATIENCE:g} s and was killed")
        elif code not in (0, -15):
            self._say(f"{managed.name} {managed.child.how_it_ended()}; its output is in {managed.child.log}")
        managed.child = None
