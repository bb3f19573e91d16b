"""ClickHouse's HTTP interface, as curl and every other client sees it."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from barnabas_quant.clickhouse.compression import BlockDecoder, BlockEncoder, decoder, encoder

from .conftest import ROWS, Server

FORMATS = (
    "Native RowBinary RowBinaryWithNames RowBinaryWithNamesAndTypes CSV CSVWithNames TabSeparated TSKV JSONEachRow "
    "JSONCompactEachRow JSON JSONColumns Arrow ArrowStream Parquet ORC Avro MsgPack Values BSONEachRow"
).split()


def test_paths(clickhouse: Server) -> None:
    for path in ("/ping", "/replicas_status", "/"):
        assert clickhouse.client.get(path).text == "Ok.\n"
    assert clickhouse.client.get("/nothing").status_code == 404
    assert clickhouse.client.put("/").status_code == 405
    assert clickhouse.client.head("/", params={"query": "SELECT 1"}).status_code == 200


def test_the_statement_in_query_in_the_body_and_in_both(clickhouse: Server) -> None:
    assert clickhouse.client.get("/", params={"query": "SELECT 1"}).text == "1\n"
    assert clickhouse.ask("SELECT 2") == "2\n"
    assert clickhouse.post("+ 2", query="SELECT 1").text == "3\n"
    assert (
        clickhouse.client.post("/", files={"query": (None, "SELECT {x:String}"), "param_x": (None, "é")}).text == "é\n"
    )


def test_headers(clickhouse: Server) -> None:
    answer = clickhouse.post(
        "SELECT number FROM numbers(5) FORMAT JSONEachRow", query_id="q-1", session_timezone="Asia/Shanghai"
    )
    assert answer.headers["x-clickhouse-format"] == "JSONEachRow"
    assert answer.headers["x-clickhouse-query-id"] == "q-1"
    assert answer.headers["x-clickhouse-timezone"] == "Asia/Shanghai"
    assert answer.headers["x-clickhouse-server-display-name"]
    assert answer.headers["content-type"] == "application/x-ndjson; charset=UTF-8"
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("5", "5")
    assert summary["result_bytes"] == str(len(answer.content))
    taken = {"X-ClickHouse-Format": "CSV", "X-ClickHouse-User": "u", "X-ClickHouse-Key": "k"}
    assert clickhouse.post("SELECT 'x'", taken).text == '"x"\n'
    assert "x-clickhouse-format" not in clickhouse.post("SET max_threads = 1").headers


def test_written_rows_are_in_the_summary(clickhouse: Server, table: str) -> None:
    answer = clickhouse.post(b"1,1,a,b,1\n2,2,a,b,2\n", query=f"INSERT INTO {table} FORMAT CSV")
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "2"


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("SELECT * FROM nowhere", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT nothing", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT nofunction()", 404, 46, "UNKNOWN_FUNCTION"),
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
        (" -- nothing", 400, 62, "SYNTAX_ERROR"),
        ("exit", 400, 62, "SYNTAX_ERROR"),
        ("1 + 1", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("INSERT INTO nowhere VALUES (1); SELECT 1", 400, 62, "SYNTAX_ERROR"),
        ("INSERT INTO nowhere FORMAT CSV\n1", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT 1 FORMAT Nothing", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT {x:UInt8}", 500, 456, "UNKNOWN_QUERY_PARAMETER"),
        ("SELECT CAST('x' AS UInt8)", 400, 6, "CANNOT_PARSE_TEXT"),
        ("CREATE TEMPORARY TABLE t (a UInt8)", 501, 48, "NOT_IMPLEMENTED"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 501, 48, "NOT_IMPLEMENTED"),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", 501, 48, "NOT_IMPLEMENTED"),
        ("SYSTEM SHUTDOWN", 501, 48, "NOT_IMPLEMENTED"),
        ("SYSTEM /* */ KILL", 501, 48, "NOT_IMPLEMENTED"),
    ],
)
def test_errors(clickhouse: Server, sql: str, status: int, code: int, name: str) -> None:
    answer = clickhouse.post(sql)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (status, str(code)), answer.text
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert f". ({name}) (version " in answer.text
    assert answer.text.count("DB::Exception") == 1


def test_settings(clickhouse: Server) -> None:
    assert clickhouse.ask("SELECT getSetting('max_block_size')", max_block_size=17) == "17\n"
    assert clickhouse.ask("SELECT getSetting('max_block_size')") != "17\n"
    unknown = clickhouse.post("SELECT 1", no_such_setting=1)
    assert (unknown.status_code, unknown.headers["x-clickhouse-exception-code"]) == (404, "115")
    assert clickhouse.post("SELECT 1", **{"a = 1, b": "x"}).headers["x-clickhouse-exception-code"] == "115"
    assert clickhouse.post("SELECT 1", max_threads="x' , b = '").status_code == 400


def test_an_unknown_format_of_inserted_data(clickhouse: Server, table: str) -> None:
    answer = clickhouse.post(f"INSERT INTO {table} FORMAT Nothing\n1")
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (404, "73")


def test_get_only_reads(clickhouse: Server, table: str) -> None:
    for sql in (f"INSERT INTO {table} VALUES (1, 1, '', '', 1)", f"DROP TABLE {table}"):
        answer = clickhouse.client.get("/", params={"query": sql})
        assert answer.headers["x-clickhouse-exception-code"] == "164"
    assert clickhouse.ask(f"SELECT count() FROM {table}") == "0\n"


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT number FROM numbers(2) FORMAT CSV SETTINGS max_threads = 1", "0\n1\n"),
        ("SELECT 1 SETTINGS max_threads = 1 FORMAT CSV;", "1\n"),
        ("FROM numbers(2) SELECT number -- FORMAT JSON", "0\n1\n"),
        ("(SELECT 1) UNION ALL (SELECT 2) /* ; */ ; ", "1\n2\n"),
        ("SELECT 1 AS format", "1\n"),
        ("WITH 'FORMAT CSV' AS x SELECT x", "FORMAT CSV\n"),
        ("SELECT sum(number) FROM numbers(3) AS `INTO OUTFILE` HAVING 1", "3\n"),
        ("SHOW DATABASES LIKE 'default' FORMAT CSV", '"default"\n'),
        ("EXISTS TABLE nowhere", "0\n"),
    ],
)
def test_where_the_format_stands(clickhouse: Server, sql: str, wanted: str) -> None:
    assert clickhouse.ask(sql) == wanted


def test_parameters(clickhouse: Server) -> None:
    text = "it's \\ `x` \n\t é"
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")  # as ClickHouse wants them
    assert json.loads(clickhouse.ask("SELECT {x:String} AS x FORMAT JSONEachRow", param_x=escaped)) == {"x": text}
    assert clickhouse.ask("SELECT {n:UInt8} + 1, {a:Array(String)}", param_n=4, param_a="['b']") == "5\t['b']\n"
    assert clickhouse.ask("SELECT * FROM system.{t:Identifier}", param_t="one") == "0\n"


def test_values_with_parameters_and_expressions(clickhouse: Server, table: str) -> None:
    clickhouse.ask(
        f"INSERT INTO {table} (a, s) VALUES ({{n:UInt8}}, upper('x')), (1 + 1, {{s:String}});", param_n=4, param_s="y"
    )
    assert clickhouse.ask(f"SELECT a, s FROM {table} ORDER BY a") == "2\ty\n4\tX\n"


def test_database(clickhouse: Server) -> None:
    name = f"d`{uuid.uuid4().hex}"
    clickhouse.ask(f"CREATE DATABASE `{name.replace('`', '``')}`")
    assert clickhouse.ask("SELECT currentDatabase()", database=name) == name + "\n"
    assert clickhouse.post("SELECT currentDatabase()", {"X-ClickHouse-Database": name}).text == name + "\n"
    assert clickhouse.ask("SELECT currentDatabase()") == "default\n"
    assert clickhouse.post("SELECT 1", database="nowhere").headers["x-clickhouse-exception-code"] == "81"


def test_a_session_keeps_settings_and_database(clickhouse: Server) -> None:
    session = uuid.uuid4().hex
    assert (
        clickhouse.post("SELECT 1", session_id=session, session_check=1).headers["x-clickhouse-exception-code"] == "372"
    )
    clickhouse.ask("SET max_block_size = 11", session_id=session)
    clickhouse.ask("SET max_block_size = 12, max_threads = 1", session_id=session)
    clickhouse.ask("USE system", session_id=session, session_check=1)
    ask = "SELECT getSetting('max_block_size'), currentDatabase()"
    assert clickhouse.ask(ask, session_id=session) == "12\tsystem\n"
    assert clickhouse.ask(ask, session_id=session, max_block_size=13) == "13\tsystem\n"
    assert clickhouse.ask(ask, session_id=session) == "12\tsystem\n"
    assert clickhouse.ask("SELECT currentDatabase()", session_id=session + "x") == "default\n"
    assert (
        clickhouse.post("SELECT 1", session_id="x", session_timeout="x").headers["x-clickhouse-exception-code"] == "374"
    )


@pytest.mark.parametrize("name", FORMATS)
def test_formats_out_and_in_again(clickhouse: Server, table: str, name: str) -> None:
    sql = f"{ROWS} numbers(1000)"
    answer = clickhouse.post(sql, default_format=name)
    assert answer.headers["x-clickhouse-format"] == name
    columns = "" if name in {"RowBinaryWithNames", "CSVWithNames"} else "(a, b, s, t, d)"
    done = clickhouse.post(answer.content, query=f"INSERT INTO {table} {columns} FORMAT {name}")
    assert done.status_code == 200, done.text
    ask = "SELECT count(), sum(a), round(sum(b), 3), uniqExact(s), uniqExact(t), sum(d) FROM "
    assert clickhouse.ask(ask + table) == clickhouse.ask(f"{ask}({sql})")


def test_a_result_of_many_blocks_is_one_stream_in_every_format(clickhouse: Server) -> None:
    # Headers and footers once, whatever the number of blocks; totals where they belong.
    small = clickhouse.ask("SELECT number FROM numbers(5) FORMAT CSVWithNames", max_block_size=2)
    assert small == '"number"\n0\n1\n2\n3\n4\n'
    big = clickhouse.post("SELECT number FROM numbers(1000000) FORMAT RowBinaryWithNamesAndTypes").content
    assert len(big) == 1 + 7 + 7 + 8_000_000
    totals = clickhouse.ask("SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k")
    assert totals == "0\t5\n1\t5\n\n0\t10\n"


def test_native_with_block_headers(clickhouse: Server) -> None:
    sql = "SELECT number FROM numbers(5) FORMAT Native"
    block = clickhouse.post(sql).content
    assert clickhouse.post(sql, client_protocol_version=54405).content == b"\x01\x00\x02\xff\xff\xff\xff\x00" + block
    assert clickhouse.post(sql, client_protocol_version=54460).headers["x-clickhouse-exception-code"] == "48"


def test_an_error_after_the_first_megabyte_is_in_the_body_and_cuts_the_connection(clickhouse: Server) -> None:
    sql = "SELECT throwIf(number = 3000000) FROM numbers(4000000)"
    with clickhouse.client.stream("POST", "/", content=sql) as answer:
        got = b""
        with pytest.raises(httpx.RemoteProtocolError):
            for piece in answer.iter_raw():
                got += piece
    tag = answer.headers["x-clickhouse-exception-tag"]
    head, _, error = got.partition(f"\r\n__exception__\r\n{tag}\r\n".encode())
    assert set(head) == set(b"0\n")
    words, _, end = error.partition(b"\n")
    assert words.startswith(b"Code: 395. DB::Exception: ")
    assert end == f"{len(words) + 1} {tag}\r\n__exception__\r\n".encode()
    assert clickhouse.post(sql, wait_end_of_query=1).status_code == 500


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "lz4"])
def test_content_encodings(clickhouse: Server, table: str, encoding: str) -> None:
    packer = encoder(encoding)
    body = packer.feed(f"INSERT INTO {table} (a) FORMAT TSV\n1\n2\n".encode()) + packer.finish()
    assert clickhouse.post(body, {"Content-Encoding": encoding}).status_code == 200
    with clickhouse.client.stream(
        "POST",
        "/",
        content=f"SELECT a FROM {table} ORDER BY a",
        params={"enable_http_compression": 1},
        headers={"Accept-Encoding": encoding},
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == encoding
    assert b"".join(decoder(encoding).feed(raw)) == b"1\n2\n"
    plain = clickhouse.post("SELECT 1", {"Accept-Encoding": encoding})
    assert "content-encoding" not in plain.headers


def test_clickhouse_blocks(clickhouse: Server, table: str) -> None:
    packed = BlockEncoder().feed(b"1\n2\n")
    query = f"INSERT INTO {table} (a) FORMAT TSV"
    assert clickhouse.post(packed, query=query, decompress=1).status_code == 200
    spoilt = clickhouse.post(packed[:-1] + b"x", query=query, decompress=1)
    assert spoilt.headers["x-clickhouse-exception-code"] == "40"
    assert (
        clickhouse.post(gzip.compress(packed), {"Content-Encoding": "gzip"}, query=query, decompress=1).status_code
        == 200
    )
    blocks = BlockDecoder()
    got = b"".join(blocks.feed(clickhouse.post(f"SELECT a FROM {table} ORDER BY a", compress=1).content))
    blocks.finish()
    assert got == b"1\n1\n2\n2\n"


def test_an_insert_that_fails_leaves_nothing(clickhouse: Server, table: str) -> None:
    rows = clickhouse.post(f"{ROWS} numbers(300000) FORMAT CSV").content
    spoilt = clickhouse.post(rows + b"x,y\n", query=f"INSERT INTO {table} FORMAT CSV")
    assert spoilt.status_code == 400
    native = clickhouse.post(f"{ROWS} numbers(300000) FORMAT Native").content
    cut = clickhouse.post(native[:-5], query=f"INSERT INTO {table} FORMAT Native")
    assert cut.headers["x-clickhouse-exception-code"] == "33"
    assert clickhouse.ask(f"SELECT count() FROM {table}") == "0\n"


def test_many_at_once_do_not_mix(clickhouse: Server, table: str) -> None:
    # Parameters, settings and databases of parallel requests: each must see its own.
    wrong: list[Any] = []
    start = threading.Barrier(8)

    def work(worker: int) -> None:
        client = http.client.HTTPConnection("127.0.0.1", clickhouse.port, timeout=60)
        database = "system" if worker % 2 else "default"
        start.wait()
        for turn in range(30):
            value = worker * 1000 + turn
            path = f"/?param_x={value}&max_block_size={value + 1}&database={database}"
            client.request(
                "POST", path, "SELECT {x:UInt32}, getSetting('max_block_size'), currentDatabase(), sleep(0.001)"
            )
            got = client.getresponse().read().decode().split("\t")
            if got != [str(value), str(value + 1), database, "0\n"]:
                wrong.append((value, got))
            client.request(
                "POST", f"/?param_x={value}", f"INSERT INTO default.{table} (a, s) VALUES ({{x:UInt64}}, 'w{worker}')"
            )
            client.getresponse().read()
        client.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert wrong == []
    assert (
        clickhouse.ask(f"SELECT count(), uniqExact(a), countIf(s != 'w' || toString(intDiv(a, 1000))) FROM {table}")
        == "240\t240\t0\n"
    )


def test_a_body_beyond_the_limit(start_clickhouse: Any, tmp_path: Any) -> None:
    server = start_clickhouse(tmp_path, "--max-body", "100000", "--max-queries", "1")
    assert server.post(b"x" * 100_001).status_code == 413
    bomb = gzip.compress(bytes(50_000_000))
    assert server.post(bomb, {"Content-Encoding": "gzip"}).status_code == 413
    assert server.ask("SELECT 1") == "1\n"
    with server.client.stream("POST", "/", content="SELECT * FROM numbers(100000000)"):
        assert server.post("SELECT 1").headers["x-clickhouse-exception-code"] == "202"
