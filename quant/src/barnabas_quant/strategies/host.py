"""Run strategies on a stream of inputs: the market and what becomes of their orders in, signals out.

Deterministic, as the trading engine: the time is that of the events. A strategy that raises, takes too long over an
event or floods signals is stopped, alone, and that is an output, too: a `Failure` with the traceback. How long is too
long depends on the machine: so that is not decided here but by who makes the calls (`Call`), and it is an input that
the service's journal keeps.

One that a person has stopped hears nothing but what becomes of its orders, so that its positions and what it remembers
stay right; what it wants then is passed over. It goes on from there. One that has failed is started as a new one, which
is given the positions that its fills have made since. So is one that is not in the settings for a while.

What risk has closed (a stop-loss, the kill switch) is taken off the positions of those that hold the instrument, in the
order of the settings, and they are told.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from barnabas_quant.model.intervals import MINUTE, SECOND
from barnabas_quant.model.money import units
from barnabas_quant.strategies.base import FLOOD, Strategy, StrategyError
from barnabas_quant.strategies.risk_fills import is_of_risk, taken_from
from barnabas_quant.strategies.switching import Failed, Off, Standing, StrategyCommand, place_of
from barnabas_quant.trading.events import (
    MAIN,
    Bar,
    Clock,
    Decision,
    Depth,
    Fill,
    MarketEvent,
    OrderEvent,
    Print,
    Quote,
    Signal,
)  # fmt: skip

Answer = Fill | OrderEvent | Decision
"""What the engine tells of an order or a signal: for the strategy that it is of."""
Heard = MarketEvent | Answer | Clock

_METHODS: dict[type, str] = {
    Quote: "on_tick", Print: "on_trade", Bar: "on_bar", Depth: "on_book", Fill: "on_fill", OrderEvent: "on_order",
    Decision: "on_refusal",
}  # fmt: skip
_ANSWERS = frozenset({Fill, OrderEvent, Decision})
_WITHOUT_ORDER = frozenset({"symbol", "stale", "size", "request", "duplicate"})
"""Rules by which the engine refuses a signal before there is an order; what comes after is told as an OrderEvent."""


Call = Callable[[str, Callable[..., None], tuple[Any, ...]], None]
"""Makes a call: whose, of what, with what. Raises TookTooLong, or whatever the call raises."""


class TookTooLong(BaseException):
    """Say that a call was ended, and where it was. No Exception: a strategy that catches those must not catch this."""

    def __init__(self, reason: str, trace: str) -> None:
        super().__init__(reason)
        self.reason, self.trace = reason, trace


_Hearing = tuple[Strategy, frozenset[str], Callable[[Any], None]]
"""A strategy, its instruments, its method."""


def straight(strategy: str, method: Callable[..., None], given: tuple[Any, ...]) -> None:
    """Make a call, however long it takes."""
    method(*given)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Tell that a strategy was stopped, and why: the record of the topic `strategy-failures`."""

    topic: ClassVar[str] = "strategy-failures"

    strategy: str
    time: int
    reason: str
    traceback: str

    @property
    def key(self) -> str:
        return self.strategy


class SaveFailed(Exception):
    """Say that a strategy cannot be saved: of which, why, and where."""

    def __init__(self, strategy: str, reason: str, trace: str) -> None:
        super().__init__(f"{strategy}: {reason}")
        self.strategy, self.reason, self.trace = strategy, reason, trace


class StrategyState(msgspec.Struct):
    """Hold what one strategy remembers."""

    positions: dict[str, int]
    state: msgspec.Raw


class Away(msgspec.Struct):
    """Hold what is remembered of a strategy that is not in the settings now."""

    positions: dict[str, int]
    off: Off | None = None


class HostState(msgspec.Struct):
    """Hold what a host remembers; strategies that have failed, or were stopped, stay so."""

    time: int
    minute: int
    recent: dict[str, list[int]]
    strategies: dict[str, StrategyState]
    stopped: list[str]
    """Those that have failed."""
    failures: dict[str, Failed] = {}
    off: dict[str, Off] = {}
    """Those that a person has stopped."""
    away: dict[str, Away] = {}


class Switched(msgspec.Struct, frozen=True):
    """Say what became of a command: how the strategy stands (None: there is none), in which words, what it says."""

    state: Standing | None
    reason: str
    said: list[Signal | Failure]


class Host:
    """Hold strategies; give what each event makes them want."""

    def __init__(self, strategies: Iterable[Strategy], call: Call = straight, closes: bool = True) -> None:
        """Take strategies, no two of one alias, and what makes the calls. Raises StrategyError.

        `closes`: whether what risk has closed is taken off positions; hosts of before that did not.
        """
        self._make_call = call
        self._closes = closes
        self.strategies: dict[str, Strategy] = {}
        """Those that have not failed."""
        self.time = 0
        self._minute = 0
        self._hear: dict[type, list[_Hearing]] = {}
        self._recent: dict[str, list[int]] = {}
        self._stopped: list[str] = []
        self._failures: dict[str, Failed] = {}
        self._off: dict[str, Off] = {}
        self._away: dict[str, Away] = {}
        for strategy in strategies:
            if strategy.alias in self.strategies:
                raise StrategyError(
                    f"two strategies are called {strategy.alias}: their signals could not be told apart; "
                    "give one of them an alias"
                )
            self.strategies[strategy.alias] = strategy
        self.every = dict(self.strategies)
        """All that it was made with."""
        self._awake = set(self.every)
        self._wire()

    def start(self) -> list[Signal | Failure]:
        """Begin with strategies that have no saved state."""
        out: list[Signal | Failure] = []
        for strategy in list(self.strategies.values()):
            self._call(strategy, strategy.on_start, (), out)
        return out

    def save(self) -> HostState:
        """Give all that it and its strategies remember. Raises SaveFailed where one's state could not be taken up."""
        return HostState(
            self.time, self._minute, self._recent,
            {name: _save(strategy) for name, strategy in self.strategies.items()},
            self._stopped,
            {name: self._failure(name) for name in self._stopped if name in self.every},
            self._off, self._away,
        )  # fmt: skip

    def load(self, state: HostState, anew: frozenset[str] = frozenset()) -> list[Signal | Failure]:
        """Take what `save` gave; begin with strategies that are new.

        `anew`: those that are not what they were, so that one that was stopped may try again. One that cannot take up
        its state is stopped.
        """
        self.time, self._minute, self._recent = state.time, state.minute, state.recent
        self._stopped = [name for name in state.stopped if name not in anew]
        self._failures = {name: state.failures[name] for name in self._stopped if name in state.failures}
        for name in self._stopped:
            if (failed := self.strategies.pop(name, None)) is not None and name in self._failures:
                failed.positions = self._failures[name].positions
        self._off = {name: off for name, off in state.off.items() if name in self.every}
        self._away = {name: away for name, away in _away(state).items() if name not in self.every}
        for name, strategy in self.strategies.items():
            if (back := state.away.get(name)) is not None:
                strategy.positions = back.positions
                if back.off is not None:
                    self._off[name] = back.off
            elif name in anew and name in state.failures:
                strategy.positions = state.failures[name].positions
        self._awake = self.strategies.keys() - self._off.keys()
        out: list[Signal | Failure] = []
        for name, strategy in list(self.strategies.items()):
            held = state.strategies.get(name)
            if held is None:
                self._call(strategy, strategy.on_start, (), out)
                continue
            strategy.time, strategy.positions = self.time, held.positions
            try:
                strategy.load(msgspec.json.decode(held.state))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever a user's program raises
                self._stop(strategy, _reason(error), trace_of(error), out)
        return out

    def stop(self, name: str, reason: str, trace: str) -> list[Signal | Failure]:
        """Stop a strategy from outside."""
        out: list[Signal | Failure] = []
        if name in self.strategies:
            self._stop(self.strategies[name], reason, trace, out)
        return out

    def standing(self, name: str) -> tuple[Standing, Off | Failed | None]:
        """Tell how a strategy of `every` stands, and what is remembered of that."""
        if name not in self.strategies:
            return "failed", self._failure(name)
        return ("stopped", self._off[name]) if name in self._off else ("running", None)

    def switch(self, command: StrategyCommand) -> Switched:
        """Stop a strategy as a person wants, or let it go on."""
        name = command.strategy
        if name not in self.every:
            return Switched(None, f"no strategy is called {name}", [])
        state, _ = self.standing(name)
        if command.on and state == "failed":
            return self._anew(name, command)
        if command.on:
            self._off.pop(name, None)
            self._awake.add(name)
            return Switched("running", command.reason if state == "stopped" else "it ran already", [])
        if state == "failed":
            return Switched("failed", "it has failed and does nothing already", [])
        self._off[name] = Off(who=command.who, reason=command.reason)
        self._awake.discard(name)
        return Switched("stopped", command.reason, [])

    def _anew(self, name: str, command: StrategyCommand) -> Switched:
        """Begin once more with one that has failed: it remembers nothing, but what its fills add up to."""
        failed, out = self.every[name], list[Signal | Failure]()
        try:
            fresh = type(failed)(failed.instruments, msgspec.to_builtins(failed.parameters))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a user's program raises
            return Switched("failed", f"it cannot be made: {_reason(error)}", [])
        fresh.alias, fresh.positions = failed.alias, failed.positions
        self._stopped.remove(name)
        self._failures.pop(name, None)
        self._off.pop(name, None)
        self._recent.pop(name, None)
        self.every[name] = self.strategies[name] = fresh
        self._awake.add(name)
        self._wire()
        self._call(fresh, fresh.on_start, (), out)
        words = "it had failed: its state begins anew, its positions are kept"
        return Switched("running", f"{command.reason}; {words}" if command.reason else words, out)

    def _failure(self, name: str) -> Failed:
        """Give what is remembered of one that has failed; of one that failed long ago that may be nothing."""
        known = self._failures.get(name) or Failed(time=0, reason="", where="")
        return msgspec.structs.replace(known, positions=self.every[name].positions)

    def process(self, event: Heard) -> Sequence[Signal | Failure]:
        """Hand one event to all that hear it; give their signals in the order of the strategies."""
        time = event.time
        if time > self.time:
            self.time = time
        hearing = self._hear.get(type(event))
        out: list[Signal | Failure] = []
        if time >= self._minute:
            self._timers(out)
        if not hearing:
            return out
        if type(event) in _ANSWERS:
            self._answer(event, hearing, out)  # type: ignore[arg-type]
            return out
        instrument = event.instrument  # type: ignore[union-attr]  # a clock's reading is heard by nobody
        for strategy, instruments, method in hearing:
            if instrument in instruments and strategy.alias in self._awake:
                self._call(strategy, method, (event,), out)
        return out

    def hears(self, kind: type) -> bool:
        """Tell whether any strategy hears this kind of event."""
        return bool(self._hear.get(kind))

    def _wire(self) -> None:
        for kind, name in _METHODS.items():
            self._hear[kind] = [
                (strategy, frozenset(strategy.instruments), getattr(strategy, name))
                for strategy in self.every.values()  # in the order of the settings, whichever failed meanwhile
                if kind is Fill or getattr(type(strategy), name) is not getattr(Strategy, name)
            ]
        self._timed = [s for s in self.every.values() if type(s).on_timer is not Strategy.on_timer]

    def _answer(self, event: Answer, hearing: Sequence[_Hearing], out: list[Signal | Failure]) -> None:
        """Hand what the engine tells to the strategy that it is of: another account's may be called the same."""
        if event.account != MAIN:
            return
        if isinstance(event, Decision) and (event.verdict != "rejected" or event.rule not in _WITHOUT_ORDER):
            return
        if isinstance(event, Fill):
            if self._closes and is_of_risk(event):
                self._closed(event, out)
                return
            if (away := self._away.get(event.strategy)) is not None:
                _count(away.positions, event)
        for strategy, instruments, method in hearing:
            if event.strategy != strategy.alias:
                continue
            if not isinstance(event, Decision) and event.instrument not in instruments:
                continue
            if isinstance(event, Fill):
                _count(strategy.positions, event)  # also of one that has failed
            if strategy.alias in self.strategies:
                self._call(strategy, method, (event,), out)

    def _closed(self, fill: Fill, out: list[Signal | Failure]) -> None:
        """Take what risk has closed off the positions of those that hold it."""
        key, held = fill.instrument, {name: strategy.positions for name, strategy in self.every.items()}
        held |= {name: away.positions for name, away in self._away.items()}
        for name, part in taken_from(fill, [(name, positions.get(key, 0)) for name, positions in held.items()]):
            held[name][key] -= part
            if (strategy := self.strategies.get(name)) is not None:
                self._call(strategy, strategy.on_closed, (fill,), out)

    def _timers(self, out: list[Signal | Failure]) -> None:
        begun = self.time // MINUTE * MINUTE
        if self._minute:
            for strategy in self._timed:
                if strategy.alias in self._awake:
                    self._call(strategy, strategy.on_timer, (begun,), out)
        self._minute = begun + MINUTE

    def _call(
        self, strategy: Strategy, method: Callable[..., None], given: tuple[Any, ...], out: list[Signal | Failure]
    ) -> None:
        strategy.time = self.time
        try:
            self._make_call(strategy.alias, method, given)
        except KeyboardInterrupt:
            raise
        except TookTooLong as error:
            strategy.take_signals()
            self._stop(strategy, error.reason, error.trace, out)
            return
        except BaseException as error:  # whatever a user's program raises, SystemExit too: it ends this strategy only
            strategy.take_signals()
            self._stop(strategy, _reason(error), trace_of(error), out)
            return
        if (signals := strategy.take_signals()) and strategy.alias in self._awake:
            recent = [t for t in self._recent.get(strategy.alias, ()) if t > self.time - SECOND]
            recent += [self.time] * len(signals)
            self._recent[strategy.alias] = recent
            if len(recent) > FLOOD:
                self._stop(strategy, f"more than {FLOOD} signals within a second", "", out)
            else:
                out += signals

    def _stop(self, strategy: Strategy, reason: str, trace: str, out: list[Signal | Failure]) -> None:
        del self.strategies[strategy.alias]
        self._awake.discard(strategy.alias)
        self._stopped.append(strategy.alias)
        self._failures[strategy.alias] = Failed(time=self.time, reason=reason, where=place_of(trace))
        out.append(Failure(strategy=strategy.alias, time=self.time, reason=reason, traceback=trace))


def _count(positions: dict[str, int], fill: Fill) -> None:
    quantity = units(fill.quantity)
    positions[fill.instrument] = positions.get(fill.instrument, 0) + (quantity if fill.side == "BUY" else -quantity)


def _away(state: HostState) -> dict[str, Away]:
    """Give what a state remembers of each strategy, were it not in the settings now."""
    found = dict(state.away)
    for name in (*state.strategies, *state.failures):
        held = state.strategies.get(name) or state.failures[name]
        found[name] = Away(held.positions, state.off.get(name))
    return found


def _save(strategy: Strategy) -> StrategyState:
    """Give a strategy's state, once another of its kind has taken it up: after a crash it is too late to find out."""
    try:
        state = msgspec.Raw(msgspec.json.encode(strategy.save()))
        twin = type(strategy)(strategy.instruments, msgspec.to_builtins(strategy.parameters))
        twin.load(msgspec.json.decode(state))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a user's program raises
        raise SaveFailed(strategy.alias, f"saving: {_reason(error)}", trace_of(error)) from error
    return StrategyState(strategy.positions, state)


def _reason(error: BaseException) -> str:
    text = "no text"
    with suppress(Exception):  # the text, too, is made by the user's program
        text = str(error)
    return f"{type(error).__name__}: {text}"[:500]


def trace_of(error: BaseException) -> str:
    """Give the traceback without this package's own frames: the same wherever it is installed."""
    told = traceback.TracebackException.from_exception(error)
    seen: traceback.TracebackException | None = told
    while seen is not None:
        seen.stack = traceback.StackSummary.from_list([f for f in seen.stack if f.filename not in _OWN])
        seen = seen.__cause__ or seen.__context__
    return "".join(told.format())[-20_000:]


_OWN = {
    __file__,
    str(Path(__file__).parents[1] / "watchdog.py"),
    str(Path(__file__).parents[1] / "services/strategies.py"),
}
