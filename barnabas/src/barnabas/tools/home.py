"""Write a folder shaped like Apache Kafka's: `barnabas home DIR`.

`bin/*.sh` run the tools of the Python that wrote them, `bin/windows/*.bat` do the same, `config/server.properties` is a
node of both roles, and `docker/run` starts a broker in the foreground. So scripts and instructions written for Kafka's
folder run as they are. Files that are there already are left as they are; `--force` replaces them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from barnabas.tools.catalog import SCRIPTS

_SERVER = """\
# A node that is broker and controller at once, on one machine.
process.roles=broker,controller
node.id=1

# Clients come to PLAINTEXT. The controller's listener is for Apache Kafka, should it take the data over.
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=localhost:9093
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL

# Where everything is kept.
log.dirs=/tmp/kraft-combined-logs

# Topics that are made without a word about it.
num.partitions=1

# Kafka's own topics, on one node.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# Records are kept for a week, in files of a gibibyte; every five minutes the old ones are looked for.
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""
_CLIENT = "bootstrap.servers=localhost:9092\n"
_PROGRAM = "import sys; from barnabas.tools.main import run_as; sys.exit(run_as(sys.argv[1], sys.argv[2:]))"
_MORE_CONFIGS = {
    "producer.properties": "# A producer's settings.\n" + _CLIENT + "compression.type=none\n",
    "consumer.properties": "# A consumer's settings.\n" + _CLIENT + "group.id=test-consumer-group\n",
}


def command(parsed: argparse.Namespace) -> int:
    """Write the folder; return the exit status."""
    folder = Path(parsed.folder)
    kept = 0
    try:
        for path, (text, executable) in files().items():
            target = folder / path
            if target.exists() and not parsed.force:
                kept += 1
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\r\n" if target.suffix == ".bat" else "\n")
            if executable:
                target.chmod(0o755)
    except OSError as e:
        print(f"barnabas: {e.filename}: {e.strerror}", file=sys.stderr)
        return 1
    print(f"{folder} is shaped like Kafka's folder" + (f"; {kept} files were there already" if kept else ""))
    return 0


def files() -> dict[str, tuple[str, bool]]:
    """Return the files by their path: the text, and whether it is a program."""
    found: dict[str, tuple[str, bool]] = {}
    python = shlex.quote(sys.executable)
    for script in SCRIPTS:
        found[f"bin/{script}.sh"] = (f"#!/bin/sh\nexec {python} -c {shlex.quote(_PROGRAM)} {script} \"$@\"\n", True)
        found[f"bin/windows/{script}.bat"] = (
            f'@echo off\n"{sys.executable}" -c "{_PROGRAM}" {script} %*\nexit /b %ERRORLEVEL%\n', False
        )
    found["config/server.properties"] = (_SERVER, False)
    for name, text in _MORE_CONFIGS.items():
        found[f"config/{name}"] = (text, False)
    # settings come from the environment too (KAFKA_...), as in Kafka's image
    found["docker/run"] = (
        '#!/bin/sh\nhome=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd) || exit 1\n'
        f'exec {python} -m barnabas serve "${{1:-$home/config/server.properties}}"\n',
        True,
    )
    return found
