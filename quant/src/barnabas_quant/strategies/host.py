"""Run strategies on a stream of inputs: market events and fills in, signals out; an exception ends its strategy only.

Deterministic, as the trading engine: the time is that of the events. A strategy that raises, takes too long over an
event or floods signals is stopped, and that is an output, too: a `Failure` with the traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from barnabas_quant.model.intervals import MINUTE, SECOND
from barnabas_quant.model.money import units
from barnabas_quant.strategies.base import Strategy
from barnabas_quant.trading.events import Bar, Clock, Depth, Fill, MarketEvent, Print, Quote, Signal

FLOOD = 1000
"""Signals within a second of the stream's time, above which a strategy is stopped."""

_METHODS: dict[type, str] = {
    Quote: "on_tick", Print: "on_trade", Bar: "on_bar", Depth: "on_book", Fill: "on_fill",
}  # fmt: skip


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


class StrategyState(msgspec.Struct):
    """Hold what one strategy remembers."""

    positions: dict[str, int]
    state: msgspec.Raw


class HostState(msgspec.Struct):
    """Hold what a host remembers; strategies that were stopped stay so."""

    time: int
    minute: int
    recent: dict[str, list[int]]
    strategies: dict[str, StrategyState]
    stopped: list[str]


class Host:
    """Hold strategies; give what each event makes them want."""

    def __init__(self, strategies: Iterable[Strategy]) -> None:
        self.strategies: dict[str, Strategy] = {}
        self.time = 0
        self._minute = 0
        self._hear: dict[type, list[tuple[Strategy, frozenset[str], Callable[[Any], None]]]] = {}
        self._recent: dict[str, list[int]] = {}
        self._stopped: list[str] = []
        for strategy in strategies:
            self.strategies[strategy.name] = strategy
        self._wire()

    def start(self) -> list[Signal | Failure]:
        """Begin with strategies that have no saved state."""
        out: list[Signal | Failure] = []
        for strategy in list(self.strategies.values()):
            self._call(strategy, strategy.on_start, (), out)
        return out

    def save(self) -> HostState:
        """Give all that it and its strategies remember."""
        return HostState(
            self.time, self._minute, self._recent,
            {
                name: StrategyState(strategy.positions, msgspec.Raw(msgspec.json.encode(strategy.save())))
                for name, strategy in self.strategies.items()
            },
            self._stopped,
        )  # fmt: skip

    def load(self, state: HostState) -> list[Signal | Failure]:
        """Take what `save` gave; begin with strategies that are new. Raises StateError."""
        self.time, self._minute, self._recent, self._stopped = state.time, state.minute, state.recent, state.stopped
        for name in self._stopped:
            self.strategies.pop(name, None)
        out: list[Signal | Failure] = []
        for name, strategy in list(self.strategies.items()):
            held = state.strategies.get(name)
            if held is None:
                self._call(strategy, strategy.on_start, (), out)
                continue
            strategy.positions = held.positions
            strategy.load(msgspec.json.decode(held.state))
        return out

    def process(self, event: MarketEvent | Fill | Clock) -> Sequence[Signal | Failure]:
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
        instrument = event.instrument  # type: ignore[union-attr]  # a clock's reading is heard by nobody
        for strategy, instruments, method in hearing:
            if instrument in instruments and strategy.name in self.strategies:
                if type(event) is Fill:
                    if event.strategy != strategy.name:
                        continue
                    _count(strategy, event)
                self._call(strategy, method, (event,), out)
        return out

    def hears(self, kind: type) -> bool:
        """Tell whether any strategy hears this kind of event."""
        return bool(self._hear.get(kind))

    def _wire(self) -> None:
        for kind, name in _METHODS.items():
            self._hear[kind] = [
                (strategy, frozenset(strategy.instruments), getattr(strategy, name))
                for strategy in self.strategies.values()
                if kind is Fill or getattr(type(strategy), name) is not getattr(Strategy, name)
            ]
        self._timed = [s for s in self.strategies.values() if type(s).on_timer is not Strategy.on_timer]

    def _timers(self, out: list[Signal | Failure]) -> None:
        begun = self.time // MINUTE * MINUTE
        if self._minute:
            for strategy in self._timed:
                if strategy.name in self.strategies:
                    self._call(strategy, strategy.on_timer, (begun,), out)
        self._minute = begun + MINUTE

    def _call(
        self, strategy: Strategy, method: Callable[..., None], given: tuple[Any, ...], out: list[Signal | Failure]
    ) -> None:
        strategy.time = self.time
        try:
            method(*given)
        except Exception as error:  # whatever a user's program raises: it ends this strategy and nothing else
            strategy.take_signals()
            self._stop(strategy, f"{type(error).__name__}: {error}", traceback.format_exc(), out)
            return
        if signals := strategy.take_signals():
            recent = [t for t in self._recent.get(strategy.name, ()) if t > self.time - SECOND]
            recent += [self.time] * len(signals)
            self._recent[strategy.name] = recent
            if len(recent) > FLOOD:
                self._stop(strategy, f"more than {FLOOD} signals within a second", "", out)
            else:
                out += signals

    def _stop(self, strategy: Strategy, reason: str, trace: str, out: list[Signal | Failure]) -> None:
        del self.strategies[strategy.name]
        self._stopped.append(strategy.name)
        out.append(Failure(strategy=strategy.name, time=self.time, reason=reason, traceback=trace))


def _count(strategy: Strategy, fill: Fill) -> None:
    quantity = units(fill.quantity)
    held = strategy.positions.get(fill.instrument, 0) + (quantity if fill.side == "BUY" else -quantity)
    strategy.positions[fill.instrument] = held
