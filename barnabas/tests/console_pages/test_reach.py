"""The page for everybody: by keyboard alone, for readers of the screen (axe-core), narrow and wide, dark and light."""

from __future__ import annotations

import re
from typing import Any

import pytest

from barnabas.embedded import Broker

from .conftest import AXE
from .running import Console, commit, produce

pytestmark = pytest.mark.pages


@pytest.fixture(scope="module")
def furnished(broker: Broker) -> Broker:
    broker.create_topic("furnished", partitions=3)
    produce(broker.bootstrap)("furnished", [b'{"a": [1, {"b": null}], "c": "text"}', b"\xff\xfe", None], key=b"k")
    commit(broker.bootstrap, "furnished-group", "furnished", {0: 1})
    for number in range(60):
        broker.create_topic(f"many-{number}", partitions=1)
    return broker


def focused(page: Any) -> str:
    text: str = page.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText || ''")
    return text.strip()


def tab_to(page: Any, words: str) -> None:
    """Press Tab until what has the focus is named so; fail when the page has been gone through."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if re.search(words, focused(page)):
            shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert shown != "none", f"the focus on {words} cannot be seen"
            return
    raise AssertionError(f"the keyboard does not reach {words}")


def test_by_keyboard_from_the_list_to_a_record_and_back(page: Any, console: Console, furnished: Broker) -> None:
    from playwright.sync_api import expect

    page.goto(console.to("topics"))
    expect(page.get_by_role("link", name="furnished", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "^furnished$")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "many-0"
    page.keyboard.press("End")  # the last row is drawn only now
    assert focused(page) == "many-59"
    page.keyboard.press("Home")
    assert focused(page) == "furnished"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator("tbody tr[data-index]")).to_have_count(3)
    tab_to(page, "offset 2$")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert focused(page).endswith("offset 0")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".number")).to_have_text(["1"])
    tab_to(page, "^▾")
    page.keyboard.press("Enter")  # folds
    expect(drawer.locator(".number")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    assert focused(page).endswith("offset 0")  # where it was
    page.get_by_role("button", name="Produce", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.locator("#produce-value").focus()
    page.keyboard.type("typed")
    tab_to(page, "^Produce$")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr[data-index]")).to_have_count(4)


def settled(page: Any) -> None:
    """Wait until a page shows its data."""
    from playwright.sync_api import expect

    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator(".bone")).to_have_count(0)


def test_a_list_may_be_left_while_it_scrolls(page: Any, console: Console, furnished: Broker) -> None:
    from playwright.sync_api import expect

    page.goto(console.to("topics"))
    expect(page.get_by_role("link", name="many-1", exact=True)).to_be_visible()
    page.evaluate(
        """() => {
            document.querySelector(".scroller").scrollTop = 200;
            document.querySelector("tbody a").click();
        }"""
    )  # the browser tells of the scrolling with its next frame, when the list is gone
    expect(page.get_by_role("heading", level=1)).to_be_focused()


PAGES = (
    ("clusters", ["furnished"], ""),
    ("topics", [], ""),
    ("topics", [], "create=1"),
    ("topics", [], "filter=nothing"),
    ("topics", ["furnished", "messages"], ""),
    ("topics", ["furnished", "messages"], "record=0:0"),
    ("topics", ["furnished", "messages"], "from=live"),
    ("topics", ["furnished", "partitions"], ""),
    ("topics", ["furnished", "configs"], ""),
    ("topics", ["furnished", "configs"], "name=retention.ms"),
    ("topics", ["furnished", "groups"], ""),
    ("topics", ["furnished", "actions"], ""),
    ("groups", [], ""),
    ("groups", ["furnished-group"], ""),
    ("groups", ["furnished-group"], "tab=members"),
    ("groups", ["furnished-group"], "reset=1"),
    ("brokers", [], ""),
    ("brokers", [], "tab=quorum"),
    ("brokers", [], "tab=features"),
    ("brokers", [], "tab=configs"),
    ("access", [], ""),
)


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page: Any, console: Console, furnished: Broker, scheme: str, width: int) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not in web/node_modules: make web")
    script = AXE.read_text()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    found = []
    for section, parts, query in PAGES:
        page.goto(f"{console.url}/clusters" if section == "clusters" else console.to(section, *parts, query=query))
        settled(page)
        page.evaluate("() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))")
        page.evaluate(script)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            (section, *parts, query, one["id"], one["impact"], [node["html"][:160] for node in one["nodes"]][:3])
            for one in result["violations"]
        ]
    assert found == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out(page: Any, console: Console, furnished: Broker, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for section, parts, query in PAGES:
        page.goto(f"{console.url}/clusters" if section == "clusters" else console.to(section, *parts, query=query))
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (section, parts, query)
        assert page.evaluate("document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth")


def test_theme_and_zone_are_chosen_and_kept(page: Any, console: Console, furnished: Broker) -> None:
    from playwright.sync_api import expect

    page.goto(console.to("topics", "furnished"))
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    page.get_by_role("combobox", name="Theme").select_option("dark")
    dark = page.evaluate(ground)
    page.reload()
    assert page.evaluate(ground) == dark
    page.get_by_role("combobox", name="Theme").select_option("light")
    assert page.evaluate(ground) != dark
    expect(page.get_by_role("columnheader", name="Time (UTC)")).to_be_visible()
