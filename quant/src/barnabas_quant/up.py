"""`barnabas-quant up`: run the platform in the foreground and show it, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import TextIO

from rich.console import Console
from rich.live import Live

from barnabas_quant.bus.topics import set_client_settings
from barnabas_quant.endpoints import Attempts, only_one, read_endpoints, run_folder
from barnabas_quant.settings import Settings
from barnabas_quant.status import (
    MetricsPage,
    PlatformStatus,
    metrics_page,
    remove_status,
    status_of,
    status_table,
    write_status,
)
from barnabas_quant.supervisor import Supervisor

_SHOW_EVERY = 1.0  # seconds
_PRINT_EVERY = 5.0  # seconds, where the output is no terminal


def up(settings: Settings, output: TextIO, seconds: float | None = None) -> None:
    """Run until told to stop, or for `seconds`. Raises QuantError where something could not start."""
    set_client_settings(settings.kafka_client)
    stop = threading.Event()
    with stop_on_signals(stop), only_one(settings.data), metrics_page(settings.metrics_listen) as page:
        show = _Show(settings, output, page, stop, seconds)
        supervisor = Supervisor(settings, stop, show.say)
        try:
            supervisor.run(show)
        finally:
            show.end(supervisor)


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Set `stop` on the first SIGINT or SIGTERM; a second SIGINT interrupts whatever is being waited for."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Show:
    """Show the platform: a live table on a terminal, elsewhere a line for each process every five seconds."""

    def __init__(
        self, settings: Settings, output: TextIO, page: MetricsPage, stop: threading.Event, seconds: float | None
    ) -> None:
        self._settings = settings
        self._output = output
        self._page = page
        self._stop = stop
        self._seconds = seconds
        self._console = Console(file=output)
        self._live: Live | None = None
        self._shown = self._printed = 0.0
        self._begun: float | None = None
        self._write_line = Attempts("the output of the platform")
        self._write_status = Attempts(str(run_folder(settings.data) / "status.json"))

    def say(self, text: str) -> None:
        """Print a line of its own, above the table where there is one."""
        if self._live:
            self._console.print(text, markup=False, highlight=False)
        else:
            self._write_line(lambda: print(text, file=self._output, flush=True))

    def __call__(self, supervisor: Supervisor) -> None:
        """Look at the platform, show it when it is time, and end the run when its seconds are over."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = self._printed = now
            self._welcome()
        if self._seconds is not None and now - self._begun >= self._seconds:
            self._stop.set()
        if now - self._shown < _SHOW_EVERY:
            return
        self._shown = now
        status = PlatformStatus(at=time.time(), processes=[status_of(managed) for managed in supervisor.all()])
        self._write_status(lambda: write_status(self._settings.data, status))
        self._page.take(supervisor.all())
        if self._live:
            self._live.update(status_table(status, self._where()), refresh=True)
        elif now - self._printed >= _PRINT_EVERY:
            self._printed = now
            self._print(status)

    def end(self, supervisor: Supervisor) -> None:
        """Take the table away and say what was done."""
        if self._begun is None:  # it did not come so far
            return
        if self._live:
            self._live.stop()
            self._live = None
        records = sum(managed.records for managed in supervisor.services.values())
        self.say(f"end: records={records}")
        remove_status(self._settings.data)

    def _welcome(self) -> None:
        self.say(self._where())
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()

    def _where(self) -> str:
        found = read_endpoints(self._settings.data)
        if found is None:
            return ""
        lines = [f"Kafka {found.kafka}   Redis {found.redis}   ClickHouse {found.clickhouse}"]
        if found.gateway:
            lines.append(f"prices, charts and the API: {found.gateway}")
        if found.metrics:
            lines.append(f"metrics: {found.metrics}")
        lines.append(f"logs: {self._settings.data / 'log'}   your own services: {self._settings.data / 'services'}")
        return "\n".join(lines)

    def _print(self, status: PlatformStatus) -> None:
        stamp = datetime.now(UTC).strftime("%H:%M:%SZ")
        for process in status.processes:
            self.say(f"{stamp} {process.line()}")
