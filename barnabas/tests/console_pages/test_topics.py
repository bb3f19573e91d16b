"""Topics on the page: list, create, filter, configs, partitions, purge, delete; everything by clicking and typing."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

import pytest

from barnabas.embedded import Broker

from .running import Console, Produced, asked

pytestmark = pytest.mark.pages


def test_a_topic_is_made_changed_purged_and_deleted(
    page: Any, console: Console, broker: Broker, records: Produced
) -> None:
    from playwright.sync_api import expect

    page.goto(console.to("topics"))
    page.get_by_role("button", name="Create topic").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("bad name")
    expect(dialog.locator("p", has_text="Names have letters")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill("orders")
    dialog.get_by_label("Partitions").fill("3")
    dialog.get_by_role("combobox", name="Clean-up policy").select_option("compact,delete")
    dialog.get_by_label("More configs").fill("max.message.bytes=2000000")
    command = dialog.locator("code").inner_text()
    assert "--create --topic orders --partitions 3" in command
    assert "--config cleanup.policy=compact,delete" in command
    dialog.get_by_role("button", name="Check only").click()
    expect(dialog.get_by_text("The cluster would make this topic")).to_be_visible()
    assert "orders" not in broker.topics()
    dialog.get_by_role("button", name="Create topic").click()
    expect(page).to_have_url(re.compile("/c/local/topics/orders/messages$"))
    expect(page.get_by_text("No record yet")).to_be_visible()

    # Configs: what is set stands out, an edit is reviewed, the default comes back.
    page.get_by_role("link", name="Configs").click()
    page.get_by_label("Only what is set").check()
    expect(page.get_by_role("button", name="cleanup.policy")).to_be_visible()
    expect(page.get_by_role("button", name="retention.ms")).to_have_count(0)
    page.get_by_label("Only what is set").uncheck()
    page.get_by_label("Filter configs").fill("retention.ms")
    page.get_by_role("button", name="retention.ms", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Value").fill("9007199254740993")
    dialog.get_by_role("button", name="Review the change").click()
    review = page.get_by_role("dialog")
    expect(review.get_by_text("604800000")).to_be_visible()  # before
    expect(review.locator("dd", has_text="9007199254740993")).to_be_visible()  # after, to the last digit
    expect(review.locator("code")).to_contain_text("--add-config retention.ms=9007199254740993")
    review.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("row", name=re.compile("retention.ms 9007199254740993"))).to_be_visible()

    # Partitions.
    page.get_by_role("link", name="Actions").click()
    page.get_by_label("Partitions altogether").fill("5")
    page.get_by_role("button", name="Review", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("dd")).to_have_text(["3 partitions", "5 partitions"])
    expect(dialog.locator("code")).to_contain_text("--partitions 5")
    dialog.get_by_role("button", name="Add partitions").click()
    expect(page.get_by_text("orders has 5 partitions now")).to_be_visible()

    # Purge, up to an offset of one partition.
    records("orders", [b"a", b"b", b"c", b"d"], key=b"k", partition=4)
    page.get_by_label("Partitions", exact=True).fill("4")
    page.get_by_label("Before offset").fill("3")
    page.get_by_role("button", name="Review the purge").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row").nth(1)).to_have_text(re.compile(r"4\s*0\s*3\s*4\s*3"))
    dialog.get_by_role("button", name="Delete 3 records").click()
    expect(page.get_by_text("Records of orders were deleted")).to_be_visible()
    page.get_by_role("link", name="Partitions").click()
    expect(page.get_by_role("row", name=re.compile("Messages of partition 4|4 3 4 1"))).to_be_visible()

    # Delete: the name must be typed.
    page.get_by_role("link", name="Actions").click()
    page.get_by_role("button", name="Delete topic").click()
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name="Delete topic")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.click(force=True)
    assert "orders" in broker.topics()
    dialog.get_by_label("to go on").fill("orders")
    expect(dialog.locator("code")).to_contain_text("--delete --topic orders")
    button.click()
    expect(page).to_have_url(re.compile("/c/local/topics$"))
    assert "orders" not in broker.topics()


def begins(broker: Broker, topic: str, count: int) -> list[int]:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "looks"})
    try:
        return [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[0] for p in range(count)]
    finally:
        consumer.close()


def test_what_is_done_is_what_was_reviewed(page: Any, console: Console, broker: Broker, records: Produced) -> None:
    from playwright.sync_api import expect

    broker.create_topic("filling", partitions=2)
    records("filling", [b"x"] * 5)
    page.goto(console.to("topics", "filling", "actions"))
    page.get_by_role("button", name="Review the purge").click()
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name="Delete 5 records")
    expect(button).to_be_visible()
    records("filling", [b"x"] * 5)
    button.click()
    expect(page.get_by_text("Records of filling were deleted")).to_be_visible()
    assert begins(broker, "filling", 2) == [5, 0]

    waiting: list[Any] = []  # the answer of the review, while another number is typed
    page.route("**/partitions", lambda route: waiting.append(route), times=1)
    page.get_by_label("Partitions altogether").fill("4")
    page.get_by_role("button", name="Review", exact=True).click()
    page.get_by_label("Partitions altogether").fill("9")
    expect(page.get_by_role("dialog")).to_have_count(0)
    asked(page, waiting)
    waiting[0].continue_()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("dd")).to_have_text(["2 partitions", "4 partitions"])
    expect(dialog.locator("code")).to_contain_text("--partitions 4")
    dialog.get_by_role("button", name="Add partitions").click()
    expect(page.get_by_text("filling has 4 partitions now")).to_be_visible()


def test_the_list_filters_sorts_and_keeps_its_state_in_the_address(
    page: Any, console: Console, broker: Broker, records: Produced
) -> None:
    from playwright.sync_api import expect

    for name in ("feed-2", "feed-10", "feed-1", "other"):
        broker.create_topic(name, partitions=1)
    records("feed-10", [b"x"] * 7)
    records("feed-2", [b"x"] * 30)
    page.goto(console.to("topics"))
    links = page.locator("tbody a")
    expect(page.get_by_role("link", name="other")).to_be_visible()
    page.get_by_label("Filter topics by name").fill("FEED")
    expect(links).to_have_text(["feed-1", "feed-2", "feed-10"])
    expect(page).to_have_url(re.compile("filter=FEED"))
    page.get_by_role("button", name="Records").click()
    page.get_by_role("button", name="Records").click()
    expect(links).to_have_text(["feed-2", "feed-10", "feed-1"])  # by number: 30, 7, 0
    expect(page.get_by_role("columnheader", name="Records")).to_have_attribute("aria-sort", "descending")
    page.reload()
    expect(links).to_have_text(["feed-2", "feed-10", "feed-1"])
    page.get_by_label("Filter topics by name").fill("nothing of that name")
    expect(page.get_by_text("No topic matches")).to_be_visible()
    page.get_by_role("button", name="Clear the filter").click()
    expect(page.get_by_role("link", name="other")).to_be_visible()
    page.get_by_role("link", name="other").click()
    expect(page).to_have_url(re.compile("/topics/other/"))
    page.go_back()
    expect(page.get_by_role("link", name="other")).to_be_visible()


def test_internal_topics_are_hidden_until_they_are_asked_for(page: Any, console: Console, broker: Broker) -> None:
    from playwright.sync_api import expect

    from .running import commit

    broker.create_topic("seen", partitions=1)
    commit(broker.bootstrap, "makes-the-offsets-topic", "seen", {0: 0})
    page.goto(console.to("topics"))
    expect(page.get_by_role("link", name="seen", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="__consumer_offsets")).to_have_count(0)
    page.get_by_label(re.compile("Internal")).check()
    expect(page.get_by_role("link", name="__consumer_offsets")).to_be_visible()
    expect(page).to_have_url(re.compile("internal=1"))


def test_nothing_yet_offers_to_make_something(page: Any, beside: ExitStack) -> None:
    from playwright.sync_api import expect

    broker = beside.enter_context(Broker(process=True))
    console = beside.enter_context(Console([f"local={broker.bootstrap}"]))
    page.goto(console.url)  # one cluster: its topics are the start
    expect(page).to_have_url(re.compile("/c/local/topics$"))
    expect(page.get_by_text("No topic yet")).to_be_visible()
    page.get_by_role("button", name="Create topic").last.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("link", name="Groups").click()
    expect(page.get_by_text("No group yet")).to_be_visible()
