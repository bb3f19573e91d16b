"""Strategies stopped and started by a person: what they hear meanwhile, and the service as a process that is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from barnabas_quant.bus import ensure_topics, read_records
from barnabas_quant.cli import main
from barnabas_quant.errors import RecordError
from barnabas_quant.model.money import ONE
from barnabas_quant.strategies import Host, Strategy
from barnabas_quant.strategies.host import Failure, HostState
from barnabas_quant.strategies.switching import COMMANDS, StrategyCommand, place_of, read_command
from barnabas_quant.trading.events import Fill, OrderEvent, Print, Signal

from ..conftest import PATIENCE, eventually
from ..trading.test_services import Running, price, records, tell, waiting
from .common import BEGIN, BTC, filled

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")


class Buyer(Strategy):
    """Buy at each trade; at a price of 13 raise."""

    name = "BUYER"
    trades: int = 0
    said: list[str] = []

    def on_start(self) -> None:
        self.said.append("start")

    def on_trade(self, trade: Print) -> None:
        if trade.price == 13 * ONE:
            raise ValueError("thirteen")
        self.trades += 1
        self.buy(trade.instrument, ONE, trade.price)

    def on_order(self, order: OrderEvent) -> None:
        self.said.append(order.step)

    def on_fill(self, fill: Fill) -> None:
        self.said.append("fill")
        self.buy(fill.instrument, ONE, ONE)

    def on_closed(self, fill: Fill) -> None:
        self.said.append(f"closed by {fill.strategy}, left {self.positions[fill.instrument] // ONE}")

    def on_timer(self, time: int) -> None:
        self.said.append("timer")


def host_of(*aliases: str) -> Host:
    """Give a host of buyers that have begun."""
    made = []
    for alias in aliases:
        strategy = Buyer([BTC])
        strategy.alias = alias
        made.append(strategy)
    host = Host(made)
    host.start()
    return host


def trade(second: int, units: int = 10) -> Print:
    return Print(BTC, BEGIN + second * 1_000_000, units * ONE, ONE)


def fill_of(alias: str, number: int) -> Fill:
    return filled(Signal("s", BEGIN, "BUY", BTC, ONE, ONE, alias), number)


def switch(host: Host, alias: str, on: bool) -> tuple[str | None, str]:
    done = host.switch(StrategyCommand(strategy=alias, on=on, who="anna", reason="because"))
    assert done.said == []
    return done.state, done.reason


def again(host: Host, aliases: Sequence[str] | None = None, anew: frozenset[str] = frozenset()) -> Host:
    """Give a host, of other strategies perhaps, that was made anew and has taken up what this one remembers."""
    held = msgspec.json.decode(msgspec.json.encode(host.save()), type=HostState)
    made = host_of(*(host.every if aliases is None else aliases))
    made.load(held, anew)
    return made


def closed(rule: str, number: int, quantity: int) -> Fill:
    """Give the fill of an order by which a rule sells."""
    fill = filled(Signal("s", BEGIN, "SELL", BTC, ONE, quantity * ONE, rule), number)
    return msgspec.structs.replace(fill, order=f"{rule}:{BTC}:{number}")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_stopped_one_hears_its_fills_alone_and_goes_on(restarted: bool) -> None:
    host = host_of("BUYER")
    assert len(host.process(trade(1))) == 1
    assert switch(host, "BUYER", False) == ("stopped", "because")
    host = again(host) if restarted else host
    assert host.process(trade(2)) == [] == host.process(trade(200))
    assert host.process(fill_of("BUYER", 1)) == []  # what it wants at a fill is passed over
    strategy: Any = host.strategies["BUYER"]
    assert (strategy.trades, strategy.said, strategy.positions) == (1, ["start", "fill"], {BTC: ONE})
    state, about = host.standing("BUYER")
    assert state == "stopped" and (about.who, about.reason) == ("anna", "because")  # type: ignore[union-attr]
    assert switch(host, "BUYER", True) == ("running", "because")
    assert switch(host, "BUYER", True) == ("running", "it ran already")
    assert len(host.process(trade(201))) == 1
    assert (strategy.trades, host.standing("BUYER")) == (2, ("running", None))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_failed_one_begins_anew_with_the_positions_of_its_fills(restarted: bool) -> None:
    host = host_of("BUYER")
    host.process(trade(1))
    host.process(fill_of("BUYER", 1))
    (failure,) = host.process(trade(2, 13))
    assert isinstance(failure, Failure)
    assert host.process(fill_of("BUYER", 2)) == []
    assert switch(host, "BUYER", False) == ("failed", "it has failed and does nothing already")
    host = again(host) if restarted else host
    state, about = host.standing("BUYER")
    assert state == "failed" and about.reason == "ValueError: thirteen"  # type: ignore[union-attr]
    assert "test_switching.py" in about.where and "on_trade" in about.where  # type: ignore[union-attr]
    assert host.process(trade(3)) == []
    state, reason = switch(host, "BUYER", True)
    assert state == "running" and reason.startswith("because; it had failed: its state begins anew")
    strategy: Any = host.strategies["BUYER"]
    assert (strategy.trades, strategy.said, strategy.positions) == (0, ["start"], {BTC: 2 * ONE})
    assert len(host.process(trade(4))) == 1
    assert host.save().stopped == [] and host.save().failures == {}


def test_what_risk_has_closed_is_nobody_s_any_more() -> None:
    host = host_of("ONE", "TWO", "FAILED", "AWAY")
    for number, alias in enumerate(("ONE", "TWO", "TWO", "FAILED", "AWAY")):
        host.process(fill_of(alias, number))
    host.stop("FAILED", "by hand", "")
    host = again(host, ("ONE", "TWO", "FAILED"))
    one, two, failed = (host.every[name] for name in ("ONE", "TWO", "FAILED"))
    assert host.process(closed("stop_loss", 6, 2)) == []
    assert (one.positions, two.positions, failed.positions) == ({BTC: 0}, {BTC: ONE}, {BTC: ONE})
    assert one.said[-1] == "closed by stop_loss, left 0"  # type: ignore[attr-defined]
    assert two.said[-1] == "closed by stop_loss, left 1"  # type: ignore[attr-defined]
    host.process(closed("kill-switch", 7, 9))  # more than they hold: what a person bought by hand
    assert (one.positions, two.positions, failed.positions) == ({BTC: 0}, {BTC: 0}, {BTC: 0})
    assert len(one.said) == 3  # type: ignore[attr-defined]  # it held nothing: it is not told again
    assert again(host, ("AWAY",)).strategies["AWAY"].positions == {BTC: 0}
    # A short position is closed by purchases, and by nothing else.
    one.positions[BTC] = -2 * ONE
    host.process(closed("stop_loss", 8, 1))
    bought = msgspec.structs.replace(closed("stop_loss", 9, 1), side="BUY")
    host.process(bought)
    assert one.positions == {BTC: -ONE}
    # A strategy may be called as a rule is: its own fills are its own.
    namesake = host_of("stop_loss")
    namesake.process(fill_of("stop_loss", 1))
    assert namesake.strategies["stop_loss"].positions == {BTC: ONE}


def test_hosts_of_before_left_positions_as_they_were() -> None:
    host = Host([Buyer([BTC])], closes=False)
    host.start()
    host.process(fill_of("BUYER", 1))
    host.process(closed("stop_loss", 2, 1))
    assert host.strategies["BUYER"].positions == {BTC: ONE}


def test_one_that_is_away_for_a_while_keeps_its_positions_and_stays_stopped() -> None:
    host = host_of("BUYER", "OTHER")
    host.process(fill_of("BUYER", 1))
    switch(host, "BUYER", False)
    without = again(again(host, ("OTHER",)), ("OTHER",))
    without.process(fill_of("BUYER", 2))  # of an order that rested
    back = again(without, ("BUYER", "OTHER"))
    assert back.strategies["BUYER"].positions == {BTC: 2 * ONE}
    assert back.standing("BUYER")[0] == "stopped" and back.save().away == {}
    assert [each.strategy for each in back.process(trade(1))] == ["OTHER"]


def test_one_that_has_failed_and_is_changed_keeps_its_positions_and_stays_stopped() -> None:
    host = host_of("BUYER")
    host.process(fill_of("BUYER", 1))
    switch(host, "BUYER", False)
    host.stop("BUYER", "by hand", "")
    changed = again(host, anew=frozenset({"BUYER"}))
    assert changed.strategies["BUYER"].positions == {BTC: ONE}
    assert changed.standing("BUYER")[0] == "stopped" and changed.process(trade(1)) == []
    failed = again(host)
    assert failed.standing("BUYER")[0] == "failed"
    assert switch(failed, "BUYER", True)[0] == "running" and len(failed.process(trade(1))) == 1


def test_signals_keep_the_order_of_the_settings() -> None:
    host = host_of("ONE", "TWO", "THREE")
    host.stop("ONE", "by hand", "")
    host.process(trade(1))
    switch(host, "ONE", True)
    assert [each.strategy for each in host.process(trade(2))] == ["ONE", "TWO", "THREE"]


def test_one_that_nobody_knows() -> None:
    assert switch(host_of("BUYER"), "NOBODY", True) == (None, "no strategy is called NOBODY")


def test_what_an_older_service_remembered_is_taken_up() -> None:
    host = host_of("BUYER")
    host.process(trade(2, 13))
    old = json.loads(msgspec.json.encode(host.save()))
    del old["failures"], old["off"]
    fresh = host_of("BUYER")
    fresh.load(msgspec.convert(old, HostState))
    assert fresh.standing("BUYER")[0] == "failed" and fresh.save().failures["BUYER"].reason == ""


@pytest.mark.parametrize("value", [b"", b"{}", b"[", b"\xff", b'{"strategy":"","on":true,"who":"x"}', b"[" * 9999])
def test_what_is_no_command(value: bytes) -> None:
    with pytest.raises(RecordError, match="strategy-commands"):
        read_command(value, 1, "id")


def test_the_place_of_a_traceback() -> None:
    trace = 'Traceback:\n  File "a.py", line 1, in x\n    y()\n  File "b.py", line 2, in y\n    z\nValueError: z\n'
    assert place_of(trace) == 'File "b.py", line 2, in y'
    assert place_of("") == ""


# The service

BUYER = """
from barnabas_quant.strategies import Strategy
from barnabas_quant.model.money import ONE

class Buyer(Strategy):
    name = "BUYER"
    heard: int = 0

    def on_trade(self, trade):
        self.heard += 1
        1 // (trade.price - 1300_000_000)
        self.buy(trade.instrument, self.heard * 100 * ONE, trade.price)
"""
ONE_OF_THEM = '[[strategies]]\nname = "{0}"\nsymbols = ["000001"]\n'
SETTINGS = ONE_OF_THEM + ONE_OF_THEM + 'alias = "SECOND"\n'


@pytest.fixture
def kafka() -> Iterator[str]:
    """Give a Kafka of this test's own: the trading topics have fixed names."""
    with embedded.Broker() as broker:
        ensure_topics(broker.bootstrap)
        yield broker.bootstrap


def dead_letters(kafka: str) -> list[bytes]:
    return [bytes(message.value() or b"") for message in read_records(kafka, {"market_data.dead_letters": 1})]


@pytest.mark.long
def test_it_is_stopped_and_started_through_kills(
    tmp_path: Path, kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stopped strategy stays stopped when its service is killed; the journal, worked off again, says the same."""
    file = tmp_path / "buyer.py"
    file.write_text(BUYER)
    early = StrategyCommand(strategy="EARLY", on=True, who="anna")  # before the service has ever run
    tell(kafka, COMMANDS, msgspec.json.encode(early))
    running = Running(tmp_path, kafka, "strategies", SETTINGS.format(file))
    options = ("--kafka", kafka, "--data", str(tmp_path), "--config", str(tmp_path / "strategies.toml"))

    def trading(*arguments: str) -> tuple[int, list[str]]:
        capsys.readouterr()
        code = main(["trading", arguments[0], *options, *arguments[1:]])
        return code, capsys.readouterr().out.splitlines()

    def send(*cents: int) -> None:
        tell(kafka, "stock-realtime", *(price("000001", n, f"{n / 100:.2f}") for n in cents), partition=1)

    def signals() -> list[tuple[str, int]]:
        return [(each["strategy"], each["volume"]) for each in records(kafka, "trade-signal")]

    try:
        assert {each["strategy"]: each["state"] for each in waiting(kafka, "strategy-events", 3)} == {
            "BUYER": "running", "SECOND": "running", "EARLY": None,
        }  # fmt: skip
        send(1001)
        waiting(kafka, "trade-signal", 2)
        assert trading("stop", "BUYER", "--who", "anna", "--reason", "lunch")[0] == 0
        running.kill()
        running.start()
        send(1002)
        waiting(kafka, "trade-signal", 3)
        code, lines = trading("strategies")
        assert (
            code == 0 and "stopped by anna: lunch" in lines[0] and lines[1].startswith("SECOND               running")
        )
        code, lines = trading("start", "BUYER")
        assert code == 0 and lines[1] == "accepted BUYER running"
        send(1003)
        waiting(kafka, "trade-signal", 5)
        send(1300)
        waiting(kafka, "strategy-failures", 2)
        running.kill()
        code, lines = trading("start", "BUYER", "--wait", "0")
        running.start()
        eventually(lambda: trading("stop", "NOBODY", "--wait", "60")[0] == 1, PATIENCE)
        send(1004)
        waiting(kafka, "trade-signal", 6)
        tell(kafka, COMMANDS, b"no command")
        eventually(lambda: dead_letters(kafka) == [b"no command"])
        running.end()
        code = main(["replay", "strategies", *options])
        said = capsys.readouterr().out
    finally:
        running.kill()
    assert code == 0, said
    assert signals() == [
        ("BUYER", 100), ("SECOND", 100), ("SECOND", 200), ("BUYER", 200), ("SECOND", 300), ("BUYER", 100),
    ]  # fmt: skip
    events = records(kafka, "strategy-events")
    assert events.pop(2)["reason"] == "no strategy is called EARLY"
    assert [(each["strategy"], each["state"], each["verdict"]) for each in events] == [
        ("BUYER", "running", "accepted"), ("SECOND", "running", "accepted"), ("BUYER", "stopped", "accepted"),
        ("BUYER", "running", "accepted"), ("BUYER", "failed", "accepted"), ("SECOND", "failed", "accepted"),
        ("BUYER", "running", "accepted"), ("NOBODY", None, "rejected"),
    ]  # fmt: skip
    assert events[2]["who"] == "anna" and events[2]["reason"] == "lunch" and events[2]["subject"] == f"{COMMANDS}-0-1"
    assert events[4]["reason"].startswith("ZeroDivisionError") and "line 11" in events[4]["where"]
    assert events[6]["reason"] == "it had failed: its state begins anew, its positions are kept"
