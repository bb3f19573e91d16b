"""What the house sees: strategies, risk, backtests, the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Watched

pytestmark = pytest.mark.pages


def test_a_strategy_is_stopped_and_started(open_page: Callable[..., Any]) -> None:
    page = open_page("/?tab=strategies")
    card = page.locator('[data-strategy="MACD"]')
    card.locator('[data-state="running"]').wait_for()
    assert "fast=12" in card.inner_text()
    card.get_by_role("button", name="Stop").click()
    page.get_by_label("Reason (optional)").fill("looking at it")
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    card.locator('[data-state="stopped"]').wait_for()
    card.get_by_text("looking at it").wait_for()
    card.get_by_role("button", name="Start").click()
    card.locator('[data-state="running"]').wait_for()


def test_limits_and_services_are_shown(open_page: Callable[..., Any]) -> None:
    page = open_page("/?tab=risk")
    page.wait_for_selector("text=Orders a second")
    page.wait_for_selector('.bar[aria-label="0 %"]', state="attached")
    page.click('[data-tab="pipeline"]')
    page.locator("tr", has_text="feed-binance").locator("text=running").first.wait_for()
    page.wait_for_selector("text=binance:BTCUSDT")


def test_a_long_number_of_a_parameter_arrives_as_it_was_typed(open_page: Callable[..., Any], watched: Watched) -> None:
    watched.expected = ("400",)
    page = open_page("/?tab=backtests&tall=true")
    page.get_by_label("Strategy").select_option("MA_CROSS")
    page.get_by_label("Symbols", exact=True).fill("binance:BTCUSDT")
    page.get_by_label("Parameters").fill("slow=20 volume=9007199254740993")
    page.get_by_role("button", name="Start the backtest").click()
    page.get_by_role("alert").get_by_text("too large for 64 bits of 10^-8: '9007199254740993'").wait_for()


def test_two_backtests_are_run_opened_and_compared(open_page: Callable[..., Any]) -> None:
    page = open_page("/?tab=backtests&tall=true")
    for title, fast in (("quick", "3"), ("slow", "8")):
        page.get_by_label("Strategy").select_option("MA_CROSS")
        page.get_by_label("Symbols", exact=True).fill("binance:BTCUSDT")
        page.get_by_label("Interval").select_option("1s")
        page.get_by_label("Title").fill(title)
        page.get_by_label("Parameters").fill(f"fast={fast} slow=20 volume=0.1 interval=1s")
        page.get_by_role("button", name="Start the backtest").click()
        run = page.locator("[data-backtest]", has_text=title)
        run.locator('[data-state="done"]').wait_for(timeout=90_000)
    frame = page.frame_locator("iframe")
    frame.locator("body").get_by_text("MA_CROSS").first.wait_for()
    assert page.locator("iframe").get_attribute("sandbox") == ""
    page.get_by_label("Compare quick").check()
    page.get_by_label("Compare slow").check()
    page.wait_for_selector("[data-compare]")
    page.wait_for_selector(".curve canvas")
    assert "a=" in page.url
    page.get_by_role("button", name="Clear the choice").click()
    page.get_by_role("button", name="Remove slow").click()
    page.wait_for_function("() => document.querySelectorAll('[data-backtest]').length === 1")
