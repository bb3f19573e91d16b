"""Run a real Apache Kafka of three nodes whose clients come by TLS and SASL/SCRAM-SHA-256, with an authorizer.

The jars are those of `compat/peers`. Every node has three listeners: PLAINTEXT for the other brokers and for programs
that cannot sign in, CONTROLLER, and CLIENT, which is what the console gets. `kafka-storage format` writes the password
of `admin`, who is a super user.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from testkit.ports import free_port

COMPAT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(COMPAT / "peers"), str(COMPAT / "tools")]

import apache_kafka
import secure

NODES = (1, 2, 3)
USER, PASSWORD = "admin", "a-password"
START_S = 120.0
STOP_S = 60.0
_JVM = ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


def missing() -> str | None:
    """Return why no Kafka can be run here, None where it can."""
    if shutil.which("java") is None:
        return "needs java on the path"
    if not all((apache_kafka.LIBS / jar).exists() for jar in apache_kafka.NEEDED) and shutil.which("mvn") is None:
        return f"needs Apache Kafka's jars in {apache_kafka.LIBS}, or Maven to fetch them"
    return None


class ThreeNodes:
    """Be the cluster: from `start` to `close`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {node: [free_port() for _ in range(3)] for node in NODES}
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        authority = secure.Authority("test authority")
        key, certificate = authority.issue("server", ["localhost", "127.0.0.1"])
        (folder / "ca.pem").write_text(secure.pem(authority.certificate))
        (folder / "server.pem").write_text(secure.pem_key(key) + secure.pem(certificate))
        self.bootstrap = ",".join(f"127.0.0.1:{client}" for _, _, client in self._ports.values())
        self.plain = ",".join(f"127.0.0.1:{plain}" for plain, _, _ in self._ports.values())
        """The brokers' own listener."""
        self.client: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap, "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": USER, "sasl.password": PASSWORD, "ssl.ca.location": str(folder / "ca.pem"),
        }
        """What confluent-kafka needs to come by the secured listener."""

    def command_config(self, name: str, password: str = PASSWORD) -> Path:
        """Write a property file of Kafka's Java clients."""
        settings = {
            "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.jaas.config": secure.SCRAM.format(USER, password),
            "ssl.truststore.type": "PEM", "ssl.truststore.location": str(self._folder / "ca.pem"),
        }
        file = self._folder / f"{name}.properties"
        file.write_text("".join(f"{key}={secure.escaped(value)}\n" for key, value in settings.items()))
        return file

    def start(self, *nodes: int) -> None:
        """Start nodes, all unless told, and wait until all brokers that run know each other."""
        for node in nodes or NODES:
            command = apache_kafka.prepare(
                self._folder / str(node), node, len(NODES), 0, self._settings(node),
                ["--add-scram", f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"], _JVM,
            )
            with (self._folder / f"{node}.log").open("ab") as log:
                self._running[node] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while any(apache_kafka.brokers_known(self._ports[node][0]) < len(self._running) for node in self._running):
            ended = [node for node, process in self._running.items() if process.poll() is not None]
            if ended or time.monotonic() > end:
                log_of = self._folder / f"{(ended or list(NODES))[0]}.log"
                raise RuntimeError(f"Kafka did not start:\n{log_of.read_text(errors='replace')[-4000:]}")
            time.sleep(0.1)

    def _settings(self, node: int) -> list[str]:
        plain, controller, client = self._ports[node]
        settings = {
            "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{self._ports[n][1]}" for n in NODES),
            "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},"
                         f"CLIENT://127.0.0.1:{client}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENT:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": self._folder / "server.pem",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.client.scram-sha-256.sasl.jaas.config":
                f"{secure.MODULES}.scram.ScramLoginModule required;",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:ANONYMOUS;User:{USER}", "broker.rack": f"rack-{node}",
            "offsets.topic.num.partitions": 6, "transaction.state.log.num.partitions": 3,
            "share.coordinator.state.topic.num.partitions": 3, "group.streams.initial.rebalance.delay.ms": 0,
        }
        return [f"{key}={value}" for key, value in settings.items()]

    def data(self, node: int) -> Path:
        """Return the folder of a node's logs."""
        return self._folder / str(node) / "data"

    def kill(self, node: int) -> None:
        """End a node at once, as SIGKILL does."""
        process = self._running.pop(node)
        process.kill()
        process.wait()

    def close(self) -> None:
        """End all nodes."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
