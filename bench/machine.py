"""Describe the machine that a comparison runs on, and notice what else it does meanwhile."""

import os
import platform
import resource
import time
from pathlib import Path

from confluent_kafka import libversion

from bench.peers import generator

TICKS = os.sysconf("SC_CLK_TCK")
# The columns of the first line of /proc/stat (proc_stat(5)): user nice system idle iowait irq softirq steal ...
BUSY_COLUMNS = (1, 2, 3, 6, 7, 8)


def describe(folder: Path) -> dict[str, str]:
    """Describe this machine, and the file system that `folder` is on."""
    model = memory = "?"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = f"{int(line.split()[1]) / 1e6:.0f} GB"
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    cores = len(os.sched_getaffinity(0))
    return {
        "processor": f"{model}, {cores} cores shared by broker and load",
        "memory": memory,
        "data on": max(inside)[1] if inside else "?",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load": f"rdkafka_performance of librdkafka {generator.LIBRDKAFKA}; latency: librdkafka {libversion()[0]}",
    }


def _busy_seconds() -> float:
    """Return the time that all cores were busy or taken by the hypervisor since the machine started."""
    columns = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(columns[column]) for column in BUSY_COLUMNS) / TICKS


def _own_seconds() -> float:
    """Return the CPU time of this process and of those children whose end it has seen."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(times.ru_utime + times.ru_stime for times in used)


class Watch:
    """Measure, from its making on, how busy others kept the machine. Every child must have ended before it is read."""

    def __init__(self) -> None:
        """Take the first reading."""
        self._begin = time.monotonic()
        self._others = _busy_seconds() - _own_seconds()

    @property
    def seconds(self) -> float:
        """The time since the first reading."""
        return time.monotonic() - self._begin

    def other_cores(self) -> float:
        """Return how many cores on average did work that was not ours."""
        return max(0.0, (_busy_seconds() - _own_seconds() - self._others) / self.seconds)
