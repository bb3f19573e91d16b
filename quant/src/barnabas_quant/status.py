"""How a running platform is: a line for each process, `DATA/run/status.json`, and one page of Prometheus metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from rich.table import Table

from barnabas_quant.endpoints import run_folder
from barnabas_quant.errors import QuantError
from barnabas_quant.processes import check_port, split_address
from barnabas_quant.supervisor import Managed

FRESH = 10.0
"""Seconds after which a status file is taken for one that nobody writes any more."""


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Say how one process is: `rate` in records a second, `lag` in records (null: it reads no topic)."""

    name: str
    state: str
    records: int
    rate: float
    lag: int | None
    errors: int
    restarts: int
    note: str

    def line(self) -> str:
        """Write it as one plain line."""
        lag = "" if self.lag is None else f" lag={self.lag}"
        note = f" {self.note}" if self.note else ""
        return (
            f"{self.name:<20} {self.state:<9} rate={self.rate:.0f}/s records={self.records}{lag} "
            f"errors={self.errors} restarts={self.restarts}{note}"
        )


class PlatformStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Say how all processes are, at a time in seconds since 1970."""

    at: float
    processes: list[ProcessStatus]


def status_of(managed: Managed) -> ProcessStatus:
    """Read off how a process is."""
    return ProcessStatus(
        name=managed.name,
        state=managed.state,
        records=managed.records,
        rate=managed.rate,
        lag=managed.report.lag,
        errors=managed.report.errors,
        restarts=managed.restarts.count,
        note=managed.left_off or managed.report.note,
    )


def write_status(data: Path, status: PlatformStatus) -> None:
    """Write the status file, whole or not at all. Raises OSError."""
    path = run_folder(data) / "status.json"
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(status)))
    fresh.replace(path)


def read_status(data: Path) -> PlatformStatus | None:
    """Read the status of the platform that runs in `data`; None where none does."""
    try:
        status = msgspec.json.decode((run_folder(data) / "status.json").read_bytes(), type=PlatformStatus)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return status if time.time() - status.at < FRESH else None


def remove_status(data: Path) -> None:
    """Take the status file away: nothing runs any more."""
    (run_folder(data) / "status.json").unlink(missing_ok=True)


def status_table(status: PlatformStatus, caption: str) -> Table:
    """Draw the status for a terminal."""
    table = Table(title="barnabas-quant", caption=caption, caption_justify="left")
    table.add_column("process")
    table.add_column("state")
    for title in ("records/s", "records", "lag", "errors", "restarts"):
        table.add_column(title, justify="right")
    table.add_column("note", max_width=40)
    styles = {"running": "green", "left off": "red", "ended": "dim"}
    for process in status.processes:
        table.add_row(
            process.name,
            f"[{styles.get(process.state, 'yellow')}]{process.state}[/]",
            f"{process.rate:,.0f}",
            f"{process.records:,}",
            "" if process.lag is None else f"{process.lag:,}",
            f"{process.errors:,}" if process.errors else "",
            f"{process.restarts}" if process.restarts else "",
            process.note,
        )
    return table


class _Everyone(Collector):
    """Collect what the processes reported last, each sample with its service as a label."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}
        self._processes: list[ProcessStatus] = []

    def take(self, texts: dict[str, str], processes: list[ProcessStatus]) -> None:
        with self._lock:
            self._texts, self._processes = texts, processes

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            texts, processes = dict(self._texts), list(self._processes)
        families: dict[str, Metric] = {}
        for service, text in texts.items():
            for family in text_string_to_metric_families(text):
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    merged.add_sample(sample.name, {**sample.labels, "service": service}, sample.value)
        running = GaugeMetricFamily("barnabas_quant_running", "1 while the process does its work", labels=["service"])
        restarts = GaugeMetricFamily("barnabas_quant_restarts", "How often it was started again", labels=["service"])
        for process in processes:
            running.add_metric([process.name], float(process.state == "running"))
            restarts.add_metric([process.name], process.restarts)
        return [*families.values(), running, restarts]


class MetricsPage:
    """Hold what the page of metrics shows."""

    def __init__(self) -> None:
        self._everyone = _Everyone()
        self.registry = CollectorRegistry()
        self.registry.register(self._everyone)

    def take(self, everyone: list[Managed]) -> None:
        """Take the last reports of all processes."""
        self._everyone.take(
            {managed.name: managed.report.metrics for managed in everyone if managed.report.metrics},
            [status_of(managed) for managed in everyone],
        )


@contextmanager
def metrics_page(address: str | None) -> Iterator[MetricsPage]:
    """Serve the page at HOST:PORT while the block runs (None: serve nothing). Raises ChildError for a taken port."""
    page = MetricsPage()
    if address is None:
        yield page
        return
    check_port(address, "the setting metrics_listen")
    host, port = split_address(address)
    try:
        server, thread = start_http_server(port, host, page.registry)
    except OSError as error:
        raise QuantError(f"metrics_listen {address}: {error.strerror}") from error
    try:
        yield page
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
