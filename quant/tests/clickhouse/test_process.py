"""The process: its end, its lock, what survives SIGKILL, and that a crash ends it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..conftest import eventually
from .conftest import Server, Start

LONG = "SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 8"


def queries(server: Server, text: str) -> int:
    return int(
        server.ask(f"SELECT count() FROM system.processes WHERE query LIKE '{text}%' AND query NOT LIKE '%processes%'")
    )


def test_sigterm_ends_it_in_order_and_what_was_there_is_there(start_clickhouse: Start, tmp_path: Path) -> None:
    server = start_clickhouse(tmp_path)
    server.ask("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    server.ask("INSERT INTO t VALUES (1), (2)")
    server.process.terminate()
    assert server.finish() == (0, "")
    again = start_clickhouse(tmp_path, "--until-stdin-closes")
    assert again.ask("SELECT sum(a) FROM t") == "3\n"
    assert again.process.stdin is not None
    again.process.stdin.close()
    again.process.wait(timeout=30)
    assert again.process.returncode == 0


def test_sigterm_cancels_what_takes_too_long(start_clickhouse: Start, tmp_path: Path) -> None:
    server = start_clickhouse(tmp_path, "--grace", "1")
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(server.post, LONG)
        eventually(lambda: queries(server, "SELECT count() FROM numbers") == 1)
        server.process.terminate()
        assert server.finish()[0] == 0
        assert isinstance(long.exception(timeout=10), Exception) or long.result().status_code != 200


def test_a_second_process_is_told_who_has_the_path(clickhouse: Server, start_clickhouse: Start) -> None:
    with pytest.raises(AssertionError, match=rf"is in use by another process \(PID: {clickhouse.process.pid}\)"):
        start_clickhouse(clickhouse.path)
    assert clickhouse.ask("SELECT 1") == "1\n"


def test_no_acknowledged_row_is_lost_by_sigkill(start_clickhouse: Start, tmp_path: Path) -> None:
    server = start_clickhouse(tmp_path)
    server.ask("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    acknowledged: list[int] = []

    def insert() -> None:
        for number in range(100_000):
            rows = b"".join(b"%d\n" % (number * 50 + row) for row in range(50))
            try:
                if (
                    server.client.post("/", params={"query": "INSERT INTO t FORMAT TSV"}, content=rows).status_code
                    != 200
                ):
                    return
            except Exception:
                return
            acknowledged.append(number)

    writer = threading.Thread(target=insert)
    writer.start()
    eventually(lambda: len(acknowledged) > 40)
    server.process.kill()
    writer.join()
    again = start_clickhouse(tmp_path)
    rows, different, largest = map(int, again.ask("SELECT count(), uniqExact(a), max(a) FROM t").split())
    assert rows == different == largest + 1  # whole batches, in order, none twice
    assert rows // 50 in {len(acknowledged), len(acknowledged) + 1}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_ends_the_process_with_a_line(start_clickhouse: Start, tmp_path: Path, number: signal.Signals) -> None:
    server = start_clickhouse(tmp_path)
    server.ask("SELECT 1")
    os.kill(server.process.pid, number)
    code, errors = server.finish()
    assert code == -number
    assert errors.startswith("Fatal Python error: ")


def test_ping_while_a_query_is_long_and_its_client_goes_away(clickhouse: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", clickhouse.port, timeout=30)
    client.request("POST", "/", LONG)
    eventually(lambda: queries(clickhouse, "SELECT count() FROM numbers") == 1)
    begun = time.monotonic()
    assert clickhouse.client.get("/ping").text == "Ok.\n"
    assert time.monotonic() - begun < 10  # the query has every core, for many minutes
    client.close()
    eventually(lambda: queries(clickhouse, "SELECT count() FROM numbers") == 0)


def test_a_client_that_goes_away_while_it_reads_ends_its_query(clickhouse: Server) -> None:
    with clickhouse.client.stream("POST", "/", content=b"SELECT * FROM numbers(100000000000)") as answer:
        assert next(answer.iter_raw())
    eventually(lambda: queries(clickhouse, "SELECT * FROM numbers") == 0)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_client_that_goes_away_in_its_body_inserts_nothing(clickhouse: Server, table: str, chunked: bool) -> None:
    rows = b"".join(b"%d\t1\ts\tt\t1\n" % number for number in range(100))
    with socket.create_connection(("127.0.0.1", clickhouse.port)) as client:
        head = b"POST /?query=INSERT+INTO+%b+FORMAT+TSV HTTP/1.1\r\nHost: x\r\n" % table.encode()
        if chunked:
            client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(rows), rows))
        else:
            client.sendall(head + b"Content-Length: %d\r\n\r\n%b" % (len(rows) + 10, rows))
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):  # until the other end has seen that no more comes
            pass
    for number in range(20):  # long enough for hundred rows to arrive, if they were on their way
        assert clickhouse.ask(f"INSERT INTO {table} (a) VALUES ({number})") == ""
    assert clickhouse.ask(f"SELECT count() FROM {table}") == "20\n"
