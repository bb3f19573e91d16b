"""Exports: what is written is read back as it was, and no spreadsheet runs it."""

from __future__ import annotations

import csv
import io
import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from barnabas.console.exports import COLUMNS, CsvWriter, JsonWriter, disarmed, rows
from barnabas.console.parts import Part
from barnabas.console.records import HeaderLine, RecordLine

from .properties import relaxed

texts = st.text(st.characters(exclude_categories=["Cs"]))
parts = st.builds(Part, st.sampled_from(["null", "text", "json", "bytes"]), texts, st.integers(0, 9), st.booleans())
records = st.builds(
    RecordLine, st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1).map(str), st.integers(-1, 2**63 - 1).map(str),
    st.sampled_from(["create", "append", "none"]), parts, parts, st.lists(st.builds(HeaderLine, texts, parts)),
    st.integers(0, 9).map(str),
)


@relaxed
@given(st.lists(st.tuples(texts, texts)))
def test_cells_are_read_back(table: list[tuple[str, str]]) -> None:
    text = rows(list(table)).decode()
    found = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    assert found == [tuple(disarmed(cell) for cell in row) for row in table]
    for row in found:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_only_formulas_get_an_apostrophe() -> None:
    assert [disarmed(cell) for cell in ("=1", "-1", "@a", "+a", "a=1", "", "'")] == [
        "'=1", "'-1", "'@a", "'+a", "a=1", "", "'"
    ]


@relaxed
@given(st.lists(records, max_size=5), st.integers(1, 3))
def test_a_file_holds_every_record(those: list[RecordLine], at_once: int) -> None:
    lines = [msgspec.json.encode(record) for record in those]
    pieces = [lines[i : i + at_once] for i in range(0, len(lines), at_once)]
    as_json, as_csv = JsonWriter(), CsvWriter()
    document = json.loads(as_json.begin() + b"".join(map(as_json.add, pieces)) + as_json.end())
    assert document == [json.loads(line) for line in lines]
    text = (as_csv.begin() + b"".join(map(as_csv.add, pieces)) + as_csv.end()).decode()
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(text.split("\r\n")[0].split(",")) == COLUMNS
    assert [row["offset"] for row in table] == [record.offset for record in those]
    assert [row["valueKind"] for row in table] == [record.value.kind for record in those]
    assert [row["cut"].split() for row in table] == [
        [name for name, is_cut in (
            ("key", record.key.cut), ("value", record.value.cut),
            ("headers", any(header.value.cut for header in record.headers)),
        ) if is_cut] for record in those
    ]
