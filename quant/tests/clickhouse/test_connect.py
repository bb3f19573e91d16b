"""clickhouse-connect with its default settings; its own in-process chDB backend says what results must be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest
from chdb import _chdb
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from .conftest import ROWS, Server

QUERIES = [
    "SELECT 1 AS x, 'é' AS y, NULL AS z",
    "SELECT number, toString(number) FROM numbers(200000)",
    "SELECT toLowCardinality(toString(number % 3)) AS k, count() AS n FROM numbers(100000) GROUP BY k ORDER BY k",
    "SELECT toLowCardinality(toNullable(if(number % 2, 'a', NULL))) FROM numbers(10)",
    "SELECT toDecimal64('1.00000001', 8), toDecimal128('12345678901234567890.5', 8), toDecimal32('-0.5', 2)",
    "SELECT toDate('2024-02-29'), toDateTime(1700000000, 'UTC'), toDateTime64('2024-01-01 00:00:00.123', 3, 'UTC')",
    "SELECT toDateTime64('2024-01-01 00:00:00.123456789', 9, 'Asia/Shanghai')",
    "SELECT [1, 2, 3], [['a'], []], (1, 'b', [2.5]), map('a', 1, 'b', 2)",
    "SELECT toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0'), toIPv4('1.2.3.4'), toIPv6('::1')",
    "SELECT toInt256(-1), toUInt128(1), toFloat32(0.5), toInt8(-1), true",
    "SELECT toFixedString('abc', 5), 'a\\0b', unhex('ff00')",
    "SELECT CAST('b' AS Enum8('a' = 1, 'b' = 2)), toIntervalDay(3), nan, inf",
    "SELECT CAST([(1, 'a')] AS Nested(x UInt8, y String))",
    'SELECT CAST(\'{"a": {"b": 1}, "c": [1]}\' AS JSON) AS j',
    "SELECT CAST(1 AS Variant(UInt8, String)) AS v, CAST('x' AS Dynamic) AS d",
    "SELECT number % 2 AS k, sum(number) FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k",
    "SELECT * FROM numbers(5) WHERE number > 100",
    "SELECT * FROM numbers(5) LIMIT 0",
    'SELECT number AS `a b`, number AS `c"d` FROM numbers(2)',
    "SHOW DATABASES LIKE 'default'",
    "DESCRIBE TABLE (SELECT 1 AS a, 'x' AS b)",
    "EXPLAIN SYNTAX SELECT 1",
    "EXISTS TABLE nowhere",
    "WITH 1 AS x SELECT x FROM (SELECT x UNION ALL SELECT 2 AS x) ORDER BY x",
    "SELECT 1 SETTINGS max_threads = 1",
    "SELECT quantile(0.5)(number), groupArray(3)(number), uniqExact(number) FROM numbers(1000)",
]


@pytest.fixture
def client(clickhouse: Server) -> Iterator[Client]:
    """Give a client with its defaults."""
    with clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse.port) as client:
        yield client


@pytest.fixture(scope="session")
def oracle() -> Iterator[Client]:
    """Give the same library on chDB in this process."""
    _chdb.set_signal_handlers_enabled(False)  # type: ignore[attr-defined]  # with them a crash would hang pytest
    with clickhouse_connect.get_client(dsn="chdb://memory") as client:
        yield client


@pytest.mark.parametrize("sql", QUERIES)
def test_results_equal_those_of_chdb_in_process(client: Client, oracle: Client, sql: str) -> None:
    got, wanted = client.query(sql), oracle.query(sql)
    assert repr(got.result_rows) == repr(wanted.result_rows)
    assert got.column_names == wanted.column_names
    assert [t.name for t in got.column_types] == [t.name for t in wanted.column_types]


def test_it_speaks_the_protocol_version_that_the_client_asks_for(client: Client) -> None:
    assert client.protocol_version == 54405


def test_insert_and_read_back(client: Client, clickhouse: Server, table: str) -> None:
    rows = [(n, n / 3, f"s{n}", "t" * (n % 5), Decimal(n) / 4) for n in range(5000)]
    summary = client.insert(table, rows, column_names=["a", "b", "s", "t", "d"])
    assert summary.written_rows == 5000
    assert client.query(f"SELECT * FROM {table} ORDER BY a").result_rows == rows


def test_insert_of_every_type(client: Client) -> None:
    client.command("DROP TABLE IF EXISTS every")
    client.command(
        "CREATE TABLE every (i Int64, n Nullable(String), a Array(Int32), m Map(String, UInt8),"
        " p Tuple(Float64, String), at DateTime64(6, 'UTC'), on Date, l LowCardinality(String), j JSON) ENGINE = Memory"
    )
    row: list[Any] = [
        -5,
        None,
        [1, 2],
        {"a": 1},
        (0.5, "x"),
        datetime(2024, 1, 1, 0, 0, 0, 123456, UTC),
        date(2024, 2, 29),
    ]
    client.insert("every", [[*row, "l", {"k": 1}]])
    got = client.query("SELECT i, n, a, m, p, at, on, l, j FROM every").result_rows[0]
    assert list(got[:5]) == row[:5]
    assert got[5].replace(tzinfo=UTC) == row[5]
    assert (got[6], got[7], got[8]) == (row[6], "l", {"k": 1})


def test_insert_arrow_and_query_arrow(client: Client, table: str) -> None:
    arrow = pa.table({"a": pa.array(range(100_000), pa.uint64()), "s": [str(n) for n in range(100_000)]})
    assert client.insert_arrow(table, arrow).written_rows == 100_000
    got = client.query_arrow(f"SELECT a, s FROM {table} ORDER BY a", use_strings=True)
    assert got.column("a").to_pylist() == arrow.column("a").to_pylist()
    assert got.column("s").to_pylist() == arrow.column("s").to_pylist()


def test_raw_insert_and_raw_query(client: Client, table: str) -> None:
    client.raw_insert(table, ["a", "s"], b"1,x\n2,y\n", fmt="CSV")
    client.raw_insert(table, ["a", "s"], iter([b'{"a":3,', b'"s":"z"}']), fmt="JSONEachRow")
    assert client.raw_query(f"SELECT a, s FROM {table} ORDER BY a", fmt="CSV") == b'1,"x"\n2,"y"\n3,"z"\n'
    assert b"".join(client.raw_stream(f"SELECT a FROM {table} ORDER BY a", fmt="TSV")) == b"1\n2\n3\n"


def test_command(client: Client, table: str) -> None:
    assert client.command("SELECT 1 + 1") == 2
    assert client.command("SELECT 'a', 'b'") == ["a", "b"]
    assert client.command(f"INSERT INTO {table} (a) VALUES", data="(1), (2)") is not None
    assert client.command(f"SELECT count() FROM {table} WHERE a = {{x:UInt64}}", parameters={"x": 2}) == 1
    assert client.command(f"ALTER TABLE {table} DELETE WHERE a = 1", settings={"mutations_sync": 1}) is not None
    assert client.command(f"SELECT count() FROM {table}") == 1
    assert client.ping()


def test_parameters_short_and_long(client: Client) -> None:
    for length in (5, 200_000):  # long ones go as a form
        text = "it's \\ \t\n" + "x" * length
        assert client.query("SELECT {x:String}", parameters={"x": text}).result_rows == [(text,)]
    assert client.query("SELECT {x:Array(DateTime)}", parameters={"x": [datetime(2024, 1, 1)]}).result_rows == [
        ([datetime(2024, 1, 1)],)
    ]


def test_settings_of_client_session_and_query(clickhouse: Server) -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "port": clickhouse.port, "settings": {"max_block_size": 21}}
    with clickhouse_connect.get_client(**options, database="system") as client:
        ask = "SELECT getSetting('max_block_size'), getSetting('max_insert_threads'), currentDatabase()"
        client.command("SET max_insert_threads = 3")
        assert client.query(ask).result_rows == [(21, 3, "system")]
        assert client.query(ask, settings={"max_block_size": 22}).result_rows == [(22, 3, "system")]
        assert client.query(ask).result_rows == [(21, 3, "system")]


def test_streams(client: Client) -> None:
    with client.query_column_block_stream("SELECT number FROM numbers(1000000)") as stream:
        assert sum(sum(block[0]) for block in stream) == 499_999_500_000
    with client.query_rows_stream("SELECT number FROM numbers(100000)") as rows:
        assert sum(row[0] for row in rows) == 4_999_950_000


def test_errors(client: Client, table: str) -> None:
    with pytest.raises(DatabaseError) as error:
        client.query("SELECT * FROM nowhere")
    assert (error.value.code, error.value.name) == (60, "UNKNOWN_TABLE")
    with (
        pytest.raises(StreamFailureError, match="FUNCTION_THROW_IF"),
        client.query_rows_stream("SELECT throwIf(number = 3000000) FROM numbers(4000000)") as rows,
    ):
        list(rows)
    with pytest.raises(DatabaseError, match="NO_SUCH_COLUMN"):
        client.raw_insert(table, ["nothing"], b"1\n", fmt="CSV")
    assert client.query("SELECT 1").result_rows == [(1,)]


@pytest.mark.parametrize("compress", [False, "gzip", "zstd", "lz4", "br"])
def test_compression(clickhouse: Server, table: str, compress: str | bool) -> None:
    with clickhouse_connect.get_client(host="127.0.0.1", port=clickhouse.port, compress=compress) as client:
        client.insert(table, [[n, "s" * 50] for n in range(3000)], column_names=["a", "s"])
        assert client.query(f"SELECT sum(a), sum(length(s)) FROM {table}").result_rows == [(4_498_500, 150_000)]
        assert len(client.query("SELECT number FROM numbers(300000)").result_rows) == 300_000


def test_rows_of_the_shared_generator_through_native(client: Client, oracle: Client) -> None:
    sql = f"{ROWS} numbers(150000)"
    assert client.query(sql).result_columns == oracle.query(sql).result_columns
