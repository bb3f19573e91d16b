"""Run Apache Kafka as one KRaft node from Maven jars, with the JVM options of its own start script."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.peers.folder import installing, run_step

VERSION = "4.3.0"

# bin/kafka-server-start.sh (heap) and bin/kafka-run-class.sh (the rest) set these for whoever starts Kafka.
JVM_OPTIONS = (
    "-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 "
    "-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true"
).split()


def install() -> Path:
    """Copy Kafka's jars into the cache once (needs Java 17 and Maven); return their folder."""
    with installing(f"kafka-{VERSION}") as folder:
        libraries = folder / "libs"
        if not (folder / ".done").exists():
            pom = Path(__file__).with_name("pom.xml")
            goal = "dependency:copy-dependencies"
            run_step(
                ["mvn", "-q", "-f", pom, goal, f"-DoutputDirectory={libraries}", f"-Dkafka.version={VERSION}"],
                folder / "install.log",
            )
            (folder / ".done").touch()
    return libraries


def version() -> str:
    """Return Kafka's version with that of the Java that runs it."""
    shown = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    java = shown.split('"')[1] if '"' in shown else "?"
    return f"{VERSION} (Java {java})"


def prepare(folder: Path, ports: Sequence[int]) -> list[str]:
    """Write a node's configuration into `folder` and format its data; return the command that serves on ports[0].

    ports[1] is the controller's. Apart from addresses, the data directory and the replication factor of internal
    topics, which one node cannot have at 3, everything is Kafka's default.
    """
    libraries = install()
    properties = folder / "server.properties"
    properties.write_text(
        f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{ports[1]}
listeners=PLAINTEXT://127.0.0.1:{ports[0]},CONTROLLER://127.0.0.1:{ports[1]}
advertised.listeners=PLAINTEXT://127.0.0.1:{ports[0]}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder / "data"}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""
    )
    classes = ["-cp", f"{libraries}/*"]
    cluster = "YmFybmFiYXMtYmVuY2gtMQ"  # 16 bytes in base64 without padding, which is all that a cluster id must be
    run_step(
        ["java", *classes, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties],
        folder / "format.log",
    )
    return ["java", *JVM_OPTIONS, *classes, "kafka.Kafka", str(properties)]
