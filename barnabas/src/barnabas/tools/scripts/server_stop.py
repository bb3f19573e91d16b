"""Stop the brokers of this machine that run under this user: `kafka-server-stop`.

Where Kafka's script looks for a name in the list of processes, this one asks the kernel: a process is a broker of ours
when it was started as one (`barnabas serve`, `kafka-server-start`) and has the `.lock` of a data directory open and
locked. Programs that hold a broker inside themselves, and what pytest started, are left alone; so is Apache Kafka.
SIGTERM is sent (SIGNAL in the environment names another), and nothing waits. Linux alone has what this needs.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from barnabas.tools.errors import ToolError
from barnabas.tools.options import Option, Parsed

SUMMARY = "Stop the brokers of this machine."
WORKS_WITHOUT_ARGUMENTS = True
OPTIONS = (
    Option("process-role", "Only where the node has this role: broker or controller; ours has both.", "role",
           completes="broker controller"),
    Option("node-id", "Only the node with this id.", "id", "int"),
)
EXAMPLE = """
kafka-server-stop
kafka-server-stop --node-id 1
"""
_COMMANDS = ("kafka-server-start", "kafka-server-start.sh", "server-start")


class Running(NamedTuple):
    """Hold a broker that runs."""

    pid: int
    data: Path
    node_id: int


def run(options: Parsed) -> int:
    """Send the signal to every broker that was asked for."""
    if options.words:
        raise ToolError(f"Found non argument parameters: {','.join(options.words)}")
    role, node_id = options.value("process-role"), options.value("node-id")
    if role not in (None, "broker", "controller"):
        raise ToolError("Invalid role: the role must be broker or controller")
    if role is not None and node_id is not None:
        raise ToolError("Only one of --process-role and --node-id may be given")
    if not sys.platform.startswith("linux"):
        raise ToolError("Brokers can be found on Linux alone: end the process of the broker yourself")
    name = os.environ.get("SIGNAL", "TERM").removeprefix("SIG")
    number = getattr(signal, f"SIG{name}", None)
    if number is None:
        raise ToolError(f"{name}: invalid signal specification")
    found = [broker for broker in running() if node_id in (None, broker.node_id)]
    if not found:
        print("No kafka server to stop")
        return 1
    for broker in found:
        os.kill(broker.pid, number)
    return 0


def running() -> Iterator[Running]:
    """Yield the brokers that were started as commands by this user."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if folder.stat().st_uid != os.getuid() or not _is_broker((folder / "cmdline").read_bytes()):
                continue
            locks = {Path(os.readlink(fd)) for fd in (folder / "fd").iterdir()}
        except OSError:  # it ended meanwhile, or is not ours to look at
            continue
        for lock in sorted(locks):
            if lock.name == ".lock" and _holder(lock) == int(folder.name):
                yield Running(int(folder.name), lock.parent, _node_id(lock.parent))


def _is_broker(command_line: bytes) -> bool:
    words = [word.decode(errors="replace") for word in command_line.split(b"\0") if word]
    names = [os.path.basename(word) for word in words[:4]]
    if "--control" in words:  # a program holds it by its standard input
        return False
    if any(name in _COMMANDS for name in names):
        return True
    return any(a == "barnabas" and b == "serve" for a, b in pairwise(names))


def _holder(lock: Path) -> int:
    """Ask the kernel which process has locked a file; -1 where none has."""
    import fcntl

    query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        fd = os.open(lock, os.O_RDWR)
        try:
            kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, query))
        finally:
            os.close(fd)
    except OSError:
        return -1
    return -1 if kind == fcntl.F_UNLCK else int(pid)


def _node_id(data: Path) -> int:
    from barnabas.log.directory import DirectoryError, read_identity

    try:
        identity = read_identity(data)
    except (DirectoryError, OSError):
        return -1
    return -1 if identity is None else identity.node_id
