"""One service as a process: found by name or by file, run until told to stop, reporting to whoever started it.

It ends on SIGINT, on SIGTERM, and where a supervisor started it when its standard input ends, which is what happens
however the supervisor dies.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import inspect
import logging
import os
import pkgutil
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType

import msgspec
from prometheus_client import generate_latest, start_http_server

from barnabas_quant import services
from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.producer import PATIENCE
from barnabas_quant.bus.topics import set_client_settings
from barnabas_quant.errors import ServiceError
from barnabas_quant.processes import check_port, split_address
from barnabas_quant.service import ConsumerService, Context, Service, Status
from barnabas_quant.settings import Settings

REPORT = "BARNABAS_QUANT_REPORT"
"""Environment variable: the descriptor that reports are written to."""

_REPORT_EVERY = 1.0  # seconds
_NAME = re.compile("[a-z0-9][a-z0-9_-]{0,60}")

log = logging.getLogger(__name__)


class Report(msgspec.Struct, frozen=True):
    """Say how a service is doing; one JSON line."""

    ready: bool
    records: int
    errors: int
    lag: int | None
    note: str
    metrics: str = ""


def service_names() -> list[str]:
    """Give the names of the services in the package, one for each module of `services/`."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(services.__path__))


def service_files(folder: Path) -> list[Path]:
    """Give the files of a folder of services; names that begin with an underscore are helpers."""
    return [path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]


def find_service(name: str, folder: Path | None = None) -> type[Service]:
    """Give the service of a name, from the package or from `folder` (NAME.py), or that of a file (a path with .py).

    Raises ServiceError where there is none, or the file cannot be read as one.
    """
    path = Path(name) if name.endswith(".py") else None
    if path is None and folder is not None:
        spellings = (folder / f"{name}.py", folder / f"{name.replace('-', '_')}.py")
        path = next((at for at in spellings if at.exists()), None)
    if path is None:
        if name not in service_names():
            raise ServiceError(f"no service {name!r}; there are: {', '.join(service_names())}, and files ending in .py")
        return _service_in(importlib.import_module(f"{services.__name__}.{name.replace('-', '_')}"))
    spec = importlib.util.spec_from_file_location(f"barnabas_quant_service_{path.stem}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise ServiceError(f"no such file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a user's file: whatever it raises, its name must stand beside it
        raise ServiceError(f"{path}: {type(error).__name__}: {error}") from error
    return _service_in(module)


def _service_in(module: ModuleType) -> type[Service]:
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Service)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    ]
    if len(found) != 1:
        raise ServiceError(
            f"{module.__file__}: {len(found)} services in it; one class derived from Service is expected"
        )
    service = found[0]
    wanted = ("name", "group", "topics") if issubclass(service, ConsumerService) else ("name",)
    if missing := [attribute for attribute in wanted if not hasattr(service, attribute)]:
        raise ServiceError(f"{module.__file__}: {service.__name__} does not say its {', '.join(missing)}")
    if not _NAME.fullmatch(service.name):  # it becomes the name of a file
        raise ServiceError(f"{module.__file__}: name {service.name!r}: lower-case letters, digits, dashes only")
    return service


def run_service(kind: type[Service], settings: Settings, metrics: str | None = None) -> None:
    """Run a service in this process until it is told to stop, or ends by itself.

    `metrics`: where to serve its own page for Prometheus, HOST:PORT. Raises QuantError.
    """
    set_client_settings(settings.kafka_client)
    # Batches of a hundred thousand records are no garbage: looking through them again and again took an eighth of the
    # history's time.
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    stop = threading.Event()
    status = Status()
    letters = DeadLetters(settings.bootstrap, kind.name)
    with _told_to_stop(stop), _reports(status):
        if metrics is not None:
            check_port(metrics, "--metrics")
            host, port = split_address(metrics)
            start_http_server(port, host, status.registry)
        try:
            kind(Context(settings, stop, status, letters)).run()
        finally:
            status.ready = False
            if left := letters.flush(PATIENCE):
                log.error("%s: %d dead letters were not acknowledged", kind.name, left)


@contextmanager
def _told_to_stop(stop: threading.Event) -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    if REPORT in os.environ:
        threading.Thread(target=_watch_input, args=(stop,), name="supervisor", daemon=True).start()
    yield


def _watch_input(stop: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stop.set()


@contextmanager
def _reports(status: Status) -> Iterator[None]:
    number = os.environ.get(REPORT)
    if number is None:
        yield
        return
    done = threading.Event()

    def write() -> None:
        while True:
            last = done.wait(_REPORT_EVERY if status.ready else 0.1)
            metrics = generate_latest(status.registry).decode()
            report = Report(status.ready, status.records, status.errors, status.lag, status.note, metrics)
            try:
                os.write(int(number), msgspec.json.encode(report) + b"\n")
            except OSError:  # the supervisor is gone; standard input says so, too
                return
            if last:
                return

    thread = threading.Thread(target=write, name="reports", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(5)
