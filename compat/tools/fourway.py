#!/usr/bin/env python3
"""Put the same commands to Java's tools and to ours, on Apache Kafka and on Barnabas, and compare what they print.

    compat/tools/fourway.py ADDRESS_OF_KAFKA ADDRESS_OF_BARNABAS [--only SCRIPT,...] [--record] [--show]
        [--cases FOLDER] [--set NAME=VALUE] [--twin NAME=VALUE]

The commands stand in `cases/`, a file for each script; what needs three nodes, an authorizer or a streams application
stands in folders of its own, which --cases chooses; what can be done to a broker only once is done by ours to a twin
of it. Each file is run four times, with names of its own each time; ids,
times and addresses are masked, and so are log lines, stack traces and the text of usage pages. Ours must answer as
Java's does on the same broker. Where the brokers themselves differ is counted, and shown with --show. --record writes
what Java's tools say on Barnabas to `barnabas/tests/tools/transcripts`, for the tests that need Python alone.
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "barnabas" / "tests" / "tools"), str(HERE.parent / "peers")]

import apache_kafka
from streams_app import StreamsApplications
from transcript import Case, differ, ours, play, read, write

from barnabas.tools.catalog import SCRIPTS

TRANSCRIPTS = ROOT / "barnabas" / "tests" / "tools" / "transcripts"


class Java:
    """Run Java's tools, all in one JVM."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, words: list[str], case: Case) -> tuple[int, str, str]:
        """Run a command line; return status, standard output and error."""
        script = words[0].removesuffix(".sh")
        name = SCRIPTS[script].classes[0]
        if "jvm" in case.marks:
            command = [sys.executable, str(HERE.parent / "peers" / "apache_kafka.py"), "tool", name, *words[1:]]
            done = subprocess.run(
                command, input=case.input, capture_output=True, text=True, timeout=case.seconds + 30, check=False
            )
            return done.returncode, done.stdout, done.stderr
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        line = [str(case.seconds), name, case.input, *words[1:]]
        process.stdin.write(" ".join(base64.b64encode(word.encode()).decode() for word in line) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline().split(" ")
        out, err = (base64.b64decode(text).decode(errors="replace") for text in answer[1:3])
        return int(answer[0]), out, err

    def _start(self) -> subprocess.Popen[str]:
        libs = apache_kafka.classpath()
        built = Path(tempfile.mkdtemp(prefix="barnabas-tools-"))
        subprocess.run(["javac", "-cp", libs, "-d", str(built), str(HERE / "ToolServer.java")], check=True)
        return subprocess.Popen(
            ["java", "-Xmx512m", "-cp", f"{built}:{libs}", "ToolServer"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def close(self) -> None:
        """End the JVM."""
        if self._process is not None:
            stdin: IO[str] | None = self._process.stdin
            assert stdin is not None
            stdin.close()
            self._process.wait(20)


def show(case: Case, first: str, a: Case, second: str, b: Case) -> None:
    """Print two outcomes of a command."""
    print(f"  $ {case.command}")
    for name, one in ((first, a), (second, b)):
        print(f"    {name}: status {one.status}")
        for number, lines in ((1, one.stdout), (2, one.stderr)):
            for line in lines[:40]:
                print(f"      {number}> {line}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kafka", metavar="ADDRESS_OF_KAFKA", help="- leaves it out")
    parser.add_argument("barnabas", metavar="ADDRESS_OF_BARNABAS", help="- leaves it out")
    parser.add_argument("--only", default="")
    parser.add_argument("--cases", type=Path, default=HERE / "cases", help="another folder with tables of commands")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a name that the cases use")
    parser.add_argument("--twin", action="append", default=[], metavar="NAME=VALUE",
                        help="another value of a name for ours; kafka is the broker's address")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--show", action="store_true")
    chosen = parser.parse_args()
    only = {name for name in chosen.only.split(",") if name}
    brokers = [(n, a) for n, a in (("kafka", chosen.kafka), ("barnabas", chosen.barnabas)) if a != "-"]
    more = dict(pair.split("=", 1) for pair in chosen.set)
    twin = more | dict(pair.split("=", 1) for pair in chosen.twin)
    java = Java()
    applications = StreamsApplications()
    total = wrong = apart = 0
    try:
        for path in sorted(chosen.cases.glob("*.txt")):
            if only and path.stem not in only:
                continue
            cases = list(read(path))
            theirs = {}
            bad = 0
            for broker, address in brokers:
                theirs[broker] = play(cases, broker, address, applications.beside(java.run), more)
                mine = play(cases, broker, address, applications.beside(ours), twin)
                for a, b in zip(theirs[broker], mine, strict=True):
                    total += 1
                    if differ(a, b):
                        bad += 1
                        show(a, f"java on {broker}", a, f"ours on {broker}", b)
                if chosen.record and broker == "barnabas":
                    TRANSCRIPTS.mkdir(parents=True, exist_ok=True)
                    write(TRANSCRIPTS / path.name, theirs[broker])
            if len(theirs) == 2:
                by_command = {(c.command, i): c for i, c in enumerate(theirs["kafka"])}
                for i, case in enumerate(theirs["barnabas"]):
                    other = by_command.get((case.command, i))
                    if other is not None and differ(case, other):
                        apart += 1
                        if chosen.show:
                            show(case, "java on kafka", other, "java on barnabas", case)
            wrong += bad
            print(f"{path.stem:<32} {len(cases):>4} commands, {bad} differ", flush=True)
    finally:
        applications.close()
        java.close()
    print(f"{apart} commands have another answer on Barnabas than on Apache Kafka")
    print(f"{total - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
