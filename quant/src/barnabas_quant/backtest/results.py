"""What a report tells, gathered while an engine works: in a backtest, and when a session that was is worked off again.

A `Recorder` hears the market and everything that is said of it, and asks the engine what is held. No I/O, no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from barnabas_quant.backtest.metrics import CALENDAR_DAYS, TRADING_DAYS, Costs, Curve, Metrics, measure
from barnabas_quant.backtest.trades import TradeBook, signed_units
from barnabas_quant.errors import QuantError
from barnabas_quant.model.money import total_units
from barnabas_quant.model.sessions import SessionCalendar
from barnabas_quant.strategies.host import Failure
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
    """Hold what came of a backtest, or of a session."""

    setup: Setup
    parameters: dict[str, Any]
    """All of them, with their defaults."""
    name: str
    recorded: bool = False
    """Whether this is a session that was: its signals travelled as they did, whatever the setup says."""
    events: int = 0
    metrics: dict[str, Metrics] = {}
    curves: dict[str, Curve] = {}
    fills: list[Fill] = []
    book: TradeBook = msgspec.field(default_factory=TradeBook)
    candles: dict[str, Candles] = {}
    signals: int = 0
    orders: Counter[str] = msgspec.field(default_factory=Counter)
    """What became of orders, by step."""
    reasons: Counter[str] = msgspec.field(default_factory=Counter)
    """Why signals and orders came to nothing, without numbers."""
    firsts: dict[str, str] = {}
    """The first of each of these reasons, whole."""
    failures: list[Failure] = []
    offsets: dict[str, int] = {}
    """By currency: microseconds that its market's midnight is before UTC's."""
    periods: dict[str, int] = {}
    """By currency: daily returns that are a year."""


class Recorder:
    """Fill a result from what an engine hears and says, of the instruments that are followed."""

    def __init__(self, engine: Engine, result: Result) -> None:
        self.engine = engine
        """Who is asked what is held; another one may take its place."""
        self.result = result
        self._costs: dict[str, Costs] = {}
        self._barred: dict[str, str] = {}  # instruments whose bars of this interval are drawn, and not their prices

    def follow(self, instrument: Instrument) -> None:
        """Keep what concerns an instrument and its currency."""
        result, currency = self.result, instrument.currency
        result.candles[instrument.key] = Candles()
        if currency not in self._costs:
            self._costs[currency] = Costs()
            result.curves[currency] = Curve([], [], [])
        sessions = instrument.calendar if isinstance(instrument.calendar, SessionCalendar) else None
        result.offsets[currency] = sessions.offset if sessions else 0
        result.periods[currency] = TRADING_DAYS if sessions else CALENDAR_DAYS

    def watched(self, events: Iterable[MarketEvent]) -> Iterator[MarketEvent]:
        """Hear events as they pass."""
        for event in events:
            self.hear(event, event.time)
            yield event

    def hear(self, event: MarketEvent, time: int) -> None:
        """Take an event of the market, at a time that never goes back."""
        candles = self.result.candles.get(event.instrument)
        if candles is None or time < self.result.setup.begin:
            return
        kind, key = type(event), event.instrument
        if kind is Bar:
            if key not in self._barred:  # prices from before the first bar would stretch their minute over the chart
                self._barred[key] = event.interval  # type: ignore[union-attr]
                candles = self.result.candles[key] = Candles()
            if self._barred[key] == event.interval:  # type: ignore[union-attr]
                candles.add(time, event.open, event.high, event.low, event.close)  # type: ignore[union-attr]
        elif key not in self._barred:
            if kind is Print:
                price = event.price  # type: ignore[union-attr]
            elif kind is Quote:
                price = (event.bid + event.ask) // 2 if event.bid and event.ask else 0  # type: ignore[union-attr]
            else:
                return
            if price:
                candles.add(time, price, price, price, price)

    def take(self, output: Output | Signal | Failure) -> None:
        """Take what the engine, or a strategy, says."""
        result = self.result
        if type(output) is EquityEvent:
            if output.currency in self._costs and output.time >= result.setup.begin:
                self._point(output.currency, output.time, signed_units(output.equity))
        elif type(output) is Fill:
            self._fill(output)
        elif type(output) is OrderEvent:
            result.orders[output.step] += 1
            if output.step in ("reject", "cancel", "expire"):
                self._nothing(output.reason)
        elif type(output) is Decision:
            if output.verdict == "rejected":
                self._nothing(f"{output.rule}: {output.reason}")
        elif type(output) is Signal:
            result.signals += 1
        elif type(output) is Failure:
            result.failures.append(output)

    def _nothing(self, reason: str) -> None:
        plain = _plain(reason)
        self.result.reasons[plain] += 1
        self.result.firsts.setdefault(plain, reason)

    def finish(self) -> Result:
        """Work out the figures as things stand. Raises QuantError where no event lay in its time."""
        result, last = self.result, self.engine.time
        if last < result.setup.begin or not result.events:
            raise QuantError("no events to trade on")
        for currency, costs in self._costs.items():
            self._point(currency, last, self.engine.main.equity(currency))
            trades = [trade for trade in result.book.trades if trade.currency == currency]
            result.metrics[currency] = measure(
                currency, result.curves[currency], trades, costs, result.offsets[currency], result.periods[currency]
            )
        return result

    def _point(self, currency: str, time: int, equity: int) -> None:
        curve = self.result.curves[currency]
        if not curve.times:  # what it began with, whatever has happened at this very event
            curve.times.append(time)
            curve.equity.append(self.result.setup.engine.cash.get(currency, 0))
            curve.held.append(0)
        held = 0
        for key, position in self.engine.main.ledger.positions.items():
            if position.quantity and self.engine.instruments[key].currency == currency:
                held += notional(position.mark, abs(position.quantity))
        if curve.times[-1] == time and len(curve.times) > 1:
            curve.equity[-1], curve.held[-1] = equity, held
            return
        curve.times.append(time)
        curve.equity.append(equity)
        curve.held.append(held)

    def _fill(self, fill: Fill) -> None:
        self.result.fills.append(fill)
        self.result.book.fill(fill)
        costs = self._costs[fill.currency]
        costs.fills += 1
        costs.traded += notional(total_units(fill.price), total_units(fill.quantity))
        costs.fees += signed_units(fill.fee)
        costs.taxes += signed_units(fill.taxes)
        costs.slippage += signed_units(fill.slippage)


def _plain(reason: str) -> str:
    """Leave out the numbers behind a colon, so that reasons of one kind count together."""
    return ": ".join(part for part in reason.split(": ") if not part[:1].isdigit())[:120]
