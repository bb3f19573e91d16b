"""Languages, colours, narrow screens, the keyboard, accessibility."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import AXE

pytestmark = pytest.mark.pages


def _rise(page: Any) -> str:
    return str(
        page.evaluate(
            """() => {
                const one = document.createElement("span");
                one.className = "rise";
                document.body.append(one);
                const colour = getComputedStyle(one).color;
                one.remove();
                return colour;
            }"""
        )
    )


def test_chinese_turns_the_colours_and_a_choice_stays(open_page: Callable[..., Any]) -> None:
    page = open_page()
    english = _rise(page)
    page.get_by_label("Language").select_option("zh")
    page.wait_for_selector("text=持仓")
    page.wait_for_function("() => document.documentElement.dataset.colours === 'red-up'")
    assert _rise(page) != english
    assert page.get_attribute("html", "lang") == "zh-CN"
    page.get_by_label("涨跌颜色").select_option("green-up")
    page.get_by_label("主题").select_option("dark")
    page.reload()
    page.wait_for_selector("text=持仓")
    assert page.get_attribute("html", "data-colours") == "green-up"
    assert page.get_attribute("html", "data-theme") == "dark"


def test_a_browser_that_speaks_chinese_gets_chinese(open_page: Callable[..., Any]) -> None:
    page = open_page(language="zh-CN")
    page.wait_for_selector("text=自选列表", state="attached")
    assert page.get_attribute("html", "data-colours") == "red-up"


def test_a_narrow_page_has_its_parts_at_the_foot(open_page: Callable[..., Any]) -> None:
    page = open_page(width=390, height=844)
    page.wait_for_selector(".canvas canvas")
    for name, selector in (
        ("Watch", "[data-symbol]"),
        ("Trade", "button.send"),
        ("Account", "[data-tab]"),
        ("Chart", ".canvas"),
    ):
        page.get_by_role("navigation", name="Parts of the page").get_by_role("link", name=name).click()
        page.wait_for_selector(selector)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert f"view={name.lower().replace('watch', 'list')}" in page.url
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Theme").select_option("light")


def test_the_keyboard_goes_through_the_page_in_its_order(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.wait_for_selector('[data-symbol="binance:BTCUSDT"]')
    page.wait_for_function("() => Number(document.querySelector('.canvas')?.dataset.bars) > 0")
    page.wait_for_selector('[data-tab="positions"]')
    reached: list[str] = []
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => { const one = document.activeElement;
                    const part = one.closest("header, .watch, .chart, .lower, .side, footer");
                    return part?.className.split(" ")[0] || part?.tagName.toLowerCase() || "" }"""
            )
        )
        if reached[-1].startswith("footer"):
            break
    parts = list(dict.fromkeys(name for name in reached if name))
    assert [name for name in parts if name in ("watch", "chart", "lower", "side")] == [
        "watch",
        "chart",
        "lower",
        "side",
    ]
    page.focus('[data-symbol="binance:BTCUSDT"]')
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('h2 .symbol').innerText === 'ETHUSDT'")
    page.locator("button.kill").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert page.evaluate("document.activeElement.classList.contains('kill')")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Callable[..., Any], theme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make web installs it")
    page = open_page()
    page.get_by_label("Theme").select_option(theme)
    for tab in ("positions", "risk", "strategies", "backtests", "pipeline"):
        page.click(f'[data-tab="{tab}"]')
        page.wait_for_selector(".lower .bone", state="detached")
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
            ".filter((one) => ['serious', 'critical'].includes(one.impact))"
            ".map((one) => one.id + ': ' + one.nodes.map((node) => node.html).slice(0, 3).join(' '))"
        )
        assert found == [], f"{tab}: {found}"
