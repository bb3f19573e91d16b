"""Messages on the page: every way to start, filters, live, one record, produce and produce again, export."""

from __future__ import annotations

import csv
import json
import re
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from barnabas.embedded import Broker

from .running import Console, Produced

pytestmark = pytest.mark.pages

ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}
BEYOND = 9_007_199_254_740_993  # 2**53 + 1: a float would make it end in 2


def offsets(page: Any) -> Any:
    return page.locator("tbody tr[data-index] button.mono")


@pytest.fixture(scope="module")
def trades(broker: Broker) -> str:
    """Make a topic of three partitions whose records are older the lower the offset."""
    from .running import produce

    write = produce(broker.bootstrap)
    broker.create_topic("trades", partitions=3, configs={"retention.ms": "-1"})
    for number in range(30):
        write(
            "trades",
            [json.dumps({"n": number, "price": number + 0.5, "symbol": "BTCUSDT"}).encode()],
            key=f"key-{number}".encode(),
            partition=number % 3,
            timestamp=1_700_000_000_000 + number * 1000,
            headers=[("source", b"feed-%d" % (number % 2))],
        )
    return "trades"


def test_newest_first_over_all_partitions(page: Any, console: Console, trades: str) -> None:
    from playwright.sync_api import expect

    page.goto(console.to("topics", trades, "messages", query="limit=20"))
    expect(offsets(page)).to_have_count(20)
    keys = [text.strip() for text in page.locator("tbody tr[data-index] td:nth-child(4)").all_inner_texts()]
    assert keys == [f"key-{number}" for number in range(29, 9, -1)]
    expect(page.locator("tbody tr[data-index]").first).to_contain_text("2023-11-14 22:13:49.000")  # UTC, milliseconds
    expect(page.locator(".status")).to_contain_text("records read")


def test_each_way_to_start(page: Any, console: Console, trades: str) -> None:
    from playwright.sync_api import expect

    page.goto(console.to("topics", trades))
    start = page.get_by_role("combobox", name="Start")
    start.select_option("oldest")
    expect(page).to_have_url(re.compile("from=oldest"))
    expect(page.locator("tbody tr[data-index]").first).to_contain_text("key-0")
    start.select_option("offset")
    page.get_by_label("Offset", exact=True).fill("8")
    page.get_by_label("Partitions", exact=True).fill("1")
    page.get_by_role("button", name="Search").click()
    expect(offsets(page)).to_have_text(["8", "9"])
    expect(page).to_have_url(re.compile("from=offset.*offset=8.*partitions=1|partitions=1"))
    start.select_option("time")
    page.get_by_label(re.compile("Time .UTC.")).fill("2023-11-14T22:13:45.000")
    page.get_by_label("Partitions", exact=True).fill("")
    page.get_by_role("button", name="Search").click()
    expect(offsets(page)).to_have_count(5)
    page.reload()
    expect(offsets(page)).to_have_count(5)
    expect(page.get_by_label(re.compile("Time .UTC."))).to_have_value(re.compile("2023-11-14T22:13:45"))


def test_filters_and_where_an_expression_is_wrong(page: Any, console: Console, trades: str, watched: Any) -> None:
    from playwright.sync_api import expect

    watched.expected = ("Failed to load resource: the server responded with a status of 400",)
    page.goto(console.to("topics", trades))
    page.get_by_label("Contains").fill("KEY-2")
    page.get_by_label("Contains").press("Enter")
    expect(offsets(page)).to_have_count(11)  # key-2, key-20 to key-29
    page.get_by_label("Contains").fill("feed-1")  # in a header
    page.get_by_label("Where").fill('value.price > 20 && key != "key-25"')
    page.get_by_label("Where").press("Enter")
    expect(offsets(page)).to_have_count(4)
    expect(page.locator(".status")).to_contain_text("4 matched")
    expect(page).to_have_url(re.compile("where=value.price"))
    page.get_by_label("Where").fill("value.price >> 20")
    page.get_by_label("Where").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("at character")
    expect(page.locator("mark")).to_be_visible()
    page.get_by_label("Where").fill("value.price > 2000")
    page.get_by_label("Where").press("Enter")
    expect(page.get_by_text("No record matches")).to_be_visible()
    expect(page.locator(".status")).to_contain_text("30 records read")
    page.locator("summary").click()
    expect(page.locator(".status li")).to_have_count(3)
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator("table")).to_have_attribute("aria-rowcount", "31")


def test_one_record_as_tree_raw_and_hex_with_exact_integers(
    page: Any, console: Console, broker: Broker, records: Produced
) -> None:
    from playwright.sync_api import expect

    broker.create_topic("exact", partitions=1, configs=ANY_TIME)
    text = f'{{"id": {BEYOND}, "deep": {{"list": [1.10, -{BEYOND}, 1E400]}}, "text": "a\\nb"}}'
    records(
        "exact", [text.encode()], key=str(BEYOND).encode(), timestamp=BEYOND, headers=[("trace", str(BEYOND).encode())]
    )
    page.goto(console.to("topics", "exact"))
    row = page.locator("tbody tr[data-index]")
    expect(row).to_contain_text(f'"id": {BEYOND}')
    expect(row).to_contain_text(f"{BEYOND} ms")  # a time beyond what a calendar has
    offsets(page).click()
    drawer = page.get_by_role("dialog")
    expect(page).to_have_url(re.compile("record=0%3A0"))
    expect(drawer.locator(".number").first).to_have_text(str(BEYOND))
    expect(drawer.locator(".number")).to_have_text([str(BEYOND), "1.10", f"-{BEYOND}", "1E400"])
    expect(drawer.locator("dl")).to_contain_text(str(BEYOND))
    drawer.get_by_role("button", name="raw").first.click()
    expect(drawer.locator("pre").first).to_have_text(text)
    drawer.get_by_role("button", name="hex").first.click()
    expect(drawer.locator("pre").first).to_contain_text("00000000  7b 22 69 64 22 3a 20 39")
    expect(drawer.locator("table")).to_contain_text(str(BEYOND))
    drawer.get_by_role("button", name="tree").click()
    drawer.get_by_role("button", name=re.compile("Copy value")).click()
    assert str(BEYOND) in page.evaluate("navigator.clipboard.readText()")
    with page.expect_download() as download:
        drawer.get_by_role("link", name="Download").first.click()
    assert Path(download.value.path()).read_bytes() == text.encode()
    page.reload()  # the link shows the record again
    expect(page.get_by_role("dialog").locator(".number").first).to_have_text(str(BEYOND))
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_exports_keep_every_digit(page: Any, console: Console, broker: Broker, records: Produced) -> None:
    from playwright.sync_api import expect

    broker.create_topic("exported", partitions=1, configs=ANY_TIME)
    records("exported", [f'{{"id": {BEYOND}}}'.encode(), b"=cmd()"], timestamp=BEYOND)
    page.goto(console.to("topics", "exported"))
    expect(offsets(page)).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export JSON").click()
    found = json.loads(Path(download.value.path()).read_text())
    assert {one["timestamp"] for one in found} == {str(BEYOND)}
    assert str(BEYOND) in Path(download.value.path()).read_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.reader(file))
    assert any(str(BEYOND) in cell for row in rows for cell in row)
    assert any("'=cmd()" in row for row in rows)


def test_produce_a_record_a_tombstone_and_one_again(page: Any, console: Console, broker: Broker) -> None:
    from playwright.sync_api import expect

    broker.create_topic("written", partitions=2)
    page.goto(console.to("topics", "written"))
    page.get_by_role("button", name="Produce", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Form of the key").select_option("text")
    dialog.locator("#produce-key").fill("ключ")
    dialog.locator("#produce-value").fill(f'{{"id": {BEYOND}')
    expect(dialog.get_by_text("looks like JSON but is none")).to_be_visible()
    dialog.locator("#produce-value").fill(f'{{"id": {BEYOND}}}')
    dialog.get_by_role("button", name="Add a header").click()
    dialog.get_by_label("Name of header 1").fill("bytes")
    dialog.get_by_label("Form of header 1").select_option("hex")
    dialog.get_by_label("Value of header 1").fill("f")
    expect(dialog.get_by_role("button", name="Produce")).to_have_attribute("aria-disabled", "true")
    dialog.get_by_label("Value of header 1").fill("ff00")
    dialog.get_by_role("combobox", name="Partition").select_option("1")
    dialog.get_by_role("button", name="Produce").click()
    expect(page.get_by_text("Written to partition 1 at offset 0.")).to_be_visible()
    row = page.locator("tbody tr[data-index]")
    expect(row).to_contain_text("ключ")
    expect(row).to_contain_text(str(BEYOND))

    offsets(page).click()
    page.get_by_role("button", name="Produce again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#produce-value")).to_have_value(f'{{"id": {BEYOND}}}')
    expect(dialog.locator("#produce-key")).to_have_value("ключ")
    expect(dialog.get_by_label("Value of header 1")).to_have_value("ff00")
    dialog.get_by_label("Tombstone").check()
    dialog.get_by_role("button", name="Produce", exact=True).click()
    expect(page.locator("tbody tr[data-index]")).to_have_count(2)
    expect(page.locator("tbody tr[data-index]").first).to_contain_text("tombstone")


def test_bytes_that_are_no_text_are_produced_again_as_they_were(
    page: Any, console: Console, broker: Broker, records: Produced
) -> None:
    from playwright.sync_api import expect

    raw = bytes(range(256))
    broker.create_topic("binary", partitions=1)
    records("binary", [raw])
    page.goto(console.to("topics", "binary", query="record=0:0"))
    page.goto(console.to("topics", "binary", "messages", query="record=0:0"))
    page.get_by_role("button", name="Produce again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#produce-value")).to_have_value(raw.hex())
    dialog.get_by_role("button", name="Produce", exact=True).click()
    expect(offsets(page)).to_have_count(2)
    page.goto(console.to("topics", "binary", "messages", query="record=0:1"))
    with page.expect_download() as download:
        page.get_by_role("dialog").get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == raw


def test_live_shows_what_comes_pauses_and_keeps_to_its_cap(
    page: Any, console: Console, broker: Broker, records: Produced
) -> None:
    from playwright.sync_api import expect

    broker.create_topic("live", partitions=2)
    records("live", [b"before"])
    page.goto(console.to("topics", "live", "messages", query="from=live"))
    expect(page.get_by_text("Waiting for records")).to_be_visible()
    expect(page.locator("[data-state=running]")).to_have_text("Live")
    expect(page.locator(".status")).to_contain_text("records read")  # it listens
    records("live", [b"first"], partition=1)
    expect(page.locator("tbody tr[data-index]")).to_have_count(1)
    expect(page.locator("tbody tr[data-index]").first).to_contain_text("first")
    page.get_by_role("button", name="Pause").click()
    records("live", [b"second", b"third"])
    button = page.get_by_role("button", name="2 new")
    expect(button).to_be_visible()
    expect(page.locator("tbody tr[data-index]")).to_have_count(1)
    button.click()
    expect(page.locator("tbody tr[data-index]")).to_have_count(3)
    records("live", [b"%d" % number for number in range(700)])
    expect(page.get_by_text(re.compile("the newest 500 of 703 are shown"))).to_be_visible()
    assert page.locator("table").get_attribute("aria-rowcount") == "501"
    assert page.locator("tbody tr[data-index]").count() < 100  # only what is in view is drawn
    expect(page.locator("tbody tr[data-index]").first).to_contain_text("699")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[data-state=stopped]")).to_be_visible()


def test_a_long_scan_can_be_stopped_and_says_how_far_it_got(
    page: Any, console: Console, broker: Broker, records: Produced
) -> None:
    from playwright.sync_api import expect

    broker.create_topic("long", partitions=1)
    records("long", [b"x" * 100] * 200_000)
    broker.delay("Fetch", 5, times=1000)  # else it may be over before it is stopped
    try:
        page.goto(console.to("topics", "long", "messages", query="from=oldest&where=value+contains+%22never%22"))
        expect(page.locator(".status")).to_contain_text(re.compile(r"[\d,]+ records read"))
        page.locator(".status").get_by_role("button", name="Stop").click()
        expect(page.locator("[data-state=stopped]")).to_be_visible()
        expect(page.get_by_text("stopped before it had read everything")).to_be_visible()
    finally:
        broker.clear_faults()


def test_a_huge_record_is_cut_and_can_be_fetched(page: Any, console: Console, broker: Broker) -> None:
    from playwright.sync_api import expect

    from .running import produce

    broker.create_topic("huge", partitions=1, configs={"max.message.bytes": "5000000"})
    text = json.dumps({"list": list(range(400_000))}).encode()
    produce(broker.bootstrap)("huge", [text[:900_000]])
    page.goto(console.to("topics", "huge"))
    expect(page.locator("tbody tr[data-index]")).to_contain_text("879 KiB")
    offsets(page).click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator("pre").first).to_be_visible()
    expect(drawer.get_by_text("The download has all of it")).to_be_visible()
    with page.expect_download() as download:
        drawer.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == text[:900_000]


def test_offsets_beyond_a_float_are_exact(page: Any, beside: ExitStack, tmp_path: Path) -> None:
    """A log that begins at 2**53 + 1: its first batch is given that offset, which its checksum does not cover."""
    from playwright.sync_api import expect

    from .running import produce

    broker = beside.enter_context(Broker(data=tmp_path / "data", process=True))
    broker.create_topic("far", partitions=1)
    produce(broker.bootstrap)("far", [b"first"])
    broker.stop()
    folder = tmp_path / "data" / "far-0"
    log = next(folder.glob("*.log"))
    batch = struct.pack(">q", BEYOND) + log.read_bytes()[8:]
    for file in folder.glob("0*"):
        file.unlink()
    (folder / f"{BEYOND:020}.log").write_bytes(batch)
    for checkpoint in (tmp_path / "data").glob("*-checkpoint"):
        checkpoint.unlink()
    (tmp_path / "data" / ".kafka_cleanshutdown").unlink(missing_ok=True)
    broker.start()
    console = beside.enter_context(Console([f"local={broker.bootstrap}"]))
    page.goto(console.to("topics", "far"))
    expect(offsets(page)).to_have_text([str(BEYOND)])
    offsets(page).click()
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text(f"Partition 0, offset {BEYOND}")
    expect(page.get_by_role("dialog").locator("pre").first).to_have_text("first")
    page.goto(console.to("topics", "far", "partitions"))
    expect(page.locator("tbody tr[data-index]")).to_contain_text(str(BEYOND))
    expect(page.locator("tbody tr[data-index]")).to_contain_text(str(BEYOND + 1))
    page.goto(console.to("topics", "far", "messages", query=f"from=offset&offset={BEYOND}"))
    expect(offsets(page)).to_have_text([str(BEYOND)])


def test_a_live_view_does_not_grow(page: Any, console: Console, broker: Broker, records: Produced) -> None:
    """After the cap is reached, ten times as many records leave the page's memory where it was."""
    from playwright.sync_api import expect

    broker.create_topic("steady", partitions=1)
    page.goto(console.to("topics", "steady", "messages", query="from=live"))
    expect(page.locator(".status")).to_contain_text("records read")
    session = page.context.new_cdp_session(page)

    def used() -> float:
        session.send("HeapProfiler.collectGarbage")
        return float(session.send("Runtime.getHeapUsage")["usedSize"])

    sizes = []
    for number in range(1, 12):
        records("steady", [b"x" * 500] * 2000)
        expect(page.locator(".status")).to_contain_text(f"the newest 500 of {number * 2000:,}", timeout=20_000)
        sizes.append(used())
    print(f"\nmemory of the page after 2,000 to 22,000 records: {[round(size / 1e6, 1) for size in sizes]} MB")
    assert sizes[-1] < sizes[0] * 1.3
