"""What comes from outside is shown as text: markup, scripts, control characters, broken UTF-8, direction marks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from barnabas.embedded import Broker

from .running import Console, Produced, commit

pytestmark = pytest.mark.pages

MARKUP = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
TURNED = "invoice\u202egnp.exe"


def test_records_are_text_whatever_is_in_them(page: Any, console: Console, broker: Broker, records: Produced) -> None:
    from playwright.sync_api import expect

    broker.create_topic("hostile", partitions=1)
    records(
        "hostile", [MARKUP.encode()], key=MARKUP.encode(), headers=[(MARKUP, MARKUP.encode()), (TURNED, b"\xff\x00")]
    )
    records("hostile", [TURNED.encode()], key=b"\xc3\x28")
    records("hostile", [b"a\x00b\x1b[31mc\r\nd\x7f"], key="\u200bhidden\ufeff".encode())
    page.goto(console.to("topics", "hostile", "messages", query="from=oldest"))
    rows = page.locator("tbody tr[data-index]")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text(MARKUP)
    expect(rows.nth(1)).to_contain_text("invoice⟨U+202E⟩gnp.exe")
    expect(rows.nth(1)).to_contain_text("c328")  # no UTF-8: the bytes
    expect(rows.nth(2)).to_contain_text("⟨U+200B⟩hidden⟨U+FEFF⟩")
    expect(rows.nth(2)).to_contain_text(re.compile("a␀b␛|610062"))
    rows.nth(0).locator("button").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator("pre").first).to_have_text(MARKUP)
    expect(drawer.locator("td").nth(0)).to_have_text(MARKUP)
    expect(drawer.locator("td").nth(2)).to_have_text("invoice⟨U+202E⟩gnp.exe")
    expect(drawer.locator("td").nth(3)).to_contain_text("ff00")
    assert page.locator("main img, dialog img, main script, dialog script").count() == 0
    assert page.evaluate("window.hacked") is None


def test_names_of_groups_are_text(page: Any, console: Console, broker: Broker) -> None:
    from playwright.sync_api import expect

    broker.create_topic("named", partitions=1)
    commit(broker.bootstrap, MARKUP.replace("/", "|"), "named", {0: 0})
    commit(broker.bootstrap, TURNED, "named", {0: 0})
    page.goto(console.to("groups"))
    expect(page.get_by_role("link", name=MARKUP.replace("/", "|"))).to_be_visible()
    page.get_by_role("link", name="invoice⟨U+202E⟩gnp.exe").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("invoice⟨U+202E⟩gnp.exe")
    expect(page.locator("tbody tr[data-index]")).to_have_count(1)
    assert page.evaluate("window.hacked") is None


def test_an_address_is_text(page: Any, console: Console, watched: Any) -> None:
    from playwright.sync_api import expect

    watched.expected = ("Failed to load resource: the server responded with a status of 502",)
    page.goto(console.to("topics", MARKUP, "messages", query="text=%3Cimg+src%3Dx%3E"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(MARKUP)
    expect(page.get_by_label("Contains")).to_have_value("<img src=x>")
    expect(page.get_by_role("alert").first).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_inline_scripts_do_not_run(page: Any, console: Console, watched: Any) -> None:
    """What a mistake in the page might let through would still do nothing."""
    response = page.goto(console.to("topics"))
    policy = response.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.hacked = 1";
          document.body.append(script);
          const image = document.createElement("div");
          image.innerHTML = "<img src='data:,' onerror='window.hacked = 2'>";
          document.body.append(image);
        }"""
    )
    page.wait_for_timeout(0)
    assert page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in one for one in watched.errors)
    watched.expected = ("Executing inline", "Refused to execute inline")
