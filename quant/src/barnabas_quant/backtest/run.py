"""The loop of a backtest: market events through the trading engine and the strategies, in one order.

An event goes to the engine first: what rested at the venue is filled by it. Then the strategies hear what became of
their orders, in the order in which the engine told it, then the event itself, and what they want goes to the engine at
once (or `delay` later, as a signal that travels: the engine is told the time, so that its order is of that moment and
not of the event before). So nothing is known to anybody before the event that tells it; an order that a bar's close
calls for meets the next bar.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from barnabas_quant.strategies.host import Failure, Host
from barnabas_quant.trading.engine import Engine
from barnabas_quant.trading.events import Clock, Decision, Fill, MarketEvent, OrderEvent, Output, Signal

Collect = Callable[[Output | Signal | Failure], None]


class Loop:
    """Run strategies and an engine over a history."""

    def __init__(self, host: Host, engine: Engine, collect: Collect, delay: int = 0, begin: int = 0) -> None:
        """Take what runs, who hears every output, and how many microseconds a signal travels.

        Signals from before `begin` (microseconds since 1970 UTC) are passed over: strategies only warm up.
        """
        self.host = host
        self.engine = engine
        self._collect = collect
        self._delay = delay
        self._begin = begin
        self._signals = 0
        self._travelling: deque[Signal] = deque()
        self._heard = {kind for kind in (Fill, OrderEvent, Decision) if host.hears(kind)}

    def run(self, events: Iterable[MarketEvent]) -> int:
        """Run over all events; give how many they were."""
        engine, host, collect = self.engine.process, self.host.process, self._collect
        travelling, heard, delay = self._travelling, self._heard, self._delay
        count = 0
        self._note(self.host.start())
        self._arrive(self.engine.time)
        for event in events:
            count += 1
            if travelling and travelling[0].time + delay <= event.time:
                self._arrive(event.time)
            for output in engine(event):
                collect(output)
                if type(output) in heard:
                    self._note(host(output))  # type: ignore[arg-type]
            if travelling and not delay:
                self._arrive(self.engine.time)
            if said := host(event):
                self._note(said)
                if not delay:
                    self._arrive(self.engine.time)
        return count

    def _note(self, said: Iterable[Signal | Failure]) -> None:
        for one in said:
            if isinstance(one, Signal):
                if one.time < self._begin:
                    continue
                one = msgspec.structs.replace(one, id=f"{one.strategy}-{self._signals}")
                self._signals += 1
                self._travelling.append(one)
            self._collect(one)

    def _arrive(self, time: int) -> None:
        """Hand the engine the signals that are there by a time; what is wanted because of its answers comes behind."""
        while self._travelling and self._travelling[0].time + self._delay <= time:
            signal = self._travelling.popleft()
            outputs = self.engine.process(Clock(signal.time + self._delay)) if self._delay else []
            outputs += self.engine.process(signal)
            for output in outputs:
                self._collect(output)
            for output in outputs:
                if type(output) in self._heard:
                    self._note(self.host.process(output))  # type: ignore[arg-type]
