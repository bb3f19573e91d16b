"""Bytes that nobody means well with: the endpoint answers, and answers the next one."""

from __future__ import annotations

import random
import socket

import pytest

from barnabas_quant.clickhouse.compression import BlockEncoder

from .conftest import ROWS, Server


def alive(server: Server) -> None:
    assert server.process.poll() is None
    assert server.ask("SELECT 1") == "1\n"


@pytest.mark.parametrize(
    "name", ["Native", "RowBinary", "Arrow", "ArrowStream", "Parquet", "JSONEachRow", "Avro", "ORC"]
)
def test_spoilt_data(clickhouse: Server, table: str, name: str) -> None:
    good = clickhouse.post(f"{ROWS} numbers(50)", default_format=name).content
    chance = random.Random(name)
    for _ in range(15):
        spoilt = bytearray(good)
        for _ in range(chance.choice([1, 3, 30])):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        cut = chance.choice([len(spoilt), chance.randrange(len(spoilt))])
        clickhouse.post(bytes(spoilt[:cut]), query=f"INSERT INTO {table} FORMAT {name}", max_memory_usage=1 << 30)
    alive(clickhouse)


def test_random_statements(clickhouse: Server) -> None:
    chance = random.Random(3)
    pieces = [
        b"SELECT ",
        b"INSERT INTO t ",
        b"FORMAT ",
        b"Native ",
        b"(",
        b")",
        b"'",
        b"`",
        b"\\",
        b"\x00",
        b"\xff",
        b"$$",
        b";",
    ]
    pieces += [
        b"VALUES ",
        b"/*",
        b"*/",
        b"--",
        b"\n",
        b"1",
        b",",
        b"{x:",
        b"}",
        b"WITH ",
        b"SETTINGS a=1 ",
        b"\xe2\x80\x98",
    ]
    for _ in range(100):
        text = b"".join(chance.choices(pieces, k=chance.randrange(1, 30)))
        assert clickhouse.post(text).status_code in {200, 400, 404, 500, 501}, text
    alive(clickhouse)


def test_random_bodies_with_every_encoding(clickhouse: Server) -> None:
    chance = random.Random(4)
    for encoding in ("gzip", "deflate", "br", "zstd", "lz4", "nothing", "identity"):
        for _ in range(10):
            body = chance.randbytes(chance.randrange(200))
            answer = clickhouse.post(body, {"Content-Encoding": encoding}, decompress=chance.choice("01"))
            assert answer.status_code >= 400
    alive(clickhouse)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * 1000,
        b"GET /" + b"a" * 5_000_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /?query=%ff%00%27&param_=%00&=x&session_id=%ff HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x11ClickHouse client",
    ],
)
def test_no_http(clickhouse: Server, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", clickhouse.port), timeout=20) as client:
        try:
            client.sendall(raw)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except TimeoutError:
            raise  # it hangs
        except OSError:  # ended by the server: reset, a broken pipe, or not connected any more
            pass
    alive(clickhouse)


def test_a_long_text_is_refused_quickly(clickhouse: Server) -> None:
    assert clickhouse.post(b"SELECT '" + b"x" * 1_000_000 + b"'").status_code == 400
    assert clickhouse.post(b"(" * 200_000).status_code in {400, 500}
    assert clickhouse.post(BlockEncoder().feed(b"(" * 200_000), decompress=1).status_code in {400, 500}
    alive(clickhouse)
