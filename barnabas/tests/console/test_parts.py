"""Decoding: digits stay as they are, hostile bytes are shown, nothing is guessed."""

from __future__ import annotations

import contextlib
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.console import exact
from barnabas.console.parts import FORMATS, cut_text, decode
from barnabas.console.schemas import Library

from .properties import relaxed


def part(raw: bytes | None, wanted: str = "auto", most: int = 4096, library: Library | None = None) -> Any:
    return decode(raw, wanted, "orders-value", library).part(most)


def test_the_digits_of_json_are_those_that_were_stored() -> None:
    raw = b'{"big": 9007199254740993, "precise": 0.10000000000000000001, "large": 1e400}'
    assert part(raw).text == raw.decode()
    assert part(raw).kind == "json"
    assert decode(raw, "json", "", None).data() == {
        "big": 9007199254740993, "precise": Decimal("0.10000000000000000001"), "large": Decimal("1e400")
    }


@pytest.mark.parametrize(("raw", "kind", "text"), [
    (None, "null", ""), (b"", "text", ""), (b"12", "text", "12"), (b"{", "text", "{"), (b"[1]", "json", "[1]"),
    (b"\xff\xfe", "bytes", "fffe"), (b"a\0b", "bytes", "610062"),
    ("\u202eabc<script>\x07\x1b[0m".encode(), "text", "\u202eabc<script>\x07\x1b[0m"),
    (b'{"a": "\xff"}', "bytes", b'{"a": "\xff"}'.hex()), (b"[" * 5000 + b"]" * 5000, "text", "[" * 4096),
    (b'{"a": 1}x', "text", '{"a": 1}x'), (b"\0\0\0\0\7abc", "bytes", "0000000007616263"),
])
def test_auto_shows_what_is_there(raw: bytes | None, kind: str, text: str) -> None:
    found = part(raw)
    assert (found.kind, found.text, found.error) == (kind, text, None)


@pytest.mark.parametrize(("raw", "wanted", "kind", "said"), [
    (b"\xff", "string", "bytes", "not UTF-8: byte 0 is 0xff"), (b"hi", "json", "text", "not JSON"),
    (b"\xc1", "msgpack", "bytes", "not MessagePack"), (b"1", "int64", "bytes", "8 bytes"),
    (b"1", "avro", "bytes", "no schemas"), (b"1", "protobuf", "bytes", "no schemas"),
])
def test_what_was_wanted_and_is_not_says_so_beside_the_bytes(raw: bytes, wanted: str, kind: str, said: str) -> None:
    found = part(raw, wanted)
    assert found.kind == kind
    assert said in found.error


def test_numbers_and_messagepack() -> None:
    assert part((2**53 + 1).to_bytes(8, "big"), "int64").text == "9007199254740993"
    assert part(b"\xff\xff\xff\xfe", "int32").text == "-2"
    packed = msgspec.msgpack.encode({"n": 2**63 + 1, "b": b"\x01", 7: None})
    assert part(packed, "msgpack").text == '{"n":9223372036854775809,"b":"0x01","7":null}'
    assert part(b"\xd4\x05\x01", "msgpack").text == '{"ext":5,"data":"0x01"}'


def test_cuts_are_between_characters() -> None:
    assert cut_text("aéb", 2) == ("a", True)
    assert cut_text("aéb", 3) == ("aé", True)
    assert cut_text("aéb", 4) == ("aéb", False)
    found = part(b"\xff" * 10, most=4)
    assert (found.text, found.size, found.cut) == ("ffffffff", 10, True)


@relaxed
@given(st.binary(max_size=200), st.sampled_from(FORMATS), st.integers(1, 50))
def test_no_bytes_are_an_error(raw: bytes, wanted: str, most: int) -> None:
    decoded = decode(raw, wanted, "t-value", None)
    shown = decoded.part(most)
    json.loads(msgspec.json.encode(shown))
    assert shown.size == len(raw)
    if decoded.text is None:
        assert decoded.shown() == raw.hex()
    with contextlib.suppress(ValueError):
        decoded.data()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@relaxed
@given(values)
def test_written_json_is_read_as_the_same(value: Any) -> None:
    assert exact.read(exact.write(value)) == value


# --- schemas ------------------------------------------------------------------------------------------------

SCHEMA = {
    "type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "long"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}},
        {"name": "note", "type": ["null", "string"]},
    ],
}


def avro_bytes() -> bytes:
    out = io.BytesIO()
    order = {"id": 2**53 + 1, "at": 1_700_000_000_123, "price": Decimal("123456789012.3400"), "note": None}
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(json.dumps(SCHEMA))), order)
    return out.getvalue()


def test_avro_with_a_header_and_without(tmp_path: Path) -> None:
    (tmp_path / "7.avsc").write_text(json.dumps(SCHEMA))
    (tmp_path / "orders-value.avsc").write_text(json.dumps(SCHEMA))
    library = Library(None, tmp_path)
    text = '{"id":9007199254740993,"at":1700000000123,"price":123456789012.3400,"note":null}'
    with_header = part(b"\0\0\0\0\7" + avro_bytes(), library=library)
    assert (with_header.kind, with_header.text, with_header.schema) == ("avro", text, "7 (Order)")
    assert part(avro_bytes(), library=library).text == text
    for raw, said in (
        (b"\0\0\0\0\x08" + avro_bytes(), "schema 8 is not among the files"), (avro_bytes()[:-3], "does not follow"),
        (avro_bytes() + b"x", "1 bytes are left over"), (b"\0\0\0\0\7", "does not follow"),
    ):
        found = part(raw, library=library)
        assert said in found.error
        assert found.text == raw.hex() or found.kind == "text"


@relaxed
@given(st.binary(max_size=60))
def test_foreign_bytes_with_a_schema_are_no_error(raw: bytes) -> None:
    from barnabas.console.avro import avro
    from barnabas.console.parts import Undecodable

    with contextlib.suppress(Undecodable):
        avro("orders", [json.dumps(SCHEMA)]).decode(raw)


def test_protobuf_by_its_descriptors(tmp_path: Path) -> None:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    for name in ("Other", "Order"):
        message = file.message_type.add(name=name)
        message.field.add(name="id", number=1, type=3, label=1, json_name="id")
        message.field.add(name="note", number=2, type=9, label=1, json_name="note")
    (tmp_path / "9.desc").write_bytes(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    order = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))(id=2**53 + 1, note="x")
    library = Library(None, tmp_path)
    second = part(b"\0\0\0\0\x09\x02\x02" + order.SerializeToString(), library=library)  # one index: 1, zigzag
    assert (second.kind, second.text) == ("protobuf", '{"id":"9007199254740993","note":"x"}')
    first = part(b"\0\0\0\0\x09\0" + order.SerializeToString(), "protobuf", library=library)
    assert first.kind == "protobuf"
    assert "message index" in part(b"\0\0\0\0\x09\x7f\x02", library=library).error
    assert "not of avro" in part(b"\0\0\0\0\x09\0", "avro", library=library).error


@pytest.mark.parametrize(("text", "value"), [
    ("9" * 5000, Decimal("9" * 5000)), ("-9223372036854775809", -(2**63) - 1), ("0.10", Decimal("0.10")),
    ('{"a": [1e400]}', {"a": [Decimal("1e400")]}), ("18446744073709551616", 2**64),
])
def test_numbers_are_read_with_all_their_digits(text: str, value: Any) -> None:
    assert exact.read(text) == value


def test_long_numbers_beside_deep_lists_are_read_or_refused() -> None:
    for depth in (100, *range(900, 1050), 5000):
        try:
            assert exact.read(f"[{'9' * 5000}, {'[' * depth}{']' * depth}]")[0] == Decimal("9" * 5000)
        except ValueError as e:
            assert "nested too deep" in str(e)


@pytest.mark.parametrize("text", ["NaN", "[1,]", "1e99999999999999999999", "[" * 100_000, "{", "01", '"\\ud800"'])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        exact.read(text)
