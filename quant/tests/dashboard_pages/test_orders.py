"""Orders, the kill switch and the account, by clicking and typing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from .conftest import Watched
from .running import Platform, eventually, relink, sign_up

pytestmark = pytest.mark.pages


@pytest.fixture
def trader(open_page: Callable[..., Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give the page of a user of their own: what a test leaves is nobody else's."""
    page = open_page()
    sign_up(page, f"user-{abs(hash(request.node.name)) % 10**9}")
    page.wait_for_selector("text=No open position")
    yield page


def test_an_order_is_asked_about_sent_filled_and_drawn(trader: Any) -> None:
    page = trader
    send = page.locator("button.send")
    assert send.get_attribute("aria-disabled") == "true"
    assert "quantity is empty" in send.get_attribute("title")
    page.get_by_label("Quantity").fill("0.25")
    page.wait_for_selector('[data-risk="accepted"]')
    assert page.locator('[data-tab="open"] .count').count() == 0  # asking made none
    page.get_by_text("No open position").wait_for()
    send.click()
    page.wait_for_selector('[data-result="filled"]')
    page.locator("tbody tr", has_text="binance:BTCUSDT").filter(has_text="0.25").wait_for()
    page.wait_for_function("() => document.querySelector('.canvas').dataset.marks >= 1")
    page.wait_for_function(
        "() => document.querySelector('.canvas').dataset.lines === '2'"
    )  # average price and stop-loss
    page.click('[data-tab="fills"]')
    page.wait_for_selector("text=by hand")


def test_the_profit_is_exact(trader: Any) -> None:
    page = trader
    page.get_by_label("Quantity").fill("0.12345")
    page.locator("button.send").click()
    page.wait_for_selector('[data-result="filled"]')
    row = "tbody tr:has(a[href*='BTCUSDT'])"
    page.wait_for_selector(row)

    def agrees() -> bool:
        cells, exact = page.evaluate(
            """row => { const one = document.querySelector(row);
                return [[...one.cells].map((cell) => cell.innerText.replaceAll(",", "").replace("−", "-")),
                        one.cells[4].querySelector("[title]").title]; }""",
            row,
        )
        position = page.evaluate(
            "fetch('/api/v1/portfolio').then((answer) => answer.json()).then((all) => all.positions[0])"
        )
        last = Decimal(cells[3])
        return Decimal(exact) == (last - Decimal(position["average_price"])) * Decimal(position["quantity"])

    eventually(agrees, "the profit that is shown is not that of the shown price")


def test_risk_refuses_before_and_after_sending(trader: Any, watched: Watched) -> None:
    watched.expected = ("422",)
    page = trader
    page.get_by_label("Quantity").fill("100000")
    page.wait_for_selector('[data-risk="rejected"]')
    page.locator("button.send").click()
    page.wait_for_selector('[data-result="rejected"]')


def test_an_open_order_has_a_line_and_is_canceled(trader: Any) -> None:
    page = trader
    page.get_by_label("Type").select_option("limit")
    page.get_by_label("Quantity").fill("0.1")
    price = page.evaluate("fetch('/api/v1/price/BTCUSDT').then((answer) => answer.json()).then((one) => one.price)")
    page.get_by_label("Price", exact=True).fill(str((Decimal(price) * Decimal("0.95")).quantize(Decimal("0.01"))))
    page.locator("button.send").click()
    page.wait_for_selector('[data-result="accepted"]')
    page.wait_for_function("() => document.querySelector('.canvas').dataset.lines === '1'")
    page.click('[data-tab="open"]')
    page.get_by_role("button", name="Cancel order").click()
    page.wait_for_selector("text=No open order")
    page.wait_for_function("() => document.querySelector('.canvas').dataset.lines === '0'")


def test_the_kill_switch_stops_and_a_reason_starts_again(trader: Any) -> None:
    page = trader
    page.get_by_label("Quantity").fill("0.1")
    page.wait_for_selector('[data-risk="accepted"]')
    page.locator("button.kill").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop trading").click()
    page.wait_for_selector("button.kill.off >> text=Trading off")
    page.wait_for_selector('[data-risk="rejected"]')
    page.locator("button.kill").click()
    reset = page.get_by_role("dialog").get_by_role("button", name="Switch trading on")
    assert reset.get_attribute("aria-disabled") == "true"
    page.get_by_role("dialog").get_by_label("Reason").fill("the test goes on")
    reset.click()
    page.wait_for_selector("button.kill.on >> text=Trading on")
    page.wait_for_selector('[data-risk="accepted"]')


def test_the_dialog_of_the_kill_switch_keeps_its_direction(trader: Any) -> None:
    """A rule, or another page, pulls the switch while somebody is about to: that click must not reset it."""
    page = trader
    page.locator("button.kill").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("the market is wild")
    pulled = page.evaluate(
        """async () => (await fetch("/api/v1/kill-switch", {method: "PUT",
            headers: {"Content-Type": "application/json"}, body: '{"on": false, "reason": "first"}'})).json()"""
    )
    assert pulled["decision"]["verdict"] == "accepted"
    page.wait_for_selector("button.kill.off")
    dialog.get_by_role("alert").get_by_text("Trading was stopped meanwhile.").wait_for()
    pull = dialog.get_by_role("button", name="Stop trading")
    assert pull.get_attribute("aria-disabled") == "true"
    assert dialog.get_by_role("button", name="Switch trading on").count() == 0
    pull.click(force=True)
    dialog.get_by_label("Reason").press("Enter")
    dialog.get_by_role("button", name="Cancel").click()
    assert page.evaluate("fetch('/api/v1/portfolio').then((answer) => answer.json())")["switch"].endswith("first")
    page.locator("button.kill").click()
    dialog.get_by_role("button", name="Switch trading on").wait_for()


def test_an_alert_is_told_holds_and_clears(trader: Any) -> None:
    page = trader
    page.click('[data-tab="alerts"]')
    page.wait_for_selector("text=No alert")
    page.get_by_label("Quantity").fill("0.1")
    page.locator("button.send").click()
    page.wait_for_selector('[data-result="filled"]')
    page.locator('.row[role="status"] .tag', has_text="binance:BTCUSDT").wait_for()
    told = page.locator("tbody tr", has_text="concentration")
    told.wait_for()
    assert "warning" in told.inner_text()
    page.locator("button.side.down").click()
    page.locator("button.send").click()
    page.locator("tbody tr", has_text="cleared").wait_for()
    page.locator('.row[role="status"] .tag').wait_for(state="detached")


def test_an_answer_that_comes_late_undoes_nothing(trader: Any) -> None:
    """The server says that it left something out; what is fetched then is older than what has come meanwhile."""
    page = trader
    answers: list[tuple[Any, Any]] = []

    link = relink(page)
    page.get_by_text("No open position").wait_for()
    page.route("**/api/v1/portfolio", lambda route: answers.append((route, route.fetch())))
    link.send('[{"op": "dropped", "stream": "account", "count": 3}]')
    eventually(lambda: page.wait_for_timeout(20) or answers, "what was left out is not asked for")
    page.get_by_label("Quantity").fill("0.25")
    page.locator("button.send").click()
    page.wait_for_selector('[data-result="filled"]')
    row = page.locator("tbody tr", has_text="binance:BTCUSDT")
    row.wait_for()
    (route, answer), *_ = answers
    assert answer.json()["positions"] == []
    route.fulfill(response=answer)
    page.wait_for_timeout(500)  # the page takes the answer in; nothing on it says so
    assert "0.25" in row.inner_text(timeout=1_000)


@pytest.mark.parametrize("late", [False, True])
def test_a_fill_that_comes_during_the_first_load_is_shown(trader: Any, platform: Platform, late: bool) -> None:
    """The fills were read before it and the portfolio behind it; it is heard before that answer, or after it."""
    page = trader
    routes: list[Any] = []
    kept: list[str] = []
    page.route("**/api/v1/portfolio", lambda route: routes.append(route))
    link = relink(page, lambda text: not (late and '"topic":"fills"' in text) or kept.append(text))
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some((one) => one.name.includes('/fills?') && one.responseEnd)"
    )
    page.get_by_label("Quantity").fill("0.25")
    page.wait_for_selector('[data-risk="accepted"]')
    page.locator("button.send").click()

    def bought() -> bool:
        page.wait_for_timeout(20)
        held = page.request.get(f"{platform.url}/api/v1/portfolio").json()["positions"]
        return [one["quantity"] for one in held] == ["0.25"] and bool(kept) == late

    eventually(bought, "the order is not filled")
    for route in routes:
        route.continue_()
    page.locator("tbody tr", has_text="binance:BTCUSDT").wait_for()
    for text in kept:
        link.send(text)
    page.click('[data-tab="fills"]')
    page.locator("tbody tr", has_text="by hand").first.wait_for()


def test_a_session_that_ended_acts_as_nobody_else(trader: Any, platform: Platform, watched: Watched) -> None:
    watched.expected = ("401",)
    page = trader
    platform.forget_sessions()
    page.get_by_label("Quantity").fill("0.25")  # risk is asked, and that is refused
    page.get_by_text("Sign in to see your account").first.wait_for()
    send = page.locator("button.send")
    assert send.get_attribute("aria-disabled") == "true"
    assert "ign in" in send.get_attribute("title")
    send.click(force=True)
    assert page.locator("button.kill").get_attribute("aria-disabled") == "true"
    assert page.locator("[data-user]").count() == 0


def test_signing_out_in_another_tab_sends_no_order_as_somebody_else(
    trader: Any, platform: Platform, watched: Watched
) -> None:
    watched.expected = ("401",)
    page = trader

    def by_hand() -> list[str]:  # of `main`
        return [order["order"] for order in platform.ask("orders?limit=200")["orders"] if not order["strategy"]]

    before = by_hand()
    page.get_by_label("Quantity").fill("0.25")
    page.locator("button.send:not([aria-disabled=true])").wait_for()
    user = page.get_attribute("[data-user]", "data-user")
    # What another tab would send; this one learns nothing of it before it sends the order: all else has to wait.
    sent = page.evaluate_handle("""() => {
        const meant = [];
        const real = window.fetch;
        window.fetch = (url, options) => {
            const order = options.method === "POST" && !JSON.parse(options.body).test;
            if (order) meant.push(options.headers["Barnabas-User"]);
            return meant.length > 0 ? real(url, options) : new Promise(() => {});
        };
        return real("/api/v1/session", { method: "DELETE" }).then(() => meant);
    }""")
    page.locator("button.send").click()
    page.get_by_text("Sign in to see your account").first.wait_for()
    assert sent.evaluate("meant => meant") == [user]
    assert page.locator("[data-user]").count() == 0
    assert by_hand() == before


def test_signing_out_and_in_changes_whose_account_it_is(trader: Any, platform: Platform, watched: Watched) -> None:
    watched.expected = ("401",)
    page = trader
    user = page.get_attribute("[data-user]", "data-user")
    page.get_by_label("Quantity").fill("0.1")
    page.locator("button.send").click()
    page.wait_for_selector('[data-result="filled"]')
    assert page.locator('[data-tab="strategies"]').count() == 0  # those are the house's
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_selector('[data-user="main"]')
    page.wait_for_selector('[data-tab="strategies"]')
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("User").fill(user)
    page.get_by_label("Password", exact=True).fill("not this one")
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    page.get_by_role("dialog").get_by_role("alert").wait_for()
    page.get_by_label("Password", exact=True).fill("a long password")
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    page.wait_for_selector(f'[data-user="{user}"]')
    page.locator("tbody tr", has_text="binance:BTCUSDT").wait_for()
