"""Run a real schema registry, Apicurio's, which keeps its schemas in topics of a broker, and write with its schemas.

It speaks the interface of Confluent's registry below /apis/ccompat/v7. It and the serializers of confluent-kafka are
fetched once into BARNABAS_COMPAT_CACHE: Maven and pip are needed then. 3.0 is the last that runs on Java 17.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.console.site import SECONDS, until

from testkit.ports import free_port

VERSION = "3.0.9"
CACHE = Path(os.environ.get("BARNABAS_COMPAT_CACHE") or Path.home() / ".cache" / "barnabas-compat").resolve()
JAR = CACHE / "schemas" / f"apicurio-{VERSION}" / f"apicurio-registry-app-{VERSION}-runner.jar"
VENV = CACHE / "schemas" / "python"
SERIALIZERS = "confluent-kafka[avro,protobuf,schemaregistry]==2.16.1"
WRITER = Path(__file__).with_name("write_with_schemas.py")


def fetch() -> None:
    """Fetch the registry and the serializers, unless they are there."""
    if not JAR.exists():
        JAR.parent.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=JAR.parent.parent) as folder:
            artifact = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
            run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}")
            (archive,) = Path(folder).glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                tar.extractall(Path(folder) / "all", filter="data")
            shutil.rmtree(JAR.parent, ignore_errors=True)
            (Path(folder) / "all").rename(JAR.parent)
    if not (VENV / "fetched").exists():
        run(sys.executable, "-m", "venv", str(VENV))
        run(str(VENV / "bin" / "python"), "-m", "pip", "install", "-q", SERIALIZERS)
        (VENV / "fetched").touch()


def run(*command: str) -> str:
    """Run a command; return what it printed. Raises `RuntimeError` with its output where it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Registry:
    """Be a running registry; a context manager."""

    def __init__(self, bootstrap: str, log: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        self._log = log
        self._command = [
            "java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dquarkus.http.host=127.0.0.1",
            f"-Dquarkus.http.port={port}", "-Dapicurio.storage.kind=kafkasql",
            f"-Dapicurio.kafkasql.bootstrap.servers={bootstrap}", "-jar", str(JAR),
        ]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            until(self._answers, 4 * SECONDS)
        except AssertionError:
            self._stop()
            raise RuntimeError(f"the registry did not start:\n{self._log.read_text()[-4000:]}") from None
        return self

    def _answers(self) -> bool:
        assert self._process.poll() is None
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=2):
                return True
        except OSError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def write(self, client: Mapping[str, Any]) -> None:
        """Write the records of `write_with_schemas.py` to a cluster."""
        run(str(VENV / "bin" / "python"), str(WRITER), json.dumps(client), self.url)
