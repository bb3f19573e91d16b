"""The account: ledgers worked out by hand, to the last unit of 10^-8."""

from __future__ import annotations

import msgspec
import pytest

from barnabas_quant.trading.events import Funding, Transfer
from barnabas_quant.trading.instruments import crypto, listed_share
from barnabas_quant.trading.ledger import LedgerError

from .common import COIN, FUTURE, SHARE, Desk, china, u


def charges(desk: Desk, order: str) -> list[tuple[str, str]]:
    return [(fill.fee, fill.taxes) for fill in desk.all_fills(order)]


def test_round_trip_of_a_share() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    bought = desk.place("BUY", "100", "10")
    desk.print("10")
    # 100 x 10 = 1000; 0.025 % is 0.25, at least 5; transfer 0.001 % = 0.01. 100,000 - 1000 - 5.01
    assert charges(desk, bought) == [("5", "0.01")]
    assert desk.cash("CNY") == u("98994.99")
    desk.time = china(1, 10)
    sold = desk.place("SELL", "100", "10.5")
    desk.print("10.5")
    # 1050; commission 5; stamp 0.05 % = 0.525, so 0.53; transfer 0.0105, so 0.01. 98,994.99 + 1050 - 5.54
    assert charges(desk, sold) == [("5", "0.54")]
    assert desk.cash("CNY") == u("100039.45")
    position = desk.engine.main.ledger.position(SHARE)
    assert (position.realized, position.fees, position.cost) == (u("50"), u("10.55"), 0)


def test_the_least_commission_is_that_of_the_whole_order() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    order = desk.place("BUY", "3000", "10")
    for price in ("10", "9.99", "9.99"):  # the second and third go through what rests: at its own price
        desk.print(price, "1000")
    # So far 10,000, 20,000, 30,000: 2.50 (5 at least), 5.00, 7.50; transfer 0.10 each
    assert desk.fills(order) == [("10", "1000")] * 3
    assert charges(desk, order) == [("5", "0.1"), ("0", "0.1"), ("2.5", "0.1")]
    assert desk.cash("CNY") == u("69992.2")


def test_what_was_bought_today_is_sold_tomorrow() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.own("300", "9")
    desk.place("BUY", "200", "10")
    desk.print("10")
    refused = desk.place("SELL", "400", "10")
    assert desk.last(refused).reason == "bought today and not settled: 300 of 500 can be sold"
    old = desk.place("SELL", "300", "10")
    desk.print("10")
    assert desk.status(old) == "filled"
    assert desk.status(desk.place("SELL", "100", "10")) == "rejected"
    desk.time = china(1, 10)
    new = desk.place("SELL", "200", "10")
    desk.print("10")
    assert desk.status(new) == "filled"


@pytest.mark.parametrize(("quantity", "fine"), [("250", True), ("50", True), ("150", True), ("30", False)])
def test_an_odd_lot_goes_in_one_piece(quantity: str, fine: bool) -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.own("250")
    assert (desk.status(desk.place("SELL", quantity, "10")) == "accepted") == fine
    assert desk.status(desk.place("BUY", "250", "10")) == "rejected"


def test_stamp_duty_of_hong_kong_is_whole_dollars_up() -> None:
    desk = Desk("hkex:00700", {"HKD": "100000"})
    bought = desk.place("BUY", "100", "300.2")
    desk.print("300.2")
    # 30,020; 0.03 % = 9.006; stamp 30.02, so 31; levies 0.0085 % = 2.5517. 100,000 - 30,020 - 9.01 - 33.55
    assert charges(desk, bought) == [("9.01", "33.55")]
    assert desk.cash("HKD") == u("69937.44")
    sold = desk.place("SELL", "100", "301")  # the same day
    desk.print("301")
    # 30,100; 9.03; stamp 30.10, so 31; levies 2.5585. 69,937.44 + 30,100 - 9.03 - 33.56
    assert charges(desk, sold) == [("9.03", "33.56")]
    assert desk.cash("HKD") == u("99994.85")


def test_spot_crypto_as_taker_and_maker() -> None:
    desk = Desk(COIN, {"USDT": "100000"})
    desk.quote("59999", "1", "60000", "1")
    bought = desk.place("BUY", "0.5")
    # 30,000 and 0.1 % of it: 30
    assert charges(desk, bought) == [("30", "0")]
    assert desk.cash("USDT") == u("69970")
    sold = desk.place("SELL", "0.5", "61000")
    desk.quote("61000", "1", "61001", "1")
    # + 30,500 - 30.50
    assert (charges(desk, sold), desk.all_fills(sold)[0].liquidity) == ([("30.5", "0")], "maker")
    assert desk.cash("USDT") == u("100439.5")


def test_what_open_orders_keep() -> None:
    desk = Desk(cash={"USDT": "1000"})
    first = desk.place("BUY", "6", "100")
    second = desk.place("BUY", "5", "100")
    assert desk.last(second).reason == "balance: 500 USDT needed, 400 free"
    desk.engine.main.cancel(desk.engine.main.orders[first], "")
    assert desk.status(desk.place("BUY", "10", "100")) == "accepted"
    refused = desk.send(Transfer("t", desk.time, "USDT", u("-1")))[0]
    assert refused.reason == "USDT: only 0 are free"  # type: ignore[attr-defined]


def test_a_purchase_that_a_gap_makes_too_dear_is_cut() -> None:
    desk = Desk(cash={"USDT": "1000"})
    desk.print("100")
    order = desk.place("BUY", "10")
    desk.print("110", "50")
    # 1000 / 110 = 9.0909, in lots of 0.001
    assert desk.fills(order) == [("110", "9.09")]
    assert desk.status(order) == "canceled"
    assert desk.cash("USDT") == u("0.1")


def test_a_future_long_and_flipped_to_short() -> None:
    desk = Desk(FUTURE, {"USDT": "10000"})
    ledger = desk.engine.main.ledger
    desk.quote("49999", "5", "50000", "5")
    desk.place("BUY", "1")
    # fee 0.05 % of 50,000 = 25; margin 50,000 / 20 = 2500
    assert (desk.cash("USDT"), ledger.free("USDT")) == (u("9975"), u("7475"))
    desk.quote("51000", "5", "51002", "5")
    # mark 51,001: profit 1001, which is not free before it is realized; margin 2550.05
    assert ledger.equity("USDT") == (u("9975"), u("1001"))
    assert ledger.free("USDT") == u("7424.95")
    desk.place("SELL", "3")
    # one closed: + 1000; two sold short; fee of 153,000: 76.50. 9975 + 1000 - 76.50
    position = ledger.position(FUTURE)
    assert desk.cash("USDT") == u("10898.5")
    assert (position.quantity, position.cost, position.average) == (u("-2"), u("-102000"), u("51000"))
    desk.quote("49998", "5", "50000", "5")
    # mark 49,999: 102,000 - 99,998
    assert position.unrealized() == u("2002")
    desk.place("BUY", "2")
    # + 2000, fee of 100,000: 50
    assert desk.cash("USDT") == ledger.free("USDT") == u("12848.5")
    assert (position.realized, position.fees) == (u("3000"), u("151.5"))


def test_two_orders_that_close_the_same_future_do_not_open_without_margin() -> None:
    desk = Desk(FUTURE, {"USDT": "2600"})
    desk.quote("50000", "5", "50000", "5")
    desk.place("BUY", "1")  # 2500 of margin, 25 of fee: 75 are left
    first, second = desk.place("SELL", "1", "50100"), desk.place("SELL", "1", "50100")
    desk.quote("50100", "5", "50200", "5")
    assert desk.status(first) == "filled"
    # The margin is free again: 2575 + 100 - 10.02 of fee = 2664.98, enough for 2505 + 25.05 of the short
    assert desk.engine.main.ledger.position(FUTURE).quantity == u("-1")
    third, fourth = desk.place("BUY", "1", "50000"), desk.place("BUY", "1", "50000")
    desk.engine.main.ledger.cash["USDT"] -= u("2000")  # lost elsewhere
    desk.quote("49800", "5", "49900", "5")
    # 2664.98 - 10.02 - 2000 + 100 - 10 = 744.96: margin (2500) and fee (25) of one are not there; of 0.295 they are
    assert (desk.status(second), desk.status(third), desk.status(fourth)) == ("filled", "filled", "canceled")
    assert desk.engine.main.ledger.position(FUTURE).quantity == u("0.295")


@pytest.mark.parametrize(
    ("side", "rate", "paid"), [("BUY", 10_000, "10"), ("BUY", -10_000, "-10"), ("SELL", 10_000, "-10")]
)
def test_funding(side: str, rate: int, paid: str) -> None:
    desk = Desk(FUTURE, {"USDT": "10000"})
    desk.quote("50000", "5", "50000", "5")
    desk.place(side, "2")
    before = desk.cash("USDT")
    desk.send(Funding(FUTURE, desk.time, rate, u("50000")))  # 0.01 % of 2 x 50,000
    assert before - desk.cash("USDT") == u(paid)


def test_currencies_do_not_pay_for_one_another() -> None:
    desk = Desk(COIN, {"USDT": "1000", "CNY": "100000", "HKD": "5"})
    assert desk.last(desk.place("BUY", "1", "60000")).reason == "balance: 60060 USDT needed, 1000 free"
    share = desk.place("BUY", "100", "10", key=SHARE)
    assert desk.status(share) == "accepted"
    # 1000 + 5 + 0.01
    assert desk.engine.main.ledger.free("CNY") == u("98994.99")
    assert desk.engine.main.ledger.free("USDT") == u("1000")
    assert "HKD needed" in desk.last(desk.place("BUY", "100", "1", key="hkex:00700")).reason


def test_the_average_price_of_what_does_not_divide() -> None:
    small = msgspec.structs.replace(crypto("binance", "BTCUSDT"), least=0)
    desk = Desk(COIN, {"USDT": "1"}, instruments=(small,))
    for price, quantity in (("100.01", "0.00001"), ("100", "0.00002")):
        desk.quote("99", "1", price, "1")
        desk.place("BUY", quantity)
    position = desk.engine.main.ledger.position(COIN)
    assert position.cost == 100_010 + 200_000  # units
    desk.quote("101", "1", "102", "1")
    desk.place("SELL", "0.00001")
    # a third of 300,010 is 100,003.33; 101,000 - 100,003; 200,007 are left of 2000 units
    assert (position.realized, position.cost, position.average) == (997, 200_007, u("100.0035"))
    desk.place("SELL", "0.00002")
    # 202,000 - 200,007: together 303,000 - 300,010
    assert (position.realized, position.cost, position.average) == (997 + 1993, 0, 0)


def test_price_limits_are_rounded_as_the_exchange_rounds_them() -> None:
    # 10.05 x 0.9 = 9.045, so 9.05; x 1.1 = 11.055, so 11.06
    assert listed_share("600000").limits(u("10.05")) == (u("9.05"), u("11.06"))
    assert listed_share("300059").limits(u("10.01")) == (u("8.01"), u("12.01"))


def test_check_finds_what_does_not_add_up() -> None:
    desk = Desk()
    desk.engine.main.ledger.held["USDT"] = 1
    with pytest.raises(LedgerError):
        desk.engine.main.ledger.check(desk.engine.main.orders)
