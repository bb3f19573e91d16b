#!/usr/bin/env python3
"""Run a real Apache Kafka (KRaft) beside Barnabas, and its Java tools.

    apache_kafka.py classpath                        fetch the jars if need be, print the class path
    apache_kafka.py tool CLASS ARGS...               a Java tool, as kafka-run-class does
    apache_kafka.py serve --data DIR --port PORT     one node in the foreground; the process is Kafka itself
    apache_kafka.py start [--run NAME] [--nodes N] [--port PORT]    in the background; prints the bootstrap address
    apache_kafka.py stop [--run NAME]                end what start began; the data stays
    apache_kafka.py wipe [--run NAME]                stop, then drop the data

Jars, data and logs live in BARNABAS_PEERS (default ~/.cache/barnabas-peers). Runs with different names and ports live
side by side: brokers listen on PORT, PORT+1, ..., controllers behind them. --set KEY=VALUE adds a server setting,
--format=WORD a word for kafka-storage format, --jvm=WORD one for the JVM.
Needs Java 17 and, the first time, Maven.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = Path(os.environ.get("BARNABAS_PEERS") or Path.home() / ".cache" / "barnabas-peers")
LIBS = PEERS / "libs"
NEEDED = (
    "kafka_2.13-4.3.0.jar", "kafka-tools-4.3.0.jar", "kafka-clients-4.3.0.jar", "kafka-shell-4.3.0.jar",
    "log4j-slf4j-impl-2.25.4.jar",
)
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # a tool lives for a second
CLUSTER_ID = "YmFybmFiYXMtY29tcGF0IQ"  # 16 bytes in URL-safe base64, as kafka-storage makes them
START_SECONDS = 60.0


def classpath() -> str:
    """Return a class path with the broker and its tools; copy the jars there when they are missing."""
    if not all((LIBS / jar).exists() for jar in NEEDED):
        maven = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*maven, f"-DoutputDirectory={LIBS}"], check=True, stdout=sys.stderr)
    return f"{LIBS}/*"


def properties(folder: Path, node: int, nodes: int, port: int, more: list[str]) -> str:
    """Return the server.properties of one node; replication follows the number of nodes, ``more`` comes last."""
    replicas = min(nodes, 3)
    in_sync = 2 if nodes > 1 else 1
    voters = ",".join(f"{n}@127.0.0.1:{port + nodes + n - 1}" for n in range(1, nodes + 1))
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://127.0.0.1:{port + node - 1},CONTROLLER://127.0.0.1:{port + nodes + node - 1}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": folder / "data",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": 0,
    }
    settings |= dict(setting.split("=", 1) for setting in more)
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def prepare(
    folder: Path, node: int, nodes: int, port: int, more: list[str], form: list[str], jvm: list[str]
) -> list[str]:
    """Write a node's settings, format its folder unless that is done, and return the command that runs it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "server.properties"
    config.write_text(properties(folder, node, nodes, port, more))
    java = ["java", "-cp", classpath()]
    if not (folder / "data" / "meta.properties").exists():
        storage = [*java[:1], *QUICK_START, *java[1:], "kafka.tools.StorageTool"]
        command = [*storage, "format", "-t", CLUSTER_ID, "-c", str(config), *form]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [java[0], "-Xmx1g", *jvm, *java[1:], "kafka.Kafka", str(config)]


def brokers_known(port: int) -> int:
    """Ask the broker on ``port`` how many brokers it knows (Metadata v1, no topics); 0 while it does not answer."""
    request = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = b""
            while len(answer) < 12:
                received = connection.recv(4096)
                if not received:
                    return 0
                answer += received
    except OSError:
        return 0
    count: int = struct.unpack_from(">i", answer, 8)[0]
    return count


def started_at(pid: int) -> str:
    """Return when process ``pid`` began, as ps says it; empty when there is none."""
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], check=False, capture_output=True, text=True)
    return listing.stdout.strip()


def start(run: Path, nodes: int, port: int, more: list[str], form: list[str], jvm: list[str]) -> int:
    """Start a cluster in the background and wait until every broker knows the others."""
    shape = run / "shape"
    if shape.exists() and shape.read_text() != f"{nodes} {port}":
        sys.exit(f"{run} holds a cluster of another shape ({shape.read_text()}): wipe it, or choose another --run")
    run.mkdir(parents=True, exist_ok=True)
    shape.write_text(f"{nodes} {port}")
    for node in range(1, nodes + 1):
        command = prepare(run / str(node), node, nodes, port, more, form, jvm)
        with (run / str(node) / "server.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (run / str(node) / "pid").write_text(f"{process.pid} {started_at(process.pid)}")
    end = time.monotonic() + START_SECONDS
    while any(brokers_known(port + n) < nodes for n in range(nodes)):
        if time.monotonic() > end:
            sys.exit(f"not ready within {START_SECONDS:.0f} s: see {run}/*/server.log")
        time.sleep(0.1)
    print(",".join(f"127.0.0.1:{port + n}" for n in range(nodes)))
    return 0


def stop(run: Path) -> int:
    """End every node that start began and that is still the same process."""
    pids = []
    for note in run.glob("*/pid"):
        number, _, begun = note.read_text().partition(" ")
        if begun and started_at(int(number)) == begun:
            os.kill(int(number), 15)
            pids.append((int(number), begun))
        note.unlink()
    for pid, begun in pids:
        while started_at(pid) == begun:
            time.sleep(0.1)
    return 0


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["tool"]:  # its options are not ours
        command = ["java", *QUICK_START, "-cp", classpath(), *arguments[1:]]
        os.execvp(command[0], command)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["classpath", "tool", "serve", "start", "stop", "wipe"])
    parser.add_argument("--run", default="kafka", help="name of the cluster (default kafka)")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--port", type=int, default=29092)
    parser.add_argument("--data", type=Path, help="folder of serve")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one more server setting")
    parser.add_argument("--format", action="append", default=[], metavar="WORD", help="for kafka-storage format")
    parser.add_argument("--jvm", action="append", default=[], metavar="WORD", help="for the JVM")
    chosen = parser.parse_args(arguments)
    run = PEERS / "runs" / chosen.run
    if chosen.command == "classpath":
        print(classpath())
    elif chosen.command == "serve":
        if chosen.data is None:
            parser.error("serve needs --data")
        command = prepare(chosen.data.resolve(), 1, 1, chosen.port, chosen.set, chosen.format, chosen.jvm)
        os.execvp(command[0], command)
    elif chosen.command == "start":
        return start(run, chosen.nodes, chosen.port, chosen.set, chosen.format, chosen.jvm)
    else:
        stop(run)
        if chosen.command == "wipe":
            shutil.rmtree(run, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
