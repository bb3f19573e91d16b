"""One backtest: settings and events in, everything that a report tells out. No I/O, no clock.

The engine and the strategies are those of the live platform (docs/trading.md); a recorder keeps what they say. Before
`begin` (the warm-up) strategies hear the market and the venue shows it, but what they want is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from barnabas_quant.backtest.results import Recorder, Result, Setup
from barnabas_quant.backtest.run import Loop
from barnabas_quant.backtest.trades import Holding
from barnabas_quant.errors import QuantError
from barnabas_quant.strategies.catalog import make_strategy
from barnabas_quant.strategies.host import Host
from barnabas_quant.trading.engine import Engine
from barnabas_quant.trading.events import MarketEvent


class Simulation:
    """Run one backtest and keep what it says."""

    def __init__(self, setup: Setup) -> None:
        """Make the strategy and the engine. Raises StrategyError, SymbolError, QuantError."""
        strategy = make_strategy(setup.strategy, setup.instruments, setup.parameters)
        self.setup = setup
        self.host = Host([strategy])
        self._engine = Engine(setup.engine)
        self._result = Result(setup=setup, parameters=msgspec.to_builtins(strategy.parameters), name=strategy.name)
        self._recorder = Recorder(self._engine, self._result)
        for key in setup.instruments:
            instrument = self._engine.instrument(key)
            if setup.engine.cash.get(instrument.currency, 0) <= 0:
                raise QuantError(
                    f"there is no {instrument.currency} to trade with: --cash {instrument.currency}=1000000"
                )
            self._recorder.follow(instrument)
        self.periods = self._result.periods

    def run(self, events: Iterable[MarketEvent], charts: bool = True) -> Result:
        """Run over events; without `charts` no prices are kept. Raises QuantError where no event lies in its time."""
        recorder = self._recorder
        loop = Loop(self.host, self._engine, recorder.take, self.setup.delay, self.setup.begin)
        self._result.events = loop.run(recorder.watched(events) if charts else events)
        return recorder.finish()

    def marks(self) -> Mapping[str, tuple[Holding, int]]:
        """Give what is still open by instrument, with the last price."""
        return {
            key: (held, self._engine.main.ledger.positions[key].mark)
            for key, held in self._result.book.open.items()
            if held.quantity
        }
