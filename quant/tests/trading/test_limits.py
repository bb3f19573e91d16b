"""Limits: each refuses by its name and with its numbers, and lets pass what is within."""

from __future__ import annotations

from typing import Any

import pytest

from barnabas_quant.model.intervals import DAY, SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.trading import VenueModel
from barnabas_quant.trading.events import Clock, Decision, Switch, Transfer
from barnabas_quant.trading.limits import Limits

from .common import FUTURE, Desk, u


def desk_with(**limits: Any) -> Desk:
    desk = Desk(FUTURE, {"USDT": "10000"}, limits=Limits(**limits))
    desk.quote("1000", "99", "1000", "99")
    return desk


def decision(desk: Desk, id: str) -> Decision:
    return next(out for out in desk.out if isinstance(out, Decision) and out.subject == id)


def refused(desk: Desk, *order: str, **more: Any) -> tuple[str, dict[str, str]] | None:
    found = decision(desk, desk.place(*order, **more))
    return None if found.verdict == "accepted" else (found.rule, found.numbers)


@pytest.mark.parametrize(
    ("rule", "limit", "within", "beyond", "value"),
    [
        ("order_quantity", 2 * ONE, "2", "2.001", "2.001"),
        ("order_notional", 2000 * ONE, "2", "2.001", "2001"),
        ("position", 2 * ONE, "2", "2.001", "2.001"),
        ("position_notional", 2000 * ONE, "2", "2.001", "2001"),
        ("gross_notional", 2000 * ONE, "2", "2.001", "2001"),
        ("leverage", ONE // 5, "2", "2.001", "0.2001"),
    ],
)
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_limit_of_size(side: str, rule: str, limit: int, within: str, beyond: str, value: str) -> None:
    desk = desk_with(**{rule: limit})
    number = "0.2" if rule == "leverage" else within if "notional" not in rule else "2000"
    assert refused(desk, side, beyond) == (rule, {"value": value, "limit": number})
    assert refused(desk, side, within) is None


def test_symbols() -> None:
    assert refused(desk_with(symbols=("binance:ETHUSDT",)), "BUY", "1") == ("symbols", {})
    assert refused(desk_with(symbols=(FUTURE,)), "BUY", "1") is None


def test_the_collar_is_on_the_side_that_costs() -> None:
    desk = desk_with()
    numbers = {"price": "1100.01", "market": "1000", "limit": "0.1"}
    assert refused(desk, "BUY", "1", "1100.01") == ("price_collar", numbers)
    assert refused(desk, "BUY", "1", "1100") is None
    assert refused(desk, "BUY", "0.1", "500") is None
    assert refused(desk, "SELL", "0.1", "899.99") is not None
    # At 1200, where it becomes an order, 1210 is not far
    assert refused(desk, "BUY", "0.1", "1210", type="stop", trigger="1200") is None


def test_open_orders_count_for_the_position() -> None:
    desk = desk_with(position=2 * ONE)
    assert refused(desk, "BUY", "1.5", "950") is None
    assert refused(desk, "BUY", "1", "950") == ("position", {"value": "2.5", "limit": "2"})


@pytest.mark.parametrize(("opens", "closes"), [("BUY", "SELL"), ("SELL", "BUY")])
def test_what_only_reduces_passes(opens: str, closes: str) -> None:
    desk = desk_with(daily_loss=ONE // 100)
    desk.place(opens, "5")
    price = "900" if opens == "BUY" else "1100"
    desk.quote(price, "99", price, "99")  # 500 of 10,000 are lost
    rule, numbers = refused(desk, opens, "1") or ("", {})
    assert (rule, numbers) == ("daily_loss", {"value": "502.5", "limit": "100"})  # with the fee of 5000
    assert refused(desk, closes, "1") is None
    assert (refused(desk, closes, "4.001") or ("",))[0] == "daily_loss"  # it would turn it
    assert refused(desk, closes, "9", "1000", reduce_only=True) is None


@pytest.mark.parametrize(("opens", "closes"), [("BUY", "SELL"), ("SELL", "BUY")])
def test_a_position_is_closed_whole_after_a_loss(opens: str, closes: str) -> None:
    desk = desk_with(daily_loss=ONE // 100)
    desk.place(opens, "5")
    price = "900" if opens == "BUY" else "1100"
    desk.quote(price, "99", price, "99")
    assert refused(desk, closes, "5") is None
    assert desk.engine.main.ledger.position(FUTURE).quantity == 0


def test_a_day_begins_anew_and_payments_are_no_losses() -> None:
    desk = desk_with(daily_loss=ONE // 100)
    desk.place("BUY", "1")
    desk.send(Transfer("t", desk.time, "USDT", u("-5000")))
    assert refused(desk, "BUY", "0.1") is None
    desk.quote("900", "99", "900", "99")
    assert (refused(desk, "BUY", "0.1") or ("",))[0] == "daily_loss"
    desk.time += DAY
    desk.send(Clock(desk.time))
    assert refused(desk, "BUY", "0.1") is None
    desk.quote("700", "99", "700", "99")  # counted from the day's beginning, not from its first order
    assert (refused(desk, "BUY", "0.1") or ("",))[0] == "daily_loss"


def test_orders_per_second() -> None:
    desk = desk_with(orders_per_second=2)
    assert [refused(desk, "BUY", "0.1") for _ in range(3)] == [
        None, None, ("orders_per_second", {"orders": "3", "limit": "2"}),
    ]  # fmt: skip
    desk.time += SECOND - 1
    assert refused(desk, "BUY", "0.1") is not None
    desk.time += 1
    assert refused(desk, "BUY", "0.1") is None


def test_the_kill_switch() -> None:
    desk = desk_with()
    order = desk.place("BUY", "1", "950")
    desk.send(Switch("k", desk.time, False, "anna", "a test"))
    assert desk.status(order) == "canceled"
    assert refused(desk, "SELL", "1") == ("kill-switch", {})
    desk.send(Switch("r", desk.time, True, ""))
    assert decision(desk, "r").verdict == "rejected"
    assert refused(desk, "BUY", "1") is not None
    desk.send(Switch("s", desk.time, True, "anna"))
    assert refused(desk, "BUY", "1") is None


@pytest.mark.parametrize("latency", [0, 1000])
def test_the_kill_switch_closes_what_open_sales_keep(latency: int) -> None:
    desk = Desk(venue=VenueModel(latency=latency))
    desk.quote("100", "99", "100", "99")
    desk.place("BUY", "2")
    desk.time += latency
    desk.send(Clock(desk.time))
    desk.place("SELL", "2", "150")
    desk.time += latency
    desk.send(Switch("k", desk.time, False, "anna", flatten=True))
    for _ in range(2):
        desk.time += latency
        desk.send(Clock(desk.time))
    assert desk.engine.main.ledger.position(desk.key).quantity == 0
    assert not desk.engine.main.orders
