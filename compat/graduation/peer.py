"""Run a real Apache Kafka on a data directory that is given, and its tools on the files in it.

The jars are those of `compat/peers` (folder `BARNABAS_PEERS`); Java is needed, and Maven the first time.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))

import apache_kafka

START_S = 60.0
STOP_S = 60.0

#: a small heap, and no optimising compiler: a node of these tests lives for some seconds, beside others
_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m")

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %p %m (%c{1})%n%throwable
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = WARN
"""

#: lines of a healthy Kafka that starts, serves a test and stops; none speaks about the directory
_HEALTHY = re.compile(
    r"|".join(
        (
            r"disconnected", r"Connection to node", r"Performing controller activation", r"already been closed",
            r"Upgrading metadata.version",
            r"Received unknown topic or partition", r"jmx", r"InvalidMetadata",
        )
    ),
    re.IGNORECASE,
)


def missing() -> str | None:
    """Return why no Kafka can be run here, None where it can."""
    if shutil.which("java") is None:
        return "needs java on the path"
    if not all((apache_kafka.LIBS / jar).exists() for jar in apache_kafka.NEEDED) and shutil.which("mvn") is None:
        return f"needs Apache Kafka's jars in {apache_kafka.LIBS}, or Maven to fetch them"
    return None


def server_properties(data: Path, port: int, controller: int, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the settings of one combined node on a directory."""
    return {
        "process.roles": "broker,controller", "node.id": "1", "log.dirs": str(data),
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1", "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1", "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "4", "transaction.state.log.num.partitions": "4",
        **(more or {}),
    }


def write_properties(path: Path, settings: Mapping[str, str]) -> Path:
    """Write a properties file."""
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return path


def tool(name: str, *arguments: str, check: bool = True) -> str:
    """Run a Java tool; return what it printed. Raises `RuntimeError` with its output where it failed."""
    done = subprocess.run(
        ["java", *_JVM, "-cp", apache_kafka.classpath(), name, *arguments],
        check=False, capture_output=True, text=True, timeout=120,
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{name} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr


def format_directory(properties: Path, *options: str) -> None:
    """Format the directory that a properties file names, as a new cluster."""
    tool("kafka.tools.StorageTool", "format", "-t", apache_kafka.CLUSTER_ID, "-c", str(properties), *options)


class Kafka:
    """Be one running Kafka node: from entering until `stop`, `kill` or leaving."""

    def __init__(self, properties: Path, work: Path) -> None:
        listeners = re.search(r"^listeners=.*?PLAINTEXT://(.*?):(\d+)", properties.read_text(), re.MULTILINE)
        assert listeners is not None, "the first listener is to be PLAINTEXT"
        self.bootstrap = f"127.0.0.1:{listeners[2]}"
        self._properties = properties
        self._log = work / f"kafka-{time.monotonic_ns()}.log"
        log4j = work / "log4j2.properties"
        log4j.write_text(_LOG4J)
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                ["java", *_JVM, f"-Dlog4j2.configurationFile={log4j}", "-cp", apache_kafka.classpath(), "kafka.Kafka",
                 str(properties)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def __enter__(self) -> Self:
        end = time.monotonic() + START_S
        port = int(self.bootstrap.rpartition(":")[2])
        while apache_kafka.brokers_known(port) < 1:
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"Kafka did not start:\n{self.log[-6000:]}")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """Return what Kafka logged up to now."""
        return self._log.read_text(errors="replace")

    @property
    def complaints(self) -> list[str]:
        """Return the warnings and errors that Kafka logged, those left out that any healthy node logs."""
        lines = [x for x in self.log.splitlines() if x.startswith(("WARN ", "ERROR ", "FATAL "))]
        return [line for line in lines if not _HEALTHY.search(line)]

    def stop(self) -> None:
        """Stop cleanly, as SIGTERM does; harmless when it is stopped."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once, as SIGKILL does."""
        self._process.kill()
        self._process.wait()


def dump(files: Iterable[Path], *options: str) -> str:
    """Run Kafka's DumpLogSegments on files; return what it printed."""
    return tool("org.apache.kafka.tools.DumpLogSegments", *options, "--files", ",".join(str(f) for f in files))


def dump_everything(data: Path) -> dict[str, str]:
    """Run DumpLogSegments on every file of a directory that it can read; return its output by kind of file."""

    def files(suffix: str, folders: str = "*") -> list[Path]:
        return sorted(path for path in data.glob(f"{folders}/*{suffix}") if ".deleted" not in path.name)

    kinds = {
        "logs": ([f for f in files(".log") if not f.parent.name.startswith("__")], ["--deep-iteration"]),
        "offsets": (files(".log", "__consumer_offsets-*"), ["--offsets-decoder"]),
        "transactions": (files(".log", "__transaction_state-*"), ["--transaction-log-decoder"]),
        "metadata": (
            [*files(".log", "__cluster_metadata-0"), *files(".checkpoint", "__cluster_metadata-0")],
            ["--cluster-metadata-decoder"],
        ),
        "index sanity": (files(".index") + files(".timeindex"), ["--index-sanity-check"]),
        "index entries": (files(".index") + files(".timeindex"), ["--verify-index-only"]),
        "producers": (files(".snapshot"), []),
        "aborted": (files(".txnindex"), []),
    }
    return {kind: dump(found, *options) for kind, (found, options) in kinds.items() if found}


_WRONG = re.compile(r"mismatch|error|exception|corrupt|invalid|isvalid: false|out of order|found problem", re.I)


def wrong_lines(outputs: Mapping[str, str]) -> list[str]:
    """Return the lines of `dump_everything` that tell of something wrong."""
    return [
        f"{kind}: {line}"
        for kind, text in outputs.items()
        for line in text.splitlines()
        if _WRONG.search(line) and "compressCodec" not in line
    ]
