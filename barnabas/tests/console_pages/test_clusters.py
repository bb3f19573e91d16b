"""Brokers, access, several clusters, sign-in, read-only."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from barnabas.embedded import Broker
from testkit.ports import free_port

from .running import Console

pytestmark = pytest.mark.pages


def test_brokers_quorum_features_and_configs(page: Any, console: Console, broker: Broker) -> None:
    from playwright.sync_api import expect

    page.goto(console.to("brokers"))
    expect(page.get_by_role("heading", name=re.compile("Broker 1"))).to_be_visible()
    expect(page.locator("main")).to_contain_text(broker.bootstrap)
    expect(page.get_by_role("row").filter(has_text=str(broker.data))).to_be_visible()
    page.get_by_role("link", name="Quorum").click()
    expect(page.get_by_role("row", name=re.compile("leader"))).to_be_visible()
    page.get_by_role("link", name="Features").click()
    expect(page.get_by_role("row", name=re.compile("metadata.version"))).to_be_visible()
    page.get_by_role("link", name="Configs").click()
    page.get_by_label("Filter configs").fill("log.retention.ms")
    expect(page.get_by_role("button", name="log.retention.ms")).to_be_visible()
    page.get_by_role("button", name="log.retention.ms").click()
    expect(page.get_by_role("dialog")).to_contain_text("Type")


def test_a_broker_without_access_control_says_so(page: Any, console: Console) -> None:
    from playwright.sync_api import expect

    page.goto(console.to("access"))
    expect(page.get_by_text("This broker has no ACLs")).to_be_visible()
    page.get_by_role("link", name="Quotas").click()
    expect(page.get_by_text("This broker has no quotas")).to_be_visible()
    page.get_by_role("link", name="Users").click()
    expect(page.get_by_text("This broker has no users")).to_be_visible()


def test_several_clusters_and_one_that_is_down(page: Any, broker: Broker, beside: ExitStack, watched: Any) -> None:
    from playwright.sync_api import expect

    watched.expected = tuple(f"Failed to load resource: the server responded with a status of {n}" for n in (503, 404))
    broker.create_topic("here", partitions=1)
    other = beside.enter_context(Broker(process=True))
    console = beside.enter_context(
        Console([f"local={broker.bootstrap}", f"other={other.bootstrap}", f"gone=127.0.0.1:{free_port()}"])
    )
    other.create_topic("there", partitions=1)
    page.goto(console.url)
    expect(page.locator("li.card")).to_have_count(3)
    expect(page.locator("li.card", has_text="gone")).to_contain_text("down")
    page.get_by_role("link", name="local").click()
    expect(page.get_by_role("link", name="here")).to_be_visible()
    page.get_by_role("combobox", name="Cluster").select_option("other")
    expect(page).to_have_url(re.compile("/c/other/topics$"))
    expect(page.get_by_role("link", name="there")).to_be_visible()
    expect(page.get_by_role("link", name="here", exact=True)).to_have_count(0)
    page.get_by_role("combobox", name="Cluster").select_option("gone")
    expect(page.get_by_text("cluster down")).to_be_visible()
    page.goto(f"{console.url}/c/nowhere/topics")
    expect(page.get_by_role("heading", name="No such cluster")).to_be_visible()


def test_read_only_buttons_say_why(page: Any, broker: Broker, beside: ExitStack) -> None:
    from playwright.sync_api import expect

    broker.create_topic("kept", partitions=1)
    console = beside.enter_context(Console([f"local={broker.bootstrap}"], "--read-only"))
    page.goto(console.to("topics"))
    expect(page.get_by_text("read-only", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="kept")).to_be_visible()
    button = page.get_by_role("button", name="Create topic")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_attribute("title", re.compile("--read-only"))
    button.click(force=True)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(console.to("topics", "kept", "actions"))
    for name in ("Review", "Review the purge", "Delete topic"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-disabled", "true")


def test_signing_in_and_out(page: Any, broker: Broker, beside: ExitStack, tmp_path: Path, watched: Any) -> None:
    bcrypt = pytest.importorskip("bcrypt", reason="bcrypt is not installed")
    from playwright.sync_api import expect

    watched.expected = ("Failed to load resource: the server responded with a status of 401",)
    users = tmp_path / "users"
    users.write_text("alice:" + bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode() + "\n")
    console = beside.enter_context(Console([f"local={broker.bootstrap}"], "--users", str(users)))
    page.goto(console.to("topics"))
    page.get_by_label("User").fill("alice")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill("open sesame")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Topics")).to_be_visible()
    page.get_by_role("button", name="Create topic").first.click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("by-alice")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("by-alice"))  # the token of the session was taken
    page.get_by_role("button", name="Sign out alice").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(console.to("groups"))
    expect(page.get_by_label("Password")).to_be_visible()
