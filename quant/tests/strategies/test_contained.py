"""What a user's strategy does wrong ends that strategy and nothing else, and is said with its place."""

from __future__ import annotations

import linecache
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from barnabas_quant.backtest.run import Loop
from barnabas_quant.errors import SettingsError
from barnabas_quant.model.money import LIMIT, ONE
from barnabas_quant.strategies import Failure, Host, Strategy, StrategyError
from barnabas_quant.strategies.base import FLOOD
from barnabas_quant.strategies.catalog import find_strategy, make_strategy
from barnabas_quant.strategies.host import HostState, SaveFailed, TookTooLong
from barnabas_quant.trading import Engine, EngineSettings
from barnabas_quant.trading.events import Decision, Fill, OrderEvent, Print, Signal
from barnabas_quant.watchdog import Watchdog

from .common import BEGIN, BTC, ETH

PRINT = Print(BTC, BEGIN, 100 * ONE, ONE)


class Honest(Strategy):
    """Buy one at every trade."""

    name = "HONEST"

    def on_trade(self, trade: Print) -> None:
        self.buy(trade.instrument, ONE, trade.price)


def doing(what: Callable[[Strategy], Any]) -> type[Strategy]:
    class Does(Strategy):
        name = "DOING"

        def on_trade(self, trade: Print) -> None:
            what(self)

    return Does


def stopped(what: Callable[[Strategy], Any], host: Host | None = None) -> Failure:
    """Let a strategy do something beside an honest one; give the failure that came of it."""
    host = host or Host([doing(what)([BTC]), Honest([BTC])])
    failure, signal = host.process(PRINT)
    assert isinstance(failure, Failure)
    assert isinstance(signal, Signal)
    assert (failure.strategy, failure.time, signal.strategy) == ("DOING", BEGIN, "HONEST")
    again = host.process(PRINT)
    assert [one.strategy for one in again] == ["HONEST"]
    return failure


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


def test_one_that_raises_is_stopped_with_its_traceback() -> None:
    failure = stopped(lambda strategy: 1 // 0)
    assert failure.reason == "ZeroDivisionError: integer division or modulo by zero"
    assert failure.traceback.startswith("Traceback (most recent call last):")
    assert "what(self)" in failure.traceback
    assert failure.traceback.endswith("ZeroDivisionError: integer division or modulo by zero\n")
    assert "host.py" not in failure.traceback  # the user's own lines only


@pytest.mark.parametrize("error", [SystemExit(3), Mute(), GeneratorExit(), RecursionError("deep"), BaseException("x")])
def test_whatever_it_raises(error: BaseException) -> None:
    def fail(strategy: Strategy) -> None:
        raise error

    assert stopped(fail).reason.startswith(type(error).__name__)


def test_its_texts_are_cut() -> None:
    def fail(strategy: Strategy) -> None:
        raise ValueError("x" * 100_000)

    failure = stopped(fail)
    assert len(failure.reason) == 500
    assert len(failure.traceback) <= 20_000


def test_signals_of_a_call_that_fails_do_not_count() -> None:
    def fail(strategy: Strategy) -> None:
        strategy.buy(BTC, ONE, ONE)
        raise ValueError

    stopped(fail)


def test_a_flood_over_one_event() -> None:
    def flood(strategy: Strategy) -> None:
        while True:
            strategy.buy(BTC, ONE, ONE)

    assert f"more than {FLOOD} signals" in stopped(flood).reason


def test_a_flood_over_many_events() -> None:
    def speak(strategy: Strategy) -> None:
        for _ in range(100):
            strategy.buy(BTC, ONE, ONE)

    host = Host([doing(speak)([BTC])])
    said = [one for second in range(20) for one in host.process(Print(BTC, BEGIN + second * 1_000_000, ONE))]
    assert len(said) == 2000  # 100 a second are none
    said = [one for step in range(20) for one in host.process(Print(BTC, BEGIN + 60_000_000 + step, ONE))]
    assert [one.reason for one in said if isinstance(one, Failure)] == [f"more than {FLOOD} signals within a second"]
    assert len(said) == FLOOD + 1


ABSURD: list[tuple[Any, Any, Any]] = [
    (BTC, 0, ONE), (BTC, -ONE, ONE), (BTC, ONE, 0), (BTC, ONE, -1), (BTC, 1.5, ONE), (BTC, ONE, 10.2), (BTC, True, ONE),
    (BTC, LIMIT, ONE), (BTC, ONE, 10**40), (BTC, "1", ONE), (BTC, ONE, None), (BTC, float("nan"), ONE), (ETH, ONE, ONE),
    ("BTCUSDT", ONE, ONE), (None, ONE, ONE), ([], ONE, ONE),
]  # fmt: skip


@pytest.mark.parametrize("sells", [False, True])
@pytest.mark.parametrize("asked", ABSURD, ids=repr)
def test_absurd_amounts_are_refused_at_the_call(asked: Any, sells: bool) -> None:
    def ask(strategy: Strategy) -> None:
        with pytest.raises(StrategyError, match="DOING: "):
            (strategy.sell if sells else strategy.buy)(*asked)
        (strategy.sell if sells else strategy.buy)(*asked)

    assert stopped(ask).reason.startswith("StrategyError: DOING: ")


def test_the_largest_amount_that_is_none() -> None:
    (signal,) = Host([doing(lambda strategy: strategy.buy(BTC, LIMIT - 1, LIMIT - 1))([BTC])]).process(PRINT)
    assert isinstance(signal, Signal)
    engine = Engine(EngineSettings(cash={"USDT": 1000 * ONE}))
    engine.process(PRINT)
    (refused,) = [out for out in engine.process(signal) if isinstance(out, Decision)]
    assert (refused.verdict, refused.rule) == ("rejected", "price_collar")


def test_who_sells_what_it_does_not_have_sells_nothing_and_goes_on() -> None:
    said: list[Any] = []
    host = Host([doing(lambda strategy: strategy.sell(BTC, ONE, 100 * ONE))([BTC])])
    Loop(host, Engine(EngineSettings(cash={"USDT": 1000 * ONE})), said.append).run([PRINT] * 5)
    assert len([one for one in said if isinstance(one, Signal)]) == 5
    refused = [one for one in said if isinstance(one, OrderEvent) and one.status == "rejected"]
    assert len(refused) == 5 and all("position" in one.reason for one in refused)
    assert not [one for one in said if isinstance(one, Fill | Failure)]


# What takes too long


def watched(what: Callable[[Strategy], Any], limit: float = 0.2) -> Failure:
    host = Host([doing(what)([BTC]), Honest([BTC])], watch := Watchdog(never, limit))
    with watch.armed():
        return stopped(what, host)


def never(*given: object) -> None:
    raise AssertionError("it could be ended")


def test_one_that_loops_is_stopped_where_it_is() -> None:
    def loop(strategy: Strategy) -> None:
        while True:
            strategy.time += 1

    failure = watched(loop)
    assert failure.reason == "took longer than 0.2 s over an event"
    assert "strategy.time += 1" in failure.traceback or "while True" in failure.traceback
    assert "watchdog.py" not in failure.traceback


def test_an_alarm_that_comes_while_the_last_one_is_at_work_hides_nothing() -> None:
    begun = False

    def loop(strategy: Strategy) -> None:
        nonlocal begun
        begun = True  # no alarm comes between this and the loop: Python looks for one at calls and jumps back
        while True:
            strategy.time += 1

    for _ in range(5):
        begun = False
        for _ in range(20):  # on a busy machine the alarms may all come before the strategy's first line
            linecache.clearcache()  # reading the source again takes longer than there is between two alarms
            failure = watched(loop, 0.004)
            if begun:
                break
        assert begun
        assert "strategy.time += 1" in failure.traceback or "while True" in failure.traceback


def test_one_that_sleeps_is_stopped() -> None:
    began = time.monotonic()
    assert "took longer" in watched(lambda strategy: time.sleep(30)).reason
    assert time.monotonic() - began < 10


def test_no_handler_of_its_own_holds_that_up() -> None:
    def loop(strategy: Strategy) -> None:
        while True:
            try:
                strategy.buy(BTC, ONE, ONE)
                strategy.take_signals()
            except Exception:
                pass

    assert "took longer" in watched(loop).reason


def test_one_that_catches_it_and_returns_is_stopped_all_the_same() -> None:
    def loop(strategy: Strategy) -> None:
        try:
            time.sleep(30)
        except BaseException:
            strategy.buy(BTC, ONE, ONE)

    assert "took longer" in watched(loop).reason


def test_where_nothing_ends_it_whoever_watches_is_told() -> None:
    told: list[Any] = []

    def loop(strategy: Strategy) -> None:
        while not told:
            try:
                while True:
                    strategy.time += 1
            except BaseException:
                pass

    host = Host([doing(loop)([BTC])], watch := Watchdog(lambda *given: told.append(given), 0.2))
    with watch.armed():
        (failure,) = host.process(PRINT)
    assert isinstance(failure, Failure)
    (strategy, method, error) = told[0]
    assert (strategy, method, type(error)) == ("DOING", "on_trade", TookTooLong)


def test_in_another_thread_nothing_is_watched() -> None:
    watch, ended = Watchdog(never, 0.2), threading.Event()

    def work() -> None:
        with watch.armed():
            watch("DOING", time.sleep, (0.5,))
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended.is_set()


def test_many_quick_calls_are_not_too_long() -> None:
    watch = Watchdog(never, 1.0)  # a busy machine may be late for one of them, but not by that much
    end = time.monotonic() + 2.0
    with watch.armed():
        while time.monotonic() < end:
            watch("DOING", time.sleep, (0.01,))


# What it remembers


def test_a_state_that_cannot_be_taken_up_again_is_found_when_it_is_saved() -> None:
    class Forgetful(Honest):
        name = "FORGETFUL"
        count: int = 0

        def on_trade(self, trade: Print) -> None:
            self.count = 1.5  # type: ignore[assignment]

    class Unwritable(Honest):
        name = "UNWRITABLE"

        def save(self) -> Any:
            return threading.Lock()

    for kind in (Forgetful, Unwritable):
        host = Host([kind([BTC]), Honest([BTC])])
        host.process(PRINT)
        with pytest.raises(SaveFailed, match=kind.name) as found:
            host.save()
        (failure,) = host.stop(found.value.strategy, found.value.reason, found.value.trace)
        assert isinstance(failure, Failure)
        assert failure.reason.startswith("saving: ")
        assert list(host.save().strategies) == ["HONEST"]


def saved(host: Host) -> HostState:
    return msgspec.json.decode(msgspec.json.encode(host.save()), type=HostState)


def test_one_that_was_stopped_stays_so_until_it_is_another() -> None:
    host = Host([doing(lambda strategy: 1 // 0)([BTC]), Honest([BTC])])
    host.process(PRINT)
    for anew, names in ((frozenset[str](), ["HONEST"]), (frozenset({"DOING"}), ["DOING", "HONEST"])):
        other = Host([doing(lambda strategy: None)([BTC]), Honest([BTC])])
        assert other.load(saved(host), anew) == []
        assert list(other.strategies) == names


def test_one_that_cannot_take_up_its_state_is_stopped() -> None:
    class Before(Honest):
        count: int = 0

    class After(Honest):
        count: dict[str, int] = {}
        more: list[int] = [1]

    host = Host([Before([BTC])])
    (failure,) = Host([After([BTC])]).load(saved(host))
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("StateError: HONEST: saved state of count")
    after = Host([Honest([BTC])])
    assert after.load(saved(host)) == []  # what is no longer wanted is forgotten


def test_two_of_one_name() -> None:
    with pytest.raises(StrategyError, match="two strategies are called HONEST"):
        Host([Honest([BTC]), Honest([ETH])])


# Files

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("class X(Strategy:\n    pass\n", {}, r"x\.py:1: invalid syntax.*|x\.py:1: '\(' was never closed.*"),
    ("x = 1\n", {}, "one class that derives from Strategy is wanted, there are 0"),
    ("", {}, "there are 0"),
    ("import no_such_module\n", {}, "line 1: ModuleNotFoundError: No module named 'no_such_module'"),
    ("\n\n1 / 0\n", {}, "line 3: ZeroDivisionError"),
    ("raise SystemExit(0)\n", {}, "line 1: SystemExit"),
    ("\0", {}, "null bytes"),
    (
        "from barnabas_quant.strategies import Strategy\nclass A(Strategy):\n    name = 'A'\n"
        "class B(Strategy):\n    name = 'B'\n",
        {}, "there are 2: A, B",
    ),
    ("from barnabas_quant.strategies.ma_cross import MaCross\n", {}, "there are 0"),
    ("from barnabas_quant.strategies import Strategy\nclass A(Strategy):\n    pass\n", {}, "A has no name"),
    ("from barnabas_quant.strategies import Strategy\nclass A(Strategy):\n    name = 5\n", {}, "A has no name"),
    ("from barnabas_quant.strategies import Strategy\nclass A(Strategy):\n    name = 'a b'\n", {}, "A has no name"),
]  # fmt: skip

HEAD = """
from __future__ import annotations
from typing import Annotated
from msgspec import Meta
from barnabas_quant.strategies import Strategy

class A(Strategy):
    name = "A"
"""
PARAMETERS = "    class Parameters(Strategy.Parameters):\n        bars: Annotated[int, Meta(ge=2)] = 5\n"
WRONG += [
    (HEAD + PARAMETERS, {"bars": "five"}, r"A: .*int.*bars.*; parameters: bars"),
    (HEAD + PARAMETERS, {"bars": 1}, r"A: .*>= 2.*bars"),
    (HEAD + PARAMETERS, {"bar": 5}, r"unknown field `bar`"),
    (HEAD + PARAMETERS.replace(" = 5", ""), {}, r"missing required field `bars`"),
    (HEAD + "    class Parameters:\n        bars = 5\n", {}, "A.Parameters does not derive from Strategy.Parameters"),
    (HEAD + "    seen: int\n", {}, "the state seen needs a first value"),
    (HEAD + "    seen: int = 'none'\n", {}, "the state seen and its first value"),
    (HEAD + "    seen: Nothing = 1\n", {}, "types of its state.*Nothing"),
    (HEAD + "    seen: object = object()\n", {}, "the state seen and its first value"),
    (HEAD + "    def __init__(self, *given):\n        raise KeyError('x')\n", {}, "line 10: KeyError: 'x'"),
]


@pytest.mark.parametrize(("text", "parameters", "message"), WRONG)
def test_a_file_that_is_wrong_says_what(tmp_path: Path, text: str, parameters: dict[str, Any], message: str) -> None:
    file = tmp_path / "x.py"
    file.write_text(text)
    with pytest.raises(StrategyError, match=message) as found:
        make_strategy(str(file), [BTC], parameters)
    assert str(found.value).startswith(str(file))
    assert isinstance(found.value, SettingsError)  # the command ends with 2


def test_names_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="FORTUNE; there are BOOK_IMBALANCE, GRID, MACD, MA_CROSS, PAIR"):
        find_strategy("FORTUNE")
    with pytest.raises(StrategyError, match="no such file"):
        find_strategy(str(tmp_path / "none.py"))
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n")
    with pytest.raises(StrategyError, match="cannot be read"):
        find_strategy(str(tmp_path / "latin.py"))
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(StrategyError, match="cannot be read"):
        find_strategy(str(tmp_path / "folder.py"))


def test_a_file_s_own_types_are_state_and_its_lines_stand_in_tracebacks(tmp_path: Path) -> None:
    text = HEAD.replace("class A", "import msgspec\n\nclass Seen(msgspec.Struct):\n    n: int = 0\n\nclass A")
    text += "    seen: dict[str, Seen] = {}\n    def on_trade(self, trade):\n"
    text += "        self.seen[trade.instrument] = Seen(len(self.seen))\n"
    text += "        if trade.size == 2:\n            raise ValueError\n"
    file = tmp_path / "x.py"
    file.write_text(text)
    host = Host([make_strategy(str(file), [BTC], {})])
    host.process(PRINT)
    file.unlink()
    other = Host([make_strategy(str(file), [BTC], {}, text)])
    assert other.load(saved(host)) == []
    assert other.strategies["A"].save()["seen"][BTC].n == 0
    (failure,) = other.process(msgspec.structs.replace(PRINT, size=2))
    assert isinstance(failure, Failure)
    assert f'File "{file}", line' in failure.traceback
    assert "    raise ValueError\n" in failure.traceback
