"""A gateway that goes away while the page is open, and comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Watched
from .running import Platform

pytestmark = pytest.mark.pages


def test_the_page_says_so_keeps_its_data_and_recovers(
    open_page: Callable[..., Any], platform: Platform, watched: Watched
) -> None:
    watched.expected = ("ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "WebSocket connection to")
    page = open_page("/?tab=pipeline")
    page.wait_for_function("() => Number(document.querySelector('.canvas')?.dataset.bars) > 0")
    page.wait_for_selector("text=feed-binance")
    platform.kill_gateway()
    page.wait_for_selector('[data-link="lost"]')
    assert page.locator("[data-symbol]").count() > 3  # what was there stays
    assert "stale" in page.get_attribute("main", "class")
    page.wait_for_selector('[data-link="open"]')
    before = page.inner_text("[data-close]")
    page.wait_for_function("before => document.querySelector('[data-close]').innerText !== before", arg=before)
    page.wait_for_selector("text=feed-binance")
    page.wait_for_selector('[data-state="stale"]', state="detached")
