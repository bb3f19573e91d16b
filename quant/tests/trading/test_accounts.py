"""Several accounts on one venue; orders that are only tried."""

from __future__ import annotations

import msgspec
import pytest

from barnabas_quant.model.money import ONE
from barnabas_quant.trading.events import (
    Cancel,
    CashFlow,
    Decision,
    EquityEvent,
    Fill,
    Open,
    OrderEvent,
    Output,
    Place,
    Quote,
    Signal,
    Switch,
    Transfer,
)
from barnabas_quant.trading.instruments import CENT
from barnabas_quant.trading.limits import Limits
from barnabas_quant.trading.orders import OrderRequest

from .common import PLAIN, SHARE, Desk, u


def opened(*names: str, **more: object) -> Desk:
    desk = Desk(**more)  # type: ignore[arg-type]
    for name in names:
        desk.send(Open(f"open-{name}", desk.time, name))
    desk.quote("99.99", "10", "100", "10")
    return desk


def ask(desk: Desk, account: str, side: str = "BUY", quantity: str = "1", **more: object) -> list[Output]:
    desk.time += 1000
    request = OrderRequest(instrument=PLAIN.key, side=side, quantity=u(quantity))  # type: ignore[arg-type]
    place = Place(f"{account}-{desk.time}", desk.time, request, account)
    return desk.send(msgspec.structs.replace(place, **more))


def decision(told: list[Output]) -> Decision:
    (found,) = [one for one in told if isinstance(one, Decision)]
    return found


def test_an_account_begins_with_what_accounts_begin_with() -> None:
    desk = Desk(cash={"USDT": "1000", "CNY": "5"})
    told = desk.send(Open("o", desk.time, "anna"))
    assert {one.account for one in told if not isinstance(one, EquityEvent)} == {"anna"}
    assert decision(told).verdict == "accepted"
    flows = {one.currency: one.amount for one in told if isinstance(one, CashFlow)}
    worth = {one.currency: one.equity for one in told if isinstance(one, EquityEvent) and one.account == "anna"}
    assert flows == worth == {"USDT": "1000", "CNY": "5"}
    again = desk.send(Open("o2", desk.time, "anna"))
    assert (decision(again).verdict, decision(again).reason) == ("rejected", "it is open")


@pytest.mark.parametrize("name", ["", "a", "Anna", "1a", "a b", "a" * 33, "*", "anna\n"])
def test_what_is_no_name(name: str) -> None:
    desk = opened()
    told = decision(desk.send(Open("o", desk.time, name)))
    assert (told.verdict, told.rule, told.account) == ("rejected", "account", "main")
    assert list(desk.engine.accounts) == ["main"]


def test_each_has_its_own() -> None:
    desk = opened("anna", "li.lei")
    told = ask(desk, "anna", quantity="7")
    assert {one.account for one in told} == {"anna"}
    # What anna has taken of the quote is there for him as well
    (his,) = [one for one in ask(desk, "li.lei", quantity="10") if isinstance(one, Fill)]
    assert (his.account, his.quantity, his.price) == ("li.lei", "10", "100")
    held = {name: one.ledger.position(PLAIN.key).quantity for name, one in desk.engine.accounts.items()}
    assert held == {"main": 0, "anna": 7 * ONE, "li.lei": 10 * ONE}
    # He cannot cancel, sell or see to what is hers
    (resting,) = [
        one.order
        for one in desk.send(
            Place("hers", desk.time, OrderRequest(instrument=PLAIN.key, side="BUY", quantity=ONE, type="limit",
                                                  price=90 * ONE), "anna")
        )
        if isinstance(one, OrderEvent) and one.step == "accept"
    ]  # fmt: skip
    told = desk.send(Cancel("c", desk.time, resting, account="li.lei"))
    assert decision(told).verdict == "rejected" and resting in desk.engine.accounts["anna"].orders
    assert decision(desk.send(Cancel("c2", desk.time, account="li.lei"))).numbers == {"orders": "0"}
    assert decision(desk.send(Cancel("c3", desk.time, account="anna"))).numbers == {"orders": "1"}


def test_an_account_that_is_not_there() -> None:
    desk = opened()
    signal = Signal("s", desk.time, "BUY", PLAIN.key, ONE, ONE, "MA_CROSS", "nobody")
    for asked in (
        signal, Place("p", desk.time, OrderRequest(instrument=PLAIN.key, side="BUY", quantity=ONE), "nobody"),
        Cancel("c", desk.time, account="nobody"), Switch("k", desk.time, False, "anna", account="nobody"),
        Transfer("t", desk.time, "USDT", ONE, "nobody"),
    ):  # fmt: skip
        (told,) = desk.send(asked)
        assert isinstance(told, Decision)
        assert (told.account, told.verdict, told.rule) == ("main", "rejected", "account")
        assert told.reason == "there is no account 'nobody'; open it first"


def test_the_kill_switch_is_of_one_or_of_all() -> None:
    desk = opened("anna")
    desk.send(Switch("k", desk.time, False, "li.lei", account="anna"))
    assert decision(ask(desk, "anna")).rule == "kill-switch"
    assert decision(ask(desk, "main")).verdict == "accepted"
    desk.send(Switch("r", desk.time, True, "li.lei", account="*"))
    assert decision(ask(desk, "anna")).verdict == "accepted"
    desk.send(Switch("k2", desk.time, False, "li.lei", account="*"))
    assert [decision(ask(desk, name)).rule for name in ("anna", "main")] == ["kill-switch"] * 2


def test_worth_is_told_where_it_may_have_moved() -> None:
    desk = opened("anna", "li.lei")
    ask(desk, "anna")
    desk.out.clear()
    for _ in range(3):
        desk.time += 60_000_000
        desk.quote("99.99", "10", "100", "10")
    told = [one.account for one in desk.out if isinstance(one, EquityEvent)]
    assert told.count("li.lei") == 0 and told.count("main") == told.count("anna") == 3
    ask(desk, "anna", "SELL")
    desk.time += 60_000_000
    desk.out.clear()
    desk.quote("99.99", "10", "100", "10")
    desk.time += 60_000_000
    desk.quote("99.99", "10", "100", "10")
    assert [one.account for one in desk.out if isinstance(one, EquityEvent)].count("anna") == 1  # what it sold for


@pytest.mark.parametrize(
    ("more", "verdict", "rule", "reason"),
    [
        ({}, "accepted", "", ""),
        ({"quantity": "10000000"}, "rejected", "venue", "balance"),
        ({"quantity": "0.0000001"}, "rejected", "venue", "lot"),
        ({"quantity": "60"}, "rejected", "order_quantity", "above the limit"),
        ({"side": "SELL"}, "rejected", "venue", "position"),
        ({"account": "nobody"}, "rejected", "account", "no account"),
    ],
)
def test_a_trial_says_what_would_become_of_an_order(more: dict[str, str], verdict: str, rule: str, reason: str) -> None:
    limits = Limits(order_quantity=50 * ONE if more.get("quantity") == "60" else None)
    desk = opened("anna", limits=limits)
    before = msgspec.to_builtins(desk.engine.save())
    given = {"account": "anna", **more}
    told = ask(desk, given.pop("account"), **given, test=True)
    assert len(told) == 1
    assert (decision(told).verdict, decision(told).rule) == (verdict, rule) and reason in decision(told).reason
    after = msgspec.to_builtins(desk.engine.save())
    for state in (before, after):  # one output more, and a clock's reading
        for name in ("seq", "time", "told_time"):
            state.pop(name)
        for account in state["accounts"].values():
            account["positions"].pop(PLAIN.key, None)  # an empty one
            account["held"] = {currency: held for currency, held in account["held"].items() if held}
    assert after == before
    # And it does become that
    made = ask(desk, {"account": "anna", **more}["account"], **given)
    assert any(isinstance(one, Fill) for one in made) == (verdict == "accepted")


def test_a_trial_counts_for_no_limit() -> None:
    desk = opened(limits=Limits(orders_per_second=1))
    for _ in range(3):
        assert decision(ask(desk, "main", test=True)).verdict == "accepted"
    assert decision(ask(desk, "main")).verdict == "accepted"
    assert decision(ask(desk, "main", test=True)).rule == "orders_per_second"


def test_a_trial_of_what_the_venue_refuses() -> None:
    desk = Desk(key=SHARE, cash={"CNY": "100000"})
    desk.print("10")
    request = OrderRequest(instrument=SHARE, side="BUY", quantity=100 * ONE, type="limit", price=10 * ONE + CENT // 2)
    told = decision(desk.send(Place("p", desk.time, request, test=True)))
    assert told.rule == "venue" and "tick" in told.reason
    assert desk.engine.main.ledger.held.get("CNY", 0) == 0


def test_old_quotes_fill_an_account_that_comes_later() -> None:
    desk = opened()
    desk.send(Open("o", desk.time, "anna"))
    assert [one.price for one in ask(desk, "anna") if isinstance(one, Fill)] == ["100"]
    desk.send(Quote(PLAIN.key, desk.time + 1, 200 * ONE, ONE, 201 * ONE, ONE))
    assert desk.engine.accounts["anna"].equity("USDT") == desk.engine.main.equity("USDT") + u("100.5")
