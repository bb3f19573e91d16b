"""Ports that tests are given."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from testkit import ports
from testkit.ports import free_port, free_ports, free_row

SYSTEM = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_they_differ_and_nothing_listens_there() -> None:
    found = free_ports(50)
    assert len(set(found)) == 50
    for port in found:
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass
    assert free_port() not in found


@pytest.mark.skipif(not SYSTEM.exists(), reason="the system does not say which ports it gives to connections")
def test_the_system_gives_them_to_no_connection() -> None:
    first = int(SYSTEM.read_text().split()[0])
    assert max(free_ports(50)) < (first if first >= 20_000 else 32_768)


@pytest.mark.parametrize(
    ("text", "first"), [("32768\t60999\n", 32_768), ("20000 65535", 20_000), ("1024 65535", 32_768), ("", 49_152)]
)
def test_where_the_systems_own_begin(monkeypatch: pytest.MonkeyPatch, text: str, first: int) -> None:
    monkeypatch.setattr(Path, "read_text", lambda path: text)
    assert ports._first_of_the_system() == first


def test_no_two_workers_have_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    for name in ("", "gw0", "gw1", "gw14"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", name)
        own = ports._ports_of_this_worker()
        assert len(own) > 1000 and not seen & set(own)
        seen |= set(own)


def test_a_row_is_free_from_end_to_end() -> None:
    first = free_row(7)
    assert free_ports(7, range(first, first + 7)) == list(range(first, first + 7))


def test_one_that_is_taken_is_passed_over() -> None:
    first, second = free_ports(2)
    with socket.create_server(("127.0.0.1", first)):
        assert free_ports(1, (first, second)) == [second]
        with pytest.raises(OSError, match="no 2 free ports"):
            free_ports(2, (first, second))
