"""The walk of a newcomer: one command starts broker and page, and five things are done on it, by clicking alone.

BARNABAS_PICTURES names a folder that is given a picture of each place, in both themes and in two widths.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testkit.ports import free_ports

from ..test_serve import serve
from .running import commit, produce

pytestmark = pytest.mark.pages

PICTURES = os.environ.get("BARNABAS_PICTURES")
TOPICS = ("stock-realtime", "trade-signal", "user-events")


def pictures(page: Any) -> Callable[[str], None]:
    """Give what takes the pictures of a place, where they are wanted."""

    def take(name: str) -> None:
        if PICTURES is None:
            return
        for scheme in ("light", "dark"):
            for width, height in ((1280, 800), (390, 780)):
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(300)
                page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}-{width}.png"))
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 800})

    return take


def test_five_things_after_one_command(page: Any, tmp_path: Path, beside: Any) -> None:
    from playwright.sync_api import expect

    broker, console = free_ports(2)
    words = ("--listen", f"127.0.0.1:{broker}", "--console", f"127.0.0.1:{console}")
    process, _ = beside.enter_context(serve(*words, cwd=tmp_path))
    take = pictures(page)
    bootstrap = f"127.0.0.1:{broker}"
    home = f"http://127.0.0.1:{console}/"
    # The console is a process of its own, and answers a moment after the broker.
    for _ in range(200):
        try:
            page.goto(home)
            break
        except Exception:
            time.sleep(0.1)

    # To create a topic: what nobody has made yet, the empty page offers.
    for name in TOPICS:
        page.get_by_role("link", name="Topics").first.click()
        page.get_by_role("button", name="Create topic").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name", exact=True).fill(name)
        dialog.get_by_label("Partitions").fill("3")
        if name == TOPICS[0]:
            take("create")
        dialog.get_by_role("button", name="Create topic").click()
        expect(page).to_have_url(re.compile(f"/topics/{name}/messages$"))
    write = produce(bootstrap)
    for number in range(60):
        record = {
            "symbol": "000001", "name": "平安银行", "price": f"{10.5 + number % 7 / 100:.2f}", "volume": 1000 + number,
            "timestamp": "2025-10-20 10:30:00", "id": 9007199254740993 + number,
        }  # fmt: skip
        write(TOPICS[0], [json.dumps(record, ensure_ascii=False).encode()], key=b"000001", partition=number % 3)
    commit(bootstrap, "analysis-group", TOPICS[0], {0: 15, 1: 20, 2: 18})

    # All topics, with what is in them.
    page.get_by_role("link", name="Topics").first.click()
    for name in TOPICS:
        expect(page.get_by_role("link", name=name)).to_be_visible()
    expect(page.get_by_role("row", name=re.compile(TOPICS[0]))).to_contain_text("60")
    take("topics")

    # What a record says.
    page.get_by_role("link", name=TOPICS[0]).click()
    first = page.locator("tbody tr[data-index]").first
    expect(first).to_contain_text("平安银行")
    expect(first).to_contain_text(str(9007199254740993 + 59))
    take("messages")
    first.locator("button").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("000001")
    take("record")
    page.keyboard.press("Escape")

    # How far a group has read.
    page.get_by_role("link", name="Groups", exact=True).first.click()
    expect(page.get_by_role("row", name=re.compile("^analysis-group"))).to_have_text(re.compile(r"7$", re.S))
    take("groups")
    page.get_by_role("link", name="analysis-group").click()
    expect(page.locator("tbody tr[data-index]")).to_have_count(3)
    take("group")

    # How the broker is.
    page.get_by_role("link", name="Brokers").click()
    expect(page.get_by_role("heading", name=re.compile("Broker 1"))).to_be_visible()
    expect(page.locator("main")).to_contain_text(bootstrap)
    take("brokers")

    # To delete a topic.
    page.get_by_role("link", name="Topics").first.click()
    page.get_by_role("link", name=TOPICS[2]).click()
    page.get_by_role("link", name="Actions").click()
    take("actions")
    page.get_by_role("button", name="Delete topic").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("to go on").fill(TOPICS[2])
    take("delete")
    dialog.get_by_role("button", name="Delete topic").click()
    expect(page.get_by_role("link", name=TOPICS[1])).to_be_visible()
    expect(page.get_by_role("link", name=TOPICS[2])).to_have_count(0)

    # What the page did, the command line sees.
    listed = subprocess.run(
        [str(Path(sys.executable).parent / "kafka-topics"), "--bootstrap-server", bootstrap, "--list"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [name for name in listed.stdout.split() if not name.startswith("__")] == list(TOPICS[:2])
    page.goto("about:blank")
    process.terminate()
    assert process.wait(20) == 0
