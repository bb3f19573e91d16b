"""The pages in Chromium, over the secured three nodes: they load with data, and the browser complains of nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka import Producer
from members import member, run, share_member, streams_members, write
from tests.console.site import SECONDS, Console, until
from three_nodes import NODES, ThreeNodes
from topics import APACHE, done, make, names

ACL = {
    "resourceType": "TOPIC", "resourceName": "seen", "patternType": "LITERAL", "principal": "User:carol", "host": "*",
    "operation": "READ", "permission": "ALLOW",
}
QUOTA = [{"type": "user", "name": "carol"}]
USER = {"name": "carol", "mechanism": "SCRAM-SHA-256"}


@pytest.fixture(scope="module")
def filled(console: Console, kafka: ThreeNodes) -> Iterator[None]:
    """Have topics, a group of each kind with members, an ACL, a quota and a user."""
    make(console, "seen", 6, {"retention.ms": "-1"})
    producer = Producer(kafka.client)
    for number in range(90):
        producer.produce("seen", json.dumps({"n": number, "price": "12.50"}), f"key {number % 7}", partition=number % 6)
    assert producer.flush(SECONDS) == 0
    make(console, "worked", 3, {"retention.ms": "-1"})
    write(kafka, "worked", 10)
    done(console.post(f"{APACHE}/acls", ACL))
    done(console.post(f"{APACHE}/quotas", {"entity": QUOTA, "set": {"producer_byte_rate": 2048}}))
    done(console.post(f"{APACHE}/users", {**USER, "password": "a-password"}))
    with ExitStack() as stack:
        for protocol in ("classic", "consumer"):
            stack.enter_context(member(kafka, f"pages-{protocol}", "worked", protocol))
        stack.enter_context(share_member(kafka, "pages-share", "worked", 1000))
        stack.enter_context(streams_members(console, kafka, "pages-streams"))
        until(lambda: {(g["type"], g["state"]) for g in done(console.get(f"{APACHE}/groups"))["groups"]
                       if g["id"].startswith("pages-")}
              == {(kind, "Stable") for kind in ("classic", "consumer", "share", "streams")})
        yield
    done(console.change("DELETE", f"{APACHE}/acls", ACL))
    done(console.post(f"{APACHE}/quotas", {"entity": QUOTA, "delete": ["producer_byte_rate"]}))
    done(console.change("DELETE", f"{APACHE}/users", USER))
    for name in names(console):
        if name in ("seen", "worked") or name.startswith("pages-"):
            done(console.change("DELETE", f"{APACHE}/topics/{name}"))


@pytest.fixture
def see(page: Any, console: Console, filled: None, shot: Callable[[str], None]) -> Any:
    """Give what opens a page, waits for texts in rows or cards of it, and takes a picture."""
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * SECONDS)

    def look(path: str, *texts: str | re.Pattern[str]) -> Any:
        page.goto(f"http://127.0.0.1:{console.port}{path}")
        for text in texts:
            expect(page.locator("main").get_by_text(text).first).to_be_visible()
        expect(page.locator("h1")).to_be_visible()
        expect(page.get_by_text("loading", exact=True)).to_have_count(0)
        expect(page.get_by_label("not read yet")).to_have_count(0)
        expect(page.get_by_role("alert")).to_have_count(0)
        shot(path)
        return page

    return look


def row(page: Any, name: str) -> Any:
    return page.get_by_role("row", name=re.compile(rf"^{re.escape(name)}\b"))


def test_clusters(see: Any) -> None:
    from playwright.sync_api import expect

    page = see("/clusters", "apache", "barnabas")
    expect(page.locator("main li", has_text="3 brokers")).to_contain_text("streams groups")


def test_topics(see: Any) -> None:
    from playwright.sync_api import expect

    page = see("/c/apache/topics", "seen", "worked")
    expect(row(page, "seen")).to_have_text(re.compile(r"seen.*6.*3.*90", re.S))


def test_messages_and_partitions(see: Any) -> None:
    from playwright.sync_api import expect

    page = see("/c/apache/topics/seen/messages", re.compile("key 5"))
    expect(page.locator("tbody tr[data-index]").first).to_contain_text('"n": 89')
    page = see("/c/apache/topics/seen/partitions", "In sync")
    rows = page.locator("main tbody tr")
    expect(rows).to_have_count(6)
    leaders = {rows.nth(n).locator("td").nth(5).inner_text().strip() for n in range(6)}
    assert leaders == {str(node) for node in NODES}
    see("/c/apache/topics/seen/configs", "retention.ms")
    page = see("/c/apache/topics/worked/groups")
    expect(page.locator("main tbody tr[data-index]")).to_have_count(3)


@pytest.mark.parametrize(("kind", "lag", "protocol"), [
    ("classic", "9", "range"), ("consumer", "9", "uniform"), ("share", "", "simple"), ("streams", "0", "streams"),
])
def test_groups(see: Any, kind: str, lag: str, protocol: str) -> None:
    from playwright.sync_api import expect

    page = see("/c/apache/groups", f"pages-{kind}")
    expect(row(page, f"pages-{kind}")).to_have_text(re.compile(rf"{kind}.*Stable.*1.*{lag}", re.S))
    page = see(f"/c/apache/groups/pages-{kind}", protocol)
    facts = page.locator("dl.facts").first
    expect(facts).to_contain_text(kind)
    expect(facts).to_contain_text("Stable")
    expect(page.get_by_role("columnheader", name="Start" if kind == "share" else "Committed")).to_be_visible()
    expect(page.locator("tbody tr[data-index]")).to_have_count(5 if kind == "streams" else 3)
    expect(page.get_by_role("button", name="Reset offsets")).to_have_attribute("title", re.compile("stop"))
    topic = "pages-streams-in" if kind == "streams" else "worked"
    see(f"/c/apache/groups/pages-{kind}?tab=members", re.compile(topic))


def test_a_topic_is_made_and_a_share_group_is_reset(
    see: Any, console: Console, kafka: ThreeNodes, shot: Callable[[str], None]
) -> None:
    from playwright.sync_api import expect

    name = group = "by-the-page"
    page = see("/c/apache/topics")
    page.get_by_role("button", name="Create topic").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_label("Partitions").fill("3")
    dialog.get_by_label("Replicas of each").fill("3")
    dialog.get_by_role("button", name="Create topic").click()
    expect(page).to_have_url(re.compile(f"/topics/{name}"))
    expect(page.locator("main")).to_contain_text("3 partitions")
    reached = f"--bootstrap-server {kafka.bootstrap} --command-config {kafka.command_config('client')}"
    # What is written is years old: the retention would take it away whenever the brokers look.
    run(f"kafka-configs {reached} --alter --entity-type topics --entity-name {name} --add-config retention.ms=-1")
    run(f"kafka-configs {reached} --alter --entity-type groups --entity-name {group} "
        "--add-config share.auto.offset.reset=earliest")
    write(kafka, name, 5)
    with share_member(kafka, group, name, 15) as process:
        assert process.stdout is not None
        assert len(process.stdout.read().split()) == 15
    page = see(f"/c/apache/groups/{group}", "Empty", "0")
    expect(page.locator("tbody tr[data-index]")).to_have_count(3)
    page.get_by_role("button", name="Reset offsets").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("combobox", name="To").locator("option").evaluate_all("all => all.map(o => o.value)") == [
        "earliest", "latest", "time"
    ]
    dialog.get_by_role("button", name="Preview").click()
    rows = [re.compile(rf"{name}\s*{p}\s*\d\s*0.*read again", re.S) for p in range(3)]
    expect(dialog.locator("tbody tr")).to_have_text(rows)
    expect(dialog.locator(".command code")).to_contain_text("kafka-share-groups")
    shot("reset-share")
    dialog.get_by_role("button", name=re.compile("^Set")).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("dl.facts").first).to_contain_text("15")
    page.get_by_role("button", name="Delete group").click()
    command = page.get_by_role("dialog").locator(".command code")
    expect(command).to_have_text(
        f"kafka-share-groups --bootstrap-server {kafka.bootstrap} --command-config {kafka.command_config('client')} "
        f"--delete --group {group}"
    )
    page.get_by_role("dialog").get_by_role("button", name="Delete group").click()
    expect(page).to_have_url(re.compile("/groups$"))
    done(console.change("DELETE", f"{APACHE}/topics/{name}"))


def test_brokers_and_the_quorum(see: Any) -> None:
    from playwright.sync_api import expect

    page = see("/c/apache/brokers", "Broker 1", "Broker 2", "Broker 3", "controller")
    expect(page.get_by_text(re.compile("rack-2"))).to_be_visible()
    page = see("/c/apache/brokers?tab=quorum", "High watermark")
    expect(page.locator("main tbody tr")).to_have_count(3)
    expect(page.locator("main tbody tr", has_text="leader")).to_have_count(1)
    see("/c/apache/brokers?tab=features", "metadata.version")
    see("/c/apache/brokers?tab=configs&broker=2", "compression.type")


@pytest.mark.parametrize(("tab", "texts"), [
    ("acls", ("User:carol", "seen")), ("quotas", ("user carol", "producer_byte_rate = 2,048")),
    ("users", ("carol", "admin")),
])
def test_access(see: Any, tab: str, texts: tuple[str, ...]) -> None:
    see(f"/c/apache/access?tab={tab}", *texts)
