"""Make and describe topics of the secured three nodes through the console."""

from __future__ import annotations

from typing import Any

from tests.console.site import Answer, Console, until
from three_nodes import NODES

APACHE = "/clusters/apache"


def done(answer: Answer, status: int = 200) -> Any:
    """Return the document of an answer that is none of an error."""
    assert answer.status == status, answer.body
    return answer.json


def detail(console: Console, topic: str) -> dict[str, Any]:
    """Describe a topic."""
    found: dict[str, Any] = done(console.get(f"{APACHE}/topics/{topic}"))
    return found


def names(console: Console) -> list[str]:
    """Return the names of all topics."""
    return [row["name"] for row in console.get(f"{APACHE}/topics").json["topics"]]


def make(console: Console, name: str, partitions: int, configs: dict[str, str] | None = None) -> Any:
    """Make a topic of three replicas; return the answer once each broker that is asked knows it."""
    answer = done(console.post(f"{APACHE}/topics", {
        "name": name, "partitions": partitions, "replication": 3, "configs": configs or {}
    }), 201)

    def known() -> bool:
        found = [console.get(f"{APACHE}/topics/{name}") for _ in NODES]
        return all(
            one.status == 200 and [p for p in one.json["partitions"] if p["leader"] in NODES and len(p["isr"]) == 3]
            == one.json["partitions"] for one in found
        )

    until(known)
    return answer
