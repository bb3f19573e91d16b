"""A strategy hears what becomes of its signals and orders, and of nobody else's; the same one may run twice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from barnabas_quant.backtest.run import Loop
from barnabas_quant.bus.journal import Journal
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.errors import RecordError, SettingsError
from barnabas_quant.model.intervals import DAY, SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.services.strategies import Chosen, make_host
from barnabas_quant.settings import StrategySettings, load_settings
from barnabas_quant.strategies import Failure, Host, Strategy
from barnabas_quant.strategies.base import FLOOD
from barnabas_quant.strategies.hearing import heard_of
from barnabas_quant.strategies.host import HostState
from barnabas_quant.trading import Engine, EngineSettings
from barnabas_quant.trading.events import Decision, Fill, MarketEvent, OrderEvent, Print, Quote, Signal
from barnabas_quant.trading.limits import Limits

from ..conftest import PATIENCE, eventually
from ..trading.test_services import Running, own_kafka, price, records, tell, waiting
from .common import BEGIN, BTC, ETH, filled
from .test_service import replay, told

__all__ = ["own_kafka"]


class Listener(Strategy):
    """Ask for something at each trade, by its price, and keep all that is heard."""

    name = "LISTENER"
    heard: list[int] = []
    """Numbers of the engine's outputs."""
    said: list[str] = []

    def on_trade(self, trade: Print) -> None:
        what = trade.price // ONE
        if what == 101:
            self.buy(BTC, 1, trade.price)  # less than a lot
        elif what == 102:
            self.buy(BTC, 50 * ONE, trade.price)  # above the limit
        elif what == 103:
            self.sell(BTC, ONE, trade.price)  # nothing of it is there
        elif what == 104:
            self.buy(BTC, ONE, 90 * ONE)  # rests, and the day ends
        elif what == 105:
            self.buy(BTC, 2 * ONE, 200 * ONE)  # filled, in parts

    def on_order(self, order: OrderEvent) -> None:
        self.heard.append(order.seq)
        self.said.append(order.step)

    def on_fill(self, fill: Fill) -> None:
        self.heard.append(fill.seq)
        self.said.append(f"filled {fill.quantity}")

    def on_refusal(self, decision: Decision) -> None:
        self.heard.append(decision.seq)
        self.said.append(f"refused {decision.rule}")


def named(kind: type[Strategy], alias: str) -> Any:
    made = kind([BTC])
    made.alias = alias
    return made


def engine() -> Engine:
    limits = Limits(order_quantity=10 * ONE, price_collar=None, daily_loss=None)
    return Engine(EngineSettings(cash={"USDT": 1_000_000 * ONE}, limits=limits))


def trades(*prices: int, size: int = 1) -> list[MarketEvent]:
    return [Print(BTC, BEGIN + n * SECOND, cents * ONE, size * ONE) for n, cents in enumerate(prices)]


def run(strategies: Iterable[Strategy], events: Iterable[MarketEvent], delay: int = 0) -> list[Any]:
    said: list[Any] = []
    Loop(Host(strategies), engine(), said.append, delay).run(events)
    return said


@pytest.mark.parametrize("delay", [0, SECOND // 2, 400 * SECOND])
def test_what_it_hears_is_what_the_engine_told_of_it_in_that_order(delay: int) -> None:
    one, two = named(Listener, "ONE"), named(Listener, "TWO")
    events = trades(100, 101, 102, 103, 104, 105, 99, 99, 99, 101)
    events += [Print(BTC, BEGIN + second * SECOND, 100 * ONE, ONE) for second in (350, 450)]
    events += [Print(BTC, event.time + DAY, 100 * ONE, ONE) for event in events]
    said = run([one, two], events, delay)
    for strategy in (one, two):
        own = [
            each.seq
            for each in said
            if isinstance(each, Fill | OrderEvent | Decision)
            and each.strategy == strategy.alias
            and not (isinstance(each, Decision) and each.rule not in ("size", "stale"))
        ]
        assert strategy.heard == own == sorted(own)
        assert len(own) > 5
    assert not set(one.heard) & set(two.heard)
    if delay == 400 * SECOND:
        assert "refused stale" in one.said
        return
    assert one.said[:1] == ["refused size"]
    assert one.said[1:3] == ["new", "deny"]
    assert one.said[3:6] == ["new", "submit", "reject"]
    assert "expire" in one.said
    assert {"fill", "complete", "filled 1"} <= set(one.said)
    assert one.positions == {BTC: 2 * ONE}


def test_a_fill_is_told_as_the_order_s_first() -> None:
    strategy = named(Listener, "ONE")
    run([strategy], trades(105, 105))
    first = strategy.said.index("fill")
    assert strategy.said[first : first + 2] == ["fill", "filled 1"]


def test_nobody_pays_for_what_nobody_hears() -> None:
    class Deaf(Strategy):
        name = "DEAF"

    assert [Host([Deaf([BTC])]).hears(kind) for kind in (OrderEvent, Decision, Fill)] == [False, False, True]
    host = Host([Deaf([BTC]), Listener([ETH])])
    assert [host.hears(kind) for kind in (OrderEvent, Decision)] == [True, True]


def answers(**more: Any) -> list[Any]:
    """Make one of each that the engine tells of LISTENER."""
    given = {"seq": 1, "time": BEGIN, "strategy": "LISTENER"} | more
    fill = filled(Signal("s", BEGIN, "BUY", BTC, ONE, ONE, "LISTENER"), 1)
    return [
        OrderEvent(
            order="o", instrument=BTC, step="accept", status="accepted", side="BUY", type="limit", quantity="1",
            filled="0", price="1", trigger=None, time_in_force="DAY", reason="", **given,
        ),
        msgspec.structs.replace(fill, **given),
        Decision(subject="s", verdict="rejected", rule="stale", reason="", numbers={}, order="", **given),
    ]  # fmt: skip


def test_what_is_of_another_account_or_strategy_is_not_heard() -> None:
    strategy = Listener([BTC])
    host = Host([strategy])
    for more in ({"account": "anna"}, {"strategy": "OTHER"}):
        for answer in answers(**more):
            assert host.process(answer) == []
    order, _, decision = answers()
    host.process(msgspec.structs.replace(order, instrument=ETH))
    host.process(msgspec.structs.replace(decision, verdict="accepted"))
    host.process(msgspec.structs.replace(decision, rule="price_collar"))  # its order is told as denied
    assert (strategy.said, strategy.positions) == ([], {})
    for answer in answers():
        assert host.process(answer) == []
    assert strategy.said == ["accept", "filled 1", "refused stale"]
    assert strategy.positions == {BTC: ONE}


def test_records_of_the_topics_are_heard_as_they_were_told() -> None:
    for answer in answers():
        value = msgspec.json.encode(answer)
        assert heard_of(answer.topic, value, 0, 0, 0, "binance") == [answer]
        for bad in (b"", b"{}", b"\xff", value[:-2], b"[" * 100_000):
            with pytest.raises(RecordError, match=answer.topic):
                heard_of(answer.topic, bad, 0, 0, 0, "binance")


def test_one_that_raises_there_is_stopped() -> None:
    class Raises(Listener):
        def on_order(self, order: OrderEvent) -> None:
            raise ValueError(order.step)

    said = run([Raises([BTC]), named(Listener, "OTHER")], trades(104, 104))
    assert [(each.strategy, each.reason) for each in said if isinstance(each, Failure)] == [
        ("LISTENER", "ValueError: new")
    ]
    assert {each.strategy for each in said if isinstance(each, OrderEvent)} == {"LISTENER", "OTHER"}


@pytest.mark.parametrize("what", [101, 102, 103])
def test_one_that_insists_is_stopped_and_does_not_bring_down_the_loop(what: int) -> None:
    class Insists(Listener):
        def again(self) -> None:
            self.on_trade(Print(BTC, self.time, what * ONE))

        def on_order(self, order: OrderEvent) -> None:
            if order.step in ("deny", "reject"):
                self.again()

        def on_refusal(self, decision: Decision) -> None:
            self.again()

    said = run([Insists([BTC])], trades(100, what, 100))
    (failure,) = [each for each in said if isinstance(each, Failure)]
    assert failure.reason == f"more than {FLOOD} signals within a second"
    assert len([each for each in said if isinstance(each, Signal)]) == FLOOD


def test_what_fills_call_for_comes_behind_what_was_told_before() -> None:
    """All that the engine told of one event is heard before it is asked for more."""

    class Follows(Listener):
        def on_fill(self, fill: Fill) -> None:
            super().on_fill(fill)
            if len(self.heard) < 50:
                self.buy(BTC, ONE, 90 * ONE)

    strategy = named(Follows, "ONE")
    said = run([strategy], [*trades(105, 105), Quote(BTC, BEGIN + 2 * SECOND, 98 * ONE, ONE, 99 * ONE, ONE)])
    assert strategy.heard == sorted(strategy.heard)
    numbers = [each.seq for each in said if not isinstance(each, Signal | Failure)]
    assert numbers == sorted(numbers) == list(range(len(numbers)))


# The same twice


def chosen(*aliases: str | None) -> Chosen:
    each = (
        StrategySettings(name="MA_CROSS", alias=alias, symbols=("BTCUSDT",), parameters={"fast": 2 + n, "slow": 9})
        for n, alias in enumerate(aliases)
    )
    return Chosen(primary="binance", strategies=tuple(each))


def test_the_same_twice_under_two_names() -> None:
    host = make_host(chosen("FAST", None))
    assert [(name, each.name, each.alias, each.parameters.fast) for name, each in host.strategies.items()] == [
        ("FAST", "MA_CROSS", "FAST", 2), ("MA_CROSS", "MA_CROSS", "MA_CROSS", 3),
    ]  # fmt: skip
    state = msgspec.json.decode(msgspec.json.encode(host.save()), type=HostState)
    assert set(state.strategies) == {"FAST", "MA_CROSS"}


@pytest.mark.parametrize("aliases", [(None, None), ("A", "A"), (None, "MA_CROSS")])
def test_two_of_one_alias(aliases: tuple[str | None, ...]) -> None:
    text = f"two strategies are called {aliases[0] or 'MA_CROSS'}: .*; give one of them an alias"
    with pytest.raises(SettingsError, match=text):
        make_host(chosen(*aliases))


@pytest.mark.parametrize("alias", ["", "a b", "x" * 61, "-x", "a\n", "stop/loss"])
def test_an_alias_that_is_none(alias: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="alias"):
        load_settings({"strategies": [{"name": "MACD", "symbols": ["BTCUSDT"], "alias": alias}]}, environ={})


def test_each_hears_and_counts_its_own_and_is_stopped_alone() -> None:
    one, two = named(Listener, "ONE"), named(Listener, "TWO")
    host = Host([one, two])
    host.process(answers(strategy="ONE")[1])
    assert (one.positions, two.positions) == ({BTC: ONE}, {})
    (failure,) = host.stop("TWO", "enough", "")
    assert isinstance(failure, Failure) and failure.strategy == "TWO"
    assert [each.strategy for each in host.process(trades(102)[0]) if isinstance(each, Signal)] == ["ONE"]
    anew = Host([named(Listener, "ONE"), named(Listener, "TWO")])
    assert anew.load(msgspec.json.decode(msgspec.json.encode(host.save()), type=HostState)) == []
    assert list(anew.strategies) == ["ONE"]
    assert anew.strategies["ONE"].positions == {BTC: ONE}


# Live

STUBBORN = """
from barnabas_quant.model.money import DecimalText, ONE, units
from barnabas_quant.strategies import Strategy

class Stubborn(Strategy):
    name = "STUBBORN"

    class Parameters(Strategy.Parameters):
        volume: DecimalText = "50"  # less than a lot

    price: int = 0
    heard: int = 0

    def on_trade(self, trade):
        self.price = trade.price
        self.buy(trade.instrument, units(self.parameters.volume), trade.price)

    def on_refusal(self, decision):
        self.heard += 1
        self.sell(self.instruments[0], (1000 + 100 * self.heard) * ONE, self.price)  # more than there is

    def on_order(self, order):
        self.heard += 1
        if order.step == "reject":
            self.buy(order.instrument, (100 + 100 * self.heard) * ONE, self.price)
"""
SETTINGS = """
[trading]
signal_seconds = 100000.0

[[strategies]]
name = "{file}"
symbols = ["000001"]

[[strategies]]
name = "{file}"
alias = "STUBBORN_LARGE"
symbols = ["000001"]
parameters = {{ volume = "100" }}
"""


@pytest.mark.long
@pytest.mark.parametrize("kills", [False, True])
def test_live_both_hear_their_own_and_a_replay_says_the_same(tmp_path: Path, own_kafka: str, kills: bool) -> None:
    """Each price: 50 are refused, then a sale is rejected, then some are bought; the other one buys at once."""
    file = tmp_path / "stubborn.py"
    file.write_text(STUBBORN)
    services = [Running(tmp_path, own_kafka, name, SETTINGS.format(file=file)) for name in ("trading", "strategies")]
    steps = 4

    def heard_all() -> bool:
        there = {topic: len(told(own_kafka, topic)) for topic in ("fills", "orders")}
        with RangeReader(own_kafka) as reader:
            runs = [run for entry in Journal(own_kafka, "strategies").read(reader, 0) for run in entry.runs]
        return all(sum(run[3] for run in runs if run[0] == topic) == count for topic, count in there.items())

    try:
        eventually(lambda: len(records(own_kafka, "engine-journal")) >= 2, PATIENCE)
        for number in range(steps):
            tell(own_kafka, "stock-realtime", price("000001", number, f"10.{99 - number}"), partition=1)
            if kills:
                for service in services:
                    service.kill()
                    service.start()
            waiting(own_kafka, "trade-signal", 4 * (number + 1))
            waiting(own_kafka, "trade-decisions", 4 * (number + 1))
        eventually(heard_all, PATIENCE)
        for service in services:
            service.end()
    finally:
        for service in services:
            service.kill()
    with RangeReader(own_kafka) as reader:
        first = next(iter(Journal(own_kafka, "strategies").read(reader, 0)))
    heard = {"market_data.trades", "stock-realtime", "fills", "orders", "trade-decisions"}
    assert set(first.start) == {*heard, "strategy-commands"}
    signals = [(each["strategy"], each["signal"]) for each in records(own_kafka, "trade-signal")]
    assert signals.count(("STUBBORN_LARGE", "BUY")) == signals.count(("STUBBORN", "SELL")) == steps
    assert signals.count(("STUBBORN", "BUY")) == 2 * steps == len(signals) // 2
    assert {each["strategy"] for each in records(own_kafka, "fills")} == {"STUBBORN", "STUBBORN_LARGE"}
    assert replay(own_kafka) == {"trade-signal": told(own_kafka, "trade-signal")}
