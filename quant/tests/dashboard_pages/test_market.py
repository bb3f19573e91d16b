"""The market on the page: prices, candles, the book, the tape."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from barnabas_quant.model.markets import venue_of_code

from .conftest import Watched
from .running import Platform, moves, relink

pytestmark = pytest.mark.pages


def test_prices_of_the_watch_list_and_the_chart_move(open_page: Callable[..., Any]) -> None:
    page = open_page()
    moves(page, '[data-symbol="binance:BTCUSDT"] .price')
    moves(page, "[data-price]")
    moves(page, "[data-close]")
    page.wait_for_selector('[data-symbol="binance:BTCUSDT"] polyline', state="attached")
    page.wait_for_function("() => Number(document.querySelector('.canvas').dataset.bars) > 0")
    assert page.locator(".canvas canvas").count() >= 2  # drawn


@pytest.mark.parametrize(("interval", "least"), [("1m", 500), ("5m", 390), ("15m", 130), ("1h", 32), ("1d", 1)])
def test_a_first_start_shows_what_was_before(open_page: Callable[..., Any], interval: str, least: int) -> None:
    page = open_page(f"/?interval={interval}")
    page.wait_for_function("least => Number(document.querySelector('.canvas')?.dataset.bars) >= least", arg=least)


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
    moves(page, "tr.bid .level")
    moves(page, ".tape tbody tr:first-child")
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
    moves(page, ".tape tbody tr:first-child")  # a key twice would be an error of the page, and its end
    moves(page, ".tape tbody tr:first-child")


def test_the_best_bid_is_below_the_best_ask(open_page: Callable[..., Any]) -> None:
    page = open_page("/?symbol=okx:BTC-USDT")
    page.wait_for_selector('table[data-levels="8"]')
    for _ in range(20):  # looked at while it changes
        moves(page, "tr.bid .level")
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
    page.wait_for_function("() => document.querySelectorAll('[data-symbol]').length === 1")
    page.get_by_role("searchbox").fill("nothing of this name")
    page.get_by_role("button", name="Clear the filter").click()
    page.wait_for_function("() => document.querySelectorAll('[data-symbol]').length > 1")


def test_shares_have_names_and_no_book(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_role("link", name="A-shares").click()
    page.wait_for_selector('[data-symbol="sse:600519"] >> text=贵州茅台')
    page.wait_for_selector("text=There is no order book of this instrument.")
    page.wait_for_function("() => Number(document.querySelector('.canvas')?.dataset.bars) > 0")
    moves(page, "[data-close]")


@pytest.mark.parametrize(("venue", "prefixed"), [("sse", "sh000001"), ("szse", "sz510300")])
def test_a_share_that_no_list_has_named_yet_is_of_the_venue_of_its_code(
    open_page: Callable[..., Any], venue: str, prefixed: str
) -> None:
    symbols = [code for start in range(1000) if venue_of_code(code := f"{start:03}777") == venue] + [prefixed]
    page = open_page("/?market=ashare")
    page.route("**/api/v1/symbols", lambda route: route.fulfill(json={"primary": "binance", "symbols": []}))
    link = relink(page)
    page.get_by_role("searchbox").fill(f"{venue}: invented")
    stock = {"name": "invented", "price": "1.5", "volume": None, "time": "2026-01-05 10:00:00"}
    link.send(json.dumps([{"stream": f"stock:{one}", "data": {"symbol": one, **stock}} for one in symbols]))
    page.get_by_role("status").get_by_text(f"{len(symbols)} / ").wait_for()


class Unlisted:
    """Be the venue of an instrument that there is not: the test says what is fetched of it and what is heard."""

    def __init__(self, page: Any) -> None:
        self.read: list[dict[str, Any]] = []
        page.route("**/api/v1/klines/*", lambda route: route.fulfill(json={"klines": self.read}))
        self._page = page
        self._link = relink(page)
        page.wait_for_selector("text=No candles")

    def hears(self, *bars: dict[str, Any]) -> None:
        """Say bars on the stream."""
        self._link.send(json.dumps([{"stream": "kline:binance:NONE:1m", "data": bar} for bar in bars]))

    def fetches(self, *bars: dict[str, Any]) -> None:
        """Make the page fetch these."""
        self.read = list(bars)
        with self._page.expect_response("**/api/v1/klines/*"):
            self._link.send('[{"op": "dropped", "stream": "kline:binance:NONE:1m", "count": 1}]')

    def shows(self, close: str, bars: int) -> None:
        """Wait until the last bar has a close, and there are so many."""
        self._page.wait_for_function(
            """([close, bars]) => document.querySelector("[data-close]")?.innerText === close
                && document.querySelector(".canvas").dataset.bars === String(bars)""",
            arg=[close, bars],
        )


@pytest.fixture
def unlisted(open_page: Callable[..., Any], watched: Watched) -> Unlisted:
    watched.expected = ("404",)
    return Unlisted(open_page("/?symbol=binance:NONE&interval=1m"))


def _bar(minute: int, close: str, volume: str, source: str = "venue", **more: Any) -> dict[str, Any]:
    opened = (1_767_600_000 + 60 * minute) * 1_000_000
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    times = {"open_time": opened, "close_time": opened + 59_999_000, "closed": False}
    return {**times, **prices, "volume": volume, "source": source, **more}


def test_an_answer_that_is_behind_takes_nothing_back(unlisted: Unlisted) -> None:
    """Each answer brings an older bar besides, by which one sees that it was taken in."""
    unlisted.hears(_bar(0, "105.00", "9", closed=True, event_time=2))
    unlisted.shows("105.00", 1)
    unlisted.fetches(_bar(-1, "90.00", "1"), _bar(0, "101.00", "4"))
    unlisted.shows("105.00", 2)
    unlisted.hears(_bar(1, "106.00", "1", event_time=3))
    unlisted.shows("106.00", 3)
    unlisted.fetches(_bar(-2, "90.00", "1"), _bar(1, "106.00", "1"))  # the history does not have the one between yet
    unlisted.shows("106.00", 4)
    unlisted.hears(_bar(1, "107.00", "3", event_time=4))
    unlisted.shows("107.00", 4)
    unlisted.fetches(_bar(-3, "90.00", "1"), _bar(1, "106.00", "1"))
    unlisted.shows("107.00", 5)
    unlisted.fetches(_bar(-4, "90.00", "1"), _bar(1, "108.00", "4"))
    unlisted.shows("108.00", 6)


def test_the_venues_own_bars_are_shown_from_their_first_on(unlisted: Unlisted) -> None:
    unlisted.hears(_bar(0, "100.00", "1", "computed"))
    unlisted.shows("100.00", 1)
    unlisted.hears(_bar(0, "101.00", "1"))
    unlisted.shows("101.00", 1)
    unlisted.hears(_bar(0, "99.00", "8", "computed"), _bar(1, "99.50", "8", "computed"), _bar(1, "102.00", "1"))
    unlisted.shows("102.00", 2)


def test_candles_come_once_the_gateway_can_tell_them(open_page: Callable[..., Any], watched: Watched) -> None:
    watched.expected = ("503",)
    page = open_page()
    answers = iter([503, 503])

    def answered(route: Any) -> None:
        status = next(answers, None)
        route.continue_() if status is None else route.fulfill(status=status, json={"message": "not now"})

    page.route("**/api/v1/klines/*", answered)
    page.reload()
    page.wait_for_selector("text=not now")
    page.wait_for_function("() => Number(document.querySelector('.canvas')?.dataset.bars) > 0")
    page.wait_for_selector("text=not now", state="detached")
    moves(page, "[data-close]")
