"""Groups on the page: list, members, lag, a reset that does what its preview said, deletion."""

from __future__ import annotations

import re
from typing import Any

import pytest

from barnabas.embedded import Broker

from .running import Console, Produced, asked, commit

pytestmark = pytest.mark.pages

BEYOND = 9_007_199_254_740_993


def committed(bootstrap: str, group: str, topic: str, partition: int) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        found: int = consumer.committed([TopicPartition(topic, partition)], timeout=10)[0].offset
        return found
    finally:
        consumer.close()


def test_offsets_are_reset_as_the_preview_said_and_the_group_is_deleted(
    page: Any, console: Console, broker: Broker, records: Produced
) -> None:
    from playwright.sync_api import expect

    broker.create_topic("read", partitions=2)
    records("read", [b"x"] * 10, partition=0)
    records("read", [b"x"] * 5, partition=1)
    commit(broker.bootstrap, "readers", "read", {0: 7, 1: 5})
    page.goto(console.to("groups"))
    row = page.get_by_role("row", name=re.compile("^readers"))
    expect(row).to_have_text(re.compile(r"Empty.*3$", re.S))  # the lag, filled in later
    page.get_by_role("link", name="readers").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("readers"))
    expect(page.locator("tbody tr[data-index]")).to_have_count(2)

    page.get_by_role("button", name="Reset offsets").click()
    dialog = page.get_by_role("dialog")
    apply = dialog.get_by_role("button", name=re.compile("^Set"))
    expect(apply).to_have_attribute("aria-disabled", "true")
    dialog.get_by_role("combobox", name="To").select_option("shift")
    dialog.get_by_label("By", exact=True).fill("-2")
    dialog.get_by_role("button", name="Preview").click()
    rows = dialog.locator("tbody tr")
    expect(rows).to_have_text([re.compile(r"read\s*0\s*7\s*5\s*-2"), re.compile(r"read\s*1\s*5\s*3\s*-2")])
    expect(dialog.locator("code")).to_contain_text("--reset-offsets --shift-by -2")
    dialog.get_by_label("By", exact=True).fill("-3")  # another choice: the preview goes
    expect(rows).to_have_count(0)
    dialog.get_by_role("button", name="Preview").click()
    expect(rows).to_have_count(2)
    apply.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert committed(broker.bootstrap, "readers", "read", 0) == 4
    assert committed(broker.bootstrap, "readers", "read", 1) == 2
    expect(page.locator("tbody tr[data-index]").first).to_contain_text("4")
    expect(page.get_by_text("growing").first).to_be_visible()  # since the page was opened

    page.get_by_role("button", name="Delete group").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".command code")).to_contain_text("--delete --group readers")
    dialog.get_by_role("button", name="Delete group").click()
    expect(page).to_have_url(re.compile("/groups$"))
    expect(page.get_by_role("link", name="readers")).to_have_count(0)


def test_a_preview_that_comes_late_is_none_of_the_choice_that_was_made_meanwhile(
    page: Any, console: Console, broker: Broker, records: Produced
) -> None:
    from playwright.sync_api import expect

    broker.create_topic("late", partitions=1)
    records("late", [b"x"] * 10)
    commit(broker.bootstrap, "hasty", "late", {0: 7})
    page.goto(console.to("groups", "hasty"))
    page.get_by_role("button", name="Reset offsets").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="To").select_option("offset")
    waiting: list[Any] = []
    page.route("**/offsets", lambda route: waiting.append(route), times=1)
    dialog.get_by_label("Offset", exact=True).fill("5")
    dialog.get_by_role("button", name="Preview").click()
    dialog.get_by_label("Offset", exact=True).fill("2")
    expect(dialog.get_by_role("button", name="Preview")).to_have_attribute("title", "The cluster is being asked.")
    asked(page, waiting)
    with page.expect_response("**/offsets"):
        waiting[0].continue_()
    expect(dialog.get_by_role("button", name="Preview")).not_to_have_attribute("aria-disabled", "true")
    apply = dialog.get_by_role("button", name=re.compile("^Set"))
    expect(apply).to_have_attribute("aria-disabled", "true")
    rows = dialog.locator("tbody tr")
    expect(rows).to_have_count(0)
    dialog.get_by_label("Offset", exact=True).fill("5")  # what was previewed: it stands there again
    expect(rows).to_have_text([re.compile(r"late\s*0\s*7\s*5\s*-2")])
    apply.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert committed(broker.bootstrap, "hasty", "late", 0) == 5


def test_a_group_with_members_says_why_it_cannot_be_reset(page: Any, console: Console, broker: Broker) -> None:
    from confluent_kafka import Consumer
    from playwright.sync_api import expect

    broker.create_topic("busy", partitions=3)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "workers", "client.id": "worker-1"})
    consumer.subscribe(["busy"])
    try:
        assert consumer.poll(10) is None or True
        page.goto(console.to("groups", "workers", query="tab=members"))
        expect(page.get_by_role("heading", name="worker-1")).to_be_visible()
        expect(page.locator("li")).to_contain_text("busy: 0, 1, 2")
        button = page.get_by_role("button", name="Reset offsets")
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("title", "The group has 1 member: stop it first.")
        button.click(force=True)
        expect(page.get_by_role("dialog")).to_have_count(0)
    finally:
        consumer.close()


def test_the_topic_names_its_groups_and_offsets_beyond_a_float_are_exact(
    page: Any, console: Console, broker: Broker
) -> None:
    from playwright.sync_api import expect

    broker.create_topic("far", partitions=1)
    commit(broker.bootstrap, "far-ahead", "far", {0: BEYOND})
    page.goto(console.to("topics", "far", "groups"))
    page.get_by_role("link", name="far-ahead").click()
    expect(page.locator("tbody tr[data-index]")).to_contain_text(str(BEYOND))
