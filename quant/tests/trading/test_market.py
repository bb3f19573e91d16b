"""The paper venue: what the market would have filled, when, how much, at what price."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from barnabas_quant.model.intervals import DAY, MINUTE, SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.trading import Engine, EngineSettings, VenueModel
from barnabas_quant.trading.events import Bar, Cancel, Clock, Decision, Depth, Fill, Print, Quote, Session, Signal
from barnabas_quant.trading.limits import Limits

from .common import COIN, FUTURE, PLAIN, SHARE, Desk, china, u

Levels = list[tuple[str, str]]


def depth(desk: Desk, bids: Levels, asks: Levels, whole: bool = True) -> None:
    sides = [tuple((u(price), u(size)) for price, size in side) for side in (bids, asks)]
    desk.send(Depth(desk.key, desk.time, whole, *sides))


def quoted(**more: Any) -> Desk:
    desk = Desk(**more)
    desk.quote("99", "5", "101", "2")
    return desk


# Quotes


def test_a_market_order_takes_one_quote_after_another() -> None:
    desk = quoted()
    order = desk.place("BUY", "5")
    desk.quote("99", "7", "101", "2")  # the ask is the same: it was taken
    assert desk.fills(order) == [("101", "2")]
    desk.quote("99", "7", "102", "1")
    desk.quote("99", "7", "103", "9")
    assert desk.fills(order) == [("101", "2"), ("102", "1"), ("103", "2")]
    assert desk.status(order) == "filled"


def test_ioc_takes_what_is_there_and_fok_all_or_nothing() -> None:
    desk = quoted()
    killed = desk.place("BUY", "3", "101", time_in_force="FOK")
    assert (desk.status(killed), desk.fills(killed)) == ("canceled", [])
    taken = desk.place("BUY", "3", "101", time_in_force="IOC")
    assert (desk.status(taken), desk.fills(taken)) == ("canceled", [("101", "2")])
    desk.quote("99", "5", "101", "3")
    assert desk.status(desk.place("BUY", "3", "101", time_in_force="FOK")) == "filled"


def test_prints_wear_the_queue_down() -> None:
    desk = quoted()
    order = desk.place("BUY", "3", "99")
    desk.print("99", "4", sold=True)  # 5 stood before it
    desk.print("99", "9", sold=False)  # buyers took the asks
    assert desk.fills(order) == []
    desk.print("99", "2", sold=True)
    desk.print("99", "1", sold=True)
    assert desk.fills(order) == [("99", "1"), ("99", "1")]
    desk.print("98.5", "4", sold=True)
    assert desk.fills(order)[2:] == [("99", "1")]
    assert {fill.liquidity for fill in desk.all_fills(order)} == {"maker"}


def test_a_quote_that_shrinks_shortens_the_queue() -> None:
    desk = quoted()
    order = desk.place("BUY", "3", "99")
    desk.quote("99", "1", "101", "2")
    desk.quote("99", "8", "101", "2")  # who came later stands behind
    desk.print("99", "2", sold=True)
    assert desk.fills(order) == [("99", "1")]


def test_nobody_is_first_where_the_size_is_not_known() -> None:
    desk = Desk()
    desk.quote("99", "0", "101", "0")
    order = desk.place("BUY", "3", "99")
    desk.print("99", "4", sold=True)
    assert desk.fills(order) == []
    desk.print("99", "4", sold=True)
    assert desk.status(order) == "filled"


def test_what_rests_is_filled_at_its_own_price_when_the_quote_crosses() -> None:
    desk = quoted()
    order = desk.place("BUY", "3", "100")
    desk.quote("97", "1", "98", "2")
    assert desk.fills(order) == [("100", "2")]
    assert desk.all_fills(order)[0].liquidity == "maker"


# Before the first quote


def test_what_came_before_the_first_quote_begins_with_it() -> None:
    desk = Desk()
    whole = desk.place("BUY", "10", "100", time_in_force="FOK")
    part = desk.place("BUY", "10", "100", time_in_force="IOC")
    missed = desk.place("BUY", "1", "98", time_in_force="IOC")
    desk.quote("99", "1", "100", "3")
    assert (desk.status(whole), desk.fills(whole)) == ("canceled", [])
    assert (desk.status(part), desk.fills(part)) == ("canceled", [("100", "3")])
    assert (desk.status(missed), desk.fills(missed)) == ("canceled", [])


def test_a_limit_that_came_before_the_first_quote_rests_from_then_on() -> None:
    desk = Desk()
    order, crosses = desk.place("BUY", "3", "100"), desk.place("BUY", "1", "102")
    desk.quote("98", "1", "101", "5")
    assert [(fill.price, fill.liquidity) for fill in desk.all_fills(crosses)] == [("101", "taker")]
    desk.quote("98", "1", "99", "5")
    assert [(fill.price, fill.liquidity) for fill in desk.all_fills(order)] == [("100", "maker")]


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_what_rests_in_no_book_does_not_before_quotes_either(tif: str) -> None:
    desk = Desk()
    desk.print("100", "5")
    order = desk.place("BUY", "10", "95", time_in_force=tif)
    desk.print("94", "3")
    assert desk.status(order) == "canceled"
    assert [(fill.price, fill.liquidity) for fill in desk.all_fills(order)] == (
        [("94", "taker")] if tif == "IOC" else []
    )
    order = desk.place("BUY", "10", "90", time_in_force=tif)
    desk.quote("88", "1", "89", "3")
    assert (desk.status(order), desk.fills(order)) == ("canceled", [("89", "3")] if tif == "IOC" else [])


def test_an_order_for_the_next_day_begins_with_that_days_first_quote() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.quote("9.99", "500", "10", "500")
    desk.time = china(0, 15, 1)
    whole = desk.place("BUY", "1000", "10", time_in_force="FOK")
    rests = desk.place("BUY", "100", "9.9")
    desk.time = china(1, 9, 30)
    desk.quote("9.99", "400", "10", "400")
    assert (desk.status(whole), desk.fills(whole)) == ("canceled", [])
    desk.quote("9.8", "400", "9.85", "400")
    assert desk.fills(rests) == [("9.9", "100")]


# Books


def test_a_book_is_walked_level_by_level_and_not_twice() -> None:
    desk = Desk()
    asks: Levels = [("101", "1"), ("102", "2"), ("103", "4")]
    depth(desk, [("99", "5")], asks)
    assert desk.fills(desk.place("BUY", "2")) == [("101", "1"), ("102", "1")]
    depth(desk, [("99", "6")], asks)  # whole, and as it was
    second = desk.place("BUY", "3", "102")
    assert desk.fills(second) == [("102", "1")]
    depth(desk, [], [("102", "5")], whole=False)
    assert desk.fills(second) == [("102", "1"), ("102", "2")]


def test_the_queue_of_a_book_is_that_of_the_level() -> None:
    desk = Desk()
    depth(desk, [("99", "5"), ("98", "3")], [("101", "1")])
    order = desk.place("BUY", "1", "98")
    depth(desk, [("99", "0")], [], whole=False)
    desk.print("98", "3", sold=True)
    assert desk.fills(order) == []
    desk.print("98", "1", sold=True)
    assert desk.status(order) == "filled"


# Bars


def test_an_order_of_a_bars_end_meets_the_next_one() -> None:
    desk = Desk()
    desk.bar("100", "101", "99", "100")
    order = desk.place("BUY", "1")
    desk.send(Bar(desk.key, desk.time, desk.time - 5 * MINUTE, "5m", u(90), u(101), u(90), u(100), u(50)))
    assert desk.fills(order) == []  # the same end: it is over
    desk.bar("102", "103", "101", "103")
    assert desk.fills(order) == [("102", "1")]


def test_an_order_inside_a_bar_gets_its_close() -> None:
    desk = Desk()
    desk.bar("100", "101", "99", "100")
    desk.time += 1
    order = desk.place("BUY", "1")
    rests = desk.place("BUY", "1", "95")
    desk.time -= 1
    desk.bar("102", "103", "90", "101")
    assert desk.fills(order) == [("101", "1")]
    assert desk.fills(rests) == []


def test_what_rests_inside_a_bar_has_nothing_of_it() -> None:
    """Though it closes below: that was after the order had come, and nobody says what was before that."""
    desk = Desk(venue=VenueModel(latency=SECOND, slippage_ticks=50))
    desk.bar("100", "100", "100", "100")
    order = desk.place("BUY", "1", "95")
    desk.bar("100", "100", "89", "90")
    assert (desk.status(order), desk.fills(order)) == ("accepted", [])
    desk.bar("96", "97", "94", "96")
    assert [(fill.price, fill.liquidity) for fill in desk.all_fills(order)] == [("95", "maker")]


@pytest.mark.parametrize(
    ("bar", "price"),
    [
        (("100", "101", "99", "100"), None),
        (("100", "101", "98.99", "100"), "99"),
        (("97", "101", "96", "100"), "97"),
    ],
)
def test_a_limit_is_filled_where_a_bar_goes_through(bar: tuple[str, str, str, str], price: str | None) -> None:
    desk = Desk()
    desk.bar("100", "101", "100", "100")
    order = desk.place("BUY", "1", "99")
    desk.bar("100", "101", "100", "100")
    desk.bar(*bar)
    assert desk.fills(order) == ([(price, "1")] if price else [])


@pytest.mark.parametrize(
    ("side", "more", "bar", "price"),
    [
        ("SELL", {"type": "stop", "trigger": "95"}, ("90", "91", "89", "90"), "90"),  # a gap
        ("SELL", {"type": "stop", "trigger": "95"}, ("99", "99", "94", "96"), "95"),
        ("SELL", {"type": "stop", "trigger": "95"}, ("99", "99", "96", "96"), None),
        ("BUY", {"type": "stop", "trigger": "105"}, ("107", "108", "106", "106"), "107"),
        ("SELL", {"type": "take_profit", "trigger": "105"}, ("100", "106", "99", "100"), "105"),
        ("BUY", {"type": "take_profit", "trigger": "95"}, ("94", "99", "93", "99"), "94"),
        ("SELL", {"type": "stop", "trigger": "95", "price": "94"}, ("99", "99", "94", "96"), "95"),
        ("SELL", {"type": "stop", "trigger": "95", "price": "94"}, ("90", "93", "89", "90"), None),  # rests above
    ],
)
def test_stops_and_take_profits_on_a_bar(
    side: str, more: dict[str, Any], bar: tuple[str, str, str, str], price: str | None
) -> None:
    desk = Desk()
    desk.own("1")
    desk.bar("100", "100", "100", "100")
    order = desk.place(side, "1", **more)
    desk.bar(*bar)
    assert desk.fills(order) == ([(price, "1")] if price else [])


def test_one_bar_touches_both_and_the_stop_was_first() -> None:
    desk = Desk(FUTURE, {"USDT": "100000"})
    desk.bar("100", "100", "100", "100")
    desk.place("BUY", "1")
    desk.bar("100", "100", "100", "100")
    gain = desk.place("SELL", "1", type="take_profit", trigger="105", group="g", reduce_only=True)
    stop = desk.place("SELL", "1", type="stop", trigger="95", group="g", reduce_only=True)
    desk.bar("100", "110", "90", "100")
    assert desk.fills(stop) == [("95", "1")]
    assert desk.status(gain) == "canceled" and "one cancels" in desk.last(gain).reason


def test_a_trailing_stop_follows_bars() -> None:
    desk = Desk()
    desk.own("1")
    desk.bar("100", "100", "100", "100")
    order = desk.place("SELL", "1", type="trailing_stop", trail="5")  # 95
    desk.bar("100", "110", "96", "108")  # 96 was before 110: 105
    assert desk.fills(order) == []
    desk.bar("108", "109", "104", "106")
    assert desk.fills(order) == [("105", "1")]


def test_a_trailing_stop_follows_quotes_upwards_only() -> None:
    desk = quoted()
    desk.own("1")
    order = desk.place("SELL", "1", type="trailing_stop", trail_rate=ONE // 10)  # 99 - 9.9
    for bid in ("110", "100"):
        desk.quote(bid, "9", "120", "9")
    assert desk.fills(order) == []  # 110 - 11 = 99
    desk.quote("98.9", "9", "120", "9")
    assert desk.fills(order) == [("98.9", "1")]


def test_bars_fill_nothing_where_quotes_are_told() -> None:
    desk = quoted()
    order = desk.place("BUY", "3")
    desk.bar("50", "101", "50", "100")
    assert desk.fills(order) == [("101", "2")]
    desk.own("1")
    stop = desk.place("SELL", "1", type="stop", trigger="90")
    desk.quote("89", "4", "101", "2")  # no trades are told: quotes trigger, whatever bars there were
    assert desk.fills(stop) == [("89", "1")]


# Prints


def test_a_print_triggers_stops_even_when_others_have_taken_all_of_it() -> None:
    desk = Desk()
    desk.own("1")
    desk.print("100", "1")
    greedy = desk.place("BUY", "5", "98")
    stop = desk.place("SELL", "1", type="stop", trigger="95")
    desk.print("94", "1")
    assert desk.fills(greedy) == [("98", "1")]
    assert desk.status(stop) == "triggered"
    desk.print("96", "5")  # the other one takes four
    assert desk.fills(stop) == [("96", "1")]


def test_participation_bounds_what_is_taken_in_whole_lots() -> None:
    desk = Desk(venue=VenueModel(participation=ONE // 10))
    desk.print("100", "1")
    order = desk.place("BUY", "5")
    desk.print("100", "0.005")  # 10 % is less than a lot
    assert desk.fills(order) == []
    desk.print("100", "10")
    desk.print("100", "0.019")
    assert desk.fills(order) == [("100", "1"), ("100", "0.001")]
    desk = Desk(venue=VenueModel(participation=ONE // 10))
    desk.bar("100", "100", "100", "100")
    order = desk.place("BUY", "5")
    desk.bar("100", "100", "100", "100", "20")
    assert desk.fills(order) == [("100", "2")]


def test_slippage_is_bounded_by_limits() -> None:
    desk = quoted(venue=VenueModel(slippage_ticks=100, slippage_rate=ONE // 100))
    order = desk.place("BUY", "1")  # 101 + 1 + 1.01
    assert desk.fills(order) == [("103.01", "1")]
    assert desk.all_fills(order)[0].slippage == "2.01"
    assert desk.fills(desk.place("BUY", "1", "102")) == [("102", "1")]
    share = Desk(SHARE, {"CNY": "100000"}, venue=VenueModel(slippage_ticks=500))
    share.send(Session(SHARE, share.time, u("10")))
    share.print("10.5")
    order = share.place("BUY", "100")
    share.print("10.9")
    assert share.fills(order) == [("11", "100")]


def test_reduce_only_never_turns_a_position() -> None:
    desk = Desk(FUTURE, {"USDT": "100000"})
    desk.quote("99", "9", "101", "9")
    desk.place("BUY", "2")
    order = desk.place("SELL", "5", reduce_only=True)
    assert desk.fills(order) == [("99", "2")]
    desk.quote("98", "9", "101", "9")
    assert desk.status(order) == "canceled"
    assert desk.engine.main.ledger.position(FUTURE).quantity == 0


# What a venue refuses


def test_price_limits_of_a_day() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.send(Session(SHARE, desk.time, u("10.05")))
    desk.print("10.5")
    reason = "price: outside of the day's limits, 9.05 to 11.06"
    assert desk.last(desk.place("BUY", "100", "11.07")).reason == reason
    assert "limits" in desk.last(desk.place("BUY", "100", "9.04")).reason
    rests, market = desk.place("BUY", "100", "9.05"), desk.place("BUY", "100")
    desk.print("11.06")
    assert (desk.fills(rests), desk.fills(market)) == ([], [])  # everybody stands in that queue
    desk.bar("11.06", "11.06", "11.06", "11.06")
    assert desk.fills(market) == []
    desk.print("11.05")
    assert desk.fills(market) == [("11.05", "100")]


def test_nobody_buys_in_a_bar_that_never_left_the_highest_price() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.send(Session(SHARE, desk.time, u("10")))
    market, limit = desk.place("BUY", "100", "11"), desk.place("BUY", "100", "11")
    desk.bar("11", "11", "11", "11")
    assert desk.fills(market) == desk.fills(limit) == []
    desk.bar("11", "11", "10.9", "11")
    assert desk.fills(limit) == [("11", "100")]


def test_the_close_that_a_session_tells_counts_for_its_day() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.print("10")
    desk.time = china(1, 9, 20)
    desk.send(Session(SHARE, desk.time, u("5")))  # ex-rights
    desk.print("5")
    market = desk.engine.market(SHARE)
    assert (market.low_limit, market.high_limit) == (u("4.5"), u("5.5"))
    desk.time = china(2, 9, 30)
    desk.print("5.2")
    assert market.high_limit == u("5.5")  # from the last price of the day before, 5


def test_suspended_and_off_the_tick_and_too_small() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    before = desk.place("BUY", "100", "10")
    desk.send(Session(SHARE, desk.time, u("10"), suspended=True))
    assert "suspended" in desk.last(desk.place("BUY", "100", "10")).reason
    desk.print("10")  # what a poller repeats
    assert desk.fills(before) == []
    coin = Desk(COIN)
    assert coin.last(coin.place("BUY", "1", "100.001")).reason == "price: not a multiple of the tick, 0.01"
    assert coin.last(coin.place("BUY", "0.01", "100")).reason == "notional: 1 USDT, at least 5 are needed"


def test_most_of_an_order() -> None:
    desk = Desk("paper:Y", instruments=(msgspec.structs.replace(PLAIN, symbol="Y", most=ONE),))
    assert desk.last(desk.place("BUY", "2", "1")).reason == "quantity: above 1"


# Days


def test_an_order_for_the_day_of_a_share() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.print("10")
    today = desk.place("BUY", "100", "9.9", time_in_force="DAY")
    desk.time = china(0, 15, 4)
    desk.send(Clock(desk.time))
    assert desk.status(today) == "accepted"
    tomorrow = desk.place("BUY", "100", "10", time_in_force="DAY")
    desk.print("10")  # the closing auction's price, told late
    assert desk.fills(tomorrow) == []
    desk.time = china(0, 15, 6)
    desk.send(Clock(desk.time))
    assert (desk.status(today), desk.status(tomorrow)) == ("expired", "accepted")
    desk.time = china(1, 9, 30)
    desk.print("10")
    assert desk.fills(tomorrow) == [("10", "100")]


def test_an_order_after_the_close_waits_though_nothing_was_told_before() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.time = china(0, 15, 1)
    order = desk.place("BUY", "100", "10", time_in_force="DAY")
    desk.print("10")
    assert desk.fills(order) == []


def test_an_order_for_the_day_around_the_clock_ends_at_midnight_utc() -> None:
    desk = quoted()
    order = desk.place("BUY", "1", "90", time_in_force="DAY")
    desk.time = (desk.time // DAY + 1) * DAY - 1
    desk.send(Clock(desk.time))
    assert desk.status(order) == "accepted"
    desk.time += 1
    desk.quote("80", "9", "85", "9")
    assert (desk.status(order), desk.fills(order)) == ("expired", [])


# Latency


def test_an_order_that_travels_meets_the_market_of_its_arrival() -> None:
    desk = quoted(venue=VenueModel(latency=1000))
    order = desk.place("BUY", "1")
    desk.time += 999
    desk.quote("104", "9", "105", "9")
    assert desk.status(order) == "submitted"
    desk.time += 2
    desk.quote("109", "9", "110", "9")  # it was there before this
    assert desk.fills(order) == [("105", "1")]


def test_a_cancellation_can_come_too_late() -> None:
    desk = quoted(venue=VenueModel(latency=1000))
    order = desk.place("BUY", "1", "100")
    desk.time += 1000
    desk.send(Cancel("c", desk.time, order))
    desk.time += 999
    desk.quote("99", "9", "100", "9")
    assert desk.status(order) == "filled"
    desk.time += 10
    desk.send(Clock(desk.time))
    other = desk.place("BUY", "1", "90")
    desk.send(Cancel("c2", desk.time, other))
    desk.time += 1000
    desk.quote("80", "9", "81", "9")
    assert (desk.status(other), desk.fills(other)) == ("canceled", [])


def test_an_id_makes_one_order() -> None:
    desk = quoted(limits=Limits())
    assert desk.status(desk.place("BUY", "1", id="same")) == "filled"
    desk.place("BUY", "1", id="same")
    assert desk.fills("same") == [("101", "1")]


def test_two_venues_may_play_different_years() -> None:
    """A session of shares of last year beside a market of today: each order lives by the time of its own venue."""
    today, then = 1_795_000_000 * SECOND, china(5, 10)
    engine = Engine(EngineSettings(cash={"USDT": u("100000"), "CNY": u("100000")}, order_type="market"))
    coin, share = "binance:BTCUSDT", "sse:600000"
    engine.process(Quote(coin, today, u("100"), u("9"), u("101"), u("9")))
    engine.process(Print(share, then, u("10"), u("1000")))
    said = engine.process(Signal(id="s-1", time=then, side="BUY", instrument=share, price=u("10"), quantity=u("100"),
                                 strategy="X"))  # fmt: skip
    assert [output.verdict for output in said if isinstance(output, Decision)] == ["accepted"]
    engine.process(Quote(coin, today + 3600 * SECOND, u("100"), u("9"), u("101"), u("9")))
    assert "s-1" in engine.main.orders  # the day of the share is not over because a coin's is
    said = engine.process(Print(share, then + SECOND, u("10.5"), u("1000")))
    assert [output.price for output in said if isinstance(output, Fill)] == ["10.5"]
    position = engine.main.ledger.position(share)
    assert engine.main.ledger.available(engine.instruments[share], then + SECOND) == 0 < position.quantity  # T+1, there
    said = engine.process(Signal(id="s-2", time=then - 3600 * SECOND, side="BUY", instrument=share, price=u("10"),
                                 quantity=u("100"), strategy="X"))  # fmt: skip
    assert [output.rule for output in said if isinstance(output, Decision)] == ["stale"]
