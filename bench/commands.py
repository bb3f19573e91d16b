"""Kafka's command-line tools beside ours, on the same broker: `python -m bench.commands --help`.

Every command runs as its user would run it, in a process of its own, from start to end, Java's with the options of
Kafka's own scripts; the two take turns, and each figure is the median of all rounds. Both work on one Barnabas broker,
started for this run. The tables go between the marks `commands:begin` and `commands:end` of the page that is named.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.machine import Watch
from bench.peers import kafka
from bench.report import write_between_marks
from bench.systems import SYSTEMS, started

#: what bin/kafka-run-class.sh and the scripts around it give a tool
JVM = [
    *"-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35".split(),
    *"-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true".split(),
]
TOOLS = "org.apache.kafka.tools"
SIZE = 100  # bytes of a record
BEGIN, END = "<!-- commands:begin -->", "<!-- commands:end -->"

Row = tuple[str, str, str, list[str], Callable[[float, int], float], str]


def rows(topic: str, records: int) -> list[Row]:
    """Return the rows: title, script, class, arguments, how the seconds become a figure, its unit."""

    def seconds(wall: float, _: int) -> float:
        return wall

    def rate(wall: float, count: int) -> float:
        return count / wall

    return [
        ("`kafka-topics --list`", "kafka-topics", f"{TOOLS}.TopicCommand", ["--list"], seconds, "s"),
        (
            "`kafka-consumer-groups --list`", "kafka-consumer-groups", f"{TOOLS}.consumer.group.ConsumerGroupCommand",
            ["--list"], seconds, "s",
        ),
        (
            f"`kafka-console-producer`, {records:,} lines of {SIZE} B", "kafka-console-producer",
            f"{TOOLS}.ConsoleProducer", ["--topic", topic], rate, "records/s",
        ),
        (
            f"`kafka-console-consumer`, {records:,} records of {SIZE} B", "kafka-console-consumer",
            f"{TOOLS}.consumer.ConsoleConsumer",
            ["--topic", topic, "--from-beginning", "--max-messages", str(records)], rate, "records/s",
        ),
        (
            f"`kafka-producer-perf-test`, {records:,} records of {SIZE} B", "kafka-producer-perf-test",
            f"{TOOLS}.ProducerPerformance",
            ["--topic", topic, "--num-records", str(records), "--record-size", str(SIZE), "--throughput", "-1"], rate,
            "records/s",
        ),
        (
            f"`kafka-consumer-perf-test`, {records:,} records", "kafka-consumer-perf-test",
            f"{TOOLS}.ConsumerPerformance", ["--topic", topic, "--num-records", str(records)], rate, "records/s",
        ),
    ]


def run(command: list[str], given: Path | None) -> float:
    """Run a command to its end; return its seconds. Raises RuntimeError where it fails."""
    with open(given or os.devnull, "rb") as stdin, tempfile.TemporaryFile() as errors:
        begun = time.monotonic()
        code = subprocess.run(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=errors, check=False).returncode
        wall = time.monotonic() - begun
        errors.seek(0)
        if code:
            raise RuntimeError(f"{' '.join(command[-8:])} ended with {code}: {errors.read().decode()[-2000:]}")
    return wall


def compare(bootstrap: str, rounds: int, records: int, folder: Path) -> str:
    """Run all rows and return the table."""
    lines = folder / "lines"
    with lines.open("wb") as out:
        for number in range(records):
            out.write(b"%0*d\n" % (SIZE, number))
    classpath = f"{kafka.install()}/*"
    table = ["|  | Java | ours | ours / Java |", "|---|---|---|---|"]
    for title, script, java_class, arguments, figure, unit in rows("bench", records):
        heap = "-Xmx512M" if "console" in script or "perf" in script else "-Xmx256M"
        sides = {
            "java": ["java", heap, *JVM, "-cp", classpath, java_class],
            "ours": [str(Path(sys.executable).with_name(script))],
        }
        found: dict[str, list[float]] = {"java": [], "ours": []}
        for number in range(rounds):
            for side in ("java", "ours") if number % 2 == 0 else ("ours", "java"):
                address = ["--bootstrap-server", bootstrap]
                wall = run([*sides[side], *address, *arguments], lines if "console-producer" in script else None)
                found[side].append(figure(wall, records))
            print(f"{script} {number + 1}/{rounds}: {found['java'][-1]:.3g} {found['ours'][-1]:.3g} {unit}", flush=True)
        ratio = statistics.median(o / j for o, j in zip(found["ours"], found["java"], strict=True))
        shown = [f"{statistics.median(found[side]):,.2f}" if unit == "s" else f"{statistics.median(found[side]):,.0f}"
                 for side in ("java", "ours")]
        table.append(f"| {title} | {shown[0]} {unit} | {shown[1]} {unit} | **{ratio:.2f}x** |")
    return "\n".join(table)


def main() -> int:
    """Compare the tools as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.commands", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the table into this page, between its marks")
    chosen = parser.parse_args()
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="barnabas-commands-") as name, started(
        SYSTEMS["barnabas"], None, Path(name)
    ) as broker:
        table = compare(f"127.0.0.1:{broker.port}", chosen.rounds, chosen.records, Path(name))
    others = f"Medians of {chosen.rounds} rounds in turn; the tools run from start to end in their own process. " \
        f"{SYSTEMS['kafka'].version()} beside {SYSTEMS['barnabas'].version()}, on one Barnabas broker."
    text = f"{table}\n\n{others}"
    print(text, f"(others and the broker: {watch.other_cores():.1f} cores)", sep="\n")
    if chosen.markdown:
        write_between_marks(chosen.markdown, f"{text}\n", BEGIN, END)
    return 0


if __name__ == "__main__":
    sys.exit(main())
