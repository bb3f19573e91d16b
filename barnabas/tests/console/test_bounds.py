"""Decoding within bounds: what was made to hurt is shown as bytes, and what is within them is decoded as by others."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.console import messagepack, protobuf
from barnabas.console.avro import avro
from barnabas.console.parts import MOST_VALUES, Undecodable, decode

from .hostile import file
from .properties import relaxed


def test_what_was_made_to_hurt_is_shown_as_bytes() -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("hostile.py"))], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert found["peak"] < 300 << 20
    for case in found["cases"]:
        assert (case["kind"], case["hex"]) == ("bytes", True), case
        assert case["error"], case
        assert case["seconds"] < 2, case
    # a decoder without bounds holds the interpreter for seconds; a machine that is busy lets one or two wait as well
    assert sorted(case["waited"] for case in found["cases"])[-3] < 1


# --- Avro ---------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
primitives: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("null", st.none()), ("boolean", st.booleans()), ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)), ("float", st.floats(width=32, allow_nan=False)),
    ("double", st.floats(allow_nan=False)), ("bytes", st.binary(max_size=20)), ("string", texts),
]
_names = itertools.count()


@st.composite
def schemas(draw: st.DrawFn, depth: int = 3) -> tuple[Any, st.SearchStrategy[Any]]:
    """Give a schema and what follows it."""
    number = next(_names)
    kind = draw(st.sampled_from(["primitive", *(["array", "map", "record", "union", "enum", "fixed"] * bool(depth))]))
    if kind == "primitive":
        return draw(st.sampled_from(primitives))
    if kind == "enum":
        return {"type": "enum", "name": f"n.E{number}", "symbols": ["A", "B", "C"]}, st.sampled_from("ABC")
    if kind == "fixed":
        return {"type": "fixed", "name": f"F{number}", "size": 3}, st.binary(min_size=3, max_size=3)
    if kind == "union":
        inner, values = draw(st.sampled_from(primitives[1:]))
        return ["null", inner], st.none() | values
    if kind == "record":
        fields = [draw(schemas(depth=depth - 1)) for _ in range(draw(st.integers(0, 3)))]
        named = [{"name": f"f{i}", "type": inner} for i, (inner, _) in enumerate(fields)]
        made = {"type": "record", "name": f"R{number}", "namespace": "space", "fields": named}
        return made, st.fixed_dictionaries({f"f{i}": values for i, (_, values) in enumerate(fields)})
    inner, values = draw(schemas(depth=depth - 1))
    if kind == "array":
        return {"type": "array", "items": inner}, st.lists(values, max_size=5)
    return {"type": "map", "values": inner}, st.dictionaries(texts, values, max_size=4)


@relaxed
@given(st.data())
def test_avro_is_decoded_as_by_fastavro(data: st.DataObject) -> None:
    schema, values = data.draw(schemas())
    value = data.draw(values)
    parsed = fastavro.parse_schema(json.loads(json.dumps(schema)))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, value)
    raw = out.getvalue()
    expected = fastavro.schemaless_reader(io.BytesIO(raw), parsed, None)
    reader = avro("x", [json.dumps(schema)])
    assert reader.decode(raw) == expected
    with pytest.raises(Undecodable, match="left over"):
        reader.decode(raw + b"\0")


def test_avro_with_names_used_again_and_blocks_with_sizes() -> None:
    schema = {"type": "record", "name": "Pair", "namespace": "a.b", "fields": [
        {"name": "first", "type": {"type": "fixed", "name": "Price", "size": 2, "logicalType": "decimal",
                                   "precision": 4, "scale": 2}},
        {"name": "second", "type": "Price"}, {"name": "more", "type": {"type": "array", "items": ["a.b.Pair", "long"]}},
    ]}
    reader = avro("x", [json.dumps(schema)])
    raw = b"\x00\x7b\xff\x85" + b"\x01\x04" + b"\x02\x54" + b"\x00"  # a block of -1, with the size of 2 bytes
    assert reader.decode(raw) == {"first": Decimal("1.23"), "second": Decimal("-1.23"), "more": [42]}


def test_a_decimal_keeps_more_digits_than_its_schema_says() -> None:
    schema = {"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 1}
    number = 12345678901234567890123456789012345678901
    raw = number.to_bytes(18, "big")
    assert avro("x", [json.dumps(schema)]).decode(b"\x24" + raw) == Decimal(f"{number}E-1")


@pytest.mark.parametrize("schema", [
    '{"type":"array","items":' * 3000 + '"int"' + "}" * 3000, '{"type":"record"}', '"nothing"', "[" * 100_000,
    '{"type":"array"}', '{"type":"fixed","name":"f","size":"x"}', '{"__fastavro_parsed__": true, "type": "record"}',
])
def test_what_is_no_schema_is_said_to_be_none(schema: str) -> None:
    with pytest.raises(Undecodable, match="no schema"):
        avro("x", [schema])


# --- others -------------------------------------------------------------------------------------------------

packable = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | st.binary(max_size=300)
    | st.builds(msgspec.msgpack.Ext, st.integers(0, 127), st.binary(max_size=20)) | st.text("ab", min_size=250),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(texts, inner, max_size=20),
)


def count(value: Any) -> int:
    if isinstance(value, list):
        return 1 + sum(map(count, value))
    if isinstance(value, dict):
        return 1 + sum(1 + count(one) for one in value.values())
    return 1


@relaxed
@given(packable)
def test_values_of_messagepack_are_counted(value: Any) -> None:
    raw = msgspec.msgpack.encode(value)
    values = count(value)
    assert messagepack.is_bounded(raw, values)
    assert not messagepack.is_bounded(raw, values - 1)


@relaxed
@given(st.binary(max_size=80))
def test_foreign_bytes_are_no_error(raw: bytes) -> None:
    messagepack.is_bounded(raw, 50)
    schema = protobuf.files("x", [(None, file())])
    for body in (raw, raw + b"\x0a\0" * 3000):  # the second is counted first
        try:
            schema.decode(b"\0" + body)
        except Undecodable as e:
            assert "x" in str(e)


def test_large_records_within_the_bounds_are_decoded() -> None:
    reader = avro("x", ['{"type": "array", "items": "null"}'])
    assert reader.decode(b"\xa0\x8d\x06" + b"\0") == [None] * 50_000
    schema = protobuf.files("x", [(None, file())])
    numbers = b"\x1a\xc0\x84\x3d" + b"\xff\xff\xff\xff\x07" * 200_000  # as many bytes as a million
    assert schema.decode(b"\0" + numbers) == {"f3": [str(2**31 - 1)] * 200_000}
    kids = b"\x0a\0" * 100_000
    assert schema.decode(b"\0" + kids) == {"f1": [{}] * 100_000}
    packed = msgspec.msgpack.encode([b"x" * 1000] * 1000)
    assert decode(packed, "msgpack", "", None).kind == "msgpack"


def test_json_of_too_many_values_is_shown_and_not_compared() -> None:
    many = b"[" + b"1," * MOST_VALUES + b"1]"
    found = decode(many, "auto", "", None)
    assert (found.kind, found.part(5).text) == ("json", "[1,1,")
    with pytest.raises(ValueError, match="too many to be compared"):
        found.data()
    assert len(decode(many[: MOST_VALUES * 2 - 100] + b"1]", "auto", "", None).data()) == MOST_VALUES - 50
