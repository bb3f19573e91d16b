"""Schemas from a registry: found by the id in a record, asked for once, and said to be missing where they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from barnabas.embedded import Broker

from .site import Console, produce
from .test_parts import SCHEMA, avro_bytes

Topic = Callable[..., str]


class Registry(ThreadingHTTPServer):
    """Answer as a registry does; `asked` are the paths."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.authorization: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    """Know schema 7, of Avro, and schema 8, of a kind that is not decoded."""

    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.authorization.append(self.headers["Authorization"])
        known = {
            "/schemas/ids/7": {"schema": json.dumps(SCHEMA)}, "/schemas/ids/8": {"schema": "{}", "schemaType": "JSON"},
        }
        document = known.get(self.path)
        body = json.dumps(document or {"error_code": 40403}).encode()
        self.send_response(200 if document else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def registry() -> Iterator[Registry]:
    server = Registry()
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
    with registry() as server:
        address = f"http://ann:secret@127.0.0.1:{server.server_port}/"
        with Console("--cluster", f"local={broker.bootstrap}", "--schema-registry", address) as console:
            path = f"/clusters/local/topics/{name}/messages"
            for _ in range(2):
                values = [record["value"] for record in console.get(path, from_="oldest").records]
                assert [value["kind"] for value in values] == ["avro"] * 20 + ["bytes", "bytes", "json"]
                assert '"id":9007199254740993,' in values[0]["text"]
                assert values[0]["schema"] == "schema 7 (Order)"
                assert "is of JSON" in values[20]["error"]
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
