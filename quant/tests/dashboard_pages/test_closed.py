"""A gateway that lets nobody in without a sign-in: prices are everybody's, accounts are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Watched
from .running import Platform, moves, relink, sign_up

pytestmark = [pytest.mark.pages, pytest.mark.slow]  # a platform of their own, and breaks


@pytest.fixture(scope="module")
def platform(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    pytest.importorskip("chdb", reason="the embedded stores are not installed")
    with Platform(tmp_path_factory.mktemp("closed"), closed=True).running() as platform:
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
    sign_up(page, "newcomer")
    page.wait_for_selector('[data-risk="accepted"]')
    send.click()
    page.locator("tbody tr", has_text="binance:BTCUSDT").wait_for()
    page.reload()  # the session is the browser's
    page.locator("tbody tr", has_text="binance:BTCUSDT").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("Sign in to see your account").first.wait_for()
    assert page.locator("tbody tr", has_text="binance:BTCUSDT").count() == 0


def test_who_is_not_known_any_more_after_a_break_is_nobody_and_the_market_goes_on(
    open_page: Any, platform: Platform, watched: Watched
) -> None:
    watched.expected = ("401",)
    page = open_page()
    sign_up(page, "forgotten")
    link = relink(page)
    page.get_by_text("No open position").wait_for()
    platform.forget_sessions()
    link.close()
    page.get_by_text("Sign in to see your account").first.wait_for()
    page.wait_for_selector('[data-link="open"]')
    assert page.locator("[data-user]").count() == 0
    moves(page, '[data-symbol="binance:BTCUSDT"] .price')
    moves(page, "[data-close]")


def test_an_account_is_heard_again_when_redis_answers_again(
    open_page: Any, platform: Platform, watched: Watched
) -> None:
    watched.expected = ("503",)
    page = open_page()
    sign_up(page, "patient")
    link = relink(page)
    page.get_by_text("No open position").wait_for()
    with platform.redis_silent():
        link.close()
        page.get_by_text("Redis").first.wait_for()
        page.wait_for_selector('[data-link="open"]')
        moves(page, '[data-symbol="binance:BTCUSDT"] .price')
        assert page.get_attribute("[data-user]", "data-user") == "patient"
    page.get_by_text("Redis").first.wait_for(state="detached")
    page.get_by_label("Quantity").fill("0.1")
    page.wait_for_selector('[data-risk="accepted"]')
    page.locator("button.send").click()
    page.locator("tbody tr", has_text="binance:BTCUSDT").wait_for()
