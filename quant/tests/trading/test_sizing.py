"""How large an order becomes that a signal asks for, and at which price."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from barnabas_quant.model.intervals import DAY
from barnabas_quant.model.money import ONE
from barnabas_quant.trading.engine import Sizing
from barnabas_quant.trading.events import Decision, Signal

from .common import COIN, FUTURE, SHARE, Desk, china, u

NOTIONAL = Sizing(by="notional", notional=10_000 * ONE)


def desk_of(key: str, sizing: Sizing = NOTIONAL, **more: Any) -> Desk:
    return Desk(key, {"USDT": "100000", "CNY": "100000"}, sizing=sizing, order_type="market", **more)


def ask(desk: Desk, side: Literal["BUY", "SELL"], price: str, quantity: str) -> str:
    id = f"s{len(desk.out)}"
    desk.send(Signal(id, desk.time, side, desk.key, u(price), u(quantity), "X"))
    return id


def at(desk: Desk, price: str) -> None:
    desk.quote(price, "100000", price, "100000")


@pytest.mark.parametrize("price", ["90", "200"])
@pytest.mark.parametrize("sizing", [NOTIONAL, Sizing(by="equity", share=ONE // 10)])
@pytest.mark.parametrize(("said", "sold"), [("100", "100"), ("1000", "100"), ("40", "40")])
def test_a_sale_closes_what_was_bought_whatever_became_of_the_price(
    price: str, sizing: Sizing, said: str, sold: str
) -> None:
    desk = desk_of(COIN, sizing)
    at(desk, "100")
    assert desk.fills(ask(desk, "BUY", "100", "1")) == [("100", "100")]
    at(desk, price)
    assert desk.fills(ask(desk, "SELL", price, said)) == [(price, sold)]


def test_a_future_is_closed_as_it_is_and_opened_as_large_as_it_is_to_be() -> None:
    for opens, closes in (("BUY", "SELL"), ("SELL", "BUY")):
        desk = desk_of(FUTURE)
        at(desk, "100")
        assert desk.fills(ask(desk, opens, "100", "1")) == [("100", "100")]  # type: ignore[arg-type]
        at(desk, "50")
        assert desk.fills(ask(desk, opens, "50", "1")) == [("50", "200")]  # type: ignore[arg-type]
        at(desk, "80")
        assert desk.fills(ask(desk, closes, "80", "120")) == [("80", "120")]  # type: ignore[arg-type]
        assert desk.fills(ask(desk, closes, "80", "500")) == [("80", "180")]  # type: ignore[arg-type]
        assert desk.fills(ask(desk, closes, "80", "1")) == [("80", "125")]  # type: ignore[arg-type]


def test_of_a_share_that_can_be_sold_today_is_sold() -> None:
    desk = desk_of(SHARE)
    desk.print("10")
    ask(desk, "BUY", "10", "100")
    desk.print("10")
    assert desk.engine.main.ledger.position(SHARE).quantity == u("1000")
    assert "bought today" in desk.last(ask(desk, "SELL", "10", "5000")).reason
    desk.time = china(0, 10) + DAY
    desk.print("9.5")
    ask(desk, "BUY", "9.5", "100")
    desk.print("9.5")  # 1000 more
    sale = ask(desk, "SELL", "9.5", "5000")
    desk.print("9.5")
    assert desk.fills(sale) == [("9.5", "1000")]
    desk.time += DAY
    desk.print("9.5")
    part, rest = ask(desk, "SELL", "9.5", "350"), ask(desk, "SELL", "9.5", "5000")  # the first keeps what it sells
    desk.print("9.5")
    assert (desk.fills(part), desk.fills(rest)) == ([("9.5", "300")], [("9.5", "700")])


def test_less_than_a_lot_closes_nothing() -> None:
    desk = desk_of(SHARE)
    desk.own("1000", "10")
    desk.print("10")
    ask(desk, "SELL", "10", "50")
    decision = desk.out[-1]
    assert isinstance(decision, Decision) and decision.rule == "size"


def test_by_volume_a_signal_is_taken_at_its_word() -> None:
    desk = desk_of(FUTURE, Sizing())
    at(desk, "100")
    ask(desk, "BUY", "100", "1")
    assert desk.fills(ask(desk, "SELL", "100", "3")) == [("100", "3")]


@pytest.mark.parametrize(
    ("side", "asked", "price"),
    [("SELL", "100.009", "100.01"), ("SELL", "100.01", "100.01"), ("BUY", "100.009", "100"), ("BUY", "100", "100")],
)
def test_a_limit_off_the_tick_is_never_worse_than_was_asked_for(
    side: Literal["BUY", "SELL"], asked: str, price: str
) -> None:
    desk = Desk(COIN)
    desk.own("1")
    assert desk.last(ask(desk, side, asked, "1")).price == price
