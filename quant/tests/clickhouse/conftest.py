"""The embedded ClickHouse as a process on a free port, and a client that sends what it is told."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest


@dataclass(frozen=True)
class Server:
    """A running endpoint."""

    process: subprocess.Popen[str]
    path: Path
    port: int
    client: httpx.Client

    def ask(self, sql: str | bytes, /, **parameters: Any) -> str:
        """Run a statement; give what came, which must be no error."""
        answer = self.post(sql, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(
        self, body: str | bytes = b"", /, headers: dict[str, str] | None = None, **parameters: Any
    ) -> httpx.Response:
        """Send a statement, or data with the statement as `query=`."""
        content = body.encode() if isinstance(body, str) else body
        return self.client.post("/", content=content, params=parameters, headers=headers)

    def finish(self) -> tuple[int, str]:
        """Wait for the end; give exit code and standard error."""
        errors = self.process.communicate(timeout=30)[1]
        return self.process.returncode, errors


Start = Callable[..., Server]


@pytest.fixture(scope="session")
def start_clickhouse() -> Iterator[Start]:
    """Start endpoints; whatever still runs is ended at the end."""
    servers: list[Server] = []

    def start(path: Path, *options: str) -> Server:
        command = [sys.executable, "-m", "barnabas_quant.clickhouse", "--listen", "127.0.0.1:0", "--path", str(path)]
        process = subprocess.Popen(
            [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"clickhouse: ready at http://127\.0\.0\.1:(\d+) version=[\d.]+ pid=(\d+)\n", line)
        if found is None:
            raise AssertionError(f"no line of readiness: {line!r} {process.communicate(timeout=30)}")
        assert int(found[2]) == process.pid
        port = int(found[1])
        server = Server(process, path, port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.client.close()
        if server.process.poll() is None:
            server.process.terminate()
            server.process.communicate(timeout=30)


@pytest.fixture(scope="session")
def clickhouse(start_clickhouse: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Give an endpoint that the tests of this folder share."""
    return start_clickhouse(tmp_path_factory.mktemp("clickhouse"))


@pytest.fixture
def table(clickhouse: Server) -> str:
    """Give a new table (a UInt64, b Float64, s String, t LowCardinality(String), d Decimal(18, 8))."""
    name = f"t{uuid.uuid4().hex}"
    columns = "a UInt64, b Float64, s String, t LowCardinality(String), d Decimal(18, 8)"
    clickhouse.ask(f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY a")
    return name


ROWS = (
    "SELECT number a, number / 3 b, concat('s', toString(number)) s,"
    " toLowCardinality(toString(a % 7)) t, toDecimal64(a, 8) / 4 d FROM "
)
