"""A platform for tests: `barnabas-quant up` on free ports, in a folder of its own, and other programs beside it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from testkit.ports import free_ports

PATIENCE = 90.0
QUANT = (sys.executable, "-m", "barnabas_quant")


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait until something is there, and give it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def process(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program beside the test; its output goes to `log`. At the end it has to obey SIGTERM."""
    with log.open("ab") as output, subprocess.Popen(command, cwd=log.parent, stdout=output, stderr=output) as running:
        try:
            yield running
            assert running.poll() is None, log.read_text()
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE) == 0, log.read_text()
        finally:
            if running.poll() is None:
                running.kill()


class Platform:
    """Addresses of a running platform, and how its processes are."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        kafka, redis, clickhouse, exchange, gateway, metrics = free_ports(6)
        self.kafka = f"127.0.0.1:{kafka}"
        self.redis = f"redis://127.0.0.1:{redis}"
        self.clickhouse = f"http://127.0.0.1:{clickhouse}"
        self.exchange = f"127.0.0.1:{exchange}"
        self.settings = (
            f'listen = ["{self.kafka}"]\nredis_listen = "127.0.0.1:{redis}"\n'
            f'clickhouse_listen = "127.0.0.1:{clickhouse}"\nexchange_listen = "{self.exchange}"\n'
            f'gateway_listen = "127.0.0.1:{gateway}"\nmetrics_listen = "127.0.0.1:{metrics}"\n'
        )

    def processes(self) -> dict[str, dict[str, Any]]:
        """Give what `up` last wrote of each process; nothing before all of them were started."""
        path = self.data / "run" / "status.json"
        return {one["name"]: one for one in json.loads(path.read_bytes())["processes"]} if path.exists() else {}

    def runs(self, *names: str) -> bool:
        """Tell whether the processes of these names do their work."""
        found = self.processes()
        return bool(found) and all(name in found and found[name]["state"] == "running" for name in names)


@contextlib.contextmanager
def platform(folder: Path, settings: str) -> Iterator[Platform]:
    """Run `up` with these settings (TOML), and give it once its stores answer."""
    made = Platform(folder)
    config = folder / "platform.toml"
    config.write_text(made.settings + settings, encoding="utf-8")
    log = folder / "up.log"
    with process(log, *QUANT, "up", "--data", str(made.data), "--config", str(config)) as running:
        eventually(lambda: made.processes() or running.poll() is not None, "it did not start")
        assert running.poll() is None, log.read_text()
        yield made
