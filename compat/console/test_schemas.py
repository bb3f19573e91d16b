"""Records that confluent-kafka wrote with the schemas of a real registry, through REST and on the page."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from registry import JAR, VENV, Registry, fetch
from tests.console.site import SECONDS, Console
from three_nodes import ThreeNodes
from topics import done

from barnabas.embedded import Broker

BEYOND = 2**53 + 1
CLUSTERS = ("apache", "barnabas")


@pytest.fixture(scope="module")
def registered(
    kafka: ThreeNodes, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """Give a console that knows the registry, once there are records on both clusters."""
    if not (JAR.exists() and VENV.exists()) and shutil.which("mvn") is None:
        pytest.skip("needs Maven to fetch the registry")
    fetch()
    with (
        Registry(broker.bootstrap, tmp_path_factory.mktemp("registry") / "log") as registry,
        Console(
            "--cluster", f"apache={kafka.bootstrap}", "--command-config", f"apache={kafka.command_config('client')}",
            "--cluster", f"barnabas={broker.bootstrap}", "--schema-registry", registry.url,
        ) as console,
    ):
        registry.write(kafka.client)
        registry.write({"bootstrap.servers": broker.bootstrap})
        yield console
        for cluster in CLUSTERS:
            for kind in ("avro", "protobuf", "text"):
                done(console.change("DELETE", f"/clusters/{cluster}/topics/orders-{kind}"))


def read(console: Console, cluster: str, topic: str, **query: str) -> list[dict[str, Any]]:
    answer = console.get(f"/clusters/{cluster}/topics/{topic}/messages", from_="oldest", **query)
    assert answer.status == 200, answer.body
    return [record["value"] for record in answer.records]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_avro(registered: Console, cluster: str) -> None:
    values = read(registered, cluster, "orders-avro")
    assert [(value["kind"], value["error"]) for value in values] == [("avro", None)] * 2
    assert "shop.Order" in values[0]["schema"]
    assert [json.loads(value["text"]) for value in values] == [
        {"id": BEYOND, "what": what, "price": 12.5} for what in ("tea", "rice")
    ]
    assert "12.50" in values[0]["text"]
    (found,) = read(registered, cluster, "orders-avro", where=f'value.id == {BEYOND} && value.what == "rice"')
    assert found == values[1]
    assert read(registered, cluster, "orders-avro", where=f"value.id == {BEYOND - 1}") == []


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_protobuf(registered: Console, cluster: str) -> None:
    values = read(registered, cluster, "orders-protobuf")
    assert [(value["kind"], value["error"]) for value in values] == [("protobuf", None)] * 2
    assert [json.loads(value["text"])["what"] for value in values] == ["tea", "rice"]
    assert str(BEYOND) in values[0]["text"]
    assert read(registered, cluster, "orders-protobuf", where='value.what == "rice"') == values[1:]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_protobuf_that_was_registered_as_text_is_named(registered: Console, cluster: str) -> None:
    (value,) = read(registered, cluster, "orders-text")
    assert value["kind"] == "bytes"
    assert "binary form" in value["error"]


def test_on_the_page(page: Any, registered: Console, shot: Callable[[str], None]) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * SECONDS)
    for kind in ("avro", "protobuf"):
        page.goto(f"http://127.0.0.1:{registered.port}/c/apache/topics/orders-{kind}/messages?from=oldest")
        rows = page.locator("tbody tr[data-index]")
        expect(rows).to_have_text([re.compile(rf"{BEYOND}.*tea", re.S), re.compile(rf"{BEYOND}.*rice", re.S)])
        rows.first.locator("button.mono").click()
        expect(page.get_by_role("dialog")).to_contain_text(re.compile(f"{kind}", re.I))
        shot(f"record-{kind}")
