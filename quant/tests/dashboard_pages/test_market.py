"""The market on the page: prices, candles, the book, the tape."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .running import Platform, relink

pytestmark = pytest.mark.pages


def _moves(page: Any, selector: str) -> None:
    """Wait until the text of an element is another one than now."""
    page.wait_for_function("selector => document.querySelector(selector)?.innerText.trim()", arg=selector)
    before = page.inner_text(selector)
    page.wait_for_function(
        "([selector, before]) => document.querySelector(selector).innerText !== before", arg=[selector, before]
    )


def test_prices_of_the_watch_list_and_the_chart_move(open_page: Callable[..., Any]) -> None:
    page = open_page()
    _moves(page, '[data-symbol="binance:BTCUSDT"] .price')
    _moves(page, "[data-price]")
    _moves(page, "[data-close]")
    page.wait_for_selector('[data-symbol="binance:BTCUSDT"] polyline', state="attached")
    page.wait_for_function("() => Number(document.querySelector('.canvas').dataset.bars) > 0")
    assert page.locator(".canvas canvas").count() >= 2  # drawn


def test_the_chart_shows_the_close_that_the_gateway_tells(open_page: Callable[..., Any], platform: Platform) -> None:
    page = open_page("/?interval=1s")
    page.wait_for_function("() => Number(document.querySelector('.canvas')?.dataset.bars) > 3")
    page.wait_for_function(
        """async () => {
            const shown = document.querySelector("[data-close]").innerText.replaceAll(",", "");
            const answer = await (await fetch("/api/v1/klines/BTCUSDT?interval=1s&limit=5")).json();
            return answer.klines.some((bar) => Number(bar.close) === Number(shown));
        }"""
    )


def test_the_last_candle_follows_the_trades_between_two_bars_that_the_venue_tells(
    open_page: Callable[..., Any],
) -> None:
    page = open_page("/?interval=1m")
    page.wait_for_selector("[data-close]")
    page.evaluate(
        """() => {
            let last = -Infinity;
            window.gap = Infinity;
            new MutationObserver(() => {
                window.gap = Math.min(window.gap, performance.now() - last);
                last = performance.now();
            }).observe(document.querySelector("[data-close]"), {characterData: true, childList: true, subtree: true});
        }"""
    )
    page.wait_for_function("() => window.gap < 500")  # bars are told once a second


def test_book_and_tape_follow_the_market(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.wait_for_selector('table[data-levels="8"]')
    _moves(page, "tr.bid .level")
    _moves(page, ".tape tbody tr:first-child")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_selector(".tape .tag")  # so many are new
    before = page.inner_text(".tape tbody tr:first-child")
    page.wait_for_function("() => Number.parseInt(document.querySelector('.tape .tag').innerText) > 3")
    assert page.inner_text(".tape tbody tr:first-child") == before
    page.get_by_role("button", name="Go on").click()
    page.wait_for_function("before => document.querySelector('.tape tbody tr').innerText !== before", arg=before)


def test_a_trade_that_is_heard_and_fetched_is_shown_once(open_page: Callable[..., Any]) -> None:
    page = open_page()
    link = relink(page)
    page.wait_for_selector(".tape tbody tr:nth-child(8)")
    trade = page.evaluate("async () => (await (await fetch('/api/v1/trades/BTCUSDT?limit=1')).json()).trades[0]")
    for _ in range(2):
        link.send(json.dumps([{"stream": "trade:binance:BTCUSDT", "data": trade}]))
    _moves(page, ".tape tbody tr:first-child")  # a key twice would be an error of the page, and its end
    _moves(page, ".tape tbody tr:first-child")


def test_the_best_bid_is_below_the_best_ask(open_page: Callable[..., Any]) -> None:
    page = open_page("/?symbol=okx:BTC-USDT")
    page.wait_for_selector('table[data-levels="8"]')
    for _ in range(20):  # looked at while it changes
        _moves(page, "tr.bid .level")
        rows = page.evaluate(
            "[...document.querySelectorAll('.level')].map((one) => Number(one.innerText.replaceAll(',', '')))"
        )
        assert rows == sorted(rows, reverse=True)
        assert len(rows) == 16


def test_an_instrument_is_chosen_filtered_and_stands_in_the_address(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.click('[data-symbol="binance:ETHUSDT"]')
    page.wait_for_function("() => document.querySelector('h2 .symbol').innerText === 'ETHUSDT'")
    page.get_by_role("link", name="5m", exact=True).click()
    page.get_by_role("button", name="RSI").click()
    page.get_by_role("searchbox").fill("okx eth")
    page.wait_for_function("() => document.querySelectorAll('[data-symbol]').length === 1")
    assert "symbol=binance%3AETHUSDT" in page.url
    page.wait_for_url("**filter=okx+eth**")
    page.reload()
    page.wait_for_function("() => document.querySelector('h2 .symbol').innerText === 'ETHUSDT'")
    assert page.get_by_role("button", name="RSI").get_attribute("aria-pressed") == "true"
    assert page.get_by_role("link", name="5m", exact=True).get_attribute("aria-current") == "true"
    assert page.locator("[data-symbol]").count() == 1
    page.get_by_role("searchbox").fill("nothing of this name")
    page.get_by_role("button", name="Clear the filter").click()
    page.wait_for_function("() => document.querySelectorAll('[data-symbol]').length > 1")


def test_shares_have_names_and_no_book(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_role("link", name="A-shares").click()
    page.wait_for_selector('[data-symbol="sse:600519"] >> text=贵州茅台')
    page.wait_for_selector("text=There is no order book of this instrument.")
    page.wait_for_function("() => Number(document.querySelector('.canvas')?.dataset.bars) > 0")
    _moves(page, "[data-close]")
