"""The watch: each rule fires once, escalates, acts and clears, by the numbers that it says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from barnabas_quant.model.intervals import DAY, SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.settings import Trading
from barnabas_quant.trading import Engine, EngineSettings, OrderRequest, VenueModel
from barnabas_quant.trading.configuration import engine_settings
from barnabas_quant.trading.engine import EngineState
from barnabas_quant.trading.events import (
    Alert,
    BadSignal,
    Bar,
    Cancel,
    CashFlow,
    Clock,
    Decision,
    Depth,
    Fill,
    Funding,
    OrderEvent,
    Place,
    Print,
    Quote,
    Session,
    Signal,
    Switch,
    Transfer,
    text,
)  # fmt: skip
from barnabas_quant.trading.watch import Rule, Watch

from .common import COIN, FUTURE, PLAIN, SHARE, Desk, china, u

STOP = Rule(critical=ONE // 20, action="flatten")
OTHER = msgspec.structs.replace(PLAIN, symbol="Y", asset="Y")


def watched(
    key: str = PLAIN.key, cash: dict[str, str] | None = None, venue: VenueModel | None = None, **rules: Any
) -> Desk:
    return Desk(key, cash or {"USDT": "10000"}, instruments=(OTHER,), watch=Watch(**rules), venue=venue)


def at(desk: Desk, price: str, passed: int = SECOND) -> None:
    """Quote a price on both sides, a second later."""
    desk.time += passed
    desk.quote(price, "999", price, "999")


def alerts(desk: Desk, rule: str | None = None) -> list[tuple[str, str, str, str]]:
    return [
        (out.rule, out.state, out.level, out.action)
        for out in desk.out
        if isinstance(out, Alert) and rule in (None, out.rule)
    ]


def quantity(desk: Desk, key: str | None = None) -> int:
    return desk.engine.main.ledger.position(key or desk.key).quantity


def last_alert(desk: Desk) -> Alert:
    return [out for out in desk.out if isinstance(out, Alert)][-1]


@pytest.mark.parametrize(("side", "good", "bad"), [("BUY", "110", "95"), ("SELL", "90", "105")])
def test_a_stop_loss_closes(side: str, good: str, bad: str) -> None:
    desk = watched(FUTURE, stop_loss=STOP)
    at(desk, "100")
    desk.place(side, "10")
    at(desk, good)
    at(desk, "95.01" if side == "BUY" else "104.99")
    assert quantity(desk) and not alerts(desk)
    at(desk, bad)
    assert not quantity(desk)
    assert alerts(desk) == [("stop_loss", "fired", "critical", "flatten"), ("stop_loss", "cleared", "critical", "none")]
    fired = next(out for out in desk.out if isinstance(out, Alert))
    signed = "10" if side == "BUY" else "-10"
    assert fired.numbers == {"value": "0.05", "limit": "0.05", "price": bad, "average": "100", "quantity": signed}
    assert fired.reason and fired.subject == FUTURE
    order = [out for out in desk.out if isinstance(out, Fill)][-1]
    assert (order.strategy, order.quantity, order.price) == ("stop_loss", "10", bad)
    desk.place(side, "1")  # a new position is judged by its own price
    at(desk, bad)
    assert quantity(desk)


@pytest.mark.parametrize(("side", "way"), [("BUY", ("100", "120", "115", "114")), ("SELL", ("100", "80", "83", "84"))])
def test_a_trailing_stop_follows_the_best_price(side: str, way: tuple[str, ...]) -> None:
    desk = watched(FUTURE, trailing_stop=STOP)
    at(desk, way[0])
    desk.place(side, "10")
    for price in way[:3]:
        at(desk, price)
    assert quantity(desk)
    at(desk, way[3])
    assert not quantity(desk)
    assert next(out for out in desk.out if isinstance(out, Alert)).numbers["best"] == way[1]
    desk.place(side, "10")  # at its own price, not at the best of the one before
    at(desk, way[3])
    assert quantity(desk)


def test_a_position_that_turns_begins_its_best_price_anew() -> None:
    desk = watched(FUTURE, trailing_stop=STOP)
    at(desk, "100")
    desk.place("BUY", "1")
    at(desk, "120")
    desk.place("SELL", "2")
    at(desk, "115")
    assert quantity(desk) == -ONE
    at(desk, "121")  # 5.2 % above 115
    assert quantity(desk) == 0


def test_it_fires_once_escalates_once_and_clears_with_hysteresis() -> None:
    desk = watched(drawdown=Rule(warning=ONE // 10, critical=ONE // 5))
    at(desk, "100")
    desk.place("BUY", "100")
    levels = []
    for price in ("90.01", "90", "85", "90.5", "89", "80", "70", "80", "89", "90.99", "91", "91.01", "90", "101", "91"):
        before = len(alerts(desk))
        at(desk, price)
        levels += [(price, *alert[1:3]) for alert in alerts(desk)[before:]]
    assert levels == [
        ("90", "fired", "warning"), ("80", "escalated", "critical"), ("91.01", "cleared", "critical"),
        ("90", "fired", "warning"), ("101", "cleared", "warning"),
    ]  # fmt: skip
    assert quantity(desk) == 100 * ONE  # nobody said that it should act


def test_a_payment_is_no_drawdown() -> None:
    desk = watched(drawdown=Rule(warning=ONE // 10))
    at(desk, "100")
    desk.place("BUY", "10")
    desk.send(Transfer("t", desk.time, "USDT", u("-5000")))
    at(desk, "100")
    assert not alerts(desk)
    at(desk, "49")  # 510 of 5000
    assert last_alert(desk).numbers == {"value": "0.102", "limit": "0.1", "equity": "4490", "peak": "5000"}


@pytest.mark.parametrize("flattens", [False, True])
@pytest.mark.parametrize("latency", [0, 1000])
def test_drawdown_pulls_the_kill_switch_until_a_person_resets_it(flattens: bool, latency: int) -> None:
    kill = Rule(warning=ONE // 20, critical=ONE // 10, action="kill")
    desk = watched(drawdown=kill, kill_flattens=flattens, venue=VenueModel(latency=latency))
    at(desk, "100")
    desk.place("BUY", "95")
    at(desk, "100")
    waiting = desk.place("SELL", "95", "200")
    at(desk, "89")
    for _ in range(3):
        at(desk, "89")
    assert not desk.engine.main.trading and desk.status(waiting) == "canceled"
    assert bool(quantity(desk)) != flattens
    decision = [out for out in desk.out if isinstance(out, Decision)][-1]
    assert (decision.subject, decision.rule, decision.verdict) == ("drawdown:USDT", "kill-switch", "accepted")
    assert desk.status(desk.place("BUY", "1")) == "denied"
    # A snapshot keeps it: whoever goes on from it does not trade either
    desk.engine = reloaded(desk.engine)
    assert desk.status(desk.place("BUY", "1")) == "denied"
    desk.send(Switch("r", desk.time, True, "anna"))
    assert last_alert(desk).state == "cleared" and "anna" in last_alert(desk).reason
    at(desk, "89")
    assert desk.engine.main.trading
    assert desk.status(desk.place("BUY", "1")) in ("filled", "submitted")
    at(desk, "88")  # from what there was at the reset on
    assert desk.engine.main.trading


def reloaded(engine: Engine) -> Engine:
    """Go through what a snapshot goes through."""
    state = msgspec.json.encode(engine.save())
    fresh = Engine(engine.settings)
    fresh.load(msgspec.json.decode(state, type=EngineState))
    assert msgspec.json.encode(fresh.save()) == state
    return fresh


def test_exposure_is_reduced_by_half_of_each_position() -> None:
    desk = watched(FUTURE, exposure=Rule(warning=ONE, critical=3 * ONE, action="reduce"))
    at(desk, "100")
    desk.place("BUY", "99")
    assert not alerts(desk)
    desk.place("BUY", "2")  # 10,100 with an equity below 10,000
    assert alerts(desk) == [("exposure", "fired", "warning", "none")]
    desk.place("BUY", "250.001")
    assert alerts(desk)[1:2] == [("exposure", "escalated", "critical", "reduce")]
    assert quantity(desk) == u("351.001") - u("175.5")  # half, in whole lots, rounded down
    assert u(last_alert(desk).numbers["gross"]) == u("35100.1")


def test_concentration_is_about_one_position() -> None:
    desk = watched(concentration=Rule(warning=ONE // 4, critical=ONE // 2, action="flatten"))
    at(desk, "100")
    desk.place("BUY", "20")
    desk.key = OTHER.key
    at(desk, "100")
    desk.place("BUY", "30")
    assert [(out.subject, out.level) for out in desk.out if isinstance(out, Alert)] == [(OTHER.key, "warning")]
    at(desk, "300")  # 9,000 of 16,000
    assert (quantity(desk, PLAIN.key), quantity(desk, OTHER.key)) == (20 * ONE, 0)
    assert [alert[1] for alert in alerts(desk)] == ["fired", "escalated", "cleared"]


def test_a_spike_of_the_volatility() -> None:
    desk = watched(volatility=Rule(critical=3 * ONE, action="reduce"), short=5, long=20)
    at(desk, "100")
    desk.place("BUY", "10")
    for number in range(40):
        at(desk, "100.05" if number % 2 else "100")
        at(desk, "100.05" if number % 2 else "100", 0)  # no new time, no new sample
    assert not alerts(desk)
    for price in ("100.3", "99.8", "100.4"):
        at(desk, price)
    assert alerts(desk) == [("volatility", "fired", "critical", "reduce")]
    assert quantity(desk) == 5 * ONE
    numbers = last_alert(desk).numbers
    assert u(numbers["value"]) > 3 * ONE and numbers["limit"] == "3"
    for number in range(60):
        at(desk, "100.05" if number % 2 else "100")
    assert [alert[1] for alert in alerts(desk)] == ["fired", "cleared"]


def test_volatility_is_that_of_the_prices_told() -> None:
    desk = watched(volatility=Rule(warning=ONE // 1000), short=3, long=5)
    prices = [u(price) for price in ("100", "101", "99", "103", "103", "98", "100", "100.5", "104", "103", "99", "98")]
    for price in prices:
        at(desk, text(price))
        desk.key = OTHER.key
        at(desk, "50")  # a second in which the first one tells nothing: no sample of it
        desk.key = PLAIN.key
    assert not alerts(desk)  # nobody trades it
    found = desk.engine.main.guard.state.samples[PLAIN.key]
    changes = [(after - before) * ONE // before for before, after in pairwise(prices)][-8:]
    assert found.returns == changes
    assert found.short == sum(change**2 for change in changes[-3:])
    assert found.long == sum(change**2 for change in changes[:5])


def test_a_crossed_quote_is_no_price() -> None:
    desk = watched(stop_loss=STOP, crossed=Rule(warning=0, critical=3 * SECOND))
    at(desk, "100")
    desk.place("BUY", "10")
    desk.time += SECOND
    desk.quote("100", "1", "50", "1")
    assert quantity(desk) == 10 * ONE and alerts(desk) == [("crossed", "fired", "warning", "none")]
    desk.send(Depth(desk.key, desk.time, True, ((u("100"), ONE),), ((u("50"), ONE),)))
    assert quantity(desk) == 10 * ONE
    desk.time += 3 * SECOND
    desk.quote("100", "1", "50", "1")
    assert alerts(desk)[-1][1:3] == ("escalated", "critical")
    assert last_alert(desk).numbers == {"value_s": "3", "limit_s": "3", "bid": "100", "ask": "50"}
    at(desk, "100")
    at(desk, "100", 60 * SECOND)
    desk.time += SECOND
    desk.quote("100", "1", "50", "1")  # counted from now on
    assert [alert[1:3] for alert in alerts(desk)[2:]] == [("cleared", "critical"), ("fired", "warning")]


def test_data_that_grows_old_while_others_go_on() -> None:
    desk = watched(stale=Rule(warning=10 * SECOND))
    at(desk, "100")
    desk.place("BUY", "10")
    first = desk.time
    desk.key = OTHER.key
    for _ in range(9):
        at(desk, "50")
    assert not alerts(desk)
    at(desk, "50")
    assert alerts(desk) == [("stale", "fired", "warning", "none")]
    found = last_alert(desk)
    assert found.subject == PLAIN.key and found.numbers["last_us"] == str(first) and found.numbers["value_s"] == "10"
    # The other one is not traded: nobody minds
    desk.key = PLAIN.key
    for _ in range(30):
        at(desk, "100")
    assert [alert[1] for alert in alerts(desk)] == ["fired", "cleared"]


def test_a_venue_of_another_year_is_not_old() -> None:
    desk = watched(stale=Rule(warning=10 * SECOND))
    at(desk, "100")
    desk.place("BUY", "10")
    desk.key, desk.time = COIN, desk.time + 400 * DAY
    for _ in range(30):
        at(desk, "50")
    assert not alerts(desk)


def test_bars_and_what_is_suspended_are_never_stale() -> None:
    desk = watched("sse:600000", {"CNY": "100000"}, stale=Rule(warning=10 * SECOND))
    desk.own("100", "10")
    desk.bar("10", "10", "10", "10")
    desk.key, other = "sse:600004", desk.key
    for _ in range(30):
        at(desk, "20")
    assert not alerts(desk)  # bars come when they come
    desk.key = other
    at(desk, "10")
    desk.send(Session(other, desk.time, u("10"), True))
    desk.key = "sse:600004"
    for _ in range(30):
        at(desk, "20")
    assert not alerts(desk)


def test_a_venue_that_answers_again_is_looked_at_though_the_time_stands() -> None:
    desk = watched(silent=Rule(warning=2 * SECOND))
    at(desk, "100")
    desk.place("BUY", "10")
    desk.send(Quote(COIN, desk.time + 400 * DAY, ONE, ONE, ONE, ONE))  # another venue, far ahead
    wall = china(500, 3)
    for _ in range(4):
        wall += SECOND
        desk.send(Clock(desk.engine.time, wall))
    assert alerts(desk) == [("silent", "fired", "warning", "none")]
    assert not desk.engine.wants_clock
    at(desk, "100")
    assert desk.engine.wants_clock
    desk.send(Clock(desk.engine.time, wall + SECOND))
    assert alerts(desk)[1:] == [("silent", "cleared", "warning", "none")]


def test_readings_count_from_the_last_event_and_move_no_time() -> None:
    wall = china(500, 3)
    desk = watched(stale=Rule(warning=20 * SECOND), silent=Rule(warning=10 * SECOND, critical=30 * SECOND))
    at(desk, "100")
    assert not desk.engine.wants_clock
    desk.place("BUY", "10")
    before = desk.engine.time

    def read(seconds: int) -> None:
        nonlocal wall
        for _ in range(seconds):
            wall += SECOND
            desk.send(Clock(desk.engine.time, wall))

    assert desk.engine.wants_clock
    read(10)  # the first one only says where counting begins
    assert not alerts(desk)
    read(1)
    assert alerts(desk) == [("silent", "fired", "warning", "none")]
    assert last_alert(desk).subject == "paper" and last_alert(desk).numbers["value_s"] == "10"
    read(10)
    assert alerts(desk)[1:] == [("stale", "fired", "warning", "none")]
    assert desk.engine.wants_clock  # it can grow worse
    read(10)
    assert alerts(desk)[2:] == [("silent", "escalated", "critical", "none")]
    assert not desk.engine.wants_clock  # no reading could change anything
    assert desk.engine.time == before
    at(desk, "100")
    assert sorted(alert[:2] for alert in alerts(desk)[3:]) == [("silent", "cleared"), ("stale", "cleared")]
    read(1)
    wall += 3600 * SECOND  # nobody looked: that is no silence
    read(1)
    assert len(alerts(desk)) == 5
    desk.engine = reloaded(desk.engine)
    read(8)  # with the two seconds that a gap counts
    assert alerts(desk)[5:] == [("silent", "fired", "warning", "none")]


def test_a_closed_exchange_is_not_silent() -> None:
    desk = watched(SHARE, {"CNY": "100000"}, silent=Rule(warning=10 * SECOND), stale=Rule(warning=60 * SECOND))
    desk.time = china(0, 11, 29, 58)
    desk.print("10", "9000")
    desk.place("BUY", "100", "10", time_in_force="GTC")
    wall = china(900, 0)
    for _ in range(90 * 60):  # the lunch break, until five seconds after one
        wall += SECOND
        desk.send(Clock(desk.engine.time, wall))
    assert not alerts(desk)
    for _ in range(20):
        wall += SECOND
        desk.send(Clock(desk.engine.time, wall))
    assert alerts(desk) == [("silent", "fired", "warning", "none")]
    desk.time = china(1, 9, 30, 3)  # the next day: the night does not count
    desk.print("10", "100")
    assert alerts(desk)[1:] == [("silent", "cleared", "warning", "none")]


def test_what_was_bought_today_is_closed_tomorrow() -> None:
    desk = watched(SHARE, {"CNY": "100000"}, stop_loss=STOP)
    desk.print("10", "9000")
    desk.place("BUY", "1000")
    desk.print("10", "9000")
    assert quantity(desk) == 1000 * ONE
    desk.time += SECOND
    desk.print("9.40", "9000")
    assert alerts(desk) == [("stop_loss", "fired", "critical", "flatten")]
    for _ in range(5):
        desk.time += SECOND
        desk.print("9.40", "9000")
    assert quantity(desk) == 1000 * ONE  # T+1
    assert desk.status(desk.place("BUY", "100", "9.40")) == "denied"  # nobody makes it larger meanwhile
    desk.engine = reloaded(desk.engine)
    desk.time = china(1, 9, 30, 3)
    desk.print("9.30", "9000")
    desk.time += SECOND
    desk.print("9.30", "9000")
    assert quantity(desk) == 0
    fill = [out for out in desk.out if isinstance(out, Fill)][-1]
    assert (fill.quantity, fill.price, fill.strategy) == ("1000", "9.3", "stop_loss")
    assert alerts(desk)[1:] == [("stop_loss", "cleared", "critical", "none")]
    assert desk.status(desk.place("BUY", "100", "9.30")) != "denied"


def test_a_person_takes_over() -> None:
    desk = watched(SHARE, {"CNY": "100000"}, stop_loss=STOP)
    desk.own("1000", "10")
    desk.print("10", "9000")
    desk.time += SECOND
    desk.print("9.40", "1")  # a sale is sent, and waits for the next price
    (sale,) = desk.engine.main.orders
    desk.send(Switch("r", desk.time, True, ""))
    assert desk.engine.main.orders  # nobody: that is no person
    desk.send(Switch("r", desk.time, True, "anna"))
    assert desk.status(sale) == "canceled" and "anna" in desk.last(sale).reason
    for _ in range(3):
        desk.time += SECOND
        desk.print("9.30", "9000")
    assert quantity(desk) == 1000 * ONE and len(alerts(desk)) == 1  # the condition still holds: it was told
    assert desk.status(desk.place("SELL", "1000")) != "denied"


def test_while_trading_is_suspended_nothing_is_tried() -> None:
    desk = watched(SHARE, {"CNY": "100000"}, stop_loss=STOP)
    desk.own("1000", "10")
    desk.print("10", "9000")
    desk.send(Session(SHARE, desk.time, u("10"), True))
    for _ in range(5):
        desk.time += SECOND
        desk.print("9.10", "9000")
    assert quantity(desk) and len(alerts(desk)) == 1
    assert not [out for out in desk.out if isinstance(out, OrderEvent)]
    desk.send(Session(SHARE, desk.time, u("10"), False))
    for _ in range(2):
        desk.time += SECOND
        desk.print("9.10", "9000")
    assert not quantity(desk)


@pytest.mark.parametrize("latency", [0, 500])
def test_orders_that_keep_the_position_are_canceled_first(latency: int) -> None:
    desk = watched(stop_loss=STOP, venue=VenueModel(latency=latency))
    desk.own("10")
    at(desk, "100")
    resting = [desk.place("SELL", "4", "200"), desk.place("BUY", "1", "10")]
    for price in ("100", "94", "94", "94"):
        at(desk, price)
    assert [desk.status(order) for order in resting] == ["canceled", "canceled"]
    assert quantity(desk) == 0
    assert [out.quantity for out in desk.out if isinstance(out, Fill)] == ["10"]


def test_a_cancellation_is_sent_once() -> None:
    desk = watched(stop_loss=STOP, venue=VenueModel(latency=3 * SECOND))
    desk.own("10")
    at(desk, "100")
    desk.place("SELL", "4", "200")
    at(desk, "100", 4 * SECOND)
    for _ in range(2):
        at(desk, "94")
    assert [what for _, what, _, _, _ in desk.engine.save().travelling] == ["cancel"]


def test_what_the_venue_refuses_is_tried_once_a_second() -> None:
    small = msgspec.structs.replace(PLAIN, symbol="S", most=ONE)
    desk = Desk(small.key, {"USDT": "10000"}, instruments=(small,), watch=Watch(stop_loss=STOP))
    desk.own("10")
    at(desk, "94")
    for _ in range(99):
        at(desk, "94", SECOND // 20)
    steps = [out.step for out in desk.out if isinstance(out, OrderEvent)]
    assert steps.count("reject") == 5 and quantity(desk)


def test_the_kill_switch_lets_a_stop_loss_go_on() -> None:
    desk = watched(SHARE, {"CNY": "100000"}, stop_loss=STOP)
    desk.own("1000", "10")
    other = desk.place("BUY", "100", "9", time_in_force="GTC", key="sse:600004")
    desk.print("9.40", "9000")
    (sale,) = [order for order in desk.engine.main.orders if order != other]
    desk.send(Switch("k", desk.time, False, "anna"))
    assert list(desk.engine.main.orders) == [sale] and desk.status(other) == "canceled"
    desk.time += SECOND
    desk.print("9.40", "9000")
    assert quantity(desk) == 0


def test_funding_is_judged_like_a_loss() -> None:
    desk = watched(FUTURE, drawdown=Rule(warning=ONE // 10))
    at(desk, "100")
    desk.place("BUY", "100")
    desk.send(Funding(FUTURE, desk.time, ONE // 10, u("100")))
    assert alerts(desk) == [("drawdown", "fired", "warning", "none")]


def test_what_is_asked_for_moves_no_time() -> None:
    desk = watched()
    at(desk, "100")
    before = desk.engine.time
    request = OrderRequest(instrument=desk.key, side="BUY", quantity=ONE, type="limit", price=50 * ONE)
    later = before + 400 * DAY
    for event in (
        Place("p", later, request), Signal("s", later, "BUY", desk.key, 50 * ONE, ONE, "X"),
        BadSignal("b", later, "none"), Switch("w", later, True, "anna"), Transfer("t", later, "USDT", ONE),
        Cancel("c", later),
    ):  # fmt: skip
        desk.engine.process(event)
        assert desk.engine.time == before


def test_futures_are_liquidated_at_the_maintenance_margin() -> None:
    desk = Desk(FUTURE, {"USDT": "1000"})
    at(desk, "100")
    desk.place("BUY", "150")  # 750 of margin; the fee is 7.5
    resting = desk.place("BUY", "10", "50")
    at(desk, "93.80")
    assert quantity(desk)
    at(desk, "93.75")  # 992.5 - 937.5 = 55 of balance, 0.4 % of 14,062.5 is 56.25
    assert quantity(desk) == 0 and desk.status(resting) == "canceled"
    found = [out for out in desk.out if isinstance(out, Alert)]
    assert [(one.rule, one.state, one.action) for one in found] == [
        ("liquidation", "fired", "flatten"), ("liquidation", "cleared", "none"),
    ]  # fmt: skip
    assert found[0].numbers["balance"] == "55" and found[0].numbers["required"] == "56.25"
    assert [out for out in desk.out if isinstance(out, Fill)][-1].strategy == "liquidation"


def test_a_person_does_not_stop_the_venue_s_liquidation() -> None:
    desk = Desk(FUTURE, {"USDT": "1000"}, venue=VenueModel(latency=1000))
    at(desk, "100")
    desk.place("BUY", "150")
    at(desk, "100")
    at(desk, "93.75")
    assert quantity(desk)  # the order travels
    desk.send(Switch("r", desk.time, True, "anna"))
    at(desk, "93.75")
    assert quantity(desk) == 0


def test_cash_can_be_added_up_from_the_outputs() -> None:
    desk = Desk(FUTURE, {"USDT": "1000"})
    at(desk, "100")
    desk.place("BUY", "10")
    desk.send(Funding(FUTURE, desk.time, ONE // 1000, u("100")))
    desk.send(Funding(FUTURE, desk.time, -ONE // 2000, u("100")))
    desk.send(Transfer("t", desk.time, "USDT", u("50")))
    desk.send(Transfer("u", desk.time, "USDT", u("-5000")))  # refused
    flows = [out for out in desk.out if isinstance(out, CashFlow)]
    assert [(one.kind, one.amount) for one in flows] == [("funding", "-1"), ("funding", "0.5"), ("transfer", "50")]
    assert flows[0].numbers == {"rate": "0.001", "mark": "100", "quantity": "10"} and flows[0].instrument == FUTURE
    fees = sum(u(out.fee) for out in desk.out if isinstance(out, Fill))
    assert desk.cash("USDT") == u("1000") - fees + sum(u(one.amount) for one in flows)


def test_events_of_instruments_that_are_none_are_passed_over() -> None:
    desk = watched(stop_loss=STOP)
    at(desk, "100")
    time = desk.time
    for key in ("sse:43", "binance:", "binance:USDT", "nowhere", "", "szse:\x00"):
        for event in (
            Quote(key, time, ONE, ONE, ONE, ONE), Print(key, time, ONE), Bar(key, time, 0, "1m", 1, 1, 1, 1, 1),
            Depth(key, time, True, (), ()), Session(key, time, ONE), Funding(key, time, 1, ONE),
        ):  # fmt: skip
            assert desk.send(event) == []
    assert desk.engine.unknown == 36 and list(desk.engine.markets) == [desk.key]
    assert reloaded(desk.engine).unknown == 36


@pytest.mark.parametrize("first", [0, 1])
def test_sales_of_one_group_need_the_quantity_once(first: int) -> None:
    desk = Desk()
    desk.own("10")
    at(desk, "100")
    pair = [
        desk.place("SELL", "10", "110", group="exit"),
        desk.place("SELL", "10", type="stop", trigger="95", group="exit"),
    ]
    assert [desk.status(order) for order in pair] == ["accepted", "accepted"]
    assert desk.status(desk.place("SELL", "0.001", "110")) == "rejected"  # all of it is kept
    assert desk.status(desk.place("SELL", "0.001", "110", group="other")) == "rejected"
    at(desk, "111" if first == 0 else "94")
    assert [desk.status(order) for order in pair] == [["filled", "canceled"], ["canceled", "filled"]][first]
    assert quantity(desk) == 0


def test_what_is_below_a_lot_goes_in_one_piece_of_a_group_too() -> None:
    desk = Desk(SHARE, {"CNY": "1000"})
    desk.own("250", "10")
    desk.print("10", "9000")
    pair = [desk.place("SELL", "250", price, group="exit") for price in ("10.5", "10.6")]
    assert [desk.status(order) for order in pair] == ["accepted", "accepted"]


def test_what_a_canceled_sale_kept_stays_with_its_group() -> None:
    desk = Desk()
    desk.own("10")
    at(desk, "100")
    orders = [desk.place("SELL", size, "110", group="exit") for size in ("6", "10", "4")]
    position = desk.engine.main.ledger.position(desk.key)
    assert position.held == 10 * ONE
    desk.engine.main.cancel(desk.engine.main.orders[orders[1]], "")
    assert position.held == 6 * ONE
    desk.engine.main.cancel(desk.engine.main.orders[orders[0]], "")
    assert position.held == 4 * ONE
    desk.engine.main.ledger.check(desk.engine.main.orders)
    desk.time += SECOND
    desk.quote("110", "1", "110.01", "1")  # a part of it
    assert desk.fills(orders[2]) == [("110", "1")] and position.held == 3 * ONE


def test_without_rules_nothing_is_said() -> None:
    desk = Desk(FUTURE, {"USDT": "10000"})
    at(desk, "100")
    desk.place("BUY", "100")
    for price in ("50", "150", "40"):
        at(desk, price)
    assert {alert[0] for alert in alerts(desk)} <= {"liquidation"}
    assert not desk.engine.wants_clock


def test_settings_become_units() -> None:
    given = msgspec.convert(
        {"watch": {"stop_loss": {"critical": "0.05"}, "stale": {"warning": "1.5"}, "drawdown": {"critical": "0.1"}}},
        Trading,
    )
    made = engine_settings(given).watch
    assert made.stop_loss == Rule(critical=ONE // 20, action="flatten")
    assert made.stale == Rule(warning=1_500_000)
    assert made.drawdown == Rule(critical=ONE // 10, action="kill")
    assert made.exposure == Rule() and not made.exposure.on
    usual = engine_settings(Trading()).watch
    assert not usual.stop_loss.on and usual.drawdown.action == "none"  # the package acts only where it is told to
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"watch": {"stop_loss": {"critical": "five"}}}, Trading)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"watch": {"stop_los": {}}}, Trading)


def test_rules_that_are_off_now_forget() -> None:
    desk = watched(drawdown=Rule(warning=ONE // 100))
    at(desk, "100")
    desk.place("BUY", "50")
    at(desk, "90")
    assert len(alerts(desk)) == 1
    state = msgspec.json.decode(msgspec.json.encode(desk.engine.save()), type=EngineState)
    fresh = Engine(EngineSettings(instruments=(PLAIN, OTHER)))
    fresh.load(state)
    assert fresh.main.guard.state.active == {}
