"""Schemas from a registry: found by the id in a record, with what they refer to, asked for once, said to be missing."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from barnabas.console.parts import Part, Undecodable, decode
from barnabas.console.schemas import Library
from barnabas.embedded import Broker

from .site import Console, produce, until
from .test_parts import SCHEMA, avro_bytes

Topic = Callable[..., str]


class Registry(ThreadingHTTPServer):
    """Answer as a registry does: `known` are documents by path, `asked` the paths."""

    daemon_threads = True

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.known = known
        self.asked: list[str] = []
        self.authorization: list[str | None] = []
        self.slow: tuple[str, threading.Event] | None = None
        """A path that is answered after an event."""

    @property
    def address(self) -> str:
        return f"http://ann:secret@127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    """Answer what is known, 404 for the rest."""

    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.authorization.append(self.headers["Authorization"])
        if self.server.slow is not None and self.server.slow[0] == self.path:
            self.server.slow[1].wait(10)
        document = self.server.known.get(self.path)
        body = json.dumps(document or {"error_code": 40403}).encode()
        self.send_response(200 if document else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def registry(known: dict[str, Any]) -> Iterator[Registry]:
    server = Registry(known)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_records_name_their_schemas(broker: Broker, topic: Topic) -> None:
    name = topic()
    produce(broker.bootstrap, name, [
        *({"value": b"\0\0\0\0\7" + avro_bytes()} for _ in range(20)), {"value": b"\0\0\0\0\x08{}"},
        {"value": b"\0\0\0\0\x09x"}, {"value": b'{"plain": 1}'},
    ])
    known = {
        "/schemas/ids/7": {"schema": json.dumps(SCHEMA)}, "/schemas/ids/8": {"schema": "", "schemaType": "RELAX-NG"},
    }
    with registry(known) as server:
        with Console("--cluster", f"local={broker.bootstrap}", "--schema-registry", server.address) as console:
            path = f"/clusters/local/topics/{name}/messages"
            for _ in range(2):
                values = [record["value"] for record in console.get(path, from_="oldest").records]
                assert [value["kind"] for value in values] == ["avro"] * 20 + ["bytes", "bytes", "json"]
                assert '"id":9007199254740993,' in values[0]["text"]
                assert values[0]["schema"] == "schema 7 (Order)"
                assert "is of RELAX-NG" in values[20]["error"]
                assert "answered 404" in values[21]["error"]
                assert bytes.fromhex(values[21]["text"]) == b"\0\0\0\0\x09x"
            assert len(console.get(path, where="value.price == 123456789012.34 && value.note == null").records) == 20
        assert sorted(server.asked) == [f"/schemas/ids/{number}" for number in (7, 8, 9)]
        assert set(server.authorization) == {"Basic YW5uOnNlY3JldA=="}


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://"])
def test_a_registry_that_does_not_answer_costs_no_record(broker: Broker, topic: Topic, address: str) -> None:
    name = topic()
    produce(broker.bootstrap, name, [{"value": b"\0\0\0\0\7x"}] * 3)
    with Console("--cluster", f"local={broker.bootstrap}", "--schema-registry", address) as console:
        records = console.get(f"/clusters/local/topics/{name}/messages").records
    assert [record["value"]["kind"] for record in records] == ["bytes"] * 3
    assert "registry" in records[0]["value"]["error"]


def test_a_registry_that_takes_connections_and_says_nothing_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas.console.registry._PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        library = Library(f"http://127.0.0.1:{silent.getsockname()[1]}", None)
        begun = time.monotonic()
        for number in range(20):
            with pytest.raises(Undecodable, match="does not answer"):
                library.by_id(number)
        assert time.monotonic() - begun < 2


def test_an_id_that_is_asked_for_holds_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas.console.registry._PATIENCE", 20)
    slow, found = threading.Event(), []
    known = {f"/schemas/ids/{number}": {"schema": '"int"'} for number in (7, 8)}
    with registry(known) as server:
        server.slow = ("/schemas/ids/7", slow)
        library = Library(server.address, None)
        threads = [threading.Thread(target=lambda: found.append(library.by_id(7))) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: server.asked)
            begun = time.monotonic()
            assert library.by_id(8).kind == "avro"
            assert time.monotonic() - begun < 5
            assert found == []
        finally:
            slow.set()
            for thread in threads:
                thread.join()
        assert found == [library.by_id(7)] * 3
        assert sorted(server.asked) == sorted(known)


# --- what schemas refer to ----------------------------------------------------------------------------------


def shown(known: dict[str, Any], raw: bytes, wanted: str = "auto") -> tuple[Part, list[str]]:
    """Return a record as it is shown with a registry that knows so much, and what the registry was asked for."""
    with registry(known) as server:
        return decode(raw, wanted, "t-value", Library(server.address, None)).part(4096), server.asked


def reference(name: str, subject: str, version: int = 1) -> dict[str, Any]:
    return {"name": name, "subject": subject, "version": version}


def version(subject: str, number: int = 1) -> str:
    return f"/subjects/{subject}/versions/{number}?deleted=true"


def test_avro_that_refers_to_others() -> None:
    pair = {"type": "record", "name": "Pair", "namespace": "shop", "fields": [
        {"name": "base", "type": "shop.Coin"}, {"name": "quote", "type": "Coin"},
    ]}
    trade = {"type": "record", "name": "Trade", "fields": [
        {"name": "pair", "type": "shop.Pair"}, {"name": "fee", "type": "shop.Coin"}, {"name": "size", "type": "long"},
    ]}
    coin = {"type": "enum", "name": "Coin", "namespace": "shop", "symbols": ["BTC", "USDT"]}
    refers_to_coin = reference("shop.Coin", "a/coin", 3)
    known = {
        "/schemas/ids/7": {"schema": json.dumps(trade), "references": [reference("shop.Pair", "pair"), refers_to_coin]},
        version("pair"): {"schema": json.dumps(pair), "references": [refers_to_coin]},
        version("a%2Fcoin", 3): {"schema": json.dumps(coin)},
    }
    part, asked = shown(known, b"\0\0\0\0\7" + b"\x00\x02\x02\x54")
    assert (part.kind, part.schema) == ("avro", "schema 7 (Trade)")
    assert part.text == '{"pair":{"base":"BTC","quote":"USDT"},"fee":"USDT","size":42}'
    assert asked == ["/schemas/ids/7", version("pair"), version("a%2Fcoin", 3)]
    del known[version("a%2Fcoin", 3)]
    part, _ = shown(known, b"\0\0\0\0\7" + b"\x00\x02\x02\x54")
    assert (part.kind, part.error) == ("bytes", f"the registry answered 404 for {version('a%2Fcoin', 3)}")


def endless(number: int) -> dict[str, Any]:
    return {"schema": '"int"', "references": [reference(f"n{number + 1}", f"s{number + 1}")]}


@pytest.mark.parametrize(("known", "said", "most"), [
    ({"/schemas/ids/7": endless(0), version("s1"): {"schema": '"int"', "references": [
        reference("n2", "s2")]}, version("s2"): endless(0)}, "refers to itself", 3),
    ({"/schemas/ids/7": endless(0), **{version(f"s{n}"): endless(n) for n in range(200)}}, "too many", 17),
    ({"/schemas/ids/7": {"schema": '"int"', "references": [reference(f"n{n}", f"s{n}") for n in range(200)]},
      **{version(f"s{n}"): {"schema": '"int"'} for n in range(200)}}, "too many", 65),
    ({"/schemas/ids/7": {"schema": '"int"', "references": [{"name": "x"}]}}, "no name, subject or version", 1),
    ({"/schemas/ids/7": {"schema": '"int"', "references": 5}}, "cannot be understood", 1),
    ({"/schemas/ids/7": {"schema": '"int"', "references": [{**reference("x", "x"), "version": "x"}]}},
     "cannot be understood", 1),
    ({"/schemas/ids/7": {"schemaType": "AVRO"}}, "has no schema", 1),
])
def test_references_are_bounded(known: dict[str, Any], said: str, most: int) -> None:
    part, asked = shown(known, b"\0\0\0\0\7\2")
    assert part.kind == "bytes"
    assert said in str(part.error)
    assert len(asked) == most


def described(name: str, *imports: str) -> descriptor_pb2.FileDescriptorProto:
    return descriptor_pb2.FileDescriptorProto(name=name, package="shop", syntax="proto3", dependency=imports)


def field(message: Any, number: int, kind: int, type_name: str | None = None) -> None:
    message.field.add(
        name=f"f{number}", number=number, type=kind, label=1, type_name=type_name, json_name=f"f{number}"
    )


def serialized(file: descriptor_pb2.FileDescriptorProto) -> str:
    return base64.b64encode(file.SerializeToString()).decode()


def protobuf_registry() -> dict[str, Any]:
    coin = described("", "google/protobuf/timestamp.proto")
    field(coin.message_type.add(name="Coin"), 1, 9)
    field(coin.message_type[0], 2, 11, ".google.protobuf.Timestamp")
    pair = described("whatever.proto", "coins/coin.proto")
    field(pair.message_type.add(name="Pair"), 1, 11, ".shop.Coin")
    trade = described("", "pair.proto", "coins/coin.proto", "confluent/meta.proto")
    trade.message_type.add(name="Unused")
    message = trade.message_type.add(name="Trade")
    field(message, 1, 11, ".shop.Pair")
    field(message, 2, 3)
    message.nested_type.add(name="First")
    field(message.nested_type.add(name="Second"), 1, 11, ".shop.Coin")
    refers_to_coin = reference("coins/coin.proto", "coin", 2)
    text = "syntax = \"proto3\";"  # what a registry gives without the parameter
    return {
        "/schemas/ids/7": {"schemaType": "PROTOBUF", "schema": text, "references": [
            reference("pair.proto", "pair"), refers_to_coin]},
        "/schemas/ids/7?format=serialized": {"schemaType": "PROTOBUF", "schema": serialized(trade)},
        version("pair"): {"id": 5, "schema": text, "references": [refers_to_coin]},
        "/schemas/ids/5?format=serialized": {"schema": serialized(pair)},
        version("coin", 2): {"id": 6, "schema": text},
        "/schemas/ids/6?format=serialized": {"schema": serialized(coin)},
    }


@pytest.mark.parametrize(("indexes", "body", "text"), [
    (b"\x02\x02", b"\x0a\x05\x0a\x03\x0a\x01B\x10\x2a", '{"f1":{"f1":{"f1":"B"}},"f2":"42"}'),  # [1]
    (b"\x04\x02\x02", b"\x0a\x07\x0a\x01B\x12\x02\x08\x01", '{"f1":{"f1":"B","f2":"1970-01-01T00:00:01Z"}}'),  # [1, 1]
    (b"\0", b"", "{}"), (b"\x02\0", b"", "{}"),  # [0], in its short form and in full
])
def test_protobuf_of_a_registry(indexes: bytes, body: bytes, text: str) -> None:
    part, asked = shown(protobuf_registry(), b"\0\0\0\0\7" + indexes + body)
    assert (part.kind, part.text, part.error, part.schema) == ("protobuf", text, None, "schema 7")
    assert len(asked) == len(set(asked)) == 6


@pytest.mark.parametrize(("path", "document", "said"), [
    ("/schemas/ids/7?format=serialized", {"schema": "message X {}"}, "does not give Protobuf in its binary form"),
    ("/schemas/ids/5?format=serialized", {"schema": "message X {}"}, "pair.proto: this registry does not"),
    ("/schemas/ids/5?format=serialized", {"schema": "AAAA"}, "pair.proto is no FileDescriptorProto"),
    ("/schemas/ids/6?format=serialized", {"schema": ""}, "schema 7 is not complete"),
    ("/schemas/ids/7?format=serialized", {"schema": serialized(described("x"))}, "declares no message"),
    ("/schemas/ids/7?format=serialized", None, "answered 404"),
])
def test_protobuf_that_is_not_complete(path: str, document: Any, said: str) -> None:
    part, _ = shown({**protobuf_registry(), path: document}, b"\0\0\0\0\7\0")
    assert part.kind == "bytes"
    assert said in str(part.error)


@pytest.mark.parametrize("indexes", [
    b"\x02\x06", b"\x04\x02\x08", b"\x42" + b"\0" * 33, b"\x02\x01", b"\x04\x02", b"\xff" * 20,
])
def test_message_indexes_that_name_none(indexes: bytes) -> None:
    part, _ = shown(protobuf_registry(), b"\0\0\0\0\7" + indexes)
    assert (part.kind, part.text) == ("bytes", (b"\0\0\0\0\7" + indexes).hex())
    assert "does not follow schema 7" in str(part.error)


def test_json_behind_a_header() -> None:
    known = {"/schemas/ids/7": {"schemaType": "JSON", "schema": "{}", "references": [reference("x", "x")]}}
    body = b'{"big": 9007199254740993, "precise": 0.10000000000000000001}'
    raw = b"\0\0\0\0\7" + body
    for wanted in ("auto", "json"):
        part, asked = shown(known, raw, wanted)
        assert (part.kind, part.text, part.schema) == ("json", body.decode(), "schema 7")
        assert (part.size, part.error, asked) == (len(raw), None, ["/schemas/ids/7"])
    part, _ = shown(known, raw, "avro")
    assert (part.kind, part.error) == ("bytes", "schema 7 is a schema of json, not of avro")
    for wrong in (b"{", b"", b'{"a": "\xff"}'):
        part, _ = shown(known, b"\0\0\0\0\7" + wrong)
        assert (part.kind, part.text) == ("bytes", (b"\0\0\0\0\7" + wrong).hex())
        assert "schema 7 is of JSON, and this is not" in str(part.error)
    with registry(known) as server:
        data = decode(raw, "auto", "t-value", Library(server.address, None)).data()
    assert data == {"big": 9007199254740993, "precise": Decimal("0.10000000000000000001")}
