"""The console or the broker goes away while a page is open: it says so, keeps its data, and recovers by itself."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

import pytest

from barnabas.embedded import Broker
from testkit.ports import free_port

from .running import Console, produce

pytestmark = pytest.mark.pages

GONE = ("Failed to load resource",)


@pytest.fixture
def own_console(broker: Broker, beside: ExitStack) -> Console:
    return beside.enter_context(Console([f"local={broker.bootstrap}"]))


def test_a_list_is_marked_stale_and_recovers(page: Any, own_console: Console, broker: Broker, watched: Any) -> None:
    from playwright.sync_api import expect

    watched.expected = GONE
    broker.create_topic("stays", partitions=1)
    page.goto(own_console.to("topics", "stays", "partitions"))
    row = page.locator("tbody tr[data-index]")
    expect(row).to_have_count(1)
    own_console.kill()
    stale = page.locator("main [data-state=stale]")
    expect(stale).to_be_visible(timeout=20_000)
    expect(page.locator("main")).to_contain_text("The console does not answer")
    expect(row).to_have_count(1)  # what was read stays
    own_console.start()
    expect(stale).to_have_count(0, timeout=20_000)
    expect(page.locator("main [data-state=fresh]").first).to_be_visible()

    # The console that was started anew has other tokens: a write still works.
    page.get_by_role("link", name="Actions").click()
    page.get_by_label("Partitions altogether").fill("2")
    page.get_by_role("button", name="Review", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Add partitions").click()
    expect(page.get_by_text("stays has 2 partitions now")).to_be_visible()


def test_a_live_view_connects_again(page: Any, own_console: Console, broker: Broker, watched: Any) -> None:
    from playwright.sync_api import expect

    watched.expected = GONE
    write = produce(broker.bootstrap)
    broker.create_topic("tail", partitions=1)
    page.goto(own_console.to("topics", "tail", "messages", query="from=live"))
    expect(page.locator(".status [data-state=running]")).to_be_visible()
    expect(page.locator(".status")).to_contain_text("records read")
    write("tail", [b"one"])
    rows = page.locator("tbody tr[data-index]")
    expect(rows).to_have_count(1)
    own_console.kill()
    expect(page.locator(".status [data-state=waiting]")).to_be_visible()
    expect(page.locator(".status")).to_contain_text("Trying again")
    expect(rows).to_have_count(1)
    own_console.start()
    expect(page.locator(".status [data-state=running]")).to_be_visible(timeout=20_000)
    expect(page.locator(".status .notice")).to_contain_text("What came in between is not shown", timeout=20_000)
    write("tail", [b"two"])
    expect(rows).to_have_count(2)


def test_the_broker_goes_and_comes_back(page: Any, beside: ExitStack, watched: Any) -> None:
    from playwright.sync_api import expect

    watched.expected = GONE
    broker = beside.enter_context(Broker(listen=f"127.0.0.1:{free_port()}", process=True))
    console = beside.enter_context(Console([f"local={broker.bootstrap}"]))
    broker.create_topic("stays", partitions=1)
    page.goto(console.to("topics", "stays", "partitions"))
    row = page.locator("tbody tr[data-index]")
    expect(row).to_have_count(1)
    broker.kill()
    expect(page.get_by_text("cluster down")).to_be_visible(timeout=20_000)
    expect(page.get_by_text(re.compile("local does not answer at"))).to_be_visible()
    expect(page.locator("main [data-state=stale]")).to_be_visible(timeout=30_000)
    expect(row).to_have_count(1)
    broker.restart()
    expect(page.get_by_text("cluster down")).to_have_count(0, timeout=30_000)
    expect(page.locator("main [data-state=fresh]").first).to_be_visible(timeout=30_000)
