"""One backtest: settings and events in, everything that a report tells out. No I/O, no clock.

The engine and the strategies are those of the live platform (docs/trading.md); this keeps what they say. Before
`begin` (the warm-up) strategies hear the market and the venue shows it, but what they want is passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from barnabas_quant.backtest.metrics import CALENDAR_DAYS, TRADING_DAYS, Costs, Curve, Metrics, measure
from barnabas_quant.backtest.run import Loop
from barnabas_quant.backtest.trades import Holding, TradeBook, signed_units
from barnabas_quant.errors import QuantError
from barnabas_quant.model.money import total_units
from barnabas_quant.model.sessions import SessionCalendar
from barnabas_quant.strategies.catalog import make_strategy
from barnabas_quant.strategies.host import Failure, Host
from barnabas_quant.trading.engine import Engine, EngineSettings
from barnabas_quant.trading.events import (
    Bar,
    Decision,
    EquityEvent,
    Fill,
    MarketEvent,
    OrderEvent,
    Output,
    Print,
    Quote,
    Signal,
)  # fmt: skip
from barnabas_quant.trading.instruments import Instrument, notional

_CANDLES = 1200  # of a chart; twice as many are drawn together in pairs


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Say what is run. Written as JSON it goes to other processes."""

    strategy: str
    """A name, or a file."""
    instruments: tuple[str, ...]
    parameters: dict[str, Any] = {}
    engine: EngineSettings = EngineSettings()
    begin: int = 0
    """Microseconds since 1970 UTC from which on it trades."""
    delay: int = 0
    """Microseconds that a signal travels."""


class Candle(msgspec.Struct):
    """Hold what a chart shows of some events."""

    time: int
    open: int
    high: int
    low: int
    close: int


class Candles:
    """Keep the prices of one instrument in at most 2,400 candles: neighbours are joined when there are more."""

    def __init__(self) -> None:
        self.kept: list[Candle] = []
        self._each = 1
        self._in_last = 0

    def add(self, time: int, first: int, high: int, low: int, close: int) -> None:
        """Take a bar, or a price four times."""
        if self._in_last and self._in_last < self._each:
            last = self.kept[-1]
            last.high, last.low, last.close = max(last.high, high), min(last.low, low), close
            self._in_last += 1
            return
        if len(self.kept) >= 2 * _CANDLES:
            pairs = zip(self.kept[::2], self.kept[1::2], strict=True)
            self.kept = [
                Candle(a.time, a.open, max(a.high, b.high), min(a.low, b.low), b.close) for a, b in pairs
            ]  # fmt: skip
            self._each *= 2
        self.kept.append(Candle(time, first, high, low, close))
        self._in_last = 1


class Result(msgspec.Struct, kw_only=True):
    """Hold what came of a backtest."""

    setup: Setup
    parameters: dict[str, Any]
    """All of them, with their defaults."""
    name: str
    events: int
    metrics: dict[str, Metrics]
    curves: dict[str, Curve]
    fills: list[Fill]
    book: TradeBook
    candles: dict[str, Candles]
    signals: int
    orders: Counter[str]
    """What became of orders, by step."""
    reasons: Counter[str]
    """Why signals and orders came to nothing."""
    failures: list[Failure]
    offsets: dict[str, int]
    """By currency: microseconds that its market's midnight is before UTC's."""
    periods: dict[str, int]
    """By currency: daily returns that are a year."""


class Simulation:
    """Run one backtest and keep what it says."""

    def __init__(self, setup: Setup) -> None:
        """Make the strategy and the engine. Raises StrategyError, SymbolError, QuantError."""
        strategy = make_strategy(setup.strategy, setup.instruments, setup.parameters)
        self.setup = setup
        self.host = Host([strategy])
        self._strategy = strategy
        self._engine = Engine(setup.engine)
        instruments = [self._engine.instrument(key) for key in setup.instruments]
        self._currencies = tuple(dict.fromkeys(each.currency for each in instruments))
        for currency in self._currencies:
            if setup.engine.cash.get(currency, 0) <= 0:
                raise QuantError(f"there is no {currency} to trade with: --cash {currency}=1000000")
        self._result = Result(
            setup=setup, parameters=msgspec.to_builtins(strategy.parameters), name=strategy.name, events=0, metrics={},
            curves={currency: Curve([], [], []) for currency in self._currencies}, fills=[], book=TradeBook(),
            candles={key: Candles() for key in setup.instruments}, signals=0, orders=Counter(), reasons=Counter(),
            failures=[], offsets=_offsets(instruments), periods=_periods(instruments),
        )  # fmt: skip
        self._costs = {currency: Costs() for currency in self._currencies}
        self.periods = self._result.periods

    def run(self, events: Iterable[MarketEvent], charts: bool = True) -> Result:
        """Run over events; without `charts` no prices are kept. Raises QuantError where no event lies in its time."""
        result = self._result
        loop = Loop(self.host, self._engine, self._collect, self.setup.delay, self.setup.begin)
        result.events = loop.run(self._watched(events) if charts else events)
        last = self._engine.time
        if last < self.setup.begin or not result.events:
            raise QuantError("no events to trade on")
        for currency in self._currencies:
            self._point(currency, last, self._engine.equity(currency))
            trades = [trade for trade in result.book.trades if trade.currency == currency]
            result.metrics[currency] = measure(
                currency, result.curves[currency], trades, self._costs[currency], result.offsets[currency],
                result.periods[currency],
            )  # fmt: skip
        return result

    def _watched(self, events: Iterable[MarketEvent]) -> Iterator[MarketEvent]:
        candles, begin = self._result.candles, self.setup.begin
        barred: set[str] = set()
        for event in events:
            if event.time >= begin:
                kind, key = type(event), event.instrument
                if kind is Bar:
                    if key in candles:
                        barred.add(key)
                        candles[key].add(event.time, event.open, event.high, event.low, event.close)  # type: ignore[union-attr]
                elif key in candles and key not in barred:
                    if kind is Print:
                        price = event.price  # type: ignore[union-attr]
                    elif kind is Quote:
                        price = (event.bid + event.ask) // 2 if event.bid and event.ask else 0  # type: ignore[union-attr]
                    else:
                        price = 0
                    if price:
                        candles[key].add(event.time, price, price, price, price)
            yield event

    def _collect(self, output: Output | Signal | Failure) -> None:
        if type(output) is EquityEvent:
            if output.currency in self._costs and output.time >= self.setup.begin:
                self._point(output.currency, output.time, signed_units(output.equity))
        elif type(output) is Fill:
            self._take_fill(output)
        elif type(output) is OrderEvent:
            self._result.orders[output.step] += 1
            if output.step in ("reject", "cancel", "expire"):
                self._result.reasons[_plain(output.reason)] += 1
        elif type(output) is Decision:
            if output.verdict == "rejected":
                self._result.reasons[_plain(f"{output.rule}: {output.reason}")] += 1
        elif type(output) is Signal:
            self._result.signals += 1
        elif type(output) is Failure:
            self._result.failures.append(output)

    def _point(self, currency: str, time: int, equity: int) -> None:
        curve = self._result.curves[currency]
        if not curve.times:  # what it began with, whatever has happened at this very event
            curve.times.append(time)
            curve.equity.append(self.setup.engine.cash[currency])
            curve.held.append(0)
        held = 0
        for key, position in self._engine.ledger.positions.items():
            if position.quantity and self._engine.instruments[key].currency == currency:
                held += notional(position.mark, abs(position.quantity))
        if curve.times[-1] == time and len(curve.times) > 1:
            curve.equity[-1], curve.held[-1] = equity, held
            return
        curve.times.append(time)
        curve.equity.append(equity)
        curve.held.append(held)

    def _take_fill(self, fill: Fill) -> None:
        self._result.fills.append(fill)
        self._result.book.fill(fill)
        costs = self._costs[fill.currency]
        costs.fills += 1
        costs.traded += notional(total_units(fill.price), total_units(fill.quantity))
        costs.fees += signed_units(fill.fee)
        costs.taxes += signed_units(fill.taxes)
        costs.slippage += signed_units(fill.slippage)

    def marks(self) -> Mapping[str, tuple[Holding, int]]:
        """Give what is still open by instrument, with the last price."""
        return {
            key: (held, self._engine.ledger.positions[key].mark)
            for key, held in self._result.book.open.items()
            if held.quantity
        }


def _plain(reason: str) -> str:
    """Leave out the numbers behind a colon, so that reasons of one kind count together."""
    return ": ".join(part for part in reason.split(": ") if not part[:1].isdigit())[:120]


def _offsets(instruments: Iterable[Instrument]) -> dict[str, int]:
    return {
        each.currency: each.calendar.offset if isinstance(each.calendar, SessionCalendar) else 0
        for each in instruments
    }  # fmt: skip


def _periods(instruments: Iterable[Instrument]) -> dict[str, int]:
    return {
        each.currency: TRADING_DAYS if isinstance(each.calendar, SessionCalendar) else CALENDAR_DAYS
        for each in instruments
    }  # fmt: skip
