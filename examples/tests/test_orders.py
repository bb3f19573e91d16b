"""Run the orders: stock is given out once, also after a restart or a lost offset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

Run = Callable[..., list[str]]
Unique = Callable[[str], str]


def test_orders_are_decided_once(run: Run, unique: Unique, bootstrap: str, tmp_path: Path) -> None:
    """Four pieces of tea serve two orders of two; the third is rejected; nothing is decided a second time."""
    orders, events = unique("orders"), unique("order-events")
    admin = AdminClient({"bootstrap.servers": bootstrap})
    # One partition, so that the orders are decided as they were placed.
    for made in admin.create_topics([NewTopic(orders, 1, 1), NewTopic(events, 3, 1)]).values():
        made.result(30)
    placed = run("orders/place.py", "--topic", orders, "--product", "tea", "--quantity", "2", "--count", "3")
    assert len(set(placed)) == 3

    def fulfil(group: str) -> list[str]:
        topics = ("--orders", orders, "--events", events, "--group", unique(group))
        return run("orders/fulfil.py", *topics, "--stock", "tea=4", "--once")

    assert fulfil("one") == [
        f"accepted {placed[0]}: in stock",
        f"accepted {placed[1]}: in stock",
        f"rejected {placed[2]}: 0 left",
    ]
    # The same group has nothing new; a new group has lost every offset and sees each order again.
    assert fulfil("one") == []
    assert fulfil("two") == [f"known {order}" for order in placed]
    (later,) = run("orders/place.py", "--topic", orders, "--product", "coffee")
    assert fulfil("two") == [f"rejected {later}: 0 left"]


def test_an_order_that_was_not_placed_is_said(run: Run, unique: Unique) -> None:
    """A topic name that Kafka refuses ends in exit code 1, with no id printed."""
    assert run("orders/place.py", "--topic", "not a topic", code=1) == []
