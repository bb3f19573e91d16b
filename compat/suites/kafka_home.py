"""A small stand-in for Apache Kafka's folder, which some of librdkafka's tests call programs of.

    bin/kafka-topics.sh      makes a topic (kafka_scripts.py)
    bin/kafka-acls.sh        allows or denies a topic (kafka_scripts.py)
    bin/kafka-run-class.sh   runs a Java class with Apache Kafka's client library
    libs/                    that library, from Maven

The Java part needs `java`, `javac` and `mvn`; without them the tests that use it are left out.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from harness import step

CLIENTS_VERSION = "4.3.0"
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>suites</groupId><artifactId>suites</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>{version}</version>
  </dependency></dependencies>
</project>
"""
RUN_CLASS = """\
#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
exec java -Xmx256m -cp "$CLASSPATH:$here/libs/*" "$@"
"""


def has_java() -> bool:
    """Tell whether everything that the Java programs need is on the path."""
    return all(shutil.which(program) for program in ("java", "javac", "mvn"))


def write_scripts(home: Path) -> None:
    """Write the scripts; they name this Python and this repository, so they are written at each start."""
    tool = Path(__file__).resolve().with_name("kafka_scripts.py")
    ours = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(tool))} {{}} "$@"\n'
    texts = {name: ours.format(name) for name in ("kafka-topics.sh", "kafka-acls.sh")}
    (home / "bin").mkdir(parents=True, exist_ok=True)
    for name, text in {**texts, "kafka-run-class.sh": RUN_CLASS}.items():
        script = home / "bin" / name
        script.write_text(text, encoding="utf-8")
        script.chmod(0o755)


def fetch_clients(home: Path) -> None:
    """Fetch Apache Kafka's Java client and what it needs into `libs`; raises SuiteError."""
    (home / "pom.xml").write_text(POM.format(version=CLIENTS_VERSION), encoding="utf-8")
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={home / 'libs'}"]
    step(command, cwd=home, log=home / "fetch.log")
