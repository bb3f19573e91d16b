"""A gateway as a process, and clients that remember what they were told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from barnabas_quant.bus import partition_counts, read_records
from testkit.ports import free_ports

from ..conftest import PATIENCE, eventually

NOWHERE = "http://127.0.0.1:1/default"
PASSWORD = "correct horse battery"


class GatewayProcess:
    """`barnabas-quant run gateway`, on a Kafka and a Redis, and on a history where one is given."""

    def __init__(
        self, folder: Path, kafka: str, redis: str, settings: str = "open = false", clickhouse: str = NOWHERE
    ) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = folder / f"data-{self.port}"
        self.data.mkdir()
        self.log = folder / f"gateway-{self.port}.log"
        config = folder / f"gateway-{self.port}.toml"
        config.write_text(f'gateway_listen = "127.0.0.1:{self.port}"\n[gateway]\n{settings}\n')
        self._command = [
            sys.executable, "-m", "barnabas_quant", "run", "gateway", "--config", str(config), "--kafka", kafka,
            "--redis", redis, "--clickhouse", clickhouse, "--data", str(self.data),
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start it (again), and wait until it listens and knows its users."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(self.answers)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/api/v1/users", headers=self.operator(), timeout=5).status_code == 200
        except (httpx.HTTPError, FileNotFoundError):
            return False

    def operator(self) -> dict[str, str]:
        """Give the operator's header."""
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}

    @property
    def token_file(self) -> Path:
        return self.data / "run" / "gateway.token"

    def writes(self) -> bool:
        """Tell whether it is the one that writes accounts."""
        path = f"{self.url}/api/v1/users/nobody/password"
        return httpx.put(path, json={"new": PASSWORD}, headers=self.operator(), timeout=15).status_code == 404

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.log.read_text()

    def client(self, address: str = "192.0.2.1", **headers: str) -> Browser:
        """Give a client; a proxy on this machine says that it is at `address`."""
        return Browser(self.url, {"X-Forwarded-For": address, **headers})


class Browser(httpx.Client):
    """A client with a jar of cookies, that keeps whatever it was sent."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.received: list[bytes] = []
        super().__init__(base_url=f"{url}/api/v1/", headers=headers, timeout=30, event_hooks={"response": [self._keep]})

    def _keep(self, response: httpx.Response) -> None:
        self.received.append(response.read())

    def register(self, user: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        return self.post("users", json={"user": user, "password": password, **more})

    def sign_in(self, user: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("session", json={"user": user, "password": password})

    def who(self) -> tuple[int, str]:
        """Give the status of /me, and the user or the word of the failure."""
        response = self.get("me")
        return response.status_code, response.json().get("user") or response.json()["error"]


def told(kafka: str, topic: str) -> list[tuple[str, Any]]:
    """Give what stands in a topic now: key and record, which is None for a tombstone."""
    found = read_records(kafka, partition_counts(kafka, [topic]))
    return [((m.key() or b"").decode(), None if m.value() is None else json.loads(m.value() or b"")) for m in found]


def events_of(kafka: str, user: str, last: str) -> list[dict[str, Any]]:
    """Give the events of a user, once an event of the kind `last` is there."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [event for key, event in told(kafka, "user-events") if key == user]
        return any(event["event"] == last for event in found)

    eventually(there)
    return found
