"""What the console says of the secured three nodes, and what it changes there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.console.site import SECONDS, Answer, Console, until
from three_nodes import NODES, ThreeNodes
from topics import APACHE, detail, done, make, names

from barnabas.embedded import Broker

PARTITIONS = 6
BEGIN = 1_700_000_000_000
Known = list[tuple[int, int, int]]
"""Time, partition and offset of records."""


def value_of(configs: list[dict[str, Any]], key: str) -> tuple[str, str]:
    (config,) = [one for one in configs if one["name"] == key]
    return config["value"], config["source"]


@pytest.fixture(scope="module")
def spread(console: Console, kafka: ThreeNodes) -> Iterator[tuple[str, Known]]:
    """Fill a topic whose partitions several brokers lead; give what was written."""
    name = "spread"
    make(console, name, PARTITIONS, {"retention.ms": "-1"})
    producer = Producer({**kafka.client, "linger.ms": 5})
    known: Known = []
    offsets = [0] * PARTITIONS
    for number in range(600):
        p = number * number % PARTITIONS
        producer.produce(
            name, json.dumps({"n": number, "big": 2**53 + number}), f"k{number % 5}", partition=p,
            timestamp=BEGIN + number * 10, headers=[("source", b"test")],
        )
        known.append((BEGIN + number * 10, p, offsets[p]))
        offsets[p] += 1
    assert producer.flush(SECONDS) == 0
    yield name, known
    done(console.change("DELETE", f"{APACHE}/topics/{name}"))
    until(lambda: name not in names(console))


# --- clusters, brokers --------------------------------------------------------------------------------------


def test_both_clusters_are_up(console: Console, kafka: ThreeNodes, broker: Broker) -> None:
    apache, barnabas = console.get("/clusters").json["clusters"]
    assert (apache["name"], apache["state"], apache["brokers"]) == ("apache", "up", 3)
    assert all(apache["supports"].values())
    assert (apache["commandConfig"], barnabas["commandConfig"]) == (str(kafka.command_config("client")), None)
    assert (barnabas["name"], barnabas["state"], barnabas["brokers"]) == ("barnabas", "up", 1)
    assert barnabas["bootstrap"] == broker.bootstrap


def test_brokers_their_logs_and_the_quorum(console: Console, kafka: ThreeNodes, spread: tuple[str, Known]) -> None:
    found = done(console.get(f"{APACHE}/brokers"))
    assert [b["id"] for b in found["brokers"]] == list(NODES)
    assert ",".join(f"{b['host']}:{b['port']}" for b in found["brokers"]) == kafka.bootstrap
    assert [b["rack"] for b in found["brokers"]] == ["rack-1", "rack-2", "rack-3"]
    assert sum(b["leaders"] for b in found["brokers"]) >= PARTITIONS
    for b in found["brokers"]:
        assert (b["error"], b["version"]) == (None, None)
        assert b["replicas"] >= PARTITIONS
        (folder,) = b["logDirs"]
        assert folder["path"] == str(kafka.data(b["id"]))
        assert (int(folder["bytes"]) > 600 * 20, folder["error"]) == (True, None)
        assert int(folder["total"]) >= int(folder["usable"]) > 0
    quorum = found["quorum"]
    assert [v["id"] for v in quorum["voters"]] == list(NODES)
    assert quorum["leader"] in NODES
    assert found["controller"] == quorum["leader"]
    assert int(quorum["highWatermark"]) > 0
    assert all(int(v["lag"]) >= 0 for v in quorum["voters"])
    features = {one["name"]: one for one in found["features"]}
    assert features["metadata.version"]["finalized"] >= 30
    assert features["share.version"]["finalized"] == 1


def test_a_broker_is_configured_and_back(console: Console) -> None:
    key, paths = "log.cleaner.threads", [f"{APACHE}/brokers/{node}/configs" for node in NODES]

    def values() -> list[tuple[str, str]]:
        return [value_of(done(console.get(path))["configs"], key) for path in paths]

    before = ("1", "DEFAULT_CONFIG")
    assert values() == [before] * 3
    tried = done(console.post(paths[1], {"set": {key: "2"}, "validateOnly": True}))
    assert "--entity-type brokers --entity-name 2" in tried["command"]
    assert values() == [before] * 3
    done(console.post(paths[1], {"set": {key: "2"}}))
    until(lambda: values() == [before, ("2", "DYNAMIC_BROKER_CONFIG"), before])
    done(console.post(paths[1], {"delete": [key]}))
    until(lambda: values() == [before] * 3)
    wrong = console.post(paths[0], {"set": {"log.dirs": "/x"}})
    assert (wrong.status, wrong.json["error"]) == (502, "kafka")
    secret = [c for c in done(console.get(paths[0]))["configs"] if c["sensitive"]]
    assert secret
    assert {c["value"] for c in secret} == {None}


# --- topics -------------------------------------------------------------------------------------------------


def test_a_topic_on_three_nodes(console: Console, spread: tuple[str, Known]) -> None:
    name, known = spread
    row = next(r for r in console.get(f"{APACHE}/topics").json["topics"] if r["name"] == name)
    assert (row["partitions"], row["replication"], row["underReplicated"], row["offline"]) == (PARTITIONS, 3, 0, 0)
    found = detail(console, name)
    assert found["id"] == row["id"]
    assert len({p["leader"] for p in found["partitions"]}) == 3
    for p in found["partitions"]:
        assert sorted(p["replicas"]) == sorted(p["isr"]) == list(NODES)
        assert (p["begin"], p["end"], p.get("error")) == ("0", str(sum(at[1] == p["id"] for at in known)), None)
        assert int(p["bytes"]) > 0 or p["end"] == "0"
    assert value_of(found["configs"], "retention.ms") == ("-1", "DYNAMIC_TOPIC_CONFIG")
    assert value_of(found["configs"], "min.insync.replicas") == ("2", "DYNAMIC_DEFAULT_BROKER_CONFIG")
    summary = done(console.ask("POST", f"{APACHE}/topics/summary", {"names": [name, "missing"]}))["topics"]
    assert (summary[name]["records"], summary[name]["cleanup"], summary[name]["error"]) == ("600", "delete", None)
    assert int(summary[name]["bytes"]) == sum(int(p["bytes"]) for p in found["partitions"])
    assert summary["missing"]["error"]
    assert console.get(f"{APACHE}/topics/missing").status == 404


def test_a_topic_from_its_making_to_its_end(console: Console, kafka: ThreeNodes) -> None:
    path, name = f"{APACHE}/topics", "made.here"
    new = {"name": name, "partitions": 3, "replication": 2, "configs": {"cleanup.policy": "compact"}}
    assert console.post(path, {**new, "validateOnly": True}).status == 200
    assert name not in names(console)
    made = done(console.post(path, new), 201)
    assert f"--command-config {kafka.command_config('client')}" in made["command"]
    until(lambda: name in names(console))
    assert console.post(path, new).status == 409
    assert console.post(path, {**new, "replication": 4, "name": "x"}).json["code"] == "INVALID_REPLICATION_FACTOR"
    done(console.post(f"{path}/{name}/configs", {"set": {"segment.ms": "98765"}, "delete": ["cleanup.policy"]}))
    until(lambda: value_of(detail(console, name)["configs"], "segment.ms") == ("98765", "DYNAMIC_TOPIC_CONFIG"))
    assert value_of(detail(console, name)["configs"], "cleanup.policy")[0] == "delete"
    done(console.post(f"{path}/{name}/partitions", {"count": 5, "validateOnly": True}))
    done(console.post(f"{path}/{name}/partitions", {"count": 5}))
    until(lambda: [p["id"] for p in detail(console, name)["partitions"]] == list(range(5)))
    assert console.post(f"{path}/{name}/partitions", {"count": 2}).json["code"] == "INVALID_PARTITIONS"
    done(console.change("DELETE", f"{path}/{name}"))
    until(lambda: name not in names(console))
    assert console.change("DELETE", f"{path}/{name}").status == 404


def test_records_are_purged_on_every_leader(console: Console, kafka: ThreeNodes) -> None:
    name = "purged"
    make(console, name, 3)
    producer = Producer(kafka.client)
    for number in range(30):
        producer.produce(name, f"{number}", partition=number % 3)
    assert producer.flush(SECONDS) == 0
    order = {"before": {"0": "4", "1": "end", "2": "0"}}
    shown = done(console.post(f"{APACHE}/topics/{name}/purge", {**order, "preview": True}))
    rows = [(p["id"], p["begin"], p["end"], p["after"]) for p in shown["partitions"]]
    assert rows == [(0, "0", "10", "4"), (1, "0", "10", "10"), (2, "0", "10", "0")]
    assert {p["begin"] for p in detail(console, name)["partitions"]} == {"0"}
    assert done(console.post(f"{APACHE}/topics/{name}/purge", {**order, "preview": False})) == shown
    until(lambda: [p["begin"] for p in detail(console, name)["partitions"]] == ["4", "10", "0"])
    assert console.post(f"{APACHE}/topics/{name}/purge", {"before": {"0": "11"}}).status == 400
    done(console.change("DELETE", f"{APACHE}/topics/{name}"))


# --- records ------------------------------------------------------------------------------------------------


def read(console: Console, topic: str, **query: object) -> Answer:
    answer = console.get(f"{APACHE}/topics/{topic}/messages", **query)
    assert answer.status == 200, answer.body
    end = answer.lines[-1]
    assert (end["t"], end["errors"], end["lastError"]) == ("end", 0, None)
    return answer


def places(answer: Answer) -> list[tuple[int, int]]:
    return [(record["partition"], int(record["offset"])) for record in answer.records]


def test_every_way_to_seek(console: Console, spread: tuple[str, Known]) -> None:
    topic, known = spread
    newest = [(p, offset) for _, p, offset in sorted(known, reverse=True)]
    assert places(read(console, topic, limit=50)) == newest[:50]
    first = read(console, topic, limit=400)
    at = ",".join(f"{p}:{offset}" for p, offset in first.lines[-1]["next"].items())
    assert places(first) + places(read(console, topic, limit=400, at=at)) == newest
    oldest = read(console, topic, from_="oldest", limit=1000)
    assert sorted(places(oldest)) == sorted(newest)
    assert oldest.lines[-1]["reason"] == "end"
    some = read(console, topic, from_="offset", offset=40, partitions="0,1", limit=1000)
    assert set(places(some)) == {(p, offset) for _, p, offset in known if p < 2 and offset >= 40}
    later = read(console, topic, from_="time", time=BEGIN + 5000, limit=1000)
    assert set(places(later)) == {(p, offset) for time, p, offset in known if time >= BEGIN + 5000}
    record = places(read(console, topic, where=f"value.big == {2**53 + 77}", from_="oldest"))
    assert record == [known[77][1:]]
    (one,) = read(console, topic, text='"n": 78').records
    (header,) = one["headers"]
    assert (one["key"]["text"], header["name"], header["value"]["text"]) == ("k3", "source", "test")


def test_one_record_and_its_bytes(console: Console, spread: tuple[str, Known]) -> None:
    topic, known = spread
    _, p, offset = known[100]
    path = f"{APACHE}/topics/{topic}/messages/{p}/{offset}"
    assert json.loads(done(console.get(path))["value"]["text"]) == {"n": 100, "big": 2**53 + 100}
    assert console.get(path, part="key", raw=1).body == b"k0"
    assert console.get(f"{APACHE}/topics/{topic}/messages/{p}/600").status == 404


def test_export(console: Console, spread: tuple[str, Known]) -> None:
    topic, known = spread
    path, query = f"{APACHE}/topics/{topic}/export", {"from_": "oldest", "limit": 1000}
    exported = json.loads(console.get(path, format="json", **query).body)
    assert sorted((r["partition"], int(r["offset"])) for r in exported) == sorted(at[1:] for at in known)
    table = list(csv.DictReader(io.StringIO(console.get(path, format="csv", **query).body.decode())))
    assert sorted(json.loads(row["value"])["n"] for row in table) == list(range(600))


def test_what_is_written_comes_live(console: Console, kafka: ThreeNodes) -> None:
    name = "live"
    make(console, name, 3)
    path = f"{APACHE}/topics/{name}/messages"
    with console.open("GET", path, from_="live") as stream:
        assert json.loads(stream.readline())["t"] == "progress"
        written = [
            done(console.post(path, {
                "partition": p, "key": {"kind": "text", "data": f"key {p}"},
                "value": {"kind": "null"} if p == 2 else {"kind": "text", "data": json.dumps({"p": p})},
                "headers": [{"name": "h", "value": {"kind": "hex", "data": "00ff"}}], "timestamp": str(BEGIN + p),
            }), 201)
            for p in range(3)
        ]
        found: list[dict[str, Any]] = []
        while len(found) < 3:
            line = json.loads(stream.readline())
            found += [line] if line["t"] == "record" else []
    assert [(w["partition"], w["offset"]) for w in written] == [(p, "0") for p in range(3)]
    assert sorted((r["partition"], r["key"]["text"], r["value"]["kind"], r["timestamp"]) for r in found) == [
        (0, "key 0", "json", f"{BEGIN}"), (1, "key 1", "json", f"{BEGIN + 1}"), (2, "key 2", "null", f"{BEGIN + 2}")
    ]
    consumer = Consumer({**kafka.client, "group.id": "nobody", "enable.auto.commit": False})
    consumer.assign([TopicPartition(name, 2, 0)])
    (tombstone,) = consumer.consume(1, SECONDS)
    assert (tombstone.value(), tombstone.key(), tombstone.headers()) == (None, b"key 2", [("h", b"\x00\xff")])
    consumer.close()
    done(console.change("DELETE", f"{APACHE}/topics/{name}"))


# --- access -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("acl", [
    {"resourceType": "TOPIC", "resourceName": "spread", "patternType": "LITERAL", "principal": "User:alice",
     "host": "*", "operation": "READ", "permission": "ALLOW"},
    {"resourceType": "GROUP", "resourceName": "team-", "patternType": "PREFIXED", "principal": "User:bob",
     "host": "10.0.0.1", "operation": "DESCRIBE", "permission": "DENY"},
    {"resourceType": "CLUSTER", "resourceName": "kafka-cluster", "patternType": "LITERAL", "principal": "User:alice",
     "host": "*", "operation": "ALTER_CONFIGS", "permission": "ALLOW"},
])
def test_acls(console: Console, acl: dict[str, str]) -> None:
    path = f"{APACHE}/acls"

    def listed() -> list[dict[str, str]]:
        answer = done(console.get(path))
        assert answer["supported"]
        found: list[dict[str, str]] = answer["acls"]
        return found

    assert acl not in listed()
    assert "--add" in done(console.post(path, acl))["command"]
    until(lambda: acl in listed())
    assert "--remove" in done(console.change("DELETE", path, acl))["command"]
    until(lambda: acl not in listed())
    assert console.change("DELETE", path, acl).status == 404


@pytest.mark.parametrize("entity", [
    [{"type": "user", "name": "alice"}], [{"type": "user", "name": None}, {"type": "client-id", "name": "a b"}],
    [{"type": "ip", "name": "10.0.0.1"}],
])
def test_quotas(console: Console, entity: list[dict[str, Any]]) -> None:
    path = f"{APACHE}/quotas"
    keys = ["connection_creation_rate"] if entity[0]["type"] == "ip" else ["producer_byte_rate", "consumer_byte_rate"]

    def listed() -> list[dict[str, float]]:
        order = {"user": 0, "client-id": 1, "ip": 2}
        return [
            quota["values"] for quota in done(console.get(path))["quotas"]
            if sorted(quota["entity"], key=lambda one: order[one["type"]]) == entity
        ]

    assert listed() == []
    done(console.post(path, {"entity": entity, "set": dict.fromkeys(keys, 1024)}))
    until(lambda: listed() == [dict.fromkeys(keys, 1024.0)])
    done(console.post(path, {"entity": entity, "set": {keys[0]: 2048}, "delete": keys[1:]}))
    until(lambda: listed() == [{keys[0]: 2048.0}])
    done(console.post(path, {"entity": entity, "delete": keys[:1]}))
    until(lambda: listed() == [])


def test_a_user_signs_in_and_is_gone(console: Console, kafka: ThreeNodes) -> None:
    path = f"{APACHE}/users"
    alice = {"name": "alice", "mechanism": "SCRAM-SHA-256", "iterations": 8192}

    def listed() -> dict[str, list[tuple[str, int]]]:
        return {
            user["name"]: [(m["name"], m["iterations"]) for m in user["mechanisms"]]
            for user in done(console.get(path))["users"]
        }

    assert listed() == {"admin": [("SCRAM-SHA-256", 4096)]}
    answer = done(console.post(path, {**alice, "password": "her, own = pass"}))
    assert "her, own" not in json.dumps(answer)
    until(lambda: listed() == {"admin": [("SCRAM-SHA-256", 4096)], "alice": [("SCRAM-SHA-256", 8192)]})
    # she may see no topic; that she sees none, and no error, says that she has signed in
    client = AdminClient({**kafka.client, "sasl.username": "alice", "sasl.password": "her, own = pass"})
    assert client.list_topics(timeout=SECONDS).topics == {}
    done(console.change("DELETE", path, alice))
    until(lambda: "alice" not in listed())
    gone = console.change("DELETE", path, alice)
    assert (gone.status, gone.json["error"]) == (404, "not_found")


def test_a_wrong_password_is_said_and_the_other_cluster_goes_on(kafka: ThreeNodes, broker: Broker) -> None:
    with Console(
        "--cluster", f"apache={kafka.bootstrap}", "--command-config",
        f"apache={kafka.command_config('wrong', 'not-it')}", "--cluster", f"barnabas={broker.bootstrap}",
    ) as console:
        apache, barnabas = console.get("/clusters").json["clusters"]
        assert (apache["state"], barnabas["state"]) == ("down", "up")
        assert "Authentication failed" in apache["message"]
        for path in ("topics", "groups", "brokers", "acls", "quotas", "users"):
            answer = console.get(f"{APACHE}/{path}")
            assert (answer.status, answer.json["error"]) == (503, "unreachable"), answer.body
            assert "Authentication failed" in answer.json["message"]
        scan = console.get(f"{APACHE}/topics/any/messages")
        assert "Authentication failed" in scan.body.decode()
        assert console.get("/clusters/barnabas/topics").status == 200
