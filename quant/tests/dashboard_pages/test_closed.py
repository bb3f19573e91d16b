"""A gateway that lets nobody in without a sign-in: prices are everybody's, accounts are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .running import Platform

pytestmark = pytest.mark.pages


@pytest.fixture
def platform(browser: Any, tmp_path: Path) -> Iterator[Platform]:
    pytest.importorskip("chdb", reason="the embedded stores are not installed")
    with Platform(tmp_path, closed=True).running() as platform:
        yield platform


def test_nobody_sees_prices_alone_until_somebody_signs_up(open_page: Any) -> None:
    page = open_page()
    page.wait_for_function("() => Number(document.querySelector('.canvas')?.dataset.bars) > 0")
    page.wait_for_function("() => document.querySelector('[data-symbol] .price').innerText.length > 3")
    page.get_by_text("Sign in to see your account").first.wait_for()
    page.get_by_label("Quantity").fill("0.1")
    send = page.locator("button.send")
    assert send.get_attribute("aria-disabled") == "true"
    assert "ign in" in send.get_attribute("title")
    page.get_by_role("button", name="Sign up").click()
    page.get_by_label("User").fill("newcomer")
    page.get_by_label("Password", exact=True).fill("a long password")
    page.get_by_label("Password again").fill("a long password")
    page.get_by_role("dialog").get_by_role("button", name="Sign up").click()
    page.wait_for_selector('[data-user="newcomer"]')
    page.wait_for_selector('[data-risk="accepted"]')
    send.click()
    page.locator("tbody tr", has_text="binance:BTCUSDT").wait_for()
    page.reload()  # the session is the browser's
    page.locator("tbody tr", has_text="binance:BTCUSDT").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("Sign in to see your account").first.wait_for()
    assert page.locator("tbody tr", has_text="binance:BTCUSDT").count() == 0
