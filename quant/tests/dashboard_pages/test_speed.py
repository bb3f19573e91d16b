"""Many instruments: the page stays smooth while 200 of them tick. `python -m bench.pages` measures frames, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.pages import working

from .running import Platform

pytestmark = pytest.mark.pages

SYMBOLS = 200
EVERY_MS = 100  # each symbol ticks ten times a second
LASTS_MS = 6_000

# A socket that says what the gateway would: texts are made before, so that what is measured is the page's own work.
_SOCKET = """
(() => {
    const symbols = Array.from({length: %d}, (_, number) => `COIN${number}`);
    const texts = Array.from({length: 20}, (_, turn) => JSON.stringify(symbols.map((symbol, number) => {
        const price = (100 + number + ((turn * 7 + number) %% 20) / 100).toFixed(8);
        return {stream: `tick:binance:${symbol}`, data: {exchange: "binance", symbol, kind: "trade", price, bid: price,
            bid_size: "1", ask: price, ask_size: "1", update_id: turn, event_time: Date.now() * 1000, receive_time: 1}};
    })));
    window.WebSocket = class extends EventTarget {
        static OPEN = 1;
        readyState = 1;
        constructor() {
            super();
            let turn = 0;
            setTimeout(() => this.onopen?.(), 0);
            setInterval(() => this.onmessage?.({data: texts[turn++ %% texts.length]}), %d);
        }
        send() {}
        close() {}
    };
})();
"""


@pytest.mark.slow
def test_two_hundred_ticking_symbols_leave_the_main_thread_free(
    browser: Any, platform: Platform, record_property: Callable[[str, object], None]
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en")
    page = context.new_page()
    listed = [{"exchange": "binance", "symbol": f"COIN{number}", "last_ms": 1} for number in range(SYMBOLS)]
    page.route("**/api/v1/symbols", lambda route: route.fulfill(json={"primary": "binance", "symbols": listed}))
    page.add_init_script(_SOCKET % (SYMBOLS, EVERY_MS))
    page.goto(f"{platform.url}/?symbol=binance:COIN1")
    page.wait_for_function("() => document.querySelector('[data-symbol] .price')?.innerText.length > 3")
    page.wait_for_selector(".canvas canvas")
    page.wait_for_selector(".lower .bone", state="detached")
    assert page.locator("[data-symbol]").count() < 60  # those in view alone are drawn
    with working(page) as work:
        page.wait_for_timeout(LASTS_MS)
    context.close()
    told = f"the main thread works {work[0].share:.0%} of the time, {work[0].longest:.0f} ms at a time at most"
    record_property("work", told)
    print(told)
    assert work[0].longest < 50
    assert 0.01 < work[0].share < 0.5


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_first_load_is_small_with_the_chart(browser: Any, platform: Platform, language: str) -> None:
    context = browser.new_context(locale=language)
    page = context.new_page()
    sizes: dict[str, int] = {}

    def came(request: Any) -> None:
        if "/api/" not in request.url:
            sizes[request.url.rpartition("/")[2]] = request.sizes()["responseBodySize"]

    page.on("requestfinished", came)
    page.goto(platform.url)
    page.wait_for_selector(".canvas canvas")
    context.close()
    print(f"{sum(sizes.values()):,} bytes came: {sizes}")
    assert any(name.startswith("Candles") and name.endswith(".js") for name in sizes)
    assert 20_000 < sum(sizes.values()) < 120_000
