"""Ports for programs that are told where to listen.

Who asks the system for a free port and lets it go before the program listens may find it taken: the system gives such
ports to outgoing connections as well, thousands of which a run of the tests makes. These lie below the system's own,
and each worker of pytest-xdist has every sixteenth of them for itself.
"""

from __future__ import annotations

import os
import random
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

_LOWEST = 10_000
_USUAL = 32_768
"""Where Linux begins, unless somebody has set it."""
_WORKERS = 16


def free_ports(count: int, among: Iterable[int] | None = None) -> list[int]:
    """Give ports that nothing listens on at 127.0.0.1, no two the same; with `among`, its first free ones.

    None of our own is given again before all others had their turn. Raises OSError where there are not as many.
    """
    found: list[int] = []
    with ExitStack() as held:
        for port in tuple(_turns) if among is None else among:
            if among is None:
                _turns.rotate(-1)
            one = held.enter_context(socket.socket())
            # As servers do: a port whose last connections are still in TIME_WAIT is free.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
                one.listen()
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"no {count} free ports among {among or 'ours'}")


def free_port() -> int:
    """Give a port that nothing listens on at 127.0.0.1."""
    (port,) = free_ports(1)
    return port


def free_row(count: int) -> int:
    """Give the first of so many ports side by side that nothing listens on: a cluster's, and its controllers'."""
    while True:
        (first,) = free_ports(1)
        try:
            return free_ports(count, range(first, first + count))[0]
        except OSError:
            continue


def _ports_of_this_worker() -> list[int]:
    """Give the ports in an order of their own; a process that is no worker has those of the last one."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    worker = int(name.removeprefix("gw")) % (_WORKERS - 1) if name else _WORKERS - 1
    ports = list(range(_LOWEST + worker, _first_of_the_system(), _WORKERS))
    random.SystemRandom().shuffle(ports)  # hypothesis and tests seed the common one
    return ports


def _first_of_the_system() -> int:
    """Give the first port that the system gives to outgoing connections (ip(7)), where it leaves any below for us."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):  # another system than Linux: those of RFC 6335
        return 49_152
    return first if first >= 2 * _LOWEST else _USUAL


_turns = deque(_ports_of_this_worker())
