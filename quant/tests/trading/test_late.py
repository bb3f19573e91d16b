"""Records that come late, sessions that are played again, and how little is kept of what nobody trades."""

from __future__ import annotations

import msgspec

from barnabas_quant.model.intervals import MINUTE, SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.trading import Engine, EngineSettings, OrderRequest, VenueModel
from barnabas_quant.trading.engine import EngineState
from barnabas_quant.trading.events import Decision, Fill, Output, Place, Print, Session, Signal
from barnabas_quant.trading.limits import Limits

from .common import COIN, SHARE, Desk, china, u


def reloaded(engine: Engine) -> Engine:
    made = Engine(engine.settings)
    made.load(msgspec.json.decode(msgspec.json.encode(engine.save()), type=EngineState))
    return made


def late(desk: Desk, day: int, price: str) -> None:
    desk.send(Print(desk.key, china(day, 10), u(price)))


def test_a_late_record_of_the_day_before_does_not_free_what_was_bought_today() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.print("10")
    bought = desk.place("BUY", "100")
    desk.print("10")
    assert desk.status(bought) == "filled"
    for _ in range(2):
        late(desk, -1, "10")
    assert "bought today" in desk.last(desk.place("SELL", "100")).reason
    assert desk.engine.market(SHARE).time == desk.time


def test_a_late_record_of_the_day_before_leaves_the_limits_of_today() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    late(desk, -1, "10")
    desk.print("10.9")
    late(desk, -1, "9.5")
    desk.send(Session(SHARE, china(-1, 9), u("5")))  # so does the close of another day
    order = desk.place("BUY", "100")
    desk.print("10.9")
    market = desk.engine.market(SHARE)
    assert (market.low_limit, market.high_limit) == (u("9"), u("11"))
    assert desk.fills(order) == [("10.9", "100")]


def test_a_late_record_here_and_there_never_turns_the_time_back() -> None:
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.print("10")
    for _ in range(9):
        late(desk, -1, "10")
        late(desk, -1, "10")
        desk.time += SECOND
        desk.print("10")
        desk.send(Print(SHARE, desk.time - MINUTE, u("10")))  # nor do those of a moment ago, however many
    assert desk.engine.market(SHARE).time == desk.time
    for _ in range(9):
        desk.send(Print(SHARE, desk.time - MINUTE, u("10")))
    assert desk.engine.market(SHARE).time == desk.time


def session(day: int, price: str) -> list[Print | Place]:
    """Give twenty minutes of a share that is bought in each of them but the first ones and the last one."""
    found: list[Print | Place] = []
    for n in range(20):
        time = china(day, 10, n)
        found.append(Print(SHARE, time, u(price) + n * ONE // 100))
        if 3 <= n < 19:
            request = OrderRequest(instrument=SHARE, side="BUY", quantity=100 * ONE, time_in_force="DAY")
            found.append(Place(f"{day}-{n}", time, request))
    return found


def filled(said: list[Output]) -> list[tuple[str, str, str]]:
    return [(one.order.partition(":")[2], one.price, one.quantity) for one in said if isinstance(one, Fill)]


def test_a_session_that_is_played_again_trades_as_it_did() -> None:
    desk = Desk(SHARE, {"CNY": "1000000"})
    rounds: list[list[tuple[str, str, str]]] = []
    for number in range(2):
        said: list[Output] = []
        for event in [*session(0, "10"), *session(1, "10.5"), *session(30, "11")]:
            if isinstance(event, Place):
                event = msgspec.structs.replace(event, id=f"{number}:{event.id}")
            said += desk.engine.process(event)
            desk.engine.main.ledger.check(desk.engine.main.orders)
        rounds.append(filled(said))
    assert rounds[0] == rounds[1] and len(rounds[0]) == 3 * 16
    market = desk.engine.market(SHARE)
    assert market.high_limit == u("11.76")  # of 10.69, the close of the day before the last one
    for event in [one for one in session(0, "10") if isinstance(one, Print)]:
        desk.engine.process(event)
    assert (market.time, market.high_limit) == (china(0, 10, 19), 0)  # nobody tells the close of the day before it
    # What was bought on other days can be sold
    request = OrderRequest(instrument=SHARE, side="SELL", quantity=9600 * ONE)
    desk.engine.process(Place("2:all", china(0, 10, 19), request))
    assert filled(desk.engine.process(Print(SHARE, china(0, 10, 20), u("10")))) == [("all", "10", "9600")]


def test_a_signal_of_a_session_that_is_played_again_is_not_stale() -> None:
    """Nor are those of shares that are in no record of it; a snapshot in between changes nothing."""
    engine = Engine(EngineSettings(cash={"CNY": u("1000000")}, order_type="market"))
    for key in (SHARE, "sse:600036", "sse:600519"):
        engine.process(Print(key, china(300, 10), u("10")))
    told: list[str] = []
    for n in range(4):
        time = china(0, 10, n)
        for key in (SHARE, "sse:600036"):
            engine.process(Print(key, time, u("10")))
        signal = Signal(f"s-{n}", time, "BUY", SHARE, u("10"), u("100"), "X")
        told += [one.rule for one in engine.process(signal) if isinstance(one, Decision)]
        engine = reloaded(engine)
    assert told == ["stale", "stale", "", ""]
    assert engine.newest == {"sse": china(0, 10, 3)}


def test_a_state_from_before_is_read() -> None:
    desk = Desk(venue=VenueModel(latency=SECOND))
    desk.quote("99", "9", "101", "9")
    desk.place("BUY", "1")
    state = msgspec.to_builtins(desk.engine.save())
    del state["newest"], state["markets"][desk.key]["older"], state["accounts"]["main"]["orders"][0]["begun"]
    made = Engine(desk.engine.settings)
    made.load(msgspec.convert(state, EngineState))
    assert made.newest == desk.engine.newest == {"paper": desk.time}


def test_a_state_with_a_market_in_another_spelling_is_read() -> None:
    """Programs before took them where the instrument itself was known."""
    desk = Desk(SHARE, {"CNY": "100000"})
    desk.print("10")
    state = msgspec.to_builtins(desk.engine.save())
    state["markets"]["sse:600000.SH"] = state["markets"][SHARE] | {"time": 0}
    made = Engine(desk.engine.settings)
    made.load(msgspec.convert(state, EngineState))
    assert made.markets["sse:600000.SH"].instrument.key == SHARE


def test_nothing_is_kept_of_orders_that_came_to_nothing() -> None:
    desk = Desk(COIN, limits=Limits(order_quantity=2 * ONE))
    desk.quote("99", "9", "101", "9")
    before = msgspec.to_builtins(desk.engine.save())
    kept = set(desk.engine.instruments)
    for n in range(50):
        key = f"binance:A{n}USDT"
        request = OrderRequest(instrument=key, side="BUY", quantity=ONE)
        desk.send(Place(f"t{n}", desk.time, request, test=True))
        desk.place("BUY", "1", key=key)  # the market has shown no price
        desk.place("BUY", "3", "1", key=key)  # denied
        desk.place("SELL", "1", "9", key=key)  # there is nothing to be sold
        desk.place("SELL", "1", "9", key=key, group="g")
        desk.send(Signal(f"s{n}", desk.time, "SELL", key, u("9"), ONE, "X"))
        order = desk.place("BUY", "1", "9", key=key)
        assert desk.status(order) == "accepted" and key in desk.engine.markets
        desk.engine.main.cancel(desk.engine.main.orders[order], "")
    after = msgspec.to_builtins(desk.engine.save())
    assert set(desk.engine.instruments) == kept and after["markets"] == before["markets"]
    for name in ("positions", "orders", "matchers"):
        assert after["accounts"]["main"][name] == before["accounts"]["main"][name]


def test_an_order_waits_for_a_market_that_has_told_nothing() -> None:
    desk = Desk(COIN)
    other = "binance:ETHUSDT"
    gone, waits = (desk.place("BUY", "1", "100", key=other) for _ in range(2))
    desk.engine.main.cancel(desk.engine.main.orders[gone], "")
    desk.engine = reloaded(desk.engine)
    desk.key = other
    desk.quote("90", "9", "95", "9")
    assert desk.fills(waits) == [("95", "1")]
