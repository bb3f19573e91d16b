"""One of the three nodes is killed and started again while the console runs. Runs in whatever order: it recovers."""

from __future__ import annotations

import json
from typing import Any

from confluent_kafka import Producer
from tests.console.site import SECONDS, Console, until
from three_nodes import NODES, ThreeNodes
from topics import APACHE, detail, done, make, names

PATIENCE = 90.0
"""Seconds for a broker's session to end, or for a node that starts to catch up."""


def row(console: Console, topic: str) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in done(console.get(f"{APACHE}/topics"))["topics"] if r["name"] == topic)
    return found


def values(console: Console, topic: str) -> list[int]:
    """Return what all records hold, in order."""
    answer = console.get(f"{APACHE}/topics/{topic}/messages", from_="oldest", limit=1000)
    assert answer.status == 200, answer.body
    end = answer.lines[-1]
    assert (end["t"], end["reason"]) == ("end", "end"), end
    return sorted(json.loads(record["value"]["text"]) for record in answer.records)


def test_a_node_is_killed_and_comes_back(console: Console, kafka: ThreeNodes) -> None:
    topic = "kept"
    make(console, topic, 6)
    producer = Producer({**kafka.client, "partitioner": "random", "delivery.timeout.ms": 60_000})

    def write(numbers: range) -> None:
        for number in numbers:
            producer.produce(topic, str(number), partition=number % 6)
        assert producer.flush(2 * SECONDS) == 0

    write(range(60))
    make(console, "gone", 3)
    for p in range(3):  # one on each node
        record = {"partition": p, "value": {"kind": "text", "data": "x"}}
        done(console.post(f"{APACHE}/topics/gone/messages", record), 201)
    done(console.change("DELETE", f"{APACHE}/topics/gone"))
    victim = next(node for node in NODES if node != done(console.get(f"{APACHE}/brokers"))["controller"])
    led = [p["id"] for p in detail(console, topic)["partitions"] if p["leader"] == victim]
    assert led
    with console.open("GET", f"{APACHE}/topics/{topic}/messages", from_="live") as stream:
        assert json.loads(stream.readline())["t"] == "progress"
        kafka.kill(victim)
        try:
            until(lambda: row(console, topic)["underReplicated"] == 6, PATIENCE)
            assert row(console, topic)["offline"] == 0
            apache, barnabas = console.get("/clusters").json["clusters"]
            assert (apache["state"], apache["brokers"], barnabas["state"]) == ("up", 2, "up")
            for p in detail(console, topic)["partitions"]:
                assert p["leader"] not in (victim, -1)
                assert (sorted(p["replicas"]), victim in p["isr"], len(p["isr"])) == (list(NODES), False, 2)
                assert (p["end"], p["error"]) == ("10", None)
            found = done(console.get(f"{APACHE}/brokers"))
            assert sorted(b["id"] for b in found["brokers"]) == sorted({*NODES} - {victim})
            assert [v["id"] for v in found["quorum"]["voters"]] == list(NODES)
            assert values(console, topic) == list(range(60))
            for page in ("groups", "acls", "quotas", "users"):
                done(console.get(f"{APACHE}/{page}"))
            write(range(60, 120))
            written = done(console.post(f"{APACHE}/topics/{topic}/messages", {
                "partition": led[0], "value": {"kind": "text", "data": "120"}
            }), 201)
            assert (written["partition"], written["offset"]) == (led[0], "20")
            came: set[int] = set()
            while len(came) < 61:  # the live tail went on through the change of leaders
                line = json.loads(stream.readline())
                if line["t"] == "record":
                    came.add(int(line["value"]["text"]))
                assert line["t"] != "end", line
            assert came == set(range(60, 121))
            assert values(console, topic) == list(range(121))
        finally:
            kafka.start(victim)
    until(lambda: row(console, topic)["underReplicated"] == 0, PATIENCE)
    until(lambda: {b["id"] for b in done(console.get(f"{APACHE}/brokers"))["brokers"]} == {*NODES}, PATIENCE)
    until(lambda: all(b["error"] is None for b in done(console.get(f"{APACHE}/brokers"))["brokers"]), PATIENCE)
    assert all(sorted(p["isr"]) == list(NODES) for p in detail(console, topic)["partitions"])
    assert values(console, topic) == list(range(121))
    assert console.get("/clusters").json["clusters"][0]["brokers"] == 3
    assert "gone" not in names(console)  # no client of the console asked for it again, which would have made it anew
    done(console.change("DELETE", f"{APACHE}/topics/{topic}"))
