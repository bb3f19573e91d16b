"""Where data begins, where a result's format stands, and that no text takes long."""

from __future__ import annotations

import gc
import time

import pytest

from barnabas_quant.clickhouse.statement import read_statement


@pytest.mark.parametrize(
    ("text", "name", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", "CSV", b"1,2\n"),
        (b"insert into t (a, `format`) format CSV 1,2", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT Native\r\n\x00\n", "Native", b"\x00\n"),
        (b"INSERT INTO t FORMAT RowBinary \n\n", "RowBinary", b"\n"),
        (b"/* FORMAT x */ INSERT INTO t SETTINGS a = 'FORMAT y' FORMAT TSV\nFORMAT CSV", "TSV", b"FORMAT CSV"),
        (b"INSERT INTO t VALUES (1, 'FORMAT')", "Values", b" (1, 'FORMAT')"),
        (b"INSERT INTO t FORMAT Values (1)", "Values", b"(1)"),
        (b"INSERT INTO db.format VALUES (1)", "Values", b" (1)"),
        (b"INSERT INTO values FORMAT CSV 1", "CSV", b"1"),
        (b"INSERT INTO FUNCTION file('x', CSV) FORMAT TSV 1", "TSV", b"1"),
    ],
)
def test_data_of_an_insert(text: bytes, name: str, data: bytes) -> None:
    statement = read_statement(text)
    assert (statement.input_format, text[statement.data_at :]) == (name, data)
    assert text[statement.clause_at :].upper().startswith((b"FORMAT", b"VALUES"))


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1 FORMAT CSV",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t WITH 1 AS x SELECT x",
        b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        b"EXPLAIN INSERT INTO t VALUES (1)",
        b"",
        b"INSERT",
        b"INSERT INTO t (a) ",
    ],
)
def test_no_data(text: bytes) -> None:
    assert read_statement(text).input_format is None


@pytest.mark.parametrize(
    ("text", "name", "before"),
    [
        (b"SELECT 1 FORMAT JSON;", "JSON", b"SELECT 1"),
        (b"SELECT 1 -- FORMAT x\n ; ", None, b"SELECT 1"),
        (b"SELECT format FROM t", None, b"SELECT format FROM t"),
        (b"SELECT (SELECT 1 FORMAT x) format CSV SETTINGS a = 1", "CSV", b"SELECT (SELECT 1 FORMAT x)"),
        (b"SELECT 1 AS format SETTINGS a = 1", None, b"SELECT 1 AS format SETTINGS a = 1"),
        (b"SELECT $$ FORMAT x $$", None, b"SELECT $$ FORMAT x $$"),
    ],
)
def test_format_of_a_result(text: bytes, name: str | None, before: bytes) -> None:
    statement = read_statement(text)
    assert (statement.output_format, text[: statement.clause_at]) == (name, before)


@pytest.mark.parametrize(
    "piece",
    [b"'\\'", b"$a$$b", b"/*", b"(a ", b"`", b"insert into a ", b"$a", b"--", b'"\\"', b"\xff", b"insert values "],
)
def test_time_is_linear(piece: bytes) -> None:
    # Four times the length takes some four times as long; sixteen times if each token looked at all others.
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        gc.disable()  # a collection would look at everything that other tests have made
        try:
            begun = time.thread_time()
            read_statement(text)
            return time.thread_time() - begun
        finally:
            gc.enable()

    assert seconds(128 << 10) < 12 * max(seconds(32 << 10), 0.01)
