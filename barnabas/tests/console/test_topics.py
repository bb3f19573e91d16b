"""Topics over HTTP: what they are, every change, and that the command which is shown does the same."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

from barnabas.embedded import Broker

from .site import Console, produce

Topic = Callable[..., str]
_SCRIPT = "import sys; from barnabas.tools.main import run_as; sys.exit(run_as(sys.argv[1], sys.argv[2:]))"


def run(command: str) -> str:
    """Run a command that the page shows, through a shell, with our scripts in the place of Kafka's."""
    for script in ("kafka-topics", "kafka-configs", "kafka-delete-records", "kafka-consumer-groups"):
        command = command.replace(f"{script} ", f"{shlex.quote(sys.executable)} -c {shlex.quote(_SCRIPT)} {script} ")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    assert "Error" not in done.stdout + done.stderr, done
    return done.stdout


def detail(console: Console, topic: str) -> dict[str, Any]:
    found: dict[str, Any] = console.get(f"/clusters/local/topics/{topic}").json
    return found


def value_of(console: Console, topic: str, key: str) -> tuple[str, bool]:
    (config,) = [c for c in detail(console, topic)["configs"] if c["name"] == key]
    return config["value"], config["default"]


def names(console: Console) -> list[str]:
    return [topic["name"] for topic in console.get("/clusters/local/topics").json["topics"]]


def test_the_list_the_summary_and_one_topic(console: Console, broker: Broker, topic: Topic) -> None:
    name, other = topic(3, cleanup_policy="compact"), topic()
    produce(broker.bootstrap, name, [{"value": b"x" * 100, "key": b"k", "partition": 1}] * 5)
    rows = {row["name"]: row for row in console.get("/clusters/local/topics").json["topics"]}
    assert (rows[name]["partitions"], rows[name]["replication"], rows[name]["internal"]) == (3, 1, False)
    summary = console.ask("POST", "/clusters/local/topics/summary", {"names": [name, other, "missing"]}).json["topics"]
    assert (summary[name]["records"], summary[name]["cleanup"], summary[name]["error"]) == ("5", "compact", None)
    assert int(summary[name]["bytes"]) > 100
    assert (summary[other]["records"], summary[other]["bytes"], summary[other]["cleanup"]) == ("0", "0", "delete")
    assert "does not host" in summary["missing"]["error"]
    found = detail(console, name)
    assert [(p["id"], p["begin"], p["end"], p["leader"]) for p in found["partitions"]] == [
        (0, "0", "0", 1), (1, "0", "5", 1), (2, "0", "0", 1)
    ]
    policy = next(c for c in found["configs"] if c["name"] == "cleanup.policy")
    assert (policy["value"], policy["default"], policy["source"], policy["type"]) == (
        "compact", False, "DYNAMIC_TOPIC_CONFIG", "list"
    )
    assert policy["synonyms"][0] == {"name": "cleanup.policy", "value": "compact", "source": "DYNAMIC_TOPIC_CONFIG"}
    assert console.get("/clusters/local/topics/missing").status == 404
    too_many = console.ask("POST", "/clusters/local/topics/summary", {"names": ["x"] * 201})
    assert too_many.status == 400


def test_create_and_delete(console: Console) -> None:
    new = {"name": "made.here", "partitions": 2, "replication": 1, "configs": {"cleanup.policy": "compact,delete"}}
    tried = console.post("/clusters/local/topics", {**new, "validateOnly": True})
    assert tried.status == 200
    assert "made.here" not in names(console)
    made = console.post("/clusters/local/topics", new)
    assert made.status == 201
    assert value_of(console, "made.here", "cleanup.policy") == ("compact,delete", False)
    again = console.post("/clusters/local/topics", new)
    assert (again.status, again.json["error"]) == (409, "conflict")
    command = console.change("DELETE", "/clusters/local/topics/made.here").json["command"]
    assert "made.here" not in names(console)
    run(made.json["command"])  # what the page showed makes the same topic
    assert len(detail(console, "made.here")["partitions"]) == 2
    assert value_of(console, "made.here", "cleanup.policy") == ("compact,delete", False)
    assert console.post("/clusters/local/topics", {"name": "made-here"}).status == 201
    run(command)
    assert "made.here" not in names(console)
    assert "made-here" in names(console)  # the dot means a dot
    assert console.change("DELETE", "/clusters/local/topics/made.here").status == 404
    for body, status in (
        ({"name": "a b"}, 502), ({"name": "x", "partitions": 0}, 400), ({"name": "x", "replication": 3}, 502),
        ({"name": "x", "configs": {"no.such": "1"}}, 502), ({"partitions": 1}, 400), ([], 400),
    ):
        answer = console.post("/clusters/local/topics", body)
        assert (answer.status, answer.json["error"]) == (status, "kafka" if status == 502 else "bad_request")


def test_more_partitions(console: Console, topic: Topic) -> None:
    name = topic(1)
    path = f"/clusters/local/topics/{name}/partitions"
    assert console.post(path, {"count": 3, "validateOnly": True}).status == 200
    assert len(detail(console, name)["partitions"]) == 1
    console.post(path, {"count": 3})
    assert len(detail(console, name)["partitions"]) == 3
    fewer = console.post(path, {"count": 2})
    assert (fewer.status, fewer.json["code"]) == (502, "INVALID_PARTITIONS")
    command = console.post(path, {"count": 5, "validateOnly": True}).json["command"]
    run(command)
    assert len(detail(console, name)["partitions"]) == 5


@pytest.mark.parametrize("change", [
    {"set": {"retention.ms": "12345", "cleanup.policy": "compact,delete"}, "delete": []},
    {"set": {"segment.ms": "98765"}, "delete": ["retention.ms"]},
])
def test_configurations(console: Console, topic: Topic, change: dict[str, Any]) -> None:
    by_page, by_command = topic(retention_ms="777"), topic(retention_ms="777")
    console.post(f"/clusters/local/topics/{by_page}/configs", {**change, "validateOnly": True})
    assert value_of(console, by_page, "retention.ms") == ("777", False)
    assert console.post(f"/clusters/local/topics/{by_page}/configs", change).status == 200
    run(console.post(f"/clusters/local/topics/{by_command}/configs", {**change, "validateOnly": True}).json["command"])
    for key, value in change["set"].items():
        assert value_of(console, by_page, key) == value_of(console, by_command, key) == (value, False)
    for key in change["delete"]:
        assert value_of(console, by_page, key)[1]
        assert value_of(console, by_command, key)[1]
    wrong = console.post(f"/clusters/local/topics/{by_page}/configs", {"set": {"retention.ms": "soon"}})
    assert (wrong.status, wrong.json["error"], wrong.json["code"]) == (502, "kafka", "INVALID_CONFIG")
    assert console.post(f"/clusters/local/topics/{by_page}/configs", {}).status == 400


def begins(console: Console, topic: str) -> list[str]:
    return [p["begin"] for p in detail(console, topic)["partitions"]]


def test_purge_does_what_it_showed(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic(3)
    produce(broker.bootstrap, name, [{"value": b"x", "partition": p} for p in (0, 1, 2) for _ in range(10)])
    path = f"/clusters/local/topics/{name}/purge"
    order = {"before": {"0": "4", "1": "end"}}
    shown = console.post(path, {**order, "preview": True}).json
    assert begins(console, name) == ["0", "0", "0"]
    assert shown["partitions"] == [
        {"id": 0, "begin": "0", "end": "10", "after": "4"}, {"id": 1, "begin": "0", "end": "10", "after": "10"}
    ]
    done = console.post(path, {**order, "preview": False}).json
    assert done == shown
    assert begins(console, name) == ["4", "10", "0"]
    run(console.post(path, {"before": {"0": "6", "2": "end"}, "preview": True}).json["command"])
    assert begins(console, name) == ["6", "10", "10"]
    for before, status in (({"7": "1"}, 404), ({"0": "11"}, 400), ({"0": "x"}, 400), ({}, 400)):
        assert console.post(path, {"before": before, "preview": False}).status == status


def test_brokers(console: Console, topic: Topic) -> None:
    topic(2)
    found = console.get("/clusters/local/brokers").json
    (broker,) = found["brokers"]
    assert broker["leaders"] == broker["replicas"] > 1
    (folder,) = broker["logDirs"]
    assert int(folder["total"]) > int(folder["usable"]) > 0
    assert found["quorum"]["leader"] == 1
    assert any(feature["name"] == "metadata.version" for feature in found["features"])
    configs = console.get("/clusters/local/brokers/1/configs").json["configs"]
    assert len(configs) > 100
    assert next(c for c in configs if c["name"] == "node.id")["readOnly"]
    path = "/clusters/local/brokers/1/configs"
    changed = console.post(path, {"set": {"log.retention.ms": "99999999"}})
    assert changed.status == 200
    assert "--entity-type brokers --entity-name 1" in changed.json["command"]
    after = console.get(path).json["configs"]
    assert next(c for c in after if c["name"] == "log.retention.ms")["value"] == "99999999"
    assert console.post(path, {"delete": ["log.retention.ms"]}).status == 200
    assert console.get("/clusters/local/brokers/x/configs").status == 400


def test_what_a_broker_does_not_have_is_said(console: Console) -> None:
    for name in ("acls", "quotas", "users"):
        found = console.get(f"/clusters/local/{name}").json
        assert (found[name], found["supported"]) == ([], False)
        assert found["message"]
    acl = {"resourceType": "TOPIC", "resourceName": "t", "patternType": "LITERAL", "principal": "User:ann", "host": "*",
           "operation": "READ", "permission": "ALLOW"}
    refused = console.post("/clusters/local/acls", acl)
    assert (refused.status, refused.json["code"]) == (502, "UNSUPPORTED_VERSION")
    assert console.post("/clusters/local/acls", {**acl, "operation": "FLY"}).status == 400


def test_five_thousand_topics_are_one_request(broker: Broker, console: Console) -> None:
    """The list asks for nothing but the metadata, so that it does not grow with what else a topic has."""
    before = names(console)
    assert before == sorted(before)
    for api in ("ListOffsets", "DescribeConfigs", "DescribeLogDirs"):
        broker.fail(api, "UNKNOWN_SERVER_ERROR", 1)
    try:
        assert names(console) == before
    finally:
        broker.clear_faults()


def test_every_answer_is_a_document(console: Console) -> None:
    for path in ("/nothing", "/clusters/none/topics", "/clusters/local/nothing"):
        answer = console.get(path)
        assert (answer.status, answer.json["error"]) == (404, "not_found")
    for method in ("PUT", "HEAD", "PATCH", "OPTIONS"):
        assert console.ask(method, "/clusters").status == 400
    assert console.ask("POST", "/clusters/local/topics/summary", None).status == 400
    assert json.loads(console.get("/session").body)["login"] == "none"


def test_a_name_with_a_slash_is_none_of_the_topic_before_it(console: Console, broker: Broker, topic: Topic) -> None:
    name = topic()
    produce(broker.bootstrap, name, [{"value": b"x"}] * 3)
    for more in ("/messages", "/export", "/messages/0/0", "%2Fmessages"):
        answer = console.get(f"/clusters/local/topics/{urllib.parse.quote(name + more, safe='')}")
        assert (answer.status, answer.json["error"]) == (502, "kafka"), answer.body
        assert answer.json["code"] == "INVALID_TOPIC_EXCEPTION"
    path = f"/clusters/local/topics/{name}"
    assert console.post(f"{path}%2Fpurge", {"before": {"0": "end"}, "preview": False}).status == 400
    assert console.get(path).json["partitions"][0]["begin"] == "0"
