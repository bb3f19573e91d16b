"""The report of a session that was: what the main account traded, told as a backtest is.

The trading service works its journal off once more (replay.py); a recorder looks on at every input. It is asked for
what it holds when all is worked off.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from barnabas_quant.backtest.results import Recorder, Result, Setup
from barnabas_quant.errors import QuantError
from barnabas_quant.journaled import Said
from barnabas_quant.service import Context
from barnabas_quant.services.trading import TradingService
from barnabas_quant.trading.engine import Engine
from barnabas_quant.trading.events import (
    MAIN,
    Bar,
    CashFlow,
    Depth,
    Fill,
    Input,
    OrderEvent,
    Output,
    Print,
    Quote,
    Signal,
)  # fmt: skip


class RecordedTrading(TradingService):
    """Be the trading service while its journal is replayed, and keep what a report tells."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._recorder = _recorder_of(self.engine)
        self._begun = 0
        self._transfers = 0
        self._ordered: dict[str, None] = {}  # instruments, in the order of their first order
        self._strategies: dict[str, None] = {}

    def begin(self, settings: bytes, state: bytes | None) -> list[Said]:
        said = super().begin(settings, state)
        if not self._begun:
            self._recorder = _recorder_of(self.engine)
        self._recorder.engine = self.engine
        self._begun += 1
        return said

    def process(self, event: Input) -> Sequence[Output]:
        outputs = super().process(event)
        recorder = self._recorder
        if isinstance(event, Quote | Print | Bar | Depth):
            if event.instrument not in recorder.result.candles and event.instrument in self.engine.instruments:
                recorder.follow(self.engine.instruments[event.instrument])
            recorder.hear(event, self.engine.time)
            recorder.result.events += 1
        elif isinstance(event, Signal) and event.account == MAIN:
            recorder.take(event)
        for output in outputs:
            if output.account == MAIN:
                self._note(output)
                recorder.take(output)
        return outputs

    def _note(self, output: Output) -> None:
        if isinstance(output, OrderEvent | Fill):
            self._ordered.setdefault(output.instrument)
            self._strategies.setdefault(output.strategy or "by hand")
        elif isinstance(output, CashFlow) and output.kind == "transfer":
            self._transfers += 1

    def result(self) -> Result:
        """Give what the session came to, of what was traded. Raises QuantError where nothing was."""
        result = self._recorder.finish()
        traded = [key for key in self._ordered if key in result.candles]
        if not traded:
            raise QuantError("no order was made in that session: there is nothing to report")
        currencies = dict.fromkeys(self.engine.instruments[key].currency for key in traded)
        result.name = ", ".join(self._strategies)
        result.setup = msgspec.structs.replace(result.setup, strategy=result.name, instruments=tuple(traded))
        result.metrics = {currency: result.metrics[currency] for currency in currencies}
        result.curves = {currency: result.curves[currency] for currency in currencies}
        return result

    def notes(self) -> list[str]:
        """Give what a reader of the report should know."""
        found = ["A session as it was, from the journal of the trading service; it counts by the time of the market."]
        if changes := self._begun - 1:
            found.append(f"Settings: changed, or begun anew, {changes} x; the report shows those that it began with.")
        if self._transfers:
            found.append(f"Payments into or out of the account: {self._transfers}; they count as profit or loss.")
        return found


def _recorder_of(engine: Engine) -> Recorder:
    setup = Setup(strategy="", instruments=(), engine=engine.settings)
    return Recorder(engine, Result(setup=setup, parameters={}, name="", recorded=True))
