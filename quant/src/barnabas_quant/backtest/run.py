"""The loop of a backtest: market events through the trading engine and the strategies, in one order.

An event goes to the engine first: what rested at the venue is filled by it. Then the strategies hear those fills, then
the event itself, and what they want goes to the engine at once (or `delay` later, as a signal that travels). So nothing
is known to anybody before the event that tells it; an order that a bar's close calls for meets the next bar.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from barnabas_quant.strategies.host import Failure, Host
from barnabas_quant.trading.engine import Engine
from barnabas_quant.trading.events import Fill, MarketEvent, Output, Signal

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

    def run(self, events: Iterable[MarketEvent]) -> int:
        """Run over all events; give how many they were."""
        engine, host, collect = self.engine.process, self.host.process, self._collect
        travelling = self._travelling
        count = 0
        self._tell(self.host.start())
        for event in events:
            count += 1
            if travelling and travelling[0].time + self._delay <= event.time:
                self._arrive(event.time)
            for output in engine(event):
                collect(output)
                if type(output) is Fill:
                    self._tell(host(output))
            if said := host(event):
                self._tell(said)
        return count

    def _tell(self, said: Iterable[Signal | Failure]) -> None:
        for one in said:
            if isinstance(one, Signal):
                if one.time < self._begin:
                    continue
                one = msgspec.structs.replace(one, id=f"{one.strategy}-{self._signals}")
                self._signals += 1
                self._travelling.append(one)
            self._collect(one)
        if not self._delay:
            self._arrive(self.engine.time)

    def _arrive(self, time: int) -> None:
        while self._travelling and self._travelling[0].time + self._delay <= time:
            signal = self._travelling.popleft()
            fills: list[Fill] = []
            for output in self.engine.process(signal):
                self._collect(output)
                if type(output) is Fill:
                    fills.append(output)
            for fill in fills:
                self._tell(self.host.process(fill))
